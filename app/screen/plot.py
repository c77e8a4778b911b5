"""The count against the limit, drawn in characters: a gauge, and a timeline of talking and lingering connections.

Talking is solid, lingering is thin, as in the pictures of a report, so that neither needs colour.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt
from textual.content import Content

from peerburst.analysis.humanize import clock, number
from peerburst.live.view import History
from peerburst.screen.terminals import Glyphs

STEPS_S = (1, 2, 5, 10, 30, 60, 300)  # the time that one column of dots may stand for
WIDEST_BY_DEFAULT_S = 10  # a session too long for that step shows its latest part
_TICKS_S = (10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 86_400)
_TICK_CELLS = 12  # at least, from one time to the next
_ROOM_ABOVE = 1.25  # how far beyond the limit the gauge goes
_LIMIT_IN_SIGHT = 4  # a limit more than so many times the largest count is left out of the timeline
_BRAILLE = 0x2800
_DOTS = np.array([[0x40, 0x04, 0x02, 0x01], [0x80, 0x20, 0x10, 0x08]])  # by column, then row from the bottom

Marks = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Span:
    """What a timeline shows: one column each for the buckets first, first + 1, ... of step_s seconds."""

    step_s: int
    first: int
    columns: int


def runs(characters: Sequence[str], styles: Sequence[str]) -> Content:
    """One line of characters, each with its style."""
    parts = []
    for style, group in groupby(zip(characters, styles, strict=True), key=lambda pair: pair[1]):
        text = "".join(character for character, _ in group)
        parts.append((text, style))
    return Content.assemble(*parts)


def gauge(count: int, talking: int, limit: int, width: int, glyphs: Glyphs) -> Content:
    """A bar of `width` cells: talking, lingering, what is still free, and the limit's mark."""
    top = max(limit * _ROOM_ABOVE, count)
    mark = min(width - 1, math.floor(limit / top * width))
    held, solid = (min(width, math.ceil(value / top * width)) for value in (count, talking))
    if count <= limit:
        held = min(held, mark)  # only what is over reaches the mark
    characters, styles = [], []
    for cell in range(width):
        if cell == mark:
            character, style = glyphs.limit, "bold $limit"
        elif cell < held:
            character = glyphs.talking if cell < solid else glyphs.lingering
            style = "$over" if cell > mark else "$talking" if cell < solid else "$lingering"
        else:
            character, style = glyphs.free, "$quiet"
        characters.append(character)
        styles.append(style)
    return runs(characters, styles)


def span_of(now_s: float, columns: int, step_s: int | None) -> Span:
    """The span that ends now; without `step_s` the finest that shows everything since the start, within reason."""
    if step_s is None:
        fitting = [step for step in STEPS_S if now_s / step < columns and step <= WIDEST_BY_DEFAULT_S]
        step_s = fitting[0] if fitting else WIDEST_BY_DEFAULT_S
    return Span(step_s, max(0, math.floor(now_s / step_s) - columns + 1), columns)


def columns_of(history: History, span: Span, now_s: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Per column the largest count in its time and how many of those talked; -1 before the start and after now.

    A column without a sample holds what the one before it ended with.
    """
    count, talking = np.full(span.columns, -1), np.full(span.columns, -1)
    if not history.t_s.size:
        return count, talking
    bucket = np.floor(history.t_s / span.step_s).astype(np.int64) - span.first
    in_order = np.lexsort((history.count, bucket))
    largest = in_order[np.flatnonzero(np.append(np.diff(bucket[in_order]) != 0, True))]
    shown = largest[(bucket[largest] >= 0) & (bucket[largest] < span.columns)]
    count[bucket[shown]], talking[bucket[shown]] = history.count[shown], history.talking[shown]
    last_of = np.searchsorted(bucket, np.arange(span.columns), side="right") - 1
    now = math.floor(now_s / span.step_s) - span.first
    carried = (count < 0) & (last_of >= 0) & (np.arange(span.columns) <= now)
    count[carried], talking[carried] = history.count[last_of[carried]], history.talking[last_of[carried]]
    return count, talking


def scale_top(largest: int, limit: int, rows: int) -> float:
    """The count at the upper edge of `rows` rows of cells.

    The limit is put between two rows, as high as the largest count allows; a limit far above it is left out.
    """
    if largest * _LIMIT_IN_SIGHT < limit:
        return _round_up(max(largest, 4))
    for below in range(rows - 1, 0, -1):
        if limit * rows / below >= largest:
            return limit * rows / below
    return _round_up(largest)


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 5, 6, 8, 10 times a power of ten."""
    unit = 10 ** math.floor(math.log10(value))
    return float(next(unit * lead for lead in (1, 2, 4, 5, 6, 8, 10) if unit * lead >= value))


def timeline(
    history: History, limit: int, now_s: float, size: tuple[int, int], glyphs: Glyphs, step_s: int | None = None
) -> list[Content]:
    """Lines of text, `size` = (width, height) cells: the plot, and the times below it."""
    width, height = size
    labels = max(len(number(limit)) + len("limit "), len(number(history.count.max(initial=0))), 5) + 1
    across, down = glyphs.dots
    rows, cells = max(height - 1, 2), max(width - labels, 8)
    span = span_of(now_s, cells * across, step_s)
    count, talking = columns_of(history, span, now_s)
    largest = int(count.max(initial=0))
    top = scale_top(largest, limit, rows)
    dots = rows * down / top
    limit_at = math.floor(limit * dots + 1e-9)
    held = np.ceil(np.maximum(count, 0) * dots - 1e-9).astype(np.int64)  # one connection is seen, and one too many
    solid = np.minimum(np.floor(np.maximum(talking, 0) * dots + 0.5).astype(np.int64), held)
    plot = _cells(held, solid, limit_at, rows, span.first, glyphs)
    lines = []
    for row in range(rows - 1, -1, -1):
        label, style = "", "$quiet"
        if row == limit_at // down:
            label, style = f"limit {number(limit)}", "$limit"
        elif row == rows - 1:
            label = number(top)
        elif row == 0:
            label = "0"
        characters, styles = next(plot)
        lines.append(Content.assemble((label.rjust(labels - 1) + " ", style), runs(characters, styles)))
    if limit_at >= rows * down:
        note = f"limit {number(limit)}: far above"
        lines[0] = lines[0].truncate(width - len(note)) + Content.styled(note, "$limit")
    return [*lines, Content.styled(" " * labels + _times(span, cells, across, glyphs), "$quiet")]


def _cells(
    held: npt.NDArray[np.int64], solid: npt.NDArray[np.int64], limit_at: int, rows: int, first: int, glyphs: Glyphs
) -> Iterator[tuple[list[str], list[str]]]:
    """Rows of characters and styles, the top one first. `held`, `solid`: heights of each column in dots."""
    across, down = glyphs.dots
    height = np.arange(rows * down)
    talking = height < solid[:, None]
    below_top = height < held[:, None]
    # Every other dot, tied to time so that it moves with the picture; the topmost always, as an outline.
    chequered = (np.arange(held.size)[:, None] + first + height) % 2 == 0
    shown = talking | (below_top & (chequered | (height == held[:, None] - 1)))
    line = np.broadcast_to(height == limit_at, shown.shape)
    for row in range(rows - 1, -1, -1):
        part = slice(row * down, (row + 1) * down)
        cells = [_by_cell(marks[:, part], across) for marks in (shown, talking, below_top, line)]
        yield _row(*cells, above=row * down >= limit_at, glyphs=glyphs)


def _by_cell(marks: Marks, across: int) -> Marks:
    """Columns by rows of dots, as cells by columns by rows."""
    return marks.reshape(-1, across, marks.shape[1])


def _row(
    shown: Marks, talking: Marks, held: Marks, line: Marks, *, above: bool, glyphs: Glyphs
) -> tuple[list[str], list[str]]:
    filled, solid = held.sum(axis=(1, 2)), talking.sum(axis=(1, 2))
    is_solid = (solid * 2 >= filled) & (solid > 0)
    styles = np.where(filled == 0, "$limit", np.where(above, "$over", np.where(is_solid, "$talking", "$lingering")))
    if glyphs.braille:
        codes = _BRAILLE + ((shown | line) * _DOTS).sum(axis=(1, 2))
        return [chr(code) if code != _BRAILLE else " " for code in codes], styles.tolist()
    empty = glyphs.line if line.any() else " "
    full = np.where(is_solid, glyphs.talking, glyphs.lingering)
    low = np.where(is_solid, glyphs.low_talking, glyphs.low_lingering)
    body = np.where(filled == held.shape[1] * held.shape[2], full, low)
    return np.where(filled > 0, body, empty).tolist(), styles.tolist()


def _times(span: Span, cells: int, across: int, glyphs: Glyphs) -> str:
    """The line of times below a plot."""
    cell_s = span.step_s * across
    every_s = next((tick for tick in _TICKS_S if tick >= cell_s * _TICK_CELLS), _TICKS_S[-1])
    first_s = span.first * span.step_s
    line = [" "] * cells
    at_s = math.ceil(first_s / every_s) * every_s
    while at_s < first_s + cells * cell_s:
        label, cell = glyphs.tick + clock(at_s), int((at_s - first_s) // cell_s)
        if cell + len(label) <= cells:
            line[cell : cell + len(label)] = label
        at_s += every_s
    return "".join(line)
