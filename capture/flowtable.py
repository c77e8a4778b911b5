"""The flow table: packets in, flows and segments out.

A flow is the packets of one bidirectional 5-tuple; a SYN on a closed one begins the next flow. A segment is a run of
one flow's packets with no gap longer than the shortest timeout of interest and within one entry of Linux's table.
Its last segment is kept in the flow's own row, so that the many flows of one packet cost one row.

Speed comes from working on a batch: hash all packets, then touch all slots and rows they lead to, then update in
order, so that the cache misses overlap; from rows of two cache lines; and from never allocating inside.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from peerburst.capture.conntrack import (
    CLOSE,
    DELETED,
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
    RENEWED,
    REPLIED,
    SECOND_NS,
    TIME_WAIT,
    UDP,
    UDP_STREAM,
    UDP_STREAM_AGE_NS,
    Phase,
    next_tcp,
    open_tcp,
)
from peerburst.capture.internet import PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP, PROTO_UDP, PROTO_UDPLITE
from peerburst.capture.kernels import kernel, part
from peerburst.capture.source import BATCH
from peerburst.capture.status import Status

# One row per flow, two cache lines. The ends of the 5-tuple are `a`, the smaller (address, port), and `b`.
FLOW = np.dtype(
    [
        ("a_hi", np.uint64),
        ("a_lo", np.uint64),
        ("b_hi", np.uint64),
        ("b_lo", np.uint64),
        ("a_port", np.uint16),
        ("b_port", np.uint16),
        ("proto", np.uint8),
        ("flags", np.uint8),  # ORIG_IS_A and the like
        ("state", np.uint8),  # Linux's state of the entry now
        ("marks", np.uint8),  # of the entry: conntrack.REPLIED and the like
        ("last", np.int64),  # latest packet, ns
        ("start", np.int64),  # of the segment at hand, ns
        ("renewed", np.int64),  # when the entry's timeout last began anew, ns
        ("phase", np.uint8),  # the timeout it runs under
        ("seen", np.uint8),  # of the segment: A_SENT and the like
        ("icmp", np.uint16),  # type and code of the first packet
        ("successor", np.int32),  # the flow that took over the 5-tuple, or -1
        ("a_pkts", np.uint32),
        ("b_pkts", np.uint32),
        ("a_bytes", np.uint64),  # IP length
        ("b_bytes", np.uint64),
        ("history", np.uint64),  # see `_remember`
        ("closed", np.int64),  # TCP entered TIME_WAIT or CLOSE, or NEVER
        ("established", np.int64),  # TCP: first so, or NEVER; UDP: when the entry is old enough for a stream
        ("closing", np.int64),  # first FIN or RST, or NEVER
    ],
    align=True,
)
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

NEVER = np.int64(np.iinfo(np.int64).max)

# Flags of a flow.
ORIG_IS_A = 1
FIRST_IS_A = 2  # the end that sent the first packet seen
CLOSED = 4  # reached TIME_WAIT or CLOSE, or was refused: a SYN begins a new flow
OFFLOAD = 8  # some IP length was 0: the card does the splitting

# What a segment saw.
FIRST_BY_A = 1
A_SENT = 2
B_SENT = 4
AGAIN = 8  # its first sender sent again after the other end had
SEVERAL = 16  # more than one packet
WAS_DELETED = 32  # Linux deleted the entry at its last packet

TALKING_NS = 5 * SECOND_NS

# Letters of Zeek's history, in the order they are coded.
HISTORY_LETTERS = "shadfr"
LETTER_SYN, LETTER_SYNACK, LETTER_ACK, LETTER_DATA, LETTER_FIN, LETTER_RST = range(6)

# Indices into the table's gauge.
FLOWS, SEGMENTS, SEED, SINK = range(4)

DECODED = int(Status.DECODED)
PHASE_ICMP = int(Phase.ICMP)
PHASE_OTHER = int(Phase.OTHER)
FIRST_CAPACITY = 1 << 12


@part
def _mix(value, word):  # type: ignore[no-untyped-def]
    value = (value ^ word) * np.uint64(0x9E3779B97F4A7C15)
    return value ^ (value >> np.uint64(29))


@part
def _hash(seed, a_hi, a_lo, b_hi, b_lo, rest):  # type: ignore[no-untyped-def]
    """Seeded, so that nobody can write a capture whose flows all fall into one slot."""
    value = _mix(seed, a_lo)
    value = _mix(value, b_lo)
    value = _mix(value, a_hi ^ (b_hi << np.uint64(1)) ^ (b_hi >> np.uint64(63)))
    value = _mix(value, rest)
    return value ^ (value >> np.uint64(32))


@part
def _rest(a_port, b_port, proto):  # type: ignore[no-untyped-def]
    return np.uint64((np.int64(a_port) << 24) | (np.int64(b_port) << 8) | np.int64(proto))


@part
def _source_is_a(packets, i):  # type: ignore[no-untyped-def]
    """Whether the sender is the smaller end."""
    if packets["src_hi"][i] != packets["dst_hi"][i]:
        return packets["src_hi"][i] < packets["dst_hi"][i]
    if packets["src_lo"][i] != packets["dst_lo"][i]:
        return packets["src_lo"][i] < packets["dst_lo"][i]
    return packets["sport"][i] <= packets["dport"][i]


@part
def _same(row, at, packets, i, from_a):  # type: ignore[no-untyped-def]
    """Whether packet i belongs to the 5-tuple of row `at`."""
    if row["proto"][at] != packets["proto"][i]:
        return False
    if from_a:
        return (
            row["a_lo"][at] == packets["src_lo"][i]
            and row["b_lo"][at] == packets["dst_lo"][i]
            and row["a_port"][at] == packets["sport"][i]
            and row["b_port"][at] == packets["dport"][i]
            and row["a_hi"][at] == packets["src_hi"][i]
            and row["b_hi"][at] == packets["dst_hi"][i]
        )
    return (
        row["a_lo"][at] == packets["dst_lo"][i]
        and row["b_lo"][at] == packets["src_lo"][i]
        and row["a_port"][at] == packets["dport"][i]
        and row["b_port"][at] == packets["sport"][i]
        and row["a_hi"][at] == packets["dst_hi"][i]
        and row["b_hi"][at] == packets["src_hi"][i]
    )


@part
def _is_flipped(packets, i, kind, servers):  # type: ignore[no-untyped-def]
    """Whether the first packet seen comes from the responder.

    As Zeek decides: a SYN comes from the originator, a SYN+ACK from the responder; a TCP flow met mid-stream, and any
    UDP flow, is turned round if its source port is a likely server's and its destination port is not.
    """
    proto = packets["proto"][i]
    if proto == PROTO_TCP:
        if kind == IS_SYN:
            return False
        if kind == IS_SYNACK:
            return True
    elif proto != PROTO_UDP and proto != PROTO_UDPLITE:
        return False
    return servers[packets["sport"][i]] != 0 and servers[packets["dport"][i]] == 0


@part
def _begin_flow(row, at, packets, i, from_a, flipped):  # type: ignore[no-untyped-def]
    if from_a:
        row["a_hi"][at], row["a_lo"][at] = packets["src_hi"][i], packets["src_lo"][i]
        row["b_hi"][at], row["b_lo"][at] = packets["dst_hi"][i], packets["dst_lo"][i]
        row["a_port"][at], row["b_port"][at] = packets["sport"][i], packets["dport"][i]
    else:
        row["a_hi"][at], row["a_lo"][at] = packets["dst_hi"][i], packets["dst_lo"][i]
        row["b_hi"][at], row["b_lo"][at] = packets["src_hi"][i], packets["src_lo"][i]
        row["a_port"][at], row["b_port"][at] = packets["dport"][i], packets["sport"][i]
    row["proto"][at] = packets["proto"][i]
    row["flags"][at] = (FIRST_IS_A if from_a else 0) | (ORIG_IS_A if from_a != flipped else 0)
    row["state"][at] = NONE
    row["marks"][at] = 0
    row["phase"][at] = NONE
    row["seen"][at] = 0
    row["icmp"][at] = packets["window"][i]
    row["successor"][at] = -1
    row["a_pkts"][at] = 0
    row["b_pkts"][at] = 0
    row["a_bytes"][at] = 0
    row["b_bytes"][at] = 0
    row["history"][at] = 0
    row["closed"][at] = NEVER
    row["established"][at] = NEVER
    row["closing"][at] = NEVER
    row["last"][at] = packets["ts"][i]
    row["start"][at] = packets["ts"][i]
    row["renewed"][at] = packets["ts"][i]


@part
def _close_segment(row, at, segments, count):  # type: ignore[no-untyped-def]
    """Write the segment at hand to segments[count]."""
    segments["start"][count] = row["start"][at]
    segments["last"][count] = row["last"][at]
    segments["renewed"][count] = row["renewed"][at]
    # What the flow's entry before this segment came to is none of a segment's without an entry.
    segments["closed"][count] = row["closed"][at] if row["phase"][at] != NONE else NEVER
    segments["flow"][count] = at
    segments["state"][count] = row["state"][at]
    segments["phase"][count] = row["phase"][at]
    segments["seen"][count] = row["seen"][at]


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


@part
def _tcp_history(history, kind, flags, payload, from_b):  # type: ignore[no-untyped-def]
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
def _opens(packets, i, kind):  # type: ignore[no-untyped-def]
    """(state, phase) of the entry that packet i opens where there is none; (NONE, NONE) if it opens none."""
    proto = packets["proto"][i]
    if proto == PROTO_TCP:
        return open_tcp(kind)
    if proto == PROTO_UDP or proto == PROTO_UDPLITE:
        return ESTABLISHED, UDP
    if proto == PROTO_ICMP or proto == PROTO_ICMPV6:
        if _is_icmp_request(proto, packets["flags"][i]):
            return ESTABLISHED, PHASE_ICMP
        return NONE, NONE
    return ESTABLISHED, PHASE_OTHER


@part
def _track(row, at, packets, i, ts, from_a, kind):  # type: ignore[no-untyped-def]
    """Linux's rules for packet i on the live entry of row `at`; answers whether they deleted it."""
    marks = row["marks"][at]
    reply = from_a != (marks & OPENED_BY_A != 0)
    proto = packets["proto"][i]
    if proto == PROTO_TCP:
        before = row["state"][at]
        state, phase, marks, verdict = next_tcp(before, marks, reply, kind)
        row["marks"][at] = marks
        if verdict == DELETED:
            return True
        row["state"][at] = state
        if verdict == RENEWED:
            row["renewed"][at] = ts
            row["phase"][at] = phase
        if state == ESTABLISHED and before != ESTABLISHED and row["established"][at] == NEVER:
            row["established"][at] = ts
        if (state == TIME_WAIT or state == CLOSE) and before != TIME_WAIT and before != CLOSE:
            row["closed"][at] = ts
        return False
    if proto == PROTO_UDP or proto == PROTO_UDPLITE:
        stream = marks & REPLIED != 0 and ts > row["established"][at]
        row["phase"][at] = UDP_STREAM if stream else UDP
    row["renewed"][at] = ts
    if reply:
        row["marks"][at] = marks | REPLIED
    return False


@part
def _open_entry(row, at, proto, ts, from_a, state, phase):  # type: ignore[no-untyped-def]
    row["state"][at] = state
    row["phase"][at] = phase
    row["marks"][at] = OPENED_BY_A if from_a else 0
    row["renewed"][at] = ts
    row["closed"][at] = NEVER
    if proto == PROTO_UDP or proto == PROTO_UDPLITE:
        row["established"][at] = ts + UDP_STREAM_AGE_NS
    elif proto == PROTO_TCP and state == ESTABLISHED and row["established"][at] == NEVER:
        row["established"][at] = ts


@part
def _begin_segment(row, at, ts, from_a):  # type: ignore[no-untyped-def]
    row["start"][at] = ts
    row["last"][at] = ts
    row["seen"][at] = FIRST_BY_A if from_a else 0


@part
def _see(seen, from_a):  # type: ignore[no-untyped-def]
    """What the segment has seen, with one more packet."""
    mine, other = (A_SENT, B_SENT) if from_a else (B_SENT, A_SENT)
    if seen & (A_SENT | B_SENT):
        seen |= SEVERAL
    if seen & other and (seen & FIRST_BY_A != 0) == from_a:
        seen |= AGAIN
    return seen | mine


@part
def _count(row, at, packets, i, ts, from_a, kind):  # type: ignore[no-untyped-def]
    """Add packet i to the flow's totals."""
    if from_a:
        row["a_pkts"][at] += np.uint32(1)
        row["a_bytes"][at] += np.uint64(packets["ip_bytes"][i])
    else:
        row["b_pkts"][at] += np.uint32(1)
        row["b_bytes"][at] += np.uint64(packets["ip_bytes"][i])
    if packets["proto"][i] == PROTO_TCP:
        flags = packets["flags"][i]
        row["history"][at] = _tcp_history(row["history"][at], kind, flags, packets["payload"][i], not from_a)
        if flags & 5 and row["closing"][at] == NEVER:
            row["closing"][at] = ts
        if kind == IS_RST or row["state"][at] == TIME_WAIT or row["state"][at] == CLOSE:
            row["flags"][at] |= CLOSED
    else:
        row["history"][at] = _remember(row["history"][at], LETTER_DATA, not from_a)
    if packets["offload"][i]:
        row["flags"][at] |= OFFLOAD
    row["last"][at] = ts


@part
def _place(row, flow, slots, seed):  # type: ignore[no-untyped-def]
    """Put a flow into the first free slot of its run."""
    mask = slots.size - 1
    key = _hash(
        seed,
        row["a_hi"][flow],
        row["a_lo"][flow],
        row["b_hi"][flow],
        row["b_lo"][flow],
        _rest(row["a_port"][flow], row["b_port"][flow], row["proto"][flow]),
    )
    slot = np.int64(key & np.uint64(mask))
    while slots[slot] >= 0:
        slot = (slot + 1) & mask
    slots[slot] = flow


@kernel
def rehash(row, count, slots, seed):  # type: ignore[no-untyped-def]
    """Fill empty slots (int32, all -1, a power of two of them) with the flows that still own their 5-tuple."""
    for flow in range(count):
        if row["successor"][flow] < 0:
            _place(row, flow, slots, seed)


@part
def _look_up(row, slots, slot, packets, i, from_a):  # type: ignore[no-untyped-def]
    """The slot that holds packet i's flow, or the free one where it belongs."""
    mask = slots.size - 1
    while slots[slot] >= 0 and not _same(row, slots[slot], packets, i, from_a):
        slot = (slot + 1) & mask
    return slot


@kernel
def update(packets, row, slots, segments, gauge, gaps, servers, work):  # type: ignore[no-untyped-def]
    """Add a batch of packets (PACKET) to the table.

    `row`: FLOW, room for a flow per packet; `slots`: int32, -1 where free, a power of two of them and twice the flows;
    `segments`: SEGMENT, room for two per packet; `gauge`: int64, counts by FLOWS and SEGMENTS, the hash seed at SEED;
    `gaps`: int64 per Phase, the gap in ns that ends a segment left in it; `servers`: uint8 per port; `work`: int64,
    two columns, a line per packet.
    """
    mask = slots.size - 1
    seed = np.uint64(gauge[SEED])
    flows, closed = gauge[FLOWS], gauge[SEGMENTS]
    for i in range(packets.size):
        if packets["status"][i] != DECODED:
            work[i, 0] = -1
            continue
        from_a = _source_is_a(packets, i)
        if from_a:
            key = _hash(
                seed,
                packets["src_hi"][i],
                packets["src_lo"][i],
                packets["dst_hi"][i],
                packets["dst_lo"][i],
                _rest(packets["sport"][i], packets["dport"][i], packets["proto"][i]),
            )
        else:
            key = _hash(
                seed,
                packets["dst_hi"][i],
                packets["dst_lo"][i],
                packets["src_hi"][i],
                packets["src_lo"][i],
                _rest(packets["dport"][i], packets["sport"][i], packets["proto"][i]),
            )
        work[i, 0] = np.int64(key & np.uint64(mask))
        work[i, 1] = from_a
    # Touch the slots, then both lines of the rows they name, before any of them is needed: the misses overlap.
    touched = np.int64(0)
    for i in range(packets.size):
        if work[i, 0] >= 0:
            touched += slots[work[i, 0]]
    for i in range(packets.size):
        if work[i, 0] >= 0:
            flow = slots[work[i, 0]]
            if flow >= 0:
                touched += row["last"][flow] + row["closing"][flow]
    gauge[SINK] = touched

    for i in range(packets.size):
        if work[i, 0] < 0:
            continue
        from_a = work[i, 1] != 0
        ts = packets["ts"][i]
        kind = np.int64(PACKET_KINDS[packets["flags"][i] & 63]) if packets["proto"][i] == PROTO_TCP else 0
        slot = _look_up(row, slots, work[i, 0], packets, i, from_a)
        at = np.int64(slots[slot])
        fresh = at < 0 or (kind == IS_SYN and packets["proto"][i] == PROTO_TCP and row["flags"][at] & CLOSED != 0)
        if fresh:
            before, at = at, flows
            flows += 1
            _begin_flow(row, at, packets, i, from_a, _is_flipped(packets, i, kind, servers))
            if before >= 0:
                row["successor"][before] = at
            slots[slot] = at
            _begin_segment(row, at, ts, from_a)
        else:
            # A packet dated before the flow's latest counts as of then: a flow's own time never goes back.
            ts = max(ts, row["last"][at])
            phase = row["phase"][at]
            expired = phase != NONE and ts >= row["renewed"][at] + LINUX_TIMEOUTS_NS[phase]
            if row["seen"][at] & (A_SENT | B_SENT) == 0:
                _begin_segment(row, at, ts, from_a)
            elif (
                expired
                or ts - row["last"][at] > gaps[phase]
                or (row["state"][at] == NONE and _opens(packets, i, kind)[0] != NONE)
            ):
                _close_segment(row, at, segments, closed)
                closed += 1
                _begin_segment(row, at, ts, from_a)
            if expired:
                row["state"][at] = NONE
                row["phase"][at] = NONE
        if row["state"][at] == NONE:
            state, phase = _opens(packets, i, kind)
            if state != NONE:
                _open_entry(row, at, packets["proto"][i], ts, from_a, state, phase)
            deleted = False
        else:
            deleted = _track(row, at, packets, i, ts, from_a, kind)
        row["seen"][at] = _see(row["seen"][at], from_a)
        _count(row, at, packets, i, ts, from_a, kind)
        if deleted:
            row["seen"][at] |= WAS_DELETED
            row["renewed"][at] = ts
            _close_segment(row, at, segments, closed)
            closed += 1
            row["state"][at] = NONE
            row["phase"][at] = NONE
            row["seen"][at] = 0
    gauge[FLOWS], gauge[SEGMENTS] = flows, closed


@kernel
def gather(row, flows, segments, closed, starts, out):  # type: ignore[no-untyped-def]
    """All segments, each flow's together and in order of time: the closed ones and those still in the rows.

    `starts`: int64, one more than flows; becomes where each flow's segments begin in `out` (SEGMENT). Answers how many.
    """
    starts[:] = 0
    for i in range(closed):
        starts[segments["flow"][i] + 1] += 1
    for flow in range(flows):
        if row["seen"][flow] & (A_SENT | B_SENT):
            starts[flow + 1] += 1
    for flow in range(flows):
        starts[flow + 1] += starts[flow]
    if out.size == 0:
        return starts[flows]
    for i in range(closed):
        flow = segments["flow"][i]
        out[starts[flow]] = segments[i]
        starts[flow] += 1
    for flow in range(flows):
        if row["seen"][flow] & (A_SENT | B_SENT):
            _close_segment(row, flow, out, starts[flow])
            starts[flow] += 1
    for flow in range(flows, 0, -1):
        starts[flow] = starts[flow - 1]
    starts[0] = 0
    return starts[flows]


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


def segment_gaps_ns(shortest_s: Mapping[Phase, float] | None = None) -> npt.NDArray[np.int64]:
    """Per phase, the longest silence inside a segment: what tells talking from lingering, or a shorter timeout."""
    gaps = np.full(PHASES, TALKING_NS, np.int64)
    for phase, seconds in (shortest_s or {}).items():
        gaps[phase] = min(gaps[phase], int(seconds * SECOND_NS))
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


class FlowTable:
    """Packets go in by batches; flows and segments are asked for at any time."""

    def __init__(self, gaps_ns: npt.NDArray[np.int64] | None = None) -> None:
        self._row = np.zeros(FIRST_CAPACITY, FLOW)
        self._segments = np.zeros(FIRST_CAPACITY, SEGMENT)
        self._slots = np.full(2 * FIRST_CAPACITY, -1, np.int32)
        self._gauge = np.zeros(4, np.int64)
        self._gauge[SEED] = secrets.randbits(62)
        self._gaps = segment_gaps_ns() if gaps_ns is None else gaps_ns
        self._servers = server_ports()
        self._work = np.zeros((BATCH, 2), np.int64)
        self.statuses = np.zeros(len(Status), np.int64)
        self.packets = 0
        self.first_ns: int | None = None
        self.last_ns: int | None = None

    def add(self, packets: npt.NDArray[np.void]) -> None:
        """Add PACKET rows, in the order they came."""
        if not packets.size:
            return
        if packets.size > self._work.shape[0]:
            self._work = np.zeros((packets.size, 2), np.int64)
        self._make_room(packets.size)
        with np.errstate(over="ignore"):
            update(
                packets,
                self._row,
                self._slots,
                self._segments,
                self._gauge,
                self._gaps,
                self._servers,
                self._work,
            )
        self.statuses += np.bincount(packets["status"], minlength=self.statuses.size)
        self.packets += packets.size
        earliest, latest = int(packets["ts"].min()), int(packets["ts"].max())
        self.first_ns = earliest if self.first_ns is None else min(self.first_ns, earliest)
        self.last_ns = latest if self.last_ns is None else max(self.last_ns, latest)

    def _make_room(self, packets: int) -> None:
        # ndarray.resize reallocates in place where it can: large tables move by remapping, not by copying.
        if self._gauge[FLOWS] + packets > self._row.size:
            self._row.resize(max(2 * self._row.size, int(self._gauge[FLOWS]) + packets), refcheck=False)
            size = self._slots.size
            while size < 2 * self._row.size:
                size *= 2
            self._slots = np.full(size, -1, np.int32)
            with np.errstate(over="ignore"):
                rehash(self._row, int(self._gauge[FLOWS]), self._slots, np.uint64(self._gauge[SEED]))
        if self._gauge[SEGMENTS] + 2 * packets > self._segments.size:
            self._segments.resize(
                max(2 * self._segments.size, int(self._gauge[SEGMENTS]) + 2 * packets), refcheck=False
            )

    def flows(self) -> Flows:
        """The flows and segments so far; the rows are a view that the next `add` changes."""
        count, closed = int(self._gauge[FLOWS]), int(self._gauge[SEGMENTS])
        starts = np.zeros(count + 1, np.int64)
        row, segments = self._row[:count], self._segments[:closed]
        wanted = gather(row, count, segments, closed, starts, np.zeros(0, SEGMENT))
        out = np.zeros(int(wanted), SEGMENT)
        if out.size:
            gather(row, count, segments, closed, starts, out)
        return Flows(row, out, starts)
