"""The flow table: packets in, flows and segments out.

A flow is the packets of one bidirectional 5-tuple; a SYN on a closed one begins the next flow. A segment is a run of
one flow's packets with no gap longer than the shortest timeout of interest and within one entry of Linux's table.
Its last segment is kept in the flow's own row, so that the many flows of one packet cost one row.

Speed comes from working on a batch: all packets are hashed first; then, while one is dealt with, the slots, rows and
lines that the next ones lead to are on their way from memory. It comes from rows of two cache lines, and from never
allocating inside.

What Linux's window tracking has to remember of TCP (`tcptrack`) is apart: a word per flow, in which a first SYN fits
whole, and a line of one cache line from the second packet on. A flood of SYNs costs no lines.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from peerburst.capture.compiled.arrays import (
    LARGE_PAGE,
    BufferPool,
    grow,
    large_page_array,
    prefetch,
    prefetch_to_write,
    release,
    reserve,
)
from peerburst.capture.compiled.kernel import inlined_part, kernel, part
from peerburst.capture.compiled.parallel import side_by_side
from peerburst.capture.conntrack.states import (
    CLOSE,
    ESTABLISHED,
    IS_ACK,
    IS_RST,
    IS_SYN,
    IS_SYNACK,
    LINUX_TIMEOUTS_NS,
    NONE,
    OPENED_BY_A,
    PACKET_KINDS,
    PHASES,
    REPLIED,
    SYN_SENT,
    TIME_WAIT,
    UDP,
    UDP_STREAM,
    UDP_STREAM_AGE_NS,
    UNACKNOWLEDGED,
    Phase,
    open_tcp,
)
from peerburst.capture.conntrack.tcp import (
    CUT_SHORT,
    DELETED,
    LEFT_ALONE,
    LINE,
    RENEWED,
    REOPENED,
    SIDE,
    begin_by_syn,
    begin_mid_stream,
    next_tcp,
)
from peerburst.capture.packets.icmp import ICMP_QUERIES, ICMPV6_QUERIES, icmp_ports, is_icmp
from peerburst.capture.packets.ip import PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP, PROTO_UDP, PROTO_UDPLITE
from peerburst.capture.packets.status import Status
from peerburst.capture.units import SECOND_NS

# One row per flow, two cache lines. The ends of the 5-tuple are `a`, the smaller (address, port), and `b`.
_COMMON = np.dtype(
    [
        ("a_hi", np.uint64),
        ("a_lo", np.uint64),
        ("b_hi", np.uint64),
        ("b_lo", np.uint64),
        ("a_port", np.uint16),  # 0 of protocols without ports
        ("b_port", np.uint16),
        ("proto", np.uint8),
        ("flags", np.uint8),  # ORIG_IS_A and the like
        ("state", np.uint8),  # Linux's state of the entry now
        ("status", np.uint8),  # of the entry: conntrack.REPLIED and the like, as IPS_* in Linux
        ("last", np.int64),  # latest packet, ns
        ("start", np.int64),  # of the segment at hand, ns
        ("renewed", np.int64),  # when the entry's timeout last began anew, ns
        ("phase", np.uint8),  # the timeout it runs under
        ("seen", np.uint8),  # of the segment: A_SENT and the like
        ("pauses", np.uint16),  # silences of PAUSE_NS or more; of ICMP they are not counted
        ("successor", np.int32),  # the flow that took over the 5-tuple, or -1
        ("a_pkts", np.uint32),
        ("b_pkts", np.uint32),
        ("a_bytes", np.uint64),  # IP length
        ("b_bytes", np.uint64),
        ("history", np.uint64),  # see `_remember`
        ("closed", np.int64),  # TCP entered TIME_WAIT or CLOSE, or NEVER
        ("established", np.int64),  # TCP was first ESTABLISHED, or NEVER
        ("closing", np.int64),  # first FIN or RST, or NEVER
    ],
    align=True,
)
# In the room of `established`, which only TCP has (as Linux's union nf_conntrack_proto): what other protocols have.
_UNION = {
    "stream_ts": (np.int64, 0),  # UDP: from when on the entry is old enough for a stream, ns
    "icmp_type": (np.uint8, 0),  # ICMP and ICMPv6: of the first message
    "icmp_code": (np.uint8, 1),
    "icmp_id": (np.uint16, 2),  # 0 if it is no query
}


def _with_union(common: np.dtype[np.void]) -> np.dtype[np.void]:
    fields = dict(common.fields or {})
    begin = fields["established"][1]
    places = {name: (np.dtype(kind), begin + offset) for name, (kind, offset) in _UNION.items()}
    every = {name: (place[0], place[1]) for name, place in {**fields, **places}.items()}
    return np.dtype(
        {
            "names": list(every),
            "formats": [kind for kind, _offset in every.values()],
            "offsets": [offset for _kind, offset in every.values()],
            "itemsize": common.itemsize,
        },
        align=True,
    )


FLOW = _with_union(_COMMON)
SEGMENT = np.dtype(
    [
        ("start", np.int64),  # first packet, ns
        ("last", np.int64),  # latest packet, ns
        ("renewed", np.int64),  # when Linux last began the entry's timeout anew, ns
        ("closed", np.int64),  # when TCP entered TIME_WAIT or CLOSE in this entry, or NEVER
        ("flow", np.int32),
        ("state", np.uint8),  # Linux's state after the last packet
        ("phase", np.uint8),  # the timeout it left behind
        ("seen", np.uint8),
    ],
    align=True,
)

# A row as two cache lines, to ask for each.
FLOW_HALF = np.dtype([("words", np.int64, (8,))])

NEVER = np.int64(np.iinfo(np.int64).max)

# Flags of a flow.
ORIG_IS_A = 1
FIRST_IS_A = 2  # the end that sent the first packet seen
CLOSED = 4  # reached TIME_WAIT or CLOSE, or was refused: a SYN begins a new flow
OFFLOAD = 8  # some IP length was 0: the card does the splitting
CARRIED = 16  # Linux's entry of the flow before lives on in it: its SYN did not reopen the entry

# What a segment saw.
FIRST_BY_A = 1
A_SENT = 2
B_SENT = 4
AGAIN = 8  # its first sender sent again after the other end had
SEVERAL = 16  # more than one packet
WAS_DELETED = 32  # Linux deleted the entry at its last packet

TALKING_NS = 5 * SECOND_NS
# A player pauses between segments of two seconds and more; TCP waits less for a lost packet, as a rule (RFC 6298: 1 s
# at the very first, then the round trip and its spread).
PAUSE_NS = SECOND_NS
MOST_PAUSES = 65535

# Letters of Zeek's history, in the order they are coded.
HISTORY_LETTERS = "shadfr"
LETTER_SYN, LETTER_SYNACK, LETTER_ACK, LETTER_DATA, LETTER_FIN, LETTER_RST = range(6)

# Indices into the table's gauge; FIRST and LATEST are instants, of all packets whatever their status.
FLOWS, SEGMENTS, SEED, LINES, FIRST, LATEST, BEFORE, GAUGES = range(8)

# A slot is free or holds a flow's hash, a sign that it is taken and the flow's number: two flows whose slots collide
# are told apart without their rows. Free ones are 0, as new memory is.
FREE, TAKEN = 0, 1 << 31
NO_FLOW = -1
HASH_SHIFT = 32
HASH_BITS = np.uint64(0x7FFFFFFF)
PARTED_BITS = 32  # of a hash of 31 bits and the direction
NUMBER_BITS = TAKEN - 1
SLOTS_PER_FLOW = 3  # at half as many, every third packet of a full table met a stranger first
LEAST_SLOTS = LARGE_PAGE // 8

# How many packets ahead a packet's slot, its flow's row and the flow's line are asked for: each needs what the one
# before it brought. Half and twice these distances measured the same or worse.
SLOT_AHEAD, ROW_AHEAD, LINE_AHEAD = 24, 16, 8
PLACES = 32  # a power of two above ROW_AHEAD: where each of the next packets' flows begin to be looked for
PLACES_MASK = PLACES - 1
GATHER_AHEAD = 16
GATHERED_AT_ONCE = 1 << 18  # segments: 10 MB of them are held twice

# What a flow's word says when it is not the number of a line: nothing, or a first SYN (below NO_LINE).
NO_LINE = -1
WINDOW_SHIFT, OPTIONS_SHIFT = 32, 48

DECODED = int(Status.DECODED)
PHASE_ICMP = int(Phase.ICMP)
PHASE_OTHER = int(Phase.OTHER)
FIRST_CAPACITY = 1 << 12
DEALT_AT_ONCE = 1 << 14  # packets for which there is room that is used again
KEPT = 8


@part
def _mix(value, word):  # type: ignore[no-untyped-def]
    value = (value ^ word) * np.uint64(0x9E3779B97F4A7C15)
    return value ^ (value >> np.uint64(29))


@part
def _hash_end(seed, high, low, port):  # type: ignore[no-untyped-def]
    return _mix(_mix(_mix(seed, low), high), np.uint64(port))  # one by one: what is joined first can be made to cancel


@part
def _hash(seed, one, other, proto):  # type: ignore[no-untyped-def]
    """31 bits of the hashes of both ends, whichever way round, and the protocol.

    Seeded, so that nobody can write a capture whose flows all fall into one slot.
    """
    value = _mix(one + other, np.uint64(proto))
    return np.int64((value ^ (value >> np.uint64(32))) & HASH_BITS)


@part
def _tuple_ports(packet):  # type: ignore[no-untyped-def]
    """(the sender's, the receiver's) port of a packet's 5-tuple, or what ICMP has for it."""
    if is_icmp(packet["proto"]):
        return icmp_ports(packet["proto"], packet["icmp_type"], packet["icmp_code"], packet["icmp_id"])
    return np.int64(packet["sport"]), np.int64(packet["dport"])


@part
def flow_ports(flow):  # type: ignore[no-untyped-def]
    """(end a's, end b's) port of a flow (FLOW), or what ICMP has for it."""
    if is_icmp(flow["proto"]):
        first, other = icmp_ports(flow["proto"], flow["icmp_type"], flow["icmp_code"], flow["icmp_id"])
        return (first, other) if flow["flags"] & FIRST_IS_A else (other, first)
    return np.int64(flow["a_port"]), np.int64(flow["b_port"])


@part
def _same_message(flow, packet, from_a):  # type: ignore[no-untyped-def]
    """Whether an ICMP packet belongs to an ICMP flow between the same ends."""
    a_port, b_port = flow_ports(flow)
    port, other_port = _tuple_ports(packet)
    return (a_port == port and b_port == other_port) if from_a else (a_port == other_port and b_port == port)


@part
def _source_is_a(packet):  # type: ignore[no-untyped-def]
    """Whether the sender is the smaller end. Without a branch: which way a packet goes, no processor can foresee."""
    high, low = packet["src_hi"], packet["src_lo"]
    other_high, other_low = packet["dst_hi"], packet["dst_lo"]
    port, other_port = _tuple_ports(packet)
    by_port = (low == other_low) & (port <= other_port)
    return (high < other_high) | ((high == other_high) & ((low < other_low) | by_port))


@part
def _same(flow, packet, from_a):  # type: ignore[no-untyped-def]
    """Whether a packet belongs to a flow's 5-tuple."""
    if flow["proto"] != packet["proto"]:
        return False
    if is_icmp(packet["proto"]) and not _same_message(flow, packet, from_a):
        return False
    if from_a:
        return (
            flow["a_lo"] == packet["src_lo"]
            and flow["b_lo"] == packet["dst_lo"]
            and flow["a_port"] == packet["sport"]
            and flow["b_port"] == packet["dport"]
            and flow["a_hi"] == packet["src_hi"]
            and flow["b_hi"] == packet["dst_hi"]
        )
    return (
        flow["a_lo"] == packet["dst_lo"]
        and flow["b_lo"] == packet["src_lo"]
        and flow["a_port"] == packet["dport"]
        and flow["b_port"] == packet["sport"]
        and flow["a_hi"] == packet["dst_hi"]
        and flow["b_hi"] == packet["src_hi"]
    )


@part
def _is_flipped(packet, kind, servers):  # type: ignore[no-untyped-def]
    """Whether the first packet seen comes from the responder.

    As Zeek decides: a SYN comes from the originator, a SYN+ACK from the responder; a TCP flow met mid-stream, and any
    UDP flow, is turned round if its source port is a likely server's and its destination port is not.
    """
    proto = packet["proto"]
    if proto == PROTO_TCP:
        if kind == IS_SYN:
            return False
        if kind == IS_SYNACK:
            return True
    elif proto != PROTO_UDP and proto != PROTO_UDPLITE:
        return False
    return servers[packet["sport"]] != 0 and servers[packet["dport"]] == 0


@part
def _begin_flow(flow, packet, from_a, flipped):  # type: ignore[no-untyped-def]
    if from_a:
        flow["a_hi"], flow["a_lo"] = packet["src_hi"], packet["src_lo"]
        flow["b_hi"], flow["b_lo"] = packet["dst_hi"], packet["dst_lo"]
        flow["a_port"], flow["b_port"] = packet["sport"], packet["dport"]
    else:
        flow["a_hi"], flow["a_lo"] = packet["dst_hi"], packet["dst_lo"]
        flow["b_hi"], flow["b_lo"] = packet["src_hi"], packet["src_lo"]
        flow["a_port"], flow["b_port"] = packet["dport"], packet["sport"]
    flow["proto"] = packet["proto"]
    flow["flags"] = (FIRST_IS_A if from_a else 0) | (ORIG_IS_A if from_a != flipped else 0)
    flow["state"] = NONE
    flow["status"] = 0
    flow["phase"] = NONE
    flow["seen"] = 0
    flow["pauses"] = 0
    flow["successor"] = -1
    flow["a_pkts"] = 0
    flow["b_pkts"] = 0
    flow["a_bytes"] = 0
    flow["b_bytes"] = 0
    flow["history"] = 0
    flow["closed"] = NEVER
    flow["established"] = NEVER
    if is_icmp(packet["proto"]):
        flow["icmp_type"] = packet["icmp_type"]
        flow["icmp_code"] = packet["icmp_code"]
        flow["icmp_id"] = packet["icmp_id"]
    flow["closing"] = NEVER
    flow["last"] = packet["ts"]
    flow["start"] = packet["ts"]
    flow["renewed"] = packet["ts"]


@part
def _close_segment(flow, number, segment):  # type: ignore[no-untyped-def]
    """Write the segment at hand of a flow, which has this number, to a row of segments."""
    segment["start"] = flow["start"]
    segment["last"] = flow["last"]
    segment["renewed"] = flow["renewed"]
    # Without an entry there is no close either: the flow's is that of the entry before.
    segment["closed"] = flow["closed"] if flow["phase"] != NONE else NEVER
    segment["flow"] = number
    segment["state"] = flow["state"]
    segment["phase"] = flow["phase"]
    segment["seen"] = flow["seen"]


@part
def _remember(history, letter, from_b):  # type: ignore[no-untyped-def]
    """Add a letter and direction to a history, once each.

    Coded in one word: 12 bits of letters seen, 4 bits that count them, then 4 bits for each in order of appearance.
    """
    code = np.uint64(letter + (6 if from_b else 0))
    bit = np.uint64(1) << code
    if history & bit:
        return history
    count = (history >> np.uint64(12)) & np.uint64(15)
    return (history | bit | (code << (np.uint64(16) + np.uint64(4) * count))) + np.uint64(1 << 12)


@inlined_part
def _tcp_history(history, kind, flags, payload, from_b):  # type: ignore[no-untyped-def]
    syn, ack = np.int64(flags) >> 1 & 1, np.int64(flags) >> 4 & 1
    letters = (
        (syn & ~ack) << LETTER_SYN
        | (syn & ack) << LETTER_SYNACK
        | np.int64(payload > 0) << LETTER_DATA
        | np.int64((payload == 0) & (kind == IS_ACK)) << LETTER_ACK
        | (np.int64(flags) & 1) << LETTER_FIN
        | (np.int64(flags) >> 2 & 1) << LETTER_RST
    ) << (6 if from_b else 0)
    if np.int64(history & np.uint64(0xFFF)) & letters == letters:
        return history  # nearly every packet: nothing new
    if flags & 2:
        history = _remember(history, LETTER_SYNACK if flags & 16 else LETTER_SYN, from_b)
    if payload:
        history = _remember(history, LETTER_DATA, from_b)
    elif kind == IS_ACK:
        history = _remember(history, LETTER_ACK, from_b)
    if flags & 1:
        history = _remember(history, LETTER_FIN, from_b)
    if flags & 4:
        history = _remember(history, LETTER_RST, from_b)
    return history


@part
def _is_icmp_request(proto, message):  # type: ignore[no-untyped-def]
    """Messages that open an entry in Linux (nf_conntrack_proto_icmp.c, _icmpv6.c): queries, never errors."""
    if proto == PROTO_ICMPV6:
        return message == 128
    return message == 8 or message == 13 or message == 15 or message == 17


@part
def _opens(packet, kind):  # type: ignore[no-untyped-def]
    """(state, phase) of the entry that a packet opens where there is none; (NONE, NONE) if it opens none."""
    proto = packet["proto"]
    if proto == PROTO_TCP:
        return open_tcp(kind)
    if proto == PROTO_UDP or proto == PROTO_UDPLITE:
        return ESTABLISHED, UDP
    if proto == PROTO_ICMP or proto == PROTO_ICMPV6:
        if _is_icmp_request(proto, packet["icmp_type"]):
            return ESTABLISHED, PHASE_ICMP
        return NONE, NONE
    return ESTABLISHED, PHASE_OTHER


@part
def _end_of(packet):  # type: ignore[no-untyped-def]
    """One past the last sequence number of a TCP packet: SYN and FIN take one each."""
    flags = np.int64(packet["flags"])
    length = np.int64(packet["payload"]) + (flags >> 1 & 1) + (flags & 1)
    return (np.int64(packet["seq"]) + length) & 0xFFFFFFFF


@part
def _first_syn(packet):  # type: ignore[no-untyped-def]
    """The word of a flow that has sent a SYN: all that the kernel remembers of it."""
    options, window = np.int64(packet["options"]), np.int64(packet["window"])
    return -2 - (options << OPTIONS_SHIFT | window << WINDOW_SHIFT | _end_of(packet))


@part
def _unfold_syn(word, mine, other, last):  # type: ignore[no-untyped-def]
    """Make a line of what a flow's word says of its first SYN."""
    said = -2 - word
    begin_by_syn(mine, other, last, said & 0xFFFFFFFF, said >> WINDOW_SHIFT & 0xFFFF, said >> OPTIONS_SHIFT)


@part
def _begin_line(packet, mine, other, last, state):  # type: ignore[no-untyped-def]
    """Remember the TCP packet that opens an entry in this state."""
    window, end = np.int64(packet["window"]), _end_of(packet)
    if state == SYN_SENT:
        begin_by_syn(mine, other, last, end, window, np.int64(packet["options"]))
    else:
        ack, sack = np.int64(packet["ack"]), np.int64(packet["sack"])
        flags, seq = np.int64(packet["flags"]), np.int64(packet["seq"])
        begin_mid_stream(mine, other, last, flags, seq, ack, sack, window, end)


@inlined_part
def _track_tcp(flow, packet, mine, other, last, ts, way, kind):  # type: ignore[no-untyped-def]
    """Linux's rules for a TCP packet on a flow's live entry; answers the verdict."""
    before = np.int64(flow["state"])
    state, phase, marks, verdict = next_tcp(
        mine,
        other,
        last,
        before,
        np.int64(flow["status"]),
        way,
        kind,
        np.int64(packet["flags"]),
        np.int64(packet["seq"]),
        np.int64(packet["ack"]),
        np.int64(packet["sack"]),
        np.int64(packet["window"]),
        _end_of(packet),
        np.int64(packet["options"]),
    )
    flow["status"] = marks
    if verdict == DELETED or verdict == REOPENED:
        return verdict
    if verdict == RENEWED:
        flow["renewed"] = ts
        flow["phase"] = phase
    elif verdict == CUT_SHORT:
        left = flow["renewed"] + LINUX_TIMEOUTS_NS[flow["phase"]] - ts
        if left > LINUX_TIMEOUTS_NS[UNACKNOWLEDGED]:
            flow["renewed"] = ts
            flow["phase"] = UNACKNOWLEDGED
    if state != before:
        flow["state"] = state
        _note_turn(flow, ts, before, state)
    return verdict


@part
def _note_turn(flow, ts, before, state):  # type: ignore[no-untyped-def]
    """Keep the instants at which TCP is established and closed."""
    if state == ESTABLISHED and flow["established"] == NEVER:
        flow["established"] = ts
    was_closed = before == TIME_WAIT or before == CLOSE
    if state == TIME_WAIT or state == CLOSE:
        if not was_closed:
            flow["closed"] = ts
    elif was_closed:  # the ends began anew, and the table is in step with them again
        flow["closed"] = NEVER
        flow["flags"] &= ~np.uint8(CARRIED)


@part
def _track_other(flow, proto, ts, reply):  # type: ignore[no-untyped-def]
    """Linux's rules for a packet that is not TCP on a flow's live entry."""
    marks = flow["status"]
    if proto == PROTO_UDP or proto == PROTO_UDPLITE:
        stream = marks & REPLIED != 0 and ts > flow["stream_ts"]
        flow["phase"] = UDP_STREAM if stream else UDP
    flow["renewed"] = ts
    if reply:
        flow["status"] = marks | REPLIED


@part
def _open_entry(flow, proto, ts, from_a, state, phase):  # type: ignore[no-untyped-def]
    flow["state"] = state
    flow["phase"] = phase
    flow["status"] = OPENED_BY_A if from_a else 0
    flow["renewed"] = ts
    flow["closed"] = NEVER
    flow["flags"] &= ~np.uint8(CARRIED)
    if proto == PROTO_UDP or proto == PROTO_UDPLITE:
        flow["stream_ts"] = ts + UDP_STREAM_AGE_NS
    elif proto == PROTO_TCP and state == ESTABLISHED and flow["established"] == NEVER:
        flow["established"] = ts


@part
def _is_expired(flow, ts):  # type: ignore[no-untyped-def]
    """Whether Linux's entry of a flow, if there is one, is past its timeout."""
    phase = flow["phase"]
    return phase != NONE and ts >= flow["renewed"] + LINUX_TIMEOUTS_NS[phase]


@part
def _carry(before, flow):  # type: ignore[no-untyped-def]
    """Hand the live entry of a flow on to the next flow of its 5-tuple."""
    flow["state"] = before["state"]
    flow["status"] = before["status"]
    flow["phase"] = before["phase"]
    flow["renewed"] = before["renewed"]
    flow["closed"] = before["closed"]
    flow["flags"] |= CARRIED
    flow["seen"] = FIRST_BY_A if flow["status"] & OPENED_BY_A else 0  # the segment is of an entry that this end opened


@part
def _begin_segment(flow, ts, from_a):  # type: ignore[no-untyped-def]
    flow["start"] = ts
    flow["last"] = ts
    flow["seen"] = FIRST_BY_A if from_a else 0


@part
def _see(seen, from_a):  # type: ignore[no-untyped-def]
    """What the segment has seen, with one more packet."""
    mine, other = (A_SENT, B_SENT) if from_a else (B_SENT, A_SENT)
    if seen & (A_SENT | B_SENT):
        seen |= SEVERAL
    if seen & other and (seen & FIRST_BY_A != 0) == from_a:
        seen |= AGAIN
    return seen | mine


@inlined_part
def _count(flow, packet, ts, from_a, kind):  # type: ignore[no-untyped-def]
    """Add a packet to its flow's totals."""
    # Both ends' totals, one of them by nothing: a branch on the way of a packet is foreseen half of the time.
    ip_bytes = np.int64(packet["ip_bytes"])
    flow["a_pkts"] += np.uint32(from_a)
    flow["b_pkts"] += np.uint32(not from_a)
    flow["a_bytes"] += np.uint64(ip_bytes if from_a else 0)
    flow["b_bytes"] += np.uint64(0 if from_a else ip_bytes)
    if packet["proto"] == PROTO_TCP:
        flags = packet["flags"]
        flow["history"] = _tcp_history(flow["history"], kind, flags, packet["payload"], not from_a)
        if flags & 5 and flow["closing"] == NEVER:
            flow["closing"] = ts
        is_over = flow["state"] == TIME_WAIT or flow["state"] == CLOSE
        if kind == IS_RST or (is_over and not flow["flags"] & CARRIED):
            flow["flags"] |= CLOSED
    else:
        flow["history"] = _remember(flow["history"], LETTER_DATA, not from_a)
    if packet["offload"]:
        flow["flags"] |= OFFLOAD
    flow["last"] = ts


@part
def _packet_hash(seed, packet):  # type: ignore[no-untyped-def]
    port, other_port = _tuple_ports(packet)
    source = _hash_end(seed, packet["src_hi"], packet["src_lo"], port)
    target = _hash_end(seed, packet["dst_hi"], packet["dst_lo"], other_port)
    return _hash(seed, source, target, packet["proto"])


@kernel
def rehash(old, slots):  # type: ignore[no-untyped-def]
    """Put what the slots `old` hold into FREE `slots` (int64, a power of two of them and more than are held)."""
    mask = slots.size - 1
    for i in range(old.size):
        if old[i] != FREE:
            slot = old[i] >> HASH_SHIFT & mask
            while slots[slot] != FREE:
                slot = (slot + 1) & mask
            slots[slot] = old[i]


@inlined_part
def _place(slots, hashed):  # type: ignore[no-untyped-def]
    """The first slot of a flow with this hash, or the free one where such a flow belongs."""
    mask = slots.size - 1
    slot = hashed & mask
    while slots[slot] != FREE and slots[slot] >> HASH_SHIFT != hashed:
        slot = (slot + 1) & mask
    return slot


@inlined_part
def _look_up(row, slots, place, hashed, packet, from_a):  # type: ignore[no-untyped-def]
    """The slot that holds a packet's flow, or the free one where it belongs, from where `_place` said on.

    Slots are filled and never emptied: what was passed by then would be passed now.
    """
    mask = slots.size - 1
    slot = place
    while slots[slot] != FREE:
        if slots[slot] >> HASH_SHIFT == hashed and _same(row[slots[slot] & NUMBER_BITS], packet, from_a):
            break
        slot = (slot + 1) & mask
    return slot


@kernel
def deal(packets, seed, found, hashes, chosen, begins):  # type: ignore[no-untyped-def]
    """Deal packets (PACKET) to the parts of a table, each flow's always to the same one, by the first bits of its hash.

    Part p gets packets[chosen[begins[p]:begins[p + 1]]], in their order; `hashes` (int64) are aligned with `chosen`
    (int32): the hash and, in the lowest bit, whether end a sent the packet; -1 of one that is no flow's, which the
    first part gets. `begins` has one more than parts, a power of two of them; `found` (int64, one per packet) is room
    to work in.
    """
    parts = begins.size - 1
    begins[:] = 0
    for i in range(packets.size):
        packet = packets[i]
        found[i] = -1
        if packet["status"] == DECODED:
            found[i] = _packet_hash(seed, packet) << 1 | _source_is_a(packet)
        begins[_part_of(found[i], parts) + 1] += 1
    for p in range(parts):
        begins[p + 1] += begins[p]
    for i in range(packets.size):
        p = _part_of(found[i], parts)
        hashes[begins[p]] = found[i]
        chosen[begins[p]] = i
        begins[p] += 1
    for p in range(parts, 0, -1):
        begins[p] = begins[p - 1]
    begins[0] = 0


@part
def _part_of(hashed, parts):  # type: ignore[no-untyped-def]
    """The part of a table that a hash, with the direction in its lowest bit, falls to."""
    return hashed * parts >> PARTED_BITS if hashed >= 0 else np.int64(0)


@kernel
def update(  # type: ignore[no-untyped-def]
    packets, chosen, hashes, row, halves, births, words, lines, sides, slots, places, segments, gauge, statuses, gaps,
    servers,
):  # fmt: skip
    """Add the chosen packets of a batch (PACKET) to the table.

    `chosen` and `hashes`: of `deal`; `row`: FLOW, room for a flow per packet; `halves`: the same as FLOW_HALF;
    `births`: int64 per row, how many packets of all had come before the flow's first; `words`: int64 per row;
    `lines`: LINE, room for one per packet; `sides`: the same as SIDE; `slots`: int64, FREE or a hash and a number, a
    power of two of them and more than the flows; `places`: int64, PLACES of them, to work in; `segments`: SEGMENT, room
    for two per packet; `gauge`: int64, counts by FLOWS, SEGMENTS, LINES and BEFORE, instants at FIRST and LATEST;
    `statuses`: int64, packets by Status; `gaps`: int64 per Phase, the gap in ns that ends a segment left in it;
    `servers`: uint8 per port.
    """
    mask = slots.size - 1
    flows, closed, used, before_batch = gauge[FLOWS], gauge[SEGMENTS], gauge[LINES], gauge[BEFORE]
    first, latest, decoded = gauge[FIRST], gauge[LATEST], chosen.size
    for i in range(-SLOT_AHEAD, chosen.size):
        # Ask for what the next packets will need. What has changed by then only costs them a wait.
        ahead = i + SLOT_AHEAD
        if ahead < chosen.size:
            prefetch_to_write(slots, hashes[ahead] >> 1 & mask)
            prefetch(packets, chosen[ahead])
        ahead = i + ROW_AHEAD
        if 0 <= ahead < chosen.size and hashes[ahead] >= 0:
            place = _place(slots, hashes[ahead] >> 1)
            places[ahead & PLACES_MASK] = place
            if slots[place] != FREE:
                number = slots[place] & NUMBER_BITS
                prefetch_to_write(halves, 2 * number)
                prefetch_to_write(halves, 2 * number + 1)
                prefetch_to_write(words, number)
        ahead = i + LINE_AHEAD
        if 0 <= ahead < chosen.size and hashes[ahead] >= 0 and slots[places[ahead & PLACES_MASK]] != FREE:
            # Never a line that is not there: what lies before the first may be another thread's, and taken from it.
            prefetch_to_write(lines, max(words[slots[places[ahead & PLACES_MASK]] & NUMBER_BITS], 0))
        if i < 0:
            continue
        packet, hashed, from_a = packets[chosen[i]], hashes[i] >> 1, hashes[i] & 1 != 0
        first, latest = min(first, packet["ts"]), max(latest, packet["ts"])
        if hashed < 0:
            statuses[packet["status"]] += 1
            decoded -= 1
            continue
        ts, is_tcp = packet["ts"], packet["proto"] == PROTO_TCP
        kind = np.int64(PACKET_KINDS[packet["flags"] & 63]) if is_tcp else 0
        slot = _look_up(row, slots, places[i & PLACES_MASK], hashed, packet, from_a)
        number = slots[slot] & NUMBER_BITS if slots[slot] != FREE else NO_FLOW
        if number < 0 or (is_tcp and kind == IS_SYN and row[number]["flags"] & CLOSED != 0):
            if number >= 0:
                # A 5-tuple's time never goes back either: its next flow begins no earlier than the last one's end.
                ts = max(ts, row[number]["last"])
            flow = row[flows]
            _begin_flow(flow, packet, from_a, _is_flipped(packet, kind, servers))
            _begin_segment(flow, ts, from_a)
            births[flows] = before_batch + chosen[i]
            words[flows] = NO_LINE
            if number >= 0:
                before = row[number]
                before["successor"] = flows
                words[flows], words[number] = words[number], NO_LINE
                if before["phase"] != NONE and not _is_expired(before, ts):
                    _carry(before, flow)
            number = flows
            flows += 1
            slots[slot] = hashed << HASH_SHIFT | TAKEN | number
        else:
            flow = row[number]
            # A packet dated before the flow's latest counts as of then: a flow's own time never goes back.
            ts = max(ts, flow["last"])
            if ts - flow["last"] >= PAUSE_NS and not is_icmp(packet["proto"]):
                flow["pauses"] = min(np.int64(flow["pauses"]) + 1, MOST_PAUSES)
            expired = _is_expired(flow, ts)
            if flow["seen"] & (A_SENT | B_SENT) == 0:
                _begin_segment(flow, ts, from_a)
            elif (
                expired
                or ts - flow["last"] > gaps[flow["phase"]]
                or (flow["state"] == NONE and _opens(packet, kind)[0] != NONE)
            ):
                _close_segment(flow, number, segments[closed])
                closed += 1
                _begin_segment(flow, ts, from_a)
            if expired:
                flow["state"] = NONE
                flow["phase"] = NONE
        verdict = RENEWED
        if flow["state"] != NONE:
            way = 0 if from_a == (flow["status"] & OPENED_BY_A != 0) else 1
            if not is_tcp:
                _track_other(flow, packet["proto"], ts, way == 1)
            elif words[number] < NO_LINE and kind == IS_SYN and way == 0 and words[number] == _first_syn(packet):
                verdict = LEFT_ALONE  # the same SYN again
            else:
                line = words[number]
                if line < NO_LINE:
                    _unfold_syn(line, sides[2 * used], sides[2 * used + 1], lines[used])
                    line = used
                verdict = _track_tcp(
                    flow, packet, sides[2 * line + way], sides[2 * line + 1 - way], lines[line], ts, way, kind
                )
                if line == used and verdict != DELETED:
                    words[number] = line
                    used += 1
        if flow["state"] == NONE or verdict == REOPENED:
            if verdict == REOPENED:
                if flow["seen"] & (A_SENT | B_SENT):
                    _close_segment(flow, number, segments[closed])
                    closed += 1
                _begin_segment(flow, ts, from_a)
            state, phase = _opens(packet, kind)
            if state != NONE:
                _open_entry(flow, packet["proto"], ts, from_a, state, phase)
            if is_tcp and state == SYN_SENT and words[number] < 0:
                words[number] = _first_syn(packet)
            elif is_tcp and state != NONE:
                if words[number] < 0:
                    words[number] = used
                    used += 1
                line = words[number]
                _begin_line(packet, sides[2 * line], sides[2 * line + 1], lines[line], state)
        flow["seen"] = _see(flow["seen"], from_a)
        _count(flow, packet, ts, from_a, kind)
        if verdict == DELETED:
            flow["seen"] |= WAS_DELETED
            flow["renewed"] = ts
            _close_segment(flow, number, segments[closed])
            closed += 1
            flow["state"] = NONE
            flow["phase"] = NONE
            flow["seen"] = 0
    gauge[FLOWS], gauge[SEGMENTS], gauge[LINES] = flows, closed, used
    gauge[FIRST], gauge[LATEST] = first, latest
    statuses[DECODED] += decoded


@kernel
def count_segments(segments, starts):  # type: ignore[no-untyped-def]
    """Add closed segments to those counted of each flow, in `starts[flow + 1]`."""
    flow = segments["flow"]
    for i in range(flow.size):
        starts[flow[i] + 1] += 1


@kernel
def begin_gathering(row, starts):  # type: ignore[no-untyped-def]
    """From how many closed segments each flow has to where its segments begin once all lie together by flow.

    `starts`: int64, one more than flows; the last is how many there are, those still in the rows included.
    """
    for flow in range(row.size):
        starts[flow + 1] += starts[flow] + (row["seen"][flow] & (A_SENT | B_SENT) != 0)


@kernel
def gather(segments, starts, out):  # type: ignore[no-untyped-def]
    """Copy closed segments to where their flows' next one belongs in `out`, and move that place (`starts`) on."""
    for i in range(segments.size):
        if i + GATHER_AHEAD < segments.size:
            prefetch_to_write(out, starts[segments["flow"][i + GATHER_AHEAD]])
        flow = segments["flow"][i]
        out[starts[flow]] = segments[i]
        starts[flow] += 1


@kernel
def end_gathering(row, starts, out):  # type: ignore[no-untyped-def]
    """Add the segments that are still in the rows, and put `starts` back to where each flow's segments begin."""
    for flow in range(row.size):
        if row["seen"][flow] & (A_SENT | B_SENT):
            _close_segment(row[flow], flow, out[starts[flow]])
            starts[flow] += 1
    for flow in range(row.size, 0, -1):
        starts[flow] = starts[flow - 1]
    starts[0] = 0


# Ports below 1024 and the registered ones that servers of common protocols listen on (IANA service names): Zeek flips a
# flow met mid-stream by the ports its analyzers register, which are of this kind.
REGISTERED_SERVER_PORTS = (
    1080, 1194, 1433, 1521, 1723, 1883, 1900, 2049, 3128, 3268, 3306, 3389, 3478, 3544, 4500, 5060, 5061, 5190, 5222,
    5223, 5228, 5269, 5349, 5353, 5355, 5432, 5672, 5900, 6379, 6667, 6697, 8000, 8080, 8081, 8443, 8883, 8888, 9418,
    27017,
)  # fmt: skip


def server_ports() -> npt.NDArray[np.uint8]:
    """1 for each port (of 65536) that is likely a server's."""
    ports = np.zeros(1 << 16, np.uint8)
    ports[:1024] = 1
    ports[list(REGISTERED_SERVER_PORTS)] = 1
    ports[0] = 0
    return ports


def tuple_ports(row: npt.NDArray[np.void]) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint16]]:
    """(end a's, end b's) port of each flow (FLOW), or what ICMP has for it, see `icmp_ports`; copies."""
    a_port, b_port = row["a_port"].copy(), row["b_port"].copy()
    icmp = np.flatnonzero(np.isin(row["proto"], (PROTO_ICMP, PROTO_ICMPV6)))
    some = row[icmp]
    queries = np.where(
        some["proto"] == PROTO_ICMP, *(np.isin(some["icmp_type"], q) for q in (ICMP_QUERIES, ICMPV6_QUERIES))
    )
    message = some["icmp_type"].astype(np.uint16) << np.uint16(8) | some["icmp_code"]
    first_is_a = some["flags"] & FIRST_IS_A != 0
    a_port[icmp] = np.where(queries, some["icmp_id"], np.where(first_is_a, message, 0))
    b_port[icmp] = np.where(queries, some["icmp_id"], np.where(first_is_a, 0, message))
    return a_port, b_port


def segment_gaps_ns(shortest_s: Mapping[Phase, float] | None = None) -> npt.NDArray[np.int64]:
    """Per phase, the longest silence inside a segment: what tells talking from lingering, or less than a timeout.

    An entry is gone once its timeout has passed: a silence of just that length ends a segment.
    """
    gaps = np.full(PHASES, TALKING_NS, np.int64)
    for phase, seconds in (shortest_s or {}).items():
        gaps[phase] = min(gaps[phase], int(seconds * SECOND_NS) - 1)
    return gaps


@dataclass(frozen=True, slots=True)
class Flows:
    """What the table knows when it is asked: `row` (FLOW), `segments` (SEGMENT) by flow and time, where each begins."""

    row: npt.NDArray[np.void]
    segments: npt.NDArray[np.void]
    first_segment: npt.NDArray[np.int64]  # one more than flows

    def first_ns(self) -> npt.NDArray[np.int64]:
        """The instant of each flow's first packet."""
        starts: npt.NDArray[np.int64] = self.segments["start"][self.first_segment[:-1]]
        return starts


@dataclass(frozen=True, slots=True)
class Dealt:
    """A batch of packets dealt to the parts of a table, see `deal`; made before they are entered, by any thread."""

    chosen: npt.NDArray[np.int32]
    hashes: npt.NDArray[np.int64]
    begins: npt.NDArray[np.int64]

    def of(self, part: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """(chosen, hashes) of one part."""
        mine = slice(self.begins[part], self.begins[part + 1])
        return self.chosen[mine], self.hashes[mine]


class Dealer:
    """Deals packets to parts, a power of two of them, whose tables share a seed. Any thread may ask it at any time."""

    def __init__(self, seed: int, parts: int) -> None:
        self._seed, self._parts = np.uint64(seed), parts
        self._chosen = BufferPool(np.int32, DEALT_AT_ONCE, KEPT)
        self._hashes = BufferPool(np.int64, DEALT_AT_ONCE, 2 * KEPT)

    def deal(self, packets: npt.NDArray[np.void]) -> Dealt:
        """Deal PACKET rows."""
        size = packets.size
        if size <= DEALT_AT_ONCE:
            chosen, hashes, found = self._chosen.take()[:size], self._hashes.take()[:size], self._hashes.take()[:size]
        else:
            chosen, hashes, found = np.empty(size, np.int32), np.empty(size, np.int64), np.empty(size, np.int64)
        begins = np.empty(self._parts + 1, np.int64)
        with np.errstate(over="ignore"):
            deal(packets, self._seed, found, hashes, chosen, begins)
        return Dealt(chosen, hashes, begins)


def new_seed() -> int:
    """For the hashes of one reading, so that nobody can foresee them."""
    return secrets.randbits(62)


class FlowTable:
    """Packets go in by batches; flows and segments are asked for at any time."""

    def __init__(self, gaps_ns: npt.NDArray[np.int64] | None = None, seed: int | None = None) -> None:
        self._row = reserve(FLOW, FIRST_CAPACITY)
        self._segments = reserve(SEGMENT, FIRST_CAPACITY)
        self._slots = large_page_array(np.int64, LEAST_SLOTS)
        # In pages of its own: what other threads write all the time, to other tables, must not lie in the same line.
        self._places = large_page_array(np.int64, PLACES)
        self._births = reserve(np.int64, FIRST_CAPACITY)
        self._words = reserve(np.int64, FIRST_CAPACITY)
        self._lines = reserve(LINE, FIRST_CAPACITY)
        self._gauge = np.zeros(GAUGES, np.int64)
        self._gauge[SEED] = new_seed() if seed is None else seed
        self._gauge[FIRST], self._gauge[LATEST] = NEVER, -NEVER
        self._dealer = Dealer(int(self._gauge[SEED]), 1)
        self._gaps = segment_gaps_ns() if gaps_ns is None else gaps_ns
        self._servers = server_ports()
        self.statuses = np.zeros(len(Status), np.int64)
        self.packets = 0

    @property
    def first_ns(self) -> int | None:
        """The instant of the earliest packet of all, None of no packets."""
        return int(self._gauge[FIRST]) if self.packets else None

    @property
    def last_ns(self) -> int | None:
        """The instant of the latest packet of all, None of no packets."""
        return int(self._gauge[LATEST]) if self.packets else None

    def add(self, packets: npt.NDArray[np.void]) -> None:
        """Add PACKET rows, in the order they came."""
        self.add_dealt(packets, *self._dealer.deal(packets).of(0), self.packets)

    def add_dealt(
        self,
        packets: npt.NDArray[np.void],
        chosen: npt.NDArray[np.int32],
        hashes: npt.NDArray[np.int64],
        before: int,
    ) -> None:
        """Add the PACKET rows that were dealt to this table; `before` is how many packets of all came before them."""
        self._make_room(chosen.size)
        self._gauge[BEFORE] = before
        with np.errstate(over="ignore"):
            update(
                packets,
                chosen,
                hashes,
                self._row,
                self._row.view(FLOW_HALF),
                self._births,
                self._words,
                self._lines,
                self._lines.view(SIDE),
                self._slots,
                self._places,
                self._segments,
                self._gauge,
                self.statuses,
                self._gaps,
                self._servers,
            )
        self.packets += chosen.size

    def _make_room(self, packets: int) -> None:
        flows = int(self._gauge[FLOWS]) + packets
        self._row = grow(self._row, flows)
        self._births = grow(self._births, flows)
        self._words = grow(self._words, flows)
        self._lines = grow(self._lines, int(self._gauge[LINES]) + packets)
        self._segments = grow(self._segments, int(self._gauge[SEGMENTS]) + 2 * packets)
        if SLOTS_PER_FLOW * flows > self._slots.size:
            self._make_slots(flows, self._slots)

    def _make_slots(self, flows: int, held: npt.NDArray[np.int64]) -> None:
        """Have slots for so many flows, with what these hold, which may be some of those before."""
        size = LEAST_SLOTS
        while size < SLOTS_PER_FLOW * flows:
            size *= 2
        self._slots = large_page_array(np.int64, size)
        rehash(held, self._slots)

    def flows(self) -> Flows:
        """The flows and segments so far; the rows are a view that the next `add` changes."""
        kept = self.kept()
        return gathered(kept.row, [kept.segments], is_last=False)

    def finish(self) -> Flows:
        """The flows and segments of a table that gets no more packets: what it no longer needs goes first."""
        kept = self.let_go()
        return gathered(kept.row, [kept.segments], is_last=True)

    def kept(self) -> "Kept":
        """What it holds, as views."""
        return Kept(self._row[: int(self._gauge[FLOWS])], self._segments[: int(self._gauge[SEGMENTS])])

    def births(self) -> npt.NDArray[np.int64]:
        """How many packets of all had come before each flow's first, in ascending order; a view."""
        return self._births[: int(self._gauge[FLOWS])]

    def let_go(self) -> "Kept":
        """What it holds, of a table that gets no more packets: what only they need goes at once, the rest with this."""
        kept = self.kept()
        self._slots = self._births = self._words = np.zeros(0, np.int64)
        self._lines = np.zeros(0, LINE)
        return kept


@dataclass(frozen=True, slots=True)
class Kept:
    """What a table holds: `row` (FLOW) by flow, and closed `segments` (SEGMENT) as they came."""

    row: npt.NDArray[np.void]
    segments: npt.NDArray[np.void]


def gathered(row: npt.NDArray[np.void], closed: Sequence[npt.NDArray[np.void]], *, is_last: bool) -> Flows:
    """Flows with their segments side by side. `closed`: the closed ones, in one lot or in several of different flows.

    `is_last`: those are not needed any more and may go.
    """
    starts = large_page_array(np.int64, row.size + 1)
    side_by_side(lambda segments: count_segments(segments, starts), closed, most=len(closed))
    begin_gathering(row, starts)
    out = large_page_array(SEGMENT, int(starts[-1]))

    def put(segments: npt.NDArray[np.void]) -> None:
        for first in range(0, segments.size, GATHERED_AT_ONCE):
            stop = min(first + GATHERED_AT_ONCE, segments.size)
            gather(segments[first:stop], starts, out)
            if is_last:
                release(segments, stop)

    side_by_side(put, closed, most=len(closed))
    end_gathering(row, starts, out)
    return Flows(row, out, starts)
