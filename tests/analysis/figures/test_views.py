"""What each picture is given to draw: the numbers of the analysis."""

from pathlib import Path

import numpy as np
import pytest

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.figures import registry as pictures
from peerburst.analysis.gateways import load
from peerburst.capture.errors import SettingsError
from tests.support.making import HOST, OTHER_HOST, Tape, local, remote
from tests.support.packets_by_hand import SYN


@pytest.fixture
def analysis(tmp_path: Path) -> Analysis:
    tape = Tape()
    tape.connection(0, local(4000), remote(90), received=700_000)
    for i in range(30):
        tape.exchange(50 + i * 0.2, local(5000), remote(i, 40_000 + i))
        tape.udp(50.15 + i * 0.2, local(5000), remote(i, 40_000 + i))
    tape.udp(60, local(5001), ("20.0.9.9", 40_000))
    tape.udp(100, local(5002), remote(1, 53))
    tape.tcp(101, local(6000), (OTHER_HOST, 445), SYN)
    return tape.analysis(tmp_path)


def test_the_timeline_adds_up_to_the_count(analysis: Analysis) -> None:
    view = pictures.timeline_view(analysis, HOST, load("linux-connlimit"), 20)
    steps = analysis.steps(HOST, "linux-connlimit")
    instants = np.round(view.counts.index.to_numpy() * 1e9).astype(np.int64) + analysis.capture.first_ns
    assert view.counts.sum(axis=1).tolist() == steps.value(instants).tolist()
    assert (view.counts >= 0).all(axis=None)
    talking = view.counts.xs("talking", axis=1, level=1).to_numpy().sum(axis=1)
    assert talking.tolist() == analysis.talking_steps(HOST, "linux-connlimit").value(instants).tolist()
    peak = analysis.peak(analysis.host_number(HOST), load("linux-connlimit"))
    assert (view.peak, view.peak_at_s) == (peak.peak, peak.peak_at_s) == (31, 60.0)
    assert int(view.counts.sum(axis=1).max()) == 31
    assert [label for *_span, label, _flows in view.bursts] == ["discovery"]
    assert view.limit == 20
    # Above 20: from the 21st at 54 s until those of before 54 s have been silent for 30 s.
    ((begin, end),) = view.above
    assert (begin, end) == pytest.approx((54.0, 80.15 + 10 * 0.2))


def test_a_spell_above_ends_with_the_capture(analysis: Analysis) -> None:
    steps = analysis.steps(HOST, "flat:1000")
    last = analysis.capture.last_ns
    assert [end for _begin, end in pictures._spells_above(steps, 5, last)] == [last]
    assert pictures._spells_above(steps, 1000, last) == []


def test_very_many_steps_are_drawn_by_their_peaks(tmp_path: Path) -> None:
    tape = Tape()
    for i in range(3000):
        tape.udp(i * 0.1, local(5000), remote(i))
    analysis = tape.analysis(tmp_path, "flat:10")
    view = pictures.timeline_view(analysis, HOST, load("flat:10"), 200)
    assert len(view.counts) <= 1.6 * pictures.MOST_INSTANTS
    assert int(view.counts.sum(axis=1).max()) == view.peak == analysis.hosts[0].models["flat:10"].peak


def test_the_graph_is_of_peers_outside(analysis: Analysis) -> None:
    peers = pictures.graph_view(analysis, HOST).peers.set_index("peer")
    assert len(peers) == 32
    assert OTHER_HOST not in peers.index
    assert list(peers.loc["20.0.9.9"]) == ["20.0.0.0/16", 1, 48, "probe"]
    assert peers.loc[remote(1)[0], "connections"] == 2
    assert peers.loc[remote(90)[0], "kind"] == "heavy"
    assert peers["connections"].sum() == 33


def test_prefixes_as_people_write_them() -> None:
    assert pictures._prefix("203.0.113.9") == "203.0.0.0/16"
    assert pictures._prefix("2001:db8:1::9") == "2001:db8::/32"


def test_the_raster_knows_when_the_gateway_forgets(analysis: Analysis) -> None:
    view = pictures.raster_view(analysis, HOST, load("linux-connlimit"))
    assert view.start_s.size == 33
    assert view.gone_s[-2:] == pytest.approx([90.0, 130.0])  # the one packet at 60 s, the question at 100 s
    naive = pictures.raster_view(analysis, HOST, load("naive"))
    assert np.isnan(naive.gone_s[1:]).all()  # UDP is never in its table


def test_shares_and_scatter_are_of_the_same_flows(analysis: Analysis) -> None:
    table = pictures.shares_view(analysis, HOST).table
    scatter = pictures.scatter_view(analysis, HOST).flows
    assert table["connections"].to_dict() == {"probe": 1, "sync": 30, "heavy": 1, "service": 1}
    assert scatter["kind"].value_counts().to_dict() == table["connections"].to_dict()
    assert scatter.groupby("kind")["ip_bytes"].sum().to_dict() == table["ip_bytes"].to_dict()
    assert scatter.loc[scatter["kind"] == "sync", "duration_s"].tolist() == pytest.approx([0.15] * 30)


def test_of_a_server_what_others_open_is_drawn(tmp_path: Path) -> None:
    tape = Tape()
    for i in range(20):
        tape.open(i, remote(i, 50_000), local(80))
    analysis = tape.analysis(tmp_path)
    view = pictures.timeline_view(analysis, HOST, load("linux-connlimit"), 200)
    assert view.peak == 20
    assert "opened to the host" in view.model_title


@pytest.mark.parametrize("name", pictures.NAMES)
def test_every_picture_is_drawn(analysis: Analysis, name: str) -> None:
    assert pictures.figure(analysis, name, HOST).axes


def test_a_picture_of_another_name_is_refused(analysis: Analysis) -> None:
    with pytest.raises(SettingsError, match="there are timeline, graph"):
        pictures.figure(analysis, "pie", HOST)
    with pytest.raises(SettingsError, match="no local host"):
        pictures.figure(analysis, "timeline", "10.9.9.9")
