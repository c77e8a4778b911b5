"""Packets and flows held against tshark: captures of the corpus, captures made here, and the rules themselves."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.accuracy import tshark
from tests.lab.accuracy.compare import Comparison, compare
from tests.lab.accuracy.page import page
from tests.lab.accuracy.results import summary
from tests.lab.accuracy.rules import (
    NO_TIME,
    OTHER,
    SPLIT_BY_PEERBURST,
    SPLIT_BY_TSHARK,
)
from tests.support.packets_by_hand import ACK, FIN, RST, SYN, ethernet, ipv4, pcap, tcp, udp

# A few seconds of tshark each: every kind of file, link layer and tunnel, and the traffic with most flows a packet.
QUICK = (
    "traffic/bittorrent-transfer.pcap",
    "traffic/gnutella-gtk.pcap",
    "traffic/kakaotalk-chat.pcap",
    "traffic/nmap-syn.pcap",
    "traffic/skype-login-1.pcap",
    "formats/PcapFlowLab__pcap_flow_lab_showcase.pcap",
    "formats/PcapPlusPlus__many-protocols.pcap",
    "formats/PcapPlusPlus__pcapng-example.pcapng.zst",
    "formats/PcapPlusPlus__solaris.snoop",
    "formats/arkime__80211http.pcap",
    "formats/arkime__icmp-frame-relay.pcap",
    "formats/arkime__nflog.pcap",
    "formats/gopacket__test202.pcapng",
    "formats/ivre-test-samples__nb6-startup.pcap",
    "formats/libtrace__sll.pcap.gz",
    "formats/nfstream__ps_vue.pcap",
    "formats/suricata-verify__frag-ip-tcp.pcap",
    "formats/tcpreplay__test@886a2b3a.pcap",
    "formats/zeek__gre-within-gre.pcap",
    "formats/zeek__timestamp.pcap",
    "hostile/gopacket/pcapgo__tests__be__test018.pcapng",
    "hostile/libpcap/tests__pcapng-invalid-vers-2.pcapng",
)


@pytest.fixture(autouse=True)
def _needs_tshark() -> None:
    if tshark.missing():
        pytest.skip(f"{tshark.missing()} is not installed")


def _capture(*frames: bytes) -> bytes:
    """One frame a millisecond."""
    return pcap([(1_700_000_000, 1000 * i, frame) for i, frame in enumerate(frames)])


@pytest.fixture
def judged(tmp_path: Path) -> Callable[[bytes], Comparison]:
    """Compare a capture of these bytes."""

    def judge(data: bytes) -> Comparison:
        path = tmp_path / "made.pcap"
        path.write_bytes(data)
        return compare(path, path.name)

    return judge


@pytest.mark.corpus
@pytest.mark.parametrize("name", QUICK)
def test_every_difference_is_explained(corpus: Path, name: str) -> None:
    comparison = compare(corpus / name, name)
    assert comparison.is_explained, comparison.unexplained
    assert comparison.counts.compared
    assert comparison.refused != OTHER


@pytest.mark.corpus
def test_traffic_without_tunnels_is_seen_exactly_alike(corpus: Path) -> None:
    comparison = compare(corpus / "traffic/skype-login-1.pcap", "skype-login-1")
    assert comparison.packets == comparison.frames.equal == comparison.instants.equal == 3284
    for tally in comparison.TALLIES:
        compared = getattr(comparison, tally)
        assert compared.compared == compared.equal + compared.differ.total() > 0
    assert not comparison.pairs.differ
    assert not comparison.flags.differ


def test_handshake_and_close_are_read_alike(judged: Callable[[bytes], Comparison]) -> None:
    there, back = ("10.0.0.9", "10.0.0.1"), ("10.0.0.1", "10.0.0.9")
    packets = [
        ethernet(ipv4(tcp(40000, 80, SYN), 6, *there)),
        ethernet(ipv4(tcp(80, 40000, SYN | ACK), 6, *back)),
        ethernet(ipv4(tcp(40000, 80, ACK, b"hello"), 6, *there)),
        ethernet(ipv4(tcp(80, 40000, FIN | ACK), 6, *back)),
        ethernet(ipv4(udp(5353, 53), 17, *there)),
    ]
    comparison = judged(_capture(*packets))
    assert not comparison.unexplained
    assert comparison.frames.equal == 5
    assert (comparison.pairs.equal, comparison.directions.equal, comparison.flags.equal) == (2, 1, 1)


def test_old_files_with_swapped_lengths(judged: Callable[[bytes], Comparison]) -> None:
    """Version 2.3 may give the wire's length first: libpcap swaps the two where the first is larger."""
    frame = ethernet(ipv4(udp(1000, 53, b"x" * 40), 17))
    data = bytearray(_capture(frame))
    data[6:8] = struct.pack("<H", 3)
    data[32:40] = struct.pack("<II", len(frame) + 1000, len(frame))
    comparison = judged(bytes(data))
    assert comparison.packets == comparison.frames.equal == comparison.pairs.equal == 1
    assert not comparison.unexplained


def test_provider_backbone_bridging(judged: Callable[[bytes], Comparison]) -> None:
    inner = ethernet(ipv4(udp(1000, 53), 17))
    comparison = judged(_capture(ethernet(b"\0\0\0\1" + inner, 0x88E7)))
    assert comparison.frames.equal == comparison.pairs.equal == 1


def test_new_syns_split_conversations_by_other_rules(judged: Callable[[bytes], Comparison]) -> None:
    there, back = ("10.0.0.9", "10.0.0.1"), ("10.0.0.1", "10.0.0.9")

    def syn(port: int, seq: int) -> bytes:
        return ethernet(ipv4(tcp(port, 80, SYN, seq=seq), 6, *there))

    refused = ethernet(ipv4(tcp(80, 1001, RST | ACK), 6, *back))
    comparison = judged(_capture(syn(1000, 5), syn(1000, 77), syn(1001, 5), refused, syn(1001, 5)))
    assert comparison.conversations.differ == {SPLIT_BY_TSHARK: 1, SPLIT_BY_PEERBURST: 1}
    assert not comparison.unexplained


def test_a_difference_without_a_rule_is_other(
    judged: Callable[[bytes], Comparison], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that sees another port must not pass."""
    frame = ethernet(ipv4(udp(1000, 53), 17))
    read = tshark.read

    def misread(path: Path) -> tshark.Reading:
        other = path.with_suffix(".other")
        other.write_bytes(path.read_bytes().replace(struct.pack(">HH", 1000, 53), struct.pack(">HH", 1000, 54)))
        return read(other)

    monkeypatch.setattr(tshark, "read", misread)
    comparison = judged(_capture(frame))
    assert comparison.frames.differ == {OTHER: 1}
    assert comparison.pairs.differ == {OTHER: 2}
    assert not comparison.is_explained
    assert "54" in comparison.unexplained[0]


def _with_a_packet_without_time() -> Comparison:
    comparison = Comparison("formats/x.pcap", packets=2)
    for difference in (None, NO_TIME):
        comparison.note("instants", difference, "")
    return comparison


def test_the_page_tells_what_was_not_run_and_names_no_place() -> None:
    numbers = {
        "date": "2026-01-02",
        "peerburst": "0.1.0",
        "tshark": "4.0.17",
        **summary([_with_a_packet_without_time()]),
    }
    text = page(numbers, None, None, None)
    assert text.count("Not run yet.") == 2
    assert f"| a packet's instant, to the nanosecond | {NO_TIME} | 1 | 1 |" in text
    assert "| a packet's instant, to the nanosecond | 2 | 1 | 1 | 0 |" in text
    assert "| captures of many link types, tunnels and file formats | 1 | 0 | 2 |" in text
    assert "/work" not in text


def test_the_page_holds_the_gateway_and_the_fuzzer_when_they_have_run() -> None:
    count = {"host_seconds": 200, "equal": 199, "near_an_event": 3, "worst": 1}
    capture = {
        "counts": {"linux-connlimit": count},
        "peaks": {"kernel_when_listed": {"linux-connlimit": 155}, "product": {"linux-connlimit": 156}},
        "crossed_s": {"100": {"kernel": 12.3456, "product": 12.345}, "200": {"kernel": None, "product": None}},
    }
    run = {"fuzzer": "mutation", "way": "kernels", "executions": 1_000_000, "seconds": 10.0, "crashes": []}
    text = page(None, {"kernel": "6.18.44", "captures": {"skype": capture}}, None, [run, run])
    assert "| skype | linux-connlimit | 200 | 199 | 99.50 % | 3 | 1 |" in text
    assert "| skype | linux-connlimit | 155 | 156 |" in text
    assert "| skype | 100 | 12.346 | 12.345 |" in text
    assert "| skype | 200 | never | never |" in text
    assert "| compiled, the kernels on an image in memory | 2,000,000 | 20 s | 0 |" in text
