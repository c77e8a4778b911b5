"""The benchmark: peerburst beside other flow meters, in one run, alternating, medians. Writes docs/benchmarks.md.

python bench/run.py [--runs 5] [--only PART...] [--corpus FOLDER]

Parts: peers, kinds, packed, long, flood, real, start, stages, plot. What a part measured is kept in
docs/benchmarks.json, so that one can be measured again by itself; the page is made of all that is there.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from measure import ENVIRONMENT, PYTHON, Cost, installed, median, run
from page import write_page
from peers import FLOW_METERS, SLOW, WALK, Peer
from quick import table_cost

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
RESULTS = DOCS / "benchmarks.json"
TIMEOUT_S = 900.0
QUICK_TIMES = 3  # as often as the others
PROGRAMS = {
    "tcpdump": ["tcpdump", "--version"],
    "softflowd": ["dpkg-query", "-W", "-f", "${Version}", "softflowd"],
    "nfpcapd": ["nfpcapd", "-V"],
    "argus": ["argus", "-h"],
    "tcptrace": ["tcptrace", "-v"],
    "tshark": ["tshark", "--version"],
}
Found = dict[str, Any]


def peerburst(*arguments: str) -> list[str]:
    return [PYTHON, "-m", "peerburst", *arguments]


def analyze(path: str) -> list[str]:
    return peerburst("analyze", "--format", "json", "--quiet", path)


OURS = Peer("peerburst analyze", "Python: 17 gateway models, bursts, classes", analyze, lambda: True)


class Bench:
    """Where traces are made, and how often each command is run."""

    def __init__(self, place: Path, runs: int, corpus: Path) -> None:
        self.place = place
        self.runs = runs
        self.corpus = corpus

    def trace(self, name: str) -> Path:
        """A trace by its name, made once; in a process of its own, so that this one stays small."""
        path = self.place / f"{name}.pcap"
        if not path.exists():
            subprocess.run([PYTHON, str(HERE / "traces.py"), name, str(path)], check=True)
        return path

    def cut(self, path: Path, packets: int) -> Path:
        """The first packets of a trace."""
        part = self.place / f"{path.stem}-first-{packets}.pcap"
        if not part.exists():
            subprocess.run(
                ["tcpdump", "-n", "-r", path, "-c", str(packets), "-w", part], check=True, capture_output=True
            )
        return part

    def in_turn(self, commands: dict[str, Callable[[], Cost | None]], *, is_long: bool = False) -> dict[str, Cost]:
        """Run each once and throw it away, unless that takes long, then all in turn; the medians of
        those that never failed. What takes less than a second, where a moment's noise is much, runs more often."""
        found: dict[str, list[Cost]] = {}
        times: dict[str, int] = {}
        for name, command in commands.items():
            first = None if is_long else command()
            if is_long or first is not None:
                found[name], times[name] = [], QUICK_TIMES if first is not None and first.seconds < 1 else 1
        for _ in range(self.runs):
            for name in list(found):
                for _ in range(times[name]):
                    cost = commands[name]()
                    if cost is None:
                        del found[name]
                        break
                    found[name].append(cost)
        return {name: median(costs) for name, costs in found.items()}


def once(command: Sequence[str], fed_by: Sequence[str] | None = None) -> Callable[[], Cost | None]:
    return lambda: run(command, timeout_s=TIMEOUT_S, fed_by=fed_by)


def _peer_run(bench: Bench, peer: Peer, path: Path, packets: int) -> Callable[[], Cost | None]:
    if peer.most_packets >= packets:
        return once(peer.command(str(path)))
    part = str(bench.cut(path, peer.most_packets))

    def scaled() -> Cost | None:
        cost = run(peer.command(part), timeout_s=TIMEOUT_S)
        return cost.scaled(packets / peer.most_packets) if cost is not None else None

    return scaled


def peers(bench: Bench) -> Found:
    """Flow records of the same file from each program."""
    found: Found = {"missing": [peer.name for peer in (WALK, *FLOW_METERS, *SLOW) if not peer.there()]}
    for name, packets, asked in (
        ("1M-50k", 1_000_000, (WALK, *FLOW_METERS, *SLOW, OURS)),
        ("10M-500k", 10_000_000, (WALK, *FLOW_METERS, OURS)),
    ):
        path = bench.trace(name)
        commands = {peer.name: _peer_run(bench, peer, path, packets) for peer in asked if peer.there()}
        commands["flow table"] = lambda path=path: table_cost(path)  # type: ignore[misc]
        if packets > 1_000_000:
            commands["peerburst report"] = once(peerburst("report", "--quiet", "-o", "report", str(path)))
        costs = bench.in_turn(commands, is_long=packets > 1_000_000)
        scaled = [peer.name for peer in asked if peer.most_packets < packets]
        found[name] = {"packets": packets, "costs": _plain(costs), "scaled": scaled}
    return found


def kinds(bench: Bench) -> Found:
    """The flow table on other kinds of capture, beside the plain one; and what reading their bytes alone takes."""
    names = ["1M-50k", *(f"1M-50k-{what}" for what in ("pcapng", "ipv6", "vlan", "full"))]
    paths = {name: bench.trace(name) for name in names}
    costs = bench.in_turn({name: lambda path=path: table_cost(path) for name, path in paths.items()})  # type: ignore[misc]
    return {"costs": _plain(costs), "reading_s": {name: _reading_s(path) for name, path in paths.items()}}


def _reading_s(path: Path) -> float:
    """Seconds to read a file's bytes into one place, as the reader does."""
    room = bytearray(1 << 22)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        with path.open("rb", buffering=0) as file:
            while file.readinto(room):
                pass
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def packed(bench: Bench) -> Found:
    """Compressed captures beside their decompressor writing to nowhere."""
    plain = bench.trace("1M-50k")
    commands: dict[str, Callable[[], Cost | None]] = {}
    for name, suffix in (("gzip", "gz"), ("zstd", "zst")):
        if not installed(name):
            continue
        path = plain.with_suffix(f".pcap.{suffix}")
        subprocess.run([name, "-kqf", str(plain)], check=True)
        commands[f"{name} -dc"] = once([name, "-dcq", str(path)])
        commands[f"flow table of {name}"] = lambda path=path: table_cost(path)  # type: ignore[misc]
        commands[f"our library, {name}"] = lambda path=path: _bytes_cost(path)  # type: ignore[misc]
    return {"costs": _plain(bench.in_turn(commands))}


def _bytes_cost(path: Path) -> Cost | None:
    """One run of the decompressor that we use, its bytes thrown away."""
    done = subprocess.run([PYTHON, str(HERE / "bytes.py"), str(path)], capture_output=True, text=True)
    return Cost(float(done.stdout), float(done.stdout), 0.0) if done.returncode == 0 else None


def long(bench: Bench) -> Found:
    """Ten and a hundred million packets of as many flows, through a pipe."""
    found: Found = {}
    for name, packets in (("10M-500k", 10_000_000), ("100M-500k", 100_000_000), ("100M-500k-slow", 100_000_000)):
        cost = run(analyze("-"), timeout_s=3600, fed_by=[PYTHON, str(HERE / "traces.py"), name, "-"])
        found[name] = {"packets": packets, "cost": asdict(cost) if cost else None}
    return found


def flood(bench: Bench) -> Found:
    """Five million flows of one SYN each."""
    return {"costs": _plain(bench.in_turn({"analyze": once(analyze(str(bench.trace("synflood-5M"))))}, is_long=True))}


def real(bench: Bench) -> Found:
    """Real captures, one after another, over and over, to ten million packets."""
    captures = sorted(str(path) for path in bench.corpus.glob("*.pcap*"))
    if not captures:
        return {}
    path = bench.place / "real.pcap"
    subprocess.run([PYTHON, str(HERE / "repeated.py"), "10000000", str(path), *captures], check=True)
    asked = [peer for peer in (WALK, *FLOW_METERS[:2], OURS) if peer.there()]
    commands = {peer.name: _peer_run(bench, peer, path, 10_000_000) for peer in asked}
    commands["flow table"] = lambda: table_cost(path)
    return {"costs": _plain(bench.in_turn(commands, is_long=True)), "captures": len(captures)}


def start(bench: Bench) -> Found:
    """What a short command costs, everything compiled."""
    small = bench.cut(bench.trace("1M-50k"), 7400)  # 700 kB
    commands = {"--help": once(peerburst("--help")), "analyze of 700 kB": once(analyze(str(small)))}
    return {"costs": _plain(bench.in_turn(commands))}


def stages(bench: Bench) -> Found:
    """Where the time goes, as `--timing` says."""
    found = {}
    for command in ("analyze", "report"):
        path = str(bench.trace("10M-500k"))
        arguments = peerburst(command, "--quiet", "--timing", path)
        done = subprocess.run(arguments, capture_output=True, text=True, cwd=bench.place, env=ENVIRONMENT)
        found[command] = done.stderr
    return found


def plot(bench: Bench) -> Found:
    """Seconds for longer and longer parts of one trace; what the whole takes is among the peers."""
    whole = bench.trace("10M-500k")
    found: dict[str, dict[str, float]] = {}
    for packets in (10_000, 100_000, 300_000, 1_000_000, 3_000_000):
        path = bench.cut(whole, packets)
        for peer in (WALK, *FLOW_METERS, OURS):
            if peer.there() and (cost := run(peer.command(str(path)), timeout_s=TIMEOUT_S)) is not None:
                found.setdefault(peer.name, {})[str(packets)] = cost.seconds
        if (table := table_cost(path)) is not None:
            found.setdefault("peerburst, flow table", {})[str(packets)] = table.seconds
    return found


def _plain(costs: dict[str, Cost]) -> Found:
    return {name: asdict(cost) for name, cost in costs.items()}


def version(command: list[str]) -> str:
    """The first line a program prints of its version."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return "not installed"
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0].rstrip(".") if lines else "unknown"


def processor() -> str:
    """The processor as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def machine() -> Found:
    return {
        "made": datetime.now(UTC).strftime("%Y-%m-%d"),
        "system": f"{platform.system()} {platform.release()}, {processor()}, {len(os.sched_getaffinity(0))} cores",
        "python": platform.python_version(),
        "programs": {name: version(command) for name, command in PROGRAMS.items()},
    }


PARTS: dict[str, Callable[[Bench], Found]] = {
    "peers": peers,
    "kinds": kinds,
    "packed": packed,
    "long": long,
    "flood": flood,
    "real": real,
    "start": start,
    "stages": stages,
    "plot": plot,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=sorted(PARTS), default=list(PARTS))
    parser.add_argument("--corpus", type=Path, default=HERE.parent.parent / "shared" / "corpus" / "traffic")
    parser.add_argument("--traces", type=Path, help="keep the traces in this folder, and use those that are there")
    asked = parser.parse_args()
    results: Found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results["machine"] = machine() | {"runs": asked.runs}
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(asked.traces or Path(temporary), asked.runs, asked.corpus)
        for name in asked.only:
            print(f"measuring {name}", file=sys.stderr, flush=True)
            results[name] = PARTS[name](bench)
            RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    write_page(results, DOCS)


if __name__ == "__main__":
    main()
