"""Runs `peerburst analyze --format json` on files made to break parsers, all in one warm process, and tells what came.

An answer must be one JSON object whose sums agree; a refusal must be one sentence. A traceback, an empty answer, a slow
file or a large one is a failure, and is named.
"""

import argparse
import contextlib
import io
import json
import resource
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from peerburst.cli.main import main

LONGEST_S = 2.0
LARGEST_MIB = 300
ANSWERED, REFUSED = 0, 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of the command line did. `fault` is None if that is as it should be."""

    code: int | None  # None: it raised
    seconds: float
    fault: str | None


def peak_mib() -> float:
    """The largest this process has ever been."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fault_of_answer(text: str) -> str | None:
    """What is wrong with a JSON answer: its form, or its sums."""

    def refuse(name: str) -> float:
        raise ValueError(f"{name} is no JSON")

    try:
        answer = json.loads(text, parse_constant=refuse)
    except ValueError as error:
        return f"not JSON: {error}"
    capture = answer["capture"]
    if sum(capture["statuses"].values()) != capture["packets"]:
        return "statuses do not add up to packets"
    if sum(capture["scopes"].values()) != capture["flows"]:
        return "scopes do not add up to flows"
    if capture["duration_s"] < 0:
        return "a negative duration"
    return None


def fault_of_refusal(text: str) -> str | None:
    """What is wrong with what stands on standard error after a refusal: it is one line of our own."""
    lines = text.strip().splitlines()
    if not lines or not lines[-1].startswith("peerburst: "):
        return "no sentence"
    if any(not line.startswith("peerburst: ") for line in lines):
        return f"more than sentences: {lines[0][:80]}"
    return None


def run(arguments: list[str]) -> tuple[Outcome, str, str]:
    """One command line in this process: what came of it, standard output, standard error."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True), io.StringIO()
    code: int | None = None
    began = time.perf_counter()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(arguments)
    except Exception:
        last = traceback.format_exc().strip().splitlines()
        fault: str | None = f"traceback: {last[-3].strip() if len(last) > 2 else ''}: {last[-1]}"
    else:
        if code == ANSWERED:
            fault = None
        else:
            fault = fault_of_refusal(err.getvalue()) if code == REFUSED else f"exit code {code}"
    seconds = time.perf_counter() - began
    out.seek(0)
    return Outcome(code, seconds, fault), out.read(), err.getvalue()


def judge(path: Path, longest_s: float = LONGEST_S) -> Outcome:
    """`peerburst analyze --inner --format json` on a file."""
    outcome, out, _err = run(["analyze", "--inner", "--format", "json", str(path)])
    fault = outcome.fault
    if fault is None and outcome.code == ANSWERED:
        fault = fault_of_answer(out)
    if fault is None and outcome.seconds > longest_s:
        fault = f"took {outcome.seconds:.1f} s"
    return replace(outcome, fault=fault)


def sweep(paths: Iterable[Path], longest_s: float = LONGEST_S) -> dict[str, Any]:
    """All files: how many were answered and refused, the slowest, the memory, and each that failed."""
    codes: Counter[str] = Counter()
    faults: dict[str, str] = {}
    seconds = []
    for path in paths:
        outcome = judge(path, longest_s)
        codes["answered" if outcome.code == ANSWERED else "refused" if outcome.code == REFUSED else "failed"] += 1
        seconds.append(outcome.seconds)
        if outcome.fault:
            faults[str(path)] = outcome.fault
    return {
        "files": len(seconds),
        **codes,
        "seconds": round(sum(seconds), 1),
        "slowest_s": round(max(seconds, default=0.0), 3),
        "peak_mib": round(peak_mib()),
        "faults": faults,
    }


def captures_in(folder: Path) -> list[Path]:
    """Every file of a folder but its tables, in order."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".csv", ".md"))


def _command_line() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--longest", type=float, default=LONGEST_S, help="seconds a file may take")
    options = parser.parse_args()
    files = captures_in(options.folder)
    judge(files[0])  # compiles, or loads what is compiled
    report = sweep(files, options.longest)
    print(json.dumps(report, indent=1))
    sys.exit(bool(report["faults"]))


if __name__ == "__main__":
    _command_line()
