"""Adding a packet to its flow's totals: packets and bytes of each end, Zeek's history, the instants of its close."""

import numpy as np

from peerburst.capture.compiled.kernel import inlined_part, part
from peerburst.capture.compiled.shapes import Record
from peerburst.capture.conntrack.states import CLOSE, TCP_FIN, TCP_RST, TCP_RST_SET, TIME_WAIT
from peerburst.capture.flows.history import LETTER_DATA, remember, remember_tcp
from peerburst.capture.flows.record import CARRIED, CLOSED, NEVER, OFFLOAD, Arrival


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
    if arrival.is_tcp:
        flow["history"] = remember_tcp(
            flow["history"], arrival.tcp_index, packet["flags"], packet["payload"], not from_a
        )
        _note_close(flow, arrival)
    else:
        flow["history"] = remember(flow["history"], np.int64(LETTER_DATA), not from_a)
    if packet["offload"]:
        flow["flags"] |= OFFLOAD


@part
def _note_close(flow: Record, arrival: Arrival) -> None:
    """Keep when a TCP flow begins to close, and that it has: the next SYN begins a new one."""
    if arrival.packet["flags"] & (TCP_FIN | TCP_RST) and flow["closing"] == NEVER:
        flow["closing"] = arrival.ts
    is_over = flow["state"] == TIME_WAIT or flow["state"] == CLOSE
    if arrival.tcp_index == TCP_RST_SET or (is_over and not flow["flags"] & CARRIED):
        flow["flags"] |= CLOSED
