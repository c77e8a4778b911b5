"""What may stand between a link-layer header and IP: VLAN tags, PPPoE, MPLS, bridged Ethernet."""

from peerburst.capture.compiled.kernel import inlined_part, part
from peerburst.capture.compiled.loads import be16
from peerburst.capture.compiled.shapes import Bytes, Int
from peerburst.capture.links.ethernet import ethernet
from peerburst.capture.links.llc import llc
from peerburst.capture.links.mpls import mpls
from peerburst.capture.links.ppp import pppoe
from peerburst.capture.links.protocols import (
    BAD,
    CUT,
    ETHERTYPE_ETHERNET,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    ETHERTYPE_MPLS,
    ETHERTYPE_MPLS_UPSTREAM,
    ETHERTYPE_PBB,
    ETHERTYPE_PPPOE,
    ETHERTYPE_QINQ,
    ETHERTYPE_QINQ_OLD,
    ETHERTYPE_VLAN,
    NOT_IP,
    SMALLEST_ETHERTYPE,
)

MOST_HEADERS = 16  # one behind another; more is an attack on the parser
PBB_TAG = 4


@inlined_part
def _vlan(data: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    """One tag of IEEE 802.1Q or 802.1ad: two bytes of it, then the EtherType or length of what it tags."""
    if at + 4 > stop:
        return CUT, at
    ethertype, at = be16(data, at + 2), at + 4
    if ethertype < SMALLEST_ETHERTYPE:
        return llc(data, at, stop)
    return ethertype, at


@part
def decapsulate(data: Bytes, ethertype: Int, at: Int, stop: Int) -> tuple[Int, Int]:
    """Follow such headers until something else: (ETHERTYPE_IPV4 or _IPV6 or an error code, offset)."""
    headers = 0
    while ethertype != ETHERTYPE_IPV4 and ethertype != ETHERTYPE_IPV6 and ethertype >= 0:
        if headers == MOST_HEADERS:
            return BAD, at
        headers += 1
        if ethertype == ETHERTYPE_VLAN or ethertype == ETHERTYPE_QINQ or ethertype == ETHERTYPE_QINQ_OLD:
            ethertype, at = _vlan(data, at, stop)
        elif ethertype == ETHERTYPE_MPLS or ethertype == ETHERTYPE_MPLS_UPSTREAM:
            ethertype, at = mpls(data, at, stop)
        elif ethertype == ETHERTYPE_PPPOE:
            ethertype, at = pppoe(data, at, stop)
        elif ethertype == ETHERTYPE_ETHERNET:
            ethertype, at = ethernet(data, at, stop)
        elif ethertype == ETHERTYPE_PBB:  # the service tag, then the customer's whole frame
            ethertype, at = ethernet(data, at + PBB_TAG, stop)
        else:
            return NOT_IP, at
    return ethertype, at
