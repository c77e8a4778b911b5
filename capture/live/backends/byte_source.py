"""What every live source of bytes offers to the one thread that reads it."""

from typing import Protocol

AT_ONCE = 1 << 18  # bytes taken in one reading: what a busy second leaves in a pipe, far below a window


class ByteSource(Protocol):
    """A capture file's bytes as they come into being.

    `warnings` grow while it runs. `why_ended` says why the bytes ended by themselves; empty after `stop`.
    """

    name: str
    warnings: list[str]
    why_ended: str

    @property
    def drops(self) -> int:
        """Packets lost before they became bytes, as far as is known by now."""
        ...

    def read(self, timeout_s: float) -> bytes | None:
        """What is there, None when nothing came within the time, nothing at the end."""
        ...

    def stop(self) -> None:
        """End in order: `read` gives what is still underway and then nothing. From any thread, any number of times."""
        ...
