"""The key of a picture: one row of marks with their words, made to fit its width."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes

from peerburst.analysis.figures import style
from peerburst.analysis.figures.sheet import text_width_in

# Type size and gap between entries, the first that fits is taken; should none fit, the numbers are left out.
_SETTINGS = ((style.LABEL_PT, 0.26), (style.SMALL_PT, 0.14))


class Entry(NamedTuple):
    """One entry: its kind, the number behind it in words, and what draws its mark at (left, middle), in inches."""

    kind: str
    amount: str
    draw_mark: Callable[[float, float], object]


def draw_key(axes: Axes, entries: Sequence[Entry], mark_in: float, at: tuple[float, float]) -> None:
    """Draw the entries in a row from `at` (left, middle) on a canvas in inches; every mark is `mark_in` wide."""
    left, middle = at
    width = axes.get_xlim()[1] - left
    size_pt, gap, words = _fitting(entries, mark_in, width)
    for entry, text in zip(entries, words, strict=True):
        entry.draw_mark(left, middle)
        axes.text(left + mark_in + 0.07, middle, text, va="center_baseline", fontsize=size_pt, clip_on=False)
        left += mark_in + 0.07 + text_width_in(text, size_pt) + gap


def _fitting(entries: Sequence[Entry], mark_in: float, width: float) -> tuple[float, float, list[str]]:
    full = [f"{entry.kind} ({entry.amount})" for entry in entries]
    for size_pt, gap in _SETTINGS:
        if sum(mark_in + 0.07 + text_width_in(text, size_pt) + gap for text in full) - gap <= width:
            return size_pt, gap, full
    return *_SETTINGS[-1], [entry.kind for entry in entries]
