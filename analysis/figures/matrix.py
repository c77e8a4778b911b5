"""The verdict matrix: gateway models down, limits across, in each cell when the limit was crossed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from peerburst.analysis.figures import style
from peerburst.analysis.figures.sheet import Sheet, open_sheet, shorten, text_width_in
from peerburst.analysis.figures.subject import Subject
from peerburst.analysis.humanize import clock, counted, number, one_line, span

Colour = tuple[float, float, float, float]

_ROW_IN = 0.3
_HEADLINE_IN = 0.4
_HEADER_IN = 0.62
_LONGEST_NAME_IN = 2.3
_PEAK_IN = 1.15
_PADDING_IN = 0.08
_HEADLINE_GAP_IN = 0.12
_HOUR_S = 3600
_LONGEST_CLOCK_S = 24 * _HOUR_S
# Everything on the sheet that is not a row: title, header, caption of up to three lines.
_FIXED_IN = 2.1
# Early is dark, late is light; never so dark that black text on it could not be read.
_CROSSED = LinearSegmentedColormap.from_list("crossed", [style.pale("#D55E00", 0.3), style.pale("#D55E00", 0.82)])


@dataclass(frozen=True, slots=True)
class MatrixView:
    """What the matrix draws.

    crossed_s  index: model name, the headline model first; columns: limits, rising; values: seconds from the first
               packet until the host first held more than the limit, NaN if it never did.
    peaks      index: model name; values: the largest count under that model.
    at_least   the peaks are lower bounds.
    """

    host: str
    crossed_s: pd.DataFrame
    peaks: "pd.Series[int]"
    at_least: bool = False


def view(subject: Subject) -> MatrixView:
    """The host under each gateway model and limit of the analysis."""
    analysis, number = subject.analysis, subject.number
    peaks = pd.Series({model.name: analysis.peak(number, model).peak for model in analysis.models}, dtype="int64")
    return MatrixView(subject.host, analysis.matrix(subject.host), peaks, at_least=analysis.at_least(number))


@dataclass(frozen=True, slots=True)
class _Look:
    """How a row is set: size and weight of its type."""

    size_pt: float
    weight: str

    def width_in(self, text: str) -> float:
        return text_width_in(one_line(text), self.size_pt, self.weight)

    def fitting(self, text: str, width_in: float) -> float:
        """The size, or a smaller one at which the text fits the width."""
        return max(min(self.size_pt, self.size_pt * (width_in - _PADDING_IN) / self.width_in(text)), style.SMALL_PT)

    def can_fit(self, text: str, width_in: float) -> bool:
        """Whether the text fits the width at the smallest size."""
        return text_width_in(text, style.SMALL_PT, self.weight) + _PADDING_IN <= width_in


_HEADLINE = _Look(style.LABEL_PT + 1.5, "bold")
_ROW = _Look(style.LABEL_PT, "normal")


@dataclass(frozen=True, slots=True)
class _Grid:
    """Where the cells begin and how wide each is, in inches."""

    left_in: float
    cell_in: float


def title(view: MatrixView) -> str:
    """The picture's title."""
    return f"Would a limit have stopped {one_line(view.host)}, and when?"


def caption(view: MatrixView) -> str:
    """What is seen, with its numbers."""
    if view.crossed_s.empty:
        return "No gateway model was asked."
    headline = str(view.crossed_s.index[0])
    peaks = view.peaks.reindex(view.crossed_s.index)
    words = [
        f"Under {one_line(headline)} the host peaks at {number(peaks.iloc[0])}{' or more' * view.at_least}: "
        f"{_headline_in_words(view.crossed_s.iloc[0])}."
    ]
    if len(peaks) > 1 and peaks.min() == peaks.max():
        words.append(f"All {counted(len(peaks), 'gateway model')} give the same peak.")
    elif len(peaks) > 1:
        lowest, highest = one_line(str(peaks.idxmin())), one_line(str(peaks.idxmax()))
        words.append(
            f"The same packets peak at {number(peaks.min())} ({lowest}) to {number(peaks.max())} ({highest}) "
            f"across {counted(len(peaks), 'gateway model')}."
        )
    return " ".join(words)


def cell_text(seconds: float) -> str:
    """What a cell says: `+0:42`, the instant the limit was crossed, or `ok`."""
    if np.isnan(seconds):
        return "ok"
    return clock(seconds) if seconds < _LONGEST_CLOCK_S else f"+{span(seconds)}"


def short_cell_text(seconds: float) -> str:
    """The same in fewer letters, for a cell too narrow for it: whole hours from one hour on."""
    if np.isnan(seconds) or seconds < _HOUR_S:
        return cell_text(seconds)
    return f"+{number(seconds // _HOUR_S)} h"


@style.house_style
def draw(view: MatrixView) -> Figure:
    """The picture; its axes are labelled `matrix` and every cell's text has the gid `cell:MODEL:LIMIT`."""
    subtitle = "time since the first packet at which the host went above the limit, or ok"
    rows = len(view.crossed_s)
    height = _FIXED_IN + _HEADER_IN + _HEADLINE_IN + rows * _ROW_IN
    sheet = open_sheet(title(view), subtitle, caption(view), height)
    if view.crossed_s.empty or not len(view.crossed_s.columns):
        sheet.say_nothing_to_draw("no gateway model and limit to set against each other")
        return sheet.figure
    axes = sheet.canvas(sheet.left_in, sheet.bottom_in, sheet.right_in, sheet.top_in)
    axes.set_label("matrix")
    _draw_table(axes, view, sheet)
    return sheet.figure


def _headline_in_words(crossed: "pd.Series[float]") -> str:
    over = [number(float(str(limit))) for limit, at in crossed.items() if not np.isnan(at)]
    free = [number(float(str(limit))) for limit, at in crossed.items() if np.isnan(at)]
    if not over:
        return f"no limit from {free[0]} up is crossed"
    first = f"a limit of {over[-1]} or less is crossed" if len(over) > 1 else f"a limit of {over[0]} is crossed"
    return f"{first}, one of {free[0]} or more is not" if free else f"every limit up to {over[-1]} is crossed"


def _draw_table(axes: Axes, view: MatrixView, sheet: Sheet) -> None:
    width, height = sheet.right_in - sheet.left_in, sheet.top_in - sheet.bottom_in
    grid = _grid(view.crossed_s, width)
    rows = len(view.crossed_s)
    row_in = min((height - _HEADER_IN - _HEADLINE_IN - _HEADLINE_GAP_IN) / max(rows - 1, 1), 0.34)
    colour_of = _colours(view.crossed_s)
    _draw_header(axes, view, height, grid)
    top = height - _HEADER_IN
    for place, model in enumerate(view.crossed_s.index):
        look = _HEADLINE if place == 0 else _ROW
        tall = _HEADLINE_IN if place == 0 else row_in
        _draw_name(axes, view, str(model), (top - tall / 2, grid), look)
        _draw_cells(axes, view.crossed_s.iloc[place], (top - tall, tall, grid), look, colour_of)
        if place == 0:
            frame = Rectangle((-0.08, top - tall), width + 0.08, tall, fill=False, edgecolor=style.INK, linewidth=1.3)
            axes.add_patch(frame).set_clip_on(False)
        top -= tall + (_HEADLINE_GAP_IN if place == 0 else 0)


def _grid(crossed_s: pd.DataFrame, width: float) -> _Grid:
    names = [_HEADLINE.width_in(str(model)) for model in crossed_s.index[:1]]
    names += [_ROW.width_in(str(model)) for model in crossed_s.index[1:]]
    left = min(max(names) + 0.2, _LONGEST_NAME_IN) + _PEAK_IN
    return _Grid(left, (width - left) / len(crossed_s.columns))


def _draw_header(axes: Axes, view: MatrixView, height: float, grid: _Grid) -> None:
    base = height - _HEADER_IN + 0.08
    axes.text(0, base, "gateway model", color=style.QUIET)
    axes.text(grid.left_in - 0.2, base, "peak", ha="right", color=style.QUIET)
    axes.text(grid.left_in, base + 0.27, "limit on simultaneous connections per host", color=style.QUIET)
    for place, limit in enumerate(view.crossed_s.columns):
        words = number(float(limit))
        size_pt = _Look(style.LABEL_PT, "bold").fitting(words, grid.cell_in)
        axes.text(
            grid.left_in + (place + 0.5) * grid.cell_in, base, words, ha="center", fontweight="bold", fontsize=size_pt
        )


def _draw_name(axes: Axes, view: MatrixView, model: str, place: tuple[float, _Grid], look: _Look) -> None:
    middle, grid = place
    name = shorten(model, grid.left_in - _PEAK_IN - 0.05, look.size_pt, look.weight)
    peak = f"{'≥ ' * view.at_least}{number(float(view.peaks[model]))}"
    for left, words, align in ((0.0, name, "left"), (grid.left_in - 0.2, peak, "right")):
        axes.text(left, middle, words, ha=align, va="center_baseline", fontsize=look.size_pt, fontweight=look.weight)


def _draw_cells(
    axes: Axes,
    crossed: "pd.Series[float]",
    place: tuple[float, float, _Grid],
    look: _Look,
    colour_of: Callable[[float], Colour],
) -> None:
    base, tall, grid = place
    for at, (limit, seconds) in enumerate(crossed.items()):
        corner = (grid.left_in + at * grid.cell_in, base)
        cell = Rectangle(corner, grid.cell_in, tall, facecolor=colour_of(seconds), edgecolor="white", linewidth=1.5)
        axes.add_patch(cell)
        _write_cell(axes, cell, seconds, look).set_gid(f"cell:{crossed.name}:{limit}")


def _write_cell(axes: Axes, cell: Rectangle, seconds: float, look: _Look) -> Text:
    """When the limit was crossed, in the row's type, or a quiet `ok`."""
    words = cell_text(seconds) if look.can_fit(cell_text(seconds), cell.get_width()) else short_cell_text(seconds)
    middle = cell.get_x() + cell.get_width() / 2, cell.get_y() + cell.get_height() / 2
    text = axes.text(*middle, words, ha="center", va="center_baseline", fontsize=style.SMALL_PT, color=style.QUIET)
    if not np.isnan(seconds):
        text.set(fontsize=look.fitting(words, cell.get_width()), fontweight=look.weight, color=style.INK)
    return text


def _colours(crossed_s: pd.DataFrame) -> Callable[[float], Colour]:
    """Earlier crossings darker, on a scale from the first to the last in the table; not crossed is a cool tint."""
    times = crossed_s.to_numpy(dtype=float)
    times = times[~np.isnan(times)]
    first, last = (times.min(), times.max()) if times.size else (0.0, 1.0)

    def colour_of(seconds: float) -> Colour:
        if np.isnan(seconds):
            return to_rgba(style.CALM_TINT)
        return _CROSSED(float((seconds - first) / (last - first)) if last > first else 0.0)

    return colour_of
