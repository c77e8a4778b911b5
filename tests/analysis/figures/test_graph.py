"""The graph of peers: what it is given, where it puts them, its words."""

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.figures import graph
from peerburst.analysis.figures.subject import Subject
from peerburst.analysis.gateways import load
from tests.analysis.figures.examples import graph_view, star_view
from tests.analysis.figures.reading import axes_named, words_of
from tests.support.making import HOST, OTHER_HOST, remote


def test_the_graph_is_of_peers_outside(analysis: Analysis) -> None:
    peers = graph.view(Subject(analysis, HOST, load("linux-connlimit"), 200)).peers.set_index("peer")
    assert len(peers) == 32
    assert OTHER_HOST not in peers.index
    assert list(peers.loc["20.0.9.9"]) == ["20.0.0.0/16", 1, 48, "probe"]
    assert peers.loc[remote(1)[0], "connections"] == 2
    assert peers.loc[remote(90)[0], "kind"] == "heavy"
    assert peers["connections"].sum() == 33


def test_prefixes_as_people_write_them() -> None:
    assert graph.prefix("203.0.113.9") == "203.0.0.0/16"
    assert graph.prefix("2001:db8:1::9") == "2001:db8::/32"


def test_mesh_has_one_dot_and_one_line_per_peer_all_around() -> None:
    axes = axes_named(graph.draw(graph_view(500)), "graph")
    dots = next(collection for collection in axes.collections if collection.get_label() == "sync")
    points = np.asarray(dots.get_offsets())
    assert len(points) == 500
    quarters = np.bincount((points[:, 0] > 0) * 2 + (points[:, 1] > 0), minlength=4)
    assert quarters.min() > 100
    lines = next(collection for collection in axes.collections if isinstance(collection, LineCollection))
    assert len(lines.get_segments()) == 500
    gaps = np.linalg.norm(points[:, None] - points[None, :], axis=2)
    assert gaps[np.triu_indices(500, 1)].min() > 0.03  # inches: dots do not hide one another


def test_star_lines_grow_with_connections_and_peers_are_named() -> None:
    figure = graph.draw(star_view())
    axes = axes_named(figure, "graph")
    lines = next(collection for collection in axes.collections if isinstance(collection, LineCollection))
    widths = np.asarray(lines.get_linewidth()).tolist()
    assert widths == sorted(widths)
    assert widths[0] < widths[-1]
    words = words_of(figure)
    assert "192.0.2.5" in words
    assert "50 connections, 5 kB" in words


def test_graph_names_nobody_where_nobody_stands_out() -> None:
    view = graph_view(60)
    assert not set(view.peers["peer"]) & set(words_of(graph.draw(view)))
    view.peers.loc[7, "ip_bytes"] = 5000
    named = set(view.peers["peer"]) & set(words_of(graph.draw(view)))
    assert named == {view.peers["peer"][7]}


def test_graph_caption_says_the_numbers() -> None:
    assert graph.caption(star_view()) == (
        "150 connections with 5 peers in 1 network (/16, IPv6 /32): 30 per peer. None of the peers had just a single "
        "connection; the three most used had 80 % of all connections."
    )


def test_graph_keeps_addresses_in_order_and_names_large_networks() -> None:
    rows = [(f"198.51.{n}.1", "198.51.0.0/16", 1, 10, "sync") for n in range(20)]
    rows += [(f"{n}.1.1.1", f"{n}.1.0.0/16", 1, 10, "sync") for n in range(20, 80)]
    view = graph.GraphView(
        "10.0.0.7", pd.DataFrame(rows, columns=["peer", "prefix", "connections", "ip_bytes", "kind"])
    )
    figure = graph.draw(view)
    assert {"198.51.0.0/16", "20 peers in this network"} <= set(words_of(figure))
    dots = next(c for c in axes_named(figure, "graph").collections if c.get_label() == "sync")
    points = np.asarray(dots.get_offsets())
    clockwise = np.mod(np.pi / 2 - np.arctan2(points[:, 1], points[:, 0]), 2 * np.pi)
    assert (np.diff(clockwise) > 0).all()


def test_graph_of_too_many_peers_says_how_many_it_draws() -> None:
    view = graph_view(graph.MOST_PEERS + 500)
    axes = axes_named(graph.draw(view), "graph")
    dots = next(collection for collection in axes.collections if collection.get_label() == "sync")
    assert len(np.asarray(dots.get_offsets())) == graph.MOST_PEERS
    assert "Drawn are the 6,000 peers with the most connections." in graph.caption(view)
