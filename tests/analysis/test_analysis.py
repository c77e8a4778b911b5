"""One capture's answers: hosts, bursts, the verdict matrix, and what is said where there is nothing to say."""

import json
from pathlib import Path

import pytest

from peerburst.analysis.gateways import DEFAULT_MODELS
from peerburst.capture.errors import SettingsError
from peerburst.render.json_document import document
from tests.support.making import HOST, OTHER_HOST, Tape, local, remote
from tests.support.packets_by_hand import ACK


def login() -> Tape:
    """Thirty peers in six seconds, after a connection to a server."""
    tape = Tape()
    tape.connection(0, local(4000), remote(90), received=5000)
    for i in range(30):
        tape.exchange(100 + i * 0.2, local(5000), remote(i, 40_000 + i))
    return tape


def test_hosts_in_numbers(tmp_path: Path) -> None:
    tape = login()
    tape.tcp(120, local(9000, OTHER_HOST), local(445), ACK)
    tape.udp(121, local(9001, OTHER_HOST), remote(3))
    analysis = tape.analysis(tmp_path)
    first, second = analysis.hosts
    assert (first.name, first.flows, first.peers, first.inbound_peak) == (HOST, 32, 32, 0)
    assert (second.name, second.flows, second.peers) == (OTHER_HOST, 2, 2)
    assert first.ip_bytes == int(analysis.facts.ip_bytes.sum()) - 48
    assert list(first.models) == list(DEFAULT_MODELS)
    # The server's connection is closed; only what lingers differs.
    peaks = {name: peak.peak for name, peak in first.models.items()}
    assert peaks["linux-connlimit"] == 30
    assert peaks["linux-conntrack"] == 31
    assert peaks["nat-mapping"] == 2
    assert peaks["naive"] == 1
    assert first.models["linux-conntrack"].peak_at_s == pytest.approx(105.8)


def test_the_verdict_matrix(tmp_path: Path) -> None:
    analysis = login().analysis(tmp_path, "linux-connlimit", "linux-conntrack", "naive", limits=(30, 10))
    table = analysis.matrix(HOST)
    assert list(map(str, table.columns)) == ["10", "30"]
    assert table.index.tolist() == ["linux-connlimit", "linux-conntrack", "naive"]
    assert table.loc["linux-connlimit", 10] == pytest.approx(102.0)  # the eleventh
    assert table.loc["linux-conntrack", 10] == pytest.approx(101.8)
    assert table.loc["linux-conntrack", 30] == pytest.approx(105.8)
    assert table[30].isna()["linux-connlimit"]  # reached, not crossed
    assert table.loc["naive"].isna().all()


def test_a_host_that_only_serves_is_counted_by_what_others_opened(tmp_path: Path) -> None:
    tape = Tape()
    for i in range(20):
        tape.open(i, remote(i, 50_000), local(80))
    analysis = tape.analysis(tmp_path, "linux-connlimit", limits=(10,))
    assert analysis.is_server(analysis.host_number(HOST))
    peak = analysis.hosts[0].models["linux-connlimit"]
    assert (peak.peak, peak.peak_at_s, peak.crossed_at_s) == (20, 19.0, {10: 10.0})
    assert analysis.timeline(HOST)["max"].max() == 20
    tape.udp(20, local(5000), remote(50))  # one of its own, and it is a client again
    assert tape.analysis(tmp_path, "linux-connlimit").hosts[0].models["linux-connlimit"].peak == 1


def test_a_model_outside_the_matrix_can_be_asked_for(tmp_path: Path) -> None:
    analysis = login().analysis(tmp_path, "naive")
    assert analysis.steps(HOST, "flat:1000").count.max() == 31
    with pytest.raises(SettingsError, match="not a gateway model"):
        analysis.steps(HOST, "linux")


def test_the_same_model_or_limit_twice(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="twice"):
        login().analysis(tmp_path, "naive", "naive")
    assert login().analysis(tmp_path, "naive", limits=(5, 5, 2)).limits == (2, 5)


def test_an_empty_capture_has_no_hosts(tmp_path: Path) -> None:
    analysis = Tape().analysis(tmp_path)
    assert (analysis.hosts, analysis.bursts, analysis.ranked) == ([], [], [])
    with pytest.raises(SettingsError, match="no local host"):
        analysis.busiest()


KEYS = {
    "": {"schema", "version", "capture", "vantage", "hosts", "bursts"},
    "capture": {
        *("files", "packets", "start", "duration_s", "flows", "statuses", "scopes", "drops"),
        *("warnings", "damaged", "notes"),
    },
    "hosts": {
        *("host", "addresses", "flows", "peers", "ip_bytes", "class", "at_least", "is_server", "inbound_peak"),
        "models",
    },
    "models": {"peak", "peak_at_s", "talking_at_peak", "lingering_at_peak", "crossed_at_s", "above_s"},
    "bursts": {
        *("host", "inbound", "start_s", "end_s", "new_flows", "peers", "ip_bytes", "share_of_connections"),
        *("share_of_bytes", "prefix_spread", "ports", "answered", "class", "confidence", "evidence", "would_change"),
    },
    "evidence": {"feature", "value", "says"},
}


def test_the_document_has_these_keys_and_no_others(tmp_path: Path) -> None:
    made = document(login().analysis(tmp_path))
    text = json.dumps(made, allow_nan=False)
    assert json.loads(text) == made
    assert set(made) == KEYS[""]
    assert set(made["capture"]) == KEYS["capture"]
    assert [set(host) for host in made["hosts"]] == [KEYS["hosts"]]
    assert all(set(model) == KEYS["models"] for model in made["hosts"][0]["models"].values())
    assert [set(burst) for burst in made["bursts"]] == [KEYS["bursts"]]
    assert all(set(evidence) == KEYS["evidence"] for evidence in made["bursts"][0]["evidence"])
    burst = made["bursts"][0]
    assert (burst["new_flows"], burst["peers"], burst["answered"]) == (30, 30, 1.0)
    assert made["capture"]["statuses"]["decoded"] == made["capture"]["packets"] == 60 + 11


def test_of_nothing_there_is_a_document_too(tmp_path: Path) -> None:
    made = document(Tape().analysis(tmp_path))
    assert (made["hosts"], made["bursts"], made["capture"]["packets"]) == ([], [], 0)
    json.dumps(made, allow_nan=False)
