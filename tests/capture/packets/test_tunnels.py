"""Tunnels, byte by byte: the packet inside is 192.168.7.1.1234 > 192.168.7.2.80: Flags [S]."""

import pytest

from peerburst.capture.packets.status import Status
from tests.support.bytes_through_kernels import decoded, one
from tests.support.packets_by_hand import ethernet, hexed, ipv4, ipv6, tcp, udp, vlan
from tests.support.reference import Frame

INSIDE = ipv4(tcp(1234, 80, 2), 6, "192.168.7.1", "192.168.7.2")
INSIDE6 = ipv6(tcp(1234, 80, 2), 6, "fe80::7:1", "fe80::7:2")


def in_gre(header: str, inner: bytes = INSIDE) -> bytes:
    return ethernet(ipv4(hexed(header) + inner, 47))


def in_udp(port: int, header: str, inner: bytes = INSIDE, sport: int = 50000) -> bytes:
    return ethernet(ipv4(udp(sport, port, hexed(header) + inner), 17))


CARRIERS = {
    # IP 10.0.0.1 > 10.0.0.2: IP 192.168.7.1.1234 > 192.168.7.2.80: Flags [S], seq 100, win 8192, length 0
    "IP in IP": ethernet(ipv4(INSIDE, 4)),
    # IP6 2001:db8::1 > 2001:db8::2: IP 192.168.7.1.1234 > 192.168.7.2.80: Flags [S], seq 100, win 8192, length 0
    "IPv4 in IPv6": ethernet(ipv6(INSIDE, 4), 0x86DD),
    # IP 10.0.0.1 > 10.0.0.2: GREv0, length 44: IP 192.168.7.1.1234 > 192.168.7.2.80: Flags [S], seq 100, ...
    "GRE": in_gre("0000 0800"),
    "GRE, checksum": in_gre("8000 0800 00000000"),
    "GRE, key": in_gre("2000 0800 00000001"),
    "GRE, checksum, key, sequence": in_gre("b000 0800 00000000 00000001 00000002"),
    "GRE, Ethernet": in_gre("0000 6558", ethernet(INSIDE)),
    "GRE, VLAN": in_gre("0000 8100", vlan(INSIDE)),
    # IP 10.0.0.1 > 10.0.0.2: GREv1, call 7, seq 1, ack 2, length 60: IP 192.168.7.1.1234 > 192.168.7.2.80: Flags [S]
    "PPTP": in_gre("3081 880b 002a0007 00000001 00000002 ff03 0021"),
    "PPTP, compressed": in_gre("3001 880b 00290007 00000001 21"),
    # IP 10.0.0.1 > 10.0.0.2: GREv0, length 58: gre-proto-0x88be
    "ERSPAN I": in_gre("0000 88be", ethernet(INSIDE)),
    "ERSPAN II": in_gre("1000 88be 00000001 1001 0001 00000000", ethernet(INSIDE)),
    "ERSPAN III": in_gre("1000 22eb 00000001 2001 0001 00000000 0000 0000", ethernet(INSIDE)),
    "ERSPAN III, subheader": in_gre(
        "1000 22eb 00000001 2001 0001 00000000 0000 0001 0000000000000000", ethernet(INSIDE)
    ),
    # IP 10.0.0.1.50000 > 10.0.0.2.4789: VXLAN, flags [I] (0x08), vni 1
    "VXLAN": in_udp(4789, "08000000 00000100", ethernet(INSIDE)),
    "VXLAN, Linux's old port": in_udp(8472, "08000000 00000100", ethernet(INSIDE)),
    # IP 10.0.0.1.50000 > 10.0.0.2.6081: Geneve, Flags [none], vni 0x1, options [8 bytes]
    "Geneve": in_udp(6081, "02 00 6558 00000100 0102 80 01 00000000", ethernet(INSIDE)),
    "Geneve, IP": in_udp(6081, "00 00 0800 00000100"),
    # IP 10.0.0.1.50000 > 10.0.0.2.37008: UDP, length 59 (tshark: TZSP, Ethernet)
    "TZSP": in_udp(37008, "01 00 0001 01", ethernet(INSIDE)),
    "TZSP, tags": in_udp(37008, "01 00 0001 0a 01 ce 00 00 29 02 0040 01", ethernet(INSIDE)),
    "TZSP, to be sent": in_udp(37008, "01 01 0001 00 01", ethernet(vlan(INSIDE), 0x8100)),
    "TZSP, 802.11": in_udp(37008, "01 00 0012 01 0802 0000" + "02" * 18 + "0000 aaaa03 000000 0800", INSIDE),
    "VXLAN in TZSP": in_udp(
        37008,
        "01 00 0001 01",
        ethernet(ipv4(udp(1, 4789, hexed("08000000 00000100") + ethernet(INSIDE)), 17)),
    ),
    # IP 10.0.0.1.50000 > 10.0.0.2.2152: UDP, length 48
    "GTP-U": in_udp(2152, "30 ff 0028 00000001"),
    "GTP-U, sequence number": in_udp(2152, "32 ff 002c 00000001 0007 00 00"),
    "GTP-U, extension": in_udp(2152, "34 ff 0030 00000001 0000 00 85 01 1009 00"),
    "GTP-U, back": in_udp(50000, "30 ff 0028 00000001", sport=2152),
    "VXLAN in GTP-U": in_udp(
        2152, "30 ff 0000 00000001", ipv4(udp(1, 4789, hexed("08000000 00000100") + ethernet(INSIDE)), 17)
    ),
}
CARRIERS6 = {
    # IP 10.0.0.1 > 10.0.0.2: IP6 fe80::7:1.1234 > fe80::7:2.80: Flags [S], seq 100, win 8192, length 0
    "6in4": ethernet(ipv4(INSIDE6, 41)),
    "6in6": ethernet(ipv6(INSIDE6, 41), 0x86DD),
    "GRE": in_gre("0000 86dd", INSIDE6),
    # IP 10.0.0.1.50000 > 10.0.0.2.3544: UDP, length 60
    "Teredo": in_udp(3544, "", INSIDE6),
    "Teredo, origin": in_udp(3544, "0000 ec77 f5fffffe", INSIDE6),
    "Teredo, authentication and origin": in_udp(3544, "0001 00 00 0000000000000000 00 0000 ec77 f5fffffe", INSIDE6),
}


@pytest.mark.parametrize("name", CARRIERS)
def test_the_packet_inside_is_found(name: str) -> None:
    packet = one(CARRIERS[name], follow_tunnels=True)
    assert (packet.status, packet.proto, packet.sport, packet.dport) == (Status.DECODED, 6, 1234, 80)
    assert (packet.src, packet.dst, packet.ip_bytes) == (0xFFFF_C0A80701, 0xFFFF_C0A80702, 40)


@pytest.mark.parametrize("name", CARRIERS6)
def test_the_ipv6_packet_inside_is_found(name: str) -> None:
    packet = one(CARRIERS6[name], follow_tunnels=True)
    assert (packet.status, packet.proto, packet.sport, packet.dport) == (Status.DECODED, 6, 1234, 80)
    assert (packet.src, packet.dst, packet.ip_bytes) == (0xFE80 << 112 | 0x70001, 0xFE80 << 112 | 0x70002, 60)


@pytest.mark.parametrize("name", [*CARRIERS, *CARRIERS6])
def test_without_being_asked_the_carrier_is_the_packet(name: str) -> None:
    data = CARRIERS.get(name) or CARRIERS6[name]
    assert one(data).proto in (4, 17, 41, 47)


@pytest.mark.parametrize("data", [*CARRIERS.values(), *CARRIERS6.values()], ids=[*CARRIERS, *CARRIERS6])
def test_what_is_too_short_to_be_a_packet_leaves_the_carrier_standing(data: bytes) -> None:
    cut = [Frame(0, data[:size], len(data), 1) for size in range(len(data))]
    carriers, answers = decoded(cut), decoded(cut, follow_tunnels=True)
    for carrier, answer in zip(carriers, answers, strict=True):
        assert answer == carrier or answer.dport in (80, 4789)
        assert answer.status in (Status.TRUNCATED, Status.DECODED)


NOT_TUNNELS = {
    "TZSP keepalive": in_udp(37008, "01 04 0000 01", b""),
    "TZSP of another version": in_udp(37008, "02 00 0001 01", ethernet(INSIDE)),
    "TZSP without an end of its tags": in_udp(37008, "01 00 0001 0a ff", ethernet(INSIDE)),
    "TZSP, Prism": in_udp(37008, "01 00 0077 01", ethernet(INSIDE)),
    "VXLAN without its flag": in_udp(4789, "00000000 00000100", ethernet(INSIDE)),
    "GTP-U echo": in_udp(2152, "32 01 0004 00000000 0001 0000"),
    "GTP-U of version 2": in_udp(2152, "48 ff 0004 00000000 00000000"),
    "Teredo keep-alive": in_udp(3544, "", b""),
    "GRE, something else": in_gre("0000 88cc"),
    "GREv1, not PPP": in_gre("2001 0800 00000001"),
    "another port": in_udp(4790, "08000000 00000100", ethernet(INSIDE)),
}


@pytest.mark.parametrize("name", NOT_TUNNELS)
def test_what_is_no_tunnel_stays_as_it_is(name: str) -> None:
    assert one(NOT_TUNNELS[name], follow_tunnels=True) == one(NOT_TUNNELS[name])


def test_a_fragment_inside_is_a_fragment() -> None:
    inner = ipv4(bytes(16), 6, "192.168.7.1", "192.168.7.2", fragment=2)
    packet = one(ethernet(ipv4(inner, 4)), follow_tunnels=True)
    assert (packet.status, packet.src, packet.proto) == (Status.FRAGMENT, 0xFFFF_C0A80701, 6)


def test_eight_tunnels_are_followed() -> None:
    data = ipv4(tcp(1, 2, 2), 6, "192.168.7.1")
    for _ in range(9):
        data = ipv4(data, 4)
    packet = one(data, 101, follow_tunnels=True)
    assert (packet.proto, packet.ip_bytes) == (4, 60)  # the ninth is left standing
