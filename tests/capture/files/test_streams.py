"""Where the bytes come from: files, standard input, compressed or not; what is missing, cut short or a bomb."""

import bz2
import gzip
import io
import lzma
import os
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import pytest

from peerburst.capture.errors import CaptureError
from peerburst.capture.files import zstd
from peerburst.capture.files.source import PacketSource
from peerburst.capture.files.streams import COMPRESSIONS, ByteWindow, CutShort, Decompressed, open_stream, unlzma
from peerburst.capture.read import read
from tests.support.bytes_through_kernels import read_all
from tests.support.packets_by_hand import enhanced, ethernet, interface, ipv4, pcap, section, udp

FRAME = ethernet(ipv4(udp(5000, 5001, b"abc"), 17))
CAPTURE = pcap([(second, 0, FRAME) for second in range(4)])
SECTION = section() + interface() + b"".join(enhanced(FRAME, second * 10**6) for second in range(4))

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "xz": lzma.compress,
    "lz4": lz4.frame.compress,
    "bzip2": bz2.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
}
SEVERAL_MEMBERS = [name for name in COMPRESSORS if name != "lzma"]  # xz does not join those either
DECOMPRESSORS = dict(COMPRESSIONS.values()) | {"lzma": unlzma}


def seconds_of(path: Path) -> list[int]:
    rows, _source = read_all(path)
    return [int(ts) // 10**9 for ts in rows["ts"]]


def written(folder: Path, data: bytes) -> Path:
    path = folder / "capture"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", COMPRESSORS)
@pytest.mark.parametrize("data", [CAPTURE, SECTION], ids=["pcap", "pcapng"])
def test_compressed_captures_are_read_whatever_their_name(name: str, data: bytes, tmp_path: Path) -> None:
    assert seconds_of(written(tmp_path, COMPRESSORS[name](data))) == [0, 1, 2, 3]


@pytest.mark.parametrize("name", SEVERAL_MEMBERS)
def test_several_members_are_one_capture(name: str, tmp_path: Path) -> None:
    compress = COMPRESSORS[name]
    members = compress(CAPTURE[:50]) + compress(CAPTURE[50:51]) + compress(b"") + compress(CAPTURE[51:])
    path = written(tmp_path, members)
    rows, source = read_all(path)
    assert rows.size == 4
    assert source.warnings == []


def test_padding_behind_the_last_member_is_no_damage(tmp_path: Path) -> None:
    # Tapes and some downloads fill up the last block with zeros; gzip and xz ignore them.
    for compressed in (gzip.compress(CAPTURE), lzma.compress(CAPTURE)):
        rows, source = read_all(written(tmp_path, compressed + bytes(512)))
        assert (rows.size, source.warnings) == (4, [])


def test_a_skippable_frame_of_zstd_is_skipped(tmp_path: Path) -> None:
    skippable = b"\x50\x2a\x4d\x18" + b"\x04\0\0\0" + b"note"
    compressed = zstd.compress(CAPTURE)
    rows, source = read_all(written(tmp_path, compressed + skippable + zstd.compress(b"")))
    assert (rows.size, source.warnings) == (4, [])


@pytest.mark.parametrize("name", COMPRESSORS)
def test_a_compressed_capture_cut_anywhere_gives_what_came_before(name: str, tmp_path: Path) -> None:
    compressed = COMPRESSORS[name](CAPTURE)
    read = []
    for size in range(1, len(compressed)):
        try:
            rows, source = read_all(written(tmp_path, compressed[:size]))
        except CaptureError:
            continue
        assert source.warnings, f"cut at {size} of {len(compressed)}, and no word about it"
        read.append(rows.size)
    assert read == sorted(read)


@pytest.mark.parametrize("name", COMPRESSORS)
def test_bytes_changed_anywhere_end_in_packets_or_a_sentence(name: str, tmp_path: Path) -> None:
    compressed = COMPRESSORS[name](CAPTURE)
    for at in range(len(compressed)):
        damaged = compressed[:at] + bytes([compressed[at] ^ 0x55]) + compressed[at + 1 :]
        try:
            rows, _source = read_all(written(tmp_path, damaged))
        except CaptureError:
            continue
        assert rows.size <= 64


@pytest.mark.parametrize("name", COMPRESSORS)
def test_a_bomb_does_not_go_off(name: str) -> None:
    # 64 MiB of zeros in a few kilobytes, and bzip2 in some fifty bytes.
    stream = io.BytesIO(COMPRESSORS[name](bytes(1 << 26)))
    tracemalloc.start()
    opened = Decompressed(stream, name, DECOMPRESSORS[name])
    size = 0
    room = memoryview(bytearray(1 << 20))
    while more := opened.readinto(room):
        size += more
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size == 1 << 26
    assert peak < size // 4  # of which xz takes 8 MiB for its dictionary


class Dribble(io.RawIOBase):
    """A pipe that gives one byte at a time."""

    def __init__(self, data: bytes) -> None:
        self._bytes = io.BytesIO(data)

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        return self._bytes.readinto(buffer[:1])


def test_a_window_slides_and_grows_on_demand_alone() -> None:
    data = ByteWindow(io.BytesIO(bytes(range(100))), 16)
    assert data.need(4)
    assert data.take(4) == bytes(range(4))
    assert data.skip(30)
    assert (data.offset, data.window.size) == (34, 16)
    assert data.need(40)
    assert data.peek(40) == bytes(range(34, 74))
    assert data.window.size >= 40
    assert not data.need(67)
    assert data.held() == 66
    assert not data.skip(67)
    assert not data.more()


def test_windows_widen_from_the_next_on() -> None:
    data = ByteWindow(io.BytesIO(bytes(range(200))), 16)
    assert data.need(16)
    narrow = data.window
    data.widen(64)
    assert data.take(16) == bytes(range(16))
    assert data.need(64)
    assert data.window.size == 64
    assert data.take(64) == bytes(range(16, 80))
    assert narrow.tobytes() == bytes(range(16))  # whoever kept it can read on


def test_a_stream_that_dribbles_is_read_to_its_end() -> None:
    data = ByteWindow(Dribble(bytes(range(10))), 16)
    assert data.need(10)
    assert data.take(10) == bytes(range(10))


class Hose(io.RawIOBase):
    """A pipe that gives what it is told to give, and notes when it is asked for more than that."""

    def __init__(self, *given: bytes) -> None:
        self.given = list(given)
        self.was_asked_in_vain = False

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        if not self.given:
            self.was_asked_in_vain = True
            return 0
        data = self.given.pop(0)
        buffer[: len(data)] = data
        return len(data)


@pytest.mark.parametrize("name", sorted(COMPRESSORS))
def test_what_has_come_is_given_before_more_is_asked_for(name: str) -> None:
    hose = Hose(COMPRESSORS[name](b"so far"))
    opened, room = Decompressed(hose, name, DECOMPRESSORS[name]), memoryview(bytearray(100))
    assert bytes(room[: opened.readinto(room)]) == b"so far"
    assert not hose.was_asked_in_vain


def test_what_comes_before_damage_is_given() -> None:
    data = os.urandom(300_000)
    packed = bytearray(gzip.compress(data))
    packed[-6] ^= 1  # in the sum over all of it
    opened, room = Decompressed(io.BytesIO(packed), "gzip", DECOMPRESSORS["gzip"]), memoryview(bytearray(1 << 20))
    first = opened.readinto(room)
    assert bytes(room[:first]) == data[:first]
    assert first > 200_000  # all but what came out in one go with the damage
    with pytest.raises(CutShort, match="the gzip stream is damaged"):
        opened.readinto(room)


def test_a_stream_that_breaks_is_not_asked_again() -> None:
    packed = gzip.compress(bytes(1000))[:-9]
    data = ByteWindow(Decompressed(io.BytesIO(packed), "gzip", DECOMPRESSORS["gzip"]), 4096)
    with pytest.raises(CutShort, match="the gzip stream is cut short"):
        data.need(4096)
    assert not data.more()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is empty"),
        (b"\xd4\xc3\xb2\xa1\2\0", "ends within the pcap file header"),
        (b"\x0a\x0d\x0d\x0a\x1c\0\0\0", "ends within the pcapng section header"),
        (b"GET / HTTP/1.1\r\n", "is not a pcap or pcapng file; convert it with editcap or name a capture"),
        (b"snoop\0\0\0\0\0\0\2", "is a Solaris snoop file; convert it with editcap or name a capture"),
        (b"PK\3\4abcdefgh", "is a zip archive; convert it with editcap or name a capture"),
        (gzip.compress(b""), "is empty"),
        (gzip.compress(b"hello"), "is not a pcap or pcapng file; convert it with editcap or name a capture"),
        (b"\xd4\xc3\xb2\xa1\3\0\4\0" + bytes(16), "is a pcap file of version 3, and only version 2 is known"),
    ],
)
def test_what_is_no_capture_is_told_in_a_sentence(data: bytes, sentence: str, tmp_path: Path) -> None:
    path = written(tmp_path, data)
    with pytest.raises(CaptureError) as caught:
        PacketSource(str(path))
    assert str(caught.value) == f"{path}: {sentence}"


def test_what_is_no_file_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"nowhere\.pcap: no such file$"):
        PacketSource(str(tmp_path / "nowhere.pcap"))
    with pytest.raises(CaptureError, match=r"is a folder; name the captures in it, e\.g\. .*\*\.pcap$"):
        PacketSource(str(tmp_path))
    with pytest.raises(CaptureError, match="an empty name is not a file"):
        PacketSource("")
    with pytest.raises(CaptureError, match="cannot be opened: "):
        PacketSource(str(tmp_path / "nul\0"))


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told_in_a_sentence(tmp_path: Path) -> None:
    path = written(tmp_path, CAPTURE)
    path.chmod(0)
    with pytest.raises(CaptureError, match="cannot be opened: Permission denied"):
        PacketSource(str(path))


COUNT = """
import sys
from peerburst.capture.files.source import PacketSource
from peerburst.capture.errors import CaptureError
try:
    source = PacketSource("-")
    print(sum(batch.size for batch in source.batches()), source.warnings)
except CaptureError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("data", "printed"),
    [
        (CAPTURE, "4 []"),
        (gzip.compress(SECTION), "4 []"),
        (CAPTURE[:-1], f"3 ['-: is cut short: its last {16 + len(FRAME) - 1} bytes are no whole packet;"),
        (b"", "-: is empty"),
    ],
    ids=["pcap", "gzip", "cut", "empty"],
)
def test_standard_input(data: bytes, printed: str) -> None:
    ran = subprocess.run([sys.executable, "-c", COUNT], input=data, capture_output=True, check=True)
    assert ran.stdout.decode().startswith(printed)


def test_a_terminal_is_no_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(CaptureError, match="standard input: is a terminal; pipe a capture into it"):
        open_stream("-")


# --- frames to pass over, and .lzma ----------------------------------------------------------------------------------


def skippable(content: bytes, kind: int = 0) -> bytes:
    """A frame that zstd and lz4 pass over (RFC 8878, 3.1.2)."""
    return struct.pack("<II", 0x184D2A50 + kind, len(content)) + content


@pytest.mark.parametrize("name", ["zstd", "lz4"])
@pytest.mark.parametrize("kind", [0, 7, 15])
def test_skippable_frames_anywhere(name: str, kind: int, tmp_path: Path) -> None:
    compress, between = COMPRESSORS[name], skippable(bytes(300_000), kind)
    data = skippable(b"1234", kind) + skippable(b"") + compress(CAPTURE[:50])
    data += between + compress(CAPTURE[50:]) + skippable(b"table of contents", kind)
    rows, source = read_all(written(tmp_path, data))
    assert (rows["ts"] // 10**9).tolist() == [0, 1, 2, 3]
    assert source.warnings == []


def test_skippable_frames_before_a_plain_capture(tmp_path: Path) -> None:
    assert seconds_of(written(tmp_path, skippable(b"abc") + CAPTURE)) == [0, 1, 2, 3]


@pytest.mark.parametrize("data", [skippable(b""), skippable(b"abc")[:-1], skippable(b"abc")[:6]])
def test_nothing_but_a_skippable_frame(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"is empty|not a pcap"):
        PacketSource(str(written(tmp_path, data)))


def test_what_pzstd_writes() -> None:
    capture = read([str(Path(__file__).parents[2] / "cases" / "real-pzstd.pcap.zst")])
    assert (capture.packets, capture.flows.row.size, capture.warnings) == (700, 100, ())


@pytest.mark.parametrize("preset", [0, 6, 9])
def test_lzma_of_every_dictionary(preset: int, tmp_path: Path) -> None:
    data = lzma.compress(CAPTURE, lzma.FORMAT_ALONE, preset=preset)
    assert seconds_of(written(tmp_path, data)) == [0, 1, 2, 3]


def test_an_lzma_file_cut_short_warns(tmp_path: Path) -> None:
    data = lzma.compress(SECTION * 50, lzma.FORMAT_ALONE)
    _rows, source = read_all(written(tmp_path, data[:-10]))
    assert "the lzma stream is cut short" in source.warnings[0]
