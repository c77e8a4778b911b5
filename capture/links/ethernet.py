"""Ethernet: Ethernet II, and IEEE 802.3 with LLC. Tags behind its header are `encapsulation`'s."""

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.loads import be16
from peerburst.capture.compiled.shapes import Bytes, Int
from peerburst.capture.links.llc import llc
from peerburst.capture.links.protocols import CUT, SMALLEST_ETHERTYPE

HEADER = 14
TYPE_OR_LENGTH = 12


@part
def ethernet(data: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    if at + HEADER > stop:
        return CUT, at
    ethertype = be16(data, at + TYPE_OR_LENGTH)
    if ethertype < SMALLEST_ETHERTYPE:
        return llc(data, at + HEADER, stop)
    return ethertype, at + HEADER
