"""The life of Linux's entry for a flow: a packet opens it, advances it, or finds it gone.

What Linux remembers of TCP is apart from the flow: `tcp_slots` says by flow where. A first SYN fits into the slot
itself, and only the second packet takes a TCP_STATE, of one cache line. A flood of SYNs costs none.
"""

import numpy as np

from peerburst.capture.compiled.kernel import inlined_part, part
from peerburst.capture.compiled.shapes import Int, Record
from peerburst.capture.conntrack.core import is_expired, new_entry
from peerburst.capture.conntrack.gre import gre_packet
from peerburst.capture.conntrack.sctp import sctp_packet
from peerburst.capture.conntrack.states import (
    CLOSE,
    ESTABLISHED,
    IPS_SEEN_REPLY,
    LINUX_TIMEOUTS_NS,
    NONE,
    OPENED_BY_A,
    ORIGINAL,
    REPLY,
    SYN_SENT,
    TCP_SYN_SET,
    TIME_WAIT,
    UNACKNOWLEDGED,
)
from peerburst.capture.conntrack.tcp import (
    CUT_SHORT,
    DELETED,
    LEFT_ALONE,
    RENEWED,
    REOPENED,
    Connection,
    TcpPacket,
    tcp_new_loose,
    tcp_new_syn,
    tcp_packet,
)
from peerburst.capture.conntrack.udp import STREAM_AGE_NS, is_udp, udp_packet
from peerburst.capture.flows.record import CARRIED, FIRST_BY_A, NEVER, TCP_STATES, Arrival, TableMemory
from peerburst.capture.flows.segments import cut_reopened
from peerburst.capture.packets.ip import PROTO_GRE, PROTO_SCTP

# What a flow's slot says when it is not the number of a TCP_STATE: nothing, or a first SYN (below NO_TCP_STATE).
NO_TCP_STATE = -1
WINDOW_SHIFT, OPTIONS_SHIFT = 32, 48
END_BITS, WINDOW_BITS = 0xFFFFFFFF, 0xFFFF


@inlined_part
def advance(memory: TableMemory, number: Int, arrival: Arrival) -> Int:
    """Take a flow's entry on by a packet, or open one; answers the decision on the packet.

    DELETED: the entry goes once the packet is counted (`segments.cut_deleted`).
    """
    flow = memory.flows[number]
    decision: Int = RENEWED
    if flow["state"] != NONE:
        dir = ORIGINAL if arrival.from_a == (flow["status"] & OPENED_BY_A != 0) else REPLY
        if arrival.is_tcp:
            decision = _advance_tcp(memory, number, arrival, dir)
        else:
            _advance_other(flow, arrival, dir)
    if flow["state"] == NONE or decision == REOPENED:
        if decision == REOPENED:
            cut_reopened(flow, number, arrival, memory.segments, memory.counters)
        state = _open(flow, arrival)
        if arrival.is_tcp and state != NONE:
            _remember_opening(memory, number, arrival, state)
    return decision


@part
def carry(before: Record, flow: Record, ts: Int) -> None:
    """Hand the entry of a flow, if it lives, on to the next flow of its 5-tuple."""
    if before["phase"] == NONE or is_expired(before["phase"], before["renewed"], ts):
        return
    flow["state"] = before["state"]
    flow["status"] = before["status"]
    flow["phase"] = before["phase"]
    flow["renewed"] = before["renewed"]
    flow["closed"] = before["closed"]
    flow["flags"] |= CARRIED
    flow["seen"] = FIRST_BY_A if flow["status"] & OPENED_BY_A else 0  # the segment is of an entry that this end opened


@inlined_part
def _open(flow: Record, arrival: Arrival) -> Int:
    """Open the entry that a packet opens; answers its state, NONE if it opens none."""
    state, phase = new_entry(arrival.packet, arrival.tcp_index)
    if state == NONE:
        return state
    flow["state"] = state
    flow["phase"] = phase
    flow["status"] = OPENED_BY_A if arrival.from_a else 0
    flow["renewed"] = arrival.ts
    flow["closed"] = NEVER
    flow["flags"] &= ~np.uint8(CARRIED)
    if arrival.is_tcp:
        if state == ESTABLISHED and flow["established"] == NEVER:
            flow["established"] = arrival.ts
    elif is_udp(flow["proto"]):
        flow["stream_ts"] = arrival.ts + STREAM_AGE_NS
    return state


@inlined_part
def _remember_opening(memory: TableMemory, number: Int, arrival: Arrival, state: Int) -> None:
    """Remember the TCP packet that opens an entry."""
    slots = memory.tcp_slots
    if state == SYN_SENT and slots[number] < 0:
        slots[number] = _slot_of_syn(arrival.packet)
        return
    if slots[number] < 0:
        slots[number] = memory.counters[TCP_STATES]
        memory.counters[TCP_STATES] += 1
    at, sides = slots[number], memory.tcp_sides
    known, packet = Connection(sides[2 * at], sides[2 * at + 1], memory.tcp_states[at]), _tcp(arrival)
    if state == SYN_SENT:
        tcp_new_syn(known, packet.end, packet.window, packet.options)
    else:
        tcp_new_loose(known, packet)


@inlined_part
def _tcp(arrival: Arrival) -> TcpPacket:
    packet = arrival.packet
    return TcpPacket(
        arrival.tcp_index,
        np.int64(packet["flags"]),
        np.int64(packet["seq"]),
        _end_of(packet),
        np.int64(packet["ack"]),
        np.int64(packet["sack"]),
        np.int64(packet["window"]),
        np.int64(packet["options"]),
    )


@part
def _end_of(packet: Record) -> Int:
    """One past the last sequence number of a TCP packet: SYN and FIN take one each."""
    flags = np.int64(packet["flags"])
    length = np.int64(packet["payload"]) + (flags >> 1 & 1) + (flags & 1)
    return (np.int64(packet["seq"]) + length) & END_BITS


@part
def _slot_of_syn(packet: Record) -> Int:
    """The slot of a flow that has sent a SYN: all that the kernel remembers of it."""
    options, window = np.int64(packet["options"]), np.int64(packet["window"])
    return -2 - (options << OPTIONS_SHIFT | window << WINDOW_SHIFT | _end_of(packet))


@part
def _unfold_syn(slot: Int, known: Connection) -> None:
    """Make a TCP_STATE of what a flow's slot says of its first SYN."""
    said = -2 - slot
    tcp_new_syn(known, said & END_BITS, said >> WINDOW_SHIFT & WINDOW_BITS, said >> OPTIONS_SHIFT)


@inlined_part
def _advance_tcp(memory: TableMemory, number: Int, arrival: Arrival, dir: Int) -> Int:
    """Linux's rules for a TCP packet on a flow's live entry; answers the decision."""
    slot, sides = memory.tcp_slots[number], memory.tcp_sides
    is_first_syn = slot < NO_TCP_STATE
    if is_first_syn and arrival.tcp_index == TCP_SYN_SET and dir == ORIGINAL and slot == _slot_of_syn(arrival.packet):
        return LEFT_ALONE  # the same SYN again
    at = slot
    if is_first_syn:
        at = memory.counters[TCP_STATES]
        _unfold_syn(slot, Connection(sides[2 * at], sides[2 * at + 1], memory.tcp_states[at]))
    known = Connection(sides[2 * at + dir], sides[2 * at + 1 - dir], memory.tcp_states[at])
    flow = memory.flows[number]
    before = np.int64(flow["state"])
    state, phase, status, decision = tcp_packet(known, _tcp(arrival), dir, before, np.int64(flow["status"]))
    flow["status"] = status
    if decision != DELETED and decision != REOPENED:
        _follow(flow, arrival.ts, state, phase, decision)
    if is_first_syn and decision != DELETED:
        memory.tcp_slots[number] = at
        memory.counters[TCP_STATES] += 1
    return decision


@inlined_part
def _follow(flow: Record, ts: Int, state: Int, phase: Int, decision: Int) -> None:
    """Take a flow's entry, which stays, to a state, and to the timeout that the decision on the packet leaves."""
    if decision == RENEWED:
        flow["renewed"] = ts
        flow["phase"] = phase
    elif decision == CUT_SHORT:
        left = flow["renewed"] + LINUX_TIMEOUTS_NS[flow["phase"]] - ts
        if left > LINUX_TIMEOUTS_NS[UNACKNOWLEDGED]:
            flow["renewed"] = ts
            flow["phase"] = UNACKNOWLEDGED
    if state != flow["state"]:
        _turn(flow, ts, state)


@part
def _turn(flow: Record, ts: Int, state: Int) -> None:
    """Take an entry to another state; keep the instants at which TCP is established and closed."""
    before = flow["state"]
    flow["state"] = state
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
def _advance_other(flow: Record, arrival: Arrival, dir: Int) -> None:
    """Linux's rules for a packet that is not TCP on a flow's live entry."""
    status = flow["status"]
    if is_udp(flow["proto"]):
        flow["phase"] = udp_packet(status, flow["stream_ts"], arrival.ts)
    elif flow["proto"] == PROTO_GRE:
        flow["phase"] = gre_packet(status)
    elif flow["proto"] == PROTO_SCTP:
        flow["phase"] = sctp_packet(status)
    flow["renewed"] = arrival.ts
    if dir == REPLY:
        flow["status"] = status | IPS_SEEN_REPLY
