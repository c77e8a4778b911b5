"""Captures of everyday networks (tests/cases) and others of their kinds: what is said of them, in numbers and words."""

import json
from pathlib import Path
from typing import Any

import pytest

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.settings import Settings
from peerburst.capture.vocabulary import TrafficClass
from peerburst.opening import analyse
from peerburst.render import sentences, terminal
from peerburst.render.json_document import document
from tests.support.kernels import COMPILED
from tests.support.making import HOST, Tape, entry_spells, local, remote
from tests.support.packets_by_hand import ethernet, ipv4
from tests.support.paths import ROOT

CASES = ROOT / "tests" / "cases"
LINUX = ("linux-connlimit", "linux-conntrack", "mikrotik")
IPV4_ALONE = ("cisco-ios-nat", "aws-nat-gateway", "rfc", "nat-mapping")


def case(name: str) -> Analysis:
    return analyse([str(CASES / f"{name}.pcap")], Settings())


def answers(analysis: Analysis) -> dict[str, Any]:
    """All that is said but for the file's name."""
    made = document(analysis)
    del made["capture"]["files"]
    return made


def peaks(analysis: Analysis, host: str | None = None) -> dict[str, int]:
    """Of the busiest host, or of this one."""
    number = analysis.host_number(host or analysis.busiest())
    return {name: peak.peak for name, peak in analysis.host(number).models.items()}


# ---- who opened


def test_a_local_port_443_is_a_port_like_any_other() -> None:
    one, other = (answers(case(f"p2p-from-local-udp-{port}")) for port in (443, 40443))
    assert json.dumps(one, indent=1) == json.dumps(other, indent=1)
    assert one["hosts"][0]["models"]["cisco-asa"]["peak"] == 300


@pytest.mark.parametrize("port", [53, 500, 3478, 8080])
@pytest.mark.parametrize(("seconds", "answered_of_three"), [(8, 2), (8, 3), (90, 2), (90, 3), (90, 0)])
def test_nor_is_another_port_of_servers(port: int, seconds: int, answered_of_three: int, tmp_path: Path) -> None:
    made = []
    for own in (port, 40443):
        tape = Tape()
        for number in range(60):
            at_s = number * seconds / 60
            if number % 3 < answered_of_three:
                tape.exchange(at_s, local(own), remote(number, 50000 - number), 0.03)
            else:
                tape.udp(at_s, local(own), remote(number, 50000 - number))
        made.append(answers(tape.analysis(tmp_path)))
    assert made[0] == made[1]


def test_a_server_met_in_its_midst_stays_one(tmp_path: Path) -> None:
    tape = Tape()
    for number in range(5):  # three clients of one local server, and two servers of a local client
        server, client = (local(443), remote(number, 50000)) if number < 3 else (remote(number), local(40000 + number))
        for turn in range(20):
            tape.udp(number / 10 + turn, server, client, 1000)
            tape.udp(number / 10 + turn + 0.02, client, server)
    table = tape.analysis(tmp_path).flows
    assert table["resp_p"].eq(443).all()


def test_two_interfaces_with_two_clocks(tmp_path: Path) -> None:
    # The inner interface's clock is 40 ms behind: what comes back is dated before what went out.
    tape = Tape()
    tape.udp(0, local(1), remote(0, 9))
    for number in range(30):
        at_s = 40.0 + number
        tape.udp(at_s, remote(1, 53), local(40000 + number), 100)
        tape.udp(at_s + 0.03, local(40000 + number), remote(1, 53))
        start = len(tape.frames)
        tape.connection(at_s, local(20000 + number), remote(2))
        for place in range(start, len(tape.frames)):
            when, frame = tape.frames[place]
            if frame[26:30] == bytes(map(int, remote(2)[0].split("."))):
                tape.frames[place] = (when - 0.14, frame)  # the answer took 100 ms
    analysis = tape.analysis(tmp_path)
    assert analysis.flows["local_orig"].all()
    host = analysis.host_number(HOST)
    for model in analysis.models:
        assert not analysis.concurrency(model, inbound=True).peak[host], model.name


# ---- a flow ends


def test_the_same_peers_an_hour_later_are_new_connections() -> None:
    analysis = case("same-peers-again-after-an-hour")
    assert len(analysis.flows) == 500
    assert [burst.features.flow_count for burst in analysis.bursts] == [250, 250]
    assert peaks(analysis)["linux-connlimit"] == 151  # as before: the gateway had forgotten the first
    assert peaks(analysis)["cisco-asa"] == 250


def twice(apart_s: float) -> Tape:
    """One exchange, and the same a while later."""
    tape = Tape()
    for at_s in (0, apart_s):
        tape.exchange(at_s, local(40000), remote(0, 50000))
    return tape


@pytest.mark.parametrize(("apart_s", "flows"), [(300, 1), (350, 1), (350.2, 2), (3600, 2)])
def test_gateways_count_as_they_did(apart_s: float, flows: int, tmp_path: Path) -> None:
    analysis = twice(apart_s).analysis(tmp_path)
    assert len(analysis.flows) == flows
    assert entry_spells(analysis, "linux-conntrack") == [(0, 30.1), (apart_s, apart_s + 30.1)]
    held = 350.1  # AWS NAT gateway, the longest
    wanted = [(0, held), (apart_s, apart_s + held)] if apart_s > held else [(0, apart_s + held)]
    assert entry_spells(analysis, "aws-nat-gateway") == wanted


def test_a_model_of_ones_own_that_holds_longer_counts_one_at_a_time(tmp_path: Path) -> None:
    analysis = twice(3600).analysis(tmp_path, "flat:7200")
    assert peaks(analysis) == {"flat:7200": 1}


# ---- GRE and SCTP


def test_gre_goes_after_half_a_minute_under_linux() -> None:
    held = peaks(case("gre-one-way"))
    assert [held[name] for name in LINUX] == [15, 15, 15]
    assert held["cisco-asa"] == 200


@pytest.mark.parametrize(("proto", "one_way_s", "two_way_s"), [(47, 30, 180), (132, 3, 210), (50, 600, 600)])
def test_tunnels_under_linux(proto: int, one_way_s: int, two_way_s: int, tmp_path: Path) -> None:
    def packet(at_s: float, source: str, target: str) -> None:
        tape.frames.append((at_s, ethernet(ipv4(bytes([9, 9, 9, 9, *bytes(60)]), proto, source, target))))

    tape = Tape()
    packet(0, HOST, remote(0)[0])
    packet(0, HOST, remote(1)[0])
    packet(1, remote(1)[0], HOST)
    packet(2, HOST, remote(1)[0])
    analysis = tape.analysis(tmp_path, *LINUX)
    for name in LINUX:
        assert entry_spells(analysis, name) == sorted([(0, one_way_s), (0, 2 + two_way_s)])


# ---- IPv6


def printed(analysis: Analysis, capsys: pytest.CaptureFixture[str]) -> str:
    terminal.print_analysis(analysis, analysis.host(analysis.ranked[0]), terminal.console())
    return capsys.readouterr().out


def test_who_translates_ipv4_alone_holds_no_ipv6(capsys: pytest.CaptureFixture[str]) -> None:
    analysis = case("ipv6-laptop")
    held = peaks(analysis, analysis.busiest())
    assert {name for name, peak in held.items() if not peak} == {*IPV4_ALONE}
    assert {peak for name, peak in held.items() if name not in IPV4_ALONE} == {100}
    text = printed(analysis, capsys)
    assert f"{', '.join(IPV4_ALONE)} do not translate IPv6" in text
    for line in text.splitlines():
        if line.startswith(IPV4_ALONE) and "translate" not in line:
            assert set(line.split()[1:]) == {"-"}


def test_both_families_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tape = Tape()
    for number in range(4):
        tape.exchange(number, ("fd00::10", 40000 + number), ("2001:db8::1", 50000))
        tape.exchange(number, local(40000 + number), remote(number, 50000))
    analysis = tape.analysis(tmp_path, "rfc", "cisco-asa")
    assert peaks(analysis, "fd00::10") == {"rfc": 0, "cisco-asa": 4}
    assert peaks(analysis, HOST) == {"rfc": 4, "cisco-asa": 4}
    hosts = (analysis.host(analysis.host_number(name)) for name in ("fd00::10", HOST))
    said = [sentences.family_sentence(analysis, host) for host in hosts]
    assert said == ["rfc does not translate IPv6, and so holds none of fd00::10's 4 IPv6 flows.", None]
    assert "translate" not in printed(analysis, capsys)


@pytest.mark.skipif(not COMPILED, reason="the whole sample takes minutes without the compiler")
def test_a_scan_is_still_a_scan() -> None:
    analysis = analyse([str(ROOT / "pcaps" / "port-scan.pcapng.gz")], Settings(models=("linux-connlimit",)))
    assert TrafficClass.SCAN in {burst.classification.label for burst in analysis.bursts}
