"""The pcapng file (draft-ietf-opsawg-pcapng): sections, interfaces and the three kinds of packet block.

Packet blocks are walked in a kernel; section headers, interface descriptions and statistics, which are rare, here.
"""

import ipaddress
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from peerburst.capture.compiled.kernel import kernel, part
from peerburst.capture.compiled.loads import read16, read32
from peerburst.capture.compiled.shapes import Bool, Bytes, Int, Records, int64
from peerburst.capture.errors import CaptureError
from peerburst.capture.files.pcap import ANOTHER_FILE, BAD_LENGTH, GO_ON, LONGEST_PACKET, begins_file

SECTION_HEADER = 0x0A0D0D0A
INTERFACE = 1
OLD_PACKET = 2
SIMPLE_PACKET = 3
INTERFACE_STATISTICS = 5
ENHANCED_PACKET = 6

BYTE_ORDER_MAGIC = 0x1A2B3C4D
SMALLEST_BLOCK = 12
LONGEST_HEAD = 1 << 16  # of a section, interface or statistics block that we look into; the rest is skipped
MOST_INTERFACES = 1 << 20

OPTION_END = 0
IF_IPV4 = 4
IF_IPV6 = 5
IF_TSRESOL = 9
IF_TSOFFSET = 14
ISB_IFDROP = 5
ISB_OSDROP = 7

LATEST_NS = 1 << 62  # 2116-02-20: later instants are clamped, so that adding a timeout cannot overflow

# Why a walk stops, beyond pcap's reasons: a block for Python at the returned offset, or a packet of no known interface.
HEAD_BLOCK = 2
NO_INTERFACE = 3

# One row per interface of the section, as the kernel takes it. `units`: of time stamps per second, as a power of ten
# (positive) or of two (negative).
INTERFACE_ROW = np.dtype([("link", np.int64), ("units", np.int64), ("offset_s", np.int64), ("snaplen", np.int64)])
MICROSECONDS = 6


@part
def _to_ns(ticks: np.uint64, units: Int) -> Int:
    """Ticks (uint64) since the epoch to int64 nanoseconds, clamped to LATEST_NS."""
    latest = np.uint64(LATEST_NS)
    if units < 0:
        power = -units
        whole = ticks >> np.uint64(power) if power < 64 else np.uint64(0)
        if whole >= np.uint64(LATEST_NS // 1_000_000_000):
            return int64(LATEST_NS)
        mask = (np.uint64(1) << np.uint64(power)) - np.uint64(1) if power < 64 else ~np.uint64(0)
        rest = ticks & mask
        if power > 93:  # 64 bits of such ticks are less than a nanosecond
            return int64(0)
        if power > 30:  # keep 30 bits, finer than a nanosecond, so that the product fits
            rest, power = rest >> np.uint64(power - 30), 30
        return int64(whole) * 1_000_000_000 + int64((rest * np.uint64(1_000_000_000)) >> np.uint64(power))
    scale = np.uint64(1)
    if units <= 9:
        for _ in range(9 - units):
            scale *= np.uint64(10)
        if ticks > latest // scale:
            return int64(LATEST_NS)
        return int64(ticks * scale)
    if units - 9 > 19:  # 10^20 would not fit, and no count of such ticks makes a nanosecond
        return int64(0)
    for _ in range(units - 9):
        scale *= np.uint64(10)
    return int64(min(ticks // scale, latest))


@part
def _stamp(data: Bytes, at: Int, big_endian: Bool, interface: Records, i: Int) -> Int:
    """The time stamp, high word first, of a packet on interface i."""
    high = np.uint64(read32(data, at, big_endian))
    low = np.uint64(read32(data, at + 4, big_endian))
    ns = _to_ns((high << np.uint64(32)) | low, interface["units"][i])
    offset = interface["offset_s"][i]
    if offset > LATEST_NS // 1_000_000_000:
        return int64(LATEST_NS)
    return (
        min(max(ns + offset * 1_000_000_000, -LATEST_NS), LATEST_NS)
        if offset > -LATEST_NS // 1_000_000_000
        else -LATEST_NS
    )


@kernel
def walk(
    data: Bytes, at: Int, end: Int, big_endian: Bool, interface: Records, last_ns: Int, frames: Records
) -> tuple[Int, Int, Int]:
    """Find whole packet blocks in bytes[at:end] and fill `frames` (FRAME).

    Answers (frames filled, next offset, why it stopped). Blocks of other kinds are passed over, except those that
    change what follows: at these it stops with HEAD_BLOCK. `interface`: INTERFACE_ROW per interface. Simple packets
    have no time; they take that of the packet before them, `last_ns` for the first.
    """
    count = 0
    while count < frames.size and at + SMALLEST_BLOCK <= end:
        kind = read32(data, at, big_endian)
        length = read32(data, at + 4, big_endian)
        if kind == SECTION_HEADER:
            return count, at, HEAD_BLOCK
        if length < SMALLEST_BLOCK or length & 3:
            return count, at, ANOTHER_FILE if begins_file(data, at, end) else BAD_LENGTH
        if kind == INTERFACE or kind == INTERFACE_STATISTICS:
            return count, at, HEAD_BLOCK
        if kind != ENHANCED_PACKET and kind != SIMPLE_PACKET and kind != OLD_PACKET:
            if begins_file(data, at, end):
                return count, at, ANOTHER_FILE
            if length > data.size // 2:  # too long to wait for: Python skips it
                return count, at, HEAD_BLOCK
            if at + length > end:
                break
            at += length
            continue
        if length > LONGEST_PACKET + (1 << 16):
            return count, at, BAD_LENGTH
        if at + length > end:
            break
        if kind == SIMPLE_PACKET:
            if length < 16:
                return count, at, BAD_LENGTH
            which: Int = 0
            body = at + 12
            wire = read32(data, at + 8, big_endian)
            held = min(wire, length - 16)
            if interface.size and interface["snaplen"][0]:
                held = min(held, interface["snaplen"][0])
        else:
            if length < 32:
                return count, at, BAD_LENGTH
            which = read32(data, at + 8, big_endian) if kind == ENHANCED_PACKET else read16(data, at + 8, big_endian)
            body = at + 28
            held = read32(data, at + 20, big_endian)
            wire = read32(data, at + 24, big_endian)
            if held > length - 32:
                return count, at, BAD_LENGTH
        if which >= interface.size:
            return count, at, NO_INTERFACE
        if kind != SIMPLE_PACKET:
            last_ns = _stamp(data, at + 12, big_endian, interface, which)
        frame = frames[count]
        frame["ts"] = last_ns
        frame["start"] = body
        frame["stop"] = body + held
        frame["wire"] = wire
        frame["link"] = interface["link"][which]
        count += 1
        at += length
    return count, at, GO_ON


def begins_section(head: bytes) -> bool:
    """Whether these bytes, at least 12 of them, begin a section header block."""
    return head[:4] == struct.pack(">I", SECTION_HEADER) and head[8:12] in (
        struct.pack("<I", BYTE_ORDER_MAGIC),
        struct.pack(">I", BYTE_ORDER_MAGIC),
    )


@dataclass(slots=True)
class Section:
    """What the blocks read so far say about the packets of the section that follow."""

    big_endian: bool = False
    interfaces: npt.NDArray[np.void] = field(default_factory=lambda: np.empty(0, INTERFACE_ROW))
    described: int = 0
    addresses: list[str] = field(default_factory=list)
    all_drops: int = 0  # packets dropped so far, by all interfaces of all sections
    _drops: dict[int, int] = field(default_factory=dict)

    def rows(self) -> npt.NDArray[np.void]:
        return self.interfaces[: self.described]

    @property
    def order(self) -> str:
        return ">" if self.big_endian else "<"

    def begin(self, path: str, block: bytes) -> None:
        """A section header block: byte order and version; interfaces start anew."""
        self.big_endian = struct.unpack(">I", block[8:12])[0] == BYTE_ORDER_MAGIC
        if not self.big_endian and struct.unpack("<I", block[8:12])[0] != BYTE_ORDER_MAGIC:
            raise CaptureError(path, "has a pcapng section whose byte order is neither of the two")
        major = struct.unpack(self.order + "H", block[12:14])[0]
        if major != 1:
            raise CaptureError(path, f"is a pcapng file of version {major}, and only version 1 is known")
        self.described = 0
        self._drops.clear()

    def describe(self, path: str, block: bytes) -> None:
        """An interface description block: link type, snapshot length, time resolution and offset, addresses."""
        link, _reserved, snaplen = struct.unpack(self.order + "HHI", block[8:16])
        units, offset_s = MICROSECONDS, 0
        for code, value in self._options(block[16:-4]):
            if code == IF_TSRESOL and len(value) >= 1:
                units = -(value[0] & 0x7F) if value[0] & 0x80 else value[0]
            elif code == IF_TSOFFSET and len(value) >= 8:
                offset_s = struct.unpack(self.order + "q", value[:8])[0]
            elif code == IF_IPV4 and len(value) >= 4:
                self.addresses.append(str(ipaddress.IPv4Address(value[:4])))
            elif code == IF_IPV6 and len(value) >= 16:
                self.addresses.append(str(ipaddress.IPv6Address(value[:16])))
        if self.described >= MOST_INTERFACES:
            raise CaptureError(path, f"describes more than {MOST_INTERFACES} interfaces in one section")
        if self.described == self.interfaces.size:
            self.interfaces = np.resize(self.interfaces, max(8, 2 * self.described))
        self.interfaces[self.described] = (link, units, offset_s, snaplen)
        self.described += 1

    def count_drops(self, block: bytes) -> None:
        """An interface statistics block: packets the interface and the system dropped, cumulative per interface."""
        if len(block) < 24:
            return
        which = struct.unpack(self.order + "I", block[8:12])[0]
        drops = 0
        for code, value in self._options(block[20:-4]):
            if code in (ISB_IFDROP, ISB_OSDROP) and len(value) >= 8:
                drops += struct.unpack(self.order + "Q", value[:8])[0]
        # A total that is kept, not made anew: there may be as many of these blocks as the file has room for.
        self.all_drops += drops - self._drops.get(which, 0)
        self._drops[which] = drops

    def _options(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        at = 0
        while at + 4 <= len(data):
            code, length = struct.unpack(self.order + "HH", data[at : at + 4])
            if code == OPTION_END or at + 4 + length > len(data):
                return
            yield code, data[at + 4 : at + 4 + length]
            at += 4 + ((length + 3) & ~3)
