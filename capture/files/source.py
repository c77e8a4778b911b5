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
from peerburst.capture.files.clock import MOST_LATE_NS, Clock, span
from peerburst.capture.files.streams import ByteWindow, CutShort, Readable, open_stream
from peerburst.capture.links.registry import LINKTYPE_ETHERNET
from peerburst.capture.packets.aggregates import MAY_AGGREGATE, split_aggregates
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

# Ethernet, IPv4 and TCP take 54 bytes, the options of a SYN some 20 more, its window scale among them.
SHORTEST_WITH_OPTIONS = 74
ENOUGH_TO_TELL = 100  # packets
LEAST_CUT = 10

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


class Buffers:
    """The arrays that readings work in; captures that are read one after another can share them."""

    def __init__(self) -> None:
        self.windows = BufferPool(np.uint8, WINDOW, KEPT)
        self.frames = BufferPool(FRAME, BATCH, KEPT)
        self.packets = BufferPool(PACKET, BATCH, KEPT)


class PacketSource:
    """Reads one capture, in order, a batch of packets at a time.

    Raises CaptureError if it is no capture we read. Damage further on ends the reading with a sentence in `warnings`.
    `stream`: its bytes, if they are at hand already, as of a live capture; the path is then their name alone, and times
    stay as they are. Of a file they are moved where the clock was set while it was recorded, see `clock`.
    """

    def __init__(
        self,
        path: str,
        *,
        follow_tunnels: bool = False,
        stream: Readable | None = None,
        buffers: Buffers | None = None,
        as_stamped: bool = False,
    ) -> None:
        """`as_stamped`: leave all times as they are."""
        self.path = path
        self.warnings: list[str] = []
        self.addresses: list[str] = []
        self.drops = 0
        self.is_damaged = False
        self.link_facts = LinkFactCollector()
        self.bytes_read = 0
        self._follow_tunnels = follow_tunnels
        self._last_ns = 0
        self._clock = None if as_stamped or stream is not None else Clock()
        self._ended_ns: int | None = None  # the latest time of those captures that stand joined before the one at hand
        self._longest_cut = 0
        self._looked_at_cuts = 0  # frames
        self._may_aggregate = False  # whether a link type was seen whose frames may hold several packets
        self._back_ns = 0  # how far a joined capture begins before the end of one before it
        self._stream = open_stream(path, stream)
        buffers = Buffers() if buffers is None else buffers
        self._frames, self._packets = buffers.frames, buffers.packets
        self._window = ByteWindow(self._stream, WINDOW, buffers.windows)
        self._section = pcapng.Section()
        self._pcap_header: pcap.PcapHeader | None = None
        self._start()

    def _start(self) -> None:
        """Tell the format by its first bytes."""
        try:
            self._window.need(pcap.FILE_HEADER)
        except (CutShort, OSError) as error:
            self.is_damaged = True
            self.warnings.append(f"{self.path}: {error}")
        head = self._window.peek(pcap.FILE_HEADER)
        if not head:
            raise CaptureError(self.path, "is empty")
        if head[:4] in pcap.MAGICS:
            if len(head) < pcap.FILE_HEADER:
                raise CaptureError(self.path, "ends within the pcap file header")
            self._pcap_header = pcap.parse_header(self.path, head)
            self._may_aggregate |= self._pcap_header.link in MAY_AGGREGATE
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
                self._mend_times(frames[:count])
                self.bytes_read = self._window.offset
                found += count
                if self.bytes_read > WIDE_FROM * found:
                    self._window.widen(WIDE_WINDOW)
                yield from self._pieces_of(frames[:count])
                continue
            with stage("read"):
                if not self._advance():
                    self._say_of_times()
                    self._say_of_cuts()
                    return

    def _pieces_of(self, frames: npt.NDArray[np.void]) -> Iterator[Piece]:
        data = self._window.window
        self._longest_cut = max(self._longest_cut, self._length_of_cut(frames))
        if self._may_aggregate:
            frames = split_aggregates(data, frames)
        for first in range(0, frames.size, BATCH):  # one frame may have been several
            yield Piece(data, frames[first : first + BATCH], self._follow_tunnels, self._packets, self.link_facts)

    def _length_of_cut(self, frames: npt.NDArray[np.void]) -> int:
        """How much is kept of Ethernet's frames that were cut, 0 where none was; only the first are looked at."""
        if self._looked_at_cuts >= ENOUGH_TO_TELL:
            return 0
        self._looked_at_cuts += frames.size
        held = frames["stop"] - frames["start"]
        was_cut = (held < frames["wire"]) & (frames["link"] == LINKTYPE_ETHERNET)
        return int(held[was_cut].max()) if was_cut.sum() >= LEAST_CUT else 0

    def close(self) -> None:
        """Close the file, and let go of the memory it was read into."""
        self._stream.close()
        del self._window, self._frames, self._packets

    def _mend_times(self, frames: npt.NDArray[np.void]) -> None:
        """Move times where the clock was set, but not where another capture begins in the same file."""
        if self._clock is None:
            return
        if self._clock.latest_ns is None and self._ended_ns is not None:
            self._back_ns = max(self._back_ns, self._ended_ns - int(frames["ts"][0]))
        self._clock.mend(frames)

    def _say_of_cuts(self) -> None:
        if 0 < self._longest_cut < SHORTEST_WITH_OPTIONS:
            self.warnings.append(
                f"{self.path}: no more than {self._longest_cut} bytes are kept of a packet that was cut (snaplen),"
                " without TCP's options: Linux tells by one of them, the window scale, which packets are valid; 96"
                " bytes are enough"
            )

    def _begin_another(self) -> None:
        """Another capture, whose clock is its own, begins in the same file."""
        if self._clock is not None and (latest := self._clock.latest_ns) is not None:
            self._ended_ns = latest if self._ended_ns is None else max(self._ended_ns, latest)
            self._clock.start_anew()

    def _say_of_times(self) -> None:
        if self._clock is not None:
            self.warnings += [f"{self.path}: {sentence}" for sentence in self._clock.sentences()]
        if self._back_ns > MOST_LATE_NS:
            self.warnings.append(
                f"{self.path}: captures were joined in another order than that of their times: one begins"
                f" {span(self._back_ns)} before the end of those in front of it; name them one by one"
            )

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
        if self._stop_reason in (pcap.ANOTHER_FILE, pcap.BAD_LENGTH) and self._is_another_file():
            return self._open_another()
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

    def _is_another_file(self) -> bool:
        """Whether the header of a pcap file, or of a pcapng section in a pcap file, stands here, or its beginning."""
        head = self._window.peek(pcap.FILE_HEADER)
        if self._stop_reason == pcap.ANOTHER_FILE:
            return True
        return self._pcap_header is not None and pcapng.begins_section(head)

    def _open_another(self) -> bool:
        """Go on in another capture that stands behind the one at hand, as `cat` joins them."""
        try:
            if not self._window.need(pcap.FILE_HEADER):
                return self._stop("is cut short within the header of a capture joined to others")
        except (CutShort, OSError) as error:
            return self._stop(str(error))
        head = self._window.peek(pcap.FILE_HEADER)
        if self._stop_reason == pcap.ANOTHER_FILE and not pcap.is_file_header(head):
            return True  # what had not been there yet says that it is a packet
        self._begin_another()
        if head[:4] in pcap.MAGICS:
            self._pcap_header = pcap.parse_header(self.path, head)
            self._may_aggregate |= self._pcap_header.link in MAY_AGGREGATE
            self._window.at += pcap.FILE_HEADER
        else:
            self._pcap_header = None
        return True

    def _stop(self, reason: str) -> bool:
        self.is_damaged = True
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
            self._begin_another()
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
                self._may_aggregate |= int(section.rows()["link"][-1]) in MAY_AGGREGATE
                self.addresses = section.addresses
            else:
                section.count_drops(block)
                self.drops = section.all_drops
            return True
        if not window.skip(length):
            return self._stop("is cut short within a block")
        return True
