"""Connections of one host over time, as one gateway counts them: the picture the article asked for.

Solid areas are connections that had a packet in the last five seconds (talking); the pale, hatched ones on top are
only remembered by the gateway (lingering). Together they are what a limit is held against.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.counting.host_entries import Entries, active_intervals
from peerburst.analysis.counting.step_function import Steps
from peerburst.analysis.counting.step_function import steps as steps_of
from peerburst.analysis.figures import lanes, limitline, stack, style
from peerburst.analysis.figures.lanes import BurstBar, PlacedBurst, TimeScale
from peerburst.analysis.figures.sampling import drawn_instants
from peerburst.analysis.figures.sheet import MARGIN_IN, WIDTH_IN, Sheet, open_sheet
from peerburst.analysis.figures.stack import LINGERING, TALKING
from peerburst.analysis.figures.subject import Subject
from peerburst.analysis.figures.timeaxis import set_time_axis, utc
from peerburst.analysis.humanize import counted, number, one_line, span
from peerburst.capture.vocabulary import KIND_NAMES

# A limit more than this many times the peak would flatten the curve; it is then named instead of drawn to scale.
FARTHEST_LIMIT = 4
_LIMIT_LABEL_IN = 0.72
_AXIS_LABEL_IN = 0.8
_TIME_LABEL_IN = 0.55
_UNDER_LANES_IN = 0.08
_PEAK_CLEARANCE_IN = 0.42  # a label this near under the limit line would sit on it


@dataclass(frozen=True, slots=True)
class TimelineView:
    """What the timeline draws.

    counts   index: seconds since the first packet, rising; columns: (kind, "talking" | "lingering"); values: entries
             held from that instant until the next row. Kinds that are left out count 0.
    above    intervals (start_s, end_s) above the limit, in order; one still going on ends with the capture.
    peak     the exact largest count, which a sampled `counts` may miss, and when it was reached.
    at_least the peak is a lower bound (flows already open at the first packet, or packets lost).
    """

    host: str
    model_title: str
    limit: int
    counts: pd.DataFrame
    above: Sequence[tuple[float, float]]
    bursts: Sequence[BurstBar]
    peak: int
    peak_at_s: float
    start_utc: str
    at_least: bool = False


# --- from the analysis -----------------------------------------------------------------------------------------------


def view(subject: Subject) -> TimelineView:
    """The host's count over time. Of a host to which all connections were opened, those are counted."""
    analysis, number = subject.analysis, subject.number
    capture, inbound = analysis.capture, analysis.is_server(number)
    held = analysis.entries_of(number, subject.model)
    mine = held.of(number, inbound=inbound)
    steps = steps_of(held.entry["start"][mine], held.entry["end"][mine])
    peak, peak_at_s = _peak(analysis, steps)
    return TimelineView(
        host=subject.host,
        model_title=subject.model.title + (", connections opened to the host" if inbound else ""),
        limit=subject.limit,
        counts=_counts_by_kind(analysis, held, mine, drawn_instants(steps, capture.first_ns, capture.last_ns)),
        above=[
            (analysis.since_start(begin), analysis.since_start(end))
            for begin, end in limitline.intervals_above(steps, subject.limit, capture.last_ns)
        ],
        bursts=_bursts(analysis, subject.host, inbound),
        peak=peak,
        peak_at_s=peak_at_s,
        start_utc=utc(capture.first_ns),
        at_least=analysis.at_least(number),
    )


def _peak(analysis: Analysis, steps: Steps) -> tuple[int, float]:
    """The largest count within the capture, and its first instant in seconds; 0 at 0 where nothing was held."""
    within = steps.at <= analysis.capture.last_ns
    if not within.any():
        return 0, 0.0
    best = int(steps.count[within].argmax())
    return int(steps.count[best]), analysis.since_start(steps.at[best])


def _counts_by_kind(
    analysis: Analysis, held: Entries, mine: npt.NDArray[np.bool_], instants: npt.NDArray[np.int64]
) -> pd.DataFrame:
    """Columns (kind, talking or lingering): the entries chosen by `mine` at each instant."""
    start, end = held.entry["start"], held.entry["end"]
    kind = analysis.kinds[held.entry["flow"]]
    active_start, active_end, active = active_intervals(analysis.capture.flows, held)
    columns = {}
    for code, name in enumerate(KIND_NAMES):
        chosen = mine & (kind == code)
        total = steps_of(start[chosen], end[chosen]).value(instants)
        is_active = chosen[active]
        talking = steps_of(active_start[is_active], active_end[is_active]).value(instants)
        columns[name, TALKING] = talking
        columns[name, LINGERING] = total - talking
    return pd.DataFrame(columns, index=pd.Index((instants - analysis.capture.first_ns) / 1e9, name="t_s"))


def _bursts(analysis: Analysis, host: str, inbound: bool) -> list[BurstBar]:
    return [
        BurstBar(burst.start_s, burst.end_s, burst.classification.label.value, burst.features.flow_count)
        for burst in analysis.bursts
        if burst.host == host and burst.inbound == inbound
    ]


# --- in words --------------------------------------------------------------------------------------------------------


def title(view: TimelineView) -> str:
    """The picture's title."""
    return f"Connections the gateway holds for {one_line(view.host)}"


def caption(view: TimelineView) -> str:
    """What is seen, with its numbers."""
    if _is_empty(view):
        return "The host held no connection that the gateway counts."
    return " ".join((_peak_in_words(view), _above_in_words(view), _bursts_in_words(view))).rstrip()


def _is_empty(view: TimelineView) -> bool:
    return len(view.counts) == 0 or (view.peak == 0 and not view.counts.to_numpy().any())


def _peak_in_words(view: TimelineView) -> str:
    row = _row_at_peak(view)
    talking = int(row.xs(TALKING, level=1).sum())
    at_least = "at least " if view.at_least else ""
    about = "" if _is_exact(row, view) else "about "
    return (
        f"Peak: {at_least}{counted(view.peak, 'connection')} {span(view.peak_at_s)} after the first packet; "
        f"{about}{number(talking)} had a packet in the last 5 s (talking), "
        f"{about}{number(max(view.peak - talking, 0))} the gateway only remembered (lingering)."
    )


def _row_at_peak(view: TimelineView) -> pd.Series:
    """The counts of each kind in the row nearest to the peak."""
    table = stack.whole(view.counts)
    at = int(table.index.searchsorted(view.peak_at_s, side="right")) - 1
    # A sampled table can miss the very instant: of the neighbours, the fuller row is the one that shows the peak.
    near = table.iloc[max(at, 0) : max(at, 0) + 2]
    return near.iloc[int(near.sum(axis=1).to_numpy().argmax())]


def _is_exact(row: pd.Series, view: TimelineView) -> bool:
    return int(row.sum()) == view.peak


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
    largest = max(view.bursts, key=lambda burst: burst.new_flows)
    opened = f"{counted(largest.new_flows, 'new connection')} in {span(largest.end_s - largest.start_s)}"
    if len(view.bursts) == 1:
        return f"One burst, marked above the curve: {one_line(largest.burst_class)}, {opened}."
    unnamed = sum(1 for burst in lanes.place(view.bursts, _time_scale(view)) if burst.label_left_in is None)
    return (
        f"{counted(len(view.bursts), 'burst')} are marked above the curve"
        + (f" ({number(unnamed)} without room for a name)" if unnamed else "")
        + f", the largest {one_line(largest.burst_class)}: {opened}."
    )


# --- drawn -----------------------------------------------------------------------------------------------------------


@style.house_style
def draw(view: TimelineView) -> Figure:
    """The picture; axes are labelled `counts`, `bursts` and `key`."""
    sheet = open_sheet(title(view), f"as counted by {one_line(view.model_title)}", caption(view))
    if _is_empty(view):
        sheet.say_nothing_to_draw("no connection was counted")
        return sheet.figure
    scale = _time_scale(view)
    placed = lanes.place(view.bursts, scale)
    top = sheet.top_in - lanes.LANE_IN * (1 + max((burst.lane for burst in placed), default=-1))
    axes = _draw_curve(sheet, view, scale, top - _UNDER_LANES_IN)
    if placed:
        _draw_bursts(sheet, axes, placed, (top, scale.width_in))
    row, table = _row_at_peak(view), stack.whole(view.counts)
    stack.draw_key(sheet, table, row, "At the peak" if _is_exact(row, view) else "Near the peak")
    return sheet.figure


def _time_scale(view: TimelineView) -> TimeScale:
    """Seconds the time axis covers, and the inches it has for them."""
    times = view.counts.index.to_numpy(dtype=float)
    rest = float(np.median(np.diff(times))) if times.size > 1 else 1.0
    ends = [times[-1] + rest, view.peak_at_s]
    ends += [end for _, end in view.above] + [burst.end_s for burst in view.bursts]
    margin = 2 * MARGIN_IN + _AXIS_LABEL_IN + _LIMIT_LABEL_IN + stack.KEY_IN
    return TimeScale(max(float(np.nanmax(ends)), 1e-6), WIDTH_IN - margin)


def _draw_curve(sheet: Sheet, view: TimelineView, scale: TimeScale, top_in: float) -> Axes:
    left, bottom = sheet.left_in + _AXIS_LABEL_IN, sheet.bottom_in + _TIME_LABEL_IN
    axes = sheet.axes(left, bottom, left + scale.width_in, top_in)
    axes.set_label("counts")
    stack.draw(axes, stack.whole(view.counts), scale.length_s)
    _set_scale(axes, view, scale.length_s)
    limitline.draw(axes, view.limit, view.above)
    _draw_peak(axes, view, scale.length_s, top_in - bottom)
    return axes


def _draw_bursts(sheet: Sheet, axes: Axes, placed: Sequence[PlacedBurst], place_in: tuple[float, float]) -> None:
    left, (bottom, width) = sheet.left_in + _AXIS_LABEL_IN, place_in
    strip = sheet.canvas(left, bottom, left + width, sheet.top_in)
    strip.set_label("bursts")
    lanes.draw(strip, axes, placed)


def _set_scale(axes: Axes, view: TimelineView, length_s: float) -> None:
    highest = _highest(view) if _is_limit_far(view) else max(_highest(view), view.limit)
    axes.set_ylim(0, highest * 1.17)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=7, integer=True, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda count, _: number(count)))
    axes.set_ylabel("connections held at once")
    axes.grid(axis="y")
    set_time_axis(axes, length_s, view.start_utc)


def _highest(view: TimelineView) -> float:
    return max(float(stack.whole(view.counts).sum(axis=1).max()), view.peak, 1)


def _is_limit_far(view: TimelineView) -> bool:
    return view.limit > FARTHEST_LIMIT * _highest(view)


def _draw_peak(axes: Axes, view: TimelineView, length_s: float, height_in: float) -> None:
    """Mark the peak; its label moves above the limit line if it would otherwise lie on it."""
    words = f"peak {'≥ ' if view.at_least else ''}{number(view.peak)} at {span(view.peak_at_s)}"
    per_in = axes.get_ylim()[1] / height_in
    is_under_limit = 0 <= view.limit - view.peak < _PEAK_CLEARANCE_IN * per_in
    base = float(view.limit if is_under_limit else view.peak)
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
