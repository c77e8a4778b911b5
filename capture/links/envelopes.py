"""PPI and PKTAP: envelopes around a frame of another link type."""

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.loads import le16, le32
from peerburst.capture.compiled.shapes import Bytes, Int
from peerburst.capture.links.protocols import CUT, UNKNOWN

LARGEST_LINKTYPE = 0xFFFF
PPI_LENGTH, PPI_LINKTYPE, PPI_HEADER = 2, 4, 8
PKTAP_LENGTH, PKTAP_LINKTYPE, PKTAP_HEADER = 0, 8, 12


@part
def _contents(at: Int, stop: Int, length: Int, link_type: Int) -> tuple[Int, Int]:
    if at + length > stop:
        return CUT, at
    if link_type > LARGEST_LINKTYPE:
        return UNKNOWN, at
    return link_type, at + length


@part
def ppi(data: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    """(link type of what is inside or an error code, its offset)."""
    if at + PPI_HEADER > stop:
        return CUT, at
    return _contents(at, stop, max(PPI_HEADER, le16(data, at + PPI_LENGTH)), le32(data, at + PPI_LINKTYPE))


@part
def pktap(data: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    """(link type of what is inside or an error code, its offset)."""
    if at + PKTAP_HEADER > stop:
        return CUT, at
    return _contents(at, stop, max(PKTAP_HEADER, le32(data, at + PKTAP_LENGTH)), le32(data, at + PKTAP_LINKTYPE))
