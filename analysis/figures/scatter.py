"""Bytes against duration, one flow a point: mice and elephants.

Flows that fall on the same spot are drawn as one larger mark, so that half a million of them hide none: what is drawn
is all of them, never a sample.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from peerburst.analysis.figures import style
from peerburst.analysis.figures.key import Entry, draw_key
from peerburst.analysis.figures.sheet import Sheet, open_sheet
from peerburst.analysis.figures.subject import Subject
from peerburst.analysis.humanize import counted, number, one_line, share, size, span
from peerburst.capture.vocabulary import KIND_NAMES

Floats = npt.NDArray[np.float64]

# CAIDA divides mice from elephants at about 300 packets or 0.5 MB.
ELEPHANT_BYTES = 500_000
_SPOTS_PER_DECADE = 28  # two marks this far apart can still be told apart
_FINE_SPOTS_PER_DECADE = 1000  # for few flows: only those alike to 0.2 % share a mark
_MANY_SPOTS = 3000
_FEW_SPOTS = 60
_INSTANT_COLUMN = np.iinfo(np.int64).min  # of flows that take no time, as a single packet
_ROUND_SPANS_S = (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1, 10, 60, 600, 3600, 6 * 3600, 86_400, 7 * 86_400)
_KEY_IN = 0.42
_STRIP_IN = 1.05
_TIME_LABEL_IN = 0.55


@dataclass(frozen=True, slots=True)
class ScatterView:
    """What the scatter draws.

    flows  one row per flow; columns: duration_s (0 for a single packet), ip_bytes (both directions), kind.
    """

    host: str
    flows: pd.DataFrame


def view(subject: Subject) -> ScatterView:
    """Bytes and duration of the host's flows."""
    analysis, facts = subject.analysis, subject.analysis.facts
    which = analysis.counted_flows(subject.number).flow
    columns = {
        "duration_s": (facts.last_ns[which] - facts.start_ns[which]) / 1e9,
        "ip_bytes": facts.ip_bytes[which],
        "kind": np.array(KIND_NAMES)[analysis.kinds[which]],
    }
    return ScatterView(subject.host, pd.DataFrame(columns))


@dataclass(frozen=True, slots=True)
class _Density:
    """How marks are drawn: the most flows one stands for, its area if for one flow, and for how much more."""

    most: int
    smallest_area: float
    largest_area: float
    edge_pt: float

    def areas(self, flows: Floats) -> Floats:
        """Mark areas in square points, growing with the logarithm of the number of flows."""
        share_of_range = np.log10(flows) / max(np.log10(self.most), 1.0)
        return np.asarray(
            self.smallest_area + (self.largest_area - self.smallest_area) * share_of_range, dtype=np.float64
        )


def title(view: ScatterView) -> str:
    """The picture's title."""
    return f"How long and how large: the flows of {one_line(view.host)}"


def caption(view: ScatterView) -> str:
    """What is seen, with its numbers."""
    flows = view.flows
    if flows.empty:
        return "The host had no flow."
    data = flows["ip_bytes"].to_numpy(dtype=float)
    words = [f"{counted(len(flows), 'flow')}, {size(data.sum())} in all."]
    if len(flows) > 1:
        words.append(_sizes_in_words(data))
    instant = int((flows["duration_s"] <= 0).sum())
    if instant:
        words.append(f"Over in an instant, as a single packet is: {number(instant)} ({share(instant, len(flows))}).")
    return " ".join(words)


def _sizes_in_words(data: Floats) -> str:
    is_large = data >= ELEPHANT_BYTES
    large, least = int(is_large.sum()), size(ELEPHANT_BYTES)
    if large == data.size:
        return f"All are elephants ({least} or more)."
    median = size(float(np.median(data[~is_large])))
    if not large:
        return f"All are mice (below {least}), with a median of {median}."
    carried = share(data[is_large].sum(), data.sum())
    mice = counted(data.size - large, "mouse", "mice")
    verb = "carries" if large == 1 else "carry"
    return (
        f"{counted(large, 'elephant')} ({least} or more) {verb} {carried} of the bytes; "
        f"{mice} (median {median}) the rest."
    )


@style.house_style
def draw(view: ScatterView) -> Figure:
    """The picture; axes are labelled `instant` (single packets, at the left) and `lasting`."""
    subtitle = "one mark per spot and kind; a larger mark stands for more flows"
    sheet = open_sheet(title(view), subtitle, caption(view), 6.6)
    if view.flows.empty:
        sheet.say_nothing_to_draw("there was no flow")
        return sheet.figure
    instant, lasting = _plane(sheet, view.flows)
    spots = _spots(view.flows)
    density = _density(len(spots), int(spots["flows"].max()))
    _draw_spots(instant, spots[spots["duration_s"] <= 0], density)
    _draw_spots(lasting, spots[spots["duration_s"] > 0], density)
    _dress(instant, lasting)
    _draw_key(sheet.canvas(sheet.left_in, sheet.top_in - _KEY_IN, sheet.right_in, sheet.top_in), view.flows)
    bottom = sheet.bottom_in + _TIME_LABEL_IN
    _draw_sizes(sheet.canvas(sheet.right_in - 0.9, bottom, sheet.right_in, bottom + 1.2), density)
    return sheet.figure


def _plane(sheet: Sheet, flows: pd.DataFrame) -> tuple[Axes, Axes]:
    """The strip of single packets and, right of it, the plane of all that last; both to scale."""
    left, bottom, top = sheet.left_in + 0.85, sheet.bottom_in + _TIME_LABEL_IN, sheet.top_in - _KEY_IN
    instant = sheet.axes(left, bottom, left + _STRIP_IN, top)
    lasting = sheet.axes(left + _STRIP_IN + 0.12, bottom, sheet.right_in - 0.95, top)
    instant.set_label("instant")
    lasting.set_label("lasting")
    _scale_bytes(instant, flows)
    _scale_bytes(lasting, flows)
    _scale_spans(lasting, flows[flows["duration_s"] > 0])
    return instant, lasting


def _density(spots: int, most: int) -> _Density:
    if spots > _MANY_SPOTS:
        return _Density(most, smallest_area=4, largest_area=40, edge_pt=0)
    if spots > _FEW_SPOTS:
        return _Density(most, smallest_area=16, largest_area=150, edge_pt=0.4)
    return _Density(most, smallest_area=50, largest_area=200, edge_pt=0.4)


def _spots(flows: pd.DataFrame) -> pd.DataFrame:
    """Flows gathered by kind and spot on the logarithmic plane: duration_s, ip_bytes (of the spot), kind, flows."""
    grid = _SPOTS_PER_DECADE if len(flows) > _MANY_SPOTS else _FINE_SPOTS_PER_DECADE
    columns = {"column": _columns(flows, grid), "row": _rows(flows, grid), "kind": flows["kind"].to_numpy()}
    by_spot = pd.DataFrame(columns).groupby(["column", "row", "kind"], observed=True)
    spots = by_spot.size().rename("flows").reset_index()
    is_lasting = spots["column"] != _INSTANT_COLUMN
    spots["duration_s"] = np.where(is_lasting, 10 ** (spots["column"] / grid), 0.0)
    spots["ip_bytes"] = 10 ** (spots["row"] / grid)
    return spots[["duration_s", "ip_bytes", "kind", "flows"]]


def _columns(flows: pd.DataFrame, grid: int) -> npt.NDArray[np.int64]:
    """The column of the grid that each flow's duration falls on."""
    spans = flows["duration_s"].to_numpy(dtype=float)
    column = np.full(spans.size, _INSTANT_COLUMN)
    column[spans > 0] = np.round(np.log10(spans[spans > 0]) * grid)
    return column


def _rows(flows: pd.DataFrame, grid: int) -> npt.NDArray[np.int64]:
    """The row of the grid that each flow's bytes fall on."""
    ip_bytes = np.maximum(flows["ip_bytes"].to_numpy(dtype=float), 1)
    rows: npt.NDArray[np.int64] = np.round(np.log10(ip_bytes) * grid).astype(np.int64)
    return rows


def _draw_spots(axes: Axes, spots: pd.DataFrame, density: _Density) -> None:
    kinds = _rare_last(spots)
    lanes = [kind for kind in style.KINDS if kind in kinds]
    for place, kind in enumerate(kinds):
        its, look = spots[spots["kind"] == kind], style.KIND_LOOKS[kind]
        across = its["duration_s"].to_numpy(dtype=float)
        if axes.get_label() == "instant":
            # One lane per kind, so that kinds of the same size stand side by side.
            across = np.full(len(its), (lanes.index(kind) + 0.5) / len(lanes))
        axes.scatter(
            across,
            its["ip_bytes"],
            s=density.areas(its["flows"].to_numpy(dtype=float)),
            color=look.colour,
            marker=look.marker,
            alpha=0.8,
            linewidths=density.edge_pt,
            edgecolors="white",
            zorder=3 + place,
            label=kind,
        )


def _rare_last(spots: pd.DataFrame) -> list[str]:
    """Kinds in drawing order: those with few flows on top of those with many."""
    totals = {kind: int(spots.loc[spots["kind"] == kind, "flows"].sum()) for kind in style.KINDS}
    return sorted((kind for kind in style.KINDS if totals[kind]), key=lambda kind: -totals[kind])


def _scale_bytes(axes: Axes, flows: pd.DataFrame) -> None:
    data = np.maximum(flows["ip_bytes"].to_numpy(dtype=float), 1)
    axes.set_yscale("log")
    axes.set_ylim(min(10.0, data.min() / 2), max(3e6, data.max() * 3))
    axes.yaxis.set_major_locator(FixedLocator([10.0**power for power in range(17)]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda byte, _: size(byte)))
    axes.grid(axis="y")


def _scale_spans(axes: Axes, lasting: pd.DataFrame) -> None:
    spans = lasting["duration_s"].to_numpy(dtype=float) if len(lasting) else np.array([0.1, 10.0])
    lowest, highest = max(spans.min() / 1.7, 1e-7), spans.max() * 1.7
    axes.set_xscale("log")
    axes.set_xlim(min(lowest, 0.1), max(highest, 10))
    axes.xaxis.set_major_locator(FixedLocator(_ROUND_SPANS_S))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: "1 µs" if seconds < 1e-5 else span(seconds)))
    axes.set_xlabel("duration, first packet to last")
    axes.grid(axis="x")


def _dress(instant: Axes, lasting: Axes) -> None:
    """Name the strip and the two regions, and draw the line between them."""
    instant.set(xlim=(0, 1), xticks=[], ylabel="bytes, both directions")
    instant.set_facecolor("#F6F8FA")
    instant.set_xlabel("single\npacket", labelpad=4)
    lasting.tick_params(axis="y", length=0, labelleft=False)
    lasting.spines["left"].set_visible(False)
    for axes in (instant, lasting):
        axes.axhline(ELEPHANT_BYTES, color=style.INK, linewidth=1.1, dashes=(4, 2), zorder=2, label="elephants")
    across = lasting.get_yaxis_transform()
    for name, factor, align in (("elephants", 1.25, "bottom"), ("mice", 0.8, "top")):
        lasting.text(1.012, ELEPHANT_BYTES * factor, name, transform=across, va=align, fontsize=11, fontweight="bold")


def _draw_key(axes: Axes, flows: pd.DataFrame) -> None:
    counts = flows["kind"].value_counts()
    entries = [
        Entry(kind, number(counts[kind]), partial(_draw_mark, axes, look))
        for kind, look in style.KIND_LOOKS.items()
        if counts.get(kind, 0)
    ]
    draw_key(axes, entries, 0.14, (0.0, 0.22))


def _draw_mark(axes: Axes, look: style.KindLook, left: float, middle: float) -> None:
    axes.scatter([left + 0.07], [middle], s=55, color=look.colour, marker=look.marker)


def _draw_sizes(axes: Axes, density: _Density) -> None:
    """What the smallest and the largest marks stand for, in the lower right corner."""
    if density.most == 1:
        return
    axes.text(0.02, 0.82, "flows in\na mark", va="bottom", fontsize=style.SMALL_PT, color=style.QUIET)
    for place, flows in enumerate((1, density.most)):
        middle = 0.6 - 0.33 * place
        axes.scatter([0.14], [middle], s=density.areas(np.array([float(flows)])), color=style.QUIET, linewidths=0)
        axes.text(0.3, middle, number(flows), va="center_baseline", fontsize=style.SMALL_PT)
