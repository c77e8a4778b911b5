"""pcapng captures: sections, byte orders, interfaces, resolutions, the three packet blocks, damage."""

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerburst.capture.errors import CaptureError
from peerburst.capture.files.pcapng import INTERFACE_ROW, LATEST_NS, walk
from peerburst.capture.packets.record import FRAME as FRAME_ROW
from peerburst.capture.packets.status import Status
from tests.support.bytes_through_kernels import read_all
from tests.support.packets_by_hand import (
    block,
    enhanced,
    ethernet,
    hexed,
    interface,
    ipv4,
    old_packet,
    option,
    section,
    simple,
    udp,
)

FRAME = ethernet(ipv4(udp(5000, 5001, b"abc"), 17))
RAW_FRAME = ipv4(udp(6000, 6001), 17)


def written(folder: Path, data: bytes) -> Path:
    path = folder / "capture.pcapng"
    path.write_bytes(data)
    return path


def resolution(value: int, order: str = "<") -> bytes:
    return option(order, 9, bytes([value]))


def test_a_capture_byte_by_byte(tmp_path: Path) -> None:
    # 2010-04-05 20:00:01.000002 IP 10.0.0.1.5000 > 10.0.0.2.5001: UDP, length 3
    data = hexed("""
        0a0d0d0a 1c000000 4d3c2b1a 0100 0000 ffffffffffffffff 1c000000 # section header
        01000000 14000000 0100 0000 00000400 14000000                  # interface: Ethernet
        06000000 50000000 00000000 82830400 421232c6 2d000000 dc050000 # high and low of 1270497601000002 us, 45 of 1500
        020000000002 020000000001 0800
        4500001f 00010000 40110000 0a000001 0a000002 1388 1389 000b 0000 616263
        000000 50000000
    """)
    rows, source = read_all(written(tmp_path, data))
    assert rows["ts"].tolist() == [1_270_497_601_000_002_000]
    assert rows["sport"].tolist() == [5000]
    assert source.warnings == []


@pytest.mark.parametrize("order", ["<", ">"])
def test_all_packet_blocks_in_both_byte_orders(order: str, tmp_path: Path) -> None:
    data = section(order) + interface(order) + interface(order, link=101)
    data += simple(FRAME, order)
    data += enhanced(FRAME, 5_000_000, order)
    data += simple(FRAME, order)
    data += old_packet(RAW_FRAME, 6_000_000, order, which=1)
    data += enhanced(RAW_FRAME, 7_000_000, order, which=1)
    rows, source = read_all(written(tmp_path, data))
    assert rows["sport"].tolist() == [5000, 5000, 5000, 6000, 6000]
    assert (rows["ts"] // 10**9).tolist() == [0, 5, 5, 6, 7]  # simple packets take the time of the one before
    assert source.warnings == []


def test_sections_begin_anew_whatever_their_byte_order(tmp_path: Path) -> None:
    data = section("<") + interface("<") + enhanced(FRAME, 1_000_000)
    data += section(">") + interface(">", link=101, options=resolution(3, ">")) + enhanced(RAW_FRAME, 2_000, ">")
    data += section("<") + interface("<") + enhanced(FRAME, 3_000_000)
    rows, source = read_all(written(tmp_path, data))
    assert rows["sport"].tolist() == [5000, 6000, 5000]
    assert (rows["ts"] // 10**9).tolist() == [1, 2, 3]
    assert source.warnings == []


RESOLUTIONS = {
    # if_tsresol: (ticks, nanoseconds)
    0: (7, 7_000_000_000),
    3: (1_270_497_601_002, 1_270_497_601_002_000_000),
    6: (1_270_497_601_000_002, 1_270_497_601_000_002_000),
    9: (1_270_497_601_000_002_003, 1_270_497_601_000_002_003),
    12: (1_270_497_601_000_002_003, 1_270_497_601_000_002),
    0x80 | 10: (1_270_497_601 * 1024 + 512, 1_270_497_601_500_000_000),
    0x80 | 20: (1_270_497_601 * 2**20 + 2**18, 1_270_497_601_250_000_000),
    0x80 | 32: (1_270_497_601 * 2**32 + 2**31, 1_270_497_601_500_000_000),  # NTP's own
    0x80: (7, 7_000_000_000),
}


@pytest.mark.parametrize("value", RESOLUTIONS)
def test_resolutions(value: int, tmp_path: Path) -> None:
    ticks, ns = RESOLUTIONS[value]
    data = section() + interface(options=resolution(value)) + enhanced(FRAME, ticks)
    assert read_all(written(tmp_path, data))[0]["ts"].tolist() == [ns]


def stamp(ticks: int, value: int, offset_s: int = 0) -> int:
    """One time stamp through the kernel."""
    rows = np.zeros(1, INTERFACE_ROW)
    rows[0] = (1, -(value & 0x7F) if value & 0x80 else value, offset_s, 0)
    data = np.frombuffer(enhanced(b"", ticks), np.uint8).copy()
    frames = np.zeros(1, FRAME_ROW)
    with np.errstate(over="ignore"):
        count, _at, _verdict = walk(data, 0, data.size, False, rows, 0, frames)
    assert count == 1
    return int(frames["ts"][0])


@given(st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 2**40)), st.integers(0, 255), st.integers(-(2**34), 2**34))
def test_any_time_at_any_resolution_is_right_to_the_nanosecond_or_clamped(
    ticks: int, value: int, offset_s: int
) -> None:
    exponent = value & 0x7F
    per_second = 2**exponent if value & 0x80 else 10**exponent
    exact = min(int(Fraction(ticks, per_second) * 10**9), LATEST_NS) + offset_s * 10**9
    exact = max(-LATEST_NS, min(LATEST_NS, exact))
    error = exact - stamp(ticks, value, offset_s)
    # Ticks finer than 2^-30 s are cut to that, which may lose a nanosecond; binary ones are clamped a second early.
    assert 0 <= error <= 1 or (ticks // per_second >= LATEST_NS // 10**9 and abs(error) < 10**9)


@pytest.mark.parametrize(("offset_s", "second"), [(3600, 3601), (-3600, -3599), (2**62, LATEST_NS // 10**9)])
def test_an_interface_may_offset_its_time(offset_s: int, second: int, tmp_path: Path) -> None:
    options = option("<", 14, struct.pack("<q", offset_s))
    data = section() + interface(options=options) + enhanced(FRAME, 1_000_000)
    rows, _source = read_all(written(tmp_path, data))
    assert int(rows["ts"][0]) // 10**9 == second


def test_a_simple_packet_ends_at_the_interfaces_snaplen(tmp_path: Path) -> None:
    data = section() + interface(snaplen=30) + simple(FRAME[:30], wire=len(FRAME)) + simple(FRAME[:20], wire=20)
    rows, source = read_all(written(tmp_path, data))
    assert rows["status"].tolist() == [Status.TRUNCATED, Status.TRUNCATED]
    assert source.warnings == []


def test_options_and_blocks_that_are_not_known_are_passed_over(tmp_path: Path) -> None:
    options = option("<", 2, b"eth0") + option("<", 200, b"x") + resolution(9) + option("<", 0, b"") + resolution(3)
    data = section() + block("<", 0x0BAD, b"vendor's own") + interface(options=options) + block("<", 4, bytes(8))
    data += block("<", 10, bytes(5000)) + enhanced(FRAME, 77) + block("<", 0xFFFF, b"")
    rows, source = read_all(written(tmp_path, data))
    assert rows["ts"].tolist() == [77]
    assert source.warnings == []


def test_a_block_longer_than_the_window_is_skipped(tmp_path: Path) -> None:
    data = section() + interface() + block("<", 10, bytes(5 << 20)) + enhanced(FRAME, 5)
    rows, source = read_all(written(tmp_path, data))
    assert (rows.size, source.warnings) == (1, [])


def statistics(which: int, dropped: int, order: str = "<", os_dropped: int = 0) -> bytes:
    counts = option(order, 5, struct.pack(order + "Q", dropped)) + option(
        order, 7, struct.pack(order + "Q", os_dropped)
    )
    return block(order, 5, struct.pack(order + "III", which, 0, 0) + option(order, 4, bytes(8)) + counts)


def test_drops_are_cumulative_by_interface_and_add_up_over_sections(tmp_path: Path) -> None:
    data = section() + interface() + interface() + statistics(0, 5) + statistics(1, 100, os_dropped=1)
    data += statistics(0, 7) + enhanced(FRAME)
    data += section(">") + interface(">") + statistics(0, 1000, ">")
    _rows, source = read_all(written(tmp_path, data))
    assert source.drops == 7 + 101 + 1000


def test_the_addresses_of_the_capturing_machine(tmp_path: Path) -> None:
    options = option("<", 4, bytes([10, 0, 0, 1, 255, 0, 0, 0])) + option("<", 5, bytes(15) + b"\1\x40")
    _rows, source = read_all(written(tmp_path, section() + interface(options=options)))
    assert source.addresses == ["10.0.0.1", "::1"]


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_capture_cut_anywhere_gives_the_whole_packets_before_the_cut(order: str, tmp_path: Path) -> None:
    head = section(order) + interface(order)
    packets = [enhanced(FRAME, 1_000_000, order), statistics(0, 1, order), old_packet(FRAME, 2_000_000, order)]
    packets.append(simple(FRAME, order))
    data = head + b"".join(packets)
    ends = [len(head)]
    for packet in packets:
        ends.append(ends[-1] + len(packet))
    for size in range(len(data)):
        path = written(tmp_path, data[:size])
        try:
            rows, source = read_all(path)
        except CaptureError:
            assert size < len(section(order))
            continue
        whole = sum(end <= size for end in (ends[1], ends[3], ends[4]))
        assert rows.size == whole
        assert bool(source.warnings) == (size not in (len(section(order)), *ends)), f"cut at {size}"
        assert all(warning.startswith(f"{path}: ") for warning in source.warnings)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (struct.pack("<II", 6, 8) + bytes(8), "a record at byte 128 has an impossible length"),
        (struct.pack("<II", 6, 33) + bytes(40), "a record at byte 128 has an impossible length"),
        (struct.pack("<II", 6, 28) + bytes(40), "a record at byte 128 has an impossible length"),
        (struct.pack("<II", 3, 12) + bytes(40), "a record at byte 128 has an impossible length"),
        (struct.pack("<II", 6, 2**32 - 4) + bytes(40), "a record at byte 128 has an impossible length"),
        (struct.pack("<II", 1, 16) + bytes(40), "a block at byte 128 has an impossible length"),
        (struct.pack("<II", 9, 2**32 - 4) + bytes(40), "is cut short within a block"),
        (enhanced(FRAME, which=1), "a packet at byte 128 is of an interface that was never described"),
        (old_packet(FRAME, which=65535), "a packet at byte 128 is of an interface that was never described"),
        (struct.pack("<IIIII", 6, 36, 0, 0, 0) + struct.pack("<II", 5, 5) + bytes(8), "a record at byte 128 has an"),
        (struct.pack("<III", 0x0A0D0D0A, 28, 7) + bytes(16), "has a pcapng section whose byte order is neither"),
        (
            hexed("0a0d0d0a 1c000000 4d3c2b1a 0200 0000") + bytes(12),
            "is a pcapng file of version 2, and only version 1",
        ),
    ],
)
def test_damage_ends_the_reading_with_a_sentence(damage: bytes, sentence: str, tmp_path: Path) -> None:
    good = section() + interface() + enhanced(FRAME)
    assert len(good) == 128
    path = written(tmp_path, good + damage)
    rows, source = read_all(path)
    assert rows.size == 1
    (warning,) = source.warnings
    assert warning.startswith(f"{path}: {sentence}")
    assert warning.endswith("; what came before it was read")


def test_a_simple_packet_of_no_interface_ends_the_reading(tmp_path: Path) -> None:
    rows, source = read_all(written(tmp_path, section() + simple(FRAME)))
    assert rows.size == 0
    assert "of an interface that was never described" in source.warnings[0]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (hexed("0a0d0d0a 1c000000 11223344 0100 0000 ffffffffffffffff 1c000000"), "byte order is neither of the two"),
        (hexed("0a0d0d0a 1c000000 4d3c2b1a 0300 0000 ffffffffffffffff 1c000000"), "pcapng file of version 3"),
    ],
)
def test_what_is_no_pcapng_from_its_first_block_is_an_error(data: bytes, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=sentence):
        read_all(written(tmp_path, data))
