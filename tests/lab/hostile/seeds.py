"""What the fuzzers start from: tiny captures put together here, of every container, link type, header and tunnel."""

import bz2
import gzip
import lzma
import struct

import lz4.frame

from peerburst.capture.files import zstd
from tests.capture.packets.test_tunnels import CARRIERS, CARRIERS6
from tests.support.bytes_generated import IPV4_FRAMING
from tests.support.packets_by_hand import (
    ACK,
    FIN,
    ICMP,
    ICMPV6,
    IPV6,
    MPLS,
    PPPOE,
    RST,
    SYN,
    TCP,
    UDP,
    VLAN,
    enhanced,
    ethernet,
    extension,
    fragment,
    icmp,
    interface,
    ipv4,
    ipv6,
    mpls,
    old_packet,
    option,
    pcap,
    pppoe,
    section,
    simple,
    tcp,
    udp,
    vlan,
)

HOST, PEER = "192.168.1.2", "93.184.216.34"
SECOND_US = 1_000_000
EPOCH_US = 1_700_000_000 * SECOND_US
QINQ, BACKBONE = 0x88A8, 0x88E7
SIX_TO_FOUR, AUTHENTICATION, SCTP = 41, 51, 132
ISB = 5


def conversation() -> list[bytes]:
    """A handshake, data, the closing, a refused attempt, and datagrams both ways."""

    def out(inner: bytes, proto: int = TCP) -> bytes:
        return ethernet(ipv4(inner, proto, HOST, PEER))

    def back(inner: bytes, proto: int = TCP) -> bytes:
        return ethernet(ipv4(inner, proto, PEER, HOST))

    return [
        out(tcp(40000, 80, SYN)),
        back(tcp(80, 40000, SYN | ACK)),
        out(tcp(40000, 80, ACK)),
        out(tcp(40000, 80, ACK, b"GET")),
        back(tcp(80, 40000, FIN | ACK)),
        out(tcp(40000, 80, FIN | ACK)),
        back(tcp(80, 40000, ACK)),
        out(tcp(40000, 80, SYN)),
        back(tcp(80, 40000, RST | ACK)),
        out(udp(5000, 53, b"?"), UDP),
        back(udp(53, 5000, b"!"), UDP),
    ]


def packets() -> dict[str, bytes]:
    """Ethernet frames, each with something of its own to decode."""
    segment = tcp(40000, 80, SYN)
    return {
        "tcp": ethernet(ipv4(segment, TCP, HOST, PEER)),
        "udp6": ethernet(ipv6(udp(5000, 53), UDP), IPV6),
        "icmp": ethernet(ipv4(icmp(8), ICMP)),
        "icmp6": ethernet(ipv6(icmp(128), ICMPV6), IPV6),
        "sctp": ethernet(ipv4(udp(1, 2), SCTP)),
        "ip-options": ethernet(ipv4(segment, TCP, options=bytes(40))),
        "tcp-options": ethernet(ipv4(tcp(1, 2, SYN, options=bytes(40)), TCP)),
        "offload": ethernet(ipv4(segment, TCP, length=0)),
        "fragment": ethernet(ipv4(bytes(16), UDP, fragment=7)),
        "extensions": ethernet(
            ipv6(extension(43, extension(60, extension(TCP, segment)), 16), 0),
            IPV6,
        ),
        "fragment6": ethernet(ipv6(fragment(UDP, udp(1, 2), 8), 44), IPV6),
        "authentication": ethernet(ipv6(bytes([TCP, 1]) + bytes(10) + segment, AUTHENTICATION), IPV6),
        "vlan": ethernet(vlan(vlan(ipv4(segment)), VLAN), QINQ),
        "mpls": ethernet(mpls(ipv4(segment), 3), MPLS),
        "pseudowire": ethernet(mpls(bytes(4) + ethernet(ipv4(segment))), MPLS),
        "pppoe": ethernet(pppoe(ipv4(segment)), PPPOE),
        "backbone": ethernet(bytes(4) + ethernet(ipv4(segment)), BACKBONE),
        "llc": ethernet(b"\xaa\xaa\3\0\0\0\x08\0" + ipv4(segment), 44),
        "arp": ethernet(bytes(28), 0x0806),
    }


def _one(frame: bytes, link: int = 1) -> bytes:
    return pcap([(1_700_000_000, 0, frame)], link=link)


def _links() -> dict[str, bytes]:
    """An IPv4 packet on every link type but Ethernet."""
    packet = ipv4(udp(5000, 53), UDP, HOST, PEER)
    made = {f"link-{link}": _one(framing + packet, link) for link, framing in IPV4_FRAMING.items()}
    made["link-101"] = _one(packet, 101)
    made["envelope-ppi"] = _one(struct.pack("<BBHI", 0, 0, 8, 1) + ethernet(packet), link=192)
    made["envelope-pktap"] = _one(struct.pack("<III", 12, 1, 1) + ethernet(packet), link=258)
    return made


def _containers() -> dict[str, bytes]:
    """One conversation in every container and byte order."""
    frames = conversation()
    timed = [(1_700_000_000 + i, i, frame) for i, frame in enumerate(frames)]
    made = {
        f"pcap-{magic:x}-{name}": pcap(timed, order=order, magic=magic)
        for magic in (0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34)
        for order, name in (("<", "little"), (">", "big"))
    }
    for order, name in (("<", "little"), (">", "big")):
        packed = [enhanced(frame, EPOCH_US + i * SECOND_US, order) for i, frame in enumerate(frames)]
        made[f"pcapng-{name}"] = section(order) + interface(order) + b"".join(packed)
    return made


def _blocks() -> dict[str, bytes]:
    """What pcapng has besides: options, statistics, resolutions, sections, old and simple packets, unknown blocks."""
    frame = conversation()[0]
    options = (
        option("<", 9, b"\x09")
        + option("<", 14, struct.pack("<q", 3600))
        + option("<", 4, bytes([192, 168, 1, 2, 255, 255, 255, 0]))
        + option("<", 5, bytes(17))
        + option("<", 0, b"")
    )
    binary = interface(options=option("<", 9, b"\xa0"))
    drops = option("<", 5, struct.pack("<Q", 7)) + option("<", 0, b"")
    statistics = _block(ISB, struct.pack("<III", 0, 0, 0) + drops)
    return {
        "ng-options": section() + interface(options=options) + enhanced(frame, EPOCH_US * 1000) + statistics,
        "ng-resolutions": section() + interface() + binary + enhanced(frame, 1 << 50, which=1) + enhanced(frame, 5),
        "ng-old": section() + interface(snaplen=64) + old_packet(frame, EPOCH_US) + simple(frame) + simple(frame[:20]),
        "ng-sections": (section() + interface() + enhanced(frame, 9))
        + (section(">") + interface(">", 101) + enhanced(frame[14:], 9, ">")),
        "ng-unknown": section() + _block(0x0BAD, bytes(40)) + interface() + _block(4, bytes(8)) + enhanced(frame, 1),
        "ng-rare": section() + interface(link=127) + interface() + enhanced(bytes(40)) + enhanced(frame, which=1),
    }


def _block(kind: int, body: bytes) -> bytes:
    size = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + size + body + size


def plain() -> dict[str, bytes]:
    """All captures that are not compressed."""
    tunnels = {**CARRIERS, **{f"{name} (6)": frame for name, frame in CARRIERS6.items()}}
    return {
        **_containers(),
        **_blocks(),
        **_links(),
        **{f"packet-{name}": _one(frame) for name, frame in packets().items()},
        **{f"tunnel-{name}": _one(frame) for name, frame in tunnels.items()},
        "nothing-else": pcap([]),
        "empty-packets": pcap([(i, 0, b"") for i in range(5)]),
    }


def compressed() -> dict[str, bytes]:
    """One capture in every compression, and in two members one after the other."""
    capture = pcap([(i, 0, frame) for i, frame in enumerate(conversation()[:3])])
    return {
        "gzip": gzip.compress(capture, mtime=0),
        "zstd": zstd.compress(capture),
        "xz": lzma.compress(capture),
        "lz4": lz4.frame.compress(capture),
        "bzip2": bz2.compress(capture),
        "members": gzip.compress(capture[:50], mtime=0) + gzip.compress(capture[50:], mtime=0),
    }
