"""A time axis in the unit that suits its length: seconds, minutes, hours or days since the first packet."""

from datetime import UTC, datetime
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MultipleLocator

from peerburst.analysis.humanize import one_line

_DECIMAL_STEPS = tuple(digit * 10.0**power for power in range(-6, 3) for digit in (1, 2, 5))
_MOST_TICKS = 11


class TimeUnit(NamedTuple):
    """A unit of time: its name on the axis, its seconds, from what length it is used, and its round steps."""

    name: str
    seconds: float
    from_s: float
    steps: tuple[float, ...]


# Each unit takes over where the next smaller one would need four digits or more than a dozen round steps.
UNITS = (
    TimeUnit("days", 86_400, 4 * 86_400, (1, 2, 5, 7, 14, 28, 56, 112, 365)),
    TimeUnit("hours", 3600, 3 * 3600, (0.5, 1, 2, 3, 6, 12, 24)),
    TimeUnit("minutes", 60, 300, (0.5, 1, 2, 5, 10, 15, 20, 30)),
    TimeUnit("seconds", 1, 0, (*_DECIMAL_STEPS, 30.0, 60.0)),
)


def unit_for(length_s: float) -> TimeUnit:
    """The unit an axis of this length is best read in."""
    return next(unit for unit in UNITS if length_s >= unit.from_s)


def step_for(length_s: float, unit: TimeUnit) -> float:
    """Seconds between ticks: the smallest round step that keeps the ticks few."""
    steps = sorted(unit.steps)
    fitting = (step for step in steps if length_s / (step * unit.seconds) <= _MOST_TICKS)
    return next(fitting, length_s / unit.seconds / _MOST_TICKS) * unit.seconds


def utc(ns: int) -> str:
    """Nanoseconds since 1970 as date and time, for the axis's label."""
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def set_time_axis(axes: Axes, length_s: float, start_utc: str = "") -> None:
    """Scale and label the x axis, whose data are seconds since the first packet, from 0 to `length_s`."""
    unit = unit_for(length_s)
    axes.set_xlim(0, length_s)
    axes.xaxis.set_major_locator(MultipleLocator(step_for(length_s, unit)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at_s, _: f"{at_s / unit.seconds:,.6g}"))
    began = f" ({one_line(start_utc)})" if start_utc else ""
    axes.set_xlabel(f"{unit.name} since the first packet{began}")
