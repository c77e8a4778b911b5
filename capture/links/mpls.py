"""MPLS label stacks (RFC 3032)."""

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.shapes import Bytes
from peerburst.capture.links.protocols import BAD, CUT, ETHERTYPE_ETHERNET
from peerburst.capture.links.raw import by_version

MOST_LABELS = 16  # more is an attack on the parser
LABEL = 4
CONTROL_WORD = 4


@part
def mpls(data: Bytes, at: int, stop: int) -> tuple[int, int]:
    """Below the label stack: IP, or an Ethernet pseudowire behind a control word (RFC 4448)."""
    labels, bottom = 0, 0
    while labels < MOST_LABELS:
        if at + LABEL > stop:
            return CUT, at
        labels += 1
        bottom = data[at + 2] & 1
        at += LABEL
        if bottom:
            break
    if not bottom:
        return BAD, at
    if at >= stop:
        return CUT, at
    if data[at] >> 4 == 0:
        return ETHERTYPE_ETHERNET, at + CONTROL_WORD
    return by_version(data, at, stop)
