"""One line per flow in the order of their starts: when each was open, and how long the gateway remembered it after."""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from peerburst.analysis.figures import style
from peerburst.analysis.figures.key import Entry, draw_key
from peerburst.analysis.figures.sheet import DPI, open_sheet
from peerburst.analysis.figures.subject import Subject
from peerburst.analysis.figures.timeaxis import set_time_axis, utc
from peerburst.analysis.humanize import counted, number, one_line, share, span

Floats = npt.NDArray[np.float64]

# With more flows than this a line is thinner than half a pixel: several flows then share a row of an image.
MOST_LINES = 1200
_IMAGE_ROWS = 600
_IMAGE_COLUMNS = 1400
_KEY_IN = 0.42
_TAIL_PALENESS = 0.68
_LIFT = 0.45


@dataclass(frozen=True, slots=True)
class RasterView:
    """What the raster draws; arrays of one length, one entry per flow, in any order.

    start_s, last_s  first and last packet, seconds since the first packet of the capture.
    gone_s           when the gateway forgot it; may be infinite, or NaN where it never held it.
    kind             index of its kind in `style.KINDS`.
    end_s            the capture's last instant: nothing is drawn beyond it.
    """

    host: str
    model_title: str
    start_s: Floats
    last_s: Floats
    gone_s: Floats
    kind: npt.NDArray[np.integer]
    end_s: float
    start_utc: str = ""


def view(subject: Subject) -> RasterView:
    """The host's flows as lines, and how long the gateway remembers each."""
    analysis = subject.analysis
    first_ns, which = analysis.capture.first_ns, analysis.counted_flows(subject.number).flow
    return RasterView(
        host=subject.host,
        model_title=subject.model.title,
        start_s=(analysis.facts.start_ns[which] - first_ns) / 1e9,
        last_s=(analysis.facts.last_ns[which] - first_ns) / 1e9,
        gone_s=_gone_s(subject)[which],
        kind=analysis.kinds[which],
        end_s=analysis.capture.duration_s,
        start_utc=utc(first_ns),
    )


def _gone_s(subject: Subject) -> Floats:
    """For every flow of the capture, when its last entry of this host goes; NaN where it has none."""
    analysis = subject.analysis
    entry = analysis.entries_of(subject.number, subject.model).entry
    gone = np.full(analysis.kinds.size, -np.inf)
    np.maximum.at(gone, entry["flow"], (entry["end"] - analysis.capture.first_ns) / 1e9)
    gone[np.isneginf(gone)] = np.nan
    return gone


def title(view: RasterView) -> str:
    """The picture's title."""
    return f"Every flow of {one_line(view.host)}, and how long it is remembered"


def caption(view: RasterView) -> str:
    """What is seen, with its numbers."""
    count = len(view.start_s)
    if not count:
        return "The host had no flow."
    talked = float(np.sum(view.last_s - view.start_s))
    tails = float(np.sum(_tail_ends(view) - view.last_s))
    words = [
        f"{counted(count, 'flow')}. Packets span {span(talked / count)} of an average flow; within the capture the "
        f"gateway remembers it {span(tails / count)} longer: {share(tails, talked + tails)} of the time it holds "
        "connections, nothing is said on them."
    ]
    if count > MOST_LINES:
        words.append(f"Each row of the picture stands for about {number(max(count / _IMAGE_ROWS, 2))} flows.")
    return " ".join(words)


@style.house_style
def draw(view: RasterView) -> Figure:
    """The picture; its axes are labelled `flows`, y runs from 0 to the number of flows."""
    subtitle = f"from first to last packet in full colour, then as long as {one_line(view.model_title)} holds it"
    sheet = open_sheet(title(view), subtitle, caption(view))
    count = len(view.start_s)
    if not count:
        sheet.say_nothing_to_draw("there was no flow")
        return sheet.figure
    top = sheet.top_in - _KEY_IN
    axes = sheet.axes(sheet.left_in + 0.85, sheet.bottom_in + 0.55, sheet.right_in - 0.15, top)
    axes.set_label("flows")
    length_s = max(view.end_s, float(view.last_s.max()), 1e-6)
    order = np.argsort(view.start_s, kind="stable")
    if count <= MOST_LINES:
        _draw_lines(axes, view, order)
    else:
        _draw_image(axes, view, order, length_s)
    _set_scale(axes, count)
    set_time_axis(axes, length_s, view.start_utc)
    _draw_key(sheet.canvas(sheet.left_in, top, sheet.right_in, sheet.top_in), view)
    return sheet.figure


def _set_scale(axes: Axes, count: int) -> None:
    axes.set_ylim(0, count)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda at, _: number(at)))
    axes.set_ylabel("flows, in the order of their start")


def _tail_ends(view: RasterView) -> Floats:
    """When each flow was forgotten, or the end of the capture if it was not by then."""
    gone = np.where(np.isnan(view.gone_s), view.last_s, view.gone_s)
    return np.asarray(np.clip(gone, view.last_s, np.maximum(view.end_s, view.last_s)), dtype=np.float64)


def _tail_colour(colour: str) -> tuple[float, float, float]:
    return style.pale(colour, _TAIL_PALENESS)


def _draw_lines(axes: Axes, view: RasterView, order: npt.NDArray[np.intp]) -> None:
    """A line for each flow; a dot marks the start, so that one of a single packet is seen too."""
    count = order.size
    height_pt = axes.get_window_extent().height / DPI * 72
    thick = min(0.78 * height_pt / count, 9.0)
    rows = np.arange(count) + 0.5
    start, last, gone = view.start_s[order], view.last_s[order], _tail_ends(view)[order]
    colours = [style.KIND_LOOKS[style.KINDS[code]].colour for code in view.kind[order]]
    for label, begin, end, shades in (
        ("remembered", last, gone, [_tail_colour(colour) for colour in colours]),
        ("open", start, last, colours),
    ):
        lines = np.stack((np.column_stack((begin, rows)), np.column_stack((end, rows))), axis=1)
        axes.add_collection(LineCollection(list(lines), colors=shades, linewidths=thick, capstyle="butt", label=label))
    axes.scatter(start, rows, s=max(thick, 1.6) ** 2, marker="s", color=colours, linewidths=0, zorder=3, label="starts")


def _draw_image(axes: Axes, view: RasterView, order: npt.NDArray[np.intp], length_s: float) -> None:
    """Rows of several flows each: a pixel has the mean colour of those held there, the fainter the fewer they are."""
    row = (np.arange(order.size) * _IMAGE_ROWS // order.size).astype(np.intp)
    ink, total = _ink(view.kind[order], row, _columns(view, order, _IMAGE_COLUMNS / length_s))
    flows_in_row = np.bincount(row, minlength=_IMAGE_ROWS).astype(float)
    # The power lifts what few flows of a row do out of the white, and leaves none and all of them as they are.
    cover = (total / flows_in_row[:, None, None]) ** _LIFT
    paper = 1 - cover + cover * ink / np.maximum(total, 1)
    axes.imshow(
        np.clip(paper, 0, 1),
        extent=(0, length_s, 0, order.size),
        origin="lower",
        aspect="auto",
        interpolation="antialiased",
        label="flows",
    )


class _Columns(NamedTuple):
    """The image column in which each flow starts, is last heard of, and is forgotten."""

    start: npt.NDArray[np.intp]
    last: npt.NDArray[np.intp]
    gone: npt.NDArray[np.intp]


def _columns(view: RasterView, order: npt.NDArray[np.intp], per_s: float) -> _Columns:
    start = _column(view.start_s[order] * per_s)
    # A flow of a single packet still takes one pixel.
    last = np.maximum(_column(view.last_s[order] * per_s), start + 1)
    return _Columns(start, last, np.maximum(_column(_tail_ends(view)[order] * per_s), last))


def _ink(kind: npt.NDArray[np.integer], row: npt.NDArray[np.intp], columns: _Columns) -> tuple[Floats, Floats]:
    """For each pixel the sum of the colours of the flows held there (rows, columns, RGB), and how many they are."""
    ink = np.zeros((_IMAGE_ROWS, _IMAGE_COLUMNS, 3))
    total = np.zeros((_IMAGE_ROWS, _IMAGE_COLUMNS, 1))
    start, last, gone = columns
    for code, look in enumerate(style.KIND_LOOKS.values()):
        its = kind == code
        for begin, end, colour in ((start, last, to_rgb(look.colour)), (last, gone, _tail_colour(look.colour))):
            held = _held(row[its], begin[its], end[its])[:, :, None]
            ink += held * np.array(colour)
            total += held
    return ink, total


def _column(at: Floats) -> npt.NDArray[np.intp]:
    return np.clip(np.floor(at), 0, _IMAGE_COLUMNS - 1).astype(np.intp)


def _held(row: npt.NDArray[np.intp], begin: npt.NDArray[np.intp], end: npt.NDArray[np.intp]) -> Floats:
    """How many flows of each image row are between their `begin` and `end` in each column."""
    steps = np.zeros((_IMAGE_ROWS, _IMAGE_COLUMNS + 1))
    np.add.at(steps, (row, begin), 1)
    np.add.at(steps, (row, end), -1)
    return np.asarray(np.cumsum(steps, axis=1)[:, :-1], dtype=np.float64)


def _draw_key(axes: Axes, view: RasterView) -> None:
    """For each kind: open and remembered, and how many flows."""
    counts = np.bincount(view.kind, minlength=len(style.KINDS))
    entries = [
        Entry(kind, number(count), partial(_draw_mark, axes, style.KIND_LOOKS[kind].colour))
        for kind, count in zip(style.KINDS, counts, strict=True)
        if count
    ]
    draw_key(axes, entries, 0.4, (0.0, 0.22))


def _draw_mark(axes: Axes, colour: str, left: float, middle: float) -> None:
    axes.add_patch(Rectangle((left, middle - 0.07), 0.16, 0.14, facecolor=colour, linewidth=0))
    axes.add_patch(Rectangle((left + 0.16, middle - 0.07), 0.24, 0.14, facecolor=_tail_colour(colour), linewidth=0))
