"""Entries are those of the slow twin, and those one works out by hand from each gateway's rules."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings

from peerburst.analysis.counting.entries import latest_ends_ns
from peerburst.analysis.gateways import Unit, load, shipped
from peerburst.capture.packets.record import PACKET
from tests.support import reference_models
from tests.support.kernels import COMPILED
from tests.support.making import (
    GATEWAY,
    HOST,
    OTHER_HOST,
    Tape,
    analysis_of,
    entry_spells,
    local,
    own_models,
    packet_rows,
    remote,
)
from tests.support.packets_by_hand import ACK, FIN, PSH, RST, SYN

FOREVER = 1e9  # s; anything longer is for ever


MODELS = [*shipped(), load("flat:10"), load("flat:120"), *own_models()]


# --- against the twin ------------------------------------------------------------------------------------------------


@settings(max_examples=300 if COMPILED else 30)
@given(rows=packet_rows())
def test_entries_are_the_twins(rows: npt.NDArray[np.void]) -> None:
    analysis = analysis_of(rows, MODELS)
    flows, segments = reference_models.as_dicts(analysis.capture.flows)
    for model in MODELS:
        held = analysis.entries(model)
        wanted = reference_models.entries(model, flows, segments, analysis.ends)
        counting = [
            entry
            for entry in wanted
            if reference_models.owner(entry, analysis.ends)[0] >= 0 and entry.end > entry.start
        ]
        found = [
            (
                int(entry["flow"]),
                "a" if entry["by_a"] else "b",
                int(entry["start"]),
                int(entry["end"]),
                int(host),
                bool(inbound),
            )
            for entry, host, inbound in zip(held.entry, held.host, held.inbound, strict=True)
        ]
        expected = [
            (entry.flow, entry.opener, entry.start, entry.end, *reference_models.owner(entry, analysis.ends))
            for entry in counting
        ]
        assert sorted(found) == sorted(expected), model.name
        # Which entry each segment kept alive: by what the entry is, as the order of entries may differ.
        kept = {i: (entry.flow, entry.start) for entry in counting for i in entry.segments}
        for i, at in enumerate(held.of_segment.tolist()):
            mine = (int(held.entry["flow"][at]), int(held.entry["start"][at])) if at >= 0 else None
            assert mine == kept.get(i), model.name


@settings(max_examples=100 if COMPILED else 30)
@given(rows=packet_rows())
def test_until_when_each_flow_is_held_is_the_twins(rows: npt.NDArray[np.void]) -> None:
    capture, models = analysis_of(rows, MODELS), [model for model in MODELS if model.unit is not Unit.MAPPING]
    flows, segments = reference_models.as_dicts(capture.capture.flows)
    for model in models:
        latest = dict.fromkeys(range(len(flows)), 0)
        for entry in reference_models.entries(model, flows, segments, capture.ends):
            latest[entry.flow] = max(latest[entry.flow], entry.end)
        assert latest_ends_ns(model, capture.capture.flows).tolist() == list(latest.values()), model.name


@settings(max_examples=300 if COMPILED else 30)
@given(rows=packet_rows())
def test_where_segments_are_cut_changes_no_count(rows: npt.NDArray[np.void]) -> None:
    together, apart = analysis_of(rows, MODELS), analysis_of(rows, MODELS, segments_apart=True)
    assert apart.capture.flows.segments.size >= together.capture.flows.segments.size
    for model in MODELS:
        one, other = together.entries(model), apart.entries(model)
        for name in ("flow", "start", "end", "by_a"):
            assert one.entry[name].tolist() == other.entry[name].tolist(), model.name
        assert one.host.tolist() == other.host.tolist(), model.name


# --- by hand: TCP ----------------------------------------------------------------------------------------------------

HERE, THERE = local(5000), remote(0)


def spells(tape: Tape, folder: Path, model: str) -> list[tuple[float, float]]:
    found = entry_spells(tape.analysis(folder, model), model)
    return [(start, end if end < FOREVER else float("inf")) for start, end in found]


def whole_connection() -> Tape:
    """Open from 0 to 0.2 s, closed from 10 to 10.2 s."""
    tape = Tape()
    tape.open(0, HERE, THERE)
    tape.close(10, HERE, THERE)
    return tape


@pytest.mark.parametrize(
    ("model", "end"),
    [
        ("linux-connlimit", 10.2),  # TIME_WAIT does not count
        ("linux-conntrack", 10.2 + 120),
        ("pf-normal", 10.2 + 90),
        ("pf-conservative", 10.2 + 180),
        ("pf-aggressive", 10.2 + 30),
        ("rfc", 10.2 + 240),
        ("nat-mapping", 10.2 + 240),
        ("flat:120", 10.2 + 120),
        ("naive", 10.0),  # at the first FIN
    ],
)
def test_a_closed_connection_lingers_as_long_as_the_gateway_says(tmp_path: Path, model: str, end: float) -> None:
    assert spells(whole_connection(), tmp_path, model) == [(0.0, end)]


@pytest.mark.parametrize(
    ("model", "end"),
    [("linux-connlimit", None), ("linux-conntrack", None), ("pf-normal", 90.1), ("naive", 0.1), ("flat:120", 120.1)],
)
def test_a_refused_connection_costs_linux_nothing_and_pf_a_minute_and_a_half(
    tmp_path: Path, model: str, end: float | None
) -> None:
    tape = Tape()
    tape.refused(0, HERE, THERE)
    tape.icmp(200, HOST, THERE[0], 8)
    found = [spell for spell in spells(tape, tmp_path, model) if spell[0] < 200]
    # Linux holds the entry from SYN to RST, and forgets it there.
    assert found == ([(0.0, 0.1)] if end is None else [(0.0, end)])


@pytest.mark.parametrize(
    ("model", "end"),
    [
        ("linux-connlimit", 120.0),  # a repeated SYN does not renew
        ("pf-normal", 7 + 30.0),  # tcp.opening from the last SYN, in place of tcp.first
        ("pf-conservative", 7 + 900.0),
        ("cisco-asa", 7 + 30.0),
        ("flat:120", 7 + 120.0),
        ("naive", float("inf")),
    ],
)
def test_an_unanswered_syn(tmp_path: Path, model: str, end: float) -> None:
    tape = Tape()
    for at in (0, 1, 3, 7):
        tape.tcp(at, HERE, THERE, SYN)
    assert spells(tape, tmp_path, model) == [(0.0, end)]


def test_pf_keeps_a_single_syn_longer_than_a_repeated_one(tmp_path: Path) -> None:
    tape = Tape()
    tape.tcp(0, HERE, THERE, SYN)
    assert spells(tape, tmp_path, "pf-normal") == [(0.0, 120.0)]


def test_syn_minus_fin_is_not_fooled_by_what_arithmetic_is_fooled_by(tmp_path: Path) -> None:
    # One connection: 3 SYNs, 4 FINs and 2 RSTs. Adding and subtracting packets gives -3; it was one, and then none.
    tape = Tape()
    for at in (0.0, 1.0, 3.0):
        tape.tcp(at, HERE, THERE, SYN)
    tape.tcp(3.1, THERE, HERE, SYN | ACK)
    tape.tcp(3.2, HERE, THERE, ACK)
    for at in (9, 9.5):
        tape.tcp(at, HERE, THERE, FIN | ACK)
        tape.tcp(at + 0.1, THERE, HERE, FIN | ACK)
    tape.tcp(10, HERE, THERE, RST)
    tape.tcp(10.1, THERE, HERE, RST)
    assert spells(tape, tmp_path, "naive") == [(0.0, 9.0)]
    # Linux: the FIN that comes back at 9.1 s leaves LAST_ACK (30 s); the RST at 10 s closes.
    assert spells(tape, tmp_path, "linux-connlimit") == [(0.0, 10.0)]
    assert spells(tape, tmp_path, "linux-conntrack") == [(0.0, 20.1)]
    assert spells(tape, tmp_path, "pf-normal") == [(0.0, 10.1 + 90)]


def test_a_reset_after_data_is_held_ten_seconds_by_linux(tmp_path: Path) -> None:
    tape = Tape()
    tape.open(0, HERE, THERE)
    tape.tcp(5, THERE, HERE, RST)
    assert spells(tape, tmp_path, "linux-conntrack") == [(0.0, 15.0)]
    assert spells(tape, tmp_path, "linux-connlimit") == [(0.0, 5.0)]


def test_an_established_connection_outlives_a_day_under_linux_and_not_under_asa(tmp_path: Path) -> None:
    tape = Tape()
    tape.open(0, HERE, THERE)
    tape.tcp(5000, HERE, THERE, ACK | PSH, 10)
    tape.tcp(5000.1, THERE, HERE, ACK)
    day = 86_400.0
    assert spells(tape, tmp_path, "linux-connlimit") == [(0.0, 5000.1 + 5 * day)]
    assert spells(tape, tmp_path, "pf-normal") == [(0.0, 5000.1 + day)]
    assert spells(tape, tmp_path, "cisco-asa") == [(0.0, 3600.2), (5000.0, 8600.1)]


def test_a_port_used_again_cuts_the_old_entry(tmp_path: Path) -> None:
    tape = whole_connection()
    tape.open(40, HERE, THERE)
    for model, end in (("linux-conntrack", 432_000), ("pf-normal", 86_400), ("flat:120", 120)):
        assert spells(tape, tmp_path, model) == [(0.0, 40.0), (40.0, 40.2 + end)], model


def test_stray_packets_after_the_close_open_nothing_but_in_linux(tmp_path: Path) -> None:
    tape = whole_connection()
    tape.tcp(200, THERE, HERE, ACK)
    assert spells(tape, tmp_path, "pf-normal") == [(0.0, 100.2)]
    # Linux picks it up as an established connection that nobody has acknowledged; the server is its opener.
    assert spells(tape, tmp_path, "linux-conntrack") == [(0.0, 130.2)]
    assert entry_spells(tape.analysis(tmp_path), "linux-conntrack", inbound=True) == [(200.0, 500.0)]


def test_a_mapping_is_not_closed_by_its_last_connection(tmp_path: Path) -> None:
    tape = whole_connection()
    tape.open(20, HERE, remote(1))
    assert spells(tape, tmp_path, "nat-mapping") == [(0.0, 20.2 + 7440)]
    tape.close(30, HERE, remote(1))
    assert spells(tape, tmp_path, "nat-mapping") == [(0.0, 30.2 + 240)]


def test_a_tcp_flow_met_midstream_counts_from_its_first_packet(tmp_path: Path) -> None:
    tape = Tape()
    tape.tcp(0, HERE, THERE, ACK | PSH, 10)
    assert spells(tape, tmp_path, "linux-connlimit") == [(0.0, 300.0)]  # unacknowledged
    tape.tcp(1, THERE, HERE, ACK)
    assert spells(tape, tmp_path, "linux-connlimit") == [(0.0, 301.0)]  # the reply itself is judged as before it
    tape.tcp(2, THERE, HERE, ACK)
    assert spells(tape, tmp_path, "linux-connlimit") == [(0.0, 432_002.0)]
    assert spells(tape, tmp_path, "naive") == []


# --- by hand: UDP ----------------------------------------------------------------------------------------------------

ASKED, PEER = local(6000), remote(7, 33445)


@pytest.mark.parametrize(
    ("packets", "ends"),
    [
        # who sends at which second, and when Linux, pf-normal, MikroTik and ASA forget it
        ("0 out", {"linux-connlimit": 30, "pf-normal": 60, "mikrotik": 10, "cisco-asa": 120}),
        ("0 out, 1 out", {"linux-connlimit": 31, "pf-normal": 31, "mikrotik": 11}),
        ("0 out, 1 in", {"linux-connlimit": 31, "pf-normal": 31, "mikrotik": 11, "cisco-asa": 121}),
        # Two seconds: at 2.0 s the entry is not older than 2 s, at 2.1 s it is.
        ("0 out, 1 in, 1.9 out", {"linux-connlimit": 31.9, "pf-normal": 61.9}),
        ("0 out, 1 in, 2.0 out", {"linux-connlimit": 32, "pf-normal": 62}),
        ("0 out, 1 in, 2.1 out", {"linux-connlimit": 122.1, "pf-normal": 62.1}),
        # The reply itself is not yet a stream, however late; any packet after it is, even the replier's.
        ("0 out, 5 in", {"linux-connlimit": 35, "pf-normal": 35}),
        ("0 out, 5 in, 6 in", {"linux-connlimit": 126, "pf-normal": 36, "mikrotik": 186}),
        ("0 out, 5 in, 6 out", {"linux-connlimit": 126, "pf-normal": 66}),
        ("0 out, 6 in, 12 out", {"linux-connlimit": 132, "pf-normal": 72}),
        ("0 out, 10 out, 20 in, 25 in", {"linux-connlimit": 145, "pf-normal": 55}),
    ],
)
def test_udp_goes_through_its_stages(tmp_path: Path, packets: str, ends: dict[str, float]) -> None:
    tape = Tape()
    for packet in packets.split(", "):
        at, way = packet.split()
        tape.udp(float(at), *((ASKED, PEER) if way == "out" else (PEER, ASKED)))
    for model, end in ends.items():
        assert spells(tape, tmp_path, model) == [(0.0, end)], model


def test_a_pause_as_long_as_the_timeout_ends_an_entry(tmp_path: Path) -> None:
    tape = Tape()
    tape.udp(0, ASKED, PEER)
    tape.udp(30, ASKED, PEER)
    tape.udp(59.9, ASKED, PEER)
    assert spells(tape, tmp_path, "linux-connlimit") == [(0.0, 30.0), (30.0, 89.9)]
    assert spells(tape, tmp_path, "flat:30") == [(0.0, 30.0), (30.0, 89.9)]
    assert spells(tape, tmp_path, "flat:31") == [(0.0, 90.9)]


def test_eighty_peers_from_one_udp_port_are_one_mapping(tmp_path: Path) -> None:
    tape = Tape()
    for i in range(80):
        tape.exchange(i * 0.1, ASKED, remote(i, 1024 + 37 * i))
    analysis = tape.analysis(tmp_path)
    number = analysis.host_number(HOST)
    peaks = {model.name: analysis.peak(number, model).peak for model in analysis.models}
    assert peaks.pop("nat-mapping") == 1
    assert peaks.pop("naive") == 0
    assert set(peaks.values()) == {80}
    assert entry_spells(analysis, "nat-mapping") == [(0.0, 308.0)]
    assert analysis.peak(number, load("nat-mapping")).talking == 1
    assert analysis.timeline(HOST, "nat-mapping")["talking"].tolist() == [1] * 9


def test_a_mapping_ends_with_the_last_of_its_flows(tmp_path: Path) -> None:
    tape = Tape()
    for peer, at in enumerate((0.0, 250.0, 550.0)):
        tape.udp(at, ASKED, remote(peer))
    # The second is 250 s after the first, the third just as the second has been forgotten.
    assert spells(tape, tmp_path, "nat-mapping") == [(0.0, 550.0), (550.0, 850.0)]


def test_a_mapping_is_of_one_address_one_port_and_one_protocol(tmp_path: Path) -> None:
    tape = Tape()
    for port in (6000, 6001):
        tape.udp(0, local(port), PEER)
        tape.tcp(0.1, local(port), PEER, SYN)
    tape.udp(0, local(6000, OTHER_HOST), PEER)
    analysis = tape.analysis(tmp_path, "nat-mapping")
    assert len(entry_spells(analysis, "nat-mapping")) == 4
    assert len(entry_spells(analysis, "nat-mapping", OTHER_HOST)) == 1


# --- by hand: the rest -----------------------------------------------------------------------------------------------


def test_ping_counts_and_errors_do_not(tmp_path: Path) -> None:
    tape = Tape()
    tape.icmp(0, HOST, "8.8.8.8", 8)
    tape.icmp(0.1, "8.8.8.8", HOST, 0)
    tape.icmp(1, "203.0.113.1", HOST, 3, 3)
    tape.icmp(2, HOST, "203.0.113.2", 3, 3)
    assert spells(tape, tmp_path, "linux-connlimit") == [(0.0, 30.1)]
    assert spells(tape, tmp_path, "nat-mapping") == [(0.0, 60.1)]


def test_who_opened_it_decides_whose_entry_it_is(tmp_path: Path) -> None:
    tape = Tape()
    tape.open(0, THERE, HERE)  # from outside
    tape.udp(0, ASKED, PEER)
    analysis = tape.analysis(tmp_path)
    assert entry_spells(analysis, "linux-connlimit") == [(0.0, 30.0)]
    assert entry_spells(analysis, "linux-connlimit", inbound=True) == [(0.0, 432_000.2)]


def test_a_question_to_the_gateway_itself_counts(tmp_path: Path) -> None:
    tape = Tape()
    tape.exchange(0, ASKED, (GATEWAY, 5351))  # NAT-PMP
    assert spells(tape, tmp_path, "linux-connlimit") == [(0.0, 30.1)]


def test_of_no_packets_there_are_no_entries() -> None:
    analysis = analysis_of(np.zeros(0, PACKET), MODELS)
    assert [analysis.entries(model).entry.size for model in MODELS] == [0] * len(MODELS)
