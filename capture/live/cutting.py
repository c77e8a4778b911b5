"""A running capture file cut into whole blocks, so that it can be kept, counted and divided where blocks end."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from peerburst.capture import pcapfile, pcapng

OTHER_PACKETS = (pcapng.OLD_PACKET, pcapng.SIMPLE_PACKET)
LONGEST_BLOCK = 1 << 24  # 16 MiB: longer is damage, or nothing a live capture writes

Describe = Callable[[bytes, str], bytes]


@dataclass(frozen=True, slots=True)
class Run:
    """Octets of whole blocks. `packet_ends`: where in them each packet ends; `head`: what a file that begins with this
    run has to have in front of it. `is_head`: it is itself a block that later files have to repeat.
    """

    octets: bytes
    packet_ends: list[int]
    head: bytes
    is_head: bool = False


class Cutter:
    """Cuts a pcapng or classic pcap stream; beyond `most_packets` packets are left out, other blocks are not.

    `head`: the octets that must open any file that goes on from here. `describe` may change interface description
    blocks, given with their byte order. Past damage, and in anything else than a plain capture (`is_capture` False),
    octets pass as they come.
    """

    def __init__(self, most_packets: int | None = None, describe: Describe | None = None) -> None:
        self.head = b""
        self.packets = 0
        self.is_capture: bool | None = None  # None: too early to tell
        self._most_packets = most_packets
        self._describe = describe
        self._rest = b""
        self._cut: Callable[[bytes], Iterator[Run]] = self._begin

    @property
    def is_full(self) -> bool:
        return self._most_packets is not None and self.packets >= self._most_packets

    def feed(self, data: bytes) -> Iterator[Run]:
        """The whole blocks that the octets so far complete."""
        octets, self._rest = self._rest + data, b""
        yield from self._cut(octets)

    def end(self) -> bytes:
        """What is left when the stream ends: nothing, or a block cut short."""
        left, self._rest = self._rest, b""
        return left

    def _begin(self, octets: bytes) -> Iterator[Run]:
        if len(octets) < pcapfile.FILE_HEADER:
            self._rest = octets
            return
        self.is_capture = True
        if octets[:4] in pcapfile.MAGICS:
            big_endian, _unit, self._record_header = pcapfile.MAGICS[octets[:4]]
            self._order = ">" if big_endian else "<"
            self._cut = self._records
            self.head = octets[: pcapfile.FILE_HEADER]
            yield Run(self.head, [], b"", is_head=True)
            octets = octets[pcapfile.FILE_HEADER :]
        elif octets[:4] == struct.pack(">I", pcapng.SECTION_HEADER):
            self._cut = self._blocks
        else:
            self.is_capture = False
            self._cut = self._as_it_comes
        yield from self._cut(octets)

    def _as_it_comes(self, octets: bytes) -> Iterator[Run]:
        if octets:
            yield Run(octets, [], self.head)

    def _records(self, octets: bytes) -> Iterator[Run]:
        held_at = struct.Struct(self._order + "I").unpack_from
        at, ends, size = 0, list[int](), len(octets)
        while at + self._record_header <= size:
            (held,) = held_at(octets, at + 8)
            if held > pcapfile.LONGEST_PACKET:
                self._cut = self._as_it_comes
                break
            length = self._record_header + held
            if at + length > size:
                break
            if self.is_full:  # a record is a packet: nothing behind the last one wanted is kept
                octets, size = octets[:at], at
                self._cut = self._nothing_more
                break
            at += length
            ends.append(at)
            self.packets += 1
        if at:
            yield Run(octets[:at], ends, self.head)
        yield from self._go_on(octets[at:])

    def _nothing_more(self, octets: bytes) -> Iterator[Run]:
        yield from ()

    def _go_on(self, rest: bytes) -> Iterator[Run]:
        """Hold on to the beginning of a block; let go of what cannot be cut."""
        if self._cut == self._as_it_comes:
            yield from self._cut(rest)
        else:
            self._rest = rest

    def _blocks(self, octets: bytes) -> Iterator[Run]:
        at = begin = 0
        ends: list[int] = []
        size = len(octets)
        while at + pcapng.SMALLEST_BLOCK <= size:
            if octets[at : at + 4] == b"\x0a\x0d\x0d\x0a":  # the same either way round: its magic tells which
                self._order = ">" if octets[at + 8 : at + 12] == b"\x1a\x2b\x3c\x4d" else "<"
            kind, length = struct.unpack_from(self._order + "II", octets, at)
            if length < pcapng.SMALLEST_BLOCK or length & 3 or length > LONGEST_BLOCK:
                self._cut = self._as_it_comes
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
                yield Run(octets[begin:at], ends, self.head)
            if kind == pcapng.SECTION_HEADER or kind == pcapng.INTERFACE:
                yield self._head_block(kind, octets[at : at + length])
            at += length
            begin, ends = at, []
        if at > begin:
            yield Run(octets[begin:at], ends, self.head)
        yield from self._go_on(octets[at:])

    def _head_block(self, kind: int, block: bytes) -> Run:
        if kind == pcapng.SECTION_HEADER:
            self.head = b""
        elif self._describe is not None and len(block) >= 20:
            block = self._describe(block, self._order)
        before, self.head = self.head, self.head + block
        return Run(block, [], before, is_head=True)
