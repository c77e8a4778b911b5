"""A host and everyone it talked to: a star of a few well-used peers, or a mesh of many used once.

Peers stand around the host in the order of their addresses, so that neighbours in the picture are neighbours in the
Internet, at depths that spread them evenly over a ring: 5,000 peers stay 5,000 dots. No layout by forces: between
peers there are no edges, so forces would find no structure, and the address order is what tells a mesh, spread over
the whole circle, from a data centre.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Arc

from peerburst.analysis.figures import style
from peerburst.analysis.figures.key import Entry, draw_key
from peerburst.analysis.figures.sheet import open_sheet, shorten, text_width_in
from peerburst.analysis.humanize import counted, few_digits, number, one_line, share, size

Floats = npt.NDArray[np.float64]

# Beyond this the dots touch; those with the most connections are drawn, and the caption says how many are not.
MOST_PEERS = 6000
_HEIGHT_IN = 6.9
_KEY_IN = 0.45
_RING_IN = 2.02  # radius; smaller if long names need the room
_HOLE = 0.5  # of the ring's radius: room for the host and for seeing the lines
_OUTERMOST = 0.97  # leaves the rim to the peers with names
_ONE_RING = 40  # up to this many peers stand on the rim
_MOST_NAMED_PEERS = 8
_MOST_NAMED_NETWORKS = 6
_SMALLEST_NAMED_NETWORK = 4
_LABEL_IN = 0.38
_BRACKET = 1.1  # of the ring's radius
_BEYOND_IN = 0.3  # from the bracket to the names
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, slots=True)
class GraphView:
    """What the graph draws.

    peers  one row per peer; columns: peer (address), prefix (its /16, or /32 for IPv6), connections (flows with it),
           ip_bytes (both directions), kind (of most of its flows).
    """

    host: str
    peers: pd.DataFrame


class Network(NamedTuple):
    """A network with many of the peers: how many, and the angles of its first and last."""

    prefix: str
    peers: int
    start: float
    end: float


class Label(NamedTuple):
    """A name beside the ring: two lines, the point it belongs to, and its place (inches from the host)."""

    first: str
    second: str
    point: tuple[float, float]
    left: bool
    height: float


def title(view: GraphView) -> str:
    """The picture's title."""
    return f"Whom {one_line(view.host)} talked to: {counted(len(view.peers), 'peer')}"


def caption(view: GraphView) -> str:
    """What is seen, with its numbers."""
    peers = view.peers
    if peers.empty:
        return "The host talked to no peer."
    flows = int(peers["connections"].sum())
    each = few_digits(flows / len(peers))
    once = int((peers["connections"] == 1).sum())
    most = peers["connections"].nlargest(3).sum()
    words = [
        f"{counted(flows, 'connection')} with {counted(len(peers), 'peer')} in "
        f"{counted(peers['prefix'].nunique(), 'network')} (/16, IPv6 /32): {each} per peer."
    ]
    if len(peers) > 3:
        single = f"{share(once, len(peers))} of the peers had" if once else "None of the peers had just"
        words.append(f"{single} a single connection; the three most used had {share(most, flows)} of all connections.")
    if len(peers) > MOST_PEERS:
        words.append(f"Drawn are the {number(MOST_PEERS)} peers with the most connections.")
    return " ".join(words)


@style.house_style
def draw(view: GraphView) -> Figure:
    """The picture; its axes are labelled `graph`, and the peers are the offsets of its scatters, one per kind."""
    subtitle = "peers in the order of their addresses; a thicker line is more connections, a larger dot more bytes"
    sheet = open_sheet(title(view), subtitle, caption(view), _HEIGHT_IN)
    if view.peers.empty:
        sheet.say_nothing_to_draw("the host talked to no peer")
        return sheet.figure
    peers = _in_address_order(view.peers)
    axes = sheet.canvas(sheet.left_in, sheet.bottom_in, sheet.right_in, sheet.top_in)
    axes.set_label("graph")
    half_width, tall = (sheet.right_in - sheet.left_in) / 2, sheet.top_in - sheet.bottom_in
    below = (tall - _KEY_IN) / 2
    axes.set(xlim=(-half_width, half_width), ylim=(-below, tall - below))
    named = _named_peers(peers)
    angles = _angles(peers["prefix"].to_numpy())
    networks = _named_networks(peers, angles)
    ring = _ring_in(peers, named, half_width)
    points = _points(angles, named) * ring
    _draw_peers(axes, peers, points)
    _draw_host(axes, one_line(view.host))
    _draw_labels(axes, _labels(peers, points, named, networks, ring), ring, half_width)
    for network in networks:
        _draw_bracket(axes, network, ring)
    _draw_key(axes, peers, -half_width, tall - below - 0.1)
    return sheet.figure


def _address_key(text: str) -> tuple[int, int, str]:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return (9, 0, text)
    return (address.version, int(address), text)


def _in_address_order(peers: pd.DataFrame) -> pd.DataFrame:
    drawn = peers
    if len(peers) > MOST_PEERS:
        drawn = peers.sort_values(["connections", "ip_bytes"], ascending=False, kind="stable").head(MOST_PEERS)
    order = sorted(range(len(drawn)), key=lambda row: _address_key(str(drawn["peer"].iloc[row])))
    return drawn.iloc[order].reset_index(drop=True)


def _named_peers(peers: pd.DataFrame) -> list[int]:
    """Rows of the peers worth a name: the most connections, then the most bytes; of many, those that stand out."""
    ranked = peers.sort_values(["connections", "ip_bytes"], ascending=False, kind="stable")
    if len(peers) > _MOST_NAMED_PEERS:
        usual = peers[["connections", "ip_bytes"]].median()
        ranked = ranked[(ranked["connections"] > usual["connections"]) | (ranked["ip_bytes"] > 2 * usual["ip_bytes"])]
    return [int(row) for row in ranked.index[:_MOST_NAMED_PEERS]]


def _ring_in(peers: pd.DataFrame, named: Sequence[int], half_width: float) -> float:
    """The ring's radius in inches, such that the longest name fits beside it."""
    widest = max((text_width_in(one_line(str(peers["peer"][row])), style.SMALL_PT) for row in named), default=0.0)
    return max(1.2, min(_RING_IN, (half_width - _BEYOND_IN - widest) / _BRACKET))


def _angles(prefixes: npt.NDArray[np.object_]) -> Floats:
    """Clockwise from the top, one step per peer and a gap on both sides of a network with several peers."""
    if prefixes.size == 1:
        return np.zeros(1)
    at = np.arange(prefixes.size, dtype=float)
    starts = np.flatnonzero(np.r_[True, prefixes[1:] != prefixes[:-1]])
    sizes = np.diff(np.r_[starts, prefixes.size])
    gaps = np.zeros(prefixes.size)
    many = (sizes >= _SMALLEST_NAMED_NETWORK) & (sizes < prefixes.size)
    gap = max(0.6, prefixes.size / 150)
    gaps[starts[many]] += gap
    ends = (starts + sizes)[many]
    gaps[ends[ends < prefixes.size]] += gap
    whole = prefixes.size + gaps.sum() + (gap if many.any() else 0)
    turns: Floats = (at + np.cumsum(gaps) + 0.5) / whole
    return np.pi / 2 - 2 * np.pi * turns


def _points(angles: Floats, named: Sequence[int]) -> Floats:
    """Where each peer stands, (x, y) in radii from the host; named peers stand on the rim, before their names."""
    count = angles.size
    depth = np.ones(count)
    if count > _ONE_RING:
        # Steps of the golden ratio fill the ring evenly whatever the number of peers.
        depth = np.sqrt(_HOLE**2 + (_OUTERMOST**2 - _HOLE**2) * np.mod(np.arange(count) * _GOLDEN, 1.0))
        depth[np.array(named, dtype=np.intp)] = 1.03
    return np.column_stack((np.cos(angles), np.sin(angles))) * depth[:, None]


def _draw_peers(axes: Axes, peers: pd.DataFrame, points: Floats) -> None:
    count = len(peers)
    colours = [style.KIND_LOOKS[str(kind)].colour for kind in peers["kind"]]
    connections = peers["connections"].to_numpy(dtype=float)
    data = peers["ip_bytes"].to_numpy(dtype=float)
    # Many lines meet at the host: the more there are, the thinner and fainter, or the middle becomes a blot.
    thin = min(1.0, (60 / count) ** 0.5)
    widths = np.minimum(0.9 * np.sqrt(connections) * max(thin, 0.35), 7)
    axes.add_collection(
        LineCollection(
            [((0.0, 0.0), point) for point in points.tolist()],
            colors=colours,
            linewidths=widths.tolist(),
            alpha=max(0.12, 0.55 * thin),
            zorder=1,
            label="connections",
        )
    )
    smallest = 34 * max(thin, 0.16)
    largest = max(float(data.max()), 1.0)
    areas = smallest * (0.6 + 4 * np.sqrt(data / largest) * max(thin, 0.45))
    kinds = peers["kind"].to_numpy()
    for kind, look in style.KIND_LOOKS.items():
        its = kinds == kind
        axes.scatter(
            points[its, 0],
            points[its, 1],
            s=areas[its],
            color=look.colour,
            marker=look.marker,
            linewidths=0.3,
            edgecolors="white",
            zorder=3,
            label=kind,
        )


def _draw_host(axes: Axes, host: str) -> None:
    lines = [host]
    if text_width_in(host, style.LABEL_PT, "bold") > 1.7 and ":" in host:
        parts = host.split(":")
        lines = [":".join(parts[: len(parts) // 2]) + ":", ":".join(parts[len(parts) // 2 :])]
    axes.text(
        0,
        0,
        "\n".join(lines),
        ha="center",
        va="center_baseline" if len(lines) == 1 else "center",
        fontweight="bold",
        color="white",
        zorder=6,
        bbox={"boxstyle": "round,pad=0.5", "facecolor": style.INK, "edgecolor": "white"},
    )


def _named_networks(peers: pd.DataFrame, angles: Floats) -> list[Network]:
    """Networks with many of the peers, the largest first."""
    sizes = peers["prefix"].value_counts(sort=False)
    least = max(_SMALLEST_NAMED_NETWORK, 0.03 * len(peers))
    large = sizes[(sizes >= least) & (sizes < len(peers))].sort_values(ascending=False, kind="stable")
    named = []
    for prefix, count in large.iloc[:_MOST_NAMED_NETWORKS].items():
        rows = np.flatnonzero((peers["prefix"] == prefix).to_numpy())
        named.append(Network(one_line(str(prefix)), int(count), float(angles[rows[0]]), float(angles[rows[-1]])))
    return named


def _labels(
    peers: pd.DataFrame, points: Floats, named: Sequence[int], networks: Sequence[Network], ring: float
) -> list[Label]:
    """Names for networks and peers, set in a column on each side so that none lies on another."""
    wanted = []
    for network in networks:
        middle = (network.start + network.end) / 2
        point = (_BRACKET * ring * np.cos(middle), _BRACKET * ring * np.sin(middle))
        wanted.append((network.prefix, f"{counted(network.peers, 'peer')} in this network", point))
    for row in named:
        what = f"{counted(peers['connections'][row], 'connection')}, {size(peers['ip_bytes'][row])}"
        wanted.append((one_line(str(peers["peer"][row])), what, (float(points[row, 0]), float(points[row, 1]))))
    reach = _BRACKET * _RING_IN
    labels = []
    for left in (True, False):
        side = [label for label in wanted if (label[2][0] < 0) == left][: int(2 * reach / _LABEL_IN)]
        side.sort(key=lambda label: label[2][1])
        heights = _spread([label[2][1] for label in side], -reach, reach)
        labels += [Label(*label, left, height) for label, height in zip(side, heights, strict=True)]
    return labels


def _spread(heights: Sequence[float], lowest: float, highest: float) -> list[float]:
    """Rising heights moved as little as needed to stand `_LABEL_IN` apart between lowest and highest."""
    placed: list[float] = []
    for at, height in enumerate(heights):
        least = placed[-1] + _LABEL_IN if placed else lowest + _LABEL_IN / 2
        most = highest - _LABEL_IN / 2 - (len(heights) - 1 - at) * _LABEL_IN
        placed.append(max(least, min(height, most)))
    return placed


def _draw_labels(axes: Axes, labels: Sequence[Label], ring: float, half_width: float) -> None:
    beside = _BRACKET * ring + _BEYOND_IN
    for label in labels:
        side = -1 if label.left else 1
        axes.plot(
            [label.point[0], side * (beside - 0.14), side * (beside - 0.05)],
            [label.point[1], label.height, label.height],
            color=style.QUIET,
            linewidth=0.6,
            zorder=2,
        )
        align = "right" if label.left else "left"
        for text, va, colour in ((label.first, "bottom", style.INK), (label.second, "top", style.QUIET)):
            axes.text(
                side * beside,
                label.height,
                shorten(text, half_width - beside, style.SMALL_PT),
                ha=align,
                va=va,
                color=colour,
                fontsize=style.SMALL_PT,
            )


def _draw_bracket(axes: Axes, network: Network, ring: float) -> None:
    """An arc around the peers of one network."""
    around = 2 * _BRACKET * ring
    first, last = np.degrees(min(network.start, network.end)), np.degrees(max(network.start, network.end))
    axes.add_patch(Arc((0, 0), around, around, theta1=first, theta2=last, color=style.QUIET, linewidth=1.6))


def _draw_key(axes: Axes, peers: pd.DataFrame, left: float, height: float) -> None:
    counts = peers["kind"].value_counts()
    entries = []
    for kind, look in style.KIND_LOOKS.items():
        if counts.get(kind, 0):
            mark = partial(_draw_mark, axes, look)
            entries.append(Entry(kind, counted(counts[kind], "peer"), mark))
    draw_key(axes, entries, 0.14, (left, height))


def _draw_mark(axes: Axes, look: style.KindLook, left: float, middle: float) -> None:
    axes.scatter([left + 0.07], [middle], s=60, color=look.colour, marker=look.marker, clip_on=False)
