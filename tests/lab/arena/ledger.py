"""What was recorded, and what it is: labels.csv, runs.csv and SOURCES.md. Scenes not played again stay in."""

import csv
import fcntl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

LABELS = ("capture", "host", "class", "program", "version", "source_group", "what", "start_s", "end_s")
RUNS = ("capture", "program", "version", "class", "what", "command", "packets", "flows", "seconds", "sha256")

ABOUT = """# The arena: traffic of real programs, with labels for free

Recorded by `python -m tests.lab.arena` (Linux, root): each guest is a network namespace in which one real program runs,
or the ones named for the mixed captures, behind a Linux gateway that translates addresses; servers and peers are real
programs too, in namespaces of their own. Nothing outside the machine was contacted and nobody's traffic is in here:
outside addresses are drawn at random and stand for nobody. Recorded at the guest's own interface with tcpdump, cut to
{snaplen} bytes, and payload bytes within those set to zero: headers alone.

The line between gateway and internet has a round trip of 6 to 300 ms, another for each address, half of them below
40 ms; 0.3 % of the packets are lost; 40 Mbit/s down, 10 Mbit/s up. Six in ten peers stand openly, two behind a firewall
that lets in only answers, two behind one that also draws a new port for every conversation.

Labels say what ran, never what peerburst takes it for. `labels.csv`: one row per capture and program, or per spell
where programs take turns or run side by side; `start_s` and `end_s` count from the capture's first packet.
`source_group` is the program's family: an evaluation that is to say something about unseen programs leaves out a whole
family. `runs.csv` has the commands and sha256 sums. A rerun gives other packets: timing, ports and losses are real.

| capture | class | program | version | packets | flows | seconds | what happened |
|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Book:
    """The three files, in one folder."""

    folder: Path
    snaplen: int  # of the recordings, for the reader

    def enter(self, capture: str, labels: Iterable[tuple[str, ...]], run: tuple[str, ...]) -> None:
        """Put in a capture, in place of what was there of that name."""
        with (self.folder / "labels.csv").open("a") as lock:  # two arenas may write at a time
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._replace("labels.csv", LABELS, capture, labels)
            self._replace("runs.csv", RUNS, capture, [run])
            self._tell()

    def _read(self, name: str) -> list[dict[str, str]]:
        path = self.folder / name
        if not path.exists():
            return []
        with path.open(newline="") as file:
            return list(csv.DictReader(file))

    def _replace(self, name: str, columns: tuple[str, ...], capture: str, rows: Iterable[tuple[str, ...]]) -> None:
        kept = [row for row in self._read(name) if row["capture"] != capture]
        kept += [dict(zip(columns, row, strict=True)) for row in rows]
        kept.sort(key=lambda row: row["capture"])  # stable: spells of a capture stay in order
        with (self.folder / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(kept)

    def _tell(self) -> None:
        """Write SOURCES.md anew from the runs."""
        lines = []
        for run in self._read("runs.csv"):
            cells = [
                run[name] for name in ("capture", "class", "program", "version", "packets", "flows", "seconds", "what")
            ]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        (self.folder / "SOURCES.md").write_text(ABOUT.format(snaplen=self.snaplen) + "\n".join(lines) + "\n")
