"""What each flow is, by size, answer and ports."""

from pathlib import Path

import pytest

from peerburst.capture.vocabulary import KIND_NAMES, FlowKind
from tests.support.making import HOST, Tape, local, remote
from tests.support.packets_by_hand import ACK, SYN


def kind_of(tape: Tape, folder: Path) -> str:
    kinds = tape.analysis(folder).kinds
    assert kinds.size == 1
    return KIND_NAMES[int(kinds[0])]


def test_names_follow_the_codes() -> None:
    assert [KIND_NAMES[kind] for kind in (FlowKind.PROBE, FlowKind.SYNC, FlowKind.HEAVY)] == ["probe", "sync", "heavy"]
    assert [KIND_NAMES[kind] for kind in (FlowKind.MEDIA, FlowKind.SERVICE, FlowKind.ORDINARY)] == [
        "media",
        "service",
        "ordinary",
    ]


def test_unanswered_is_a_probe(tmp_path: Path) -> None:
    tape = Tape()
    for at in (0, 1, 3, 7):
        tape.tcp(at, local(5000), remote(1, 40001), SYN)
    assert kind_of(tape, tmp_path) == "probe"


def test_one_packet_each_way_is_a_probe_and_more_is_a_sync(tmp_path: Path) -> None:
    tape = Tape()
    tape.exchange(0, local(5000), remote(1, 40001))
    assert kind_of(tape, tmp_path) == "probe"
    tape.udp(1, local(5000), remote(1, 40001))
    assert kind_of(tape, tmp_path) == "sync"


@pytest.mark.parametrize(
    ("port", "received", "kind"),
    [
        (40001, 3000, "sync"),
        (40001, 61_000, "sync"),
        (40001, 64_000, "ordinary"),  # with headers it is more than a sync's 64 kB
        (443, 3000, "ordinary"),
        (25, 3000, "ordinary"),
        (443, 520_000, "heavy"),
        (40001, 520_000, "heavy"),
        (53, 3000, "service"),
        (853, 3000, "service"),
    ],
)
def test_answered_tcp_goes_by_port_and_weight(tmp_path: Path, port: int, received: int, kind: str) -> None:
    tape = Tape()
    tape.connection(0, local(5000), remote(1, port), received=received)
    assert kind_of(tape, tmp_path) == kind


@pytest.mark.parametrize("port", [53, 123, 137, 1900, 5351, 5353])
def test_names_time_and_discovery_are_services(tmp_path: Path, port: int) -> None:
    tape = Tape()
    tape.udp(0, local(5000), remote(1, port))
    assert kind_of(tape, tmp_path) == "service"


def test_ping_is_a_service(tmp_path: Path) -> None:
    tape = Tape()
    tape.icmp(0, HOST, "8.8.8.8", 8)
    assert kind_of(tape, tmp_path) == "service"


def call(seconds: float, per_s: int, size: int, back_every: int) -> Tape:
    tape = Tape()
    for i in range(int(seconds * per_s)):
        tape.udp(i / per_s, local(5000), remote(1, 40001), size)
        if back_every and i % back_every == 0:
            tape.udp(i / per_s + 0.003, remote(1, 40001), local(5000), size)
    return tape


@pytest.mark.parametrize(
    ("tape", "kind"),
    [
        (call(12, 50, 160, 1), "media"),
        (call(5, 50, 160, 1), "ordinary"),  # too short for one
        (call(12, 3, 160, 1), "sync"),  # too slow
        (call(12, 50, 1200, 1), "heavy"),  # too large
        (call(12, 50, 160, 10), "ordinary"),  # one side hardly speaks
        (call(12, 50, 160, 0), "probe"),
    ],
    ids=["call", "short", "slow", "large", "one-sided", "unanswered"],
)
def test_a_call_is_steady_small_packets_both_ways(tmp_path: Path, tape: Tape, kind: str) -> None:
    assert kind_of(tape, tmp_path) == kind


def test_an_answer_is_told_from_data_alone_met_midstream(tmp_path: Path) -> None:
    tape = Tape()
    tape.tcp(0, local(5000), remote(1, 40001), ACK, 100)
    tape.tcp(1, remote(1, 40001), local(5000), ACK, 100)
    assert kind_of(tape, tmp_path) == "sync"
