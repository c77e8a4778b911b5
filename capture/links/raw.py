"""Raw IP: no link layer at all."""

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.shapes import Bytes, Int
from peerburst.capture.links.protocols import CUT, ETHERTYPE_IPV4, ETHERTYPE_IPV6, NOT_IP


@part
def by_version(data: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    """The version nibble tells IPv4 from IPv6."""
    if at >= stop:
        return CUT, at
    version = data[at] >> 4
    if version == 4:
        return ETHERTYPE_IPV4, at
    if version == 6:
        return ETHERTYPE_IPV6, at
    return NOT_IP, at
