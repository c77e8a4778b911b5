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

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from peerburst.analysis.figures import ring, sidelabels, style
from peerburst.analysis.figures.key import Entry, draw_key
from peerburst.analysis.figures.ring import Network
from peerburst.analysis.figures.sheet import Sheet, open_sheet, text_width_in
from peerburst.analysis.figures.sidelabels import Column, Label
from peerburst.analysis.figures.subject import Subject
from peerburst.analysis.hosts.locality import pair_codes, to_text
from peerburst.analysis.humanize import counted, few_digits, number, one_line, share, size
from peerburst.capture.vocabulary import KIND_NAMES

Floats = npt.NDArray[np.float64]

# Beyond this the dots touch; those with the most connections are drawn, and the caption says how many are not.
MOST_PEERS = 6000
_HEIGHT_IN = 6.9
_KEY_IN = 0.45
_RING_IN = 2.02  # radius; smaller if long names need the room
_SMALLEST_RING_IN = 1.2
_MOST_NAMED_PEERS = 8
_BEYOND_IN = 0.3  # from the bracket to the names


@dataclass(frozen=True, slots=True)
class GraphView:
    """What the graph draws.

    peers  one row per peer; columns: peer (address), prefix (its /16, or /32 for IPv6), connections (flows with it),
           ip_bytes (both directions), kind (of most of its flows).
    """

    host: str
    peers: pd.DataFrame


def view(subject: Subject) -> GraphView:
    """The host's peers outside, with how many connections each and of which kind most."""
    analysis = subject.analysis
    flows = analysis.counted_flows(subject.number)
    codes, addresses = pair_codes(flows.remote_hi, flows.remote_lo)
    peers, kinds = addresses.shape[0], len(KIND_NAMES)
    by_kind = np.bincount(codes * kinds + analysis.kinds[flows.flow], minlength=peers * kinds).reshape(peers, kinds)
    ip_bytes = np.bincount(codes, weights=analysis.facts.ip_bytes[flows.flow], minlength=peers)
    names = [to_text(int(high), int(low)) for high, low in addresses]
    columns = {
        "peer": names,
        "prefix": [prefix(name) for name in names],
        "connections": np.bincount(codes, minlength=peers),
        "ip_bytes": ip_bytes.astype(np.int64),
        "kind": [KIND_NAMES[most] for most in by_kind.argmax(axis=1)] if peers else [],
    }
    return GraphView(subject.host, pd.DataFrame(columns))


def prefix(address: str) -> str:
    """The /16 of an IPv4 address, the /32 of an IPv6 one, as people write it."""
    if ":" in address:
        return str(ipaddress.ip_network((address, 32), strict=False))
    first, second = address.split(".")[:2]
    return f"{first}.{second}.0.0/16"


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
    axes = _centred_canvas(sheet)
    peers = _in_address_order(view.peers)
    _draw_ring(axes, peers, one_line(view.host))
    _draw_key(axes, peers, axes.get_xlim()[0], axes.get_ylim()[1] - 0.1)
    return sheet.figure


def _centred_canvas(sheet: Sheet) -> Axes:
    """All of the sheet that is free, in inches from where the host stands: in the middle of what lies under the key."""
    axes = sheet.canvas(sheet.left_in, sheet.bottom_in, sheet.right_in, sheet.top_in)
    axes.set_label("graph")
    half_width, height = (sheet.right_in - sheet.left_in) / 2, sheet.top_in - sheet.bottom_in
    below = (height - _KEY_IN) / 2
    axes.set(xlim=(-half_width, half_width), ylim=(-below, height - below))
    return axes


def _draw_ring(axes: Axes, peers: pd.DataFrame, host: str) -> None:
    """Draw the host, its peers around it, and the names of those that stand out."""
    half_width = axes.get_xlim()[1]
    named = _named_peers(peers)
    angles = ring.angles(peers["prefix"].to_numpy())
    networks = ring.named_networks(peers["prefix"], angles)
    radius = _radius_in(peers, named, half_width)
    points = ring.points(angles, named) * radius
    _draw_connections(axes, peers, points)
    _draw_dots(axes, peers, points)
    _draw_host(axes, host)
    labels = _network_labels(networks, radius) + _peer_labels(peers, points, named)
    sidelabels.draw(axes, labels, Column(ring.BRACKET * radius + _BEYOND_IN, half_width, ring.BRACKET * _RING_IN))
    for network in networks:
        ring.draw_bracket(axes, network, radius)


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


def _radius_in(peers: pd.DataFrame, named: Sequence[int], half_width: float) -> float:
    """The ring's radius in inches, such that the longest name fits beside it."""
    widest = max((text_width_in(one_line(str(peers["peer"][row])), style.SMALL_PT) for row in named), default=0.0)
    return max(_SMALLEST_RING_IN, min(_RING_IN, (half_width - _BEYOND_IN - widest) / ring.BRACKET))


def _thinness(peers: pd.DataFrame) -> float:
    """How much thinner and fainter than usual: many lines meet at the host, or the middle becomes a blot."""
    return float(min(1.0, (60 / len(peers)) ** 0.5))


def _draw_connections(axes: Axes, peers: pd.DataFrame, points: Floats) -> None:
    """A line from the host to each peer."""
    thin = _thinness(peers)
    widths = np.minimum(0.9 * np.sqrt(peers["connections"].to_numpy(dtype=float)) * max(thin, 0.35), 7)
    lines = LineCollection(
        [((0.0, 0.0), point) for point in points.tolist()],
        colors=[style.KIND_LOOKS[str(kind)].colour for kind in peers["kind"]],
        linewidths=widths.tolist(),
        alpha=max(0.12, 0.55 * thin),
        zorder=1,
        label="connections",
    )
    axes.add_collection(lines)


def _draw_dots(axes: Axes, peers: pd.DataFrame, points: Floats) -> None:
    """A dot for each peer, its area by bytes."""
    areas, kinds = _areas(peers), peers["kind"].to_numpy()
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


def _areas(peers: pd.DataFrame) -> Floats:
    """Areas of the dots in square points."""
    thin, ip_bytes = _thinness(peers), peers["ip_bytes"].to_numpy(dtype=float)
    largest = max(float(ip_bytes.max()), 1.0)
    smallest_area = 34 * max(thin, 0.16)
    areas: Floats = smallest_area * (0.6 + 4 * np.sqrt(ip_bytes / largest) * max(thin, 0.45))
    return areas


def _draw_host(axes: Axes, host: str) -> None:
    lines = _host_lines(host)
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


def _host_lines(host: str) -> list[str]:
    """A long IPv6 address in two lines."""
    if text_width_in(host, style.LABEL_PT, "bold") <= 1.7 or ":" not in host:
        return [host]
    groups = host.split(":")
    middle = len(groups) // 2
    return [":".join(groups[:middle]) + ":", ":".join(groups[middle:])]


def _network_labels(networks: Sequence[Network], radius: float) -> list[Label]:
    return [
        Label(network.prefix, f"{counted(network.peers, 'peer')} in this network", ring.bracket_point(network, radius))
        for network in networks
    ]


def _peer_labels(peers: pd.DataFrame, points: Floats, named: Sequence[int]) -> list[Label]:
    labels = []
    for row in named:
        what = f"{counted(peers['connections'][row], 'connection')}, {size(peers['ip_bytes'][row])}"
        labels.append(Label(one_line(str(peers["peer"][row])), what, (float(points[row, 0]), float(points[row, 1]))))
    return labels


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
