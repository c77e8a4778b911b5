"""Made-up views of every figure: a plain one, a crowded one, one of a single flow and an empty one."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from peerburst.analysis.figures import graph, matrix, raster, scatter, shares, style, timeline
from peerburst.analysis.figures.lanes import BurstBar
from peerburst.analysis.figures.stack import LINGERING, TALKING

IPV6 = "2001:0db8:85a3:1234:5678:8a2e:0370:7334"
DOLLARS = "Bill & Ben's $50 \\frac{a}{b} $gateway$"
# What every figure is drawn of in tests/analysis/figures/test_every_figure.py.
EXTREMES = ("plain", "crowded", "one flow", "empty")


def counts_of(rows: dict[float, dict[tuple[str, str], int]]) -> pd.DataFrame:
    """A table of counts from {t_s: {(kind, state): count}}."""
    columns = pd.MultiIndex.from_product([style.KINDS, [TALKING, LINGERING]])
    table = pd.DataFrame(0, index=pd.Index(list(rows), dtype=float), columns=columns)
    for at, held in rows.items():
        for column, count in held.items():
            table.loc[at, column] = count
    return table


def timeline_view() -> timeline.TimelineView:
    """Three instants of 10 s: 5 talking, then 7 talking and 6 lingering (the peak), then 4 lingering."""
    counts = counts_of(
        {
            0.0: {("sync", "talking"): 3, ("probe", "talking"): 2},
            10.0: {("sync", "talking"): 7, ("sync", "lingering"): 4, ("probe", "lingering"): 2},
            20.0: {("sync", "lingering"): 4},
        }
    )
    return timeline.TimelineView(
        host="10.0.0.7",
        model_title="Linux connlimit",
        limit=8,
        counts=counts,
        above=[(10.0, 20.0)],
        bursts=[BurstBar(0.0, 12.0, "p2p-sync", 11)],
        peak=13,
        peak_at_s=10.0,
        start_utc="2010-04-05 19:12:44 UTC",
    )


def graph_view(peers: int = 185, host: str = "10.0.0.7") -> graph.GraphView:
    rng = np.random.default_rng(1)
    rows = [
        (f"{a}.{b}.{c}.9", f"{a}.{b}.0.0/16", 1, 100, "sync") for a, b, c in rng.integers(1, 223, (peers, 3)).tolist()
    ]
    return graph.GraphView(host, pd.DataFrame(rows, columns=["peer", "prefix", "connections", "ip_bytes", "kind"]))


def star_view() -> graph.GraphView:
    rows = [(f"192.0.2.{n}", "192.0.0.0/16", 10 * n, 1000 * n, "ordinary") for n in range(1, 6)]
    return graph.GraphView(
        "10.0.0.7", pd.DataFrame(rows, columns=["peer", "prefix", "connections", "ip_bytes", "kind"])
    )


def raster_view(flows: int = 3) -> raster.RasterView:
    """Flows starting a second apart, the latest first; each talks 2 s and is remembered 10 s, the capture ends at 6."""
    start = np.arange(flows, dtype=float)[::-1] % 4
    return raster.RasterView(
        "10.0.0.7", "Linux connlimit", start, start + 2, start + 12, np.arange(flows) % 6, end_s=6.0
    )


def scatter_view(flows: int = 100) -> scatter.ScatterView:
    """Nine of ten are single packets of 60 B of kind probe, every tenth is heavy: 20 s, 2 MB."""
    is_heavy = np.arange(flows) % 10 == 9
    table = {
        "duration_s": np.where(is_heavy, 20.0, 0.0),
        "ip_bytes": np.where(is_heavy, 2_000_000, 60),
        "kind": np.where(is_heavy, "heavy", "probe"),
    }
    return scatter.ScatterView("10.0.0.7", pd.DataFrame(table))


def shares_view() -> shares.SharesView:
    table = pd.DataFrame({"connections": [820, 150, 30], "ip_bytes": [10_000, 90_000, 900_000]})
    return shares.SharesView("10.0.0.7", table.set_axis(["sync", "ordinary", "heavy"]))


def matrix_view() -> matrix.MatrixView:
    crossed = pd.DataFrame(
        [[42.7, 64.0, np.nan], [10.0, 40.0, 90_000.0]], index=["linux-connlimit", "naive"], columns=[100, 200, 1000]
    )
    return matrix.MatrixView("10.0.0.7", crossed, pd.Series({"linux-connlimit": 212, "naive": 1212}))


def crowded_timeline() -> timeline.TimelineView:
    """Fifteen bursts within the first third, a peak of 42,000 in the first second of three days, an IPv6 host."""
    times = np.linspace(0, 3 * 86_400, 1500, endpoint=False)
    rows = {
        float(at): {(kind, state): 42_000 // 12 for kind in style.KINDS for state in ("talking", "lingering")}
        for at in times[:3]
    }
    table = counts_of(rows).reindex(times, fill_value=0)
    bursts = [
        BurstBar(5000.0 * n, 5000.0 * n + 3000, name, 99 * n + 1)
        for n, name in enumerate(["p2p-sync", "scan", "unknown"] * 5)
    ]
    return timeline.TimelineView(
        IPV6, DOLLARS * 4, 200, table, [(0.0, float(times[3]))], bursts, 42_000, 0.5, "2010-04-05 19:12:44 UTC", True
    )


def crowded_graph() -> graph.GraphView:
    rng = np.random.default_rng(2)
    words = rng.integers(0x1000, 0xFFFF, (900, 6)).tolist()
    rows = [
        (
            f"2001:1db{n % 8}:" + ":".join(f"{word:x}" for word in tail),
            f"2001:1db{n % 8}::/32",
            1 + n % 7,
            n * n,
            style.KINDS[n % 6],
        )
        for n, tail in enumerate(words)
    ]
    return graph.GraphView(IPV6, pd.DataFrame(rows, columns=["peer", "prefix", "connections", "ip_bytes", "kind"]))


def crowded_matrix() -> matrix.MatrixView:
    names = [f"model-{n}" for n in range(17)] + [DOLLARS * 2]
    limits = [5, 64, 100, 128, 200, 256, 512, 600, 1000, 1024, 4096, 65_535]
    crossed = pd.DataFrame(36_000.0 + np.arange(18 * 12).reshape(18, 12) * 77, index=names, columns=limits)
    return matrix.MatrixView(IPV6, crossed, pd.Series(1_234_567, index=names), at_least=True)


def crowded_raster() -> raster.RasterView:
    rng = np.random.default_rng(3)
    start = rng.uniform(0, 86_400, 60_000)
    gone = np.where(np.arange(60_000) % 9 == 0, np.inf, start + 400)
    kind = rng.integers(0, 6, 60_000)
    return raster.RasterView(IPV6, DOLLARS, start, start + 60, gone, kind, 90_000.0, "2010-04-05 19:12:44 UTC")


def crowded_scatter() -> scatter.ScatterView:
    rng = np.random.default_rng(4)
    table = {
        "duration_s": np.where(rng.random(60_000) < 0.4, 0, rng.lognormal(0, 4, 60_000)),
        "ip_bytes": np.round(rng.lognormal(8, 3, 60_000)) + 20,
        "kind": np.array(style.KINDS)[rng.integers(0, 6, 60_000)],
    }
    return scatter.ScatterView(IPV6, pd.DataFrame(table))


def crowded_shares() -> shares.SharesView:
    table = pd.DataFrame(
        {"connections": 10 ** np.arange(6), "ip_bytes": 10 ** np.arange(15, 3, -2)}, index=list(style.KINDS)
    )
    return shares.SharesView(IPV6, table)


def timeline_of_one() -> timeline.TimelineView:
    counts = counts_of({0.0: {("sync", "talking"): 1}})
    return replace(timeline_view(), counts=counts, above=[], bursts=[], peak=1, peak_at_s=0.0)


def empty_timeline() -> timeline.TimelineView:
    return replace(timeline_view(), counts=timeline_view().counts.iloc[:0], above=[], bursts=[], peak=0)


def matrix_of_one() -> matrix.MatrixView:
    return matrix.MatrixView("10.0.0.7", matrix_view().crossed_s.iloc[:1, :1], pd.Series({"linux-connlimit": 1}))


def empty_matrix() -> matrix.MatrixView:
    return matrix.MatrixView("10.0.0.7", matrix_view().crossed_s.iloc[:0], pd.Series(dtype=int))


EXAMPLES: dict[str, dict[str, Callable[[], Any]]] = {
    "timeline": {
        "plain": timeline_view,
        "crowded": crowded_timeline,
        "one flow": timeline_of_one,
        "empty": empty_timeline,
    },
    "graph": {
        "plain": graph_view,
        "star": star_view,
        "crowded": crowded_graph,
        "one flow": lambda: graph_view(1),
        "empty": lambda: graph.GraphView("10.0.0.7", graph_view(1).peers.iloc[:0]),
    },
    "raster": {
        "plain": raster_view,
        "of many": lambda: raster_view(5000),
        "crowded": crowded_raster,
        "one flow": lambda: raster_view(1),
        "empty": lambda: raster_view(0),
    },
    "scatter": {
        "plain": scatter_view,
        "crowded": crowded_scatter,
        "one flow": lambda: scatter_view(1),
        "empty": lambda: scatter.ScatterView("10.0.0.7", scatter_view().flows.iloc[:0]),
    },
    "shares": {
        "plain": shares_view,
        "crowded": crowded_shares,
        "one flow": lambda: shares.SharesView("10.0.0.7", shares_view().table.iloc[:1]),
        "empty": lambda: shares.SharesView("10.0.0.7", shares_view().table * 0),
    },
    "matrix": {
        "plain": matrix_view,
        "crowded": crowded_matrix,
        "one flow": matrix_of_one,
        "empty": empty_matrix,
    },
}
