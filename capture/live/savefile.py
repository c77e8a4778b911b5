"""Keeping what a live capture reads, in a file that is readable at every moment, whatever ends us.

Whole blocks are written, unbuffered, as they come: a kill loses what was not read yet and no more. A compressed file
is brought to the end of a zstd block every second, so that what is on disk can be read up to there.
"""

import bisect
import contextlib
import errno
import os
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from peerburst.capture.errors import CaptureError, SettingsError
from peerburst.capture.live.blocks import Run
from peerburst.capture.live.options import Rotation

FLUSH_EVERY_S = 1.0
ZSTD_LEVEL = 3  # zstd's own default: some 300 MB/s on one core, far above any capture of headers
ENDINGS = (".pcapng", ".pcap", ".pcapng.zst", ".pcap.zst")
PRIVATE = 0o600  # a capture says whom we talk with; dumpcap's files are their owner's alone, too


class SavefileWriter:
    """Writes runs of blocks to `path`, or to a row of files beside it. CaptureError if it cannot be begun.

    With rotation the files are called as dumpcap calls them: NAME_00001_YYYYmmddHHMMSS.pcapng, local time. A disk that
    is full or fails ends the writing, with a sentence in `warnings`, and nothing else.
    """

    def __init__(
        self, path: str, rotation: Rotation | None = None, *, now: Callable[[], datetime] = datetime.now
    ) -> None:
        self.path = path
        self.paths: list[str] = []  # written so far, oldest first, without those that rotation removed
        self.bytes_written = 0  # on disk, of all files
        self.warnings: list[str] = []
        self._rotation = rotation or Rotation()
        self._now = now
        self._number = 0
        self._file: _File | None = None
        self._is_over = False
        self._ending = next((ending for ending in sorted(ENDINGS, key=len)[::-1] if path.endswith(ending)), "")
        if not self._ending:
            raise SettingsError(f"-w {path}: the name must end in .pcapng or .pcapng.zst")
        try:
            self._begin()
        except OSError as error:
            raise CaptureError(path, _sentence(error)) from error

    @property
    def rotates(self) -> bool:
        """Whether files end at a size: runs then have to say where packets end."""
        return self._rotation.file_bytes is not None

    def write(self, run: Run) -> None:
        """Keep a run, in a new file if it is time for one."""
        if self._is_over:
            return
        try:
            self._write(run)
        except OSError as error:
            self._give_up(error)

    def tick(self) -> None:
        """Now and then: bring a compressed file to a readable state."""
        if self._file is not None and not self._is_over:
            try:
                self.bytes_written += self._file.flush()
            except OSError as error:
                self._give_up(error)

    def close(self) -> None:
        if self._file is not None:
            try:
                self.bytes_written += self._file.close()
            except OSError as error:
                self._give_up(error)
        self._file = None
        self._is_over = True

    def _write(self, run: Run) -> None:
        begin = 0
        while begin < len(run.data):
            if self._file is None:
                self._begin()
                self._put(run.head)
            end = self._end_of_file_within(run, begin)
            self._put(run.data[begin:end])
            begin = end
            if not run.is_head and self._is_file_full():
                self._end_file()

    def _put(self, data: bytes) -> None:
        assert self._file is not None
        self.bytes_written += self._file.write(data)

    def _end_of_file_within(self, run: Run, begin: int) -> int:
        """Where in a run the file at hand is full: behind a packet, as in dumpcap the first to reach the size."""
        if self._rotation.file_bytes is None or self._file is None or run.is_head or not run.packet_ends:
            return len(run.data)
        room = max(1, self._rotation.file_bytes - self._file.size)
        place = bisect.bisect_left(run.packet_ends, begin + room)
        return run.packet_ends[place] if place < len(run.packet_ends) else len(run.data)

    def _is_file_full(self) -> bool:
        return (
            self._rotation.file_bytes is not None
            and self._file is not None
            and self._file.size >= self._rotation.file_bytes
        )

    def _begin(self) -> None:
        path = self.path
        if self._rotation.file_bytes is not None:
            self._number += 1
            stem = path.removesuffix(self._ending)
            path = f"{stem}_{self._number:05d}_{self._now():%Y%m%d%H%M%S}{self._ending}"
        self._file = _File(path)
        self.paths.append(path)
        if self._rotation.files is not None and len(self.paths) > self._rotation.files:
            with contextlib.suppress(OSError):
                Path(self.paths.pop(0)).unlink()

    def _end_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            self.bytes_written += file.close()

    def _give_up(self, error: OSError) -> None:
        self._is_over = True
        file, self._file = self._file, None
        if file is not None:
            file.abandon()
        place = self.paths[-1] if self.paths else self.path
        self.warnings.append(f"{place}: {_sentence(error)}; nothing more is kept, and the counting goes on")


class _File:
    """One file, plain or compressed, that always ends where a block does. Every call may raise OSError.

    `write`, `flush` and `close` answer by how many bytes the file grew.
    """

    def __init__(self, path: str) -> None:
        self.size = 0
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, PRIVATE)
        self._compressor: Any = None
        self._flush_at = 0.0
        if path.endswith(".zst"):
            from peerburst.capture.files.zstd import ZstdCompressor

            self._compressor = ZstdCompressor(level=ZSTD_LEVEL)

    def write(self, data: bytes) -> int:
        if self._compressor is None:
            return self._out(data)
        grown = self._out(self._compressor.compress(data))
        if not self._flush_at:
            self._flush_at = time.monotonic() + FLUSH_EVERY_S
        return grown + self.flush()

    def flush(self) -> int:
        """End a zstd block if the time has come and there is something in it."""
        if self._compressor is None or not self._flush_at or time.monotonic() < self._flush_at:
            return 0
        self._flush_at = 0.0
        return self._out(self._compressor.flush(self._compressor.FLUSH_BLOCK))

    def close(self) -> int:
        try:
            return 0 if self._compressor is None else self._out(self._compressor.flush())
        finally:
            descriptor, self._descriptor = self._descriptor, -1
            if descriptor >= 0:
                os.close(descriptor)

    def abandon(self) -> None:
        """Leave it as it was after the last bytes that were wholly written."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self.size)
            os.close(self._descriptor)
            self._descriptor = -1

    def _out(self, data: bytes) -> int:
        left = memoryview(data)
        while left:
            left = left[os.write(self._descriptor, left) :]
        self.size += len(data)
        return len(data)


def _sentence(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full"
    if error.errno == errno.EFBIG:
        return "the file is as large as this file system allows"
    if isinstance(error, FileNotFoundError):
        return "the folder does not exist; make it first or write elsewhere"
    if isinstance(error, PermissionError):
        return "you may not write here; choose a folder of your own"
    if isinstance(error, IsADirectoryError):
        return "this is a folder; give the name of a file"
    return f"cannot be written ({error.strerror or error}); write elsewhere"
