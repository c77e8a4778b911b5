"""A running capture split into whole blocks, so that it can be kept, counted and divided where blocks end."""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from peerburst.capture.files import pcap, pcapng
from peerburst.capture.packets.record import FRAME

OTHER_PACKETS = (pcapng.OLD_PACKET, pcapng.SIMPLE_PACKET)
LONGEST_BLOCK = 1 << 24  # 16 MiB: longer is damage, or nothing a live capture writes
ENHANCED_PACKET_HEAD = 28  # bytes in front of the packet's own
WALKED_AT_ONCE = 4096  # packets

Describe = Callable[[bytes, str], bytes]


@dataclass(frozen=True, slots=True)
class Run:
    """Bytes of whole blocks. `packet_ends`: where in them each packet ends; `head`: what a file that begins with this
    run has to have in front of it. `is_head`: it is itself a block that later files have to repeat.
    """

    data: bytes
    packet_ends: Sequence[int]
    head: bytes
    is_head: bool = False


class BlockSplitter:
    """Splits a pcapng or classic pcap stream; beyond `most_packets` packets are left out, other blocks are not.

    `head`: the bytes that must open any file that goes on from here. `describe` may change interface description
    blocks, given with their byte order; with it the stream has to be from a capture tool, whose packets are all in
    enhanced packet blocks, and is walked by a kernel: block by block here costs over a microsecond each. Unless
    `wants_ends`, a run then may leave out where packets end. Past damage, and in anything else than a plain capture
    (`is_capture` False), bytes pass as they come.
    """

    def __init__(
        self, most_packets: int | None = None, describe: Describe | None = None, *, wants_ends: bool = True
    ) -> None:
        self.head = b""
        self.packets = 0
        self.is_capture: bool | None = None  # None: too early to tell
        self._most_packets = most_packets
        self._describe = describe
        self._wants_ends = wants_ends
        self._section = pcapng.Section()
        self._frames = np.empty(WALKED_AT_ONCE if describe is not None else 0, FRAME)
        self._rest = b""
        self._step: Callable[[bytes], Iterator[Run]] = self._begin

    @property
    def is_full(self) -> bool:
        return self._most_packets is not None and self.packets >= self._most_packets

    def split(self, data: bytes) -> Iterator[Run]:
        """The whole blocks that the bytes so far complete."""
        data, self._rest = self._rest + data, b""
        yield from self._step(data)

    def end(self) -> bytes:
        """What is left when the stream ends: nothing, or a block cut short."""
        left, self._rest = self._rest, b""
        return left

    def _begin(self, data: bytes) -> Iterator[Run]:
        if len(data) < pcap.FILE_HEADER:
            self._rest = data
            return
        self.is_capture = True
        if data[:4] in pcap.MAGICS:
            big_endian, _unit, self._record_header = pcap.MAGICS[data[:4]]
            self._order = ">" if big_endian else "<"
            self._step = self._records
            self.head = data[: pcap.FILE_HEADER]
            yield Run(self.head, [], b"", is_head=True)
            data = data[pcap.FILE_HEADER :]
        elif data[:4] == struct.pack(">I", pcapng.SECTION_HEADER):
            self._step = self._blocks
        else:
            self.is_capture = False
            self._step = self._as_it_comes
        yield from self._step(data)

    def _as_it_comes(self, data: bytes) -> Iterator[Run]:
        if data:
            yield Run(data, [], self.head)

    def _records(self, data: bytes) -> Iterator[Run]:
        held_at = struct.Struct(self._order + "I").unpack_from
        at, ends, size = 0, list[int](), len(data)
        while at + self._record_header <= size:
            (held,) = held_at(data, at + 8)
            if held > pcap.LONGEST_PACKET:
                self._step = self._as_it_comes
                break
            length = self._record_header + held
            if at + length > size:
                break
            if self.is_full:  # a record is a packet: nothing behind the last one wanted is kept
                data, size = data[:at], at
                self._step = self._nothing_more
                break
            at += length
            ends.append(at)
            self.packets += 1
        if at:
            yield Run(data[:at], ends, self.head)
        yield from self._go_on(data[at:])

    def _nothing_more(self, data: bytes) -> Iterator[Run]:
        yield from ()

    def _go_on(self, rest: bytes) -> Iterator[Run]:
        """Hold on to the beginning of a block; let go of what cannot be split."""
        if self._step == self._as_it_comes:
            yield from self._step(rest)
        else:
            self._rest = rest

    def _blocks(self, data: bytes) -> Iterator[Run]:
        begin, size = 0, len(data)
        at, ends = self._walked(data) if self._section.described else (0, [])
        while at + pcapng.SMALLEST_BLOCK <= size:
            if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":  # the same either way round: its magic tells which
                self._order = ">" if data[at + 8 : at + 12] == b"\x1a\x2b\x3c\x4d" else "<"
            kind, length = struct.unpack_from(self._order + "II", data, at)
            if length < pcapng.SMALLEST_BLOCK or length & 3 or length > LONGEST_BLOCK:
                self._step = self._as_it_comes
                break
            if at + length > size:
                break
            if kind == pcapng.ENHANCED_PACKET or kind in OTHER_PACKETS:
                if not self.is_full:
                    self.packets += 1
                    at += length
                    ends.append(at - begin)
                    continue
            elif kind != pcapng.SECTION_HEADER and kind != pcapng.INTERFACE:
                at += length
                continue
            if at > begin:
                yield Run(data[begin:at], ends, self.head)
            if kind == pcapng.SECTION_HEADER or kind == pcapng.INTERFACE:
                yield self._head_block(kind, data[at : at + length])
            at += length
            begin, ends = at, []
        if at > begin:
            yield Run(data[begin:at], ends, self.head)
        yield from self._go_on(data[at:])

    def _walked(self, data: bytes) -> tuple[int, list[int]]:
        """How far the kernel gets, and where each packet up to there ends; the rest is for Python."""
        window = np.frombuffer(bytearray(data), np.uint8)  # the kernels' arrays may be written to
        at, begins = 0, list[npt.NDArray[np.int64]]()
        while True:
            count, there, _stop_reason = pcapng.walk(
                window, at, window.size, self._section.big_endian, self._section.rows(), 0, self._frames
            )
            if not count or (self._most_packets is not None and self.packets + count > self._most_packets):
                break
            begins.append(self._frames["start"][:count] - ENHANCED_PACKET_HEAD)
            self.packets += count
            at = int(there)
        if not begins or not self._wants_ends:
            return at, []
        words = window[: window.size & ~3].view(self._order + "u4")
        of = np.concatenate(begins)
        return at, (of + words[(of >> 2) + 1]).tolist()

    def _head_block(self, kind: int, block: bytes) -> Run:
        if self._describe is not None and kind == pcapng.SECTION_HEADER:
            self._section.begin("live capture", block)
        elif self._describe is not None:
            self._section.describe("live capture", block)
        if kind == pcapng.SECTION_HEADER:
            self.head = b""
        elif self._describe is not None and len(block) >= 20:
            block = self._describe(block, self._order)
        before, self.head = self.head, self.head + block
        return Run(block, [], before, is_head=True)
