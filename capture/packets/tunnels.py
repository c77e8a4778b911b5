"""Tunnels that `--inner` follows: where the packet inside starts and what it is.

GRE (RFC 2784, 2890, PPTP's version 1: RFC 2637, ERSPAN), IP-in-IP (RFC 2003), 6in4 (RFC 4213), Teredo (RFC 4380),
VXLAN (RFC 7348), Geneve (RFC 8926), GTP-U (3GPP TS 29.281), TZSP (TaZmen Sniffer Protocol, which MikroTik's sniffer
speaks).
"""

import numpy as np

from peerburst.capture.compiled.kernel import kernel, part
from peerburst.capture.compiled.loads import be16
from peerburst.capture.compiled.shapes import Bytes, Int, Records
from peerburst.capture.links.encapsulation import decapsulate
from peerburst.capture.links.ieee80211 import ieee802_11
from peerburst.capture.links.protocols import CUT, ETHERTYPE_ETHERNET, ETHERTYPE_IPV4, ETHERTYPE_IPV6, NOT_IP
from peerburst.capture.links.raw import by_version
from peerburst.capture.packets.decode import internet
from peerburst.capture.packets.frame_ends import LINKTYPE_ETHERNET, NO_FRAME, frame_code
from peerburst.capture.packets.ip import FRAGMENT, OK, PROTO_GRE, PROTO_IPIP, PROTO_IPV6, PROTO_UDP
from peerburst.capture.packets.ports import (
    GENEVE_PORT,
    GTP_U_PORT,
    TEREDO_PORT,
    TZSP_PORT,
    VXLAN_PORT,
    VXLAN_PORT_OF_LINUX,
)

MOST_TUNNELS = 8  # tunnels inside tunnels
GRE_ERSPAN = 0x88BE
GRE_ERSPAN_3 = 0x22EB
GRE_PPP = 0x880B
TZSP_HEADER = 4
TZSP_TO_SEND = 1  # type of a packet to be sent; 0 is one that was received
TZSP_PADDING, TZSP_END = 0, 1  # tags
TZSP_ETHERNET, TZSP_IEEE802_11 = 1, 18


@part
def _ppp_in_gre(data: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    """PPTP's payload: PPP with or without address and control, protocol compressed or not."""
    if at + 2 <= stop and data[at] == 0xFF and data[at + 1] == 3:
        at += 2
    if at < stop and data[at] == 0:
        at += 1
    if at + 1 > stop:
        return CUT, at
    if data[at] == 0x21:
        return ETHERTYPE_IPV4, at + 1
    if data[at] == 0x57:
        return ETHERTYPE_IPV6, at + 1
    return NOT_IP, at


@part
def _gre(data: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    if at + 4 > stop:
        return CUT, at
    flags = be16(data, at)
    protocol = be16(data, at + 2)
    sequence = bool(flags & 0x1000)
    version = flags & 7
    at += 4
    if flags & 0x8000 or flags & 0x4000:  # checksum or routing: both bring the checksum and offset words
        at += 4
    if flags & 0x2000:
        at += 4
    if sequence:
        at += 4
    if version == 1:
        if flags & 0x0080:  # acknowledgement
            at += 4
        return _ppp_in_gre(data, at, stop) if protocol == GRE_PPP else (NOT_IP, at)
    if protocol == GRE_ERSPAN:
        return ETHERTYPE_ETHERNET, at + (8 if sequence else 0)  # type I has no header of its own
    if protocol == GRE_ERSPAN_3:
        if at + 12 > stop:
            return CUT, at
        return ETHERTYPE_ETHERNET, at + (20 if data[at + 11] & 1 else 12)
    return protocol, at


@part
def _gtp_u(data: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    if at + 8 > stop:
        return CUT, at
    if data[at] >> 4 != 3 or data[at + 1] != 255:  # version 1 with protocol type GTP, message G-PDU
        return NOT_IP, at
    flags = data[at] & 7
    at += 8
    if flags:
        if at + 4 > stop:
            return CUT, at
        extension = data[at + 3]
        at += 4
        headers = 0
        while flags & 4 and extension and headers < MOST_TUNNELS:
            headers += 1
            if at >= stop:
                return CUT, at
            size = np.int64(data[at]) * 4
            if size == 0 or at + size > stop:
                return CUT, at
            extension = data[at + size - 1]
            at += size
    ethertype, at = by_version(data, at, stop)
    return ethertype, at


@part
def _teredo(data: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    if at + 4 <= stop and be16(data, at) == 1:  # authentication: client id and value lengths, nonce, confirmation
        at += 13 + np.int64(data[at + 2]) + np.int64(data[at + 3])
    if at + 8 <= stop and be16(data, at) == 0:  # origin indication
        at += 8
    if at < stop and data[at] >> 4 == 6:
        return ETHERTYPE_IPV6, at
    return NOT_IP, at


@part
def _geneve(data: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    if at + 8 > stop:
        return CUT, at
    return be16(data, at + 2), at + 8 + np.int64(data[at] & 0x3F) * 4


@part
def _tzsp(data: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    """Version, type and protocol, then tags: a type, a length and so many bytes; padding and the end have no length."""
    if at + TZSP_HEADER > stop:
        return CUT, at
    version, kind, protocol = data[at], data[at + 1], be16(data, at + 2)
    if version != 1 or kind > TZSP_TO_SEND:
        return NOT_IP, at  # configuration, keepalive and the like
    at += TZSP_HEADER
    while at < stop and data[at] != TZSP_END:
        at += 1 if data[at] == TZSP_PADDING or at + 1 >= stop else 2 + np.int64(data[at + 1])
    at += 1
    if at > stop:
        return CUT, at
    if protocol == TZSP_ETHERNET:
        return ETHERTYPE_ETHERNET, at
    return ieee802_11(data, at, stop) if protocol == TZSP_IEEE802_11 else (NOT_IP, at)


@part
def _udp_tunnel(data: Bytes, at: Int, stop: Int, sport: Int, dport: Int) -> tuple[Int, Int]:
    """`at` is behind the UDP header."""
    if dport == VXLAN_PORT or dport == VXLAN_PORT_OF_LINUX:
        if at + 8 > stop:
            return CUT, at
        return (ETHERTYPE_ETHERNET, at + 8) if data[at] & 8 else (NOT_IP, at)
    if dport == TZSP_PORT:
        return _tzsp(data, at, stop)
    if dport == GENEVE_PORT:
        return _geneve(data, at, stop)
    if dport == GTP_U_PORT or sport == GTP_U_PORT:
        return _gtp_u(data, at, stop)
    if dport == TEREDO_PORT or sport == TEREDO_PORT:
        return _teredo(data, at, stop)
    return NOT_IP, at


@part
def _inside(data: Bytes, at: Int, stop: Int, protocol: Int, sport: Int, dport: Int) -> tuple[Int, Int]:
    """What a packet whose transport starts at `at` carries: (EtherType or NOT_IP or CUT, offset)."""
    if protocol == PROTO_UDP:
        return _udp_tunnel(data, at + 8, stop, sport, dport)
    if protocol == PROTO_GRE:
        return _gre(data, at, stop)
    if protocol == PROTO_IPIP:
        return ETHERTYPE_IPV4, at
    if protocol == PROTO_IPV6:
        return ETHERTYPE_IPV6, at
    return NOT_IP, at


@kernel
def follow(data: Bytes, frames: Records, count: Int, packets: Records, spare: Records) -> None:
    """Replace those of packets[:count] (PACKET) that carry a whole packet in a tunnel by the innermost one.

    `frames` as `decode` left them; `spare` is one PACKET row of working space. What turns out to be no packet
    leaves the outer one standing.
    """
    within = spare[0]
    for i in range(count):
        packet = packets[i]
        if packet["status"] != OK:
            continue
        at, stop = frames[i]["start"], frames[i]["stop"]
        wire_stop = at + frames[i]["wire"]
        for _ in range(MOST_TUNNELS):
            ethertype, at = _inside(data, at, stop, packet["proto"], packet["sport"], packet["dport"])
            frame, is_frame = at, ethertype == ETHERTYPE_ETHERNET
            ethertype, at = decapsulate(data, ethertype, at, stop)
            if ethertype != ETHERTYPE_IPV4 and ethertype != ETHERTYPE_IPV6:
                break
            within["ts"] = packet["ts"]
            status, _protocol, at = internet(data, at, stop, wire_stop, ethertype, within)
            if status != OK and status != FRAGMENT:
                break
            within["status"] = status
            within["frame"] = frame_code(frame, stop, LINKTYPE_ETHERNET) if is_frame else NO_FRAME
            packets[i] = within
            if status != OK:
                break
