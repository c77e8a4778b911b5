"""IPv4 and IPv6 headers, byte by byte. Before each: what tcpdump prints for it."""

import pytest

from peerburst.capture.packets.status import Status
from tests.support.bytes_through_kernels import one
from tests.support.packets_by_hand import ethernet, extension, fragment, hexed, ipv4, ipv6, udp
from tests.support.reference import Packet

RAW = 101
DATAGRAM = "1388 1389 000b 0000 616263"


def raw(text: str, wire: int | None = None) -> Packet:
    return one(hexed(text), RAW, wire=wire)


def test_options_are_passed_over() -> None:
    # IP (tos 0x0, ttl 64, id 1, offset 0, flags [none], proto UDP (17), length 35, options (RA))
    #     10.0.0.1.5000 > 10.0.0.2.5001: UDP, length 3
    packet = raw("46000023 00010000 40110000 0a000001 0a000002 94040000" + DATAGRAM)
    assert (packet.status, packet.sport, packet.ip_bytes, packet.payload) == (Status.DECODED, 5000, 35, 3)


def test_the_first_fragment_has_ports_and_counts_its_own_bytes() -> None:
    # IP (tos 0x0, ttl 64, id 1, offset 0, flags [+], proto UDP (17), length 36)
    #     10.0.0.1.5000 > 10.0.0.2.5001: UDP, length 1472
    packet = raw("45000024 00012000 40110000 0a000001 0a000002 1388 1389 05c8 0000" + "00" * 8)
    assert (packet.status, packet.sport, packet.ip_bytes, packet.payload) == (Status.DECODED, 5000, 36, 8)


def test_a_later_fragment_has_addresses_alone() -> None:
    # IP (tos 0x0, ttl 64, id 1, offset 16, flags [none], proto UDP (17), length 28)
    #     10.0.0.1 > 10.0.0.2: ip-proto-17
    packet = raw("4500001c 00010002 40110000 0a000001 0a000002" + "00" * 8)
    assert packet == Packet(
        status=Status.FRAGMENT, src=0xFFFF_0A000001, dst=0xFFFF_0A000002, proto=17, ip_bytes=28, offload=False
    )


def test_a_length_of_0_is_the_cards_and_the_frame_counts() -> None:
    # IP bad-len 0
    packet = raw("45000000 00010000 40110000 0a000001 0a000002" + DATAGRAM, wire=65_000)
    assert (packet.status, packet.ip_bytes, packet.payload, packet.offload) == (Status.DECODED, 65_000, 64_972, True)


@pytest.mark.parametrize(
    "header",
    [
        "44000023",  # four words of header, and five are the least
        "40000023",
        "4f00001f",  # 60 bytes of header in a packet of 31
        "45000013",  # 19 bytes in all, fewer than the header
    ],
)
def test_ipv4_headers_that_contradict_themselves_are_malformed(header: str) -> None:
    assert raw(header + "00010000 40110000 0a000001 0a000002" + DATAGRAM + "00" * 40).status is Status.MALFORMED


def test_a_header_alone_is_a_packet() -> None:
    # IP (tos 0x0, ttl 64, id 1, offset 0, flags [none], proto unknown (99), length 20)
    #     10.0.0.1 > 10.0.0.2:  ip-proto-99 0
    packet = raw("45000014 00010000 40630000 0a000001 0a000002")
    assert (packet.status, packet.proto, packet.ip_bytes, packet.payload) == (Status.DECODED, 99, 20, 0)


def test_another_version_than_the_ethertype_says_is_malformed() -> None:
    assert one(ethernet(ipv6(udp(1, 2), 17), 0x0800)).status is Status.MALFORMED
    assert one(ethernet(ipv4(bytes(40), 17), 0x86DD)).status is Status.MALFORMED


ADDRESSES = "20010db8000000000000000000000001 20010db8000000000000000000000002"


def test_ipv6_byte_by_byte() -> None:
    # IP6 (hlim 64, next-header UDP (17) payload length: 11) 2001:db8::1.5000 > 2001:db8::2.5001: UDP, length 3
    packet = raw("60000000 000b 11 40" + ADDRESSES + DATAGRAM)
    assert packet == Packet(
        src=0x20010DB8_00000000_00000000_00000001,
        dst=0x20010DB8_00000000_00000000_00000002,
        proto=17,
        sport=5000,
        dport=5001,
        ip_bytes=51,
        payload=3,
    )


def test_extension_headers_are_followed_by_their_own_units() -> None:
    # IP6 (hlim 64, next-header Options (0) payload length: 63) 2001:db8::1 > 2001:db8::2: HBH (padn)
    #     RT6 (len=2, type=0 [Deprecated], segleft=0, rsv=0x0, [0]::)
    #     AH(length=1(12-bytes),spi=0x00000001,seq=0x1,icv=0x):  ip-proto-60 19
    packet = raw(
        "60000000 003f 00 40" + ADDRESSES + "2b00 010400000000"  # hop-by-hop, then routing
        "33 02 0000 00000000 00000000000000000000000000000000"  # routing of 24 bytes, then authentication
        "3c 01 0000 00000001 00000001"  # authentication of 12 bytes: (1 + 2) words
        "11 00 0104 00000000"  # destination options, then UDP
         + DATAGRAM
    )
    assert (packet.status, packet.proto, packet.sport, packet.payload, packet.ip_bytes) == (
        Status.DECODED,
        17,
        5000,
        3,
        103,
    )


def test_ipv6_fragments() -> None:
    # IP6 2001:db8::1 > 2001:db8::2: frag (0x00000009:0|16) 5000 > 5001: UDP, length 1472
    first = raw("60000000 0018 2c 40" + ADDRESSES + "11 00 0001 00000009" + "1388 1389 05c8 0000" + "00" * 8)
    assert (first.status, first.sport, first.ip_bytes, first.payload) == (Status.DECODED, 5000, 64, 8)
    # IP6 2001:db8::1 > 2001:db8::2: frag (0x00000009:16|8)
    later = raw("60000000 0010 2c 40" + ADDRESSES + "11 00 0010 00000009" + "00" * 8)
    assert (later.status, later.proto, later.sport, later.ip_bytes) == (Status.FRAGMENT, 17, 0, 56)
    # A whole packet in one "fragment" (RFC 6946):
    # IP6 2001:db8::1 > 2001:db8::2: frag (0x00000009:0|11) 5000 > 5001: UDP, length 3
    atomic = one(ipv6(fragment(17, udp(5000, 5001, b"abc"), more=0), 44), RAW)
    assert (atomic.status, atomic.sport, atomic.payload) == (Status.DECODED, 5000, 3)


def test_an_ipv6_length_of_0_lets_the_frame_count() -> None:
    packet = raw("60000000 0000 11 40" + ADDRESSES + DATAGRAM, wire=70_000)
    assert (packet.status, packet.ip_bytes, packet.payload) == (Status.DECODED, 70_000, 70_000 - 48)


def test_nothing_behind_the_header_is_a_packet_too() -> None:
    # IP6 2001:db8::1 > 2001:db8::2: no next header
    packet = raw("60000000 0000 3b 40" + ADDRESSES)
    assert (packet.status, packet.proto, packet.ip_bytes, packet.payload) == (Status.DECODED, 59, 40, 0)


def test_an_extension_longer_than_its_packet_is_malformed() -> None:
    assert raw("60000000 0008 00 40" + ADDRESSES + "11 01" + "00" * 30).status is Status.MALFORMED
    assert raw("60000000 0004 00 40" + ADDRESSES + "11 00" + "00" * 30).status is Status.MALFORMED
    assert raw("60000000 0007 2c 40" + ADDRESSES + "11 00" + "00" * 30).status is Status.MALFORMED


def test_sixteen_extensions_are_followed_and_more_are_an_attack() -> None:
    def chain(count: int) -> bytes:
        inner, following = udp(5000, 5001), 17
        for _ in range(count):
            inner, following = extension(following, inner), 60
        return ipv6(inner, following)

    assert one(chain(16), RAW).status is Status.DECODED
    assert one(chain(17), RAW).status is Status.MALFORMED
