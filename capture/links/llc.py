"""IEEE 802.2 LLC, which 802.3, 802.11, FDDI and Linux cooked frames have in front of IP."""

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.loads import be16
from peerburst.capture.compiled.shapes import Bytes, Int
from peerburst.capture.links.protocols import CUT, ETHERTYPE_IPV4, NOT_IP

SNAP_SAP = 0xAA
IP_SAP = 6
UNNUMBERED = 3


@part
def llc(data: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    """LLC with SNAP (RFC 1042) or IP's own SAP (RFC 948)."""
    if at + 3 > stop:
        return CUT, at
    if data[at] == SNAP_SAP and data[at + 1] == SNAP_SAP and data[at + 2] == UNNUMBERED:
        if at + 8 > stop:
            return CUT, at
        return be16(data, at + 6), at + 8
    if data[at] == IP_SAP and data[at + 1] == IP_SAP:
        return ETHERTYPE_IPV4, at + 3
    return NOT_IP, at
