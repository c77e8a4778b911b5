"""NFLOG: packets that Linux's netfilter logged."""

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.loads import le16
from peerburst.capture.compiled.shapes import Bytes, Int
from peerburst.capture.links.bsd_loopback import address_family
from peerburst.capture.links.protocols import BAD, CUT

NFULA_PAYLOAD = 9
TYPE = 0x7FFF  # without the bit for network byte order


@part
def nflog(data: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    """Four bytes, the first the address family, then type-length-values in host order, the packet one of them."""
    if at + 4 > stop:
        return CUT, at
    family = data[at]
    at += 4
    while at + 4 <= stop:
        length = le16(data, at)
        if length < 4:
            return BAD, at
        if le16(data, at + 2) & TYPE == NFULA_PAYLOAD:
            return address_family(family, at + 4)
        at += (length + 3) & ~3
    return CUT, at
