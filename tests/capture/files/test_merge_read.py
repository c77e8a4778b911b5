"""Several captures are one stream in time order; damage and emptiness are said, never raised over or hidden."""

import gzip
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.settings import Settings
from peerburst.capture.errors import CaptureError, SettingsError
from peerburst.capture.files.merge import Packets, Reading, in_time_order
from peerburst.capture.files.source import PacketSource, Piece
from peerburst.capture.read import Progress, read
from peerburst.opening import analyse
from tests.support.making import HOST, Tape, local, ns, remote


def traffic() -> Tape:
    tape = Tape()
    for i in range(60):
        tape.exchange(i * 0.5, local(5000), remote(i % 20, 40_000 + i % 20), apart_s=0.3)
        if i % 10 == 0:
            tape.connection(i * 0.5 + 0.05, local(6000 + i), remote(i))
    return tape


def tape_of(frames: list[tuple[float, bytes]]) -> Tape:
    tape = Tape()
    tape.frames = frames
    return tape


def answers(analysis: Analysis) -> list[object]:
    """What is said of flows and hosts, whatever the flows' order."""
    table = analysis.flows.astype(str)
    return [sorted(map(tuple, table.to_numpy().tolist())), analysis.hosts, analysis.bursts, analysis.capture.packets]


def test_a_capture_in_two_parts_that_overlap_says_the_same(tmp_path: Path) -> None:
    whole = traffic()
    parts = [tape_of([frame for i, frame in enumerate(whole.frames) if (i * 7) % 3 == which]) for which in range(3)]
    one = analyse([whole.write(tmp_path / "whole.pcap")], Settings())
    paths = [part.write(tmp_path / f"part{i}.pcap") for i, part in enumerate(parts)]
    assert answers(analyse(paths, Settings())) == answers(one)
    assert answers(analyse(paths[::-1], Settings())) == answers(one)


def test_parts_one_after_the_other_may_be_named_in_any_order(tmp_path: Path) -> None:
    whole = traffic()
    frames = sorted(whole.frames, key=lambda frame: frame[0])
    one = analyse([whole.write(tmp_path / "whole.pcap")], Settings())
    early, late = (
        tape_of(frames[:50]).write(tmp_path / "early.pcap"),
        tape_of(frames[50:]).write(tmp_path / "late.pcap"),
    )
    assert answers(analyse([late, early], Settings())) == answers(one)


@given(st.lists(st.lists(st.integers(0, 10), max_size=12), min_size=1, max_size=4))
def test_packets_come_by_time_and_within_a_file_in_its_order(files: list[list[int]]) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        paths = []
        for number, seconds in enumerate(files):
            paths.append(str(Path(folder) / f"{number}.pcap"))
            write_unsorted(Path(paths[-1]), number, seconds)
        merged = [row for packets in in_time_order(paths, PacketSource) for row in packet_rows(packets)]
    found = [(int(row["sport"]) - 1000, int(row["dport"]) - 1000) for row in merged]
    # Each packet is due at the latest time its file has shown so far.
    due = [(max(seconds[: i + 1]), number, i) for number, seconds in enumerate(files) for i in range(len(seconds))]
    assert sorted(found) == sorted((number, i) for _at, number, i in due)
    times = {(number, i): at for at, number, i in due}
    assert [times[packet] for packet in found] == sorted(times.values())
    for number in range(len(files)):
        assert [i for file, i in found if file == number] == sorted(i for file, i in found if file == number)


def packet_rows(found: Piece | Packets) -> Packets:
    return found.decode() if isinstance(found, Piece) else found


def write_unsorted(path: Path, number: int, seconds: list[int]) -> None:
    from tests.support.packets_by_hand import NANOSECOND_MAGIC, UDP, ethernet, ipv4, pcap, udp

    frames = [ethernet(ipv4(udp(1000 + number, 1000 + i), UDP, HOST, "8.8.8.8")) for i in range(len(seconds))]
    records = [(*divmod(ns(at), 1_000_000_000), frame) for at, frame in zip(seconds, frames, strict=True)]
    path.write_bytes(pcap(records, magic=NANOSECOND_MAGIC))


# --- what can go wrong -----------------------------------------------------------------------------------------------


def test_a_file_cut_within_a_packet_gives_what_came_before(tmp_path: Path) -> None:
    tape = traffic()
    data = Path(tape.write(tmp_path / "whole.pcap")).read_bytes()
    path = tmp_path / "cut.pcap"
    path.write_bytes(data[:-5])
    capture = read([str(path)])
    assert capture.packets == len(tape.frames) - 1
    assert len(capture.warnings) == 1
    assert "cut short" in capture.warnings[0]
    assert str(path) in capture.warnings[0]


def test_damage_in_one_file_does_not_stop_the_others(tmp_path: Path) -> None:
    tape = traffic()
    whole = tape.write(tmp_path / "whole.pcap")
    broken = tmp_path / "broken.pcap"
    broken.write_bytes(Path(whole).read_bytes()[:24] + struct.pack("<IIII", 0, 0, 1 << 31, 1 << 31) + bytes(100))
    capture = read([str(broken), whole])
    assert capture.packets == len(tape.frames)
    assert [str(broken) in warning for warning in capture.warnings] == [True]


def test_a_compressed_file_cut_short_warns(tmp_path: Path) -> None:
    data = gzip.compress(Path(traffic().write(tmp_path / "whole.pcap")).read_bytes())
    path = tmp_path / "cut.pcap.gz"
    path.write_bytes(data[: len(data) * 3 // 4])
    capture = read([str(path)])
    assert capture.packets > 20
    assert "gzip stream is cut short" in capture.warnings[0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"hello world, this is text", "not a pcap or pcapng file"),
        (b"\xd4\xc3\xb2\xa1\0\0", "ends within"),
        (b"PK\x03\x04" + bytes(40), "a zip archive"),
        (b"snoop\0\0\0" + bytes(40), "Solaris snoop"),
    ],
)
def test_what_is_no_capture_is_refused_in_a_sentence(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "some.pcap"
    path.write_bytes(content)
    with pytest.raises(CaptureError, match=reason) as raised:
        read([str(path)])
    assert raised.value.path == str(path)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="no such file"):
        read([str(tmp_path / "missing.pcap")])
    with pytest.raises(CaptureError, match="is a folder"):
        read([str(tmp_path)])
    with pytest.raises(CaptureError, match="not a file"):
        read([""])
    with pytest.raises(CaptureError):
        read(["nul\0byte.pcap"])


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may read everything")
def test_a_file_one_may_not_read_is_refused(tmp_path: Path) -> None:
    path = Path(traffic().write(tmp_path / "secret.pcap"))
    path.chmod(0)
    with pytest.raises(CaptureError, match="Permission denied"):
        read([str(path)])


def test_no_capture_or_standard_input_twice_is_refused() -> None:
    with pytest.raises(SettingsError, match="no capture"):
        read([])
    with pytest.raises(SettingsError, match="only once"):
        read(["-", "-"])


def test_reading_stops_after_so_many_packets(tmp_path: Path) -> None:
    path = traffic().write(tmp_path / "whole.pcap")
    for count in (1, 7, 60):
        assert read([path], most_packets=count).packets == count


def test_a_capture_of_no_packets_is_read(tmp_path: Path) -> None:
    capture = read([Tape().write(tmp_path / "none.pcap")])
    assert (capture.packets, capture.flows.row.size, capture.duration_s, capture.warnings) == (0, 0, 0, ())


def test_progress_grows_to_the_whole(tmp_path: Path) -> None:
    path = traffic().write(tmp_path / "whole.pcap")
    seen: list[Progress] = []
    read([path], progress=seen.append)
    assert seen[-1].packets == len(traffic().frames)
    assert seen[-1].bytes_read == seen[-1].bytes_total == Path(path).stat().st_size


def test_an_interrupt_ends_the_reading_with_what_was_read(tmp_path: Path) -> None:
    path = traffic().write(tmp_path / "whole.pcap")

    def interrupt(_progress: Progress) -> None:
        raise KeyboardInterrupt

    capture = read([path], progress=interrupt)
    assert capture.packets == len(traffic().frames)
    assert "interrupted" in capture.warnings[-1]


# --- rings, and files named twice ------------------------------------------------------------------------------------


def ring(folder: Path, files: int, overlap: int = 0) -> list[str]:
    """One capture in so many files, each beginning within so many packets of the ends of those before it."""
    frames = sorted(traffic().frames, key=lambda frame: frame[0])
    size = -(-len(frames) // files)
    parts: list[list[tuple[float, bytes]]] = [[] for _ in range(files)]
    for i, frame in enumerate(frames):
        parts[min(max(i // size - (i % (overlap + 1)), 0), files - 1)].append(frame)
    return [tape_of(part).write(folder / f"{i:04}.pcap") for i, part in enumerate(parts)]


@pytest.mark.parametrize("overlap", [0, 1, 2])
def test_only_files_that_overlap_in_time_are_open(overlap: int, tmp_path: Path) -> None:
    whole = analyse([traffic().write(tmp_path / "whole.pcap")], Settings())
    paths = ring(tmp_path, 30, overlap)
    for order in (paths, paths[::-1], paths[1::2] + paths[::2]):
        reading, most = Reading(), 0
        for _packets in in_time_order(order, PacketSource, reading):
            most = max(most, reading.most_open)
        assert most <= 2 + 2 * overlap
        assert reading.opened == []
        assert answers(analyse(order, Settings())) == answers(whole)


def test_hundreds_of_files_under_a_low_limit(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    least, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    here = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 64
    paths = ring(tmp_path, 150)
    resource.setrlimit(resource.RLIMIT_NOFILE, (here + 30, most))
    try:
        capture = read(paths)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (least, most))
    assert capture.packets == len(traffic().frames)


def test_damage_in_a_ring_is_said_of_the_file_that_has_it(tmp_path: Path) -> None:
    paths = ring(tmp_path, 5)
    with Path(paths[3]).open("ab") as file:
        file.write(bytes(5))
    capture = read(paths[::-1])
    assert [paths[3] in warning for warning in capture.warnings] == [True]
    assert capture.packets == len(traffic().frames)


def test_a_file_without_packets_among_others(tmp_path: Path) -> None:
    paths = [*ring(tmp_path, 3), tape_of([]).write(tmp_path / "empty.pcap")]
    assert read(paths).packets == len(traffic().frames)


@pytest.mark.parametrize("how", ["same", "other spelling", "symbolic link", "hard link"])
def test_a_file_named_twice_is_read_once(how: str, tmp_path: Path) -> None:
    path = traffic().write(tmp_path / "whole.pcap")
    again = {"same": path, "other spelling": str(tmp_path / "." / ".." / tmp_path.name / "whole.pcap")}.get(
        how, str(tmp_path / "again.pcap")
    )
    if how == "symbolic link":
        Path(again).symlink_to(path)
    elif how == "hard link":
        Path(again).hardlink_to(path)
    capture = read([path, again, again])
    also = "" if again == path else f", also as {path}"
    assert capture.packets == len(traffic().frames)
    assert capture.paths == (path,)
    assert capture.warnings == (f"{again}: is named more than once{also}; it was read once",)


def test_a_copy_under_another_name_is_another_file(tmp_path: Path) -> None:
    path = Path(traffic().write(tmp_path / "whole.pcap"))
    (tmp_path / "copy.pcap").write_bytes(path.read_bytes())
    assert read([str(path), str(tmp_path / "copy.pcap")]).packets == 2 * len(traffic().frames)
