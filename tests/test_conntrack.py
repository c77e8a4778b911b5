"""Linux's rules for one connection, one by one, in words: each line a packet, and what it leaves behind.

A packet is `seconds side what`; side `a` opens, `b` answers.
"""

from dataclasses import replace

import pytest

from bytes_through_kernels import agree, segment_facts
from peerburst.capture.conntrack import (
    IGNORED,
    INVALID,
    LINUX_TIMEOUTS_S,
    PACKET_KINDS,
    TRANSITIONS,
    Phase,
)
from peerburst.capture.flowtable import NEVER, FlowTable
from reference import ACK, FIN, NEXT, PSH, RST, SECOND, STATES, SYN, URG, Packet

A, B = (1, 40000), (2, 80)
FLAGS = {
    "syn": SYN,
    "synack": SYN | ACK,
    "ack": ACK,
    "data": PSH | ACK,
    "fin": FIN | ACK,
    "rst": RST,
    "rstack": RST | ACK,
    "xmas": FIN | PSH | URG,
    "null": 0,
    "barefin": FIN,
    "synfin": SYN | FIN,
    "synece": SYN | 0xC0,
}
PROTOCOLS = {"udp": 17, "udplite": 136, "gre": 47, "sctp": 132}
ICMP_TYPES = {"ping": 8, "pong": 0, "unreachable": 3, "timestamp": 13}
OPENING = "0 a syn, 0.1 b synack, 0.2 a ack"


def packets(story: str) -> list[Packet]:
    """The packets of a story."""
    made = []
    for line in story.split(","):
        seconds, side, what = line.split()
        source, destination = (A, B) if side == "a" else (B, A)
        packet = Packet(ts=round(float(seconds) * SECOND), src=source[0], dst=destination[0], ip_bytes=40)
        if what in ICMP_TYPES:
            made.append(replace(packet, proto=1, flags=ICMP_TYPES[what], sport=7, dport=7))
            continue
        packet = replace(packet, sport=source[1], dport=destination[1])
        if what in PROTOCOLS:
            made.append(replace(packet, proto=PROTOCOLS[what]))
        else:
            made.append(replace(packet, proto=6, flags=FLAGS[what], payload=5 * (what == "data")))
    return made


def table(story: str) -> FlowTable:
    """Kernel's table after the story; that the reference agrees is asserted on the way."""
    return agree(packets(story))


def at(seconds: float) -> int:
    return round(seconds * SECOND)


# story: the phase its last packet leaves behind, and when the timeout began anew
LAST_PHASE = {
    # the way of a connection
    "0 a syn": (Phase.SYN_SENT, 0),
    "0 a synece": (Phase.SYN_SENT, 0),
    "0 a syn, 0.1 b synack": (Phase.SYN_RECV, 0.1),
    OPENING: (Phase.ESTABLISHED, 0.2),
    OPENING + ", 1 a data": (Phase.ESTABLISHED, 1),
    OPENING + ", 1 a fin": (Phase.FIN_WAIT, 1),
    OPENING + ", 1 a fin, 1.1 b ack": (Phase.CLOSE_WAIT, 1.1),
    OPENING + ", 1 a fin, 1.1 b ack, 2 b fin": (Phase.LAST_ACK, 2),
    OPENING + ", 1 a fin, 1.1 b fin": (Phase.LAST_ACK, 1.1),
    OPENING + ", 1 a fin, 1.1 b fin, 1.2 a ack": (Phase.TIME_WAIT, 1.2),
    OPENING + ", 1 b fin, 1.1 a ack, 2 a fin, 2.1 b ack": (Phase.TIME_WAIT, 2.1),
    OPENING + ", 1 a rst": (Phase.CLOSE, 1),
    OPENING + ", 1 b rstack": (Phase.CLOSE, 1),
    # a repeated SYN does not renew; the timeout runs from the first
    "0 a syn, 1 a syn, 3 a syn": (Phase.SYN_SENT, 0),
    # an answer to the second SYN does
    "0 a syn, 3 a syn, 3.1 b synack": (Phase.SYN_RECV, 3.1),
    # a repeated SYN+ACK is passed on, and renews nothing
    "0 a syn, 0.1 b synack, 1.1 b synack": (Phase.SYN_RECV, 0.1),
    # half open: an answer to a SYN that is an ACK (RFC 793 figure 10) leaves the entry as it was
    "0 a syn, 0.1 b ack": (Phase.SYN_SENT, 0),
    # ... but counts as an answer, so that the RST it calls forth closes and does not delete
    "0 a syn, 0.1 b ack, 0.2 a rst": (Phase.CLOSE, 0.2),
    # a client's ACK before any SYN+ACK is not valid
    "0 a syn, 1 a ack": (Phase.SYN_SENT, 0),
    # simultaneous open (RFC 793 figure 8)
    "0 a syn, 0.1 b syn": (Phase.SYN_SENT2, 0.1),
    "0 a syn, 0.1 b syn, 0.2 a synack": (Phase.SYN_RECV, 0.2),
    "0 a syn, 0.1 b syn, 0.2 a synack, 0.3 b ack": (Phase.ESTABLISHED, 0.3),
    # without one, the server's ACK in SYN_RECV does not establish
    "0 a syn, 0.1 b synack, 0.2 b ack": (Phase.SYN_RECV, 0.2),
    # met mid-stream: established at once, and forgotten early until somebody answers
    "0 a ack": (Phase.UNACKNOWLEDGED, 0),
    "0 a data, 1 a data": (Phase.UNACKNOWLEDGED, 1),
    "0 a data, 1 b ack": (Phase.UNACKNOWLEDGED, 1),
    "0 a data, 1 b ack, 2 a data": (Phase.ESTABLISHED, 2),
    # UDP: a stream needs an answer and two seconds
    "0 a udp": (Phase.UDP, 0),
    "0 a udp, 10 a udp": (Phase.UDP, 10),
    "0 a udp, 0.1 b udp": (Phase.UDP, 0.1),
    "0 a udp, 0.1 b udp, 1.9 a udp": (Phase.UDP, 1.9),
    "0 a udp, 0.1 b udp, 2 a udp": (Phase.UDP, 2),
    "0 a udp, 0.1 b udp, 2.1 a udp": (Phase.UDP_STREAM, 2.1),
    "0 a udp, 0.1 b udp, 2.1 b udp": (Phase.UDP_STREAM, 2.1),
    # the first answer itself is not yet a stream, however late
    "0 a udp, 10 b udp": (Phase.UDP, 10),
    "0 a udp, 10 b udp, 10.1 a udp": (Phase.UDP_STREAM, 10.1),
    "0 a udplite, 0.1 b udplite, 3 a udplite": (Phase.UDP_STREAM, 3),
    # queries open, their answers renew
    "0 a ping": (Phase.ICMP, 0),
    "0 a timestamp": (Phase.ICMP, 0),
    "0 a ping, 1 b pong": (Phase.ICMP, 1),
    # every other protocol is one-way or not, alike
    "0 a gre": (Phase.OTHER, 0),
    "0 a sctp, 1 b sctp": (Phase.OTHER, 1),
}


@pytest.mark.parametrize("story", LAST_PHASE)
def test_what_the_last_packet_leaves_behind(story: str) -> None:
    phase, renewed = LAST_PHASE[story]
    segment = table(story).flows().segments[-1]
    assert Phase(segment["phase"]) is phase
    assert segment["renewed"] == at(renewed)


OPENS_NOTHING = [
    "0 a fin",
    "0 a rst",
    "0 b rstack",
    "0 b synack",
    "0 a xmas",
    "0 a null",
    "0 a barefin",
    "0 a synfin",
    "0 a unreachable",
    "0 b pong",
]


@pytest.mark.parametrize("story", OPENS_NOTHING)
def test_what_opens_no_entry(story: str) -> None:
    flows = table(story).flows()
    assert flows.row.size == flows.segments.size == 1
    assert Phase(flows.segments["phase"][0]) is Phase.NONE
    assert Phase(flows.segments["state"][0]) is Phase.NONE


@pytest.mark.parametrize("what", ["xmas", "null", "barefin", "synfin"])
def test_what_no_stack_sends_leaves_an_entry_alone(what: str) -> None:
    segment = table(f"{OPENING}, 1 a {what}, 2 b {what}").flows().segments[-1]
    assert (Phase(segment["phase"]), segment["renewed"]) == (Phase.ESTABLISHED, at(0.2))


@pytest.mark.parametrize("answer", ["b rstack", "b rst", "a rst"])
def test_a_refusal_deletes_the_entry_at_once(answer: str) -> None:
    flows = table(f"0 a syn, 0.1 {answer}").flows()
    (segment,) = segment_facts(table(f"0 a syn, 0.1 {answer}"))
    assert segment[-1], "the entry was not deleted"
    assert (segment[1], segment[2]) == (0, at(0.1))
    assert flows.row["closed"][0] == NEVER


def test_a_syn_after_a_refusal_is_the_next_flow() -> None:
    flows = table("0 a syn, 0.1 b rstack, 0.2 a syn, 0.3 b synack").flows()
    assert flows.row["successor"].tolist() == [1, -1]
    assert [Phase(phase) for phase in flows.segments["phase"]] == [Phase.SYN_SENT, Phase.SYN_RECV]


CLOSED = OPENING + ", 1 a fin, 1.1 b fin, 1.2 a ack"


def test_a_syn_in_time_wait_is_the_next_flow() -> None:
    flows = table(CLOSED + ", 5 a syn, 5.1 b synack, 5.2 a ack").flows()
    assert flows.row["successor"].tolist() == [1, -1]
    assert flows.row["a_pkts"].tolist() == [4, 2]
    assert flows.row["closed"].tolist() == [at(1.2), NEVER]
    assert flows.first_ns().tolist() == [0, at(5)]


def test_other_packets_in_time_wait_begin_no_flow() -> None:
    flows = table(CLOSED + ", 2 b fin, 2.1 a ack, 3 a data").flows()
    assert flows.row.size == 1
    assert flows.row["closed"][0] == at(1.2)


def test_a_syn_on_a_live_connection_is_passed_on() -> None:
    flows = table(OPENING + ", 1 a syn, 1.1 b ack").flows()
    assert flows.row.size == 1
    assert flows.segments["renewed"][0] == at(1.1)


def test_a_syn_on_a_silent_connection_begins_an_entry_and_no_flow() -> None:
    flows = table("0 a syn, 119.9 a syn, 120 a syn").flows()
    assert flows.row.size == 1
    assert flows.segments["start"].tolist() == [0, at(119.9), at(120)]
    assert flows.segments["renewed"].tolist() == [0, 0, at(120)]


@pytest.mark.parametrize(
    ("story", "phase"),
    [
        ("0 a syn", Phase.SYN_SENT),
        ("0 a syn, 0 b synack", Phase.SYN_RECV),
        ("0 a syn, 0 b synack, 0 a ack", Phase.ESTABLISHED),
        ("0 a data", Phase.UNACKNOWLEDGED),
        ("0 a syn, 0 b synack, 0 a ack, 0 a fin", Phase.FIN_WAIT),
        ("0 a syn, 0 b synack, 0 a ack, 0 a fin, 0 b ack", Phase.CLOSE_WAIT),
        ("0 a syn, 0 b synack, 0 a ack, 0 a fin, 0 b fin", Phase.LAST_ACK),
        ("0 a syn, 0 b synack, 0 a ack, 0 a fin, 0 b fin, 0 a ack", Phase.TIME_WAIT),
        ("0 a syn, 0 b synack, 0 b rst", Phase.CLOSE),
    ],
)
def test_an_entry_lives_to_its_timeout_and_no_longer(story: str, phase: Phase) -> None:
    limit = LINUX_TIMEOUTS_S[phase]
    for seconds, alive in ((limit - 0.001, True), (limit, False)):
        # A packet that is never valid but for the entry it meets: it alone begins no entry.
        flows = table(f"{story}, {seconds} a null").flows()
        assert (Phase(flows.segments["phase"][-1]) is phase) == alive
        assert flows.segments.size == 2


def test_a_udp_stream_ages_by_its_latest_entry() -> None:
    # Silent for 31 s: a new entry, whose own two seconds begin anew.
    flows = table("0 a udp, 0.1 b udp, 31.2 a udp, 31.3 b udp, 32 a udp, 33.3 a udp").flows()
    assert [Phase(phase) for phase in flows.segments["phase"]] == [Phase.UDP, Phase.UDP_STREAM]
    assert flows.segments["renewed"].tolist() == [at(0.1), at(33.3)]
    assert flows.row["established"][0] == at(33.2)


def test_when_a_connection_was_established_closing_and_closed() -> None:
    row = table(CLOSED).flows().row
    assert (row["established"][0], row["closing"][0], row["closed"][0]) == (at(0.2), at(1), at(1.2))
    half_open = table("0 a syn, 1 a syn").flows().row
    assert (half_open["established"][0], half_open["closing"][0], half_open["closed"][0]) == (NEVER, NEVER, NEVER)


def test_a_stray_packet_long_after_the_close_has_no_entry_and_no_close_of_its_own() -> None:
    flows = table(CLOSED + ", 200 b rst").flows()
    assert [Phase(phase) for phase in flows.segments["phase"]] == [Phase.TIME_WAIT, Phase.NONE]
    assert flows.segments["closed"].tolist() == [at(1.2), NEVER]
    assert flows.row["closed"][0] == at(1.2)


def test_the_transitions_are_the_kernels_line_by_line() -> None:
    words = {**{name: code for code, name in enumerate(STATES)}, "IG": IGNORED, "IV": INVALID}
    for direction, side in enumerate(("original", "reply")):
        for packet, kind in enumerate(("syn", "synack", "fin", "ack", "rst", "none")):
            expected = [words[word] for word in NEXT[side, kind].split()]
            assert TRANSITIONS[direction, packet].tolist() == expected, (side, kind)


def test_pushed_and_congestion_flags_change_nothing_about_a_packets_kind() -> None:
    for flags in range(64):
        assert PACKET_KINDS[flags] == PACKET_KINDS[flags ^ PSH]


def test_the_timeouts_are_those_of_the_kernels_documentation() -> None:
    # Documentation/networking/nf_conntrack-sysctl.rst
    assert {phase.name: seconds for phase, seconds in LINUX_TIMEOUTS_S.items()} == {
        "NONE": 0,
        "SYN_SENT": 120,
        "SYN_RECV": 60,
        "ESTABLISHED": 432_000,
        "FIN_WAIT": 120,
        "CLOSE_WAIT": 60,
        "LAST_ACK": 30,
        "TIME_WAIT": 120,
        "CLOSE": 10,
        "SYN_SENT2": 120,
        "RETRANSMITTED": 300,
        "UNACKNOWLEDGED": 300,
        "UDP": 30,
        "UDP_STREAM": 120,
        "ICMP": 30,
        "OTHER": 600,
    }
