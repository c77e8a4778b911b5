"""The limit across a timeline: its line and name, and the intervals in which the count was above it."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from peerburst.analysis.counting.step_function import Steps
from peerburst.analysis.figures import style
from peerburst.analysis.humanize import number


def intervals_above(steps: Steps, limit: int, last_ns: int) -> list[tuple[int, int]]:
    """When the count exceeds the limit (from, until, nanoseconds), up to the capture's end."""
    over = np.diff(np.concatenate([[0], steps.count > limit, [0]]).astype(np.int8))
    begins, ends = np.flatnonzero(over == 1), np.flatnonzero(over == -1)
    until = np.append(steps.at, last_ns)[ends]
    return [(int(a), int(min(b, last_ns))) for a, b in zip(steps.at[begins], until, strict=True) if a < last_ns]


def draw(axes: Axes, limit: int, above: Sequence[tuple[float, float]]) -> None:
    """Draw the limit on axes scaled to their data; `above` are intervals (start_s, end_s)."""
    axes.axhline(limit, color=style.ALARM, linewidth=1.6, dashes=(5, 2.5), label="limit", zorder=4)
    if above:
        _shade(axes, above)
        starts, ends = zip(*above, strict=True)
        axes.hlines([limit] * len(above), starts, ends, color=style.ALARM, linewidth=4.5, zorder=4)
    _name(axes, limit)


def _shade(axes: Axes, above: Sequence[tuple[float, float]]) -> None:
    axes.broken_barh(
        [(start, end - start) for start, end in above],
        (0, 1),
        transform=axes.get_xaxis_transform(),
        facecolor=style.ALARM_TINT,
        edgecolor=style.ALARM_TINT,
        linewidth=0.8,
        zorder=0,
        label="above",
    )


def _name(axes: Axes, limit: int) -> None:
    """Name the limit beside its line, or at the top if that is off the scale."""
    highest = axes.get_ylim()[1]
    label, at, align = f"limit\n{number(limit)}", limit / highest, "center"
    if limit > highest:
        label, at, align = f"↑ {label}", 1.0, "top"
    beside = axes.transAxes
    axes.text(1.012, at, label, transform=beside, color=style.ALARM, va=align, fontweight="bold", linespacing=1.1)
