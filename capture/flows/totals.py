"""Adding a packet to its flow's totals: packets and bytes of each end, Zeek's history, the instants of its close."""

import numpy as np

from peerburst.capture.compiled.kernel import inlined_part, part
from peerburst.capture.compiled.shapes import Record
from peerburst.capture.conntrack.states import CLOSE, TCP_ACK, TCP_FIN, TCP_RST, TCP_RST_SET, TCP_SYN, TIME_WAIT
from peerburst.capture.flows.history import (
    LETTER_DATA,
    LETTER_SYN,
    LETTER_SYNACK,
    LETTERS,
    SEEN_BITS,
    remember,
    remember_tcp,
)
from peerburst.capture.flows.originator import SWAPPED_NS
from peerburst.capture.flows.record import (
    AGAINST_PORTS,
    CAME_SECOND,
    CARRIED,
    CLOSED,
    NEVER,
    OFFLOAD,
    ORIG_IS_A,
    TOLD_BY_PORTS,
    Arrival,
)

# A SYN or a SYN+ACK of either end, in a history.
EITHER_SYN = (1 << LETTER_SYN | 1 << LETTER_SYNACK) * (1 | 1 << LETTERS)


@inlined_part
def add(flow: Record, arrival: Arrival) -> None:
    """Add a packet to its flow (FLOW), whose entry has advanced."""
    packet, from_a = arrival.packet, arrival.from_a
    # Both ends' totals, one of them by nothing: a branch on the way of a packet is foreseen half of the time.
    ip_bytes = np.int64(packet["ip_bytes"])
    flow["a_pkts"] += np.uint32(from_a)
    flow["b_pkts"] += np.uint32(not from_a)
    flow["a_bytes"] += np.uint64(ip_bytes if from_a else 0)
    flow["b_bytes"] += np.uint64(0 if from_a else ip_bytes)
    before = flow["history"]
    if arrival.is_tcp:
        history = remember_tcp(before, arrival.tcp_index, packet["flags"], packet["payload"], not from_a)
        if history != before:  # rare, as with what follows
            flow["history"] = history
            _note_syn(flow, arrival, before)
        _note_close(flow, arrival)
    else:
        history = remember(before, np.int64(LETTER_DATA), not from_a)
        if history != before:
            flow["history"] = history
            _note_answer(flow, arrival, before)
    if packet["offload"]:
        flow["flags"] |= OFFLOAD


@part
def _note_syn(flow: Record, arrival: Arrival, before: np.uint64) -> None:
    """The first SYN or SYN+ACK tells who began, also after other packets of another clock or another queue."""
    if arrival.packet["flags"] & TCP_SYN == 0 or np.int64(before) & EITHER_SYN != 0:
        return
    orig_is_a = arrival.from_a != (arrival.packet["flags"] & TCP_ACK != 0)
    flow["flags"] = np.int64(flow["flags"]) & ~ORIG_IS_A | (ORIG_IS_A if orig_is_a else 0)


@part
def _note_answer(flow: Record, arrival: Arrival, before: np.uint64) -> None:
    """A server's packet with the other end's just behind it may be the answer: two interfaces have two clocks."""
    was_one = np.int64(before) & SEEN_BITS != 0 and flow["pauses"] == 0
    flags = np.int64(flow["flags"])
    if was_one and flags & AGAINST_PORTS and arrival.ts - flow["start"] <= SWAPPED_NS:
        # One that may be older than the capture is turned round already.
        flow["flags"] = (flags | TOLD_BY_PORTS | CAME_SECOND) ^ (0 if flags & TOLD_BY_PORTS else ORIG_IS_A)


@part
def _note_close(flow: Record, arrival: Arrival) -> None:
    """Keep when a TCP flow begins to close, and that it has: the next SYN begins a new one."""
    if arrival.packet["flags"] & (TCP_FIN | TCP_RST) and flow["closing"] == NEVER:
        flow["closing"] = arrival.ts
    is_over = flow["state"] == TIME_WAIT or flow["state"] == CLOSE
    if arrival.tcp_index == TCP_RST_SET or (is_over and not flow["flags"] & CARRIED):
        flow["flags"] |= CLOSED
