"""BSD's loopback: an address family of four bytes."""

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.loads import be32, le32
from peerburst.capture.compiled.shapes import Bytes, Int
from peerburst.capture.links.protocols import CUT, ETHERTYPE_IPV4, ETHERTYPE_IPV6, NOT_IP

LARGEST_FAMILY = 0xFFFF


@part
def address_family(family: Int, at: Int) -> tuple[Int, Int]:
    """AF_INET is 2 everywhere; AF_INET6 is 10 (Linux), 24 (NetBSD, OpenBSD), 28 (FreeBSD) or 30 (Darwin)."""
    if family == 2:
        return ETHERTYPE_IPV4, at
    if family == 10 or family == 24 or family == 28 or family == 30:
        return ETHERTYPE_IPV6, at
    return NOT_IP, at


@part
def bsd_loopback(data: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    """NULL is in the byte order of the machine that captured, LOOP in network order; families are small either way."""
    if at + 4 > stop:
        return CUT, at
    family = le32(data, at)
    if family > LARGEST_FAMILY:
        family = be32(data, at)
    return address_family(family, at + 4)
