"""Live capture, measured: load, delay, memory, kills, and what goes wrong, as Markdown on standard output.

    sudo .venv/bin/python bench/live.py [rate] [cpu] [delay] [memory] [kills] [ends] [burst]

All that is made lives in network namespaces of its own. Needs root on Linux, dumpcap and a quiet machine; each part
takes one or two minutes.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
# The private networks are those of the tests.
sys.path.insert(0, str(PROJECT))

from sender import Sent  # noqa: E402

from peerburst.capture.read import read  # noqa: E402
from tests.support.live.nat_gateway import NatGateway  # noqa: E402
from tests.support.live.private_nets import NEAR, Pair, ip  # noqa: E402
from tests.support.netns import inside, missing  # noqa: E402

PYTHON = sys.executable
FLAT_OUT = 10_000_000.0  # packets/s: more than any sender here reaches
TRIAL_S = 4.0
SETTLE_S = 1.0
OURS_SHARE = 0.9  # of the highest rate at which dumpcap alone loses nothing
STEADY_PER_S = 100_000.0
PROBES = 40
CHURN_FLOWS, CHURN_HOURS, PACKETS_PER_FLOW = 3_600_000, 1.0, 6
KILLS, KILLED_AT_PER_S = 20, 20_000
# A user who may do nothing but read: the Python that runs this may lie in root's own folder.
ORDINARY = (
    "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all,+dac_read_search",
    "--ambient-caps=-all,+dac_read_search", "--bounding-set=-all,+dac_read_search",
)  # fmt: skip


def in_namespace(name: str, *words: str) -> list[str]:
    return ["ip", "netns", "exec", name, *words]


def peerburst(pair: Pair, *words: str) -> list[str]:
    """`peerburst live` on the near end of a pair."""
    return in_namespace(
        pair.near, PYTHON, "-m", "peerburst", "live", "-i", pair.interface, "--local-net", f"{NEAR}/32", *words
    )


def send(pair: Pair, per_s: float, seconds: float = TRIAL_S) -> Sent:
    """From the far end to the near one, by a process of its own."""
    script = str(Path(__file__).with_name("sender.py"))
    done = subprocess.run(
        in_namespace(pair.far, PYTHON, script, "far0", str(per_s), str(seconds)),
        check=True,
        capture_output=True,
        text=True,
    )
    return Sent(**json.loads(done.stdout))


def processor_s(pid: int) -> float:
    """Seconds on a processor of a process and its children that still run."""
    total = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            with contextlib.suppress(OSError):
                total += processor_s(int(child))
    spent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return total + (int(spent[11]) + int(spent[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Session:
    """A running `peerburst live --format jsonl`; `lines` grow as it prints, each with when it came (monotonic, s)."""

    process: "subprocess.Popen[str]"
    lines: list[tuple[float, dict[str, object]]] = field(default_factory=list)
    _reader: threading.Thread | None = None

    def begin(self) -> None:
        """Until it listens."""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        while not self.lines and self.process.poll() is None:
            time.sleep(0.02)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            self.lines.append((time.monotonic(), json.loads(text)))

    def end(self) -> dict[str, object]:
        """Stop it in order; its last object."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
        assert self._reader is not None
        self._reader.join()
        return self.lines[-1][1]


@contextlib.contextmanager
def session(command: Sequence[str]) -> Iterator[Session]:
    running = subprocess.Popen(
        [*command, "--format", "jsonl"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    made = Session(running)
    try:
        made.begin()
        yield made
    finally:
        if running.poll() is None:
            running.kill()
        running.wait()


@dataclass(frozen=True, slots=True)
class Trial:
    """One run under load. `lost` of the packets sent; `processor`: share of one processor while they were sent."""

    sent: Sent
    lost: int
    processor: float


def dumpcap_alone(pair: Pair, per_s: float) -> Trial:
    with tempfile.NamedTemporaryFile(suffix=".pcapng") as kept:
        running = subprocess.Popen(
            in_namespace(
                pair.near, "dumpcap", "-q", "-n", "-p", "-B", "16", "-s", "192", "-i", pair.interface, "-w", kept.name
            ),
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(SETTLE_S + 0.5)
        before = processor_s(running.pid)
        sent = send(pair, per_s)
        spent = processor_s(running.pid) - before
        time.sleep(SETTLE_S)
        running.send_signal(signal.SIGINT)
        _out, said = running.communicate(timeout=20)
    counted, dropped = said.rpartition("': ")[2].split(" ")[0].split("/")
    return Trial(sent, max(int(dropped), sent.packets - int(counted)), spent / sent.seconds)


def ours(pair: Pair, per_s: float, *words: str) -> Trial:
    with session(peerburst(pair, *words)) as running:
        before = processor_s(running.process.pid)
        sent = send(pair, per_s)
        spent = processor_s(running.process.pid) - before
        time.sleep(SETTLE_S)
        capture = running.end()["analysis"]["capture"]  # type: ignore[index]
    return Trial(sent, max(int(capture["drops"]), sent.packets - int(capture["packets"])), spent / sent.seconds)


def row(*cells: object) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def table(*columns: str) -> list[str]:
    return [row(*columns), row(*("---" for _ in columns))]


def rate() -> Iterator[str]:
    """The highest rate without a loss: dumpcap alone, then peerburst (which has a dumpcap of its own)."""
    with Pair("rate") as pair:
        alone = [dumpcap_alone(pair, FLAT_OUT) for _ in range(3)]
        top = max(trial.sent.per_s for trial in alone if not trial.lost)
        beside = [ours(pair, OURS_SHARE * top) for _ in range(3)]
    yield "## The highest rate"
    yield ""
    yield f"Frames of 128 bytes, 4,096 flows, {TRIAL_S:g} s each, {os.cpu_count()} processors, one of them sending."
    yield ""
    yield from table("who", "packets/s", "sent", "lost", "processors")
    for name, trials in (
        ("dumpcap alone, as fast as can be sent", alone),
        (f"peerburst, {OURS_SHARE:.0%} of it", beside),
    ):
        for trial in trials:
            sent = trial.sent
            yield row(name, f"{sent.per_s:,.0f}", f"{sent.packets:,}", f"{trial.lost:,}", f"{trial.processor:.2f}")


def cpu() -> Iterator[str]:
    """What a steady rate costs."""
    with Pair("cpu") as pair:
        costs = [
            ("dumpcap alone, to a file", dumpcap_alone(pair, STEADY_PER_S)),
            ("peerburst, a line a second", ours(pair, STEADY_PER_S)),
        ]
        with tempfile.TemporaryDirectory() as place:
            costs.append(("the same, keeping packets", ours(pair, STEADY_PER_S, "-w", f"{place}/kept.pcapng")))
            costs.append(("the same, compressed", ours(pair, STEADY_PER_S, "-w", f"{place}/kept.pcapng.zst")))
    yield f"## {STEADY_PER_S:,.0f} packets a second"
    yield ""
    yield from table("what", "share of one processor", "lost")
    for name, trial in costs:
        yield row(name, f"{trial.processor:.0%}", trial.lost)


def delay() -> Iterator[str]:
    """From a packet to the line that counts it, one line a second."""
    delays = []
    with Pair("delay") as pair, session(peerburst(pair)) as running:
        for _ in range(PROBES):
            time.sleep(random.uniform(0.3, 1.3))
            known = int(running.lines[-1][1]["packets"])  # type: ignore[call-overload]
            began = time.monotonic()
            pair.send_udp(1)
            while int(running.lines[-1][1]["packets"]) <= known:  # type: ignore[call-overload]
                time.sleep(0.002)
            delays.append(running.lines[-1][0] - began)
    delays.sort()
    yield "## From a packet to the line"
    yield ""
    yield from table("packets", "median", "longest")
    yield row(len(delays), f"{statistics.median(delays):.2f} s", f"{delays[-1]:.2f} s")


def memory() -> Iterator[str]:
    """An hour of short flows, read from a pipe as fast as it goes."""
    script = str(Path(__file__).with_name("churn.py"))
    with tempfile.TemporaryDirectory() as place:
        making = subprocess.Popen([PYTHON, script, str(CHURN_FLOWS), str(CHURN_HOURS)], stdout=subprocess.PIPE)
        began = time.monotonic()
        running = subprocess.Popen(
            [PYTHON, "-m", "peerburst", "live", "-r", "-", "-o", place, "--format", "jsonl"],
            stdin=making.stdout, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert making.stdout is not None
        assert running.stdout is not None
        making.stdout.close()
        views = []
        for text in running.stdout:
            views.append(json.loads(text))
            if views[-1]["packets"] == CHURN_FLOWS * PACKETS_PER_FLOW:
                break
        seconds = time.monotonic() - began
        running.kill()  # the verdict on all flows is no part of this
        running.wait()
        making.wait()
        files = list(Path(place).glob("retired-*.parquet"))
        data = sum(path.stat().st_size for path in files)
    yield f"## Memory: {CHURN_FLOWS:,} flows in an hour, read in {seconds:.0f} s"
    yield ""
    yield from table("minute", "packets", "flows in memory", "flows on disk", "resident MB")
    marks = [*range(0, 60, 6), 59]
    for which in dict.fromkeys(
        next((i for i, one in enumerate(views) if one["now_s"] >= 60 * minute), len(views) - 1) for minute in marks
    ):
        view = views[which]
        yield row(
            f"{view['now_s'] / 60:.0f}", f"{view['packets']:,}", f"{view['live_flows']:,}",
            f"{view['retired_flows']:,}", f"{view['memory_mb']:.0f}",
        )  # fmt: skip
    yield ""
    yield f"{len(files)} Parquet files of {data / 1e6:.0f} MB in all."


def kills() -> Iterator[str]:
    """kill -9 at random moments under load: what the file holds of what had arrived."""
    yield f"## Killed twenty times, at {KILLED_AT_PER_S:,} packets a second"
    yield ""
    yield from table("file", "killed after", "arrived by then", "kept", "lost: the last", "side file says", "reads")
    with Pair("kills") as pair:
        for number in range(KILLS):
            yield _killed(pair, ".pcapng" if number % 2 == 0 else ".pcapng.zst")


def _killed(pair: Pair, ending: str) -> str:
    after_s = random.uniform(0.5, 3.5)
    with tempfile.TemporaryDirectory() as place:
        kept = Path(place, f"kept{ending}")
        with session(peerburst(pair, "-w", str(kept))) as running:
            before = _arrived(pair)
            script = str(Path(__file__).with_name("sender.py"))
            sending = subprocess.Popen(
                in_namespace(pair.far, PYTHON, script, "far0", str(KILLED_AT_PER_S), str(after_s + 3)),
                stdout=subprocess.DEVNULL,
            )
            while _arrived(pair) < before + 100:
                time.sleep(0.005)
            time.sleep(after_s)
            sent = _arrived(pair) - before
            running.process.kill()
            running.process.wait()
            sending.kill()
            sending.wait()
        note = json.loads(Path(f"{kept}.session.json").read_text())
        capture = read([str(kept)])
    lost_s = max(0, sent - capture.packets) / KILLED_AT_PER_S
    reads = "; ".join(capture.warnings).replace(str(kept), "the file") or "whole"
    return row(ending, f"{after_s:.1f} s", f"{sent:,}", f"{capture.packets:,}", f"{lost_s:.2f} s", note["state"], reads)


def _arrived(pair: Pair) -> int:
    """Packets that arrived at the near end since it came up."""
    with inside(pair.near):
        text = Path("/proc/thread-self/net/dev").read_text()
    line = next(line for line in text.splitlines() if line.strip().startswith("near0:"))
    return int(line.partition(":")[2].split()[1])


def said_by(command: Sequence[str], during: Callable[[], object], seconds: float) -> tuple[int, str, str]:
    """Run plainly, do something two seconds in, and end it with Ctrl-C if it has not ended: code, stdout, stderr."""
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(5.0)
    during()
    with contextlib.suppress(subprocess.TimeoutExpired):
        running.wait(seconds)
    if running.poll() is None:
        running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    return running.returncode, out, err


def ends() -> Iterator[str]:
    """A full disk, an interface that goes, a user who may not: what is printed."""
    with tempfile.TemporaryDirectory() as place:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", place], check=True)
        try:
            for ending in (".pcapng", ".pcapng.zst"):
                yield from _full_disk(Path(place, f"kept{ending}"))
        finally:
            subprocess.run(["umount", place], check=True)
        yield from _gone(Path(place, "kept.pcapng"))
    with Pair("user") as pair:
        code, out, err = said_by(
            in_namespace(pair.near, "setpriv", *ORDINARY, "env",
                         f"HOME={tempfile.gettempdir()}", PYTHON, "-m", "peerburst", "live", "-i", "near0", "--plain"),
            lambda: None, 1.0,
        )  # fmt: skip
    yield from _told("An ordinary user without permission", code, out, err)


def _full_disk(kept: Path) -> Iterator[str]:
    with Pair("full") as pair:
        code, out, err = said_by([*peerburst(pair, "--plain"), "-w", str(kept)], lambda: send(pair, 20_000.0, 4.0), 3.0)
    yield from _told(f"A disk of 256 KiB that gets full ({kept.name})", code, out, err)
    yield from _kept(kept)
    kept.unlink()


def _gone(kept: Path) -> Iterator[str]:
    with Pair("gone") as pair:

        def remove() -> None:
            send(pair, 2_000.0, 2.0)
            ip("-n", pair.near, "link", "delete", "near0")

        code, out, err = said_by([*peerburst(pair, "--plain"), "-w", str(kept)], remove, 8.0)
    yield from _told("The interface is removed", code, out, err)
    yield from _kept(kept)


def _told(title: str, code: int, out: str, err: str) -> Iterator[str]:
    lines = out.splitlines()
    stop = next((number for number, line in enumerate(lines) if not line), len(lines))
    yield f"## {title}"
    yield ""
    yield f"Exit code {code}. It printed, as it went:"
    yield from ("", "```", *lines[:stop], "```", "")
    yield "and on standard error:"
    yield from ("", "```", *err.splitlines(), "```", "")


def _kept(path: Path) -> Iterator[str]:
    shown = subprocess.run([PYTHON, "-m", "peerburst", str(path), "--format", "json"], capture_output=True, text=True)
    capture = json.loads(shown.stdout)["capture"] if shown.stdout else {}
    size, packets = path.stat().st_size, capture.get("packets", 0)
    yield f"Kept: {size:,} bytes with {packets:,} packets; reading it warns of {capture.get('warnings') or 'nothing'}."
    yield ""


def burst() -> Iterator[str]:
    """A peer-to-peer program comes online: its class, first provisional, then final."""
    script = str(PROJECT / "tests" / "support" / "live" / "login_of_peers.py")
    with tempfile.TemporaryDirectory() as place, NatGateway(Path(place)) as net:
        command = net.command(net.client, PYTHON, "-m", "peerburst", "live", "-i", net.interface, "--plain")
        running = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert running.stdout is not None
        said = [running.stdout.readline()]
        reader = threading.Thread(target=lambda: said.extend(running.stdout or ()), daemon=True)
        reader.start()
        net.run(PYTHON, script, "300", "15")
        time.sleep(14.0)
        running.send_signal(signal.SIGINT)
        running.wait(60)
        reader.join()
    yield "## A burst, as it is told"
    yield ""
    yield from ("```", *(line.rstrip() for line in said), "```")


PARTS: dict[str, Callable[[], Iterator[str]]] = {
    "rate": rate, "cpu": cpu, "delay": delay, "memory": memory, "kills": kills, "ends": ends, "burst": burst,
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], metavar="PART", help=", ".join(PARTS))
    asked = parser.parse_args()
    if (lacking := missing("dumpcap")) is not None:
        print(f"live capture cannot be measured here: it {lacking}", file=sys.stderr)
        return 1
    for name in asked.parts or PARTS:
        for text in PARTS[name]():
            print(text, flush=True)
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
