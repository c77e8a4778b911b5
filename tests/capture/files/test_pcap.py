"""Classic captures: both byte orders, both resolutions, modified records, cuts and impossible lengths."""

import struct
from pathlib import Path

import pytest

from peerburst.capture.errors import CaptureError
from peerburst.capture.files import source as source_module
from peerburst.capture.packets.status import Status
from tests.support.bytes_through_kernels import read_all
from tests.support.packets_by_hand import ethernet, hexed, ipv4, pcap, udp

FRAME = ethernet(ipv4(udp(5000, 5001, b"abc"), 17))
SIZE = len(FRAME)


def written(folder: Path, data: bytes) -> Path:
    path = folder / "capture.pcap"
    path.write_bytes(data)
    return path


def test_a_capture_byte_by_byte(tmp_path: Path) -> None:
    # 2010-04-05 20:00:01.000002 IP 10.0.0.1.5000 > 10.0.0.2.5001: UDP, length 3
    data = hexed("""
        d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000 # magic, 2.4, zone, sigfigs, snaplen, Ethernet
        4141ba4b 02000000 2d000000 dc050000                    # seconds, microseconds, 45 kept, of 1500
        020000000002 020000000001 0800
        4500001f 00010000 40110000 0a000001 0a000002 1388 1389 000b 0000 616263
    """)
    rows, source = read_all(written(tmp_path, data))
    assert rows["ts"].tolist() == [1_270_497_601_000_002_000]
    assert rows["sport"].tolist() == [5000]
    assert source.warnings == []


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("magic", "unit"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1), (0xA1B2CD34, 1000)], ids=["usec", "nsec", "modified"]
)
def test_every_magic(order: str, magic: int, unit: int, tmp_path: Path) -> None:
    data = pcap([(1, 2, FRAME), (2**32 - 1, 999_999, FRAME)], order=order, magic=magic)
    rows, source = read_all(written(tmp_path, data))
    assert rows["ts"].tolist() == [10**9 + 2 * unit, (2**32 - 1) * 10**9 + 999_999 * unit]
    assert rows["dport"].tolist() == [5001, 5001]
    assert source.warnings == []


def test_the_upper_bits_of_the_link_field_are_not_the_link(tmp_path: Path) -> None:
    # Two bytes of frame check sequence, as the draft's FCS bits say.
    rows, _source = read_all(written(tmp_path, pcap([(0, 0, FRAME)], link=0x14000001)))
    assert rows["status"].tolist() == [Status.DECODED]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("magic", [0xA1B2C3D4, 0xA1B2CD34])
def test_a_capture_cut_anywhere_gives_the_whole_packets_before_the_cut(order: str, magic: int, tmp_path: Path) -> None:
    data = pcap([(second, 0, FRAME) for second in range(3)], order=order, magic=magic)
    record = (24 if magic == 0xA1B2CD34 else 16) + SIZE
    for size in range(len(data)):
        path = written(tmp_path, data[:size])
        if size < 24:
            with pytest.raises(CaptureError):
                read_all(path)
            continue
        rows, source = read_all(path)
        whole, rest = divmod(size - 24, record)
        assert rows["ts"].tolist() == [second * 10**9 for second in range(whole)]
        expected = f"{path}: is cut short: its last {rest} bytes are no whole packet; what came before it was read"
        assert source.warnings == ([expected] if rest else [])


@pytest.mark.parametrize("kept", [262_145, 2**31, 2**32 - 1])
def test_an_impossible_length_ends_the_reading(kept: int, tmp_path: Path) -> None:
    data = pcap([(0, 0, FRAME)]) + struct.pack("<IIII", 1, 0, kept, kept) + bytes(100)
    path = written(tmp_path, data)
    rows, source = read_all(path)
    assert rows.size == 1
    at = 24 + 16 + SIZE
    assert source.warnings == [f"{path}: a record at byte {at} has an impossible length; what came before it was read"]


def test_the_longest_packet_is_no_damage(tmp_path: Path) -> None:
    rows, source = read_all(written(tmp_path, pcap([(0, 0, FRAME + bytes(262_144 - SIZE)), (1, 0, FRAME)])))
    assert (rows.size, source.warnings) == (2, [])


def test_empty_packets_are_packets(tmp_path: Path) -> None:
    rows, _source = read_all(written(tmp_path, pcap([(0, 0, b"")] * 3)))
    assert rows["status"].tolist() == [Status.TRUNCATED] * 3


def test_records_across_windows_and_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "WINDOW", 100)
    monkeypatch.setattr(source_module, "BATCH", 7)
    frames = [(second, 0, FRAME + bytes(second % 90)) for second in range(300)]
    rows, source = read_all(written(tmp_path, pcap(frames)))
    assert (rows["ts"] // 10**9).tolist() == list(range(300))
    assert set(rows["status"].tolist()) == {Status.DECODED}
    assert source.warnings == []
    assert source.bytes_read == source._window.offset


def test_an_old_aix_capture_is_read(tmp_path: Path) -> None:
    data = bytearray(pcap([(0, 0, FRAME)]))
    data[4:6] = struct.pack("<H", 543)
    assert read_all(written(tmp_path, bytes(data)))[0].size == 1
