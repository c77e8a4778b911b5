"""Linux's rules for one connection, one by one, in words: each line a packet, and what it leaves behind.

A packet is `seconds side what`; side `a` opens, `b` answers. TCP's numbers are those of sound stacks; `what+n` and
`what-n` are that far astray, and of no consequence to the numbers that follow. `again` is the side's latest packet.
"""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerburst.capture.conntrack.states import (
    CONNTRACK_INDEX,
    IGNORED,
    INVALID,
    LINUX_TIMEOUTS_S,
    TCP_CONNTRACKS,
    Phase,
)
from peerburst.capture.flows.record import CARRIED, NEVER, WAS_DELETED
from peerburst.capture.flows.table import FlowTable
from tests.support import reference
from tests.support.bytes_generated import TCP_OPTIONS, frames
from tests.support.bytes_through_kernels import agree, decoded, one, segment_facts
from tests.support.packets_by_hand import Numbering, ethernet, ipv4, tcp
from tests.support.reference import (
    ACK,
    FIN,
    HAS_OPTIONS,
    HAS_SCALE,
    MAY_SACK,
    NEXT,
    PSH,
    RST,
    SECOND,
    STATES,
    SYN,
    URG,
    Frame,
    Packet,
)

A, B = (1, 40000), (2, 80)
FLAGS = {
    "syn": SYN,
    "synack": SYN | ACK,
    "ack": ACK,
    "shut": ACK,  # no window left
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
PROTOCOLS = {"udp": 17, "udplite": 136, "gre": 47, "sctp": 132, "esp": 50}
ICMP_TYPES = {"ping": 8, "pong": 0, "unreachable": 3, "timestamp": 13}
WINDOW = 8192
OPENING = "0 a syn, 0.1 b synack, 0.2 a ack"


def packets(story: str) -> list[Packet]:
    """The packets of a story."""
    made: list[Packet] = []
    numbers = Numbering()
    for line in story.split(","):
        seconds, side, what = line.split()
        source, destination = (A, B) if side == "a" else (B, A)
        packet = Packet(ts=round(float(seconds) * SECOND), src=source[0], dst=destination[0], ip_bytes=40)
        if what == "again":
            latest = next(before for before in reversed(made) if before.src == source[0])
            made.append(replace(latest, ts=packet.ts))
            continue
        if what in ICMP_TYPES:
            made.append(replace(packet, proto=1, icmp_type=ICMP_TYPES[what], icmp_id=7))
            continue
        packet = replace(packet, sport=source[1], dport=destination[1])
        if what in PROTOCOLS:
            made.append(replace(packet, proto=PROTOCOLS[what]))
        else:
            made.append(segment(packet, what, numbers))
    return made


def segment(packet: Packet, what: str, numbers: Numbering) -> Packet:
    """The TCP packet that `what` says between a packet's ends."""
    name, sign, far = re.fullmatch(r"(\w+)(?:([+-])(\d+))?", what).groups()  # type: ignore[union-attr]
    flags, size, ends = FLAGS[name], 5 * (name == "data"), ((packet.src, packet.sport), (packet.dst, packet.dport))
    seq, ack = numbers.of(*ends, flags & ACK, 0) if far else numbers.of(*ends, flags, size)
    seq = (seq + int(f"{sign}{far}" if far else 0)) % 2**32
    window = 0 if name == "shut" else WINDOW
    return replace(packet, proto=6, flags=flags, payload=size, seq=seq, ack=ack, sack=ack, window=window)


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
    # data is to be acknowledged within five minutes
    OPENING + ", 1 a data": (Phase.UNACKNOWLEDGED, 1),
    OPENING + ", 1 a data, 2 b ack": (Phase.ESTABLISHED, 2),
    OPENING + ", 1 a data, 2 b data": (Phase.UNACKNOWLEDGED, 2),
    OPENING + ", 1 a data, 2 b data, 3 a ack": (Phase.ESTABLISHED, 3),
    # ... as is what has been sent four times
    OPENING + ", 1 a data, 2 a again, 3 a again": (Phase.UNACKNOWLEDGED, 3),
    OPENING + ", 1 a data, 2 a again, 3 a again, 4 a again": (Phase.RETRANSMITTED, 4),
    OPENING + ", 1 a data, 2 a again, 3 a again, 4 a again, 5 b ack": (Phase.ESTABLISHED, 5),
    # ... and a window to be opened again
    OPENING + ", 1 b shut": (Phase.RETRANSMITTED, 1),
    OPENING + ", 1 b shut, 2 a ack": (Phase.ESTABLISHED, 2),
    # beyond the window, or long before it: nothing is renewed
    OPENING + ", 1 a data+1000000": (Phase.ESTABLISHED, 0.2),
    OPENING + ", 1 a data-100000": (Phase.ESTABLISHED, 0.2),
    OPENING + ", 1 a syn+90000": (Phase.ESTABLISHED, 0.2),
    OPENING + ", 1 a synack": (Phase.ESTABLISHED, 0.2),
    # a FIN or RST beyond the window from both ends: the table is out of step
    OPENING + ", 1 a fin+1000000": (Phase.ESTABLISHED, 0.2),
    OPENING + ", 1 a fin+1000000, 2 a fin+1000000": (Phase.ESTABLISHED, 0.2),
    OPENING + ", 1 a fin+1000000, 2 b fin+1000000": (Phase.UNACKNOWLEDGED, 2),
    OPENING + ", 1 a fin+1000000, 2 b rst+1000000": (Phase.UNACKNOWLEDGED, 2),
    OPENING + ", 1 a data+1000000, 2 b fin+1000000": (Phase.ESTABLISHED, 0.2),
    # the ends begin anew, the table sees it by the answer
    OPENING + ", 1 a data, 2 a syn": (Phase.UNACKNOWLEDGED, 1),
    OPENING + ", 1 a data, 2 a syn, 2.1 b synack": (Phase.SYN_RECV, 2.1),
    OPENING + ", 1 a data, 2 a syn, 2.1 b synack, 2.2 a ack": (Phase.ESTABLISHED, 2.2),
    OPENING + ", 1 a fin": (Phase.FIN_WAIT, 1),
    OPENING + ", 1 a fin, 1.1 b ack": (Phase.CLOSE_WAIT, 1.1),
    OPENING + ", 1 a fin, 1.1 b ack, 2 b fin": (Phase.LAST_ACK, 2),
    OPENING + ", 1 a fin, 1.1 b fin": (Phase.LAST_ACK, 1.1),
    OPENING + ", 1 a fin, 1.1 b fin, 1.2 a ack": (Phase.TIME_WAIT, 1.2),
    OPENING + ", 1 b fin, 1.1 a ack, 2 a fin, 2.1 b ack": (Phase.TIME_WAIT, 2.1),
    OPENING + ", 1 a rst": (Phase.CLOSE, 1),
    OPENING + ", 1 b rstack": (Phase.CLOSE, 1),
    # a reset that is not exact may be answered by a challenge; one of old numbers is none
    OPENING + ", 1 a rst+49": (Phase.CLOSE, 1),
    OPENING + ", 1 a data, 1.1 b ack, 2 a rst-1": (Phase.ESTABLISHED, 1.1),
    OPENING + ", 1 a rst+1000000": (Phase.ESTABLISHED, 0.2),
    # ... but while the ends close, its numbers do not matter
    OPENING + ", 1 a fin, 2 b rst+1000000": (Phase.CLOSE, 2),
    OPENING + ", 1 a fin, 2 b rst-1000000": (Phase.CLOSE, 2),
    # an ACK after a stray SYN may be a challenge to it, and not the last of the close
    OPENING + ", 1 a fin, 1.1 b fin, 2 a syn+90000": (Phase.LAST_ACK, 1.1),
    OPENING + ", 1 a fin, 1.1 b fin, 2 a syn+90000, 2.1 b ack": (Phase.LAST_ACK, 1.1),
    OPENING + ", 1 a fin, 1.1 b fin, 2 a syn+90000, 2.1 b ack, 2.2 b ack": (Phase.TIME_WAIT, 2.2),
    # a reset connection is opened again by the end that reset it alone
    OPENING + ", 1 a rst, 2 a syn+90000": (Phase.SYN_SENT, 2),
    OPENING + ", 1 b rst, 2 a syn+90000": (Phase.CLOSE, 1),
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
    "0 a syn, 0.1 b syn": (Phase.SYN_SENT, 0),  # renews no more than one by a
    "0 a syn, 0.1 b syn, 0.2 a synack": (Phase.SYN_RECV, 0.2),
    "0 a syn, 0.1 b syn, 0.2 a synack, 0.3 b ack": (Phase.ESTABLISHED, 0.3),
    # without one, the server's ACK in SYN_RECV does not establish
    "0 a syn, 0.1 b synack, 0.2 b ack": (Phase.SYN_RECV, 0.2),
    # met mid-stream: established at once, and forgotten early until somebody answers
    "0 a ack": (Phase.UNACKNOWLEDGED, 0),
    # (its numbers are not noted, as they acknowledge what was not seen: as if its window were 0, and as long)
    "0 a data, 1 a data": (Phase.RETRANSMITTED, 1),
    "0 a data, 1 b ack": (Phase.UNACKNOWLEDGED, 1),
    "0 a data, 1 b ack, 2 a ack": (Phase.ESTABLISHED, 2),
    "0 a data, 1 b ack, 2 a data": (Phase.UNACKNOWLEDGED, 2),
    # ... with guessed windows, which hold nobody back
    "0 a data, 1 b ack, 2 a ack, 3 a ack+1000000": (Phase.ESTABLISHED, 3),
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
    # GRE and SCTP have a longer timeout from the first packet after an answer on
    "0 a gre": (Phase.GRE, 0),
    "0 a gre, 29 a gre, 30 b gre": (Phase.GRE, 30),
    "0 a gre, 1 b gre, 2 a gre": (Phase.GRE_STREAM, 2),
    "0 a gre, 1 b gre, 2 a gre, 181.9 a gre": (Phase.GRE_STREAM, 181.9),
    "0 a gre, 1 b gre, 2 a gre, 182 a gre": (Phase.GRE, 182),
    "0 a sctp": (Phase.SCTP, 0),
    "0 a sctp, 1 b sctp": (Phase.SCTP, 1),
    "0 a sctp, 0.1 b sctp, 0.2 a sctp, 0.3 b sctp": (Phase.SCTP_ESTABLISHED, 0.3),
    "0 a sctp, 0.1 b sctp, 0.2 a sctp, 210 a sctp": (Phase.SCTP_ESTABLISHED, 210),
    "0 a sctp, 0.1 b sctp, 0.2 a sctp, 210.2 a sctp": (Phase.SCTP, 210.2),
    "0 a sctp, 3 b sctp, 3.1 a sctp": (Phase.SCTP, 3.1),
    # every other protocol is one-way or not, alike
    "0 a esp, 1 b esp, 2 a esp": (Phase.OTHER, 2),
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


@pytest.mark.parametrize(
    ("answer", "is_answer"), [("ack", True), ("synack+7", True), ("fin", False), ("xmas", False), ("data", True)]
)
def test_a_passed_on_answer_counts_as_one_and_an_invalid_one_does_not(answer: str, is_answer: bool) -> None:
    # Whoever gave up before any answer leaves nothing behind; after one, an entry of ten seconds.
    (segment,) = table(f"0 a syn, 0.1 b {answer}, 0.2 a rst").flows().segments
    assert bool(segment["seen"] & WAS_DELETED) != is_answer


def test_a_reset_that_is_not_exact_leaves_the_state() -> None:
    segment = table(OPENING + ", 1 a rst+49").flows().segments[-1]
    assert (Phase(segment["state"]), Phase(segment["phase"])) == (Phase.ESTABLISHED, Phase.CLOSE)


def test_an_entry_that_a_syn_does_not_open_again_lives_on_in_the_next_flow() -> None:
    story = OPENING + ", 1 b rst, 2 a syn+90000"
    flows = table(story).flows()
    assert flows.row["successor"].tolist() == [1, -1]
    assert [bool(flags & CARRIED) for flags in flows.row["flags"]] == [False, True]
    assert flows.row["closed"].tolist() == [at(1), at(1)]
    assert [Phase(state) for state in flows.segments["state"]] == [Phase.CLOSE, Phase.CLOSE]
    # The old entry expires ten seconds after the reset; the SYN sent again then opens one.
    flows = table(story + ", 11 a again").flows()
    assert not flows.row["flags"][1] & CARRIED
    assert Phase(flows.segments["phase"][-1]) is Phase.SYN_SENT
    assert flows.segments["renewed"].tolist() == [at(1), at(1), at(11)]


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
            assert TCP_CONNTRACKS[direction, packet].tolist() == expected, (side, kind)


@pytest.mark.parametrize(
    ("options", "offered"),
    [
        ("", 0),
        ("020405b4", HAS_OPTIONS),
        ("020405b4 0402 080a0000000100000000 01 030307", HAS_OPTIONS + MAY_SACK + HAS_SCALE + 7),  # as Linux sends them
        ("01 03030f", HAS_OPTIONS + HAS_SCALE + 14),  # RFC 7323 section 2.3: no more than 14
        ("00 030307", HAS_OPTIONS),  # behind the end
        ("01 030407ff 000000", HAS_OPTIONS),  # of a size that the option has not
    ],
)
def test_what_the_options_of_a_syn_offer(options: str, offered: int) -> None:
    data = ethernet(ipv4(tcp(1, 2, SYN, options=bytes.fromhex(options))))
    assert one(data).options == offered


@pytest.mark.parametrize(
    ("options", "ack", "sack"),
    [
        ("", 200, 200),
        ("0101 050a 0000012c 00000190", 200, 400),
        ("0101 0512 0000012c 00000190 00000200 00000258", 200, 600),
        ("0101 0512 00000200 00000258 0000012c 00000190", 200, 600),
        ("0101 050a 0000000a 00000014", 200, 200),  # RFC 2883: of what was acknowledged already
        ("0101 050a fffffff0 00000002", 2**32 - 30, 2),
        ("0101 080a 00000001 00000002", 200, 200),
    ],
)
def test_what_is_acknowledged_selectively(options: str, ack: int, sack: int) -> None:
    data = ethernet(ipv4(tcp(1, 2, ACK, options=bytes.fromhex(options), ack=ack)))
    assert one(data).sack == sack


@given(st.lists(st.sampled_from(TCP_OPTIONS), max_size=6), st.sampled_from([SYN, SYN | ACK, ACK]), st.integers(34, 94))
def test_options_are_the_references(options: list[bytes], flags: int, kept: int) -> None:
    padded = b"".join(options)[:40]
    whole = ethernet(ipv4(tcp(1, 2, flags, options=padded + bytes(-len(padded) % 4))))
    frame = Frame(0, whole[:kept], len(whole), 1)
    (found,) = decoded([frame])
    expected = reference.decode(frame)
    assert (found.options, found.sack) == (expected.options, expected.sack)


@given(st.lists(frames(), min_size=1, max_size=6))
def test_options_of_any_frames_are_the_references(given_frames: list[Frame]) -> None:
    expected = [reference.decode(frame).options for frame in given_frames]
    assert [packet.options for packet in decoded(given_frames)] == expected


def test_pushed_and_congestion_flags_change_nothing_about_a_packets_kind() -> None:
    for flags in range(64):
        assert CONNTRACK_INDEX[flags] == CONNTRACK_INDEX[flags ^ PSH]


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
        "GRE": 30,
        "GRE_STREAM": 180,
        "SCTP": 3,
        "SCTP_ESTABLISHED": 210,
    }
