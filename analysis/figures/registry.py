"""From an analysis to its pictures: gathers for one host what each figure draws."""

from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from peerburst.analysis.analysis import HEADLINE, Analysis
from peerburst.analysis.counting import step_function
from peerburst.analysis.counting.host_entries import Entries, active_intervals
from peerburst.analysis.figures import graph, matrix, raster, scatter, shares, timeline
from peerburst.analysis.gateways import GatewayModel
from peerburst.analysis.hosts.locality import pair_codes, to_text
from peerburst.capture.errors import SettingsError
from peerburst.capture.vocabulary import KIND_NAMES

NAMES = ("timeline", "graph", "raster", "scatter", "shares", "matrix")
MOST_INSTANTS = 1500  # rows of a timeline; more than a picture has pixels for


def _drawn_instants(steps: step_function.Steps, first_ns: int, last_ns: int) -> npt.NDArray[np.int64]:
    """Instants at which to draw a step function: all its changes or, of very many, the highest in each span."""
    inside = (steps.at >= first_ns) & (steps.at <= last_ns)
    at, count = steps.at[inside], steps.count[inside]
    ends = np.array([first_ns, last_ns])
    if at.size <= MOST_INSTANTS:
        return np.unique(np.concatenate([ends, at]))
    edges = np.linspace(first_ns, last_ns, MOST_INSTANTS // 2 + 1).astype(np.int64)
    span = np.searchsorted(edges, at, side="right")
    order = np.lexsort((-at, count, span))  # within a span the highest comes last, of equals the earliest
    highest = order[np.append(span[order][1:] != span[order][:-1], True)]
    return np.unique(np.concatenate([ends, edges, at[highest]]))


def _counts_by_kind(
    analysis: Analysis, held: Entries, mine: npt.NDArray[np.bool_], instants: npt.NDArray[np.int64]
) -> pd.DataFrame:
    """Columns (kind, talking or lingering): the entries chosen by `mine` at each instant."""
    start, end = held.entry["start"], held.entry["end"]
    kind = analysis.kinds[held.entry["flow"]]
    talk_start, talk_end, talker = active_intervals(analysis.capture.flows, held)
    columns = {}
    for code, name in enumerate(KIND_NAMES):
        chosen = mine & (kind == code)
        total = step_function.steps(start[chosen], end[chosen]).value(instants)
        talks = chosen[talker]
        talking = step_function.steps(talk_start[talks], talk_end[talks]).value(instants)
        columns[name, "talking"] = talking
        columns[name, "lingering"] = total - talking
    index = pd.Index((instants - analysis.capture.first_ns) / 1e9, name="t_s")
    return pd.DataFrame(columns, index=index)


def _spells_above(steps: step_function.Steps, limit: int, last_ns: int) -> list[tuple[int, int]]:
    """When the count exceeds the limit, up to the capture's end."""
    over = np.diff(np.concatenate([[0], steps.count > limit, [0]]).astype(np.int8))
    begins, ends = np.flatnonzero(over == 1), np.flatnonzero(over == -1)
    until = np.append(steps.at, last_ns)[ends]
    return [(int(a), int(min(b, last_ns))) for a, b in zip(steps.at[begins], until, strict=True) if a < last_ns]


def timeline_view(analysis: Analysis, host: str, model: GatewayModel, limit: int) -> timeline.TimelineView:
    """The host's count over time. Of a host to which all connections were opened, those are counted."""
    number, capture = analysis.host_number(host), analysis.capture
    inbound = analysis.is_server(number)
    held = analysis.entries_of(number, model)
    mine = held.of(number, inbound=inbound)
    steps = step_function.steps(held.entry["start"][mine], held.entry["end"][mine])
    instants = _drawn_instants(steps, capture.first_ns, capture.last_ns)
    within = steps.at <= capture.last_ns
    best = int(steps.count[within].argmax()) if within.any() else 0
    return timeline.TimelineView(
        host=host,
        model_title=model.title + (", connections opened to the host" if inbound else ""),
        limit=limit,
        counts=_counts_by_kind(analysis, held, mine, instants),
        above=[
            (analysis.since_start(a), analysis.since_start(b)) for a, b in _spells_above(steps, limit, capture.last_ns)
        ],
        bursts=[
            (burst.start_s, burst.end_s, burst.classification.label.value, burst.features.flow_count)
            for burst in analysis.bursts
            if burst.host == host and burst.inbound == inbound
        ],
        peak=int(steps.count[best]) if within.any() else 0,
        peak_at_s=analysis.since_start(steps.at[best]) if within.any() else 0.0,
        start_utc=_utc(capture.first_ns),
        at_least=analysis.at_least(number),
    )


def _utc(ns: int) -> str:
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def graph_view(analysis: Analysis, host: str) -> graph.GraphView:
    """The host's peers outside, with how many connections each and of which kind most."""
    flows = analysis.counted_flows(analysis.host_number(host))
    codes, words = pair_codes(flows.remote_hi, flows.remote_lo)
    peers, kinds = words.shape[0], len(KIND_NAMES)
    kind = np.bincount(codes * kinds + analysis.kinds[flows.flow], minlength=peers * kinds).reshape(peers, kinds)
    names = [to_text(int(high), int(low)) for high, low in words]
    return graph.GraphView(
        host=host,
        peers=pd.DataFrame(
            {
                "peer": names,
                "prefix": [_prefix(name) for name in names],
                "connections": np.bincount(codes, minlength=peers),
                "ip_bytes": np.bincount(codes, weights=analysis.facts.ip_bytes[flows.flow], minlength=peers).astype(
                    np.int64
                ),
                "kind": [KIND_NAMES[best] for best in kind.argmax(axis=1)] if peers else [],
            }
        ),
    )


def _prefix(address: str) -> str:
    """The /16 of an IPv4 address, the /32 of an IPv6 one, as people write it."""
    if ":" not in address:
        first, second = address.split(".")[:2]
        return f"{first}.{second}.0.0/16"
    import ipaddress

    return str(ipaddress.ip_network((address, 32), strict=False))


def raster_view(analysis: Analysis, host: str, model: GatewayModel) -> raster.RasterView:
    """The host's flows as lines, and how long the gateway remembers each."""
    number = analysis.host_number(host)
    flows, held = analysis.counted_flows(number), analysis.entries_of(number, model)
    gone = np.full(analysis.kinds.size, -np.inf)
    np.maximum.at(gone, held.entry["flow"], (held.entry["end"] - analysis.capture.first_ns) / 1e9)
    gone[np.isneginf(gone)] = np.nan
    return raster.RasterView(
        host=host,
        model_title=model.title,
        start_s=(analysis.facts.start_ns[flows.flow] - analysis.capture.first_ns) / 1e9,
        last_s=(analysis.facts.last_ns[flows.flow] - analysis.capture.first_ns) / 1e9,
        gone_s=gone[flows.flow],
        kind=analysis.kinds[flows.flow],
        end_s=analysis.capture.duration_s,
        start_utc=_utc(analysis.capture.first_ns),
    )


def scatter_view(analysis: Analysis, host: str) -> scatter.ScatterView:
    """Bytes and duration of the host's flows."""
    which = analysis.counted_flows(analysis.host_number(host)).flow
    facts = analysis.facts
    kind = np.array(KIND_NAMES)[analysis.kinds[which]]
    duration = (facts.last_ns[which] - facts.start_ns[which]) / 1e9
    return scatter.ScatterView(
        host, pd.DataFrame({"duration_s": duration, "ip_bytes": facts.ip_bytes[which], "kind": kind})
    )


def shares_view(analysis: Analysis, host: str) -> shares.SharesView:
    """The host's connections and bytes by kind."""
    which = analysis.counted_flows(analysis.host_number(host)).flow
    kind, many = analysis.kinds[which], len(KIND_NAMES)
    table = pd.DataFrame(
        {
            "connections": np.bincount(kind, minlength=many),
            "ip_bytes": np.bincount(kind, weights=analysis.facts.ip_bytes[which], minlength=many).astype(np.int64),
        },
        index=pd.Index(KIND_NAMES, name="kind"),
    )
    return shares.SharesView(host, table[table["connections"] > 0])


def matrix_view(analysis: Analysis, host: str) -> matrix.MatrixView:
    """The host's verdict matrix."""
    number = analysis.host_number(host)
    peaks = pd.Series({model.name: analysis.peak(number, model).peak for model in analysis.models}, dtype="int64")
    return matrix.MatrixView(host, analysis.matrix(host), peaks, at_least=analysis.at_least(number))


def figure(analysis: Analysis, name: str, host: str, *, model: str = HEADLINE) -> Figure:
    """One of NAMES for a host; the limit drawn is that of the settings."""
    match name:
        case "timeline":
            return timeline.draw(timeline_view(analysis, host, analysis.model(model), analysis.settings.limit))
        case "graph":
            return graph.draw(graph_view(analysis, host))
        case "raster":
            return raster.draw(raster_view(analysis, host, analysis.model(model)))
        case "scatter":
            return scatter.draw(scatter_view(analysis, host))
        case "shares":
            return shares.draw(shares_view(analysis, host))
        case "matrix":
            return matrix.draw(matrix_view(analysis, host))
    raise SettingsError(f"no picture is called {name!r}; there are {', '.join(NAMES)}")
