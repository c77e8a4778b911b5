"""The classic pcap file (draft-ietf-opsawg-pcap): micro- and nanosecond, both byte orders, "modified" records."""

import struct
from typing import NamedTuple

from peerburst.capture.compiled.kernel import kernel, part
from peerburst.capture.compiled.loads import read32
from peerburst.capture.compiled.shapes import Bool, Bytes, Int, Records
from peerburst.capture.errors import CaptureError

FILE_HEADER = 24
RECORD_HEADER = 16
MODIFIED_RECORD_HEADER = 24  # Kuznetzov's patch: interface index, protocol and packet type follow
# libpcap's MAXIMUM_SNAPLEN and Wireshark's WTAP_MAX_PACKET_SIZE_STANDARD: a longer record is damage, not a packet.
LONGEST_PACKET = 262144

# Why a walk over records stops: it needs more bytes (or the batch is full), or a length is impossible.
GO_ON = 0
BAD_LENGTH = 1
NOTHING_BUT_ZEROS = 4  # 2 and 3 are pcapng's
ANOTHER_FILE = 5  # a file header stands where a record should: captures were joined as `cat` joins them

# Records of zeros alone (no time, no bytes) in a row that are no packets any more. A disk that filled up, a machine
# that crashed and a decompression bomb leave gigabytes of them.
MOST_ZERO_RECORDS = 256


class PcapHeader(NamedTuple):
    """What the file header says about every record; kernels take it as it is."""

    big_endian: bool
    ns_per_unit: int
    record_header: int
    link: int
    snaplen: int
    maybe_swapped: bool  # records may give the wire's length before the captured one


# As the first four bytes stand in the file: (big endian, nanoseconds per unit of the fraction, record header).
MAGICS = {
    b"\xd4\xc3\xb2\xa1": (False, 1000, RECORD_HEADER),
    b"\xa1\xb2\xc3\xd4": (True, 1000, RECORD_HEADER),
    b"\x4d\x3c\xb2\xa1": (False, 1, RECORD_HEADER),
    b"\xa1\xb2\x3c\x4d": (True, 1, RECORD_HEADER),
    b"\x34\xcd\xb2\xa1": (False, 1000, MODIFIED_RECORD_HEADER),
    b"\xa1\xb2\xcd\x34": (True, 1000, MODIFIED_RECORD_HEADER),
}


# The same as numbers, read with the lowest byte first; and what follows them in a header of version 2.4, either order.
_USEC, _USEC_SWAPPED, _NSEC, _NSEC_SWAPPED, _MODIFIED, _MODIFIED_SWAPPED = (
    int.from_bytes(magic, "little") for magic in MAGICS
)
VERSION, VERSION_SWAPPED = 0x00040002, 0x04000200
MOST_SNAPLEN = 0x7FFFFFFF  # libpcap takes a larger one for damage
LINK_RESERVED = 0x03FF0000  # bits of the link field that are 0 (the draft's R and reserved ones)


@part
def begins_file(data: Bytes, at: Int, end: Int) -> Bool:
    """Whether what stands here is the header of a pcap file of version 2.4, as far as bytes[at:end] go."""
    if at + 8 > end:
        return False
    magic, version = read32(data, at, False), read32(data, at + 4, False)
    if magic == _USEC or magic == _NSEC or magic == _MODIFIED:
        is_big_endian, is_known = False, version == VERSION
    elif magic == _USEC_SWAPPED or magic == _NSEC_SWAPPED or magic == _MODIFIED_SWAPPED:
        is_big_endian, is_known = True, version == VERSION_SWAPPED
    else:
        return False
    if not is_known or at + FILE_HEADER > end:
        return is_known
    snaplen, link = read32(data, at + 16, is_big_endian), read32(data, at + 20, is_big_endian)
    return snaplen <= MOST_SNAPLEN and not link & LINK_RESERVED


def is_file_header(head: bytes) -> bool:
    """The same of the 24 bytes at hand, in Python: calling a part from here would compile it at every start."""
    if head[:4] not in MAGICS or len(head) < FILE_HEADER:
        return False
    order = ">" if MAGICS[head[:4]][0] else "<"
    major, minor, _zone, _figures, snaplen, link = struct.unpack(order + "HHiIII", head[4:FILE_HEADER])
    return (major, minor) == (2, 4) and snaplen <= MOST_SNAPLEN and not link & LINK_RESERVED


def parse_header(path: str, data: bytes) -> PcapHeader:
    """The file header of 24 bytes. The upper bits of the link field tell of frame check sequences, not of the type."""
    big_endian, ns_per_unit, record_header = MAGICS[data[:4]]
    order = ">" if big_endian else "<"
    major, minor, _zone, _figures, snaplen, link = struct.unpack(order + "HHiIII", data[4:FILE_HEADER])
    if major != 2 and major != 543:  # 543: files of some old AIX tcpdump, which libpcap reads too
        raise CaptureError(path, f"is a pcap file of version {major}, and only version 2 is known")
    # libpcap's sf-pcap.c: before 2.3 and in the AIX files the lengths stand the other way round, in 2.3 either way.
    maybe_swapped = major != 2 or minor <= 3
    return PcapHeader(big_endian, ns_per_unit, record_header, link & 0xFFFF, snaplen, maybe_swapped)


@kernel
def walk(data: Bytes, at: Int, end: Int, header: PcapHeader, frames: Records) -> tuple[Int, Int, Int]:
    """Find whole records in bytes[at:end] and fill `frames` (FRAME).

    Answers (frames filled, next offset, why it stopped).
    """
    big_endian, ns_per_unit, record_header = header.big_endian, header.ns_per_unit, header.record_header
    link, maybe_swapped = header.link, header.maybe_swapped
    count, zeros = 0, 0
    while count < frames.size and at + record_header <= end:
        held, wire = read32(data, at + 8, big_endian), read32(data, at + 12, big_endian)
        if wire == 0 and begins_file(data, at, end):  # a header has 0 there: the accuracy of its time stamps
            return count, at, ANOTHER_FILE
        if maybe_swapped and held > wire:
            held, wire = wire, held
        if held > LONGEST_PACKET:
            return count, at, BAD_LENGTH
        if at + record_header + held > end:
            break
        seconds = read32(data, at, big_endian)
        fraction = read32(data, at + 4, big_endian)
        frame = frames[count]
        frame["ts"] = seconds * 1_000_000_000 + fraction * ns_per_unit
        frame["start"] = at + record_header
        frame["stop"] = at + record_header + held
        frame["wire"] = wire
        frame["link"] = link
        zeros = zeros + 1 if wire == 0 and held == 0 and frame["ts"] == 0 else 0
        count += 1
        at += record_header + held
        if zeros == MOST_ZERO_RECORDS:
            return count - zeros, at - zeros * record_header, NOTHING_BUT_ZEROS
    return count, at, GO_ON
