"""What is said of a burst ten seconds after it began, against what is said in the end."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.bursts import features
from peerburst.analysis.bursts.classify import Classification, classify
from peerburst.analysis.results import Burst
from peerburst.analysis.settings import Settings
from peerburst.capture.files.source import PacketSource
from peerburst.opening import analyse

from .cases import Labelled, bursts_of

EARLY_S = 10.0


@dataclass(frozen=True, slots=True)
class Early:
    """One burst: what it is, what was said of its beginning and at the end."""

    capture: str
    start_s: float
    truth: tuple[str, ...]
    flows: int  # that had begun by then
    then: Classification
    finally_: Classification


def instants(path: Path) -> npt.NDArray[np.int64]:
    """When each packet came, none before the one before it."""
    stamps = [packets["ts"].astype(np.int64) for packets in PacketSource(str(path)).batches()]
    return np.maximum.accumulate(np.concatenate(stamps))


def beginnings(labelled: Labelled, analysis: Analysis) -> Iterator[Early]:
    """The bursts of a capture's host, each read again up to ten seconds after it began, as a live session would."""
    bursts = bursts_of(analysis, labelled.host)
    if not bursts:
        return
    when = instants(labelled.path)
    for burst in bursts:
        upto = analysis.capture.first_ns + round((burst.start_s + EARLY_S) * 1e9)
        packets = int(np.searchsorted(when, upto, side="right"))
        prefix = analyse([str(labelled.path)], Settings(most_packets=max(packets, 1)))
        seen = _first_part(prefix, labelled.host, burst)
        then = classify(seen, provisional=True)
        yield Early(labelled.name, burst.start_s, labelled.truth, seen.flow_count, then, burst.classification)


def _first_part(prefix: Analysis, host: str, burst: Burst) -> features.Features:
    """The features of what a burst had opened when the capture was cut."""
    flows = prefix.index.of(prefix.host_number(host))
    starts = prefix.facts.start_ns[flows.flow]
    first = prefix.capture.first_ns + round(burst.start_s * 1e9) - 1_000
    last = prefix.capture.first_ns + round(burst.end_s * 1e9) + 1_000
    chosen = (flows.outbound != burst.inbound) & prefix.facts.opened[flows.flow] & (starts >= first) & (starts <= last)
    return features.measure(flows.take(chosen), prefix.facts, prefix.kinds)


def agreeing(found: Sequence[Early]) -> int:
    return sum(early.then.label is early.finally_.label for early in found)
