"""Captures that lie about lengths, counts and times, bombs, hostile names, and short runs of the fuzzer."""

import bz2
import gzip
import json
import lzma
import os
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import numpy as np
import pytest

from peerburst.analysis.gateways import shipped
from peerburst.analysis.settings import Settings
from peerburst.capture.errors import CaptureError
from peerburst.capture.files import zstd
from peerburst.capture.files.pcap import MOST_ZERO_RECORDS
from peerburst.capture.files.pcapng import LATEST_NS
from peerburst.capture.packets.status import Status
from peerburst.capture.read import Capture, read
from peerburst.opening import analyse
from tests.lab.hostile import mutation, seeds, sweep
from tests.support.kernels import COMPILED
from tests.support.packets_by_hand import (
    SYN,
    TCP,
    UDP,
    block,
    enhanced,
    ethernet,
    interface,
    ipv4,
    option,
    pcap,
    section,
    tcp,
    udp,
)

FRAME = ethernet(ipv4(udp(5000, 53), UDP, "192.168.1.2", "93.184.216.34"))
GOOD = [(1_700_000_000, 0, FRAME)]
MANY = 1_000_000 if COMPILED else 20_000
MODELS = shipped()


@pytest.fixture
def reading(tmp_path: Path) -> Callable[[bytes], Capture]:
    """Reads a file of these bytes."""

    def run(data: bytes) -> Capture:
        path = tmp_path / "hostile"
        path.write_bytes(data)
        return read([str(path)])

    return run


Reading = Callable[[bytes], Capture]


@pytest.fixture(scope="module", autouse=True)
def warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every kernel is compiled, or loaded, before anything is timed."""
    path = tmp_path_factory.mktemp("warm") / "capture"
    for name in ("link-127", "pcapng-little"):
        path.write_bytes(seeds.plain()[name])
        sweep.judge(path)


def words(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


# ------------------------------------------------------------------------------------------------- lengths that lie


@pytest.mark.parametrize("held", [2**32 - 1, 2**31, 262_145], ids=["4 GB", "2 GB", "one byte too many"])
def test_a_record_of_impossible_length_ends_the_reading_with_a_sentence(held: int, reading: Reading) -> None:
    capture = reading(pcap(GOOD) + words(1, 0, held, held) + FRAME)
    assert capture.packets == 1
    assert capture.warnings[0].endswith("a record at byte 82 has an impossible length; what came before it was read")


def test_a_record_that_goes_beyond_the_file_is_a_cut_capture(reading: Reading) -> None:
    capture = reading(pcap(GOOD) + words(1, 0, 262_144, 262_144) + FRAME)
    assert capture.packets == 1
    assert "is cut short: its last 58 bytes are no whole packet" in capture.warnings[0]


def test_a_frame_that_claims_4_gb_on_the_wire_counts_by_its_ip_length(reading: Reading) -> None:
    capture = reading(pcap([]) + words(1, 0, len(FRAME), 2**32 - 1) + FRAME)
    assert capture.statuses[Status.DECODED] == 1
    assert capture.flows.row["a_bytes"].sum() + capture.flows.row["b_bytes"].sum() == 28


@pytest.mark.parametrize("snaplen", [0, 1, 2**31, 2**32 - 1])
def test_a_snaplen_is_not_believed(snaplen: int, reading: Reading) -> None:
    assert reading(pcap(GOOD, snaplen=snaplen)).statuses[Status.DECODED] == 1
    assert reading(section() + interface(snaplen=snaplen) + enhanced(FRAME)).statuses[Status.DECODED] == 1


@pytest.mark.parametrize("length", [0, 4, 8, 11, 13, 2**31 + 1])
@pytest.mark.parametrize("kind", [0, 1, 2, 3, 4, 5, 6, 0x0A0D0D0A, 0x0BAD])
def test_a_block_of_impossible_length_ends_the_reading_with_a_sentence(
    kind: int, length: int, reading: Reading
) -> None:
    capture = reading(section() + interface() + enhanced(FRAME) + words(kind, length, 0x1A2B3C4D, 1) + bytes(64))
    assert capture.packets == 1
    assert "impossible length" in capture.warnings[0] or "cut short" in capture.warnings[0]


@pytest.mark.parametrize("held", [2**32 - 1, 2**31, 1000])
def test_a_packet_block_that_claims_more_than_it_holds(held: int, reading: Reading) -> None:
    lie = block("<", 6, words(0, 0, 0, held, held) + FRAME)
    capture = reading(section() + interface() + enhanced(FRAME) + lie)
    assert capture.packets == 1
    assert "impossible length" in capture.warnings[0]


def test_a_simple_packet_that_claims_4_gb_is_as_long_as_its_block(reading: Reading) -> None:
    capture = reading(section() + interface() + block("<", 3, words(2**32 - 1) + FRAME))
    assert capture.statuses[Status.DECODED] == 1


@pytest.mark.parametrize("length", [16, 2**31, 2**32 - 4])
def test_a_skipped_block_that_goes_beyond_the_file(length: int, reading: Reading) -> None:
    capture = reading(section() + interface() + enhanced(FRAME) + words(0x0BAD, length) + bytes(3))
    assert capture.packets == 1
    assert len(capture.warnings) == 1


@pytest.mark.parametrize(
    "options",
    [
        words(0xFFFF_0009),  # a resolution of 65535 bytes
        bytes([9, 0, 0, 0]) * 1000,  # resolutions of none, without an end
        bytes([4, 0, 3, 0]) + b"\1\2\3\0",  # an address of three bytes
        bytes([14, 0, 8, 0]) + b"\xff" * 7 + b"\x7f",  # an offset of 292 billion years
        b"\xff" * 400,
    ],
    ids=["beyond the block", "never ending", "short address", "offset", "ones"],
)
def test_options_that_lie(options: bytes, reading: Reading) -> None:
    capture = reading(section() + interface(options=options) + enhanced(FRAME, 1))
    assert capture.statuses[Status.DECODED] == 1
    assert abs(capture.first_ns) <= LATEST_NS


# ------------------------------------------------------------------------------------------------------------ many


def quickly(seconds: float) -> float:
    """A bound on time that a busy machine keeps too, and uncompiled kernels."""
    return seconds * (4 if COMPILED else 10)


def test_a_hundred_thousand_interfaces(reading: Reading) -> None:
    many = MANY // 10
    began = time.perf_counter()
    capture = reading(section() + interface() * many + enhanced(FRAME, which=many - 1))
    assert capture.statuses[Status.DECODED] == 1
    assert time.perf_counter() - began < quickly(2)


def test_more_interfaces_than_that_are_refused(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peerburst.capture.files.pcapng.MOST_INTERFACES", 10)
    with pytest.raises(CaptureError, match="describes more than 10 interfaces"):
        reading(section() + interface() * 11)
    capture = reading(section() + interface() + enhanced(FRAME) + interface() * 10)
    assert (capture.packets, len(capture.warnings)) == (1, 1)


def test_interfaces_between_packets_cost_no_more_than_they_are_many(reading: Reading) -> None:
    """Looking through all interfaces at every packet took minutes."""
    many = MANY // 20
    began = time.perf_counter()
    capture = reading(section() + (interface() + enhanced(FRAME)) * many)
    assert capture.packets == many
    assert time.perf_counter() - began < quickly(4)


def test_statistics_of_many_interfaces_cost_no_more_than_they_are_many(reading: Reading) -> None:
    """Adding all up at every block took minutes."""
    many = MANY // 20
    drops = option("<", 5, struct.pack("<Q", 3))
    blocks = b"".join(block("<", 5, words(which, 0, 0) + drops) for which in range(many))
    began = time.perf_counter()
    capture = reading(section() + interface() + blocks + blocks + enhanced(FRAME))
    assert (capture.packets, capture.drops) == (1, 3 * many)  # the second of an interface replaces the first
    assert time.perf_counter() - began < quickly(4)


def test_a_name_resolution_block_of_100_mb_is_passed_over(tmp_path: Path) -> None:
    size = 100_000_000
    path = tmp_path / "names.pcapng"
    with path.open("wb") as file:
        file.write(section() + interface() + enhanced(FRAME) + words(4, size))
        file.seek(size - 12, os.SEEK_CUR)
        file.write(words(size) + enhanced(FRAME))
    capture = read([str(path)])
    assert (capture.packets, capture.warnings) == (2, ())


def test_a_section_for_every_packet(reading: Reading) -> None:
    many = MANY // 100
    capture = reading((section() + interface() + enhanced(FRAME) + section(">") + interface(">")) * many)
    assert (capture.packets, capture.flows.row.size) == (many, 1)


# ------------------------------------------------------------------------------------------------------------ times


def test_times_in_the_year_584556_are_clamped(reading: Reading) -> None:
    """2^64 - 1 microseconds since 1970."""
    capture = reading(section() + interface() + enhanced(FRAME, 2**64 - 1))
    assert capture.first_ns == capture.last_ns == LATEST_NS


@pytest.mark.parametrize("resolution", [0, 1, 6, 9, 12, 19, 20, 127, 0x80, 0x8A, 0xBF, 0xC0, 0xDE, 0xFF])
def test_every_resolution_gives_a_time_that_can_be_worked_with(resolution: int, reading: Reading) -> None:
    described = interface(options=option("<", 9, bytes([resolution])) + option("<", 14, struct.pack("<q", -(2**63))))
    capture = reading(section() + described + enhanced(FRAME, 2**64 - 1) + enhanced(FRAME, 0))
    assert -LATEST_NS <= capture.first_ns <= capture.last_ns <= LATEST_NS
    assert_sound(capture)


def test_packets_dated_backwards_give_entries_that_end_after_they_start(reading: Reading) -> None:
    capture = reading(pcap([(1000 - i, 0, frame) for i, frame in enumerate(seeds.conversation() * 3)]))
    assert_sound(capture)


@pytest.mark.parametrize("successor_s", [8, 2], ids=["same tick", "dated before"])
def test_a_5_tuple_taken_over_no_later_than_its_last_packet(successor_s: int, reading: Reading) -> None:
    """A reset after the close, and the next SYN in the same tick of a coarse clock, or by another one dated before."""

    def out(flags: int) -> bytes:
        return ethernet(ipv4(tcp(40000, 80, flags), TCP, "192.168.1.2", "93.184.216.34"))

    def back(flags: int) -> bytes:
        return ethernet(ipv4(tcp(80, 40000, flags), TCP, "93.184.216.34", "192.168.1.2"))

    packets = [(3, out(16)), (4, back(17)), (5, out(17)), (6, back(16)), (8, back(20)), (successor_s, out(SYN))]
    capture = reading(pcap([(at, 0, frame) for at, frame in packets]))
    assert capture.flows.row.size == 2
    assert_sound(capture)


# ------------------------------------------------------------------------------------------------------ conservation


def assert_sound(capture: Capture) -> None:
    """Sums are conserved, entries of all models end after they start, the timeline is finite."""
    flows = capture.flows
    assert sum(capture.statuses.values()) == capture.packets
    assert int(flows.row["a_pkts"].sum() + flows.row["b_pkts"].sum()) == capture.statuses[Status.DECODED]
    assert (flows.segments["start"] <= flows.segments["last"]).all()
    mutation.check_models(flows, MODELS)


@pytest.mark.parametrize("name", seeds.plain())
def test_seeds_are_sound_and_are_answered(name: str, tmp_path: Path) -> None:
    path = tmp_path / "seed"
    path.write_bytes(seeds.plain()[name])
    assert sweep.judge(path, quickly(2)).fault is None
    analysis = analyse([str(path)], Settings(models=tuple(model.name for model in MODELS)))
    assert_sound(analysis.capture)
    for host in analysis.hosts[:3]:
        step_s = max(analysis.capture.duration_s / 100, 1.0)
        for model in analysis.models:
            table = analysis.timeline(host.name, model.name, step_s=step_s)
            assert np.isfinite(table.to_numpy(np.float64)).all()
            assert (table.to_numpy(np.float64) >= 0).all()


@pytest.mark.parametrize("name", ["pcap-a1b2c3d4-little", "pcapng-big", "ng-options", "ng-sections", "tunnel-Geneve"])
def test_every_prefix_is_answered_or_refused(name: str, tmp_path: Path) -> None:
    whole = seeds.plain()[name]
    path = tmp_path / "prefix"
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        try:
            assert_sound(read([str(path)], follow_tunnels=True))
        except CaptureError:
            assert size < 40  # within the header of the file, the section or the interface
        if size % (32 if COMPILED else 128) == 0:
            assert sweep.judge(path, quickly(2)).fault is None, size


# ------------------------------------------------------------------------------------------------------------ bombs

ZEROS = 1 << 28 if COMPILED else 1 << 22
PIECE = bytes(1 << 20)


def members(compress: Callable[[bytes], bytes]) -> bytes:
    """A capture and its zeros as many small members."""
    return compress(pcap(GOOD)) + compress(PIECE) * (ZEROS >> 20)


def one_gzip() -> bytes:
    packer = zlib.compressobj(1, wbits=31)
    return packer.compress(pcap(GOOD)) + b"".join(packer.compress(PIECE) for _ in range(ZEROS >> 20)) + packer.flush()


BOMBS: dict[str, Callable[[], bytes]] = {
    "gzip": one_gzip,
    "gzip members": lambda: members(gzip.compress),
    "zstd": lambda: members(zstd.compress),
    "xz": lambda: members(lambda data: lzma.compress(data, preset=0)),
    "lz4": lambda: members(lz4.frame.compress),
    "bzip2": lambda: members(bz2.compress),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_of_zeros_ends_where_the_zeros_begin(name: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(BOMBS[name]())
    began, before = time.perf_counter(), sweep.peak_mib()
    capture = read([str(path)])
    assert (capture.packets, capture.first_ns) == (1, 1_700_000_000_000_000_000)
    assert capture.warnings == (
        f"{path}: at byte 82 a long run of zeros begins, which are no packets; what came before it was read",
    )
    assert time.perf_counter() - began < quickly(2)
    assert sweep.peak_mib() - before < 100


@pytest.mark.skipif(not COMPILED, reason="a million records take uncompiled kernels their time")
def test_a_bomb_of_records_takes_no_more_memory_than_its_flows(tmp_path: Path) -> None:
    """A gigabyte of one record, over and over, out of three megabytes: packets like any others."""
    record = pcap(GOOD)[24:]
    piece = record * 10_000
    packer = zlib.compressobj(1, wbits=31)
    path = tmp_path / "bomb.gz"
    many = 400
    path.write_bytes(packer.compress(pcap([])) + b"".join(packer.compress(piece) for _ in range(many)) + packer.flush())
    before = sweep.peak_mib()
    capture = read([str(path)])
    assert (capture.packets, capture.flows.row.size) == (10_000 * many, 1)
    assert sweep.peak_mib() - before < 100


@pytest.mark.parametrize("count", [1, MOST_ZERO_RECORDS - 1])
def test_a_few_records_of_zeros_are_counted_as_others_count_them(count: int, reading: Reading) -> None:
    capture = reading(pcap([(0, 0, b"")] * count + GOOD))
    assert (capture.packets, capture.statuses[Status.TRUNCATED]) == (count + 1, count)
    assert capture.warnings == ()


def test_a_run_of_zeros_longer_than_a_window_or_a_batch(reading: Reading) -> None:
    capture = reading(pcap(GOOD * 4000) + bytes(1 << 20))
    assert capture.statuses[Status.DECODED] == 4000
    assert capture.packets < 4000 + MOST_ZERO_RECORDS
    assert len(capture.warnings) == 1


def test_zeros_in_a_pcapng_end_it(reading: Reading) -> None:
    capture = reading(section() + interface() + enhanced(FRAME) + bytes(1 << 16))
    assert capture.packets == 1
    assert "impossible length" in capture.warnings[0]


@pytest.mark.parametrize("name", seeds.compressed())
def test_damage_anywhere_in_a_compressed_capture(name: str, tmp_path: Path) -> None:
    whole = seeds.compressed()[name]
    path = tmp_path / "damaged"
    for at in range(0, len(whole), 11 if COMPILED else 41):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        assert sweep.judge(path, quickly(2)).fault is None, at
        path.write_bytes(whole[:at])
        assert sweep.judge(path, quickly(2)).fault is None, at


# ------------------------------------------------------------------------------------------------- names that attack

HOSTILE_NAMES = [
    "<script>alert(1)</script>",
    "\x1b[2J\x1b]0;owned\x07",
    "=cmd|' /C calc'!A0",
    "a\nb\rc",
    "\u202egnp.exe",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_file_name_cannot_speak_to_the_terminal(name: str, tmp_path: Path) -> None:
    path = tmp_path / name.replace("/", "|")
    path.write_bytes(pcap(GOOD) + b"\0")
    for arguments in (["analyze", str(path)], ["analyze", "--format", "json", str(path)], ["flows", str(path)]):
        outcome, out, err = sweep.run(arguments)
        assert outcome.code == 0
        text = out + err
        assert not any(mark in text for mark in "\x1b\x07\r\u202e")
        assert err.count("\n") == 1  # the warning is one line, whatever the name


def test_a_missing_file_with_a_hostile_name_is_one_line(tmp_path: Path) -> None:
    outcome, out, err = sweep.run(["analyze", str(tmp_path / "\x1b[31m\nowned")])
    assert (outcome.code, out, err.count("\n")) == (1, "", 1)
    assert "\x1b" not in err


# ------------------------------------------------------------------------------------------------------------ fuzzing


@pytest.mark.parametrize("way", mutation.Way)
def test_the_mutation_fuzzer_finds_nothing_in_a_short_run(way: mutation.Way, tmp_path: Path) -> None:
    fuzzer = mutation.Fuzzer(mutation.own_seeds(), 7, way, tmp_path)
    batches = (100 if way is mutation.Way.READER else 1000) if COMPILED else 2
    fuzzer.run(range(batches), np.inf)
    assert fuzzer.tally.crashes == []
    assert fuzzer.tally.executions == batches * mutation.IMAGES
    assert fuzzer.tally.decoded > fuzzer.tally.executions / 4  # most images still lead far into the decoding
    assert fuzzer.tally.segments > fuzzer.tally.flows > 0


def test_images_depend_on_nothing_but_their_numbers() -> None:
    rows, sizes = mutation.matrix(mutation.own_seeds())

    def images(start: int, batch: int) -> bytes:
        return mutation.batch_of_images(rows, sizes, start, batch)[0].tobytes()

    assert images(5, 3) == images(5, 3)
    assert len({images(5, 3), images(6, 3), images(5, 4)}) == 3


def test_the_fuzzer_notices_a_kernel_that_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object) -> None:
        raise IndexError("out of bounds")

    monkeypatch.setattr("peerburst.capture.files.source.decode", broken)
    fuzzer = mutation.Fuzzer(mutation.own_seeds(), 7, mutation.Way.READER, tmp_path)
    fuzzer.run(range(1), np.inf)
    assert len(fuzzer.tally.crashes) > 100
    assert "IndexError: out of bounds" in fuzzer.tally.crashes[0]
    assert (tmp_path / fuzzer.tally.crashes[0].split(":")[0]).stat().st_size > 0


# ----------------------------------------------------------------------------------------------------- real captures


@pytest.mark.corpus
def test_hostile_captures_through_the_command_line(corpus: Path) -> None:
    files = sweep.captures_in(corpus / "hostile")[:: 20 if COMPILED else 100]
    sweep.judge(files[0])
    report = sweep.sweep(files, quickly(2))
    assert report["faults"] == {}
    assert report["files"] == len(files) > 10


@pytest.mark.corpus
@pytest.mark.skipif(not COMPILED, reason="time and memory of uncompiled kernels say nothing")
def test_hostile_captures_in_processes_of_their_own(corpus: Path) -> None:
    """Two seconds of processor and 300 MB, start included.

    A small process stands between: what a process counts as its peak begins with that of the one it was forked from.
    """
    between = (
        "import json, resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(json.dumps([done.returncode, done.stderr, used.ru_maxrss / 1024, used.ru_utime + used.ru_stime]))"
    )
    files = sweep.captures_in(corpus / "hostile")[::300]
    for path in files:
        sweep.judge(path)  # compiles what it needs, which is not what is measured
        command = [sys.executable, "-c", between, sys.executable, "-m", "peerburst", "analyze", "--inner", str(path)]
        code, said, peak_mib, seconds = json.loads(subprocess.check_output(command))
        assert code in (0, 1)
        assert "Traceback" not in said
        assert peak_mib < 300
        assert seconds < quickly(2)
