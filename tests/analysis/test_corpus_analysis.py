"""What is said of real captures. They lie beside the project, and these tests skip where they do not."""

import csv
import json
from pathlib import Path

import pytest

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.settings import Settings
from peerburst.opening import analyse
from peerburst.render.json_document import document
from tests.support.kernels import COMPILED
from tests.support.paths import CORPUS

pytestmark = pytest.mark.corpus

MOST_UNCOMPILED = 2500  # packets; without the compiler a packet takes a hundred times as long
P2P = {"p2p-sync", "p2p-bulk"}
ATTACKS = {"scan", "flood", "spam"}


def labels() -> list[dict[str, str]]:
    path = CORPUS / "labels.csv"
    if not path.is_file():
        return []
    with path.open() as file:
        rows = list(csv.DictReader(file))
    return [row for row in rows if COMPILED or int(row["packets"]) <= MOST_UNCOMPILED]


ROWS = labels()
BY_NAME = {Path(row["file"]).name.split(".")[0]: row for row in ROWS}


def opened(corpus: Path, name: str) -> tuple[Analysis, int]:
    """The analysis of a capture, and the number of its main host."""
    if name not in BY_NAME:
        pytest.skip(f"{name} is not here, or too large without the compiler")
    analysis = analyse([str(corpus / BY_NAME[name]["file"])], Settings())
    return analysis, analysis.host_number(BY_NAME[name]["host"])


def classes(analysis: Analysis, number: int) -> list[str]:
    """The class of a host, then of each of its bursts."""
    host = analysis.host(number)
    bursts = [burst.classification.label.value for burst in analysis.bursts if burst.host == host.name]
    return [host.classification.label.value, *bursts]


@pytest.mark.parametrize("name", BY_NAME or ["none"])
def test_every_capture_is_answered(corpus: Path, name: str) -> None:
    analysis, number = opened(corpus, name)
    cut = any("cut short" in warning for warning in analysis.capture.warnings)  # the last packet is not whole
    assert analysis.capture.packets == int(BY_NAME[name]["packets"]) - cut
    made = document(analysis)
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    host = analysis.host(number)
    assert analysis.timeline(host.name, step_s=1)["max"].max() == host.models["linux-connlimit"].peak
    for peak in host.models.values():
        assert 0 <= peak.talking <= peak.peak
    # No table holds more than every flow ever seen, nor a limit on Linux more than its table.
    assert host.models["linux-connlimit"].peak <= host.models["linux-conntrack"].peak
    assert len(analysis.community_ids()) == len(analysis.flows)
    for burst in analysis.bursts:
        assert burst.classification.evidence


def test_a_skype_login_is_a_sync(corpus: Path) -> None:
    analysis, number = opened(corpus, "skype-login-1")
    host = analysis.host(number)
    # The same packets replayed through a Linux gateway peak at 160 entries in its table, 155 of which connlimit counts.
    assert host.models["linux-conntrack"].peak == pytest.approx(160, abs=3)
    assert host.models["linux-connlimit"].peak == pytest.approx(155, abs=3)
    assert set(classes(analysis, number)) == {"p2p-sync"}
    burst = max(analysis.bursts, key=lambda burst: burst.features.flow_count)
    assert burst.start_s < 10
    assert 0.85 < burst.share_of_connections <= 1
    assert 0.85 < burst.share_of_bytes <= 1
    assert burst.features.peer_count > 150


def test_a_second_login_is_a_sync_too(corpus: Path) -> None:
    analysis, number = opened(corpus, "skype-login-2")
    assert set(classes(analysis, number)) == {"p2p-sync"}


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("nmap-connect", "scan"),
        ("nmap-syn", "scan"),
        ("nmap-udp", "scan"),
        ("synflood-spoofed", "flood"),
        ("gnutella-gtk", "p2p-bulk"),
        ("bittorrent-transfer", "p2p-bulk"),
        ("web-espn", "web"),
        ("web-reddit", "web"),
        ("ftp-bruteforce", "client-server"),
        ("viber-call", "call"),
    ],
)
def test_hosts_known_for_what_they_do(corpus: Path, name: str, label: str) -> None:
    analysis, number = opened(corpus, name)
    assert classes(analysis, number)[0] == label


@pytest.mark.parametrize("name", ["nmap-connect", "nmap-syn", "nmap-udp"])
def test_every_burst_of_a_scanner_is_a_scan(corpus: Path, name: str) -> None:
    analysis, number = opened(corpus, name)
    assert set(classes(analysis, number)) == {"scan"}


def test_the_flood_is_seen_at_its_victim(corpus: Path) -> None:
    analysis, number = opened(corpus, "synflood-spoofed")
    assert analysis.is_server(number) or analysis.host(number).models["linux-connlimit"].peak == 0
    assert [(burst.inbound, burst.classification.label.value) for burst in analysis.bursts] == [(True, "flood")]


@pytest.mark.parametrize("name", [name for name, row in BY_NAME.items() if row["class"] not in P2P] or ["none"])
def test_what_is_no_p2p_is_never_taken_for_it(corpus: Path, name: str) -> None:
    analysis, number = opened(corpus, name)
    assert not set(classes(analysis, number)) & P2P


@pytest.mark.parametrize(
    "name", [name for name, row in BY_NAME.items() if row["class"] not in ATTACKS | {"stress"}] or ["none"]
)
def test_what_is_no_attack_is_never_taken_for_one(corpus: Path, name: str) -> None:
    analysis, number = opened(corpus, name)
    assert not set(classes(analysis, number)) & ATTACKS
