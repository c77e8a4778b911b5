"""ARCNET as Linux shows it."""

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.shapes import Bytes, Int
from peerburst.capture.links.protocols import CUT, ETHERTYPE_IPV4, NOT_IP

SYSTEM_CODE = 4
RFC_1051_IP, RFC_1201_IP = 0xF0, 0xD4
EXCEPTION = 0xFF  # RFC 1201's split flag of an exception packet: four bytes more


@part
def arcnet(data: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    """Source, destination, two bytes of offset, system code (RFC 1051, RFC 1201)."""
    if at + 8 > stop:
        return CUT, at
    system = data[at + SYSTEM_CODE]
    if system == RFC_1051_IP:
        return ETHERTYPE_IPV4, at + 5
    if system == RFC_1201_IP:  # split flag and sequence number follow
        if data[at + 5] == EXCEPTION:
            return (ETHERTYPE_IPV4, at + 12) if at + 12 <= stop else (CUT, at)
        return ETHERTYPE_IPV4, at + 8
    return NOT_IP, at
