"""Frame relay (RFC 2427)."""

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.loads import be16
from peerburst.capture.compiled.shapes import Bytes, Int
from peerburst.capture.links.protocols import CUT, ETHERTYPE_IPV4, ETHERTYPE_IPV6, NOT_IP

UNNUMBERED = 3
NLPID_IPV4, NLPID_IPV6, NLPID_SNAP = 0xCC, 0x8E, 0x80


@part
def frame_relay(data: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    """Q.922 address of two bytes, then control 0x03 and an NLPID (RFC 2427) or, as Cisco has it, an EtherType."""
    if at + 4 > stop:
        return CUT, at
    if data[at + 2] != UNNUMBERED:
        return be16(data, at + 2), at + 4
    nlpid_at = at + 3
    if data[nlpid_at] == 0:  # one padding byte
        nlpid_at += 1
        if nlpid_at >= stop:
            return CUT, at
    if data[nlpid_at] == NLPID_IPV4:
        return ETHERTYPE_IPV4, nlpid_at + 1
    if data[nlpid_at] == NLPID_IPV6:
        return ETHERTYPE_IPV6, nlpid_at + 1
    if data[nlpid_at] == NLPID_SNAP:
        if nlpid_at + 6 > stop:
            return CUT, at
        return be16(data, nlpid_at + 4), nlpid_at + 6
    return NOT_IP, at
