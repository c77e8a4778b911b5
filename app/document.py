"""The analysis as one JSON object: stable keys, plain numbers, no NaN."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from peerburst import __version__
from peerburst.analysis.concurrency import NEVER_CROSSED, Concurrency
from peerburst.analysis.result import Analysis, Burst
from peerburst.capture.status import Status

SCHEMA = "peerburst/analysis/1"


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _peaks(counted: Concurrency, numbers: npt.NDArray[np.int64], first_ns: int) -> Iterator[dict[str, Any]]:
    """What one model says of each of the hosts."""
    limits = [str(limit) for limit in counted.limits]
    peak, talking = counted.peak[numbers], counted.talking_at_peak[numbers]
    crossed_at, above_ns = counted.crossed_at[numbers], counted.above_ns[numbers]
    # Most hosts stay below every limit, and for them the same is said.
    below: tuple[dict[str, Any], dict[str, Any]] = dict.fromkeys(limits), dict.fromkeys(limits, 0.0)
    columns = (peak, counted.peak_at[numbers], talking, peak - talking, (crossed_at != NEVER_CROSSED).any(axis=1))
    for i, (most, at, talks, lingers, over) in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        crossed, above = below
        if over:
            instants = [
                None if ns == NEVER_CROSSED else round((ns - first_ns) / 1e9, 6) for ns in crossed_at[i].tolist()
            ]
            crossed = dict(zip(limits, instants, strict=True))
            above = {limit: round(ns / 1e9, 6) for limit, ns in zip(limits, above_ns[i].tolist(), strict=True)}
        yield {
            "peak": most,
            "peak_at_s": round((at - first_ns) / 1e9, 6) if most else None,
            "talking_at_peak": talks,
            "lingering_at_peak": lingers,
            "crossed_at_s": crossed,
            "above_s": above,
        }


def _hosts(analysis: Analysis) -> Iterator[dict[str, Any]]:
    """All hosts, the busiest first: model by model, for there may be many thousands of them."""
    analysis.measure_models()
    ranked = np.array(analysis.ranked, np.int64)
    names = [model.name for model in analysis.models]
    peaks = [_peaks(analysis.counted(model), ranked, analysis.capture.first_ns) for model in analysis.models]
    inbound = analysis.concurrency(analysis.models[0], inbound=True).peak[ranked] if names else np.zeros(0, np.int64)
    totals = analysis.totals
    columns = (ranked, analysis.index.counts()[ranked], totals.peers[ranked], totals.ip_bytes[ranked], inbound)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    for (number, flows, peers, ip_bytes, inbound_peak), models in zip(rows, zip(*peaks, strict=True), strict=True):
        yield {
            "host": analysis.host_names[number],
            "flows": flows,
            "peers": peers,
            "ip_bytes": ip_bytes,
            "class": analysis.host_class(number).value,
            "at_least": analysis.at_least(number),
            "is_server": analysis.is_server(number),
            "inbound_peak": inbound_peak,
            "models": dict(zip(names, models, strict=True)),
        }


def _burst(burst: Burst) -> dict[str, Any]:
    seen = burst.features
    return {
        "host": burst.host,
        "inbound": burst.inbound,
        "start_s": _seconds(burst.start_s),
        "end_s": _seconds(burst.end_s),
        "new_flows": seen.flows,
        "peers": seen.peers,
        "ip_bytes": seen.total_bytes,
        "share_of_connections": round(burst.share_of_connections, 6),
        "share_of_bytes": round(burst.share_of_bytes, 6),
        "prefix_spread": round(seen.spread, 6),
        "ports": seen.ports,
        "answered": round(seen.answered, 6),
        "class": burst.classification.label.value,
        "confidence": burst.classification.confidence,
        "evidence": [
            {"feature": evidence.feature, "value": evidence.value, "says": evidence.says}
            for evidence in burst.classification.evidence
        ],
        "would_change": list(burst.classification.would_change),
    }


def document(analysis: Analysis) -> dict[str, Any]:
    """The whole analysis; times are seconds from the first packet, `start` is its instant since the epoch."""
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
        },
        "hosts": list(_hosts(analysis)),
        "bursts": [_burst(burst) for burst in analysis.bursts],
    }
