"""IPv4 (RFC 791) and IPv6 (RFC 8200) headers.

Addresses are two uint64, high and low; an IPv4 address stands as its IPv4-mapped form, ::ffff:a.b.c.d (RFC 4291),
so that one key serves both.
"""

import numpy as np

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.loads import be16, be32, be64
from peerburst.capture.compiled.shapes import Bool, Bytes, Int
from peerburst.capture.packets.status import Status

MAPPED_PREFIX = 0xFFFF00000000  # the low half of ::ffff:0.0.0.0

IPV4_SHORTEST = 20
IPV6_HEADER = 40
MOST_EXTENSIONS = 16  # extension headers in a row; more is an attack on the parser

PROTO_HOP_BY_HOP = 0
PROTO_ICMP = 1
PROTO_IPIP = 4
PROTO_TCP = 6
PROTO_UDP = 17
PROTO_DCCP = 33
PROTO_IPV6 = 41
PROTO_ROUTING = 43
PROTO_FRAGMENT = 44
PROTO_GRE = 47
PROTO_AH = 51
PROTO_ICMPV6 = 58
PROTO_DESTINATION = 60
PROTO_SCTP = 132
PROTO_MOBILITY = 135
PROTO_UDPLITE = 136
PROTO_HIP = 139
PROTO_SHIM6 = 140

OK = int(Status.DECODED)
FRAGMENT = int(Status.FRAGMENT)
TRUNCATED = int(Status.TRUNCATED)
MALFORMED = int(Status.MALFORMED)


@part
def is_ipv4(high: np.uint64, low: np.uint64) -> Bool:
    """Whether an address of two words is IPv4's."""
    mapped: Bool = high == 0 and low >> np.uint64(32) == MAPPED_PREFIX >> 32
    return mapped


@part
def ipv4(data: Bytes, at: Int, stop: Int, wire_stop: Int) -> tuple[Int, Int, Int, Int, Int]:
    """(status, protocol, offset behind the header, end of the packet on the wire, IP length) of one IPv4 header.

    A total length of 0 means that the card did the splitting (segmentation offload): the frame's own length counts.
    """
    if at + IPV4_SHORTEST > stop:
        return TRUNCATED, 0, at, at, 0
    header = np.int64(data[at] & 15) * 4
    if data[at] >> 4 != 4 or header < IPV4_SHORTEST:
        return MALFORMED, 0, at, at, 0
    length = be16(data, at + 2)
    if length == 0:
        length = wire_stop - at
    if length < header:
        return MALFORMED, 0, at, at, 0
    if at + header > stop:
        return TRUNCATED, 0, at, at, 0
    status = FRAGMENT if be16(data, at + 6) & 0x1FFF else OK
    return status, np.int64(data[at + 9]), at + header, at + length, length


@part
def ipv6(data: Bytes, at: Int, stop: Int, wire_stop: Int) -> tuple[Int, Int, Int, Int, Int]:
    """As `ipv4`, with the extension headers followed. A payload length of 0: a jumbogram or offload, as there."""
    if at + IPV6_HEADER > stop:
        return TRUNCATED, 0, at, at, 0
    if data[at] >> 4 != 6:
        return MALFORMED, 0, at, at, 0
    length = be16(data, at + 4) + IPV6_HEADER
    if length == IPV6_HEADER and wire_stop - at > IPV6_HEADER:
        length = wire_stop - at
    end = at + length
    protocol = np.int64(data[at + 6])
    position = at + IPV6_HEADER
    for _ in range(MOST_EXTENSIONS + 1):
        if protocol == PROTO_FRAGMENT:
            if position + 8 > end:
                return MALFORMED, protocol, position, end, length
            if position + 8 > stop:
                return TRUNCATED, protocol, position, end, length
            offset = be16(data, position + 2) & 0xFFF8
            protocol = np.int64(data[position])
            position += 8
            if offset:
                return FRAGMENT, protocol, position, end, length
        elif (
            protocol == PROTO_HOP_BY_HOP
            or protocol == PROTO_ROUTING
            or protocol == PROTO_DESTINATION
            or protocol == PROTO_MOBILITY
            or protocol == PROTO_HIP
            or protocol == PROTO_SHIM6
            or protocol == PROTO_AH
        ):
            if position + 8 > end:
                return MALFORMED, protocol, position, end, length
            if position + 8 > stop:
                return TRUNCATED, protocol, position, end, length
            # AH counts in units of four bytes less two (RFC 4302), the others in eight less one (RFC 8200).
            units = np.int64(data[position + 1])
            size = (units + 2) * 4 if protocol == PROTO_AH else (units + 1) * 8
            protocol = np.int64(data[position])
            position += size
            if position > end:
                return MALFORMED, protocol, position, end, length
        else:
            return OK, protocol, position, end, length
    return MALFORMED, protocol, position, end, length


@part
def ipv4_address(data: Bytes, at: Int) -> np.uint64:
    """The low half of an IPv4-mapped address."""
    return np.uint64(MAPPED_PREFIX | be32(data, at))


@part
def ipv6_address(data: Bytes, at: Int) -> tuple[np.uint64, np.uint64]:
    """(high, low) of an IPv6 address."""
    return be64(data, at), be64(data, at + 8)
