"""How far reading is, on standard error, once it takes longer than a moment."""

from types import TracebackType
from typing import TextIO

from peerburst.analysis.humanize import number, size
from peerburst.capture.read import Progress

QUIET_S = 2.0  # a reading shorter than this shows nothing
EVERY_S = 0.2
BAR = 30


class ReadingProgress:
    """A line that is rewritten while reading goes on, and gone when it is done."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._next_s = QUIET_S
        self._width = 0

    def __enter__(self) -> "ReadingProgress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None and self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()

    def update(self, progress: Progress) -> None:
        """Show how far it is, at most every EVERY_S."""
        if self._stream is None or progress.seconds < self._next_s:
            return
        self._next_s = progress.seconds + EVERY_S
        rate = progress.packets / progress.seconds
        text = f"{number(progress.packets)} packets, {size(progress.bytes_read)}, {number(rate)} packets/s"
        if 0 < progress.bytes_read <= progress.bytes_total:
            done = round(BAR * progress.bytes_read / progress.bytes_total)
            text = f"[{'#' * done}{'.' * (BAR - done)}] {text}"
        self._stream.write("\r" + text.ljust(self._width))
        self._stream.flush()
        self._width = max(self._width, len(text))
