"""PPP (RFC 1661), and PPPoE sessions (RFC 2516), which carry it."""

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.loads import be16
from peerburst.capture.compiled.shapes import Bytes, Int
from peerburst.capture.links.protocols import (
    CUT,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    ETHERTYPE_MPLS,
    ETHERTYPE_PPPOE,
    NOT_IP,
)

PROTOCOL_IPV4 = 0x0021
PROTOCOL_IPV6 = 0x0057
PROTOCOL_MPLS = 0x0281
PPPOE_HEADER = 6


@part
def ppp(data: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    """With or without address and control, protocol field of one or two bytes."""
    if at + 2 <= stop and data[at] == 0xFF and data[at + 1] == 3:
        at += 2
    if at + 2 > stop:
        return CUT, at
    if data[at] & 1:
        protocol, at = data[at] + 0, at + 1
    else:
        protocol, at = be16(data, at), at + 2
    if protocol == PROTOCOL_IPV4:
        return ETHERTYPE_IPV4, at
    if protocol == PROTOCOL_IPV6:
        return ETHERTYPE_IPV6, at
    if protocol == PROTOCOL_MPLS:
        return ETHERTYPE_MPLS, at
    return NOT_IP, at


@part
def pppoe(data: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    """A PPPoE session header, and the PPP one behind it."""
    if at + PPPOE_HEADER + 2 > stop:
        return CUT, at
    if data[at + 1]:
        return NOT_IP, at  # a discovery code, not session data
    return ppp(data, at + PPPOE_HEADER, stop)


@part
def ppp_ether(data: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    """A frame that begins with the PPPoE header, without Ethernet's in front."""
    return ETHERTYPE_PPPOE, at
