"""What came of flows: whether anybody answered, refused, or was seen to begin."""

from pathlib import Path

import pytest

from tests.support.making import HOST, Tape, local, remote
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
