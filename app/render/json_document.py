"""The analysis as one JSON object: stable keys, plain numbers, no NaN."""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from peerburst._version import __version__
from peerburst.analysis.analysis import Analysis
from peerburst.analysis.counting.peaks import Concurrency
from peerburst.analysis.counting.sweep import NEVER_CROSSED
from peerburst.analysis.results import Burst
from peerburst.analysis.vantage import direction
from peerburst.capture.packets.status import Status
from peerburst.render import sentences, vantage

SCHEMA = "peerburst/analysis/1"


# Below this, a difference of ns divided by 1e9 is off by less than half a ns: it rounds as the exact one does, but for
# those halfway between two microseconds.
EXACT_NS = 1 << 52
# Where a value goes in the text of a host; no name of a model has these signs.
INTEGER, TEXT = "<integer>", "<text>"
HOSTS_AT_ONCE = 64


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def rounded_seconds(ns: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """round(ns / 1e9, 6) of each; for all at once, a hundred times faster."""
    whole, rest = np.divmod(ns, 1000)
    seconds: npt.NDArray[np.float64] = (whole + (rest > 500)) / 1e6
    for i in np.flatnonzero((rest == 500) | (np.abs(ns) > EXACT_NS)).tolist():
        seconds[i] = round(int(ns[i]) / 1e9, 6)
    return seconds


def _host_text(analysis: Analysis, indent: int | None) -> tuple[str, str, str, str]:
    """(what comes before the first host, between two, after the last; the format of one host, in the order of values).

    Model by model there are hundreds of thousands of values: setting all of a host into one text is several times
    faster than making objects of them for json to take apart.
    """
    numbers = ("peak", "peak_at_s", "talking_at_peak", "lingering_at_peak", "crossed_at_s", "above_s")
    model = {name: TEXT if name.endswith("_s") else INTEGER for name in numbers}
    host = {
        "host": TEXT,
        "addresses": TEXT,
        "flows": INTEGER,
        "peers": INTEGER,
        "ip_bytes": INTEGER,
        "class": TEXT,
        "at_least": TEXT,
        "is_server": TEXT,
        "inbound_peak": INTEGER,
        "models": {each.name: model for each in analysis.models},
    }
    whole = json.dumps({"hosts": [host]}, indent=indent)
    inner = whole[whole.index("[") + 1 : whole.rindex("]")]
    before, text, after = inner[: inner.index("{")], inner.strip(), inner[inner.rindex("}") + 1 :]
    text = text.replace("%", "%%").replace(f'"{INTEGER}"', "%d").replace(f'"{TEXT}"', "%s")
    return before, "," + before if indent else ", ", after, text


def _addresses(names: Sequence[str], indent: int | None) -> str:
    """The addresses that count as one host, as they stand in its text."""
    text = json.dumps(list(names), indent=indent)
    return text.replace("\n", "\n" + " " * (3 * indent)) if indent else text


def _by_limit(values: Sequence[float | None], limits: Sequence[int], indent: int | None) -> str:
    """A value for each limit, as it stands in a host's text."""
    text = json.dumps(dict(zip(map(str, limits), values, strict=True)), indent=indent)
    return text.replace("\n", "\n" + " " * (5 * indent)) if indent else text


def _model_columns(
    counted: Concurrency, numbers: npt.NDArray[np.int64], first_ns: int, indent: int | None
) -> Iterator[list[Any]]:
    """What one model says of each of the hosts, in the order of `_host_text`."""
    peak, talking = counted.peak[numbers], counted.active_at_peak[numbers]
    seconds = rounded_seconds(counted.peak_at[numbers] - first_ns).tolist()
    crossed_at, above_ns = counted.crossed_at[numbers], counted.above_ns[numbers]
    # Most hosts stay below every limit: their text is the same.
    limits = counted.limits
    crossed = [_by_limit([None] * len(limits), limits, indent)] * peak.size
    above = [_by_limit([0.0] * len(limits), limits, indent)] * peak.size
    for i in np.flatnonzero((crossed_at != NEVER_CROSSED).any(axis=1)).tolist():
        instants = zip(rounded_seconds(crossed_at[i] - first_ns).tolist(), crossed_at[i].tolist(), strict=True)
        crossed[i] = _by_limit([None if ns == NEVER_CROSSED else at for at, ns in instants], limits, indent)
        above[i] = _by_limit(rounded_seconds(above_ns[i]).tolist(), limits, indent)
    yield peak.tolist()
    yield [at if some else "null" for at, some in zip(seconds, peak.tolist(), strict=True)]
    yield talking.tolist()
    yield (peak - talking).tolist()
    yield crossed
    yield above


def _truth(values: Iterable[bool]) -> list[str]:
    return ["true" if value else "false" for value in values]


def _hosts(analysis: Analysis, indent: int | None) -> Iterator[str]:
    """All hosts, the busiest first, as the text of a JSON list without its brackets, in pieces."""
    analysis.measure_models()
    ranked = np.array(analysis.ranked, np.int64)
    if not ranked.size:
        return
    inbound = analysis.concurrency(analysis.models[0], inbound=True).peak[ranked]
    classes, totals = analysis.host_classes, analysis.totals
    columns: list[list[Any]] = [
        [json.dumps(analysis.host_names[number]) for number in analysis.ranked],
        [_addresses(analysis.addresses_of(number), indent) for number in analysis.ranked],
        *(of[ranked].tolist() for of in (analysis.index.counts(), totals.peers, totals.ip_bytes)),
        [f'"{classes[number].value}"' for number in analysis.ranked],
        _truth(analysis.at_least(number) for number in analysis.ranked),
        _truth(analysis.is_server(number) for number in analysis.ranked),
        inbound.tolist(),
    ]
    for model in analysis.models:
        columns += _model_columns(analysis.counted(model), ranked, analysis.capture.first_ns, indent)
    before, between, after, text = _host_text(analysis, indent)
    rows = zip(*columns, strict=True)
    yield before + text % next(rows)
    while some := list(islice(rows, HOSTS_AT_ONCE)):
        yield "".join([between + text % row for row in some])
    yield after


def _burst(burst: Burst) -> dict[str, Any]:
    seen = burst.features
    return {
        "host": burst.host,
        "inbound": burst.inbound,
        "start_s": _seconds(burst.start_s),
        "end_s": _seconds(burst.end_s),
        "new_flows": seen.flow_count,
        "peers": seen.peer_count,
        "ip_bytes": seen.total_bytes,
        "share_of_connections": round(burst.share_of_connections, 6),
        "share_of_bytes": round(burst.share_of_bytes, 6),
        "prefix_spread": round(seen.prefixes_per_peer, 6),
        "ports": seen.port_count,
        "answered": round(seen.answered_share, 6),
        "class": burst.classification.label.value,
        "confidence": burst.classification.confidence,
        "evidence": [
            {"feature": evidence.feature, "value": evidence.value, "says": evidence.says}
            for evidence in burst.classification.evidence
        ],
        "would_change": list(burst.classification.would_change),
    }


def _bursts(analysis: Analysis, indent: int | None) -> Iterator[str]:
    """All bursts as the text of a JSON list without its brackets, one by one: there may be thousands."""
    margin = "\n" + " " * (2 * indent) if indent else ""
    for number, burst in enumerate(analysis.bursts):
        text = json.dumps(_burst(burst), indent=indent, allow_nan=False).replace("\n", margin)
        yield (("," + margin if indent else ", ") if number else margin) + text
    if indent and analysis.bursts:
        yield "\n" + " " * indent


def pieces(analysis: Analysis, indent: int | None = None) -> Iterator[str]:
    """The whole analysis as the text of one JSON object, piece by piece, as json.dumps with this indent writes it.

    Times are seconds from the first packet, `start` is its instant since the epoch.
    """
    analysis.measure_models()
    text = json.dumps(_frame(analysis), indent=indent, allow_nan=False)
    before, hosts, rest = text.partition('"hosts": [')
    between, bursts, after = rest.partition('"bursts": [')
    yield before + hosts
    yield from _hosts(analysis, indent)
    yield between + bursts
    yield from _bursts(analysis, indent)
    yield after


def _frame(analysis: Analysis) -> dict[str, Any]:
    """The whole but for hosts and bursts, whose lists are empty."""
    capture = analysis.capture
    return {
        "schema": SCHEMA,
        "version": __version__,
        "capture": {
            "files": list(capture.paths),
            "packets": capture.packets,
            "start": round(capture.first_ns / 1e9, 6),
            "duration_s": _seconds(capture.duration_s),
            "flows": int(capture.flows.row.size),
            "statuses": {status.name.lower(): capture.statuses[status] for status in Status},
            "scopes": {scope.name.lower(): count for scope, count in analysis.scopes.items()},
            "drops": capture.drops,
            **({"programs": programs} if (programs := analysis.flows_by_program()) else {}),
            "warnings": list(capture.warnings),
            "damaged": list(capture.damaged),
            "notes": list(sentences.recording(analysis)),
        },
        "vantage": {**vantage.document(analysis), "direction": _direction(analysis)},
        "hosts": [],
        "bursts": [],
    }


def _direction(analysis: Analysis) -> dict[str, Any]:
    found = analysis.direction
    return {
        "seen": found.seen.value,
        "peaks_are": {model.name: direction.bound(found, model) for model in analysis.models if found.is_one_way},
        "one_way_flows": found.one_way_flows,
        "two_way_flows": found.two_way_flows,
        "acknowledging_flows": found.acknowledging_flows,
        "closing_flows": found.closing_flows,
        "sent_by_local": found.sent_by_local,
        "sent_to_local": found.sent_to_local,
    }


def document(analysis: Analysis) -> dict[str, Any]:
    """What `pieces` writes, as an object."""
    made: dict[str, Any] = json.loads("".join(pieces(analysis)))
    return made
