"""HDLC framing: Cisco's, and PPP's (RFC 1662)."""

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.loads import be16
from peerburst.capture.compiled.shapes import Bytes, Int
from peerburst.capture.links.ppp import ppp
from peerburst.capture.links.protocols import CUT

CISCO_UNICAST, CISCO_BROADCAST = 0x0F, 0x8F


@part
def hdlc(data: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    """Cisco's: address, control, EtherType; else PPP."""
    if at + 4 > stop:
        return CUT, at
    if data[at] == CISCO_UNICAST or data[at] == CISCO_BROADCAST:
        return be16(data, at + 2), at + 4
    return ppp(data, at, stop)
