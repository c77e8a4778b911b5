"""Frames to packets: one row per packet, decoded in batches."""

import numpy as np

from peerburst.capture.compiled.kernel import inlined_part, kernel, part
from peerburst.capture.compiled.loads import be16, signed64
from peerburst.capture.compiled.prefetch import prefetch_to_write
from peerburst.capture.compiled.shapes import Bytes, Int, Record, Records
from peerburst.capture.links import protocols
from peerburst.capture.links.protocols import (
    BAD,
    CUT,
    ENCIPHERED,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    ETHERTYPE_VLAN,
    UNKNOWN,
)
from peerburst.capture.links.registry import LINKTYPE_ETHERNET, network_header
from peerburst.capture.packets.frame_ends import ethernet_code, frame_code
from peerburst.capture.packets.ip import (
    FRAGMENT,
    IPV4_SHORTEST,
    MALFORMED,
    MAPPED_PREFIX,
    OK,
    PROTO_ICMPV6,
    PROTO_TCP,
    PROTO_UDP,
    TRUNCATED,
    ipv4,
    ipv4_address,
    ipv6,
    ipv6_address,
)
from peerburst.capture.packets.link_facts import NONE_LEFT, arp_at, is_neighbour_discovery
from peerburst.capture.packets.ports import DHCP_SERVER_PORT
from peerburst.capture.packets.status import Status
from peerburst.capture.packets.transport import (
    TCP_SHORTEST,
    UDP_HEADER,
    clear_transport,
    tcp_options,
    transport,
)

# How many packets ahead a row is asked for: often the one who last had it is another core, and far away.
ROW_AHEAD = 16

NOT_IP = int(Status.NOT_IP)
NO_IP_INSIDE = protocols.NOT_IP
UNKNOWN_LINK = int(Status.UNKNOWN_LINK)
ENCRYPTED = int(Status.ENCRYPTED)

ETHERNET_HEADER = 14
VLAN_TAG = 4
NOT_YET = 0  # no EtherType

NO_IPV4_OPTIONS = 0x45  # version 4, a header of five words
FRAGMENT_OFFSET = 0x1FFF


@part
def link_status(error: Int) -> int:
    """The status of a packet whose link layer led to no IP header, by that layer's error code."""
    if error == CUT:
        return TRUNCATED
    if error == UNKNOWN:
        return UNKNOWN_LINK
    if error == ENCIPHERED:
        return ENCRYPTED
    if error == BAD:
        return MALFORMED
    return NOT_IP


@part
def internet(data: Bytes, at: Int, stop: Int, wire_stop: Int, ethertype: Int, packet: Record) -> tuple[Int, Int, Int]:
    """One IP packet into its row: (status, protocol, offset of its transport header)."""
    clear_transport(packet)
    if ethertype == ETHERTYPE_IPV4:
        status, protocol, inner, end, length = ipv4(data, at, stop, wire_stop)
    else:
        status, protocol, inner, end, length = ipv6(data, at, stop, wire_stop)
    packet["proto"] = protocol
    packet["ip_bytes"] = length
    if status != OK and status != FRAGMENT:
        return status, protocol, inner
    packet["hop_limit"] = data[at + (8 if ethertype == ETHERTYPE_IPV4 else 7)]
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
        status = transport(data, inner, stop, end, protocol, packet)
    return status, protocol, inner


@inlined_part
def _plain(data: Bytes, at: Int, stop: Int, packet: Record) -> bool:
    """Decode what most packets are, an IPv4 header of 20 bytes and TCP or UDP whole behind it; whether it was one.

    Any other is left to `internet`, which would say the same of these. Word by word: a third of the time.
    """
    if at + IPV4_SHORTEST + UDP_HEADER > stop:
        return False
    first, second, third = signed64(data, at), signed64(data, at + 8), signed64(data, at + 16)
    length, protocol = first >> 32 & 0xFFFF, second >> 48 & 0xFF
    behind = at + IPV4_SHORTEST
    if first >> 56 & 0xFF != NO_IPV4_OPTIONS or first & FRAGMENT_OFFSET or length < IPV4_SHORTEST + UDP_HEADER:
        return False
    if protocol == PROTO_TCP:
        if length < IPV4_SHORTEST + TCP_SHORTEST or behind + TCP_SHORTEST > stop:
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
        if header > TCP_SHORTEST and behind + header <= stop:
            tcp_options(data, behind, behind + header, packet)
    elif protocol == PROTO_UDP:
        packet["seq"] = packet["ack"] = packet["sack"] = 0
        packet["window"] = packet["flags"] = packet["options"] = 0
        packet["payload"] = length - IPV4_SHORTEST - UDP_HEADER
    else:
        return False
    packet["icmp_id"] = packet["icmp_type"] = packet["icmp_code"] = 0
    packet["src_hi"] = packet["dst_hi"] = 0
    packet["src_lo"] = MAPPED_PREFIX | second & 0xFFFFFFFF
    packet["dst_lo"] = MAPPED_PREFIX | third >> 32 & 0xFFFFFFFF
    packet["sport"] = third >> 16 & 0xFFFF
    packet["dport"] = third & 0xFFFF
    packet["proto"] = protocol
    packet["hop_limit"] = second >> 56 & 0xFF
    packet["ip_bytes"] = length
    return True


@kernel
def decode(data: Bytes, frames: Records, count: Int, packets: Records) -> Int:
    """Fill packets[:count] (PACKET) from frames[:count] (FRAME) in bytes (uint8); never raises on bad packets.

    Frames of decoded packets are left pointing at their transport header, from where tunnels can be followed.
    Answers the last of the few frames that tell of the link (see `link_facts`), whose `link` is then the one before
    of them, or NONE_LEFT.
    """
    telling: Int = np.int64(NONE_LEFT)
    for i in range(count):
        prefetch_to_write(packets, i + ROW_AHEAD)
        frame, packet = frames[i], packets[i]
        packet["ts"] = frame["ts"]
        packet["offload"] = 0
        start, stop, link = frame["start"], frame["stop"], frame["link"]
        # What nearly every packet is, without the detour through all link types: Ethernet with IP right behind it, or
        # behind one VLAN tag.
        at = start + ETHERNET_HEADER
        ethertype: Int = NOT_YET
        if link == LINKTYPE_ETHERNET and at <= stop:
            ethertype = be16(data, at - 2)
            packet["frame"] = ethernet_code(start)
        else:
            packet["frame"] = frame_code(start, stop, link)
        if ethertype == ETHERTYPE_VLAN and at + VLAN_TAG <= stop:
            at += VLAN_TAG
            ethertype = be16(data, at - 2)
        if ethertype != ETHERTYPE_IPV4 and ethertype != ETHERTYPE_IPV6:
            ethertype, at = network_header(data, start, stop, link)
            if ethertype != ETHERTYPE_IPV4 and ethertype != ETHERTYPE_IPV6:
                packet["status"] = link_status(ethertype)
                if ethertype == NO_IP_INSIDE:
                    arp = arp_at(data, start, stop, link)
                    if arp > start:
                        frame["start"], frame["link"], telling = arp, telling, i
                continue
        wire_stop = start + frame["wire"]
        if ethertype == ETHERTYPE_IPV4 and _plain(data, at, stop, packet):
            packet["status"] = OK
            frame["start"] = at + IPV4_SHORTEST
            frame["wire"] = wire_stop - at - IPV4_SHORTEST
            if packet["sport"] == DHCP_SERVER_PORT and packet["proto"] == PROTO_UDP:
                frame["link"], telling = telling, i
            continue
        status, protocol, behind = internet(data, at, stop, wire_stop, ethertype, packet)
        packet["status"] = status
        frame["start"] = behind
        frame["wire"] = wire_stop - behind
        if status == OK and protocol == PROTO_ICMPV6 and is_neighbour_discovery(packet["icmp_type"]):
            frame["link"], telling = telling, i
    return telling
