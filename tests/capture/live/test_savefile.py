"""Bytes split into blocks, kept, rotated and stopped, with captures of known size."""

import os
import re
import struct
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from peerburst.capture.errors import CaptureError, SettingsError
from peerburst.capture.files import pcapng_blocks
from peerburst.capture.files.source import PacketSource
from peerburst.capture.live import packet_queue
from peerburst.capture.live.backends.pipe import PipeSource
from peerburst.capture.live.blocks import BlockSplitter
from peerburst.capture.live.options import (
    CaptureOptions,
    Rotation,
    StopConditions,
    parse_rotation,
    parse_stops,
)
from peerburst.capture.live.savefile import SavefileWriter
from peerburst.capture.live.source import LiveSource, capture_growing_file
from tests.support.netns import missing

HEAD = pcapng_blocks.section_header() + pcapng_blocks.interface_description("one", 1, 96)
SECOND = pcapng_blocks.interface_description("two", 1, 96)
BLOCK = 32 + 60  # bytes of a packet of ours in the file


def packet(number: int, interface: int = 0) -> bytes:
    """A UDP packet over IPv4, stamped with its number in seconds."""
    ethernet = bytes(12) + b"\x08\x00"
    ipv4 = struct.pack(">BBHHHBBH", 0x45, 0, 46, number & 0xFFFF, 0, 64, 17, 0) + bytes([10, 0, 0, 1, 10, 0, 0, 2])
    udp = struct.pack(">HHHH", 4000, 5000, 26, 0) + bytes(18)
    return pcapng_blocks.enhanced_packet(interface, number * 1_000_000_000, ethernet + ipv4 + udp, 60)


def capture(count: int) -> bytes:
    return (
        HEAD
        + b"".join(packet(number) for number in range(1, count + 1))
        + pcapng_blocks.interface_statistics(0, 1, 9, 4)
    )


class StubByteSource:
    """Bytes of a list, one piece a reading; nothing is lost."""

    name = "stub"
    drops = 0

    def __init__(self, pieces: list[bytes]) -> None:
        self.warnings: list[str] = []
        self.why_ended = "the input ended"
        self._pieces = pieces

    def read(self, timeout_s: float) -> bytes | None:
        return self._pieces.pop(0) if self._pieces else b""

    def stop(self) -> None:
        pass


def in_pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def seconds(path: str | Path) -> list[int]:
    return [int(ts) // 1_000_000_000 for packets in PacketSource(str(path)).batches() for ts in packets["ts"]]


def taken(source: LiveSource) -> list[int]:
    rows = [packets["ts"] for packets in source.batches(1.0) if packets is not None]
    source.close()
    return list(np.concatenate(rows) // 1_000_000_000) if rows else []


@pytest.mark.parametrize("size", [1, 7, 92, 1000, 10**6])
def test_blocks_are_whole_however_the_bytes_come(size: int) -> None:
    data = HEAD + packet(1) + packet(2) + SECOND + packet(3, 1) + pcapng_blocks.interface_statistics(0, 1, 9, 4)
    splitter = BlockSplitter()
    runs = [run for piece in in_pieces(data, size) for run in splitter.split(piece)]
    assert b"".join(run.data for run in runs) == data
    assert splitter.end() == b""
    assert splitter.packets == 3
    assert splitter.head == HEAD + SECOND
    assert all(run.data[at - BLOCK :][:4] == b"\x06\0\0\0" for run in runs for at in run.packet_ends)
    assert sum(len(run.packet_ends) for run in runs) == 3
    third = next(run for run in runs if packet(3, 1) in run.data)
    assert third.head == HEAD + SECOND
    assert next(run for run in runs if run.data == SECOND).head == HEAD


def test_a_section_of_the_other_byte_order_is_cut_too() -> None:
    section = struct.pack(">IIIHHQI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, 2**64 - 1, 28)
    interface = struct.pack(">IIHHII", 1, 20, 1, 0, 96, 20)
    simple = struct.pack(">III", 3, 20, 4) + b"abcd" + struct.pack(">I", 20)
    splitter = BlockSplitter()
    runs = [run for piece in in_pieces(section + interface + simple, 5) for run in splitter.split(piece)]
    assert [run.data for run in runs] == [section, interface, simple]
    assert splitter.packets == 1


def test_damage_and_other_formats_pass_as_they_come() -> None:
    damaged = HEAD + packet(1) + struct.pack("<II", 6, 13) + bytes(50)
    splitter = BlockSplitter()
    assert b"".join(run.data for piece in in_pieces(damaged, 9) for run in splitter.split(piece)) == damaged
    other = BlockSplitter()
    assert b"".join(run.data for run in other.split(b"\x1f\x8b" + bytes(40))) == b"\x1f\x8b" + bytes(40)
    assert other.is_capture is False


def test_rotation_makes_dumpcaps_names_and_loses_nothing(tmp_path: Path) -> None:
    data = capture(100)
    writer = SavefileWriter(
        str(tmp_path / "day.pcapng"), Rotation(file_bytes=1000), now=lambda: datetime(2026, 3, 4, 5, 6, 7)
    )
    assert taken(LiveSource(StubByteSource(in_pieces(data, 333)), savefile=writer)) == list(range(1, 101))
    # The head takes len(HEAD) bytes, so 1000 are reached by the packet that makes it 10 or 11 of them.
    each = -(-(1000 - len(HEAD)) // BLOCK)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == [f"day_{number:05d}_20260304050607.pcapng" for number in range(1, -(-100 // each) + 1)]
    assert [str(tmp_path / name) for name in files] == writer.paths
    contents = [(tmp_path / name).read_bytes() for name in files]
    assert all(content.startswith(HEAD) for content in contents)
    assert HEAD + b"".join(content[len(HEAD) :] for content in contents) == data
    assert [len(seconds(tmp_path / name)) for name in files[:-1]] == [each] * (len(files) - 1)
    assert writer.bytes_written == sum(len(content) for content in contents)


def test_rotation_repeats_interfaces_described_later(tmp_path: Path) -> None:
    data = HEAD + b"".join(map(packet, range(1, 12))) + SECOND + b"".join(packet(n, 1) for n in range(12, 40))
    writer = SavefileWriter(str(tmp_path / "two.pcapng"), Rotation(file_bytes=1000))
    assert taken(LiveSource(StubByteSource([data]), savefile=writer)) == list(range(1, 40))
    assert [second for path in writer.paths for second in seconds(path)] == list(range(1, 40))
    assert Path(writer.paths[-1]).read_bytes().startswith(HEAD + SECOND)


@pytest.mark.parametrize("ending", [".pcapng", ".pcapng.zst"])
def test_a_ring_keeps_the_newest_files(tmp_path: Path, ending: str) -> None:
    writer = SavefileWriter(str(tmp_path / f"ring{ending}"), Rotation(file_bytes=200, files=3))
    taken(LiveSource(StubByteSource(in_pieces(capture(4000), 5000)), savefile=writer))
    assert len(writer.paths) == 3
    assert sorted(map(str, tmp_path.iterdir())) == writer.paths
    kept = [second for path in writer.paths for second in seconds(path)]
    assert kept == list(range(4001 - len(kept), 4001))
    assert all(re.fullmatch(rf"ring_\d{{5}}_\d{{14}}{re.escape(ending)}", Path(path).name) for path in writer.paths)


def test_packets_stop_exactly_and_statistics_are_still_read(tmp_path: Path) -> None:
    writer = SavefileWriter(str(tmp_path / "ten.pcapng"))
    source = LiveSource(StubByteSource([capture(30)]), savefile=writer, stops=StopConditions(packets=10))
    assert taken(source) == list(range(1, 11))
    assert seconds(tmp_path / "ten.pcapng") == list(range(1, 11))
    assert source.drops == 4
    assert source.ended == "10 packets were captured"


def test_a_classic_pcap_from_a_pipe_is_kept_and_divided(tmp_path: Path) -> None:
    header = struct.pack(">IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 96, 1)
    records = [struct.pack(">IIII", number, 0, 60, 60) + packet(number)[28:88] for number in range(1, 31)]
    ours, theirs = os.pipe()
    writer = SavefileWriter(str(tmp_path / "old.pcap"), Rotation(file_bytes=500))
    source = LiveSource(PipeSource(ours), savefile=writer, stops=StopConditions(packets=20))
    os.write(theirs, header + b"".join(records)[:700])
    time.sleep(0.05)
    os.write(theirs, b"".join(records)[700:])
    os.close(theirs)
    assert taken(source) == list(range(1, 21))
    contents = [Path(path).read_bytes() for path in writer.paths]
    assert header + b"".join(content[24:] for content in contents) == header + b"".join(records[:20])
    assert len(contents) == 3  # 24 + 7 * 76 is the first above 500: seven records each
    os.close(ours)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    lacking = missing("mount")
    if lacking is not None:
        pytest.skip(f"no small disk can be made here: it {lacking}")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("no small disk can be made here: mounting is refused")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


@pytest.mark.parametrize("name", ["full.pcapng", "full.pcapng.zst"])
def test_a_full_disk_ends_the_keeping_and_not_the_count(small_disk: Path, name: str) -> None:
    (small_disk / "other").write_bytes(bytes(64_000 - (0 if name.endswith("pcapng") else 8192)))
    noise = np.random.default_rng(5)
    data = HEAD + b"".join(packet(n)[:-40] + noise.bytes(36) + packet(n)[-4:] for n in range(1, 2001))
    if name.endswith("pcapng"):
        (small_disk / "other").unlink()
    writer = SavefileWriter(str(small_disk / name))
    source = LiveSource(StubByteSource(in_pieces(data, 3000)), savefile=writer)
    assert taken(source) == list(range(1, 2001))
    assert source.warnings == (
        f"{small_disk / name}: the disk is full; nothing more is kept, and the counting goes on",
    )
    if name.endswith("pcapng"):
        kept = PacketSource(str(small_disk / name))
        assert sum(packets.size for packets in kept.batches()) == (writer.bytes_written - len(HEAD)) // BLOCK > 500
        assert kept.warnings == []  # it ends where a packet does


def test_what_cannot_be_kept_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="the folder does not exist"):
        SavefileWriter(str(tmp_path / "none" / "x.pcapng"))
    with pytest.raises(SettingsError, match="must end in"):
        SavefileWriter(str(tmp_path / "x.txt"))
    writer = SavefileWriter(str(tmp_path / "x.pcapng"))
    source = LiveSource(StubByteSource([b"\x1f\x8b" + bytes(100)]), savefile=writer)
    with pytest.raises(CaptureError, match="decompress it before"):
        taken(source)


def test_a_growing_file_is_followed_until_stopped(tmp_path: Path) -> None:
    data, path = capture(50), tmp_path / "grows.pcapng"
    path.write_bytes(data[:1000])
    source = capture_growing_file(str(path))
    found: list[int] = []
    pieces = in_pieces(data[1000:], 900)
    for packets in source.batches(0.3):
        if packets is not None:
            found += list(packets["ts"] // 1_000_000_000)
        elif pieces:
            with path.open("ab") as file:
                file.write(pieces.pop(0))
        else:
            assert source.ended is None
            source.stop()
    assert found == list(range(1, 51))
    assert source.ended == "stopped"
    assert source.warnings == ()


def test_a_file_cut_shorter_ends_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "shrinks.pcapng"
    path.write_bytes(capture(10))
    source = capture_growing_file(str(path))
    found = 0
    for packets in source.batches(0.2):
        if packets is None:
            path.write_bytes(b"")
        else:
            found += packets.size
    assert found == 10
    assert source.ended == f"{path}: was cut shorter while it was read; what came before was read"
    with pytest.raises(CaptureError, match="no such file"):
        capture_growing_file(str(tmp_path / "none"))


def test_a_slow_taker_holds_the_reading_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packet_queue, "MOST_PACKETS", 1000)
    pieces = in_pieces(capture(200_000), 1 << 18)
    count = len(pieces)
    source = LiveSource(StubByteSource(pieces))
    first = next(source.batches(5.0))
    time.sleep(0.5)
    assert len(pieces) > count // 2  # 18 MB, of which pipe, window and queue hold a few
    rest = [packets.size for packets in source.batches(5.0) if packets is not None]
    assert first is not None
    assert first.size + sum(rest) == 200_000
    source.close()


def test_no_capture_at_all_is_an_error() -> None:
    with pytest.raises(CaptureError, match="stub: is not a pcap or pcapng file"):
        taken(LiveSource(StubByteSource([b"good morning, this is no capture"])))
    with pytest.raises(CaptureError, match="stub: is empty"):
        taken(LiveSource(StubByteSource([])))


def test_settings_as_they_are_typed() -> None:
    assert parse_stops(["duration:1.5", "packets:3", "filesize:2"]) == StopConditions(1.5, 3, 2000)
    assert parse_rotation(["filesize:10", "files:4"]) == Rotation(10_000, 4)
    for texts in (["files:4"], ["filesize:-1"], ["filesize"], ["size:3"], ["filesize:1", "filesize:2"], ["filesize:x"]):
        with pytest.raises(SettingsError):
            parse_rotation(texts)
    for made in (
        {"interfaces": ()},
        {"interfaces": ("-w",)},
        {"interfaces": ("a", "a")},
        {"interfaces": ("a",), "snaplen": -1},
    ):
        with pytest.raises(SettingsError):
            CaptureOptions(**made)
    with pytest.raises(SettingsError, match="add -w"):
        capture_growing_file("x", stops=StopConditions(kept_bytes=5))
