"""802.11 A-MSDUs: each packet in a frame is one of the capture's (IEEE 802.11-2020, 9.3.2.2)."""

import struct
from pathlib import Path

import numpy as np
import pytest

from peerburst.capture.files.source import BATCH
from peerburst.capture.packets.status import Status
from peerburst.capture.read import read
from tests.support.bytes_through_kernels import read_all
from tests.support.packets_by_hand import enhanced, hexed, interface, ipv4, ipv6, pcap, section, udp, vlan

CASES = Path(__file__).parents[2] / "cases"
SNAP = hexed("aaaa03 000000")
ADDRESSES = hexed("020000000001 020000000002")
QOS_HEADER = hexed("8801 0000 020000000001 020000000002 020000000003 0000 8000")  # A-MSDU present
PLAIN_HEADER = hexed("8801 0000 020000000001 020000000002 020000000003 0000 0000")
RADIOTAP = hexed("00 00 0800 00000000")
PADDED_RADIOTAP = hexed("00 00 0900 02000000 20")


def packet(port: int, size: int = 3) -> bytes:
    return ipv4(udp(5000, port, bytes(size)), 17)


def subframe(inner: bytes, ethertype: int = 0x0800) -> bytes:
    content = SNAP + struct.pack(">H", ethertype) + inner
    return ADDRESSES + struct.pack(">H", len(content)) + content


def aggregate(*subframes: bytes) -> bytes:
    """Each padded to four bytes but the last."""
    *others, last = subframes
    return b"".join(one + bytes(-len(one) % 4) for one in others) + last


def ports(path: Path, data: bytes) -> list[int]:
    path.write_bytes(data)
    rows, source = read_all(path)
    assert source.warnings == []
    assert set(rows["status"].tolist()) == {Status.DECODED}
    return [int(port) for port in rows["dport"]]


THREE = aggregate(subframe(packet(1, 3)), subframe(packet(2, 4)), subframe(packet(3, 1472)))
FRAMES = {
    "802.11": (105, QOS_HEADER + THREE),
    "802.11 with a check sequence": (105, QOS_HEADER + THREE + bytes(4)),
    "802.11 between access points": (105, hexed("8803") + QOS_HEADER[2:24] + bytes(6) + QOS_HEADER[24:] + THREE),
    "802.11 with HT control": (105, hexed("8881") + QOS_HEADER[2:] + bytes(4) + THREE),
    "radiotap": (127, RADIOTAP + QOS_HEADER + THREE),
    "radiotap, padded": (127, PADDED_RADIOTAP + QOS_HEADER + bytes(2) + THREE),
    "PPI": (192, hexed("00 00 0800 69000000") + QOS_HEADER + THREE),
}


@pytest.mark.parametrize("name", FRAMES)
def test_each_packet_of_a_frame(name: str, tmp_path: Path) -> None:
    link, frame = FRAMES[name]
    assert ports(tmp_path / "a.pcap", pcap([(1, 0, frame), (2, 0, frame)], link=link)) == [1, 2, 3] * 2


def test_in_pcapng_beside_ethernet(tmp_path: Path) -> None:
    ether = ADDRESSES + hexed("0800") + packet(9)
    data = section() + interface(link=1) + interface(link=105)
    data += enhanced(ether, 1) + enhanced(QOS_HEADER + THREE, 2, which=1) + enhanced(ether, 3)
    assert ports(tmp_path / "a.pcapng", data) == [9, 1, 2, 3, 9]


def test_whatever_is_in_a_subframe(tmp_path: Path) -> None:
    inner = (
        subframe(ipv6(udp(5000, 4, b"abc"), 17), 0x86DD),
        subframe(vlan(packet(5)), 0x8100),
        subframe(bytes(28), 0x0806),
        subframe(packet(6)),
    )
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([(1, 0, QOS_HEADER + aggregate(*inner))], link=105))
    rows, _source = read_all(path)
    assert rows["status"].tolist() == [Status.DECODED, Status.DECODED, Status.NOT_IP, Status.DECODED]
    assert rows["dport"][[0, 1, 3]].tolist() == [4, 5, 6]


def test_a_frame_cut_by_the_snaplen(tmp_path: Path) -> None:
    frame = QOS_HEADER + THREE
    kept = len(QOS_HEADER) + 60 + 14 + 8 + 28  # the second packet's headers, nothing of the third
    record = struct.pack("<IIII", 1, 0, kept, len(frame)) + frame[:kept]
    path = tmp_path / "cut.pcap"
    path.write_bytes(pcap([], link=105) + record)
    rows, _source = read_all(path)
    assert rows["dport"].tolist() == [1, 2]
    assert rows["ip_bytes"].tolist() == [31, 32]


@pytest.mark.parametrize("length", [0, 0xFFFF])
def test_an_impossible_length_ends_the_frame(length: int, tmp_path: Path) -> None:
    bad = ADDRESSES + struct.pack(">H", length) + bytes(40)
    assert ports(tmp_path / "a.pcap", pcap([(1, 0, QOS_HEADER + aggregate(subframe(packet(1)), bad))], link=105)) == [1]


def test_other_frames_stay_as_they_are(tmp_path: Path) -> None:
    beacon = hexed("8000 0000") + bytes(40)
    secret = hexed("8841") + QOS_HEADER[2:] + bytes(40)
    plain = PLAIN_HEADER + SNAP + hexed("0800") + packet(7)
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([(1, 0, frame) for frame in (beacon, secret, plain, QOS_HEADER[:20], b"")], link=105))
    rows, _source = read_all(path)
    assert rows["status"].tolist()[:3] == [Status.NOT_IP, Status.ENCRYPTED, Status.DECODED]
    assert rows.size == 5


def test_more_packets_than_a_batch(tmp_path: Path) -> None:
    small = aggregate(*[subframe(packet(port, 0)) for port in range(1, 31)])
    count = BATCH // 30 + 10
    found = ports(tmp_path / "a.pcap", pcap([(1, 0, QOS_HEADER + small)] * count, link=105))
    assert found == list(range(1, 31)) * count


def test_the_capture_of_a_monitor() -> None:
    capture = read([str(CASES / "80211-amsdu.pcap")])
    assert (capture.packets, capture.flows.row.size) == (100, 100)
    assert np.all(capture.statuses[Status.DECODED] == 100)
