"""The shares: what they are given, the lengths of bars, their words."""

import pytest

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.figures import scatter, shares
from peerburst.analysis.figures.subject import Subject
from peerburst.analysis.gateways import load
from tests.analysis.figures.examples import shares_view
from tests.analysis.figures.reading import axes_named, words_of
from tests.support.making import HOST


def test_shares_and_scatter_are_of_the_same_flows(analysis: Analysis) -> None:
    table = shares.view(Subject(analysis, HOST, load("linux-connlimit"), 200)).table
    flows = scatter.view(Subject(analysis, HOST, load("linux-connlimit"), 200)).flows
    assert table["connections"].to_dict() == {"probe": 1, "sync": 30, "heavy": 1, "service": 1}
    assert flows["kind"].value_counts().to_dict() == table["connections"].to_dict()
    assert flows.groupby("kind")["ip_bytes"].sum().to_dict() == table["ip_bytes"].to_dict()
    assert flows.loc[flows["kind"] == "sync", "duration_s"].tolist() == pytest.approx([0.15] * 30)


def test_shares_bars_are_the_shares_most_connections_first() -> None:
    figure = shares.draw(shares_view())
    left, right = (axes_named(figure, label) for label in ("connections", "ip_bytes"))
    assert [bar.get_width() for bar in left.patches] == pytest.approx([0.82, 0.15, 0.03])  # type: ignore[attr-defined]
    assert [bar.get_width() for bar in right.patches] == pytest.approx([0.01, 0.09, 0.9])  # type: ignore[attr-defined]
    words = words_of(figure)
    assert {"82 %", "820 connections", "1 %", "10 kB", "90 %", "900 kB", "sync", "heavy"} <= set(words)
    assert "media" not in words


def test_shares_caption_tells_the_story() -> None:
    assert shares.caption(shares_view()) == (
        "1,000 connections moved 1 MB. Sync flows were 82 % of the connections and 1 % of the bytes. "
        "Heavy flows were 3 % of the connections and 90 % of the bytes."
    )
