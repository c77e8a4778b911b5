"""Captures whose answer is known: their hosts and bursts, each with its features and its label.

Three realms, never mixed in one figure: captures that others recorded and published (`public`), real programs recorded
in the arena (`arena`), and scenarios played by `peerburst synth` (`made-up`).
"""

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.bursts import features
from peerburst.analysis.bursts.classify import Classification, classify, says_something
from peerburst.analysis.bursts.features import Features
from peerburst.analysis.results import Burst
from peerburst.analysis.settings import Settings
from peerburst.capture.files import zstd
from peerburst.capture.vocabulary import TrafficClass
from peerburst.opening import analyse
from tests.support.paths import ROOT

CORPUS = ROOT.parent / "shared" / "corpus"
ARENA = ROOT / "pcaps" / "arena"
MADE_UP = ROOT / "pcaps"

CLASSES = tuple(label.value for label in TrafficClass if label is not TrafficClass.UNKNOWN)
# Captures of one program, or of one and the same machine and day, never stand on both sides of a split.
SAME_PROGRAM = {
    "skype-login-1": "skype",
    "skype-login-2": "skype",
    "whatsapp-web-text": "whatsapp",
    "whatsapp-login-call": "whatsapp",
    "nmap-connect": "nmap",
    "nmap-syn": "nmap",
    "nmap-udp": "nmap",
}
# A public capture's label is of its main host as a whole. Where its own note says that the host did something else as
# well, a burst may be that.
ALSO_IN_BURSTS = {
    "gnutella-gtk": ("p2p-sync", "discovery"),  # "start and search, sync-like burst at start"
    "whatsapp-login-call": ("client-server",),  # "login then call": a burst at the login, none at the call
}

LOOKUPS = "lookups"  # a burst of questions to services alone, in a capture of something else


@dataclass(frozen=True, slots=True)
class Case:
    """A host or a burst of one capture. `truth` names the classes that are right, the label first."""

    realm: str
    unit: str  # "host" or "burst"
    capture: str
    source: str  # the program's family: what a split leaves out together
    host: str
    start_s: float
    truth: tuple[str, ...]
    features: Features
    found: Classification

    @property
    def is_mixed(self) -> bool:
        """Several programs ran at once: more than one answer is right."""
        return len(self.truth) > 1 and self.realm in ("arena", "given")

    @property
    def has_class(self) -> bool:
        return self.truth[0] in CLASSES

    @property
    def label(self) -> str:
        """The class in the matrix: the one found if it is among the right ones."""
        return self.found_class if self.found_class in self.truth else self.truth[0]

    @property
    def found_class(self) -> str:
        return self.found.label.value

    @property
    def where(self) -> str:
        return f"{self.capture}, {self.unit}" + (f" at {self.start_s:.0f} s" if self.unit == "burst" else "")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A capture's host and what it did."""

    realm: str
    path: Path
    host: str
    source: str
    truth: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.path.name.split(".")[0]


def public() -> list[Labelled]:
    path = CORPUS / "labels.csv"
    if not path.is_file():
        return []
    with path.open() as file:
        rows = list(csv.DictReader(file))
    names = [Path(row["file"]).name.split(".")[0] for row in rows]
    return [
        Labelled("public", CORPUS / row["file"], row["host"], SAME_PROGRAM.get(name, name), (row["class"],))
        for name, row in zip(names, rows, strict=True)
    ]


def in_folder(folder: Path) -> list[Labelled]:
    """The captures of any folder with a labels.csv: `file,host,class`, and `source` where that is more than one file.

    A host may have several rows, one for each class that would be right. Raises ValueError where the table is not so.
    """
    path = folder / "labels.csv"
    found: dict[tuple[str, str], list[dict[str, str]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if not {"file", "host", "class"} <= set(rows.fieldnames or ()):
            raise ValueError(f"{path} has no columns file, host and class")
        for row in rows:
            found.setdefault((row["file"], row["host"]), []).append(row)
    return [
        Labelled(
            "given",
            folder / file,
            host,
            rows[0].get("source") or Path(file).name.split(".")[0],
            tuple(dict.fromkeys(row["class"] for row in rows)),
        )
        for (file, host), rows in found.items()
    ]


def arena() -> list[Labelled]:
    path = ARENA / "labels.csv"
    if not path.is_file():
        return []
    found: dict[tuple[str, str], list[dict[str, str]]] = {}
    with path.open() as file:
        for row in csv.DictReader(file):
            found.setdefault((row["capture"], row["host"]), []).append(row)
    return [
        Labelled(
            "arena",
            ARENA / capture,
            host,
            "+".join(sorted({row["source_group"] for row in rows})),
            tuple(dict.fromkeys(row["class"] for row in rows)),
        )
        for (capture, host), rows in sorted(found.items())
        if (ARENA / capture).is_file()
    ]


def of_host(analysis: Analysis, number: int) -> tuple[Features, Classification]:
    """A host's features and class over the whole capture."""
    seen = features.measure(analysis.index.of(number), analysis.facts, analysis.kinds)
    if not says_something(np.array(seen.flow_count), np.array(seen.total_bytes)):
        return seen, Classification(TrafficClass.UNKNOWN, 0.0, ())
    return seen, classify(seen)


def cases_of(labelled: Labelled, analysis: Analysis) -> Iterator[Case]:
    """The host, then its bursts."""
    number = analysis.host_number(labelled.host)
    seen, found = of_host(analysis, number)
    common = (labelled.realm, "host", labelled.name, labelled.source, labelled.host)
    yield Case(*common, 0.0, labelled.truth, seen, found)
    for burst in bursts_of(analysis, labelled.host):
        truth = truth_of_burst(labelled, seen, burst.features)
        yield Case(
            labelled.realm, "burst", labelled.name, labelled.source, labelled.host, burst.start_s, truth,
            burst.features, burst.classification,
        )  # fmt: skip


def truth_of_burst(labelled: Labelled, host: Features, burst: Features) -> tuple[str, ...]:
    """The label of its capture, and what the capture's own note says that its host did as well.

    A burst of nothing but questions for names is no film and no call, though one follows; where a capture's host does
    nothing else, it is what the label says.
    """
    if burst.service_share == 1 and host.service_share < 1:
        return (LOOKUPS,)
    return labelled.truth + ALSO_IN_BURSTS.get(labelled.name, ())


def bursts_of(analysis: Analysis, host: str) -> list[Burst]:
    return [burst for burst in analysis.bursts if burst.host == host]


def made_up() -> Iterator[Case]:
    """Hosts and bursts of the scenarios, by the class of most of their flows or packets; of two, either is right."""
    for path in sorted(MADE_UP.glob("*.labels.csv.zst")):
        capture = path.with_name(path.name.removesuffix(".labels.csv.zst"))
        rows = list(csv.DictReader(zstd.decompress(path.read_bytes()).decode().splitlines()))
        analysis = analyse([str(capture)], Settings())
        for number in analysis.ranked:
            host = analysis.host_names[number]
            mine = [row for row in rows if host in (row["orig_h"], row["resp_h"])]
            if not mine:
                continue
            seen, found = of_host(analysis, number)
            common = (capture.name.split(".")[0], "scenarios", host)
            yield Case("made-up", "host", *common, 0.0, _commonest(mine), seen, found)
            for burst in bursts_of(analysis, host):
                first = analysis.capture.first_ns + np.int64(burst.start_s * 1e9) - 1_000_000
                last = analysis.capture.first_ns + np.int64(burst.end_s * 1e9) + 1_000_000
                part = [row for row in mine if first <= int(row["first_ns"]) <= last]
                yield Case(
                    "made-up", "burst", *common, burst.start_s, _commonest(part), burst.features, burst.classification
                )


def _commonest(rows: list[dict[str, str]]) -> tuple[str, ...]:
    """The classes of at least two flows, or two packets, in five; the one with most flows first."""
    flows, packets = Counter(row["class"] for row in rows), Counter[str]()
    for row in rows:
        packets[row["class"]] += int(row["packets"])
    right = [
        label
        for label, count in flows.most_common()
        if count >= 0.4 * len(rows) or packets[label] >= 0.4 * packets.total()
    ]
    return tuple(right)
