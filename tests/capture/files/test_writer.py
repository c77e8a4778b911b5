"""Captures are written byte for byte as the formats say, and whole or not at all."""

import gzip
import io
from pathlib import Path

import pytest

from peerburst.capture.errors import CaptureError, SettingsError
from peerburst.capture.files import zstd
from peerburst.capture.files.writer import Container, PacketWriter, container_of, open_capture

# 2010-04-05 20:00:01.000002003 UTC
MOMENT_NS = 1_270_497_601_000_002_003


def written(container: Container, *, snaplen: int = 262_144, comment: str = "") -> bytes:
    file = io.BytesIO()
    writer = PacketWriter(file, container, snaplen=snaplen, comment=comment)
    writer.write(MOMENT_NS, b"\x01\x02\x03\x04\x05")
    return file.getvalue()


def test_classic_capture_is_as_written_by_hand() -> None:
    expected = (
        "d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000"  # magic, 2.4, zone, sigfigs, snaplen, Ethernet
        "4141ba4b 02000000 05000000 05000000 0102030405"  # seconds, microseconds, kept, length, bytes
    )
    assert written(Container.PCAP) == bytes.fromhex(expected)


def test_pcapng_is_as_written_by_hand() -> None:
    high, low = divmod(MOMENT_NS, 2**32)
    expected = (
        "0a0d0d0a 1c000000 4d3c2b1a 0100 0000 ffffffffffffffff 1c000000"  # section header
        "01000000 20000000 0100 0000 00000400 0900 0100 09000000 0000 0000 20000000"  # interface, if_tsresol 9
        "06000000 28000000 00000000"
        f"{high.to_bytes(4, 'little').hex()} {low.to_bytes(4, 'little').hex()}"
        "05000000 05000000 0102030405 000000 28000000"  # padded to 32 bits
    )
    assert written(Container.PCAPNG) == bytes.fromhex(expected)


def test_pcapng_keeps_a_comment_in_its_section_header() -> None:
    data = written(Container.PCAPNG, comment="hotel")
    assert data[24:38] == bytes.fromhex("0100 0500") + b"hotel" + bytes(3) + bytes.fromhex("0000")
    assert int.from_bytes(data[4:8], "little") == 28 + 12 + 4


@pytest.mark.parametrize(("container", "lengths_at"), [(Container.PCAP, 32), (Container.PCAPNG, 80)])
def test_a_long_packet_is_cut_and_its_length_kept(container: Container, lengths_at: int) -> None:
    data = written(container, snaplen=3)
    assert data[lengths_at : lengths_at + 8] == bytes.fromhex("03000000 05000000")
    assert b"\x01\x02\x03" in data
    assert b"\x01\x02\x03\x04" not in data


def test_the_true_length_of_a_packet_cut_elsewhere_is_kept() -> None:
    file = io.BytesIO()
    PacketWriter(file, Container.PCAP).write(MOMENT_NS, b"abc", 1514)
    assert file.getvalue()[32:40] == bytes.fromhex("03000000 ea050000")


@pytest.mark.parametrize(
    ("name", "container"),
    [
        ("a.pcap", Container.PCAP),
        ("a.pcap.gz", Container.PCAP),
        ("a.PCAPNG", Container.PCAPNG),
        ("a.pcapng.zst", Container.PCAPNG),
    ],
)
def test_the_name_tells_the_format(name: str, container: Container) -> None:
    assert container_of(Path(name)) is container


def test_other_names_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"a\.txt: the name must end in \.pcap or \.pcapng"):
        container_of(Path("a.txt"))


def test_compressed_captures_hold_the_plain_one(tmp_path: Path) -> None:
    for name in ("a.pcap", "b.pcap.gz", "c.pcap.zst"):
        with open_capture(tmp_path / name) as capture:
            capture.write(MOMENT_NS, b"\x01\x02\x03\x04\x05")
    plain = written(Container.PCAP)
    packed = (tmp_path / "b.pcap.gz").read_bytes()
    assert (tmp_path / "a.pcap").read_bytes() == plain
    assert gzip.decompress(packed) == plain
    assert packed[3:8] == bytes(5)  # no name and no time in the gzip header: flags and mtime are zero
    assert zstd.decompress((tmp_path / "c.pcap.zst").read_bytes()) == plain


def test_nothing_is_left_when_writing_stops(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(b"the one before")

    def interrupted() -> None:
        with open_capture(path) as capture:
            capture.write(MOMENT_NS, b"abc")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"the one before"
    assert [file.name for file in tmp_path.iterdir()] == ["a.pcap"]


@pytest.mark.parametrize("name", ["full.pcap", "full.pcapng.gz", "full.pcapng.zst"])
def test_a_full_disk_is_told_in_a_sentence(tmp_path: Path, name: str) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    path = tmp_path / name
    path.symlink_to("/dev/full")
    with pytest.raises(CaptureError, match="the disk is full; free some space or write elsewhere"), open_capture(path):
        pass


def test_a_missing_folder_and_a_folder_are_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="the folder does not exist"), open_capture(tmp_path / "no" / "a.pcap"):
        pass
    (tmp_path / "b.pcap").mkdir()
    with pytest.raises(CaptureError, match="this is a folder"), open_capture(tmp_path / "b.pcap"):
        pass


def test_scapy_reads_what_we_write(tmp_path: Path) -> None:
    scapy = pytest.importorskip("scapy.utils")
    for name in ("a.pcap", "b.pcapng"):
        with open_capture(tmp_path / name) as capture:
            capture.write(MOMENT_NS, bytes(14) + b"hello", 1514)
        with scapy.RawPcapReader(str(tmp_path / name)) as reader:
            ((data, metadata),) = list(reader)
        assert data == bytes(14) + b"hello"
        assert metadata.wirelen == 1514
