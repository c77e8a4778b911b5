"""Connections of one host over time, as one gateway counts them: the picture the article asked for.

Solid areas are connections that had a packet in the last five seconds (talking); the pale, hatched ones on top are
only remembered by the gateway (lingering). Together they are what a limit is held against.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator

from peerburst.analysis.figures import style
from peerburst.analysis.figures.sheet import MARGIN_IN, WIDTH_IN, Sheet, open_sheet, text_width_in
from peerburst.analysis.figures.timeaxis import set_time_axis
from peerburst.analysis.humanize import counted, number, one_line, span

TALKING, LINGERING = "talking", "lingering"
# A limit more than this many times the peak would flatten the curve; it is then named instead of drawn to scale.
FARTHEST_LIMIT = 4
MOST_LANES = 6
_LANE_IN = 0.235
_KEY_IN = 2.45
_LIMIT_LABEL_IN = 0.72
_AXIS_LABEL_IN = 0.8
_KEY_LINE_IN = 0.29
_KEY_COLUMNS = ((TALKING, 0.82, 1.6), (LINGERING, 1.68, 2.45))  # left edge of the swatch, right edge of the number
_PEAK_CLEARANCE_IN = 0.42  # a label this near under the limit line would sit on it


class Burst(NamedTuple):
    """One burst: when (seconds since the first packet), its class, and how many flows it opened."""

    start_s: float
    end_s: float
    burst_class: str
    new_flows: int


@dataclass(frozen=True, slots=True)
class TimelineView:
    """What the timeline draws.

    counts   index: seconds since the first packet, rising; columns: (kind, "talking" | "lingering"); values: entries
             held from that instant until the next row. Kinds that are left out count 0.
    above    spells (start_s, end_s) above the limit, in order; a spell still going on ends with the capture.
    bursts   (start_s, end_s, class, new flows) each.
    peak     the exact largest count, which a sampled `counts` may miss, and when it was reached.
    at_least the peak is a lower bound (flows already open at the first packet, or packets lost).
    """

    host: str
    model_title: str
    limit: int
    counts: pd.DataFrame
    above: Sequence[tuple[float, float]]
    bursts: Sequence[tuple[float, float, str, int]]
    peak: int
    peak_at_s: float
    start_utc: str
    at_least: bool = False


class _Mark(NamedTuple):
    """A burst placed in a lane above the curve; `label_left_in` is None where there was no room for its name."""

    burst: Burst
    lane: int
    label: str
    label_left_in: float | None


def title(view: TimelineView) -> str:
    """The picture's title."""
    return f"Connections the gateway holds for {one_line(view.host)}"


def caption(view: TimelineView) -> str:
    """What is seen, with its numbers."""
    if _is_empty(view):
        return "The host held no connection that the gateway counts."
    row = _row_at_peak(view)
    talking = int(row.xs(TALKING, level=1).sum())
    at_least = "at least " if view.at_least else ""
    about = "" if _is_exact(row, view) else "about "
    return " ".join(
        (
            f"Peak: {at_least}{counted(view.peak, 'connection')} {span(view.peak_at_s)} after the first packet; "
            f"{about}{number(talking)} had a packet in the last 5 s (talking), "
            f"{about}{number(max(view.peak - talking, 0))} the gateway only remembered (lingering).",
            _above_in_words(view),
            _bursts_in_words(view),
        )
    ).rstrip()


@style.house_style
def draw(view: TimelineView) -> Figure:
    """The picture; axes are labelled `counts`, `bursts` and `key`."""
    sheet = open_sheet(title(view), f"as counted by {one_line(view.model_title)}", caption(view))
    if _is_empty(view):
        sheet.say_nothing_to_draw("no connection was counted")
        return sheet.figure
    length_s, width_in = _plot_span(view)
    marks = _place_bursts(view, length_s, width_in)
    lanes = 1 + max((mark.lane for mark in marks), default=-1)
    left = sheet.left_in + _AXIS_LABEL_IN
    top = sheet.top_in - lanes * _LANE_IN
    bottom = sheet.bottom_in + 0.55
    axes = sheet.axes(left, bottom, left + width_in, top - 0.08)
    axes.set_label("counts")
    _draw_counts(axes, view, length_s)
    _scale(axes, view, length_s)
    _draw_limit(axes, view)
    _draw_peak(axes, view, length_s, top - 0.08 - bottom)
    if marks:
        strip = sheet.canvas(left, top, left + width_in, sheet.top_in)
        strip.set_label("bursts")
        _draw_bursts(strip, axes, marks, length_s, width_in)
    _draw_key(sheet, view)
    return sheet.figure


def _is_empty(view: TimelineView) -> bool:
    return len(view.counts) == 0 or (view.peak == 0 and not view.counts.to_numpy().any())


def _plot_span(view: TimelineView) -> tuple[float, float]:
    """Seconds the time axis covers, and the inches it has for them."""
    times = view.counts.index.to_numpy(dtype=float)
    rest = float(np.median(np.diff(times))) if times.size > 1 else 1.0
    ends = [times[-1] + rest, view.peak_at_s]
    ends += [end for _, end in view.above] + [burst[1] for burst in view.bursts]
    margin = 2 * MARGIN_IN + _AXIS_LABEL_IN + _LIMIT_LABEL_IN + _KEY_IN
    return max(float(np.nanmax(ends)), 1e-6), WIDTH_IN - margin


def _row_at_peak(view: TimelineView) -> pd.Series:
    """The counts of each kind in the row nearest to the peak."""
    table = _whole_table(view)
    at = int(table.index.searchsorted(view.peak_at_s, side="right")) - 1
    # A sampled table can miss the very instant: of the neighbours, the fuller row is the one that shows the peak.
    near = table.iloc[max(at, 0) : max(at, 0) + 2]
    return near.iloc[int(near.sum(axis=1).to_numpy().argmax())]


def _is_exact(row: pd.Series, view: TimelineView) -> bool:
    return int(row.sum()) == view.peak


def _whole_table(view: TimelineView) -> pd.DataFrame:
    columns = pd.MultiIndex.from_product([style.KINDS, [TALKING, LINGERING]])
    return view.counts.reindex(columns=columns, fill_value=0).fillna(0)


def _above_in_words(view: TimelineView) -> str:
    if not view.above:
        return f"Never above the limit of {number(view.limit)}{', which is off the scale' * _is_limit_far(view)}."
    total = sum(end - start for start, end in view.above)
    return (
        f"Above the limit of {number(view.limit)} for {span(total)}"
        + (f" in {counted(len(view.above), 'spell')}" if len(view.above) > 1 else "")
        + f", first {span(view.above[0][0])} after the first packet."
    )


def _bursts_in_words(view: TimelineView) -> str:
    if not view.bursts:
        return ""
    largest = max((Burst(*burst) for burst in view.bursts), key=lambda burst: burst.new_flows)
    opened = f"{counted(largest.new_flows, 'new connection')} in {span(largest.end_s - largest.start_s)}"
    if len(view.bursts) == 1:
        return f"One burst, marked above the curve: {one_line(largest.burst_class)}, {opened}."
    unnamed = sum(1 for mark in _place_bursts(view, *_plot_span(view)) if mark.label_left_in is None)
    return (
        f"{counted(len(view.bursts), 'burst')} are marked above the curve"
        + (f" ({number(unnamed)} without room for a name)" if unnamed else "")
        + f", the largest {one_line(largest.burst_class)}: {opened}."
    )


def _highest(view: TimelineView) -> float:
    return max(float(_whole_table(view).sum(axis=1).max()), view.peak, 1)


def _is_limit_far(view: TimelineView) -> bool:
    return view.limit > FARTHEST_LIMIT * _highest(view)


def _draw_counts(axes: Axes, view: TimelineView, length_s: float) -> None:
    """Stack the areas: first every kind's talking connections, then every kind's lingering ones."""
    table = _whole_table(view)
    times = np.append(table.index.to_numpy(dtype=float), length_s)
    floor = np.zeros(times.size)
    for state in (TALKING, LINGERING):
        for kind, look in style.KIND_LOOKS.items():
            held = table[(kind, state)].to_numpy(dtype=float)
            if not held.any():
                continue
            ceiling = floor + np.append(held, held[-1])
            axes.fill_between(times, floor, ceiling, step="post", label=f"{kind} {state}", **_fill(look, state))
            floor = ceiling
        axes.step(times, floor, where="post", color=style.INK, linewidth=0.7, label=state)


def _fill(look: style.KindLook, state: str) -> dict[str, Any]:
    """Solid for talking, pale and hatched for lingering."""
    if state == TALKING:
        return {"facecolor": look.colour, "linewidth": 0}
    edge = style.pale(look.colour, 0.25)
    return {"facecolor": style.pale(look.colour), "edgecolor": edge, "hatch": look.hatch, "linewidth": 0}


def _scale(axes: Axes, view: TimelineView, length_s: float) -> None:
    highest = _highest(view) if _is_limit_far(view) else max(_highest(view), view.limit)
    axes.set_ylim(0, highest * 1.17)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=7, integer=True, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda count, _: number(count)))
    axes.set_ylabel("connections held at once")
    axes.grid(axis="y")
    set_time_axis(axes, length_s, view.start_utc)


def _draw_limit(axes: Axes, view: TimelineView) -> None:
    """The limit as a line, the spells above it shaded and marked on the line itself."""
    axes.axhline(view.limit, color=style.ALARM, linewidth=1.6, dashes=(5, 2.5), label="limit", zorder=4)
    spells = [(start, end - start) for start, end in view.above]
    if spells:
        axes.broken_barh(
            spells,
            (0, 1),
            transform=axes.get_xaxis_transform(),
            facecolor=style.ALARM_TINT,
            edgecolor=style.ALARM_TINT,
            linewidth=0.8,
            zorder=0,
            label="above",
        )
        axes.hlines(
            [view.limit] * len(spells),
            [start for start, _ in spells],
            [start + length for start, length in spells],
            color=style.ALARM,
            linewidth=4.5,
            zorder=4,
        )
    highest = axes.get_ylim()[1]
    if view.limit <= highest:
        label, at, align = f"limit\n{number(view.limit)}", view.limit / highest, "center"
    else:
        label, at, align = f"↑ limit\n{number(view.limit)}", 1.0, "top"
    axes.text(
        1.012, at, label, transform=axes.transAxes, color=style.ALARM, va=align, fontweight="bold", linespacing=1.1
    )


def _draw_peak(axes: Axes, view: TimelineView, length_s: float, height_in: float) -> None:
    """Mark the peak; its label moves above the limit line if it would otherwise lie on it."""
    words = f"peak {'≥ ' if view.at_least else ''}{number(view.peak)} at {span(view.peak_at_s)}"
    per_in = axes.get_ylim()[1] / height_in
    base = float(view.peak)
    if 0 <= view.limit - view.peak < _PEAK_CLEARANCE_IN * per_in:
        base = float(view.limit)
    share = min(max(view.peak_at_s / length_s, 0), 1)
    align = "left" if share < 0.15 else "right" if share > 0.85 else "center"
    axes.plot([view.peak_at_s], [view.peak], "o", color=style.INK, markersize=5, clip_on=False, zorder=6, label="peak")
    axes.text(
        view.peak_at_s,
        base + 0.1 * per_in,
        words,
        ha=align,
        va="bottom",
        fontweight="bold",
        zorder=6,
        path_effects=[withStroke(linewidth=3, foreground="white")],
    )


def _place_bursts(view: TimelineView, length_s: float, width_in: float) -> list[_Mark]:
    """Put every burst in a lane so that no bar or name overlaps another; the largest bursts choose first."""
    lanes: list[list[tuple[float, float]]] = [[] for _ in range(MOST_LANES)]
    marks = []
    for burst in sorted((Burst(*burst) for burst in view.bursts), key=lambda burst: (-burst.new_flows, burst.start_s)):
        left, right = (min(max(at / length_s, 0), 1) * width_in for at in (burst.start_s, burst.end_s))
        right = max(right, left + 0.05)
        label = f"{one_line(burst.burst_class)} +{number(burst.new_flows)}"
        marks.append(_place(burst, label, left, right, lanes, width_in))
    return marks


def _place(
    burst: Burst, label: str, left: float, right: float, lanes: list[list[tuple[float, float]]], width_in: float
) -> _Mark:
    """The first lane with room for bar and name: name to the right of the bar, else to its left, else none."""
    name_in = text_width_in(label, style.SMALL_PT) + 0.06
    for name_at, start, end in ((right + 0.05, left, right + name_in), (left - name_in, left - name_in, right)):
        if start < 0 or end > width_in:
            continue
        for lane, taken in enumerate(lanes):
            if all(end + 0.12 <= other_start or start >= other_end + 0.12 for other_start, other_end in taken):
                taken.append((start, end))
                return _Mark(burst, lane, label, name_at)
    for lane, taken in enumerate(lanes):
        if all(right <= other_start or left >= other_end for other_start, other_end in taken):
            taken.append((left, right))
            return _Mark(burst, lane, label, None)
    return _Mark(burst, MOST_LANES - 1, label, None)


def _draw_bursts(strip: Axes, axes: Axes, marks: list[_Mark], length_s: float, width_in: float) -> None:
    """Draw each burst's bar and name in the strip, and where it begins as a hair line down to the curve."""
    for mark in marks:
        left, right = (min(max(at / length_s, 0), 1) * width_in for at in (mark.burst.start_s, mark.burst.end_s))
        middle = (mark.lane + 0.5) * _LANE_IN
        strip.add_patch(Rectangle((left, middle - 0.05), max(right - left, 0.05), 0.1, color=style.QUIET, linewidth=0))
        strip.plot([left, left], [-0.08, middle], color=style.QUIET, linewidth=0.7, clip_on=False)
        axes.axvline(mark.burst.start_s, color=style.QUIET, linewidth=0.6, alpha=0.6, dashes=(1, 3), zorder=1)
        if mark.label_left_in is not None:
            strip.text(
                mark.label_left_in,
                middle,
                mark.label,
                va="center_baseline",
                fontsize=style.SMALL_PT,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
            )


def _draw_key(sheet: Sheet, view: TimelineView) -> None:
    """Colours and hatches of the kinds, top to bottom as in the stack, with the number of each at the peak."""
    row, table = _row_at_peak(view), _whole_table(view)
    seen = [kind for kind in reversed(style.KINDS) if table[kind].to_numpy().any()]
    height = _KEY_LINE_IN * (len(seen) + 2.3)
    key = sheet.canvas(sheet.right_in - _KEY_IN, sheet.top_in - 0.08 - height, sheet.right_in, sheet.top_in - 0.08)
    key.set_label("key")
    key.text(0, height, "At the peak" if _is_exact(row, view) else "Near the peak", va="top", fontweight="bold")
    for state, _, right in _KEY_COLUMNS:
        key.text(right, height - _KEY_LINE_IN, state, ha="right", va="top", fontsize=style.SMALL_PT)
    for place, kind in enumerate(seen):
        base = height - _KEY_LINE_IN * (place + 2.75)
        key.text(0, base + 0.08, kind, va="center_baseline")
        for state, left, right in _KEY_COLUMNS:
            key.add_patch(Rectangle((left, base), 0.2, 0.17, **_fill(style.KIND_LOOKS[kind], state)))
            key.text(right, base + 0.08, number(row[(kind, state)]), ha="right", va="center_baseline")
