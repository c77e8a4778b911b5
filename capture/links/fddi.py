"""FDDI: frame control, two addresses, LLC."""

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.shapes import Bytes, Int
from peerburst.capture.links.llc import llc
from peerburst.capture.links.protocols import CUT, NOT_IP

HEADER = 13
FORMAT, LLC_FRAME = 0xF0, 0x50  # of the frame control


@part
def fddi(data: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    if at + HEADER > stop:
        return CUT, at
    return llc(data, at + HEADER, stop) if data[at] & FORMAT == LLC_FRAME else (NOT_IP, at)
