"""What lies behind the IP header: ports, flags and numbers of TCP, UDP, ICMP and others that have ports.

TCP: RFC 9293, its options RFC 7323 (scale, timestamps) and RFC 2018 (selective acknowledgement). UDP: RFC 768.
"""

import numpy as np

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.loads import be16, be32
from peerburst.capture.compiled.shapes import Bytes, Int, Record
from peerburst.capture.packets.icmp import is_icmp_query
from peerburst.capture.packets.ip import (
    MALFORMED,
    OK,
    PROTO_DCCP,
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_SCTP,
    PROTO_TCP,
    PROTO_UDP,
    PROTO_UDPLITE,
    TRUNCATED,
)
from peerburst.capture.packets.record import HAS_OPTIONS, HAS_SCALE, MAY_SACK, SCALE_BITS

TCP_SHORTEST = 20
TCP_NEEDED = 14  # up to the flags
TCP_SYN = 2
LARGEST_SCALE = 14

OPTION_END, OPTION_NOTHING, OPTION_SCALE, OPTION_MAY_SACK, OPTION_SACK = 0, 1, 3, 4, 5
SACK_BLOCK = 8
TIMESTAMPS_ALONE = 0x0101080A  # two fillers, then the option of RFC 7323: what most packets of a connection carry
TIMESTAMPS_HEADER = TCP_SHORTEST + 12

UDP_HEADER = 8
PORTS_NEEDED = 4
ICMP_NEEDED = 4  # up to the checksum
ICMP_QUERY_NEEDED = 6  # up to the identifier


@part
def clear_transport(packet: Record) -> None:
    """Nothing is known of a packet's transport."""
    packet["seq"] = 0
    packet["ack"] = 0
    packet["sport"] = 0
    packet["dport"] = 0
    packet["window"] = 0
    packet["flags"] = 0
    packet["payload"] = 0
    packet["sack"] = 0
    packet["options"] = 0
    packet["icmp_type"] = 0
    packet["icmp_code"] = 0
    packet["icmp_id"] = 0


@part
def transport(data: Bytes, at: Int, stop: Int, end: Int, protocol: Int, packet: Record) -> Int:
    """Fill what the transport header at `at` says, and answer the status; the IP packet ends at `end` on the wire."""
    held = min(stop, end)
    packet["payload"] = max(0, end - at)
    if protocol == PROTO_TCP:
        return _tcp(data, at, stop, end, packet)
    if protocol == PROTO_ICMP or protocol == PROTO_ICMPV6:
        return _icmp(data, at, stop, end, packet)
    is_udp = protocol == PROTO_UDP
    if is_udp or protocol == PROTO_SCTP or protocol == PROTO_DCCP or protocol == PROTO_UDPLITE:
        if at + (UDP_HEADER if is_udp else PORTS_NEEDED) > held:
            return _short(stop, end)
        packet["sport"] = be16(data, at)
        packet["dport"] = be16(data, at + 2)
        if is_udp:
            packet["payload"] = end - at - UDP_HEADER
    return OK


@part
def _short(stop: Int, end: Int) -> int:
    """Why a header is incomplete: the capture stopped before the packet did, or the packet itself is too short."""
    return TRUNCATED if stop < end else MALFORMED


@part
def _tcp(data: Bytes, at: Int, stop: Int, end: Int, packet: Record) -> Int:
    held = min(stop, end)
    if at + TCP_SHORTEST > end or at + TCP_NEEDED > held:
        return _short(stop, end)
    header = np.int64(data[at + 12] >> 4) * 4
    if header < TCP_SHORTEST or at + header > end:
        return MALFORMED
    packet["sport"] = be16(data, at)
    packet["dport"] = be16(data, at + 2)
    packet["seq"] = be32(data, at + 4)
    packet["ack"] = packet["sack"] = be32(data, at + 8)
    packet["flags"] = data[at + 13]
    packet["window"] = be16(data, at + 14) if at + 16 <= held else 0
    packet["payload"] = end - at - header
    if header > TCP_SHORTEST and at + header <= held:
        tcp_options(data, at, at + header, packet)
    return OK


@part
def _icmp(data: Bytes, at: Int, stop: Int, end: Int, packet: Record) -> Int:
    held = min(stop, end)
    if at + ICMP_NEEDED > held:
        return _short(stop, end)
    packet["icmp_type"] = data[at]
    packet["icmp_code"] = data[at + 1]
    if is_icmp_query(packet["proto"], data[at]):
        if at + ICMP_QUERY_NEEDED > held:
            return _short(stop, end)
        packet["icmp_id"] = be16(data, at + 4)
    return OK


@part
def tcp_options(data: Bytes, at: Int, stop: Int, packet: Record) -> None:
    """Fill `options` and `sack` from the TCP header bytes[at:stop], which has options."""
    first = at + TCP_SHORTEST
    if data[at + 13] & TCP_SYN:
        packet["options"] = _syn_options(data, first, stop)
    elif stop - at != TIMESTAMPS_HEADER or be32(data, first) != TIMESTAMPS_ALONE:
        packet["sack"] = _selective_ack(data, first, stop, be32(data, at + 8))


@part
def _syn_options(data: Bytes, at: Int, stop: Int) -> Int:
    """What the options bytes[at:stop] of a SYN offer, as in the column `options`."""
    found = np.int64(HAS_OPTIONS)
    while at < stop and data[at] != OPTION_END:
        size = _option_size(data, at, stop)
        if size == 0:
            break
        if data[at] == OPTION_SCALE and size == 3:
            scale = np.int64(data[at + 2])
            found = (found & ~SCALE_BITS) | HAS_SCALE | (scale if scale < LARGEST_SCALE else np.int64(LARGEST_SCALE))
        elif data[at] == OPTION_MAY_SACK and size == 2:
            found |= MAY_SACK
        at += size
    return found


@part
def _selective_ack(data: Bytes, at: Int, stop: Int, ack: Int) -> Int:
    """The highest right edge of the SACK blocks in the options bytes[at:stop], or `ack` if that is higher."""
    while at < stop and data[at] != OPTION_END:
        size = _option_size(data, at, stop)
        if size == 0:
            break
        if data[at] == OPTION_SACK and (size - 2) % SACK_BLOCK == 0:
            for edge in range(at + 6, at + size, SACK_BLOCK):
                right = be32(data, edge)
                if (right - ack) & 0xFFFFFFFF < 1 << 31:
                    ack = right
            break
        at += size
    return ack


@part
def _option_size(data: Bytes, at: Int, stop: Int) -> Int:
    """How many bytes the option at `at` takes of the options, which end at `stop`; 0 if it does not fit."""
    if data[at] == OPTION_NOTHING:
        return np.int64(1)
    if at + 2 > stop:
        return np.int64(0)
    size = np.int64(data[at + 1])
    return np.int64(0) if size < 2 or at + size > stop else size
