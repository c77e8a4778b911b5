"""Bursts in lanes above the timeline: each a bar as long as the burst, with its name where there is room."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from peerburst.analysis.figures import style
from peerburst.analysis.figures.sheet import text_width_in
from peerburst.analysis.humanize import number, one_line

MOST_LANES = 6
LANE_IN = 0.235
_SHORTEST_BAR_IN = 0.05
_BAR_TO_NAME_IN = 0.05
_AFTER_NAME_IN = 0.06
_BETWEEN_NAMES_IN = 0.12


class BurstBar(NamedTuple):
    """One burst: when (seconds since the first packet), its class, and how many flows it opened."""

    start_s: float
    end_s: float
    burst_class: str
    new_flows: int


class TimeScale(NamedTuple):
    """A time axis: the seconds it covers from 0, and its width in inches."""

    length_s: float
    width_in: float

    def inches(self, at_s: float) -> float:
        """Inches from the axis's left end, which no time lies beyond."""
        return min(max(at_s / self.length_s, 0), 1) * self.width_in


class PlacedBurst(NamedTuple):
    """A burst in a lane, in inches; `label_left_in` is None where there was no room for its name."""

    start_s: float
    left_in: float
    right_in: float
    lane: int
    label: str
    label_left_in: float | None


Extent = tuple[float, float]  # left and right, inches


def place(bursts: Sequence[BurstBar], scale: TimeScale) -> list[PlacedBurst]:
    """Put every burst in a lane so that no bar or name overlaps another; the largest bursts choose first."""
    lanes: list[list[Extent]] = [[] for _ in range(MOST_LANES)]
    largest_first = sorted(bursts, key=lambda burst: (-burst.new_flows, burst.start_s))
    return [_place(burst, lanes, scale) for burst in largest_first]


def _place(burst: BurstBar, lanes: list[list[Extent]], scale: TimeScale) -> PlacedBurst:
    """Take the first lane with room for bar and name, else one with room for the bar alone."""
    left = scale.inches(burst.start_s)
    right = max(scale.inches(burst.end_s), left + _SHORTEST_BAR_IN)
    label = f"{one_line(burst.burst_class)} +{number(burst.new_flows)}"
    for label_left, start, end in _beside((left, right), label, scale.width_in):
        lane = _take_lane(lanes, (start, end), _BETWEEN_NAMES_IN)
        if lane is not None:
            return PlacedBurst(burst.start_s, left, right, lane, label, label_left)
    lane = _take_lane(lanes, (left, right), 0.0)
    return PlacedBurst(burst.start_s, left, right, MOST_LANES - 1 if lane is None else lane, label, None)


def _beside(bar: Extent, label: str, width_in: float) -> Iterator[tuple[float, float, float]]:
    """Where the name may stand, and what bar and name take together: right of the bar, else left of it."""
    left, right = bar
    name_in = text_width_in(label, style.SMALL_PT) + _AFTER_NAME_IN
    if right + name_in <= width_in:
        yield right + _BAR_TO_NAME_IN, left, right + name_in
    if left - name_in >= 0:
        yield left - name_in, left - name_in, right


def _take_lane(lanes: list[list[Extent]], wanted: Extent, apart_in: float) -> int | None:
    """The first lane where the extent stays that far apart from all others; it is taken then."""
    start, end = wanted
    for lane, taken in enumerate(lanes):
        if all(end + apart_in <= other_start or start >= other_end + apart_in for other_start, other_end in taken):
            taken.append(wanted)
            return lane
    return None


def draw(strip: Axes, below: Axes, placed: Sequence[PlacedBurst]) -> None:
    """Draw bars and names in the strip, in inches, and where each begins as a hair line through the curve `below`."""
    for burst in placed:
        middle = (burst.lane + 0.5) * LANE_IN
        _draw_bar(strip, burst, middle)
        below.axvline(burst.start_s, color=style.QUIET, linewidth=0.6, alpha=0.6, dashes=(1, 3), zorder=1)
        if burst.label_left_in is not None:
            _draw_name(strip, burst.label, burst.label_left_in, middle)


def _draw_bar(strip: Axes, burst: PlacedBurst, middle: float) -> None:
    width = burst.right_in - burst.left_in
    strip.add_patch(Rectangle((burst.left_in, middle - 0.05), width, 0.1, color=style.QUIET, linewidth=0))
    down = [burst.left_in, burst.left_in], [-0.08, middle]
    strip.plot(*down, color=style.QUIET, linewidth=0.7, clip_on=False)


def _draw_name(strip: Axes, label: str, left_in: float, middle: float) -> None:
    plate = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    strip.text(left_in, middle, label, va="center_baseline", fontsize=style.SMALL_PT, bbox=plate)
