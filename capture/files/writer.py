"""Writing captures: classic pcap and pcapng, plain or compressed, whole or not at all.

Layouts: draft-ietf-opsawg-pcap (magic numbers, 16-byte record headers) and draft-ietf-opsawg-pcapng (section header,
interface description, enhanced packet blocks). Everything is written little-endian, whatever the machine, so that the
same packets give the same bytes everywhere.
"""

import contextlib
import errno
import gzip
import os
import stat
import struct
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import BinaryIO, cast

from peerburst.capture.errors import CaptureError, SettingsError
from peerburst.capture.files import pcapng_blocks

LINKTYPE_ETHERNET = 1

MICROSECOND_MAGIC = 0xA1B2C3D4  # of the classic format

BILLION = 1_000_000_000

# Level 19 is the smallest that needs no long-distance memory to read back; captures kept beside code are read often
# and written once.
ZSTD_LEVEL = 19


class Container(Enum):
    """The file formats we write, by the name a person types."""

    PCAP = "pcap"
    PCAPNG = "pcapng"


class PacketWriter:
    """Packets to an open binary file, one call each; the caller owns the file and closes it.

    `snaplen` cuts what is kept of each packet, in bytes. `comment` is kept in a pcapng's section header.
    """

    def __init__(
        self,
        file: BinaryIO,
        container: Container = Container.PCAPNG,
        *,
        snaplen: int = 262_144,
        link_type: int = LINKTYPE_ETHERNET,
        comment: str = "",
    ) -> None:
        self._file = file
        self._container = container
        self._snaplen = snaplen
        if container is Container.PCAPNG:
            file.write(pcapng_blocks.section_header(comment))
            file.write(pcapng_blocks.interface_description("", link_type, snaplen))
        else:
            file.write(struct.pack("<IHHiIII", MICROSECOND_MAGIC, 2, 4, 0, 0, snaplen, link_type))

    def write(self, time_ns: int, data: bytes, wire_length: int | None = None) -> None:
        """Add one packet seen at `time_ns` (Unix epoch); `wire_length` is its true length when `data` was cut."""
        length = len(data) if wire_length is None else wire_length
        kept = data[: self._snaplen]
        if self._container is Container.PCAPNG:
            self._file.write(pcapng_blocks.enhanced_packet(0, time_ns, kept, length))
            return
        seconds, rest = divmod(time_ns, BILLION)
        self._file.write(struct.pack("<IIII", seconds, rest // 1000, len(kept), length) + kept)


@contextlib.contextmanager
def open_capture(
    path: Path, *, snaplen: int = 262_144, link_type: int = LINKTYPE_ETHERNET, comment: str = ""
) -> Iterator[PacketWriter]:
    """Write a capture at `path`, its format and compression told by its name (see `container_of`).

    The file appears under its name only when the block ends without an error; CaptureError when it cannot be written.
    """
    container = container_of(path)
    with written_whole(path) as file:
        yield PacketWriter(file, container, snaplen=snaplen, link_type=link_type, comment=comment)


def container_of(path: Path) -> Container:
    """The format a file name asks for: .pcap or .pcapng, perhaps followed by .gz or .zst; else SettingsError."""
    name = path.name.lower()
    for compression in (".gz", ".zst"):
        name = name.removesuffix(compression)
    for suffix, container in ((".pcap", Container.PCAP), (".pcapng", Container.PCAPNG)):
        if name.endswith(suffix):
            return container
    raise SettingsError(f"{path}: the name must end in .pcap or .pcapng, perhaps followed by .gz or .zst")


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """A binary file that takes the name `path` when the block ends well, and leaves no trace when it does not.

    Names ending in .gz or .zst are compressed. A pipe or device is written straight through. CaptureError, with a
    sentence, when the operating system refuses; an OSError out of the block is taken for a refusal to write.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.is_dir():
            raise IsADirectoryError
        if target.exists() and not stat.S_ISREG(target.stat().st_mode):
            with target.open("wb") as raw, _compressed(raw, path) as file:
                yield file
            return
        draft = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            with draft.open("xb") as raw, _compressed(raw, path) as file:
                yield file
            draft.replace(target)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise CaptureError(str(path), _sentence(error)) from error


@contextlib.contextmanager
def _compressed(raw: BinaryIO, path: Path) -> Iterator[BinaryIO]:
    if path.name.endswith(".gz"):
        # No name and no time in the header: the same packets must give the same bytes.
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as file:
            yield cast(BinaryIO, file)
    elif path.name.endswith(".zst"):
        from peerburst.capture.files.zstd import ZstdFile

        with ZstdFile(raw, "wb", level=ZSTD_LEVEL) as stream:
            yield cast(BinaryIO, stream)
    else:
        yield raw


def _sentence(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full; free some space or write elsewhere"
    if isinstance(error, FileNotFoundError):
        return "the folder does not exist; make it first or write elsewhere"
    if isinstance(error, PermissionError):
        return "you may not write here; choose a folder of your own"
    if isinstance(error, IsADirectoryError):
        return "this is a folder; give the name of a file"
    return f"cannot be written ({error.strerror or error}); write elsewhere"
