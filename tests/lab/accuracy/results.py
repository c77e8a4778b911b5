"""Running the comparison over the captures, and where its numbers are kept for the page."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT

from .compare import Comparison, compare

CORPUS = ROOT.parent / "shared" / "corpus"
FOLDERS = ("traffic", "formats", "hostile")
KEPT = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True, slots=True)
class Capture:
    """A capture of the corpus: its folder, what tables call it, where it is."""

    folder: str
    name: str
    path: Path


def captures(folder: str) -> list[Capture]:
    """Every capture of one folder of the corpus, by name."""
    paths = (path for path in (CORPUS / folder).rglob("*") if path.is_file() and path.name != "index.csv")
    return [Capture(folder, str(path.relative_to(CORPUS)), path) for path in sorted(paths)]


def _compare(capture: Capture) -> Comparison:
    return compare(capture.path, capture.name)


def compare_all(chosen: Iterable[Capture], processes: int) -> Iterator[Comparison]:
    """Compare many captures side by side; they come in order."""
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(_compare, chosen)


def summary(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """What the page tells: files, refused ones and packets by folder; each tally, its rules with times and captures."""
    folders = {}
    for folder in FOLDERS:
        some = [one for one in comparisons if one.capture.startswith(f"{folder}/")]
        refused = sum(bool(one.refused) for one in some)
        folders[folder] = {"files": len(some), "refused": refused, "packets": sum(one.packets for one in some)}
    tallies = {}
    for name in Comparison.TALLIES:
        parts = [getattr(one, name) for one in comparisons]
        times = sum((part.differ for part in parts), Counter[str]())
        tallies[name] = {
            "compared": sum(part.compared for part in parts),
            "equal": sum(part.equal for part in parts),
            "differ": [
                {"rule": rule, "times": count, "captures": sum(part.differ[rule] > 0 for part in parts)}
                for rule, count in times.most_common()
            ],
        }
    return {"folders": folders, "tallies": tallies}


def load(name: str) -> Any:
    """The numbers of one kind of run; None if it has not been run."""
    path = KEPT / f"{name}.json"
    return json.loads(path.read_text()) if path.is_file() else None


def keep(name: str, numbers: dict[str, Any]) -> None:
    KEPT.mkdir(exist_ok=True)
    (KEPT / f"{name}.json").write_text(json.dumps(numbers, indent=1, sort_keys=True) + "\n")
