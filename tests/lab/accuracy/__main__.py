"""`python -m tests.lab.accuracy`: compare, survey, and write docs/accuracy.md.

Steps: `tshark` and `hostile` run and keep their numbers; `page` writes the page from all numbers kept, also those that
the gateway testbed leaves in the same folder and the fuzzers in theirs. Without a step, all three. Exits 1 if tshark
says something that no rule explains or a file breaks peerburst, 2 if something needed is missing.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import peerburst

from . import tshark
from .page import page
from .results import CORPUS, FOLDERS, KEPT, ROOT, captures, compare_all, keep, load, summary

STEPS = ("tshark", "hostile", "page")
FUZZED = ROOT / "tests" / "lab" / "hostile" / "executions.json"
SWEEP = ROOT / "tests" / "lab" / "hostile" / "sweep.py"
PAGE = ROOT / "docs" / "accuracy.md"


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def run_tshark(processes: int) -> bool:
    """Compare every capture; whether every difference is explained."""
    compared = []
    for comparison in compare_all([one for folder in FOLDERS for one in captures(folder)], processes):
        compared.append(comparison)
        for sentence in comparison.unexplained:
            print(f"{comparison.capture}: {sentence}", file=sys.stderr)
    keep(
        "tshark",
        {
            "date": _today(),
            "peerburst": peerburst.__version__,
            "tshark": tshark.version(),
            **summary(compared),
        },
    )
    return all(comparison.is_explained for comparison in compared)


def run_hostile() -> bool:
    """Sweep the files that break parsers; whether none went wrong."""
    done = subprocess.run([sys.executable, SWEEP, CORPUS / "hostile"], stdout=subprocess.PIPE, check=False)
    report = json.loads(done.stdout)
    for name, fault in report["faults"].items():
        print(f"{Path(name).name}: {fault}", file=sys.stderr)
    report["faults"] = {Path(name).name: fault for name, fault in report["faults"].items()}
    keep("hostile", {"date": _today(), **report})
    return not report["faults"]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.accuracy", description=__doc__)
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"one or more of: {', '.join(STEPS)}")
    parser.add_argument("-j", "--processes", type=int, default=os.cpu_count() or 1, help="captures compared at once")
    chosen = parser.parse_args(arguments)
    steps = chosen.steps or STEPS
    unknown = set(steps) - set(STEPS)
    if unknown:
        parser.error(f"no such step: {', '.join(sorted(unknown))}")
    missing = "the captures of ../shared/corpus" if not CORPUS.is_dir() else tshark.missing()
    if missing and set(steps) != {"page"}:
        print(f"accuracy: {missing} is needed and not here", file=sys.stderr)
        return 2
    well = run_tshark(chosen.processes) if "tshark" in steps else True
    if "hostile" in steps:
        well = run_hostile() and well
    if "page" in steps:
        fuzzed = json.loads(FUZZED.read_text())["runs"] if FUZZED.exists() else None
        PAGE.write_text(page(*(load(name) for name in ("tshark", "gateway", "hostile")), fuzzed))
        print(f"{PAGE.relative_to(ROOT)} is written from {KEPT.relative_to(ROOT)}")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
