"""Names in a column on each side of a ring, none on another, each tied by a line to what it names."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes

from peerburst.analysis.figures import style
from peerburst.analysis.figures.sheet import shorten

LABEL_IN = 0.38  # two lines of small type


class Label(NamedTuple):
    """Two lines, and the point they belong to (inches from the ring's middle)."""

    first: str
    second: str
    point: tuple[float, float]


class Column(NamedTuple):
    """Where the names of both sides begin, and how far out and up they may reach, in inches from the middle."""

    beside: float
    outermost: float
    highest: float


def draw(axes: Axes, labels: Sequence[Label], column: Column) -> None:
    """Draw each label on the side of its point; of too many on one side, the first."""
    for side in (-1, 1):
        ours = [label for label in labels if (label.point[0] < 0) == (side < 0)][: int(2 * column.highest / LABEL_IN)]
        ours.sort(key=lambda label: label.point[1])
        heights = spread([label.point[1] for label in ours], -column.highest, column.highest)
        for label, height in zip(ours, heights, strict=True):
            _draw_line(axes, label.point, side * column.beside, height)
            _draw_words(axes, label, side, column, height)


def spread(heights: Sequence[float], lowest: float, highest: float) -> list[float]:
    """Rising heights moved as little as needed to stand LABEL_IN apart between lowest and highest."""
    placed: list[float] = []
    for at, height in enumerate(heights):
        least = placed[-1] + LABEL_IN if placed else lowest + LABEL_IN / 2
        most = highest - LABEL_IN / 2 - (len(heights) - 1 - at) * LABEL_IN
        placed.append(max(least, min(height, most)))
    return placed


def _draw_line(axes: Axes, point: tuple[float, float], beside: float, height: float) -> None:
    inwards = 1 if beside < 0 else -1
    across = [point[0], beside + 0.14 * inwards, beside + 0.05 * inwards]
    axes.plot(across, [point[1], height, height], color=style.QUIET, linewidth=0.6, zorder=2)


def _draw_words(axes: Axes, label: Label, side: int, column: Column, height: float) -> None:
    align = "right" if side < 0 else "left"
    for text, above, colour in ((label.first, "bottom", style.INK), (label.second, "top", style.QUIET)):
        words = shorten(text, column.outermost - column.beside, style.SMALL_PT)
        axes.text(side * column.beside, height, words, ha=align, va=above, color=colour, fontsize=style.SMALL_PT)
