"""Solaris' IPNET: what an IP zone sees."""

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.shapes import Bytes, Int
from peerburst.capture.links.protocols import CUT, ETHERTYPE_IPV4, ETHERTYPE_IPV6, NOT_IP

HEADER = 24
FAMILY = 1
AF_INET, AF_INET6 = 2, 26  # Solaris'


@part
def ipnet(data: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    if at + HEADER > stop:
        return CUT, at
    if data[at + FAMILY] == AF_INET:
        return ETHERTYPE_IPV4, at + HEADER
    if data[at + FAMILY] == AF_INET6:
        return ETHERTYPE_IPV6, at + HEADER
    return NOT_IP, at
