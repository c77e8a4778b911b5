"""The six pictures: the numbers on their axes, their words, and what they do at the extremes."""

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

from peerburst.analysis.bursts.kinds import HEAVY_BYTES
from peerburst.analysis.figures import graph, matrix, raster, scatter, shares, style, timeaxis, timeline
from peerburst.analysis.figures.sheet import DPI, Picture, png, save, text_width_in, wrap
from peerburst.analysis.humanize import clock, counted, few_digits, number, one_line, share, size, span
from peerburst.capture.errors import SettingsError
from peerburst.capture.vocabulary import KIND_NAMES

IPV6 = "2001:0db8:85a3:1234:5678:8a2e:0370:7334"
DOLLARS = "Bill & Ben's $50 \\frac{a}{b} $gateway$"


# --- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (number(40_000), "40,000"),
        (counted(1, "flow"), "1 flow"),
        (counted(0, "flow"), "0 flows"),
        (counted(2, "mouse", "mice"), "2 mice"),
        (few_digits(0.0421), "0.042"),
        (few_digits(9.96), "10"),
        (few_digits(1.3), "1.3"),
        (few_digits(2.0), "2"),
        (size(0), "0 B"),
        (size(999), "999 B"),
        (size(999.9), "1 kB"),
        (size(1_234_567), "1.2 MB"),
        (size(500_000), "500 kB"),
        (size(14e9), "14 GB"),
        (span(0), "0 s"),
        (span(0.012), "12 ms"),
        (span(0.3), "0.3 s"),
        (span(42.4), "42 s"),
        (span(59.6), "1 min"),
        (span(200), "3 min 20 s"),
        (span(3600), "1 h"),
        (span(7500), "2 h 5 min"),
        (span(3 * 86_400 + 4 * 3600), "3 d 4 h"),
        (clock(0.4), "+0:00"),
        (clock(42.9), "+0:42"),
        (clock(3723), "+1:02:03"),
        (share(0, 5), "0 %"),
        (share(5, 0), "0 %"),
        (share(1, 1000), "under 1 %"),
        (share(999, 1000), "over 99 %"),
        (share(82, 100), "82 %"),
        (share(5, 5), "100 %"),
        (one_line("a\nb\x1b[31m\u202ec"), "a b [31m c"),
    ],
)
def test_numbers_are_said_in_words(said: str, expected: str) -> None:
    assert said == expected


def test_wrapped_lines_fit_and_lose_nothing() -> None:
    text = "Above the limit of 200 for 3 min 20 s, 1.2 MB. " * 6 + "x" * 300
    lines = wrap(text, 4.0, 10)
    assert all(text_width_in(line, 10) <= 4.0 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_a_number_is_not_parted_from_its_unit() -> None:
    for width in np.linspace(1.0, 4.0, 40):
        lines = wrap("it took 3 min 20 s and 1.2 MB or 82 % of all", float(width), 10)
        assert not any(line.startswith(("min", "s ", "MB", "%")) for line in lines)


@pytest.mark.parametrize(
    ("length_s", "unit", "step_s"),
    [
        (1, "seconds", 0.1),
        (60, "seconds", 10),
        (299, "seconds", 30),
        (600, "minutes", 60),
        (7200, "minutes", 900),
        (3 * 86_400, "hours", 12 * 3600),
        (4 * 86_400, "days", 86_400),
        (30 * 86_400, "days", 5 * 86_400),
    ],
)
def test_time_axis_takes_a_unit_that_suits(length_s: float, unit: str, step_s: float) -> None:
    chosen = timeaxis.unit_for(length_s)
    assert chosen.name == unit
    assert timeaxis.step_for(length_s, chosen) == pytest.approx(step_s)


# --- views -----------------------------------------------------------------------------------------------------------


def counts_of(rows: dict[float, dict[tuple[str, str], int]]) -> pd.DataFrame:
    """A table of counts from {t_s: {(kind, state): count}}."""
    columns = pd.MultiIndex.from_product([style.KINDS, [timeline.TALKING, timeline.LINGERING]])
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
        bursts=[(0.0, 12.0, "p2p-sync", 11)],
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
        (5000.0 * n, 5000.0 * n + 3000, name, 99 * n + 1) for n, name in enumerate(["p2p-sync", "scan", "unknown"] * 5)
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


PLAIN: dict[str, Callable[[], Figure]] = {
    "timeline": lambda: timeline.draw(timeline_view()),
    "graph": lambda: graph.draw(graph_view()),
    "star": lambda: graph.draw(star_view()),
    "raster": lambda: raster.draw(raster_view()),
    "raster of many": lambda: raster.draw(raster_view(5000)),
    "scatter": lambda: scatter.draw(scatter_view()),
    "shares": lambda: shares.draw(shares_view()),
    "matrix": lambda: matrix.draw(matrix_view()),
}
CROWDED: dict[str, Callable[[], Figure]] = {
    "timeline": lambda: timeline.draw(crowded_timeline()),
    "graph": lambda: graph.draw(crowded_graph()),
    "raster": lambda: raster.draw(crowded_raster()),
    "scatter": lambda: scatter.draw(crowded_scatter()),
    "shares": lambda: shares.draw(crowded_shares()),
    "matrix": lambda: matrix.draw(crowded_matrix()),
}
ONE_FLOW: dict[str, Callable[[], Figure]] = {
    "timeline": lambda: timeline.draw(
        replace(
            timeline_view(),
            counts=counts_of({0.0: {("sync", "talking"): 1}}),
            above=[],
            bursts=[],
            peak=1,
            peak_at_s=0.0,
        )
    ),
    "graph": lambda: graph.draw(graph_view(1)),
    "raster": lambda: raster.draw(raster_view(1)),
    "scatter": lambda: scatter.draw(scatter_view(1)),
    "shares": lambda: shares.draw(shares.SharesView("10.0.0.7", shares_view().table.iloc[:1])),
    "matrix": lambda: matrix.draw(
        matrix.MatrixView("10.0.0.7", matrix_view().crossed_s.iloc[:1, :1], pd.Series({"linux-connlimit": 1}))
    ),
}
EMPTY: dict[str, Callable[[], Figure]] = {
    "timeline": lambda: timeline.draw(
        replace(timeline_view(), counts=timeline_view().counts.iloc[:0], above=[], bursts=[], peak=0)
    ),
    "graph": lambda: graph.draw(graph.GraphView("10.0.0.7", graph_view(1).peers.iloc[:0])),
    "raster": lambda: raster.draw(raster_view(0)),
    "scatter": lambda: scatter.draw(scatter.ScatterView("10.0.0.7", scatter_view().flows.iloc[:0])),
    "shares": lambda: shares.draw(shares.SharesView("10.0.0.7", shares_view().table * 0)),
    "matrix": lambda: matrix.draw(
        matrix.MatrixView("10.0.0.7", matrix_view().crossed_s.iloc[:0], pd.Series(dtype=int))
    ),
}
EVERY = [
    pytest.param(draw, id=f"{name}, {what}")
    for what, pictures in (("plain", PLAIN), ("crowded", CROWDED), ("one flow", ONE_FLOW), ("empty", EMPTY))
    for name, draw in pictures.items()
]


def axes_named(figure: Figure, label: str) -> Axes:
    return next(axes for axes in figure.axes if axes.get_label() == label)


def words_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if isinstance(text, Text)]


def shown_texts(figure: Figure) -> Iterator[Text]:
    """Every text that is drawn; labels of ticks outside the axis are not."""
    hidden = set()
    for axes in figure.axes:
        for axis, bounds in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            low, high = sorted(bounds)
            span_of = high - low
            for tick in axis.get_major_ticks():
                if not (low - 1e-9 * span_of <= tick.get_loc() <= high + 1e-9 * span_of) or not axes.axison:
                    hidden |= {tick.label1, tick.label2}
        if not axes.axison:
            hidden |= {axes.xaxis.label, axes.yaxis.label, axes.xaxis.get_offset_text(), axes.yaxis.get_offset_text()}
    for text in figure.findobj(Text):
        if isinstance(text, Text) and text.get_visible() and text.get_text().strip() and text not in hidden:
            yield text


# --- every picture ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", EVERY)
def test_every_word_is_on_the_sheet_legible_and_clear_of_every_other(draw: Callable[[], Figure]) -> None:
    figure = draw()
    png(figure)
    sheet = figure.bbox
    places: list[tuple[str, Bbox]] = []
    for text in shown_texts(figure):
        place = text.get_window_extent()
        words = text.get_text()
        assert float(text.get_fontsize()) >= style.SMALL_PT, words
        assert place.x0 >= 0.15 * DPI, words
        assert place.x1 <= sheet.x1 - 0.15 * DPI, words
        assert place.y0 >= 0, words
        assert place.y1 <= sheet.y1, words
        places.append((words, place))
    for (words, place), (others, other) in combinations(places, 2):
        across = min(place.x1, other.x1) - max(place.x0, other.x0)
        along = min(place.y1, other.y1) - max(place.y0, other.y0)
        assert across <= 1 or along <= 3, f"{words!r} lies on {others!r}"


@pytest.mark.parametrize("draw", EVERY)
def test_the_same_view_gives_the_same_bytes(draw: Callable[[], Figure]) -> None:
    first = png(draw())
    assert first == png(draw())
    with Image.open(io.BytesIO(first)) as image:
        assert image.width == 1760
        assert "Software" not in image.info


@pytest.mark.parametrize("draw", EMPTY.values(), ids=EMPTY)
def test_an_empty_picture_says_so(draw: Callable[[], Figure]) -> None:
    assert any(words.startswith("Nothing to draw: ") for words in words_of(draw()))


def test_dollars_are_not_formulas() -> None:
    figure = CROWDED["matrix"]()
    assert not any(text.get_parse_math() for text in shown_texts(figure))
    assert any("$50 \\frac" in words for words in words_of(figure))


def test_the_callers_matplotlib_is_neither_used_nor_changed() -> None:
    plain = png(PLAIN["timeline"]())
    with mpl.rc_context({"font.size": 31, "axes.facecolor": "black", "lines.linewidth": 9}):
        before = dict(mpl.rcParams)
        assert png(PLAIN["timeline"]()) == plain
        assert dict(mpl.rcParams) == before


def test_pictures_show_themselves_in_a_notebook() -> None:
    picture = PLAIN["shares"]()
    assert isinstance(picture, Picture)
    assert picture._repr_png_() == png(picture)


def test_save_writes_the_png_or_says_why_not(tmp_path: Path) -> None:
    figure = PLAIN["shares"]()
    save(figure, tmp_path / "shares.png")
    assert (tmp_path / "shares.png").read_bytes() == png(figure)
    with pytest.raises(SettingsError, match=r"nowhere.*cannot write the picture \(No such file or directory\)"):
        save(figure, tmp_path / "nowhere" / "shares.png")


def test_kinds_have_colours_markers_and_hatches_of_their_own() -> None:
    looks = style.KIND_LOOKS.values()
    assert style.KINDS == ("probe", "sync", "heavy", "media", "service", "ordinary") == KIND_NAMES
    assert scatter.ELEPHANT_BYTES == HEAVY_BYTES
    for what in ("colour", "marker", "hatch"):
        assert len({getattr(look, what) for look in looks}) == len(style.KINDS)


# --- timeline --------------------------------------------------------------------------------------------------------


def area_of(axes: Axes, label: str) -> float:
    """Area of a filled layer in count-seconds, by the shoelace formula."""
    layer = next(collection for collection in axes.collections if collection.get_label() == label)
    vertices: npt.NDArray[np.float64] = np.asarray(layer.get_paths()[0].vertices)
    x, y = vertices[:, 0], vertices[:, 1]
    return abs(float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))) / 2


def line_named(axes: Axes, label: str) -> Line2D:
    return next(line for line in axes.lines if line.get_label() == label)


def test_timeline_stacks_talking_then_lingering_to_the_total() -> None:
    axes = axes_named(timeline.draw(timeline_view()), "counts")
    assert list(np.asarray(line_named(axes, "talking").get_ydata())) == [5, 7, 0, 0]
    assert list(np.asarray(line_named(axes, "lingering").get_ydata())) == [5, 13, 4, 4]
    assert line_named(axes, "lingering").get_drawstyle() == "steps-post"
    assert area_of(axes, "sync talking") == pytest.approx(3 * 10 + 7 * 10)
    assert area_of(axes, "probe talking") == pytest.approx(2 * 10)
    assert area_of(axes, "sync lingering") == pytest.approx(4 * 10 + 4 * 10)
    assert area_of(axes, "probe lingering") == pytest.approx(2 * 10)


def test_timeline_draws_the_limit_the_spell_and_the_peak_where_they_are() -> None:
    axes = axes_named(timeline.draw(timeline_view()), "counts")
    assert list(np.asarray(line_named(axes, "limit").get_ydata())) == [8, 8]
    shaded = next(collection for collection in axes.collections if collection.get_label() == "above")
    across = np.asarray(shaded.get_paths()[0].vertices)[:, 0]
    assert (across.min(), across.max()) == (10, 20)
    peak = line_named(axes, "peak")
    assert (list(np.asarray(peak.get_xdata())), list(np.asarray(peak.get_ydata()))) == ([10], [13])
    assert axes.get_xlim() == (0, 30)
    assert axes.get_ylim()[1] > 13
    assert axes.get_xlabel() == "seconds since the first packet (2010-04-05 19:12:44 UTC)"


def test_timeline_caption_and_labels_say_the_numbers() -> None:
    assert timeline.caption(timeline_view()) == (
        "Peak: 13 connections 10 s after the first packet; 7 had a packet in the last 5 s (talking), 6 the gateway "
        "only remembered (lingering). Above the limit of 8 for 10 s, first 10 s after the first packet. One burst, "
        "marked above the curve: p2p-sync, 11 new connections in 12 s."
    )
    words = words_of(timeline.draw(timeline_view()))
    assert {"peak 13 at 10 s", "limit\n8", "p2p-sync +11", "At the peak"} <= set(words)


def test_timeline_says_at_least_when_the_peak_is_a_lower_bound() -> None:
    view = replace(timeline_view(), at_least=True)
    assert timeline.caption(view).startswith("Peak: at least 13 connections")
    assert "peak ≥ 13 at 10 s" in words_of(timeline.draw(view))


def test_timeline_names_a_limit_that_is_off_the_scale() -> None:
    view = replace(timeline_view(), limit=200, above=[])
    figure = timeline.draw(view)
    axes = axes_named(figure, "counts")
    assert axes.get_ylim()[1] < 20
    assert "↑ limit\n200" in words_of(figure)
    assert "Never above the limit of 200, which is off the scale." in timeline.caption(view)


def test_timeline_whose_rows_miss_the_peak_admits_it() -> None:
    view = replace(timeline_view(), peak=15, peak_at_s=9.9)
    words = words_of(timeline.draw(view))
    assert "Near the peak" in words
    assert "peak 15 at 9.9 s" in words
    assert "about 7 had a packet in the last 5 s (talking), about 8 the gateway only" in timeline.caption(view)


def test_timeline_counts_bursts_it_could_not_name() -> None:
    crammed = replace(timeline_view(), bursts=[(1.0, 1.1, "client-server", 10 + n) for n in range(40)])
    figure = timeline.draw(crammed)
    named = [words for words in words_of(figure) if words.startswith("client-server +")]
    assert "client-server +49" in named
    assert f"40 bursts are marked above the curve ({40 - len(named)} without room for a name)" in timeline.caption(
        crammed
    )


# --- graph -----------------------------------------------------------------------------------------------------------


def test_mesh_has_one_dot_and_one_line_per_peer_all_around() -> None:
    axes = axes_named(graph.draw(graph_view(500)), "graph")
    dots = next(collection for collection in axes.collections if collection.get_label() == "sync")
    points = np.asarray(dots.get_offsets())
    assert len(points) == 500
    quarters = np.bincount((points[:, 0] > 0) * 2 + (points[:, 1] > 0), minlength=4)
    assert quarters.min() > 100
    lines = next(collection for collection in axes.collections if isinstance(collection, LineCollection))
    assert len(lines.get_segments()) == 500
    gaps = np.linalg.norm(points[:, None] - points[None, :], axis=2)
    assert gaps[np.triu_indices(500, 1)].min() > 0.03  # inches: dots do not hide one another


def test_star_lines_grow_with_connections_and_peers_are_named() -> None:
    figure = graph.draw(star_view())
    axes = axes_named(figure, "graph")
    lines = next(collection for collection in axes.collections if isinstance(collection, LineCollection))
    widths = np.asarray(lines.get_linewidth()).tolist()
    assert widths == sorted(widths)
    assert widths[0] < widths[-1]
    words = words_of(figure)
    assert "192.0.2.5" in words
    assert "50 connections, 5 kB" in words


def test_graph_names_nobody_where_nobody_stands_out() -> None:
    view = graph_view(60)
    assert not set(view.peers["peer"]) & set(words_of(graph.draw(view)))
    view.peers.loc[7, "ip_bytes"] = 5000
    named = set(view.peers["peer"]) & set(words_of(graph.draw(view)))
    assert named == {view.peers["peer"][7]}


def test_graph_caption_says_the_numbers() -> None:
    assert graph.caption(star_view()) == (
        "150 connections with 5 peers in 1 network (/16, IPv6 /32): 30 per peer. None of the peers had just a single "
        "connection; the three most used had 80 % of all connections."
    )


def test_graph_keeps_addresses_in_order_and_names_large_networks() -> None:
    rows = [(f"198.51.{n}.1", "198.51.0.0/16", 1, 10, "sync") for n in range(20)]
    rows += [(f"{n}.1.1.1", f"{n}.1.0.0/16", 1, 10, "sync") for n in range(20, 80)]
    view = graph.GraphView(
        "10.0.0.7", pd.DataFrame(rows, columns=["peer", "prefix", "connections", "ip_bytes", "kind"])
    )
    figure = graph.draw(view)
    assert {"198.51.0.0/16", "20 peers in this network"} <= set(words_of(figure))
    dots = next(c for c in axes_named(figure, "graph").collections if c.get_label() == "sync")
    points = np.asarray(dots.get_offsets())
    clockwise = np.mod(np.pi / 2 - np.arctan2(points[:, 1], points[:, 0]), 2 * np.pi)
    assert (np.diff(clockwise) > 0).all()


def test_graph_of_too_many_peers_says_how_many_it_draws() -> None:
    view = graph_view(graph.MOST_PEERS + 500)
    axes = axes_named(graph.draw(view), "graph")
    dots = next(collection for collection in axes.collections if collection.get_label() == "sync")
    assert len(np.asarray(dots.get_offsets())) == graph.MOST_PEERS
    assert "Drawn are the 6,000 peers with the most connections." in graph.caption(view)


# --- raster ----------------------------------------------------------------------------------------------------------


def test_raster_lines_run_from_first_packet_to_last_and_on_to_the_end() -> None:
    axes = axes_named(raster.draw(raster_view()), "flows")
    tails, lines = (
        next(c for c in axes.collections if isinstance(c, LineCollection) and c.get_label() == label)
        for label in ("remembered", "open")
    )
    assert [segment.tolist() for segment in lines.get_segments()] == [
        [[0, 0.5], [2, 0.5]],
        [[1, 1.5], [3, 1.5]],
        [[2, 2.5], [4, 2.5]],
    ]
    # Remembered for 10 s more, but the capture ends at 6 s.
    assert [segment[:, 0].tolist() for segment in tails.get_segments()] == [[2, 6], [3, 6], [4, 6]]
    # The first to start is the last of the view: its kind is 2, heavy.
    assert tuple(np.asarray(lines.get_colors())[0][:3]) == pytest.approx(to_rgb(style.KIND_LOOKS["heavy"].colour))


def test_raster_caption_says_the_numbers() -> None:
    # 3 flows: 2 s each; remembered 4, 3 and 2 s more within the capture.
    assert raster.caption(raster_view()) == (
        "3 flows. Packets span 2 s of an average flow; within the capture the gateway remembers it 3 s longer: 60 % of "
        "the time it holds connections, nothing is said on them."
    )


def test_raster_of_many_is_white_before_full_during_and_pale_after() -> None:
    count = 6000
    view = raster.RasterView(
        "10.0.0.7",
        "model",
        np.full(count, 2.0),
        np.full(count, 4.0),
        np.full(count, np.inf),
        np.full(count, style.KINDS.index("sync")),
        end_s=10.0,
    )
    (image,) = axes_named(raster.draw(view), "flows").images
    pixels = np.asarray(image.get_array())
    columns = pixels.shape[1]
    blue = style.KIND_LOOKS["sync"].colour
    assert (pixels[:, : int(columns * 0.19)] == 1).all()
    assert pixels[300, int(columns * 0.3)] == pytest.approx(to_rgb(blue))
    assert pixels[300, int(columns * 0.7)] == pytest.approx(style.pale(blue, 0.68))
    assert "Each row of the picture stands for about 10 flows." in raster.caption(view)


def test_raster_takes_flows_never_held_or_never_forgotten() -> None:
    view = replace(raster_view(), gone_s=np.array([np.nan, np.inf, 3.0]))
    axes = axes_named(raster.draw(view), "flows")
    tails = next(c for c in axes.collections if c.get_label() == "remembered")
    assert isinstance(tails, LineCollection)
    # In order of start: forgotten at 3 s, never forgotten, never held.
    assert [segment[:, 0].tolist() for segment in tails.get_segments()] == [[2, 3], [3, 6], [4, 4]]


# --- scatter ---------------------------------------------------------------------------------------------------------


def marks_of(axes: Axes) -> dict[str, PathCollection]:
    return {str(c.get_label()): c for c in axes.collections if isinstance(c, PathCollection)}


def test_scatter_puts_single_packets_in_their_strip_and_the_rest_to_scale() -> None:
    figure = scatter.draw(scatter_view())
    instant, lasting = (marks_of(axes_named(figure, label)) for label in ("instant", "lasting"))
    assert set(instant) == {"probe"}
    assert set(lasting) == {"heavy"}
    (spot,) = np.asarray(lasting["heavy"].get_offsets())
    assert tuple(spot) == pytest.approx((20, 2_000_000), rel=0.01)
    (spot,) = np.asarray(instant["probe"].get_offsets())
    assert spot[1] == pytest.approx(60, rel=0.01)
    line = line_named(axes_named(figure, "lasting"), "elephants")
    assert list(np.asarray(line.get_ydata())) == [500_000, 500_000]


def test_scatter_drops_no_flow_however_many() -> None:
    flows = crowded_scatter().flows
    spots = scatter._spots(flows)
    assert spots["flows"].sum() == len(flows)
    assert spots.groupby("kind")["flows"].sum().to_dict() == flows["kind"].value_counts().to_dict()
    assert len(spots) < len(flows)


def test_scatter_caption_says_the_numbers() -> None:
    assert scatter.caption(scatter_view()) == (
        "100 flows, 20 MB in all. 10 elephants (500 kB or more) carry over 99 % of the bytes; 90 mice (median 60 B) "
        "the rest. Over in an instant, as a single packet is: 90 (90 %)."
    )


# --- shares ----------------------------------------------------------------------------------------------------------


def test_shares_bars_are_the_shares_most_connections_first() -> None:
    figure = shares.draw(shares_view())
    left, right = (axes_named(figure, label) for label in ("connections", "ip_bytes"))
    assert [bar.get_width() for bar in left.patches] == pytest.approx([0.82, 0.15, 0.03])  # type: ignore[attr-defined]
    assert [bar.get_width() for bar in right.patches] == pytest.approx([0.01, 0.09, 0.9])  # type: ignore[attr-defined]
    words = words_of(figure)
    assert {"82 %", "820 connections", "1 %", "10 kB", "90 %", "900 kB", "sync", "heavy"} <= set(words)
    assert "media" not in words


def test_shares_caption_tells_the_story() -> None:
    assert shares.caption(shares_view()) == (
        "1,000 connections moved 1 MB. Sync flows were 82 % of the connections and 1 % of the bytes. "
        "Heavy flows were 3 % of the connections and 90 % of the bytes."
    )


# --- matrix ----------------------------------------------------------------------------------------------------------


def cells_of(figure: Figure) -> dict[str, str]:
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    return {str(text.get_gid())[5:]: text.get_text() for text in texts if str(text.get_gid()).startswith("cell:")}


def test_matrix_cells_say_when_each_limit_was_crossed_or_ok() -> None:
    assert cells_of(matrix.draw(matrix_view())) == {
        "linux-connlimit:100": "+0:42",
        "linux-connlimit:200": "+1:04",
        "linux-connlimit:1000": "ok",
        "naive:100": "+0:10",
        "naive:200": "+0:40",
        "naive:1000": "+1 d 1 h",
    }


def test_matrix_shows_peaks_and_sets_the_headline_apart() -> None:
    texts = {t.get_text(): t for t in matrix.draw(matrix_view()).findobj(Text) if isinstance(t, Text)}
    assert {"212", "1,212", "100", "200", "1,000"} <= set(texts)
    assert texts["linux-connlimit"].get_fontweight() == "bold"
    assert texts["naive"].get_fontweight() == "normal"
    assert "≥ 212" in words_of(matrix.draw(replace(matrix_view(), at_least=True)))


def test_matrix_cells_too_narrow_for_a_clock_say_whole_hours() -> None:
    assert cells_of(CROWDED["matrix"]())["model-0:5"] == "+10 h"
    assert matrix.short_cell_text(59.0) == "+0:59"
    assert matrix.short_cell_text(2 * 86_400 + 3700) == "+49 h"


@pytest.mark.parametrize(
    ("crossed", "expected"),
    [
        ([1.0, 2.0, np.nan], "a limit of 200 or less is crossed, one of 1,000 or more is not."),
        ([1.0, np.nan, np.nan], "a limit of 100 is crossed, one of 200 or more is not."),
        ([np.nan] * 3, "no limit from 100 up is crossed."),
        ([1.0, 2.0, 3.0], "every limit up to 1,000 is crossed."),
    ],
)
def test_matrix_caption_says_which_limits_are_crossed(crossed: list[float], expected: str) -> None:
    table = pd.DataFrame([crossed], index=["m"], columns=[100, 200, 1000])
    assert (
        matrix.caption(matrix.MatrixView("h", table, pd.Series({"m": 7}))) == f"Under m the host peaks at 7: {expected}"
    )


def test_matrix_caption_compares_the_models() -> None:
    assert matrix.caption(matrix_view()).endswith(
        "The same packets peak at 212 (linux-connlimit) to 1,212 (naive) across 2 gateway models."
    )
