"""Live sources that are no interface: a pipe into standard input, and a file that somebody else is still writing."""

import contextlib
import os
import select
import sys
import threading
from io import FileIO
from pathlib import Path

from peerburst.capture.errors import CaptureError
from peerburst.capture.live.backends.byte_source import AT_ONCE
from peerburst.capture.live.backends.dumpcap import widen

LOOK_EVERY_S = 0.1  # at a file for more: a tenth of what a person notices, at no cost


class PipeSource:
    """Bytes out of a pipe, as `ssh router tcpdump -U -w -` sends them; `descriptor` None is standard input."""

    name = "standard input"

    def __init__(self, descriptor: int | None = None) -> None:
        if descriptor is None:
            descriptor = _standard_input()
        self.warnings: list[str] = []
        self.why_ended = ""
        self._descriptor = descriptor
        self._is_stopped = False
        widen(descriptor)

    @property
    def drops(self) -> int:
        return 0

    def read(self, timeout_s: float) -> bytes | None:
        if self._is_stopped:
            return b""
        if not select.select([self._descriptor], [], [], timeout_s)[0]:
            return None
        try:
            data = os.read(self._descriptor, AT_ONCE)
        except OSError as error:
            self.warnings.append(f"{self.name}: reading failed: {error.strerror or error}")
            data = b""
        if not data:
            self.why_ended = "the input ended"
        return data

    def stop(self) -> None:
        self._is_stopped = True


def _standard_input() -> int:
    if sys.stdin is None or sys.stdin.isatty():
        raise CaptureError(
            "standard input",
            "is a terminal; pipe a capture into it, e.g. ssh router tcpdump -U -w - | peerburst live -r -",
        )
    return sys.stdin.fileno()


class GrowingFileSource:
    """A file from its beginning and on as it grows, until stopped. Raises CaptureError if it cannot be opened."""

    def __init__(self, path: str) -> None:
        self.name = path
        self.warnings: list[str] = []
        self.why_ended = ""
        self._stopped = threading.Event()
        self._file = _opened(path)

    @property
    def drops(self) -> int:
        return 0

    def read(self, timeout_s: float) -> bytes | None:
        waited = 0.0
        while True:
            data = self._more()
            if data or self._file.closed:
                return data
            if self._stopped.is_set():  # only now: what was there when it was stopped is read
                self._file.close()
                return b""
            if waited >= timeout_s:
                return None
            self._stopped.wait(min(LOOK_EVERY_S, timeout_s - waited))
            waited += LOOK_EVERY_S

    def _more(self) -> bytes:
        if self._file.closed:
            return b""
        try:
            data = self._file.read(AT_ONCE)
            if data or os.fstat(self._file.fileno()).st_size >= self._file.tell():
                return data
            self.why_ended = f"{self.name}: was cut shorter while it was read; what came before was read"
        except OSError as error:
            self.why_ended = f"{self.name}: reading failed: {error.strerror or error}"
        self.warnings.append(self.why_ended)
        with contextlib.suppress(OSError):
            self._file.close()
        return b""

    def stop(self) -> None:
        self._stopped.set()


def _opened(path: str) -> FileIO:
    try:
        if Path(path).is_dir():
            raise CaptureError(path, "is a folder; name the file that grows")
        return Path(path).open("rb", buffering=0)
    except FileNotFoundError:
        raise CaptureError(path, "no such file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CaptureError(path, f"cannot be opened: {reason}") from error
