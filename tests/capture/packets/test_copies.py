"""Packets that stand in a capture several times, and packets that are only alike."""

from pathlib import Path

import pytest

from peerburst.capture.read import Capture, read
from tests.support.making import Tape, local, remote
from tests.support.packets_by_hand import ACK, RST, SYN

CASES = Path(__file__).parents[2] / "cases"


def copied(tape: Tape, *apart_s: float) -> Tape:
    """Each packet again so much later."""
    tape.frames += [(at_s + later, frame) for at_s, frame in tape.frames for later in apart_s]
    return tape


def connections(count: int = 40) -> Tape:
    tape = Tape()
    for i in range(count):
        tape.connection(i * 0.1, local(4000 + i), remote(i), received=8000)
    return tape


def exchanges(count: int = 40) -> Tape:
    tape = Tape()
    for i in range(count):
        tape.exchange(i * 0.1, local(4000 + i), remote(i, 53))
    return tape


def said(tape: Tape, folder: Path) -> Capture:
    return read([tape.write(folder / "some.pcap")])


@pytest.mark.parametrize("made", [connections, exchanges])
@pytest.mark.parametrize("apart_s", [(0.00001,), (0.00001, 0.00002), (0.0001, 0.0002, 0.0003)])
def test_copies_are_said_with_their_number(made: type[Tape], apart_s: tuple[float, ...], tmp_path: Path) -> None:
    once = said(made(), tmp_path)
    many = said(copied(made(), *apart_s), tmp_path)
    assert once.warnings == ()
    assert f"each packet stands there {1 + len(apart_s)} times on average" in many.warnings[0]
    assert many.flows.row.size == once.flows.row.size
    assert many.packets == (1 + len(apart_s)) * once.packets


def test_some_twice_and_some_once(tmp_path: Path) -> None:
    tape = connections()
    tape.frames += [(at_s + 0.00001, frame) for at_s, frame in tape.frames if at_s < 2]
    assert "times on average" in said(tape, tmp_path).warnings[0]


def test_what_tcp_sends_again_is_no_copy(tmp_path: Path) -> None:
    assert said(copied(connections(), 0.2), tmp_path).warnings == ()
    assert said(copied(connections(), 0.003), tmp_path).warnings == ()


def test_acknowledgements_that_are_alike_are_no_copies(tmp_path: Path) -> None:
    tape = connections()
    tape.open(50, local(9000), remote(9))
    for i in range(500):  # as a receiver sends them that waits for a lost packet
        tape.tcp(51 + i * 0.00001, local(9000), remote(9), ACK)
    assert said(tape, tmp_path).warnings == ()


def test_resets_sent_at_once_are_no_copies(tmp_path: Path) -> None:
    tape = connections(20)
    for i in range(20):
        for k in range(8):
            tape.tcp(10 + i + k * 0.00002, local(4000 + i), remote(i), RST)
    assert said(tape, tmp_path).warnings == ()


def test_datagrams_that_are_alike_are_no_copies(tmp_path: Path) -> None:
    stream = Tape()
    for i in range(1000):
        stream.udp(i * 0.0005, local(5000), remote(1, 5001), size=1200)
    assert said(stream, tmp_path).warnings == ()
    pairs = Tape()
    for i in range(40):
        for k in range(1 + i % 3):
            pairs.udp(i + k * 0.0001, local(5000 + i), remote(i, 5001), size=50)
    assert said(pairs, tmp_path).warnings == ()


def test_a_few_packets_say_nothing(tmp_path: Path) -> None:
    tape = Tape()
    for i in range(5):
        tape.tcp(i, local(5000 + i), remote(i), SYN)
    assert said(copied(tape, 0.00001), tmp_path).warnings == ()


def test_a_bridge_with_three_interfaces() -> None:
    (warning,) = read([str(CASES / "bridge-three-copies.pcap")]).warnings
    assert "each packet stands there 3 times on average" in warning
    assert "packets and bytes are counted with the copies, connections once" in warning
