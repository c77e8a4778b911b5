"""Bytes from a file, standard input or any readable object, decompressed as they come; memory does not grow."""

import bz2
import lzma
import os
import sys
import zlib
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from peerburst.capture.compiled.pool import BufferPool
from peerburst.capture.errors import CaptureError

COMPRESSED_CHUNK = 1 << 18
_PAUSE = b""  # among pieces: what came before is to be given before going on, which may take long or raise
# Bytes out of a decompressor at a time: a few compressed ones can stand for gigabytes. Small enough to be cached still
# when they are copied into the window.
MOST_AT_ONCE = 1 << 17
WINDOWS_KEPT = 8
# A hostile header may ask a decompressor for gigabytes of window; libraries' own tools stop at about this much.
MOST_WINDOW_LOG = 27


class Readable(Protocol):
    """What a source must do: put bytes into a buffer, fewer than fit when fewer are there, and say how many."""

    def readinto(self, buffer: memoryview, /) -> int | None: ...


class Stream(Readable, Protocol):
    """A source that can be closed."""

    def close(self) -> None: ...


class Decompressor(Protocol):
    """One frame of a compressed stream, as the standard library's decompressor objects offer it."""

    @property
    def unused_data(self) -> bytes | None: ...
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class CutShort(Exception):
    """The compressed stream ended or broke before its end; what came before it is good."""


class _Inflate:
    """zlib's decompressor with the same face as bz2's and lzma's."""

    def __init__(self) -> None:
        self._object = zlib.decompressobj(wbits=31)
        self.needs_input = True

    @property
    def unused_data(self) -> bytes:
        return self._object.unused_data

    @property
    def eof(self) -> bool:
        return self._object.eof

    def decompress(self, data: bytes, max_length: int) -> bytes:
        made = self._object.decompress(self._object.unconsumed_tail + data, max_length)
        self.needs_input = len(made) < max_length
        return made


def _unzstd() -> Decompressor:
    from peerburst.capture.files.zstd import DecompressionParameter, ZstdDecompressor

    made: Decompressor = ZstdDecompressor(options={DecompressionParameter.window_log_max: MOST_WINDOW_LOG})
    return made


def _unlz4() -> Decompressor:
    import lz4.frame

    made: Decompressor = lz4.frame.LZ4FrameDecompressor()
    return made


def _unxz() -> Decompressor:
    return lzma.LZMADecompressor(memlimit=2 << MOST_WINDOW_LOG)


def unlzma() -> Decompressor:
    """Of the format before xz, which `.lzma` files have."""
    return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=2 << MOST_WINDOW_LOG)


COMPRESSIONS: dict[bytes, tuple[str, Callable[[], Decompressor]]] = {
    b"\x1f\x8b": ("gzip", _Inflate),
    b"\x28\xb5\x2f\xfd": ("zstd", _unzstd),
    b"\xfd7zXZ\x00": ("xz", _unxz),
    b"\x04\x22\x4d\x18": ("lz4", _unlz4),
    b"BZh": ("bzip2", bz2.BZ2Decompressor),
}
LZMA_HEADER = 13  # one byte of properties, four of the dictionary's size, eight of the length or all ones
LONGEST_MAGIC = max(LZMA_HEADER, *(len(magic) for magic in COMPRESSIONS))
MOST_LZMA_LENGTH = 1 << 38  # what xz itself takes a longer one for is something else

# Frames that zstd and lz4 pass over (RFC 8878, 3.1.2): magic numbers 0x184D2A50 to 0x184D2A5F, then the size of what
# follows. pzstd begins its files with one.
SKIPPABLE_HEADER = 8


def _is_skippable(head: bytes) -> bool:
    return len(head) >= 4 and head[0] >> 4 == 5 and head[1:4] == b"\x2a\x4d\x18"


def _is_lzma(head: bytes) -> bool:
    """Whether it begins as `.lzma` files do, by the tests of xz's own lzma_alone_decoder, for they have no magic."""
    if len(head) < LZMA_HEADER or head[0] >= 9 * 5 * 5:
        return False
    dictionary, length = int.from_bytes(head[1:5], "little"), int.from_bytes(head[5:13], "little")
    has_usual_size = dictionary == 0xFFFFFFFF or dictionary.bit_count() == 1 or _is_three_halves(dictionary)
    return has_usual_size and (length == (1 << 64) - 1 or 0 < length < MOST_LZMA_LENGTH)


def _is_three_halves(size: int) -> bool:
    """Whether it is 2^n + 2^(n-1)."""
    return size.bit_count() == 2 and "11" in f"{size:b}"


class Decompressed:
    """A compressed stream read as plain bytes. Several frames or members in a row are one stream."""

    def __init__(self, source: Stream, name: str, make: Callable[[], Decompressor]) -> None:
        self._source = source
        self._name = name
        self._make = make
        self._pieces = self._decompress()
        self._ready = memoryview(b"")

    def readinto(self, buffer: memoryview) -> int:
        """As much as fits of what is there: what has been given never waits for a source that says nothing yet."""
        filled = 0
        while filled < len(buffer):
            if not self._ready:
                piece = next(self._pieces, None)
                if piece is None or (piece == _PAUSE and filled):
                    break
                self._ready = memoryview(piece)
            size = min(len(buffer) - filled, len(self._ready))
            buffer[filled : filled + size], self._ready = self._ready[:size], self._ready[size:]
            filled += size
        return filled

    def close(self) -> None:
        self._pieces.close()
        self._source.close()

    def _read(self) -> bytes:
        chunk = bytearray(COMPRESSED_CHUNK)
        size = self._source.readinto(memoryview(chunk)) or 0
        return bytes(memoryview(chunk)[:size])

    def _decompress(self) -> Generator[bytes]:
        """Pieces of what comes out, and pauses; raises CutShort unless it ends as it should."""
        data = self._read()
        while data.rstrip(b"\0"):  # some tools leave padding behind the last member
            frame = self._make()
            while not frame.eof:
                if frame.needs_input and not data:
                    yield _PAUSE
                    data = self._read()
                    if not data:
                        raise CutShort(f"the {self._name} stream is cut short")
                try:
                    made = frame.decompress(data, MOST_AT_ONCE)
                except Exception as error:  # each library has its own class for a broken stream
                    yield _PAUSE
                    raise CutShort(f"the {self._name} stream is damaged ({error})") from error
                data = b""
                if made:
                    yield made
            data = frame.unused_data or b""
            if not data:
                yield _PAUSE
                data = self._read()
            while data and not data.rstrip(b"\0"):
                data = self._read()


class _Prefixed:
    """A stream with the bytes that were read to look at it put back in front."""

    def __init__(self, prefix: bytes, source: Readable, closes: Callable[[], None] | None) -> None:
        self._prefix = prefix
        self._source = source
        self._closes = closes

    def close(self) -> None:
        if self._closes is not None:
            self._closes()

    def look(self, size: int) -> bytes:
        """The next bytes, so many or fewer if it ends before, without consuming them."""
        while len(self._prefix) < size:
            more = bytearray(size - len(self._prefix))
            count = self._source.readinto(memoryview(more))
            if not count:
                break
            self._prefix += bytes(more[:count])
        return self._prefix

    def skip(self, size: int) -> None:
        """Consume so many bytes."""
        room = memoryview(bytearray(min(size, COMPRESSED_CHUNK)))
        while size and (count := self.readinto(room[: min(size, len(room))])):
            size -= count

    def readinto(self, buffer: memoryview) -> int | None:
        if not self._prefix:
            return self._source.readinto(buffer)
        size = min(len(buffer), len(self._prefix))
        buffer[:size], self._prefix = self._prefix[:size], self._prefix[size:]
        return size


def _open_raw(path: str) -> Readable:
    if path == "-":
        if sys.stdin is None or sys.stdin.isatty():
            raise CaptureError(
                "standard input", "is a terminal; pipe a capture into it, e.g. tcpdump -U -w - | peerburst -"
            )
        given: Any = sys.stdin.buffer  # unbuffered where it can be: what a pipe has is given at once
        source: Readable = getattr(given, "raw", given)
        return source
    if not path:
        raise CaptureError("''", "an empty name is not a file; name a capture")
    try:
        if Path(path).is_dir():
            raise CaptureError(path, "is a folder; name the captures in it, e.g. " + os.path.join(path, "*.pcap"))
        return Path(path).open("rb", buffering=0)
    except FileNotFoundError:
        raise CaptureError(path, "no such file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CaptureError(path, f"cannot be opened: {reason}") from error


def open_stream(path: str, raw: Readable | None = None) -> Stream:
    """Open a file, or standard input for `-`, and decompress it if its first bytes say so.

    `raw`: what to read instead, if it is open already; the path is then its name alone, and closing it is its owner's.
    """
    is_own = raw is None and path != "-"
    raw = _open_raw(path) if raw is None else raw
    stream = _Prefixed(b"", raw, getattr(raw, "close", None) if is_own else None)
    try:
        head = stream.look(LONGEST_MAGIC)
        while _is_skippable(head):
            stream.skip(SKIPPABLE_HEADER + int.from_bytes(head[4:8], "little"))
            head = stream.look(LONGEST_MAGIC)
    except OSError as error:
        raise CaptureError(path, f"cannot be read: {error.strerror or error}") from error
    for magic, (name, make) in COMPRESSIONS.items():
        if head.startswith(magic):
            return Decompressed(stream, name, make)
    return Decompressed(stream, "lzma", unlzma) if _is_lzma(head) else stream


class ByteWindow:
    """A window on a stream: `window[at:end]` holds the bytes not yet consumed; it grows only on demand.

    What a window has once held stays as it is: when it is full another takes its place, so that whoever kept the old
    one can go on reading there.
    """

    def __init__(self, stream: Readable, size: int, windows: BufferPool | None = None) -> None:
        """`windows`: of this size, if they are at hand already."""
        self._stream = stream
        self._size = size
        self._windows = BufferPool(np.uint8, size, WINDOWS_KEPT) if windows is None else windows
        self.window: npt.NDArray[np.uint8] = self._windows.take()
        self.at = 0
        self.end = 0
        self.finished = False
        self.consumed = 0  # bytes that windows before this one held, for messages

    @property
    def offset(self) -> int:
        """Where in the (decompressed) file `at` stands."""
        return self.consumed + self.at

    def held(self) -> int:
        return self.end - self.at

    def widen(self, size: int) -> None:
        """Take windows of this size from the next one on."""
        if size != self._size:
            self._size, self._windows = size, BufferPool(np.uint8, size, WINDOWS_KEPT)

    def more(self) -> bool:
        """Read on, in another window if this one has little room left; False at the end of the stream.

        May raise CutShort, OSError.
        """
        if self.finished:
            return False
        if 2 * self.end > self.window.size:
            left = self.held()
            another = self._windows.take() if 2 * left <= self._size else np.empty(2 * left, np.uint8)
            another[:left] = self.window[self.at : self.end]
            self.window = another
            self.consumed += self.at
            self.at, self.end = 0, left
        try:
            size = self._stream.readinto(self.window.data[self.end :])
        except (CutShort, OSError):
            self.finished = True
            raise
        if not size:
            self.finished = True
            return False
        self.end += size
        return True

    def need(self, size: int) -> bool:
        """Make sure that `size` bytes are held from `at` on; False if the stream ends before."""
        while self.held() < size:
            if not self.more():
                return False
        return True

    def take(self, size: int) -> bytes:
        """Consume `size` bytes that are held."""
        taken = self.window[self.at : self.at + size].tobytes()
        self.at += size
        return taken

    def peek(self, size: int) -> bytes:
        """The next `size` bytes without consuming them; fewer if fewer are held."""
        return self.window[self.at : min(self.at + size, self.end)].tobytes()

    def skip(self, size: int) -> bool:
        """Consume `size` bytes, held or not, without keeping them; False if the stream ends before."""
        while size > self.held():
            size -= self.held()
            self.at = self.end
            if not self.more():
                return False
        self.at += size
        return True
