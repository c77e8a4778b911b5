"""Linux cooked captures (SLL, SLL2): what the interface `any` gives, and interfaces without a header of their own."""

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.loads import be16
from peerburst.capture.compiled.shapes import Bytes, Int
from peerburst.capture.links.llc import llc
from peerburst.capture.links.protocols import CUT, NOT_IP, SMALLEST_ETHERTYPE

SLL_PROTOCOL, SLL_HEADER = 14, 16
SLL2_PROTOCOL, SLL2_HEADER = 0, 20
LINUX_SLL_P_802_2 = 4


@part
def _payload(data: Bytes, at: Int, stop: Int, protocol: Int) -> tuple[Int, Int]:
    if protocol == LINUX_SLL_P_802_2:
        return llc(data, at, stop)
    if protocol < SMALLEST_ETHERTYPE:
        return NOT_IP, at
    return protocol, at


@part
def linux_sll(data: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    if at + SLL_HEADER > stop:
        return CUT, at
    return _payload(data, at + SLL_HEADER, stop, be16(data, at + SLL_PROTOCOL))


@part
def linux_sll2(data: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    if at + SLL2_HEADER > stop:
        return CUT, at
    return _payload(data, at + SLL2_HEADER, stop, be16(data, at + SLL2_PROTOCOL))
