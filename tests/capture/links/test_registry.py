"""Link layers, byte by byte. Before each: what tcpdump prints for it.

The packet inside is always the same datagram: 10.0.0.1.5000 > 10.0.0.2.5001: UDP, length 3.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from peerburst.capture.packets.status import Status
from tests.support.bytes_through_kernels import one
from tests.support.packets_by_hand import ethernet, hexed, ipv4, mpls, pcap, udp, vlan

DATAGRAM = "4500001f 00010000 40110000 0a000001 0a000002  1388 1389 000b 0000 616263"
SNAP = "aaaa03 000000 0800 "
MAC = "020000000002 020000000001 "

# name: (link type, what stands before the datagram)
FRAMINGS = {
    # IP 10.0.0.1.5000 > 10.0.0.2.5001: UDP, length 3
    "NULL, little endian": (0, "02000000"),
    "NULL, big endian": (0, "00000002"),
    "LOOP": (108, "00000002"),
    "Ethernet": (1, MAC + "0800"),
    "RAW (BSD)": (12, ""),
    "RAW (OpenBSD)": (14, ""),
    "RAW": (101, ""),
    "IPV4": (228, ""),
    "FDDI": (10, "50" + MAC + SNAP),
    "PPP": (9, "ff03 0021"),
    "PPP, address and control left out": (9, "0021"),
    "PPP, protocol of one byte": (9, "ff03 21"),
    "PPP in HDLC": (50, "ff03 0021"),
    "PPP in HDLC, Cisco's": (50, "0f00 0800"),
    "Cisco HDLC": (104, "0f00 0800"),
    "Cisco HDLC, broadcast": (104, "8f00 0800"),
    "Linux cooked, to us": (113, "0000 0001 0006 0200000000010000 0800"),
    "Linux cooked, 802.2": (113, "0000 0001 0006 0200000000010000 0004" + SNAP),
    "Linux cooked 2": (276, "0800 0000 00000002 0001 00 06 0200000000010000"),
    "frame relay": (107, "1861 03 cc"),
    "frame relay, padded": (107, "1861 03 00 cc"),
    "frame relay, SNAP": (107, "1861 03 00 80 000000 0800"),
    "frame relay, Cisco's": (107, "1861 0800"),
    "ARCNET, RFC 1051": (129, "0102 0000 f0"),
    "ARCNET, RFC 1201": (129, "0102 0000 d4 00 0001"),
    "IPNET": (226, "01 02 0000 00000000 00000000 00000000 00000000 00000000"),
    "NFLOG": (239, "02 00 0000  0500 0a00 61000000  2300 0900"),
    "PKTAP": (258, "6c000000 01000000 01000000" + "00" * 96 + MAC + "0800"),
    "PPI": (192, "00 00 0c00 01000000 ffffffff" + MAC + "0800"),
    # PPPoE  [ses 0x1] IP 10.0.0.1.5000 > 10.0.0.2.5001: UDP, length 3
    "PPPoE alone": (51, "11 00 0001 0021 0021"),
    "PPPoE": (1, MAC + "8864 11 00 0001 0021 0021"),
    # vlan 7, p 0, ethertype IPv4 (0x0800), 10.0.0.1.5000 > 10.0.0.2.5001: UDP, length 3
    "802.1Q": (1, MAC + "8100 0007 0800"),
    "802.1ad": (1, MAC + "88a8 0007 8100 0008 0800"),
    "QinQ before 802.1ad": (1, MAC + "9100 0007 8100 0008 0800"),
    "802.1ah": (1, MAC + "88e7 00000001" + MAC + "0800"),
    "802.1Q, LLC": (1, MAC + "8100 0007 0027" + SNAP),
    # MPLS (label 16, tc 0, [S], ttl 64) IP 10.0.0.1.5000 > 10.0.0.2.5001: UDP, length 3
    "MPLS": (1, MAC + "8847 00010140"),
    "MPLS, two labels": (1, MAC + "8847 00010040 00011140"),
    "MPLS, an Ethernet pseudowire": (1, MAC + "8847 00010140 00000000" + MAC + "0800"),
    "MPLS, upstream labels": (1, MAC + "8848 00010140"),
    "PPP, MPLS": (9, "ff03 0281 00010140"),
    # (NOV-802.2) LLC: IP 10.0.0.1.5000 > 10.0.0.2.5001: UDP, length 3
    "802.3, SNAP": (1, MAC + "0027" + SNAP),
    "802.3, IP's own SAP": (1, MAC + "0022 060603"),
    # IP 10.0.0.1.5000 > 10.0.0.2.5001: UDP, length 3
    "802.11": (105, "0802 0000" + MAC + "020000000003 0000" + SNAP),
    "802.11, QoS": (105, "8802 0000" + MAC + "020000000003 0000 0000" + SNAP),
    "802.11, QoS and HT control": (105, "8882 0000" + MAC + "020000000003 0000 0000 00000000" + SNAP),
    "802.11, between access points": (105, "0803 0000" + MAC + "020000000003 0000 020000000004" + SNAP),
    "radiotap": (127, "00 00 0800 00000000" + "0802 0000" + MAC + "020000000003 0000" + SNAP),
    "radiotap, padded": (127, "00 00 0900 02000000 20" + "8802 0000" + MAC + "020000000003 0000 0000 0000" + SNAP),
    "radiotap, time stamp, padded": (
        127,
        "00 00 1900 03000080 00000000 00000000 0100000000000000 20"
        + "8802 0000"
        + MAC
        + "020000000003 0000 0000 0000"
        + SNAP,
    ),
}


# tcpdump prints no packet inside of these: other dissectors do.
BEYOND_TCPDUMP = {"RAW (OpenBSD)", "802.1ah", "NFLOG", "MPLS, an Ethernet pseudowire", "802.11, QoS and HT control"}


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="tcpdump is not installed")
@pytest.mark.parametrize("name", [name for name in FRAMINGS if name not in BEYOND_TCPDUMP])
def test_tcpdump_finds_the_datagram_too(name: str, tmp_path: Path) -> None:
    link, framing = FRAMINGS[name]
    capture = tmp_path / "one.pcap"
    capture.write_bytes(pcap([(0, 0, hexed(framing + DATAGRAM))], link=link))
    printed = subprocess.run(["tcpdump", "-tnr", str(capture)], capture_output=True, text=True, check=True).stdout
    assert printed.strip().endswith("IP 10.0.0.1.5000 > 10.0.0.2.5001: UDP, length 3")


@pytest.mark.parametrize("name", FRAMINGS)
def test_the_datagram_is_found_in_its_framing(name: str) -> None:
    link, framing = FRAMINGS[name]
    packet = one(hexed(framing + DATAGRAM), link)
    assert packet.status is Status.DECODED
    assert (packet.src, packet.sport) == (0xFFFF_0A000001, 5000)
    assert (packet.dst, packet.dport) == (0xFFFF_0A000002, 5001)
    assert (packet.proto, packet.payload, packet.ip_bytes) == (17, 3, 31)


IPV6_DATAGRAM = (
    "60000000 000b 11 40 20010db8000000000000000000000001 20010db8000000000000000000000002 1388 1389 000b 0000 616263"
)
IPV6_FRAMINGS = {
    # IP6 2001:db8::1.5000 > 2001:db8::2.5001: UDP, length 3
    "NULL, Linux": (0, "0a000000"),
    "NULL, OpenBSD and NetBSD": (0, "18000000"),
    "NULL, FreeBSD": (0, "1c000000"),
    "NULL, Darwin": (0, "1e000000"),
    "LOOP": (108, "00000018"),
    "Ethernet": (1, MAC + "86dd"),
    "RAW": (101, ""),
    "IPV6": (229, ""),
    "PPP": (9, "ff03 0057"),
    "Linux cooked": (113, "0000 0001 0006 0200000000010000 86dd"),
    "frame relay": (107, "1861 03 8e"),
    "IPNET": (226, "01 1a 0000 00000000 00000000 00000000 00000000 00000000"),
    "NFLOG": (239, "0a 00 0000  3700 0980"),
}


@pytest.mark.parametrize("name", IPV6_FRAMINGS)
def test_the_ipv6_datagram_is_found_in_its_framing(name: str) -> None:
    link, framing = IPV6_FRAMINGS[name]
    packet = one(hexed(framing + IPV6_DATAGRAM), link)
    assert packet.status is Status.DECODED
    assert (packet.src, packet.dst) == (0x20010DB8 << 96 | 1, 0x20010DB8 << 96 | 2)
    assert (packet.sport, packet.dport, packet.payload, packet.ip_bytes) == (5000, 5001, 3, 51)


REFUSED = {
    # ARP, Request who-has 0.0.0.0 tell 0.0.0.0, length 28
    "ARP": (1, MAC + "0806 0001 0800 06 04 0001" + "00" * 20, Status.NOT_IP),
    # STP 802.1d, Config, Flags [none], bridge-id 0000.00:00:00:00:00:00.0000, length 35
    "spanning tree": (1, "0180c2000000 020000000001 0026 424203" + "00" * 35, Status.NOT_IP),
    # PPPoE PADI [Service-Name]
    "PPPoE discovery": (1, MAC + "8863 11 09 0000 0004 0101 0000", Status.NOT_IP),
    "PPPoE session with a discovery code": (1, MAC + "8864 11 a7 0001 0000 0021", Status.NOT_IP),
    # LCP, Echo-Request (0x09), id 1, length 10
    "PPP control": (9, "ff03 c021 0901 0008 00000000", Status.NOT_IP),
    "802.11 beacon": (105, "8000 0000" + "ff" * 6 + MAC + "0000" + "00" * 12, Status.NOT_IP),
    "802.11 acknowledgement": (105, "d400 0000 020000000001", Status.NOT_IP),
    "802.11 null function": (105, "4801 0000" + MAC + "020000000003 0000", Status.NOT_IP),
    # Data IV:  0 Pad 0 KeyID 0
    "802.11 enciphered": (105, "0842 0000" + MAC + "020000000003 0000" + "00" * 20, Status.ENCRYPTED),
    "NULL, AppleTalk": (0, "10000000" + "00" * 20, Status.NOT_IP),
    "Linux cooked, 802.3": (113, "0000 0001 0006 0200000000010000 0001" + "00" * 20, Status.NOT_IP),
    "raw, version 5": (101, "55" + "00" * 30, Status.NOT_IP),
    "NFLOG of a bridge": (239, "07 00 0000  0800 0900 00000000", Status.NOT_IP),
    "NFLOG with a length of 3": (239, "02 00 0000  0300 0a00" + "00" * 20, Status.MALFORMED),
    "PPI in PPI": (192, "00 00 0800 c0000000" + "00 00 0800 01000000" + MAC + "0800" + DATAGRAM, Status.UNKNOWN_LINK),
    "PPI of no possible link type": (192, "00 00 0800 00081000" + DATAGRAM, Status.UNKNOWN_LINK),
    "a link type for private use": (147, DATAGRAM, Status.UNKNOWN_LINK),
    "USB": (220, "00" * 64, Status.UNKNOWN_LINK),
}


@pytest.mark.parametrize("name", REFUSED)
def test_frames_without_a_packet_say_why(name: str) -> None:
    link, data, status = REFUSED[name]
    assert one(hexed(data), link).status is status


def test_ethertypes_begin_at_0600_and_below_is_a_length() -> None:
    assert one(hexed(MAC + "05ff" + SNAP + DATAGRAM)).status is Status.DECODED
    assert one(hexed(MAC + "0600" + SNAP + DATAGRAM)).status is Status.NOT_IP
    assert one(hexed("0000 0001 0006 0200000000010000 0600" + SNAP + DATAGRAM), 113).status is Status.NOT_IP


def test_sixteen_tags_are_followed_and_seventeen_are_an_attack() -> None:
    def tags(count: int) -> bytes:
        packet, ethertype = ipv4(udp(1, 2), 17), 0x0800
        for _ in range(count):
            packet, ethertype = vlan(packet, ethertype), 0x8100
        return ethernet(packet, ethertype)

    assert one(tags(16)).status is Status.DECODED
    assert one(tags(17)).status is Status.MALFORMED


def test_sixteen_mpls_labels_are_followed_and_seventeen_are_an_attack() -> None:
    packet = ipv4(udp(1, 2), 17)
    assert one(ethernet(mpls(packet, 16), 0x8847)).status is Status.DECODED
    assert one(ethernet(mpls(packet, 17), 0x8847)).status is Status.MALFORMED
