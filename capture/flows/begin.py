"""A flow's beginning: the first packet of a 5-tuple, or the first after a silence for which no gateway remembers it, or
a SYN where the flow before had closed.
"""

import numpy as np

from peerburst.capture.compiled.kernel import inlined_part, kernel, part
from peerburst.capture.compiled.shapes import Bool, Bytes, Int, Record, Records, UInt8s
from peerburst.capture.conntrack.states import NONE, TCP_SYN_SET
from peerburst.capture.conntrack.udp import is_udp
from peerburst.capture.flows import segments
from peerburst.capture.flows.entry import NO_TCP_STATE, carry
from peerburst.capture.flows.five_tuple import set_five_tuple
from peerburst.capture.flows.originator import MAY_BE_OLDER_NS, is_against_ports, is_flipped
from peerburst.capture.flows.record import (
    AGAINST_PORTS,
    BEGAN,
    CLOSED,
    FIRST_IS_A,
    FLOWS,
    NEVER,
    NO_FLOW,
    ORIG_IS_A,
    OTHER_OVER_NS,
    SHORTEST_OVER_NS,
    TCP_OVER_NS,
    TOLD_BY_PORTS,
    UDP_OVER_NS,
    Arrival,
    TableMemory,
)
from peerburst.capture.packets.frame_ends import read_ends
from peerburst.capture.packets.icmp import is_icmp
from peerburst.capture.packets.ip import PROTO_TCP


@part
def is_next_flow(flow: Record, arrival: Arrival) -> Bool:
    """Whether a packet on a flow's 5-tuple begins the next flow."""
    silence = arrival.ts - flow["last"]
    if silence >= SHORTEST_OVER_NS and silence >= over_ns(flow["proto"]):
        return True
    return arrival.is_tcp and arrival.tcp_index == TCP_SYN_SET and flow["flags"] & CLOSED != 0


@part
def over_ns(proto: Int) -> int:
    """After how long a silence a flow of a protocol has ended, ns."""
    if proto == PROTO_TCP:
        return TCP_OVER_NS
    return UDP_OVER_NS if is_udp(proto) or is_icmp(proto) else OTHER_OVER_NS


@inlined_part
def begin_flow(memory: TableMemory, before: Int, arrival: Arrival, servers: UInt8s, packet_index: Int) -> Int:
    """Begin a flow with the packet at hand, the `packet_index`-th of all; answers its number.

    `before` is the flow that had the 5-tuple, or NO_FLOW; `servers` is 1 of each likely server's port.
    """
    number = np.int64(memory.counters[FLOWS])
    memory.counters[FLOWS] += 1
    flow = memory.flows[number]
    _clear(flow)
    set_five_tuple(flow, arrival.packet, arrival.from_a)
    flow["flags"] = _flags_at_birth(memory, arrival, servers)
    flow["renewed"] = arrival.packet["ts"]
    segments.begin(flow, arrival.ts, arrival.from_a)
    _remember_birth(memory.births[number], arrival.packet)
    memory.first_packet_index[number] = packet_index
    memory.tcp_slots[number] = NO_TCP_STATE
    if before != NO_FLOW:  # it passes the 5-tuple on, with its entry if that lives
        memory.flows[before]["successor"] = number
        memory.tcp_slots[number], memory.tcp_slots[before] = memory.tcp_slots[before], NO_TCP_STATE
        carry(memory.flows[before], flow, arrival.ts)
    return number


@part
def _flags_at_birth(memory: TableMemory, arrival: Arrival, servers: UInt8s) -> int:
    """A flow's flags after its first packet: who sent it, who began, and how that is known."""
    packet = arrival.packet
    flipped = is_flipped(packet, arrival.tcp_index)
    flags = FIRST_IS_A if arrival.from_a else 0
    if is_against_ports(packet, arrival.tcp_index, servers):
        flags |= AGAINST_PORTS
        # Of TCP only the flags say that it begins; of others, that the capture had run for long.
        if arrival.is_tcp or abs(arrival.ts - memory.counters[BEGAN]) < MAY_BE_OLDER_NS:
            flags |= TOLD_BY_PORTS
            flipped = True
    return flags | (ORIG_IS_A if arrival.from_a != flipped else 0)


@part
def _remember_birth(birth: Record, packet: Record) -> None:
    """What stands in the frame itself is filled in after the batch, see `fill_births`."""
    birth["frame"], birth["seq"] = packet["frame"], packet["seq"]
    birth["ip_bytes"], birth["hop_limit"] = packet["ip_bytes"] & 0xFFFF, packet["hop_limit"]


@kernel
def fill_births(data: Bytes, births: Records, known: Records) -> None:
    """Fill what the frames of first packets say into BIRTH rows; `data` has the frames, `known`: ENDS by number."""
    for i in range(births.size):
        read_ends(data, np.int64(births[i]["frame"]), known, births[i])


@part
def _clear(flow: Record) -> None:
    flow["state"] = NONE
    flow["status"] = 0
    flow["phase"] = NONE
    flow["pauses"] = 0
    flow["successor"] = -1
    flow["a_pkts"] = 0
    flow["b_pkts"] = 0
    flow["a_bytes"] = 0
    flow["b_bytes"] = 0
    flow["history"] = 0
    flow["closed"] = NEVER
    flow["established"] = NEVER
    flow["closing"] = NEVER
