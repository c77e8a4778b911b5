"""What tells flows apart: addresses and ports of both ends and the protocol; of ICMP, what stands for its ports."""

import numpy as np
import numpy.typing as npt

from peerburst.capture.compiled.kernel import inlined_part, part
from peerburst.capture.compiled.shapes import Bool, Int, Record
from peerburst.capture.flows.record import FIRST_IS_A
from peerburst.capture.packets.icmp import ICMP_QUERIES, ICMPV6_QUERIES, icmp_ports, is_icmp
from peerburst.capture.packets.ip import PROTO_ICMP, PROTO_ICMPV6


@part
def packet_ports(packet: Record) -> tuple[Int, Int]:
    """(the sender's, the receiver's) port of a packet (PACKET), or what ICMP has for it."""
    if is_icmp(packet["proto"]):
        return icmp_ports(packet["proto"], packet["icmp_type"], packet["icmp_code"], packet["icmp_id"])
    return np.int64(packet["sport"]), np.int64(packet["dport"])


@part
def flow_ports(flow: Record) -> tuple[Int, Int]:
    """(end a's, end b's) port of a flow (FLOW), or what ICMP has for it."""
    if is_icmp(flow["proto"]):
        first, other = icmp_ports(flow["proto"], flow["icmp_type"], flow["icmp_code"], flow["icmp_id"])
        return (first, other) if flow["flags"] & FIRST_IS_A else (other, first)
    return np.int64(flow["a_port"]), np.int64(flow["b_port"])


@part
def source_is_a(packet: Record) -> Bool:
    """Whether the sender is the smaller end. Without a branch: which way a packet goes, no processor can foresee."""
    high, low = packet["src_hi"], packet["src_lo"]
    other_high, other_low = packet["dst_hi"], packet["dst_lo"]
    port, other_port = packet_ports(packet)
    by_port = (low == other_low) & (port <= other_port)
    is_smaller: Bool = (high < other_high) | ((high == other_high) & ((low < other_low) | by_port))
    return is_smaller


@inlined_part
def is_of_flow(flow: Record, packet: Record, from_a: Bool) -> Bool:
    """Whether a packet belongs to a flow's 5-tuple."""
    if flow["proto"] != packet["proto"]:
        return False
    if is_icmp(packet["proto"]) and not _is_of_messages(flow, packet, from_a):
        return False
    same: Bool
    if from_a:
        same = (
            flow["a_lo"] == packet["src_lo"]
            and flow["b_lo"] == packet["dst_lo"]
            and flow["a_port"] == packet["sport"]
            and flow["b_port"] == packet["dport"]
            and flow["a_hi"] == packet["src_hi"]
            and flow["b_hi"] == packet["dst_hi"]
        )
    else:
        same = (
            flow["a_lo"] == packet["dst_lo"]
            and flow["b_lo"] == packet["src_lo"]
            and flow["a_port"] == packet["dport"]
            and flow["b_port"] == packet["sport"]
            and flow["a_hi"] == packet["dst_hi"]
            and flow["b_hi"] == packet["src_hi"]
        )
    return same


@part
def _is_of_messages(flow: Record, packet: Record, from_a: Bool) -> Bool:
    """Whether an ICMP packet is of the messages of an ICMP flow."""
    a_port, b_port = flow_ports(flow)
    port, other_port = packet_ports(packet)
    return (a_port == port and b_port == other_port) if from_a else (a_port == other_port and b_port == port)


@part
def set_five_tuple(flow: Record, packet: Record, from_a: Bool) -> None:
    """Write a packet's 5-tuple to its flow; of ICMP, whose fields lie in `established`, after that."""
    if from_a:
        flow["a_hi"], flow["a_lo"] = packet["src_hi"], packet["src_lo"]
        flow["b_hi"], flow["b_lo"] = packet["dst_hi"], packet["dst_lo"]
        flow["a_port"], flow["b_port"] = packet["sport"], packet["dport"]
    else:
        flow["a_hi"], flow["a_lo"] = packet["dst_hi"], packet["dst_lo"]
        flow["b_hi"], flow["b_lo"] = packet["src_hi"], packet["src_lo"]
        flow["a_port"], flow["b_port"] = packet["dport"], packet["sport"]
    flow["proto"] = packet["proto"]
    if is_icmp(packet["proto"]):
        flow["icmp_type"] = packet["icmp_type"]
        flow["icmp_code"] = packet["icmp_code"]
        flow["icmp_id"] = packet["icmp_id"]


def tuple_ports(row: npt.NDArray[np.void]) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint16]]:
    """(end a's, end b's) port of each flow (FLOW), or what ICMP has for it, see `icmp_ports`; copies.

    By these gateways and sockets tell flows apart: a ping's identifier is mapped and bound as ports are.
    """
    a_port, b_port = row["a_port"].copy(), row["b_port"].copy()
    icmp = np.flatnonzero(np.isin(row["proto"], (PROTO_ICMP, PROTO_ICMPV6)))
    some = row[icmp]
    of_icmp, of_icmpv6 = (np.isin(some["icmp_type"], queries) for queries in (ICMP_QUERIES, ICMPV6_QUERIES))
    is_query = np.where(some["proto"] == PROTO_ICMP, of_icmp, of_icmpv6)
    message = some["icmp_type"].astype(np.uint16) << np.uint16(8) | some["icmp_code"]
    first_is_a = some["flags"] & FIRST_IS_A != 0
    a_port[icmp] = np.where(is_query, some["icmp_id"], np.where(first_is_a, message, 0))
    b_port[icmp] = np.where(is_query, some["icmp_id"], np.where(first_is_a, 0, message))
    return a_port, b_port
