"""One capture file as batches of decoded packets, whatever its format."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from peerburst.capture.compiled.pool import BufferPool
from peerburst.capture.compiled.stopwatch import stage
from peerburst.capture.errors import CaptureError
from peerburst.capture.files import pcap, pcapng
from peerburst.capture.files.streams import ByteWindow, CutShort, Readable, open_stream
from peerburst.capture.packets.decode import decode
from peerburst.capture.packets.frame_ends import FRAME_ENDS
from peerburst.capture.packets.link_facts import LinkFactCollector
from peerburst.capture.packets.record import FRAME, PACKET

# Bytes held at a time: some thousands of packets, for each piece of work has a price of its own; and no more than
# that, for so does memory.
WINDOW, WIDE_WINDOW = 1 << 20, 1 << 21
WIDE_FROM = 256  # bytes of a record, on average
BATCH = 1 << 14  # packets at a time
KEPT = 8  # arrays of a kind that are used again

# Captures that other tools read, so that the sentence can name them.
FOREIGN = {
    b"snoop\0\0\0": "a Solaris snoop file",
    b"RTSS": "a Network Monitor file",
    b"GMBU": "a Network Monitor file",
    b"\x54\x52\x00\x64": "a Novell LANalyzer file",
    b"PK\x03\x04": "a zip archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
}


@dataclass(frozen=True, slots=True)
class Piece:
    """Packets that lie in a window of bytes and have yet to be decoded. Nobody else has these arrays."""

    data: npt.NDArray[np.uint8]
    frames: npt.NDArray[np.void]  # FRAME; decoding moves them
    follow_tunnels: bool
    pool: BufferPool  # of PACKET rows
    link_facts: LinkFactCollector

    @property
    def size(self) -> int:
        """How many packets it has."""
        return int(self.frames.size)

    def first(self, count: int | None) -> "Piece":
        """No more than so many of its packets, None for all."""
        return replace(self, frames=self.frames[:count])

    def decode(self) -> npt.NDArray[np.void]:
        """PACKET rows, the caller's own while he holds them. A piece can be decoded once."""
        data, frames, count = self.data, self.frames, self.frames.size
        packets = self.pool.take()[:count]
        with stage("decode"):
            self.link_facts.add(data, frames, packets, decode(data, frames, count, packets))
            if self.follow_tunnels:
                from peerburst.capture.packets.tunnels import follow

                follow(data, frames, count, packets, np.zeros(1, PACKET))
        return packets


class PacketSource:
    """Reads one capture, in order, a batch of packets at a time.

    Raises CaptureError if it is no capture we read. Damage further on ends the reading with a sentence in `warnings`.
    `stream`: its bytes, if they are at hand already; the path is then their name alone.
    """

    def __init__(self, path: str, *, follow_tunnels: bool = False, stream: Readable | None = None) -> None:
        self.path = path
        self.warnings: list[str] = []
        self.addresses: list[str] = []
        self.drops = 0
        self.link_facts = LinkFactCollector()
        self.bytes_read = 0
        self._follow_tunnels = follow_tunnels
        self._last_ns = 0
        self._window = ByteWindow(open_stream(path, stream), WINDOW)
        self._frames = BufferPool(FRAME, BATCH, KEPT)
        self._packets = BufferPool(PACKET, BATCH, KEPT)
        self._section = pcapng.Section()
        self._pcap_header: pcap.PcapHeader | None = None
        self._start()

    def _start(self) -> None:
        """Tell the format by its first bytes."""
        try:
            self._window.need(pcap.FILE_HEADER)
        except (CutShort, OSError) as error:
            self.warnings.append(f"{self.path}: {error}")
        head = self._window.peek(pcap.FILE_HEADER)
        if not head:
            raise CaptureError(self.path, "is empty")
        if head[:4] in pcap.MAGICS:
            if len(head) < pcap.FILE_HEADER:
                raise CaptureError(self.path, "ends within the pcap file header")
            self._pcap_header = pcap.parse_header(self.path, head)
            self._window.at += pcap.FILE_HEADER
        elif head[:4] == struct.pack(">I", pcapng.SECTION_HEADER):
            if len(head) < pcapng.SMALLEST_BLOCK + 4:
                raise CaptureError(self.path, "ends within the pcapng section header")
        else:
            kind = next(
                (name for magic, name in FOREIGN.items() if head.startswith(magic)), "not a pcap or pcapng file"
            )
            raise CaptureError(self.path, f"is {kind}; convert it with editcap or name a capture")

    def batches(self) -> Iterator[npt.NDArray[np.void]]:
        """PACKET rows, up to BATCH at a time; each yielded array is new and the caller's to keep."""
        for piece in self.pieces():
            packets = piece.decode()
            FRAME_ENDS.number(piece.data, packets)
            yield packets

    def pieces(self) -> Iterator[Piece]:
        """The same packets, found and not yet decoded; any thread may do that, whatever is read meanwhile."""
        found = 0
        while True:
            frames = self._frames.take()
            with stage("records"):
                count = self._walk(frames)
            if count:
                self._last_ns = int(frames["ts"][count - 1])
                self.bytes_read = self._window.offset
                found += count
                if self.bytes_read > WIDE_FROM * found:
                    self._window.widen(WIDE_WINDOW)
                yield Piece(self._window.window, frames[:count], self._follow_tunnels, self._packets, self.link_facts)
                continue
            with stage("read"):
                if not self._advance():
                    return

    def _walk(self, frames: npt.NDArray[np.void]) -> int:
        """Fill `frames` from the bytes held and say how many; 0 when it needs more bytes or a block comes first."""
        window, section = self._window, self._section
        if self._pcap_header is not None:
            count, at, reason = pcap.walk(window.window, window.at, window.end, self._pcap_header, frames)
        else:
            count, at, reason = pcapng.walk(
                window.window, window.at, window.end, section.big_endian, section.rows(), self._last_ns, frames
            )
        window.at, self._stop_reason = int(at), reason
        return int(count)

    def _advance(self) -> bool:
        """Get past what stopped the walk; False when the capture is at its end."""
        if self._stop_reason == pcap.BAD_LENGTH:
            return self._stop(f"a record at byte {self._window.offset} has an impossible length")
        if self._stop_reason == pcap.NOTHING_BUT_ZEROS:
            return self._stop(f"at byte {self._window.offset} a long run of zeros begins, which are no packets")
        if self._stop_reason == pcapng.NO_INTERFACE:
            return self._stop(f"a packet at byte {self._window.offset} is of an interface that was never described")
        try:
            if self._stop_reason == pcapng.HEAD_BLOCK:
                return self._head_block()
            if self._window.more():
                return True
        except CutShort as error:
            return self._stop(str(error))
        except CaptureError as error:
            if not self.bytes_read:  # no packet yet: it is no capture at all
                raise
            return self._stop(error.reason)
        except OSError as error:
            return self._stop(f"reading failed: {error.strerror or error}")
        if self._window.held():
            return self._stop(f"is cut short: its last {self._window.held()} bytes are no whole packet")
        return False

    def _stop(self, reason: str) -> bool:
        self.warnings.append(f"{self.path}: {reason}; what came before it was read")
        return False

    def _head_block(self) -> bool:
        """Read or skip the pcapng block at hand, whose meaning is not a packet's."""
        window, section = self._window, self._section
        if not window.need(16):
            return self._stop("is cut short within a block")
        head = window.peek(16)
        if head[:4] == struct.pack(">I", pcapng.SECTION_HEADER):
            section.begin(self.path, head)
        kind, length = struct.unpack(section.order + "II", head[:8])
        if (
            length < pcapng.SMALLEST_BLOCK + (8 if kind in (pcapng.SECTION_HEADER, pcapng.INTERFACE) else 0)
            or length & 3
        ):
            return self._stop(f"a block at byte {window.offset} has an impossible length")
        if kind in (pcapng.INTERFACE, pcapng.INTERFACE_STATISTICS) and length <= pcapng.LONGEST_HEAD:
            if not window.need(length):
                return self._stop("is cut short within a block")
            block = window.take(length)
            if kind == pcapng.INTERFACE:
                section.describe(self.path, block)
                self.addresses = section.addresses
            else:
                section.count_drops(block)
                self.drops = section.all_drops
            return True
        if not window.skip(length):
            return self._stop("is cut short within a block")
        return True
