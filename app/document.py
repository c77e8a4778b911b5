"""The analysis as one JSON object: stable keys, plain numbers, no NaN."""

from typing import Any

from peerburst import __version__
from peerburst.analysis.result import Analysis, Burst, Host, ModelPeak
from peerburst.capture.status import Status

SCHEMA = "peerburst/analysis/1"


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _peak(peak: ModelPeak) -> dict[str, Any]:
    return {
        "peak": peak.peak,
        "peak_at_s": _seconds(peak.peak_at_s),
        "talking_at_peak": peak.talking,
        "lingering_at_peak": peak.lingering,
        "crossed_at_s": {str(limit): _seconds(at) for limit, at in peak.crossed_at_s.items()},
        "above_s": {str(limit): _seconds(length) for limit, length in peak.above_s.items()},
    }


def _host(host: Host, at_least: bool) -> dict[str, Any]:
    return {
        "host": host.name,
        "flows": host.flows,
        "peers": host.peers,
        "ip_bytes": host.ip_bytes,
        "class": host.classification.label.value,
        "at_least": at_least,
        "is_server": host.is_server,
        "inbound_peak": host.inbound_peak,
        "models": {name: _peak(peak) for name, peak in host.models.items()},
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
        "hosts": [_host(host, analysis.at_least(analysis.host_number(host.name))) for host in analysis.hosts],
        "bursts": [_burst(burst) for burst in analysis.bursts],
    }
