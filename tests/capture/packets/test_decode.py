"""Frames to packets: transports byte by byte, every prefix, any bytes, and the kernels against the reference."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from peerburst.capture.packets.status import Status
from tests.support import reference
from tests.support.bytes_generated import IPV4_FRAMING, frames, random_frames
from tests.support.bytes_through_kernels import decoded, one
from tests.support.packets_by_hand import (
    SYN,
    ethernet,
    extension,
    fragment,
    hexed,
    icmp,
    ipv4,
    ipv6,
    mpls,
    pppoe,
    tcp,
    udp,
    vlan,
)
from tests.support.reference import Frame

HOST_1, HOST_2 = 0xFFFF_0A000001, 0xFFFF_0A000002  # ::ffff:10.0.0.1 and .2


def test_a_syn_byte_by_byte() -> None:
    # IP 10.0.0.1.49152 > 10.0.0.2.443: Flags [S], seq 16909060, win 64240, options [mss 1460], length 0
    packet = one(
        hexed("""
        020000000002 020000000001 0800
        4500002c 00010000 40060000 0a000001 0a000002
        c000 01bb 01020304 00000000 6002 faf0 0000 0000 020405b4
        """)
    )
    assert packet == reference.Packet(
        src=HOST_1,
        dst=HOST_2,
        proto=6,
        sport=49152,
        dport=443,
        seq=0x01020304,
        flags=SYN,
        window=64240,
        ip_bytes=44,
    )


def test_data_is_what_the_ip_length_says_not_the_padding() -> None:
    # IP 10.0.0.1.443 > 10.0.0.2.49152: Flags [P.], seq 1:4, ack 2, win 1, length 3
    packet = one(
        hexed("""
        020000000002 020000000001 0800
        4500002b 00010000 40060000 0a000001 0a000002
        01bb c000 00000001 00000002 5018 0001 0000 0000 616263
        000000 # Ethernet's padding
        """)
    )
    assert (packet.payload, packet.ip_bytes, packet.seq, packet.ack, packet.flags) == (3, 43, 1, 2, 0x18)


def test_a_datagram_byte_by_byte() -> None:
    # IP 10.0.0.1.5000 > 10.0.0.2.5001: UDP, length 3
    packet = one(hexed("0200000000020200000000010800 4500001f00010000401100000a0000010a000002 13881389000b0000616263"))
    assert (packet.proto, packet.sport, packet.dport, packet.payload, packet.ip_bytes) == (17, 5000, 5001, 3, 31)


def test_a_ping_and_its_answer_have_one_identifier_and_no_ports() -> None:
    # IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 4660, seq 1, length 8
    request = one(hexed("0200000000020200000000010800 4500001c00010000400100000a0000010a000002 0800000012340001"))
    # IP 10.0.0.2 > 10.0.0.1: ICMP echo reply, id 4660, seq 1, length 8
    answer = one(hexed("0200000000020200000000010800 4500001c00010000400100000a0000020a000001 0000000012340001"))
    for packet, icmp_type in ((request, 8), (answer, 0)):
        assert (packet.icmp_type, packet.icmp_code, packet.icmp_id) == (icmp_type, 0, 0x1234)
        assert (packet.sport, packet.dport, packet.flags, packet.window) == (0, 0, 0, 0)


def test_an_icmp_error_has_type_and_code_and_no_identifier() -> None:
    # IP 10.0.0.1 > 10.0.0.2: ICMP 10.0.0.9 udp port 53 unreachable, length 36
    quoted = ipv4(udp(40000, 53), 17, "10.0.0.2", "10.0.0.9")
    packet = one(ethernet(ipv4(icmp(3, 3, 0, quoted), 1)))
    assert (packet.icmp_type, packet.icmp_code, packet.icmp_id) == (3, 3, 0)
    assert (packet.sport, packet.dport, packet.flags, packet.window) == (0, 0, 0, 0)


def test_an_icmpv6_echo_has_the_identifier_too() -> None:
    # IP6 2001:db8::1 > 2001:db8::2: ICMP6, echo request, id 77, seq 1, length 8
    packet = one(ethernet(ipv6(icmp(128), 58), 0x86DD))
    assert (packet.icmp_type, packet.icmp_id, packet.sport, packet.dport) == (128, 77, 0, 0)
    # IP6 2001:db8::1 > 2001:db8::2: ICMP6, neighbor solicitation, length 8
    solicitation = one(ethernet(ipv6(icmp(135), 58), 0x86DD))
    assert (solicitation.icmp_type, solicitation.icmp_id) == (135, 0)


@pytest.mark.parametrize(("protocol", "queries"), [(1, {0, 8, 13, 14, 15, 16, 17, 18}), (58, {128, 129})])
def test_which_icmp_messages_carry_an_identifier(protocol: int, queries: set[int]) -> None:
    # RFC 792: echo, timestamp, information; RFC 950: address mask; RFC 4443: echo.
    packets = [one(ipv4(icmp(kind), protocol), 101) for kind in range(256)]
    assert {kind for kind, packet in enumerate(packets) if packet.icmp_id == 77} == queries


@pytest.mark.parametrize("protocol", [132, 33, 136])
def test_sctp_dccp_and_udp_lite_have_ports(protocol: int) -> None:
    packet = one(ethernet(ipv4(hexed("1388 1389 00000000"), protocol)))
    assert (packet.proto, packet.sport, packet.dport, packet.payload) == (protocol, 5000, 5001, 8)


def test_other_protocols_have_no_ports() -> None:
    packet = one(ethernet(ipv4(hexed("1388 1389"), 89)))  # OSPF
    assert (packet.status, packet.proto, packet.sport, packet.dport, packet.payload) == (Status.DECODED, 89, 0, 0, 4)


@pytest.mark.parametrize("offset", [0, 4])
def test_a_tcp_header_shorter_than_it_can_be_is_malformed(offset: int) -> None:
    header = bytearray(tcp(1, 2, SYN))
    header[12] = offset << 4
    assert one(ethernet(ipv4(bytes(header)))).status is Status.MALFORMED


def test_a_tcp_header_longer_than_its_packet_is_malformed() -> None:
    header = bytearray(tcp(1, 2, SYN))
    header[12] = 6 << 4
    assert one(ethernet(ipv4(bytes(header)))).status is Status.MALFORMED


@pytest.mark.parametrize(("protocol", "header"), [(6, 19), (17, 7), (1, 3), (58, 3), (132, 3)])
def test_a_packet_too_short_for_its_own_header_is_malformed(protocol: int, header: int) -> None:
    assert one(ethernet(ipv4(bytes(header), protocol))).status is Status.MALFORMED


@pytest.mark.parametrize(
    ("transport", "protocol", "needed"),
    [
        (tcp(1, 2, SYN, b"data"), 6, 14),
        (udp(1, 2, b"data"), 17, 8),
        (icmp(8), 1, 6),
        (icmp(3), 1, 4),
        (bytes(9), 132, 4),
    ],
)
def test_how_much_of_a_cut_packet_is_enough(transport: bytes, protocol: int, needed: int) -> None:
    data = ethernet(ipv4(transport, protocol))
    statuses = [one(data[:size], wire=len(data)).status for size in range(len(data) + 1)]
    assert statuses == [Status.TRUNCATED] * (34 + needed) + [Status.DECODED] * (len(transport) + 1 - needed)


GOOD_PACKETS = {
    "TCP": (0x0800, ipv4(tcp(1, 2, SYN, b"data", bytes(8)))),
    "UDP": (0x0800, ipv4(udp(1, 2, b"data"), 17)),
    "ICMP": (0x0800, ipv4(icmp(8), 1)),
    "IPv4 options": (0x0800, ipv4(udp(1, 2), 17, options=bytes(12))),
    "first fragment": (0x0800, ipv4(udp(1, 2, bytes(8)), 17, fragment=0x2000)),
    "IPv6": (0x86DD, ipv6(tcp(1, 2, SYN))),
    "IPv6 extensions": (0x86DD, ipv6(extension(43, extension(60, extension(17, udp(1, 2), 24))), 0)),
    "IPv6 first fragment": (0x86DD, ipv6(fragment(17, udp(1, 2)), 44)),
    "VLAN": (0x8100, vlan(ipv4(udp(1, 2), 17))),
    "MPLS": (0x8847, mpls(ipv4(udp(1, 2), 17), 3)),
    "MPLS pseudowire": (0x8847, mpls(bytes(4) + ethernet(ipv4(udp(1, 2), 17)))),
    "backbone": (0x88E7, bytes(4) + ethernet(ipv4(udp(1, 2), 17))),
    "PPPoE": (0x8864, pppoe(ipv4(udp(1, 2), 17))),
    "bridged": (0x6558, ethernet(ipv4(udp(1, 2), 17))),
}


@pytest.mark.parametrize("name", GOOD_PACKETS)
def test_every_shorter_prefix_is_truncated_or_already_enough(name: str) -> None:
    ethertype, packet = GOOD_PACKETS[name]
    assert_prefixes_truncated(ethernet(packet, ethertype), 1)


@pytest.mark.parametrize("link", sorted(IPV4_FRAMING))
def test_every_shorter_prefix_of_every_framing_is_truncated(link: int) -> None:
    assert_prefixes_truncated(IPV4_FRAMING[link] + ipv4(tcp(1, 2, SYN)), link)


def assert_prefixes_truncated(data: bytes, link: int) -> None:
    whole = one(data, link)
    assert whole.status is Status.DECODED
    assert whole == reference.decode(Frame(0, data, len(data), link))
    cut = [Frame(0, data[:size], len(data), link) for size in range(len(data) + 1)]
    answers = decoded(cut)
    enough = [answer.status for answer in answers].index(Status.DECODED)
    assert {answer.status for answer in answers[:enough]} == {Status.TRUNCATED}
    for answer in answers[enough:]:
        assert (answer.src, answer.dst, answer.sport, answer.dport) == (whole.src, whole.dst, whole.sport, whole.dport)
        assert (answer.ip_bytes, answer.payload, answer.flags) == (whole.ip_bytes, whole.payload, whole.flags)


@given(st.lists(random_frames(), min_size=1, max_size=8))
@example([Frame(0, b"", 0, link) for link in range(300)])
def test_any_bytes_at_all_end_in_the_status_of_the_reference(given_frames: list[Frame]) -> None:
    expected = [reference.decode(frame) for frame in given_frames]
    assert decoded(given_frames) == expected
    assert decoded(given_frames, around=0) == expected  # nothing beyond a frame's end is looked at


@given(st.lists(frames(), min_size=1, max_size=6), st.booleans())
def test_frames_end_as_in_the_reference(given_frames: list[Frame], follow_tunnels: bool) -> None:
    expected = [reference.decode(frame, follow_tunnels) for frame in given_frames]
    assert decoded(given_frames, follow_tunnels=follow_tunnels) == expected
    assert decoded(given_frames, follow_tunnels=follow_tunnels, around=0) == expected
