"""MPLS label stacks (RFC 3032)."""

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.shapes import Bytes, Int
from peerburst.capture.links.protocols import BAD, CUT, ETHERTYPE_ETHERNET
from peerburst.capture.links.raw import by_version

MOST_LABELS = 16  # more is an attack on the parser
LABEL = 4
BOTTOM_OF_STACK = 1  # in the third byte of a label
CONTROL_WORD = 4


@part
def mpls(data: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    """Below the label stack: IP, or an Ethernet pseudowire behind a control word (RFC 4448)."""
    labels, is_last = 0, False
    while labels < MOST_LABELS:
        if at + LABEL > stop:
            return CUT, at
        labels += 1
        is_last = bool(data[at + 2] & BOTTOM_OF_STACK)
        at += LABEL
        if is_last:
            break
    if not is_last:
        return BAD, at
    if at >= stop:
        return CUT, at
    if data[at] >> 4 == 0:
        return ETHERTYPE_ETHERNET, at + CONTROL_WORD
    return by_version(data, at, stop)
