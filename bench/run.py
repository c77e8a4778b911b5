"""The benchmark: peerburst beside other flow meters, in one run, alternating, medians. Writes docs/benchmarks.md.

python bench/run.py [--runs 5] [--traces 1M-50k,10M-500k] [--output docs/benchmarks.md]
"""

import argparse
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from measure import PYTHON, Cost, median, run
from peers import FLOW_METERS, SLOW, WALK, Peer
from quick import table_seconds
from traces import TRACES, Trace, write

TIMEOUT_S = 600.0
OURS = Peer(
    "peerburst analyze",
    "Python: 17 gateway models, bursts, classes",
    lambda path: [PYTHON, "-m", "peerburst", "analyze", "--format", "json", path],
    lambda: True,
)


def cut(path: Path, packets: int, place: Path) -> Path:
    """The first packets of a trace, for a peer too slow for all of it."""
    part = place / f"first-{packets}.pcap"
    if not part.exists():
        subprocess.run(["tcpdump", "-n", "-r", path, "-c", str(packets), "-w", part], check=True, capture_output=True)
    return part


def costs(peers: list[Peer], path: Path, trace: Trace, place: Path, runs: int) -> dict[str, tuple[Cost, bool]]:
    """(median cost, whether it was scaled up from a part) by peer; those missing or failing are left out."""
    found: dict[str, list[Cost]] = {}
    for _ in range(runs):
        for peer in peers:
            if not peer.there():
                continue
            is_part = peer.most_packets < trace.packets
            source = cut(path, peer.most_packets, place) if is_part else path
            cost = run(peer.command(str(source)), timeout_s=TIMEOUT_S)
            if cost is not None:
                scale = trace.packets / peer.most_packets if is_part else 1.0
                found.setdefault(peer.name, []).append(Cost(cost.seconds * scale, cost.peak_mb))
    part = {peer.name: peer.most_packets < trace.packets for peer in peers}
    return {name: (median(list_), part[name]) for name, list_ in found.items()}


def version(command: list[str]) -> str:
    """The first line a program prints of its version."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return "missing"
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0] if lines else "unknown"


def versions() -> list[str]:
    """What was measured with what."""
    lines = [f"- Python {platform.python_version()}, {platform.system()} {platform.release()}, {platform.machine()}"]
    lines += [f"- {name}: {version(command)}" for name, command in (
        ("tcpdump", ["tcpdump", "--version"]),
        ("softflowd", ["softflowd", "-h"]),
        ("nfpcapd", ["nfpcapd", "-V"]),
        ("argus", ["argus", "-h"]),
        ("tcptrace", ["tcptrace", "-v"]),
        ("tshark", ["tshark", "--version"]),
    )]  # fmt: skip
    return lines


def table(name: str, trace: Trace, flow_table_s: float, found: dict[str, tuple[Cost, bool]]) -> list[str]:
    """One trace's results as Markdown."""
    lines = [
        f"## {name}: {trace.packets:,} packets, {trace.flows:,} flows",
        "",
        "| program | seconds | packets/s | peak memory | times the flow table |",
        "|---|---:|---:|---:|---:|",
        f"| **peerburst, flow table alone** | {flow_table_s:.3f} | {trace.packets / flow_table_s:,.0f} | | 1 |",
    ]
    for program, (cost, scaled) in sorted(found.items(), key=lambda item: item[1][0].seconds):
        mark = " (scaled)" if scaled else ""
        lines.append(
            f"| {program}{mark} | {cost.seconds:.3f} | {trace.packets / cost.seconds:,.0f} | {cost.peak_mb:.0f} MB |"
            f" {cost.seconds / flow_table_s:.1f} |"
        )
    return [*lines, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--traces", default="1M-50k,10M-500k")
    parser.add_argument("--output", default="docs/benchmarks.md")
    parser.add_argument("--slow", action="store_true", help="also the peers that take minutes")
    asked = parser.parse_args()
    peers = [WALK, *FLOW_METERS, OURS, *(SLOW if asked.slow else ())]
    missing = [peer.name for peer in peers if not peer.there()]
    now = datetime.now(UTC).strftime("%Y-%m-%d")
    page = [
        "# Benchmarks",
        "",
        f"Made on {now} by `python bench/run.py`: each number is the median of {asked.runs} runs, the programs taking"
        " turns, the file in the page cache. Compare within this page, not across machines.",
        "",
        *versions(),
        *([f"- Not installed, so not measured: {', '.join(missing)}"] if missing else []),
        "",
    ]
    for name in asked.traces.split(","):
        trace = TRACES[name]
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / f"{name}.pcap"
            with path.open("wb") as out:
                write(trace, out)
            run(OURS.command(str(path)), timeout_s=TIMEOUT_S)  # kernels compiled, file cached
            found = costs(peers, path, trace, Path(place), asked.runs)
            page += table(name, trace, table_seconds(path), found)
            print("\n".join(page[-len(found) - 6 :]), file=sys.stderr)
    Path(asked.output).write_text("\n".join(page), encoding="utf-8")


if __name__ == "__main__":
    main()
