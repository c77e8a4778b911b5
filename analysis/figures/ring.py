"""Where peers stand around their host: on a ring, in the order of their addresses, with brackets around networks.

Angles are radians, clockwise from the top; points are (x, y) from the host in the middle.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Arc

from peerburst.analysis.figures import style
from peerburst.analysis.humanize import one_line

Floats = npt.NDArray[np.float64]

BRACKET = 1.1  # of the ring's radius
_HOLE = 0.5  # of the ring's radius: room for the host and for seeing the lines
_OUTERMOST = 0.97  # leaves the rim to the peers with names
_NAMED = 1.03
_ONE_RING = 40  # up to this many peers stand on the rim
_MOST_NAMED_NETWORKS = 6
_SMALLEST_NAMED_NETWORK = 4
_SMALLEST_NAMED_SHARE = 0.03  # of the peers
_GOLDEN = (5**0.5 - 1) / 2


class Network(NamedTuple):
    """A network with many of the peers: how many, and the angles of its first and last."""

    prefix: str
    peers: int
    start: float
    end: float


def angles(prefixes: npt.NDArray[np.object_]) -> Floats:
    """One step per peer, and a gap on both sides of a network with several; `prefixes` in the order of addresses."""
    count = prefixes.size
    if count == 1:
        return np.zeros(1)
    gaps = _gaps(prefixes)
    turns: Floats = (np.arange(count) + np.cumsum(gaps[:count]) + 0.5) / (count + gaps.sum())
    return np.pi / 2 - 2 * np.pi * turns


def _gaps(prefixes: npt.NDArray[np.object_]) -> Floats:
    """The room before each peer and after the last, in steps: none but at the edges of networks with several peers."""
    count = prefixes.size
    starts = np.flatnonzero(np.r_[True, prefixes[1:] != prefixes[:-1]])
    sizes = np.diff(np.r_[starts, count])
    many = (sizes >= _SMALLEST_NAMED_NETWORK) & (sizes < count)
    ends = (starts + sizes)[many]
    gaps, gap = np.zeros(count + 1), max(0.6, count / 150)
    gaps[starts[many]] += gap
    gaps[ends[ends < count]] += gap
    gaps[count] = gap * many.any()
    return gaps


def points(at: Floats, named: Sequence[int]) -> Floats:
    """Where the peer at each angle stands, in radii; named peers (rows) stand on the rim, before their names."""
    count = at.size
    depth = np.ones(count)
    if count > _ONE_RING:
        # Steps of the golden ratio fill the ring evenly whatever the number of peers.
        depth = np.sqrt(_HOLE**2 + (_OUTERMOST**2 - _HOLE**2) * np.mod(np.arange(count) * _GOLDEN, 1.0))
        depth[np.array(named, dtype=np.intp)] = _NAMED
    return np.column_stack((np.cos(at), np.sin(at))) * depth[:, None]


def named_networks(prefixes: "pd.Series[str]", at: Floats) -> list[Network]:
    """Networks with many of the peers at these angles, the largest first."""
    sizes = prefixes.value_counts(sort=False)
    least = max(_SMALLEST_NAMED_NETWORK, _SMALLEST_NAMED_SHARE * len(prefixes))
    large = sizes[(sizes >= least) & (sizes < len(prefixes))].sort_values(ascending=False, kind="stable")
    named = []
    for prefix, count in large.iloc[:_MOST_NAMED_NETWORKS].items():
        rows = np.flatnonzero((prefixes == prefix).to_numpy())
        named.append(Network(one_line(str(prefix)), int(count), float(at[rows[0]]), float(at[rows[-1]])))
    return named


def bracket_point(network: Network, radius: float) -> tuple[float, float]:
    """The middle of a network's bracket."""
    middle = (network.start + network.end) / 2
    return BRACKET * radius * float(np.cos(middle)), BRACKET * radius * float(np.sin(middle))


def draw_bracket(axes: Axes, network: Network, radius: float) -> None:
    """An arc around the peers of one network."""
    around = 2 * BRACKET * radius
    first, last = np.degrees(min(network.start, network.end)), np.degrees(max(network.start, network.end))
    axes.add_patch(Arc((0, 0), around, around, theta1=first, theta2=last, color=style.QUIET, linewidth=1.6))
