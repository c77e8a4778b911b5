"""Captures that stand behind one another in one file, as `cat` joins them."""

import gzip
import io
import struct
import sys
from pathlib import Path

import pytest

from peerburst.capture.files import source as source_module
from peerburst.capture.files.zstd import compress
from peerburst.capture.read import read
from tests.support.bytes_through_kernels import read_all
from tests.support.packets_by_hand import (
    MODIFIED_MAGIC,
    NANOSECOND_MAGIC,
    enhanced,
    ethernet,
    interface,
    ipv4,
    pcap,
    section,
    udp,
)

CASES = Path(__file__).parents[2] / "cases"
FRAME = ethernet(ipv4(udp(5000, 5001, b"abc"), 17))
RAW = FRAME[14:]


def one(second: int, order: str = "<", magic: int = 0xA1B2C3D4, link: int = 1) -> bytes:
    return pcap([(second, 0, FRAME if link == 1 else RAW)], order=order, magic=magic, link=link)


def ng(second: int, order: str = "<") -> bytes:
    return section(order) + interface(order) + enhanced(FRAME, second * 10**6, order)


PARTS = {
    "usec": one,
    "usec-big": lambda second: one(second, ">"),
    "nsec": lambda second: one(second, magic=NANOSECOND_MAGIC),
    "nsec-big": lambda second: one(second, ">", NANOSECOND_MAGIC),
    "modified": lambda second: one(second, magic=MODIFIED_MAGIC),
    "modified-big": lambda second: one(second, ">", MODIFIED_MAGIC),
    "raw-ip": lambda second: one(second, link=101),
    "pcapng": ng,
    "pcapng-big": lambda second: ng(second, ">"),
}


@pytest.mark.parametrize("first", PARTS)
@pytest.mark.parametrize("second", PARTS)
def test_any_kind_behind_any(first: str, second: str, tmp_path: Path) -> None:
    path = tmp_path / "joined"
    path.write_bytes(PARTS[first](1) + PARTS[second](2) + PARTS[first](3))
    rows, source = read_all(path)
    assert (rows["ts"] // 10**9).tolist() == [1, 2, 3]
    assert rows["dport"].tolist() == [5001] * 3
    assert source.warnings == []


@pytest.mark.parametrize("window", [64, 100, 128])
def test_headers_across_windows(window: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "WINDOW", window)
    path = tmp_path / "joined"
    path.write_bytes(b"".join(one(second) for second in range(20)))
    assert (read_all(path)[0]["ts"] // 10**9).tolist() == list(range(20))


def test_one_without_packets_between_others(tmp_path: Path) -> None:
    path = tmp_path / "joined"
    path.write_bytes(pcap([]) + one(1) + pcap([]) + pcap([]) + one(2) + pcap([]))
    rows, source = read_all(path)
    assert (rows["ts"] // 10**9).tolist() == [1, 2]
    assert source.warnings == []


@pytest.mark.parametrize("size", range(1, 24))
def test_cut_within_the_second_header(size: int, tmp_path: Path) -> None:
    path = tmp_path / "joined"
    path.write_bytes(one(1) + pcap([])[:size])
    rows, source = read_all(path)
    assert rows.size == 1
    assert len(source.warnings) == 1
    assert "cut short" in source.warnings[0]


@pytest.mark.parametrize(("snaplen", "link"), [(0xFFFFFFFF, 1), (65535, 0x00010001)])
def test_what_only_looks_like_a_header_is_a_packet(snaplen: int, link: int, tmp_path: Path) -> None:
    # A record of an empty packet, of the year 2055, and what stands behind it.
    path = tmp_path / "odd"
    path.write_bytes(one(1) + struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, snaplen, link))
    rows, source = read_all(path)
    assert rows["ts"].tolist() == [10**9, 0xA1B2C3D4 * 10**9 + 0x00040002 * 1000]
    assert "cut short" in source.warnings[0]


def test_packed_one_by_one_and_joined(tmp_path: Path) -> None:
    for name, pack in (("gz", gzip.compress), ("zst", compress)):
        path = tmp_path / name
        path.write_bytes(b"".join(pack(one(second)) for second in range(3)))
        assert (read_all(path)[0]["ts"] // 10**9).tolist() == [0, 1, 2]


def test_the_cat_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    path = CASES / "cat-of-three-pcaps.pcap"
    by_name = read([str(path)])

    class Input:
        buffer = io.BytesIO(path.read_bytes())

        def isatty(self) -> bool:
            return False

    monkeypatch.setattr(sys, "stdin", Input())
    for capture in (by_name, read(["-"])):
        assert capture.packets == 1260
        assert capture.flows.row.size == 180
        assert round(capture.duration_s) == 259
        assert capture.warnings == ()
