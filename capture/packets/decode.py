"""One row per packet: time, addresses, ports, protocol, flags and length, decoded in batches."""

import numpy as np

from peerburst.capture.compiled.arrays import prefetch_to_write
from peerburst.capture.compiled.kernel import inlined_part, kernel, part
from peerburst.capture.compiled.loads import be16, be32, signed64
from peerburst.capture.links.registry import (
    BAD,
    CUT,
    ENCIPHERED,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    ETHERTYPE_VLAN,
    LINKTYPE_ETHERNET,
    UNKNOWN,
    network_header,
)
from peerburst.capture.packets.icmp import is_icmp_query
from peerburst.capture.packets.ip import (
    FRAGMENT,
    IPV4_SHORTEST,
    MALFORMED,
    MAPPED_PREFIX,
    OK,
    PROTO_DCCP,
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_SCTP,
    PROTO_TCP,
    PROTO_UDP,
    PROTO_UDPLITE,
    TRUNCATED,
    ipv4,
    ipv4_address,
    ipv6,
    ipv6_address,
)
from peerburst.capture.packets.status import Status

# A packet as the flow table sees it. Addresses: two uint64 each, IPv4 as ::ffff:a.b.c.d. `ip_bytes` is the IP length
# field, never the captured slice. `seq`, `ack`, `window` and `flags` are TCP's; `sack` is the highest sequence number
# that a TCP packet acknowledges, selectively (RFC 2018) or not; `options` are what its SYN offers. `icmp_type` and
# `icmp_code` are of ICMP and ICMPv6, `icmp_id` is the identifier of their queries. What a protocol has not is 0.
PACKET = np.dtype(
    [
        ("ts", np.int64),
        ("src_hi", np.uint64),
        ("src_lo", np.uint64),
        ("dst_hi", np.uint64),
        ("dst_lo", np.uint64),
        ("seq", np.uint32),
        ("ack", np.uint32),
        ("ip_bytes", np.uint32),
        ("payload", np.uint32),
        ("sack", np.uint32),
        ("sport", np.uint16),
        ("dport", np.uint16),
        ("window", np.uint16),
        ("proto", np.uint8),
        ("flags", np.uint8),
        ("status", np.uint8),
        ("offload", np.uint8),
        ("options", np.uint8),
        ("icmp_type", np.uint8),
        ("icmp_code", np.uint8),
        ("icmp_id", np.uint16),
    ],
    align=True,
)

# How many packets ahead a row is asked for: often the one who last had it is another core, and far away.
ROW_AHEAD = 16

# Where each frame of a batch stands in the block of bytes it was read into.
FRAME = np.dtype(
    [("ts", np.int64), ("start", np.int64), ("stop", np.int64), ("wire", np.int64), ("link", np.int64)], align=True
)

NOT_IP = int(Status.NOT_IP)
UNKNOWN_LINK = int(Status.UNKNOWN_LINK)
ENCRYPTED = int(Status.ENCRYPTED)

ETHERNET_HEADER = 14
VLAN_TAG = 4
NOT_YET = 0  # no EtherType

NO_IPV4_OPTIONS = 0x45  # version 4, a header of five words
FRAGMENT_OFFSET = 0x1FFF

TCP_SHORTEST = 20
TCP_NEEDED = 14  # up to the flags
TCP_SYN = 2
# `options` of a SYN: the window's scale (RFC 7323), and whether it has one.
SCALE_BITS = 15
HAS_SCALE = 16
MAY_SACK = 32  # RFC 2018
HAS_OPTIONS = 64  # any at all
LARGEST_SCALE = 14

OPTION_END, OPTION_NOTHING, OPTION_SCALE, OPTION_MAY_SACK, OPTION_SACK = 0, 1, 3, 4, 5
SACK_BLOCK = 8
TIMESTAMPS_ALONE = 0x0101080A  # two fillers, then the option of RFC 7323: what most packets of a connection carry
TIMESTAMPS_HEADER = TCP_SHORTEST + 12

UDP_HEADER = 8
PORTS_NEEDED = 4
ICMP_QUERY_NEEDED = 6


@part
def verdict_status(verdict):  # type: ignore[no-untyped-def]
    """The status of a packet whose link layer led to no IP header."""
    if verdict == CUT:
        return TRUNCATED
    if verdict == UNKNOWN:
        return UNKNOWN_LINK
    if verdict == ENCIPHERED:
        return ENCRYPTED
    if verdict == BAD:
        return MALFORMED
    return NOT_IP


@part
def _short(stop, end):  # type: ignore[no-untyped-def]
    """Why a header is incomplete: the capture stopped before the packet did, or the packet itself is too short."""
    return TRUNCATED if stop < end else MALFORMED


@part
def _syn_options(data, at, stop):  # type: ignore[no-untyped-def]
    """What the options bytes[at:stop] of a SYN offer, as in the column `options`."""
    found = np.int64(HAS_OPTIONS)
    while at < stop and data[at] != OPTION_END:
        if data[at] == OPTION_NOTHING:
            at += 1
            continue
        if at + 2 > stop:
            break
        size = np.int64(data[at + 1])
        if size < 2 or at + size > stop:
            break
        if data[at] == OPTION_SCALE and size == 3:
            scale = np.int64(data[at + 2])
            found = (found & ~SCALE_BITS) | HAS_SCALE | (scale if scale < LARGEST_SCALE else np.int64(LARGEST_SCALE))
        elif data[at] == OPTION_MAY_SACK and size == 2:
            found |= MAY_SACK
        at += size
    return found


@part
def _selective_ack(data, at, stop, ack):  # type: ignore[no-untyped-def]
    """The highest right edge of the SACK blocks in the options bytes[at:stop], or `ack` if that is higher."""
    while at < stop and data[at] != OPTION_END:
        if data[at] == OPTION_NOTHING:
            at += 1
            continue
        if at + 2 > stop:
            break
        size = np.int64(data[at + 1])
        if size < 2 or at + size > stop:
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
def _options(data, at, stop, packet):  # type: ignore[no-untyped-def]
    """Fill `options` and `sack` from the TCP header bytes[at:stop], which has options."""
    first = at + TCP_SHORTEST
    if data[at + 13] & TCP_SYN:
        packet["options"] = _syn_options(data, first, stop)
    elif stop - at != TIMESTAMPS_HEADER or be32(data, first) != TIMESTAMPS_ALONE:
        packet["sack"] = _selective_ack(data, first, stop, be32(data, at + 8))


@part
def _transport(data, at, stop, end, protocol, packet):  # type: ignore[no-untyped-def]
    """Ports, flags and numbers of the transport header at `at`; `end` is where the IP packet ends on the wire."""
    held = min(stop, end)
    packet["payload"] = max(0, end - at)
    if protocol == PROTO_TCP:
        if at + TCP_SHORTEST > end or at + TCP_NEEDED > held:
            return _short(stop, end)
        header = np.int64(data[at + 12] >> 4) * 4
        if header < TCP_SHORTEST or at + header > end:
            return MALFORMED
        packet["sport"] = be16(data, at)
        packet["dport"] = be16(data, at + 2)
        packet["seq"] = be32(data, at + 4)
        packet["ack"] = be32(data, at + 8)
        packet["flags"] = data[at + 13]
        packet["window"] = be16(data, at + 14) if at + 16 <= held else 0
        packet["payload"] = end - at - header
        packet["sack"] = packet["ack"]
        if header > TCP_SHORTEST and at + header <= held:
            _options(data, at, at + header, packet)
        return OK
    if protocol == PROTO_UDP:
        if at + UDP_HEADER > held:
            return _short(stop, end)
        packet["sport"] = be16(data, at)
        packet["dport"] = be16(data, at + 2)
        packet["payload"] = end - at - UDP_HEADER
        return OK
    if protocol == PROTO_ICMP or protocol == PROTO_ICMPV6:
        if at + PORTS_NEEDED > held:
            return _short(stop, end)
        packet["icmp_type"] = data[at]
        packet["icmp_code"] = data[at + 1]
        if is_icmp_query(protocol, np.int64(data[at])):
            if at + ICMP_QUERY_NEEDED > held:
                return _short(stop, end)
            packet["icmp_id"] = be16(data, at + 4)
        return OK
    if protocol == PROTO_SCTP or protocol == PROTO_DCCP or protocol == PROTO_UDPLITE:
        if at + PORTS_NEEDED > held:
            return _short(stop, end)
        packet["sport"] = be16(data, at)
        packet["dport"] = be16(data, at + 2)
    return OK


@part
def _clear(packet):  # type: ignore[no-untyped-def]
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
def internet(data, at, stop, wire_stop, ethertype, packet):  # type: ignore[no-untyped-def]
    """One IP packet into its row: (status, protocol, offset of its transport header)."""
    _clear(packet)
    if ethertype == ETHERTYPE_IPV4:
        status, protocol, inner, end, length = ipv4(data, at, stop, wire_stop)
    else:
        status, protocol, inner, end, length = ipv6(data, at, stop, wire_stop)
    packet["proto"] = protocol
    packet["ip_bytes"] = length
    if status != OK and status != FRAGMENT:
        return status, protocol, inner
    if ethertype == ETHERTYPE_IPV4:
        packet["src_hi"] = 0
        packet["src_lo"] = ipv4_address(data, at + 12)
        packet["dst_hi"] = 0
        packet["dst_lo"] = ipv4_address(data, at + 16)
        packet["offload"] = be16(data, at + 2) == 0
    else:
        packet["src_hi"], packet["src_lo"] = ipv6_address(data, at + 8)
        packet["dst_hi"], packet["dst_lo"] = ipv6_address(data, at + 24)
        packet["offload"] = 0
    if status == OK:
        status = _transport(data, inner, stop, end, protocol, packet)
    return status, protocol, inner


@inlined_part
def _plain(data, at, stop, packet):  # type: ignore[no-untyped-def]
    """Decode what most packets are, an IPv4 header of 20 bytes and TCP or UDP whole behind it; whether it was one.

    Any other is left to `internet`, which would say the same of these. Word by word: a third of the time.
    """
    if at + IPV4_SHORTEST + UDP_HEADER > stop:
        return False
    first, second, third = signed64(data, at), signed64(data, at + 8), signed64(data, at + 16)
    length, protocol = first >> 32 & 0xFFFF, second >> 48 & 0xFF
    transport = at + IPV4_SHORTEST
    if first >> 56 & 0xFF != NO_IPV4_OPTIONS or first & FRAGMENT_OFFSET or length < IPV4_SHORTEST + UDP_HEADER:
        return False
    if protocol == PROTO_TCP:
        if length < IPV4_SHORTEST + TCP_SHORTEST or transport + TCP_SHORTEST > stop:
            return False
        numbers, rest = signed64(data, at + 24), signed64(data, at + 32)
        header = (rest >> 60 & 15) * 4
        payload = length - IPV4_SHORTEST - header
        if header < TCP_SHORTEST or payload < 0:
            return False
        packet["seq"] = numbers >> 32 & 0xFFFFFFFF
        packet["ack"] = packet["sack"] = numbers & 0xFFFFFFFF
        packet["window"] = rest >> 32 & 0xFFFF
        packet["flags"] = rest >> 48 & 0xFF
        packet["options"] = 0
        packet["payload"] = payload
        if header > TCP_SHORTEST and transport + header <= stop:
            _options(data, transport, transport + header, packet)
    elif protocol == PROTO_UDP:
        packet["seq"] = packet["ack"] = packet["sack"] = 0
        packet["window"] = packet["flags"] = packet["options"] = 0
        packet["payload"] = length - IPV4_SHORTEST - UDP_HEADER
    else:
        return False
    packet["icmp_type"] = packet["icmp_code"] = packet["icmp_id"] = 0
    packet["src_hi"] = packet["dst_hi"] = 0
    packet["src_lo"] = MAPPED_PREFIX | second & 0xFFFFFFFF
    packet["dst_lo"] = MAPPED_PREFIX | third >> 32 & 0xFFFFFFFF
    packet["sport"] = third >> 16 & 0xFFFF
    packet["dport"] = third & 0xFFFF
    packet["proto"] = protocol
    packet["ip_bytes"] = length
    return True


@kernel
def decode(data, frames, count, row):  # type: ignore[no-untyped-def]
    """Fill row[:count] (PACKET) from frames[:count] (FRAME) in bytes (uint8); never raises on bad packets.

    Frames of decoded packets are left pointing at their transport header, from where tunnels can be followed.
    """
    for i in range(count):
        prefetch_to_write(row, i + ROW_AHEAD)
        frame, packet = frames[i], row[i]
        packet["ts"] = frame["ts"]
        packet["offload"] = 0
        start, stop, link = frame["start"], frame["stop"], frame["link"]
        # What nearly every packet is, without the detour through all link types: Ethernet with IP right behind it, or
        # behind one VLAN tag.
        at = start + ETHERNET_HEADER
        ethertype = be16(data, at - 2) if link == LINKTYPE_ETHERNET and at <= stop else NOT_YET
        if ethertype == ETHERTYPE_VLAN and at + VLAN_TAG <= stop:
            at += VLAN_TAG
            ethertype = be16(data, at - 2)
        if ethertype != ETHERTYPE_IPV4 and ethertype != ETHERTYPE_IPV6:
            ethertype, at = network_header(data, start, stop, link)
            if ethertype != ETHERTYPE_IPV4 and ethertype != ETHERTYPE_IPV6:
                packet["status"] = verdict_status(ethertype)
                continue
        wire_stop = start + frame["wire"]
        if ethertype == ETHERTYPE_IPV4 and _plain(data, at, stop, packet):
            packet["status"] = OK
            frame["start"] = at + IPV4_SHORTEST
            frame["wire"] = wire_stop - at - IPV4_SHORTEST
            continue
        status, _protocol, transport = internet(data, at, stop, wire_stop, ethertype, packet)
        packet["status"] = status
        frame["start"] = transport
        frame["wire"] = wire_stop - transport
