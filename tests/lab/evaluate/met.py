"""Captures met after the rules were set: each judged once, before any rule was changed for it.

`first_met.csv` keeps what was said at that first meeting, with the commit whose rules said it; that is never changed.
A capture that is neither in it nor in `set_on.txt` (those the rules were set on from the beginning) has not been met.
The history of these files proves the order: a capture's lines are committed with it, changes to the rules after them.
"""

import csv
import datetime
import hashlib
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from .cases import ROOT, Case, Labelled

HERE = Path(__file__).resolve().parent
LEDGER = HERE / "first_met.csv"
SET_ON = HERE / "set_on.txt"
# What decides a class, from packets to words.
DECIDES = ("analysis", "capture")


@dataclass(frozen=True, slots=True)
class Meeting:
    """What was said of one host or burst when its capture was first met."""

    date: str
    rules: str  # the commit
    capture: str
    sha256: str  # its first twelve digits
    source: str
    new_source: str  # "yes": no capture of this program's family had been met before
    unit: str
    start_s: str
    labelled: str  # the classes that are right, joined by "|"
    found: str
    evidence: str

    @property
    def truth(self) -> tuple[str, ...]:
        return tuple(self.labelled.split("|"))

    @property
    def is_right(self) -> bool:
        return self.found in self.truth

    @property
    def where(self) -> str:
        return f"{self.capture}, {self.unit}" + (f" at {self.start_s} s" if self.unit == "burst" else "")


def meetings() -> list[Meeting]:
    """All that were written down, the oldest first."""
    if not LEDGER.is_file():
        return []
    with LEDGER.open(newline="") as file:
        return [Meeting(**row) for row in csv.DictReader(file)]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def unmet(captures: Sequence[Labelled]) -> list[Labelled]:
    """Those never met, and those recorded anew since they were."""
    set_on, met = set(SET_ON.read_text().split()), {meeting.sha256 for meeting in meetings()}
    return [one for one in captures if one.name not in set_on and digest(one.path) not in met]


def rules_commit() -> str:
    """The commit of the rules in use; raises RuntimeError while they differ from it."""
    if _git("status", "--porcelain", "--", *DECIDES):
        raise RuntimeError("commit what decides a class before new captures are met")
    return _git("log", "-1", "--format=%h", "--", *DECIDES)


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def write_down(met: Iterable[tuple[Labelled, Iterable[Case]]], known_sources: set[str], rules: str) -> list[Meeting]:
    """Append what is said of captures that were not met before."""
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    new = [
        Meeting(
            date=date,
            rules=rules,
            capture=case.capture,
            sha256=digest(labelled.path),
            source=case.source,
            new_source="no" if case.source in known_sources else "yes",
            unit=case.unit,
            start_s=f"{case.start_s:.0f}",
            labelled="|".join(case.truth),
            found=case.found_class,
            evidence="; ".join(evidence.says for evidence in case.found.evidence),
        )
        for labelled, cases in met
        for case in cases
    ]
    is_first = not LEDGER.is_file()
    with LEDGER.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if is_first:
            writer.writerow(field.name for field in fields(Meeting))
        writer.writerows(astuple(meeting) for meeting in new)
    return new
