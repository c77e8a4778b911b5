"""Flows seen from a host: who is remote, what came back, whether anybody answered."""

from pathlib import Path

import pytest

from peerburst.analysis.analysis import Analysis
from tests.support.making import HOST, OTHER_HOST, Tape, local, remote
from tests.support.packets_by_hand import ACK, FIN, PSH, RST, SYN

HERE, THERE = local(5000), remote(1)


def facts(tape: Tape, folder: Path) -> tuple[bool, bool, bool]:
    """(answered, refused, opened) of the tape's one flow."""
    found = tape.analysis(folder).facts
    assert found.answered.size == 1
    return bool(found.answered[0]), bool(found.refused[0]), bool(found.opened[0])


TCP_CASES = {
    "a SYN alone": (["> S"], (False, False, True)),
    "a SYN and a refusal": (["> S", "< RA"], (False, True, True)),
    "a handshake": (["> S", "< SA", "> A"], (True, False, True)),
    "a handshake and a reset": (["> S", "< SA", "> R"], (True, False, True)),
    "an answer and then a reset from there": (["> S", "< SA", "< R"], (True, False, True)),
    "data met mid-stream, unanswered": (["> PA"], (False, False, False)),
    "data met mid-stream, acknowledged": (["> PA", "< A"], (True, False, False)),
    "the answer to a SYN that was not seen": (["< SA"], (True, False, True)),
    "a FIN that scans": (["> FA", "< R"], (False, True, False)),
}
FLAGS = {"S": SYN, "SA": SYN | ACK, "A": ACK, "R": RST, "RA": RST | ACK, "PA": PSH | ACK, "FA": FIN | ACK}


@pytest.mark.parametrize("case", TCP_CASES)
def test_whether_tcp_was_answered(tmp_path: Path, case: str) -> None:
    packets, wanted = TCP_CASES[case]
    tape = Tape()
    for i, packet in enumerate(packets):
        way, flags = packet.split()
        tape.tcp(i * 0.1, *((HERE, THERE) if way == ">" else (THERE, HERE)), FLAGS[flags], 5 if "P" in flags else 0)
    assert facts(tape, tmp_path) == wanted


def test_udp_is_answered_by_any_packet_back(tmp_path: Path) -> None:
    tape = Tape()
    tape.udp(0, HERE, THERE)
    assert facts(tape, tmp_path) == (False, False, True)
    tape.udp(1, THERE, HERE)
    assert facts(tape, tmp_path) == (True, False, True)


@pytest.mark.parametrize(("kind", "opened"), [(8, True), (3, False), (11, False), (13, True)])
def test_an_icmp_error_opens_nothing(tmp_path: Path, kind: int, opened: bool) -> None:
    tape = Tape()
    tape.icmp(0, HOST, THERE[0], kind)
    assert facts(tape, tmp_path)[2] == opened


def of_host(analysis: Analysis, host: str) -> list[tuple[bool, str, int, int, int, int]]:
    from peerburst.analysis.hosts.locality import to_text

    flows = analysis.index.of(analysis.host_number(host))
    remotes = [to_text(int(high), int(low)) for high, low in zip(flows.remote_hi, flows.remote_lo, strict=True)]
    numbers = (flows.remote_port, flows.local_port, flows.sent_bytes, flows.received_bytes)
    return list(zip(flows.outbound.tolist(), remotes, *(column.tolist() for column in numbers), strict=True))


def test_each_flow_is_seen_from_its_host(tmp_path: Path) -> None:
    tape = Tape()
    tape.udp(2, local(5000), ("8.8.8.8", 53), size=10)  # an IPv4 header of 20 and a UDP header of 8 besides
    tape.udp(2.1, ("8.8.8.8", 53), local(5000), size=100)
    tape.tcp(1, ("203.0.113.9", 999), local(80), SYN)  # from outside; the earlier
    tape.tcp(3, local(4000), (OTHER_HOST, 445), SYN)
    tape.udp(4, local(5353), ("224.0.0.251", 5353))
    analysis = tape.analysis(tmp_path)
    assert of_host(analysis, HOST) == [
        (False, "203.0.113.9", 999, 80, 0, 40),
        (True, "8.8.8.8", 53, 5000, 38, 128),
        (True, OTHER_HOST, 445, 4000, 40, 0),
    ]
    assert of_host(analysis, OTHER_HOST) == [(False, HOST, 4000, 445, 0, 40)]
    assert analysis.index.counts().tolist() == [3, 1]
    # Without those between local hosts, as counts are.
    assert analysis.counted_flows(analysis.host_number(HOST)).remote_port.tolist() == [999, 53]


def test_a_host_that_only_speaks_to_groups_has_no_flows(tmp_path: Path) -> None:
    tape = Tape()
    tape.udp(0, local(5353), ("224.0.0.251", 5353))
    analysis = tape.analysis(tmp_path)
    assert analysis.host_names == [HOST]
    assert analysis.hosts == []


def test_some_of_the_flows_stay_aligned(tmp_path: Path) -> None:
    tape = Tape()
    for i in range(4):
        tape.udp(i, local(5000 + i), remote(i, 6000 + i))
    flows = tape.analysis(tmp_path).index.of(0)
    some = flows.take(flows.local_port % 2 == 1)
    assert (some.local_port.tolist(), some.remote_port.tolist(), some.flow.tolist()) == (
        [5001, 5003],
        [6001, 6003],
        [1, 3],
    )


@pytest.mark.parametrize(("midstream", "at_least"), [(False, False), (True, True)])
def test_peaks_are_lower_bounds_when_connections_were_open_before(
    tmp_path: Path, midstream: bool, at_least: bool
) -> None:
    tape = Tape()
    tape.connection(1, HERE, THERE)
    if midstream:
        tape.tcp(0, local(5001), THERE, ACK)
    analysis = tape.analysis(tmp_path)
    assert analysis.at_least(analysis.host_number(HOST)) == at_least
