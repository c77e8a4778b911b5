"""A slow, obvious twin of the capture kernels: plain Python integers, bytes and lists, written from the standards.

Frames: `read_capture`. Headers: `decode`. Flows, segments and Linux's table entries: `Table`. Nothing here is shared
with the kernels but the numbers of `Status` and `Phase`, in which both give their answers.
"""

import bz2
import gzip
import lzma
import struct
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import lz4.frame

from peerburst.capture.conntrack.states import Phase
from peerburst.capture.files import zstd
from peerburst.capture.packets.status import Status

NEVER = 2**63 - 1
LATEST_NS = 2**62
SECOND = 1_000_000_000


def number(data: bytes) -> int:
    return int.from_bytes(data, "big")


# ---------------------------------------------------------------------------------------------------------- captures


@dataclass(frozen=True)
class Frame:
    """One captured frame: its time, what was kept of it, its length on the wire and its link type."""

    ts: int
    data: bytes
    wire: int
    link: int


def read_capture(path: Path) -> list[Frame]:
    """All whole frames of a capture that is sound, but for a cut at its end."""
    data = _plain(path.read_bytes())
    return list(_pcapng(data) if data[:4] == b"\x0a\x0d\x0d\x0a" else _pcap(data))


def _plain(data: bytes) -> bytes:
    openers: dict[bytes, Callable[[bytes], bytes]] = {
        b"\x1f\x8b": gzip.decompress,
        b"BZh": bz2.decompress,
        b"\xfd7zXZ\x00": lzma.decompress,
        b"\x28\xb5\x2f\xfd": lambda packed: zstd.decompress(packed),
        b"\x04\x22\x4d\x18": lz4.frame.decompress,
    }
    for magic, opener in openers.items():
        if data.startswith(magic):
            return opener(data)
    return data


def _pcap(data: bytes) -> Iterator[Frame]:
    order = "<" if data[0] in b"\xd4\x4d\x34" else ">"
    magic = struct.unpack(order + "I", data[:4])[0]
    unit = 1 if magic == 0xA1B23C4D else 1000
    header = 24 if magic == 0xA1B2CD34 else 16
    link = struct.unpack(order + "I", data[20:24])[0] & 0xFFFF
    at = 24
    while at + header <= len(data):
        seconds, fraction, kept, wire = struct.unpack(order + "IIII", data[at : at + 16])
        at += header
        if at + kept > len(data):
            return  # cut short
        yield Frame(seconds * SECOND + fraction * unit, data[at : at + kept], wire, link)
        at += kept


@dataclass(frozen=True)
class Interface:
    """A pcapng interface: ticks per second of its time stamps, and the seconds to add to them."""

    link: int
    snaplen: int
    ticks: int = 10**6
    offset_s: int = 0

    def instant(self, high: int, low: int) -> int:
        ns = int(Fraction((high << 32) + low, self.ticks) * SECOND)
        return max(-LATEST_NS, min(LATEST_NS, min(LATEST_NS, ns) + self.offset_s * SECOND))


def _pcapng(data: bytes) -> Iterator[Frame]:
    at, order, last = 0, "<", 0
    interfaces: list[Interface] = []
    while at < len(data):
        if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order = ">" if data[at + 8 : at + 12] == b"\x1a\x2b\x3c\x4d" else "<"
            interfaces = []
        kind, length = struct.unpack(order + "II", data[at : at + 8])
        body = data[at + 8 : at + length - 4]
        at += length
        if kind == 1:
            interfaces.append(_interface(order, body))
        elif kind == 3:
            wire = struct.unpack(order + "I", body[:4])[0]
            kept = min(wire, len(body) - 4, interfaces[0].snaplen or wire)
            yield Frame(last, body[4 : 4 + kept], wire, interfaces[0].link)
        elif kind in (2, 6):
            which, high, low, kept, wire = struct.unpack(order + "IIIII", body[:20])
            if kind == 2:
                which = struct.unpack(order + "H", body[:2])[0]
            last = interfaces[which].instant(high, low)
            yield Frame(last, body[20 : 20 + kept], wire, interfaces[which].link)


def _interface(order: str, body: bytes) -> Interface:
    link, _reserved, snaplen = struct.unpack(order + "HHI", body[:8])
    made = Interface(link, snaplen)
    options = body[8:]
    while len(options) >= 4:
        code, length = struct.unpack(order + "HH", options[:4])
        value = options[4 : 4 + length]
        options = options[4 + (length + 3) // 4 * 4 :]
        if code == 0:
            break
        if code == 9:
            made = replace(made, ticks=2 ** (value[0] - 128) if value[0] >= 128 else 10 ** value[0])
        if code == 14:
            made = replace(made, offset_s=struct.unpack(order + "q", value)[0])
    return made


# ------------------------------------------------------------------------------------------------------- link layers

IPV4, IPV6, ETHERNET = 0x0800, 0x86DD, 0x6558
VLANS = (0x8100, 0x88A8, 0x9100)
MPLS = (0x8847, 0x8848)
PPPOE = 0x8864
PBB = 0x88E7

Layer = tuple[int, bytes]  # EtherType, and the bytes behind the header


class Verdict(Exception):
    """Why a frame leads to no IP header."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.name)
        self.status = status


def need(data: bytes, size: int) -> None:
    if len(data) < size:
        raise Verdict(Status.TRUNCATED)


def ethernet(frame: bytes) -> Layer:
    need(frame, 14)
    ethertype = number(frame[12:14])
    return llc(frame[14:]) if ethertype < 0x600 else (ethertype, frame[14:])


def llc(data: bytes) -> Layer:
    need(data, 3)
    if data[:3] == b"\xaa\xaa\x03":
        need(data, 8)
        return number(data[6:8]), data[8:]
    if data[:2] == b"\x06\x06":
        return IPV4, data[3:]
    raise Verdict(Status.NOT_IP)


def ppp(data: bytes) -> Layer:
    if data[:2] == b"\xff\x03":
        data = data[2:]
    need(data, 2)
    size = 1 if data[0] % 2 else 2
    known = {0x21: IPV4, 0x57: IPV6, 0x281: MPLS[0]}
    protocol = number(data[:size])
    if protocol not in known:
        raise Verdict(Status.NOT_IP)
    return known[protocol], data[size:]


def pppoe(data: bytes) -> Layer:
    need(data, 8)
    if data[1] != 0:
        raise Verdict(Status.NOT_IP)
    return ppp(data[6:])


def raw_ip(data: bytes) -> Layer:
    need(data, 1)
    if data[0] >> 4 not in (4, 6):
        raise Verdict(Status.NOT_IP)
    return (IPV4 if data[0] >> 4 == 4 else IPV6), data


def by_family(family: int, data: bytes) -> Layer:
    if family == 2:
        return IPV4, data
    if family in (10, 24, 28, 30):
        return IPV6, data
    raise Verdict(Status.NOT_IP)


def loopback(data: bytes) -> Layer:
    need(data, 4)
    family = min(int.from_bytes(data[:4], "little"), number(data[:4]))
    return by_family(family, data[4:])


def sll(data: bytes) -> Layer:
    need(data, 16)
    return sll_protocol(number(data[14:16]), data[16:])


def sll2(data: bytes) -> Layer:
    need(data, 20)
    return sll_protocol(number(data[:2]), data[20:])


def sll_protocol(protocol: int, data: bytes) -> Layer:
    if protocol == 4:
        return llc(data)
    if protocol < 0x600:
        raise Verdict(Status.NOT_IP)
    return protocol, data


def mpls(data: bytes) -> Layer:
    for _ in range(16):
        need(data, 4)
        bottom = data[2] % 2
        data = data[4:]
        if bottom:
            break
    else:
        raise Verdict(Status.MALFORMED)
    need(data, 1)
    if data[0] >> 4 == 0:
        return ETHERNET, data[4:]
    return raw_ip(data)


def hdlc(data: bytes) -> Layer:
    need(data, 4)
    return (number(data[2:4]), data[4:]) if data[0] in (0x0F, 0x8F) else ppp(data)


def frame_relay(data: bytes) -> Layer:
    need(data, 4)
    if data[2] != 3:
        return number(data[2:4]), data[4:]
    rest = data[3:]
    if rest[0] == 0:
        rest = rest[1:]
    need(rest, 1)
    if rest[0] == 0xCC:
        return IPV4, rest[1:]
    if rest[0] == 0x8E:
        return IPV6, rest[1:]
    if rest[0] == 0x80:
        need(rest, 6)
        return number(rest[4:6]), rest[6:]
    raise Verdict(Status.NOT_IP)


def ieee802_11(data: bytes, padded: bool = False) -> Layer:
    kind = data[0] >> 2 & 3 if data else 2
    if kind != 2:
        raise Verdict(Status.NOT_IP)
    need(data, 24)
    subtype, flags = data[0] >> 4, data[1]
    if subtype & 4:
        raise Verdict(Status.NOT_IP)
    if flags & 0x40:
        raise Verdict(Status.ENCRYPTED)
    size = 24
    if flags & 3 == 3:
        size += 6
    if subtype & 8:
        size += 6 if flags & 0x80 else 2
    qos = data[size - (6 if flags & 0x80 else 2)] if subtype & 8 and len(data) >= size else 0
    if padded:
        size = (size + 3) // 4 * 4
    return llc(data[size + (14 if qos & 0x80 else 0) :])  # of an A-MSDU the first packet


def radiotap(data: bytes) -> Layer:
    need(data, 8)
    length = max(8, int.from_bytes(data[2:4], "little"))
    words = [int.from_bytes(data[at : at + 4], "little") for at in range(4, len(data) - 3, 4)][:32]
    last = next((i for i, word in enumerate(words) if not word >> 31), len(words))
    flags_at = 4 + 4 * last + 4
    if words[0] & 1:
        flags_at = (flags_at + 7) // 8 * 8 + 8
    flags = data[flags_at] if words[0] & 2 and flags_at < len(data) else 0
    return ieee802_11(data[length:], bool(flags & 0x20))


def nflog(data: bytes) -> Layer:
    need(data, 4)
    family, rest = data[0], data[4:]
    while True:
        need(rest, 4)
        length, kind = struct.unpack("<HH", rest[:4])
        if length < 4:
            raise Verdict(Status.MALFORMED)
        if kind & 0x7FFF == 9:
            return by_family(family, rest[4:])
        rest = rest[(length + 3) // 4 * 4 :]


def arcnet(data: bytes) -> Layer:
    need(data, 8)
    if data[4] == 0xF0:
        return IPV4, data[5:]
    if data[4] == 0xD4:
        size = 12 if data[5] == 0xFF else 8
        need(data, size)
        return IPV4, data[size:]
    raise Verdict(Status.NOT_IP)


def ipnet(data: bytes) -> Layer:
    need(data, 24)
    known = {2: IPV4, 26: IPV6}
    if data[1] not in known:
        raise Verdict(Status.NOT_IP)
    return known[data[1]], data[24:]


def fddi(data: bytes) -> Layer:
    need(data, 13)
    if data[0] >> 4 != 5:
        raise Verdict(Status.NOT_IP)
    return llc(data[13:])


LINKS: dict[int, Callable[[bytes], Layer]] = {
    0: loopback,
    1: ethernet,
    9: ppp,
    10: fddi,
    12: raw_ip,
    14: raw_ip,
    50: hdlc,
    51: lambda data: (PPPOE, data),
    101: raw_ip,
    104: hdlc,
    105: ieee802_11,
    107: frame_relay,
    108: loopback,
    113: sll,
    127: radiotap,
    129: arcnet,
    226: ipnet,
    228: raw_ip,
    229: raw_ip,
    239: nflog,
    276: sll2,
}
PPI, PKTAP = 192, 258


def envelope(link: int, data: bytes) -> tuple[int, bytes]:
    """The frame inside PPI or PKTAP: its link type and bytes."""
    if link == PPI:
        need(data, 8)
        smallest, length, inner = 8, int.from_bytes(data[2:4], "little"), data[4:8]
    else:
        need(data, 12)
        smallest, length, inner = 12, int.from_bytes(data[:4], "little"), data[8:12]
    need(data, max(smallest, length))
    return int.from_bytes(inner, "little"), data[max(smallest, length) :]


def network(link: int, data: bytes) -> Layer:
    """IPV4 or IPV6 and the packet; raises Verdict where there is none."""
    if link in (PPI, PKTAP):
        link, data = envelope(link, data)
    if link not in LINKS:
        raise Verdict(Status.UNKNOWN_LINK)
    return untag(LINKS[link](data))


def untag(layer: Layer) -> Layer:
    """Through VLAN, MPLS, PPPoE, bridged and backbone Ethernet to IP; sixteen in a row are too many."""
    ethertype, data = layer
    for _ in range(16):
        if ethertype in (IPV4, IPV6):
            return ethertype, data
        if ethertype in VLANS:
            need(data, 4)
            ethertype, data = number(data[2:4]), data[4:]
            if ethertype < 0x600:
                ethertype, data = llc(data)
        elif ethertype in MPLS:
            ethertype, data = mpls(data)
        elif ethertype == PPPOE:
            ethertype, data = pppoe(data)
        elif ethertype == ETHERNET:
            ethertype, data = ethernet(data)
        elif ethertype == PBB:
            ethertype, data = ethernet(data[4:])
        else:
            raise Verdict(Status.NOT_IP)
    if ethertype in (IPV4, IPV6):
        return ethertype, data
    raise Verdict(Status.MALFORMED)


# --------------------------------------------------------------------------------------------------- IP and transport

TCP, UDP, UDPLITE, ICMP, ICMPV6, GRE, SCTP = 6, 17, 136, 1, 58, 47, 132
WITH_PORTS = (132, 33, UDPLITE)  # SCTP, DCCP and UDP-Lite begin with the two ports
EXTENSIONS = (0, 43, 60, 135, 139, 140)  # hop-by-hop, routing, destination, mobility, HIP, shim6
FRAGMENT_HEADER, AUTHENTICATION = 44, 51


@dataclass(frozen=True)
class Packet:
    """What is known of one packet; what its status leaves open is 0."""

    ts: int = 0
    status: Status = Status.DECODED
    src: int = 0
    dst: int = 0
    proto: int = 0
    sport: int = 0
    dport: int = 0
    seq: int = 0
    ack: int = 0
    flags: int = 0
    window: int = 0
    ip_bytes: int = 0
    payload: int = 0
    offload: bool = False
    sack: int = 0  # the highest number acknowledged, selectively or not
    icmp_type: int = 0
    icmp_code: int = 0
    icmp_id: int = 0  # of a query
    options: int = field(default=0, compare=False)  # of a SYN: SCALE and the like


SCALE, HAS_SCALE, MAY_SACK, HAS_OPTIONS = 15, 16, 32, 64


def decode(frame: Frame, follow_tunnels: bool = False) -> Packet:
    """One frame; with `follow_tunnels`, the innermost packet of those it carries."""
    try:
        ethertype, data = network(frame.link, frame.data)
    except Verdict as verdict:
        return Packet(frame.ts, verdict.status)
    wire = frame.wire - (len(frame.data) - len(data))
    packet, data, wire = internet(ethertype, data, wire)
    for _ in range(8 if follow_tunnels else 0):
        if packet.status != Status.DECODED:
            break
        try:
            ethertype, inside = untag(carried(packet, data))
        except Verdict:
            break
        inner, inner_bytes, inner_wire = internet(ethertype, inside, wire - (len(data) - len(inside)))
        if inner.status not in (Status.DECODED, Status.FRAGMENT):
            break
        packet, data, wire = inner, inner_bytes, inner_wire
    return replace(packet, ts=frame.ts)


def internet(ethertype: int, data: bytes, wire: int) -> tuple[Packet, bytes, int]:
    """The packet, the bytes from its transport header on, and how many of those there were on the wire."""
    try:
        header = ipv4(data, wire) if ethertype == IPV4 else ipv6(data, wire)
    except Verdict as verdict:
        return Packet(status=verdict.status), b"", 0
    packet, at = header
    behind = data[at:]
    if packet.status == Status.DECODED:
        body = data[at : packet.ip_bytes]
        cut = len(data) < packet.ip_bytes
        try:
            packet = transport(packet, body, packet.ip_bytes - at)
        except Verdict:
            packet = Packet(status=Status.TRUNCATED if cut else Status.MALFORMED)
    return packet, behind, wire - at


def ipv4(data: bytes, wire: int) -> tuple[Packet, int]:
    """The addresses and the offset of what follows the header (RFC 791)."""
    need(data, 20)
    size = data[0] % 16 * 4
    length = number(data[2:4]) or wire
    if data[0] >> 4 != 4 or size < 20 or length < size:
        raise Verdict(Status.MALFORMED)
    need(data, size)
    return Packet(
        status=Status.FRAGMENT if number(data[6:8]) % 8192 else Status.DECODED,
        src=0xFFFF_00000000 + number(data[12:16]),
        dst=0xFFFF_00000000 + number(data[16:20]),
        proto=data[9],
        ip_bytes=length,
        offload=number(data[2:4]) == 0,
    ), size


def ipv6(data: bytes, wire: int) -> tuple[Packet, int]:
    """The addresses and the offset of what follows the extension headers (RFC 8200)."""
    need(data, 40)
    if data[0] >> 4 != 6:
        raise Verdict(Status.MALFORMED)
    payload = number(data[4:6])
    length = 40 + (payload or max(0, wire - 40))
    packet = Packet(src=number(data[8:24]), dst=number(data[24:40]), ip_bytes=length)
    following, at = data[6], 40
    for _ in range(17):
        if following not in (*EXTENSIONS, FRAGMENT_HEADER, AUTHENTICATION):
            return replace(packet, proto=following), at
        if at + 8 > length:
            raise Verdict(Status.MALFORMED)
        need(data, at + 8)
        is_fragment = following == FRAGMENT_HEADER
        if is_fragment:
            size = 8
        elif following == AUTHENTICATION:
            size = data[at + 1] * 4 + 8
        else:
            size = data[at + 1] * 8 + 8
        following, header = data[at], data[at : at + 8]
        at += size
        if is_fragment and number(header[2:4]) // 8:
            return replace(packet, proto=following, status=Status.FRAGMENT), at
        if at > length:
            raise Verdict(Status.MALFORMED)
    raise Verdict(Status.MALFORMED)


def transport(packet: Packet, body: bytes, size: int) -> Packet:
    """Ports, flags and numbers; `size` is the body's length on the wire. Verdict: too little of it is there."""
    if packet.proto == TCP:
        if size < 20:
            raise Verdict(Status.MALFORMED)
        need(body, 14)
        header = body[12] // 16 * 4
        if header < 20 or header > size:
            return Packet(status=Status.MALFORMED)
        options = list(tcp_options(body[20:header])) if len(body) >= header else []
        has_options = 20 < header <= len(body)
        ack, is_syn = number(body[8:12]), body[13] & SYN != 0
        return replace(
            packet,
            sport=number(body[:2]),
            dport=number(body[2:4]),
            seq=number(body[4:8]),
            ack=ack,
            sack=ack if is_syn else selectively_acknowledged(options, ack),
            options=offered(options) if is_syn and has_options else 0,
            flags=body[13],
            window=number(body[14:16]) if len(body) >= 16 else 0,
            payload=size - header,
        )
    if packet.proto == UDP:
        need(body, 8)
        return replace(packet, sport=number(body[:2]), dport=number(body[2:4]), payload=size - 8)
    if packet.proto in (ICMP, ICMPV6):
        need(body, 4)
        message = replace(packet, icmp_type=body[0], icmp_code=body[1], payload=size)
        if not is_query(message):
            return message
        need(body, 6)
        return replace(message, icmp_id=number(body[4:6]))
    if packet.proto in WITH_PORTS:
        need(body, 4)
        return replace(packet, sport=number(body[:2]), dport=number(body[2:4]), payload=size)
    return replace(packet, payload=max(0, size))


def is_query(packet: Packet) -> bool:
    """Whether an ICMP message carries an identifier (RFC 792, RFC 950, RFC 4443)."""
    return packet.icmp_type in ((0, 8, 13, 14, 15, 16, 17, 18) if packet.proto == ICMP else (128, 129))


def tcp_options(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and value of each option (RFC 9293 section 3.1), up to the first that does not fit."""
    while data and data[0] != 0:
        if data[0] == 1:
            data = data[1:]
            continue
        if len(data) < 2 or not 2 <= data[1] <= len(data):
            return
        yield data[0], data[2 : data[1]]
        data = data[data[1] :]


def offered(options: list[tuple[int, bytes]]) -> int:
    """What a SYN with these options offers."""
    scales = [min(14, value[0]) for kind, value in options if kind == 3 and len(value) == 1]
    may_sack = (4, b"") in options
    return HAS_OPTIONS + MAY_SACK * may_sack + (HAS_SCALE + scales[-1] if scales else 0)


def selectively_acknowledged(options: list[tuple[int, bytes]], ack: int) -> int:
    """The highest right edge of the SACK blocks (RFC 2018), or the acknowledgement itself."""
    blocks = next((value for kind, value in options if kind == 5 and value and len(value) % 8 == 0), b"")
    for at in range(4, len(blocks), 8):
        edge = number(blocks[at : at + 4])
        if after(edge, ack):
            ack = edge
    return ack


# ------------------------------------------------------------------------------------------------------------ tunnels


def carried(packet: Packet, data: bytes) -> Layer:
    """What a packet carries in a tunnel; `bytes` begin with its transport header. Raises Verdict if nothing."""
    if packet.proto == 4:
        return IPV4, data
    if packet.proto == 41:
        return IPV6, data
    if packet.proto == GRE:
        return gre(data)
    if packet.proto == UDP:
        data, ports = data[8:], (packet.sport, packet.dport)
        if packet.dport in (4789, 8472):
            return vxlan(data)
        if packet.dport == 6081:
            return geneve(data)
        if packet.dport == 37008:
            return tzsp(data)
        if 2152 in ports:
            return gtp_u(data)
        if 3544 in ports:
            return teredo(data)
    raise Verdict(Status.NOT_IP)


def vxlan(data: bytes) -> Layer:
    need(data, 8)
    if not data[0] & 8:
        raise Verdict(Status.NOT_IP)
    return ETHERNET, data[8:]


def geneve(data: bytes) -> Layer:
    need(data, 8)
    return number(data[2:4]), data[8 + data[0] % 64 * 4 :]


def tzsp(data: bytes) -> Layer:
    need(data, 4)
    if data[0] != 1 or data[1] > 1:
        raise Verdict(Status.NOT_IP)
    protocol, rest = number(data[2:4]), data[4:]
    while rest and rest[0] != 1:
        rest = rest[1:] if rest[0] == 0 or len(rest) < 2 else rest[2 + rest[1] :]
    need(rest, 1)
    if protocol == 1:
        return ETHERNET, rest[1:]
    if protocol == 18:
        return ieee802_11(rest[1:])
    raise Verdict(Status.NOT_IP)


def teredo(data: bytes) -> Layer:
    if data[:2] == b"\x00\x01" and len(data) >= 4:
        data = data[13 + data[2] + data[3] :]
    if data[:2] == b"\x00\x00" and len(data) >= 8:
        data = data[8:]
    if not data or data[0] >> 4 != 6:
        raise Verdict(Status.NOT_IP)
    return IPV6, data


def gtp_u(data: bytes) -> Layer:
    need(data, 8)
    if data[0] >> 4 != 3 or data[1] != 255:
        raise Verdict(Status.NOT_IP)
    rest = data[8:]
    if data[0] & 7:
        need(rest, 4)
        following, rest = rest[3], rest[4:]
        for _ in range(8):
            if not (data[0] & 4 and following):
                break
            need(rest, 1)
            size = rest[0] * 4
            if size == 0:
                raise Verdict(Status.MALFORMED)
            need(rest, size)
            following, rest = rest[size - 1], rest[size:]
    return raw_ip(rest)


def gre(data: bytes) -> Layer:
    need(data, 4)
    flags, protocol = number(data[:2]), number(data[2:4])
    size = 4 + 4 * bool(flags & 0xC000) + 4 * bool(flags & 0x2000) + 4 * bool(flags & 0x1000)
    if flags & 7 == 1:
        if protocol != 0x880B:
            raise Verdict(Status.NOT_IP)
        return ppp_in_gre(data[size + 4 * bool(flags & 0x80) :])
    rest = data[size:]
    if protocol == 0x88BE:
        return ETHERNET, rest[8:] if flags & 0x1000 else rest
    if protocol == 0x22EB:
        need(rest, 12)
        return ETHERNET, rest[20 if rest[11] % 2 else 12 :]
    return protocol, rest


def ppp_in_gre(data: bytes) -> Layer:
    if data[:2] == b"\xff\x03":
        data = data[2:]
    if data[:1] == b"\0":
        data = data[1:]
    need(data, 1)
    known = {0x21: IPV4, 0x57: IPV6}
    if data[0] not in known:
        raise Verdict(Status.NOT_IP)
    return known[data[0]], data[1:]


# ------------------------------------------------------------------------------------------------ Linux's table entry

# Documentation/networking/nf_conntrack-sysctl.rst, seconds.
TIMEOUTS_S = {
    Phase.SYN_SENT: 120,
    Phase.SYN_SENT2: 120,
    Phase.SYN_RECV: 60,
    Phase.ESTABLISHED: 5 * 86400,
    Phase.FIN_WAIT: 120,
    Phase.CLOSE_WAIT: 60,
    Phase.LAST_ACK: 30,
    Phase.TIME_WAIT: 120,
    Phase.CLOSE: 10,
    Phase.RETRANSMITTED: 300,
    Phase.UNACKNOWLEDGED: 300,
    Phase.UDP: 30,
    Phase.UDP_STREAM: 120,
    Phase.ICMP: 30,
    Phase.OTHER: 600,
    Phase.GRE: 30,
    Phase.GRE_STREAM: 180,
    Phase.SCTP: 3,
    Phase.SCTP_ESTABLISHED: 210,
}

# net/netfilter/nf_conntrack_proto_tcp.c, tcp_conntracks: the next state by direction, packet and state.
# IV: not valid, IG: passed on; neither changes the entry.
STATES = ["NO", "SS", "SR", "ES", "FW", "CW", "LA", "TW", "CL", "S2"]
NEXT = {
    ("original", "syn"): "SS SS IG IG IG IG IG SS SS S2",
    ("original", "synack"): "IV IV SR IV IV IV IV IV IV SR",
    ("original", "fin"): "IV IV FW FW LA LA LA TW CL IV",
    ("original", "ack"): "ES IV ES ES CW CW TW TW CL IV",
    ("original", "rst"): "IV CL CL CL CL CL CL CL CL CL",
    ("original", "none"): "IV IV IV IV IV IV IV IV IV IV",
    ("reply", "syn"): "IV S2 IV IV IV IV IV SS IV S2",
    ("reply", "synack"): "IV SR IG IG IG IG IG IG IG SR",
    ("reply", "fin"): "IV IV FW FW LA LA LA TW CL IV",
    ("reply", "ack"): "IV IG SR ES CW CW TW TW CL IG",
    ("reply", "rst"): "IV CL CL CL CL CL CL CL CL CL",
    ("reply", "none"): "IV IV IV IV IV IV IV IV IV IV",
}
PHASE_OF = {
    "SS": Phase.SYN_SENT,
    "SR": Phase.SYN_RECV,
    "ES": Phase.ESTABLISHED,
    "FW": Phase.FIN_WAIT,
    "CW": Phase.CLOSE_WAIT,
    "LA": Phase.LAST_ACK,
    "TW": Phase.TIME_WAIT,
    "CL": Phase.CLOSE,
    "S2": Phase.SYN_SENT2,
}
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32


def tcp_kind(flags: int) -> str:
    """What a TCP packet is to the table; combinations that no stack sends are "none" (tcp_valid_flags)."""
    significant = flags & (FIN | SYN | RST | ACK | URG)
    kinds = {
        SYN: "syn",
        SYN | URG: "syn",
        SYN | ACK: "synack",
        RST: "rst",
        RST | ACK: "rst",
        FIN | ACK: "fin",
        FIN | ACK | URG: "fin",
        ACK: "ack",
        ACK | URG: "ack",
    }
    return kinds.get(significant, "none")


def after(one: int, other: int) -> bool:
    """Whether a sequence number comes after another, modulo 2^32."""
    return (other - one) % 2**32 >= 2**31


@dataclass
class Window:
    """What one side of a connection has shown of itself (the kernel's struct ip_ct_tcp_state)."""

    end: int = 0  # one past the last byte it sent
    most_end: int = 0  # one past the last byte that the other side would take
    most_window: int = 0  # the widest it offered; 0: nothing is known of this side
    most_ack: int | None = None
    scale: int = 0
    scales: bool = False
    may_sack: bool = False
    liberal: bool = False  # picked up mid-stream: never held back
    unanswered: bool = False  # sent what the other side has not acknowledged
    began_close: bool = False

    def begin(self, end: int, window: int, options: int) -> None:
        """Take a SYN as this side's first packet."""
        self.end = self.most_end = end
        self.most_window = max(1, window)
        if options & HAS_OPTIONS:
            self.most_ack, self.unanswered, self.began_close = None, False, False
            self.scale, self.scales, self.may_sack = (
                options & SCALE,
                bool(options & HAS_SCALE),
                bool(options & MAY_SACK),
            )


@dataclass
class Latest:
    """What an entry remembers of its latest packet: of any that was valid or ignored, or one that ended out of window.

    The numbers are those of the latest pure ACK or data, or of the latest ignored packet.
    """

    kind: str = ""
    reply: bool = False
    seq: int = 0
    ack: int = 0
    end: int = 0
    window: int = 0
    repeats: int = 0
    offered: int = 0  # the options of an ignored SYN
    challenge: bool = False  # such a SYN met LAST_ACK, and a challenge to it may follow
    simultaneous: bool = False


@dataclass
class Entry:
    """One entry of Linux's table."""

    opener: str  # "a" or "b"
    state: str
    phase: Phase
    renewed: int
    opened: int
    replied: bool = False
    assured: bool = False
    original: Window = field(default_factory=Window)
    reply: Window = field(default_factory=Window)
    latest: Latest = field(default_factory=Latest)

    def expires(self) -> int:
        return self.renewed + TIMEOUTS_S[self.phase] * SECOND


def open_entry(packet: Packet, side: str, ts: int) -> Entry | None:
    """The entry that a packet without one opens, if it opens any."""
    if packet.proto == TCP:
        return open_tcp(packet, side, ts)
    if packet.proto in (UDP, UDPLITE):
        return Entry(side, "ES", Phase.UDP, ts, ts)
    if packet.proto in (ICMP, ICMPV6):
        opens = (8, 13, 15, 17) if packet.proto == ICMP else (128,)
        return Entry(side, "ES", Phase.ICMP, ts, ts) if packet.icmp_type in opens else None
    one_way = {GRE: Phase.GRE, SCTP: Phase.SCTP}
    return Entry(side, "ES", one_way.get(packet.proto, Phase.OTHER), ts, ts)


def open_tcp(packet: Packet, side: str, ts: int) -> Entry | None:
    """The entry that a SYN opens, or a packet of which the beginning was missed (tcp_new)."""
    state = NEXT["original", tcp_kind(packet.flags)].split()[0]
    if state == "IV":
        return None
    entry = Entry(side, state, Phase.SYN_SENT if state == "SS" else Phase.UNACKNOWLEDGED, ts, ts)
    sender = entry.original
    sender.begin(end_of(packet), packet.window, packet.options)
    if state == "ES":
        sender.most_end = (sender.end + sender.most_window) % 2**32
        sender.may_sack = sender.liberal = entry.reply.may_sack = entry.reply.liberal = True
    in_windows(entry, state, packet, reply=False)
    entry.latest.kind = tcp_kind(packet.flags)
    return entry


def track(entry: Entry, packet: Packet, side: str, ts: int) -> str:
    """One packet on an entry; answers "lives", "deleted" or "reopened"."""
    reply = side != entry.opener
    if packet.proto == TCP:
        return track_tcp(entry, packet, reply, ts)
    if packet.proto in (UDP, UDPLITE):
        entry.phase = Phase.UDP_STREAM if entry.replied and ts > entry.opened + 2 * SECOND else Phase.UDP
    if packet.proto == GRE:
        entry.phase = Phase.GRE_STREAM if entry.replied else Phase.GRE
    if packet.proto == SCTP:
        entry.phase = Phase.SCTP_ESTABLISHED if entry.replied else Phase.SCTP
    entry.renewed = ts
    entry.replied = entry.replied or reply
    return "lives"


def end_of(packet: Packet) -> int:
    """One past a TCP packet's last sequence number; SYN and FIN take one each."""
    return (packet.seq + packet.payload + bool(packet.flags & SYN) + bool(packet.flags & FIN)) % 2**32


def track_tcp(entry: Entry, packet: Packet, reply: bool, ts: int) -> str:
    """nf_conntrack_tcp_packet of net/netfilter/nf_conntrack_proto_tcp.c, 6.18.

    A packet is "invalid" (it never was), "ignored" (it passes, and answers, but says nothing) or "valid".
    """
    kind, old = tcp_kind(packet.flags), entry.state
    new = NEXT["reply" if reply else "original", kind].split()[STATES.index(old)]
    answered_before, judged = entry.replied, ""
    if new == "SS" and old in ("TW", "CL"):
        if may_reopen(entry, reply):
            return "reopened"
        new = "IG"
    if new == "IG" and answers_ignored_syn(entry.latest, packet, reply):
        get_in_step(entry, reply)
        old, new = "SS", "SR"
    if new == "IV":
        judged = "invalid"
    elif new == "IG":
        note_ignored(entry, packet, reply)
        judged = "ignored"
    elif new == "TW" and is_challenge(entry, kind, reply):
        entry.latest.challenge = False
        judged = "ignored"
    elif new == "S2":
        entry.latest.simultaneous = True
    elif new == "SR" and reply and kind == "ack" and entry.latest.simultaneous:
        new = "ES"
    elif kind == "rst":
        new, judged = reset(entry, packet, reply)
    if judged == "":
        judged = in_windows(entry, old, packet, reply)
        if judged == "invalid":
            note_outside(entry, kind, reply, ts)
    entry.replied = entry.replied or (reply and judged != "invalid")
    if judged != "valid":
        return "lives"
    return follow(entry, old, new, kind, reply, ts, answered_before)


def follow(entry: Entry, old: str, new: str, kind: str, reply: bool, ts: int, answered_before: bool) -> str:
    """Where a valid packet leads, and the timeout that it begins."""
    entry.latest.kind, entry.latest.reply = kind, reply
    if new == "FW" != old:
        (entry.reply if reply else entry.original).began_close = True
    if not answered_before and kind == "rst":
        return "deleted"  # refused, or given up
    entry.state = new
    if not answered_before and kind == "syn" and old == "SS":
        return "lives"  # a repeated SYN does not renew
    entry.phase, entry.renewed = phase_after(entry, kind, answered_before), ts
    if answered_before and new == "ES" and old in ("SR", "ES"):
        entry.assured = True
    return "lives"


def phase_after(entry: Entry, kind: str, answered_before: bool) -> Phase:
    """The timeout that a valid packet begins. Those of five minutes only ever shorten that of ESTABLISHED."""
    established = entry.state == "ES"
    if established and entry.latest.repeats >= 3:
        return Phase.RETRANSMITTED
    if kind == "rst":
        return Phase.CLOSE
    if established and (entry.original.unanswered or entry.reply.unanswered):
        return Phase.UNACKNOWLEDGED
    if established and entry.latest.window == 0:
        return Phase.RETRANSMITTED
    if established and not answered_before:
        return Phase.UNACKNOWLEDGED
    return PHASE_OF[entry.state]


def may_reopen(entry: Entry, reply: bool) -> bool:
    """Whether a SYN on a closed connection begins the next: it was closed in order, or by this side's own reset."""
    own_reset = entry.latest.kind == "rst" and entry.latest.reply == reply
    return entry.original.began_close or entry.reply.began_close or own_reset


def answers_ignored_syn(latest: Latest, packet: Packet, reply: bool) -> bool:
    is_answer = tcp_kind(packet.flags) == "synack" and latest.kind == "syn" and latest.reply != reply
    return is_answer and packet.ack == latest.end


def get_in_step(entry: Entry, reply: bool) -> None:
    """Begin anew from an ignored SYN, of which the answer is at hand."""
    syn, fresh = Window(), Window()
    syn.begin(entry.latest.end, entry.latest.window, entry.latest.offered)
    fresh.liberal = (entry.reply if reply else entry.original).liberal
    entry.original, entry.reply = (syn, fresh) if reply else (fresh, syn)
    entry.latest.challenge = False


def note_ignored(entry: Entry, packet: Packet, reply: bool) -> None:
    latest, kind = entry.latest, tcp_kind(packet.flags)
    latest.kind, latest.reply = kind, reply
    latest.seq, latest.end, latest.window = packet.seq, end_of(packet), packet.window
    if kind == "syn" and not reply:
        latest.offered = packet.options
        latest.challenge, latest.simultaneous = entry.state == "LA", False
    if entry.state == "SS" and kind == "ack" and reply:
        latest.ack = packet.ack


def is_challenge(entry: Entry, kind: str, reply: bool) -> bool:
    """Whether an ACK is a challenge to a stray SYN (RFC 5961 section 4), and not the answer to the last FIN."""
    latest = entry.latest
    after_syn = latest.kind == "syn" and latest.reply != reply and latest.challenge
    return after_syn and entry.state == "LA" and kind == "ack"


def reset(entry: Entry, packet: Packet, reply: bool) -> tuple[str, str]:
    """(where a reset leads, "valid" or "invalid" if that is settled, "" if the windows decide)."""
    latest, state = entry.latest, entry.state
    if state in ("FW", "CW", "LA", "TW", "CL"):
        return "CL", "valid"
    new = "CL"
    expected = (entry.original if reply else entry.reply).most_ack
    if expected is not None and latest.kind != "syn":
        established = state == "ES" and entry.assured
        if not established and packet.seq == 0:
            return "CL", ""
        if after(expected, packet.seq):
            return state, "invalid"
        follows_own = latest.kind == "ack" and latest.reply == reply and latest.end == packet.seq
        if packet.seq == expected or follows_own or not established:
            return "CL", ""
        new = state  # not exact: a challenge may follow (RFC 5961 section 3)
    let_through = (latest.kind == "syn" and entry.replied) or (latest.kind == "ack" and not entry.assured)
    answers_it = let_through and latest.reply != reply and latest.end == packet.ack
    after_challenge = state == "SS" and latest.kind == "ack" and latest.reply and latest.ack == packet.seq
    return new, "valid" if answers_it or after_challenge else ""


def note_outside(entry: Entry, kind: str, reply: bool, ts: int) -> None:
    """A FIN or RST out of window from one side, then from the other: the sides know better (nf_tcp_handle_invalid)."""
    if not entry.assured or kind not in ("fin", "rst"):
        return
    if entry.latest.kind not in ("fin", "rst") or entry.latest.reply == reply:
        entry.latest.kind, entry.latest.reply = kind, reply
    elif entry.expires() - ts > 300 * SECOND:
        entry.phase, entry.renewed = Phase.UNACKNOWLEDGED, ts


def in_windows(entry: Entry, state: str, packet: Packet, reply: bool) -> str:
    """Hold a packet against the windows and move them (tcp_in_window); "valid", "ignored" or "invalid"."""
    sender, receiver = (entry.reply, entry.original) if reply else (entry.original, entry.reply)
    seq, end, ack = packet.seq, end_of(packet), packet.ack
    sack = packet.sack if receiver.may_sack else ack
    is_syn, is_ack, is_rst = (bool(packet.flags & flag) for flag in (SYN, ACK, RST))
    unknown = sender.most_window == 0
    if is_syn and (unknown or (state in ("SS", "SR") and after(end, sender.end))):
        sender.begin(end, packet.window, packet.options)
        if reply and not (sender.scales and receiver.scales):
            sender.scale = receiver.scale = 0
        if not is_ack and (unknown or reply):
            return "valid"
    elif unknown:
        begin_late(sender, receiver, packet, sack)
    if not is_ack or (is_rst and ack == 0):
        ack = sack = receiver.end
    if is_rst and seq == 0 and state == "SS":
        seq = end = sender.end
    judged = judge(sender, receiver, seq, end, sack)
    if judged != "valid":
        return "valid" if sender.liberal else judged

    window = packet.window if is_syn else packet.window << sender.scale
    sender.most_window = max(sender.most_window, (window + sack - ack) % 2**32)
    if after(end, sender.end):
        sender.end, sender.unanswered = end, True
    if is_ack and (sender.most_ack is None or after(ack, sender.most_ack)):
        sender.most_ack = ack
    if receiver.most_window and after(end, sender.most_end):
        receiver.most_window = (receiver.most_window + end - sender.most_end) % 2**32
    if after(sack + window, receiver.most_end - 1):
        receiver.most_end = (sack + max(1, window)) % 2**32
    if ack == receiver.end:
        receiver.unanswered = False
    if tcp_kind(packet.flags) == "ack":
        count_repeats(entry.latest, packet, reply)
    return "valid"


def begin_late(sender: Window, receiver: Window, packet: Packet, sack: int) -> None:
    """Guess a side of which the beginning was missed from its first packet."""
    sender.end = end_of(packet)
    sender.most_window = max(1, packet.window << sender.scale)
    sender.most_end = (sender.end + sender.most_window) % 2**32
    if receiver.most_window == 0:
        receiver.end = receiver.most_end = sack
    elif sack == (receiver.end + 1) % 2**32:  # the answer to a keep-alive
        receiver.end = sack


def judge(sender: Window, receiver: Window, seq: int, end: int, sack: int) -> str:
    """The four bounds of van Rooij's "Real Stateful TCP Packet Filtering", section 5, in the kernel's order."""
    not_beyond = after(sender.most_end + 1, seq)
    not_old = receiver.most_window == 0 or after(end, sender.end - receiver.most_window - 1)
    acks_what_was_sent = after(receiver.end + 1, sack)
    acks_nothing_ancient = after(sack, receiver.end - max(66000, sender.most_window) - 1)
    if not not_beyond:
        room = receiver.most_window
        fits = room > 0 and (end - sender.most_end + 1) % 2**32 <= room
        if not (fits and not_old and acks_what_was_sent and acks_nothing_ancient):
            return "invalid"
        sender.end, sender.unanswered = end, True  # the other side may take it all the same
        return "ignored"
    if not acks_what_was_sent:
        return "invalid"
    return "valid" if not_old and acks_nothing_ancient else "ignored"


def count_repeats(latest: Latest, packet: Packet, reply: bool) -> None:
    """Retransmissions, eight bits of them."""
    numbers = (reply, packet.seq, packet.ack, end_of(packet), packet.window)
    if numbers == (latest.reply, latest.seq, latest.ack, latest.end, latest.window):
        latest.repeats = (latest.repeats + 1) % 256
    else:
        latest.reply, latest.seq, latest.ack, latest.end, latest.window = numbers
        latest.repeats = 0


# ----------------------------------------------------------------------------------------------------------- the table

# Zeek's likely server ports, roughly: see peerburst.capture.packets.ports.
REGISTERED = (
    "1080 1194 1433 1521 1723 1883 1900 2049 3128 3268 3306 3389 3478 3544 4500 5060 5061 5190 5222 5223 5228 5269 "
    "5349 5353 5355 5432 5672 5900 6379 6667 6697 8000 8080 8081 8443 8883 8888 9418 27017"
)
SERVER_PORTS = {*range(1, 1024), *map(int, REGISTERED.split())}

End = tuple[int, int]


@dataclass
class Segment:
    """A run of a flow's packets."""

    first_side: str
    start: int
    last: int
    sides: list[str] = field(default_factory=list)
    renewed: int = 0
    closed: int = NEVER
    state: Phase = Phase.NONE
    phase: Phase = Phase.NONE
    deleted: bool = False

    @property
    def again(self) -> bool:
        """Whether its first sender sent again after the other end had."""
        other = next((i for i, side in enumerate(self.sides) if side != self.first_side), len(self.sides))
        return self.first_side in self.sides[other:]


@dataclass
class Flow:
    """The packets of one 5-tuple, from one opening to the next."""

    a: End
    b: End
    proto: int
    icmp: tuple[int, int, int] | None  # type, code and identifier of the first message
    orig: str
    first: str
    last: int
    renewed: int
    successor: int = -1
    pauses: int = 0
    closed_once: bool = False
    carried: bool = False  # the entry is still that of the flow before
    offload: bool = False
    against: bool = False  # the first packet came from a server's port to one that is none
    by_ports: bool = False  # so that only ports may tell who began
    target_is_server: bool = False
    began: int = 0
    closed: int = NEVER
    established: int = NEVER  # of TCP
    stream_ts: int = NEVER  # of UDP
    closing: int = NEVER
    history: str = ""
    packets: dict[str, int] = field(default_factory=lambda: {"a": 0, "b": 0})
    data: dict[str, int] = field(default_factory=lambda: {"a": 0, "b": 0})
    entry: Entry | None = None
    segments: list[Segment] = field(default_factory=list)
    talking: bool = False  # the last segment goes on

    def write_down(self) -> None:
        """Note in the segment at hand how the entry stands."""
        segment, entry = self.segments[-1], self.entry
        segment.last, segment.renewed = self.last, self.renewed
        if entry is not None:
            segment.state, segment.phase, segment.closed = PHASE_OF[entry.state], entry.phase, self.closed

    def remember(self, letters: str, side: str) -> None:
        """Zeek's history, each letter once, small letters for the end called b."""
        for letter in letters.upper() if side == "a" else letters.lower():
            if letter not in self.history:
                self.history += letter


def ends(packet: Packet) -> tuple[End, End]:
    """The sender and the receiver of a packet, as its flow is told from others.

    ICMP queries and their replies have one identifier; other messages are known by type and code, one way.
    """
    if packet.proto not in (ICMP, ICMPV6):
        return (packet.src, packet.sport), (packet.dst, packet.dport)
    if is_query(packet):
        return (packet.src, packet.icmp_id), (packet.dst, packet.icmp_id)
    return (packet.src, packet.icmp_type * 256 + packet.icmp_code), (packet.dst, 0)


def letters(packet: Packet) -> str:
    """What a packet adds to the history."""
    if packet.proto != TCP:
        return "d"
    made = ""
    if packet.flags & SYN:
        made += "h" if packet.flags & ACK else "s"
    if packet.payload:
        made += "d"
    elif tcp_kind(packet.flags) == "ack":
        made += "a"
    return made + "f" * bool(packet.flags & FIN) + "r" * bool(packet.flags & RST)


MAY_BE_OLDER, SWAPPED, UNDER_WAY = 30 * SECOND, SECOND // 20, SECOND
OVER = {TCP: 432_000 * SECOND, UDP: 350 * SECOND, UDPLITE: 350 * SECOND, ICMP: 350 * SECOND, ICMPV6: 350 * SECOND}


def is_flipped(packet: Packet) -> bool:
    """Whether the first packet seen comes from the responder, by what it is."""
    if packet.proto == TCP:
        return tcp_kind(packet.flags) == "synack"
    replies = {ICMP: (0, 14, 16, 18), ICMPV6: (129,)}
    return packet.icmp_type in replies.get(packet.proto, ())


def is_against_ports(packet: Packet) -> bool:
    """Whether the first packet seen does not tell, and comes from a server's port to one that is none."""
    if packet.proto == TCP and tcp_kind(packet.flags) in ("syn", "synack"):
        return False
    return packet.sport in SERVER_PORTS and packet.dport not in SERVER_PORTS


def _other(side: str) -> str:
    return "b" if side == "a" else "a"


def _socket(flow: Flow, side: str) -> tuple[int, int, int]:
    address, port = flow.a if side == "a" else flow.b
    return address, port, flow.proto


class Table:
    """The flow table.

    A segment ends after more than 5 s of silence, or as much as `gaps_s` has for the phase: its shortest timeout.
    """

    def __init__(self, gaps_s: dict[Phase, float] | None = None) -> None:
        self.flows: list[Flow] = []
        self._owner: dict[tuple[End, End, int], int] = {}
        self._timeouts = {phase: int(seconds * SECOND) for phase, seconds in (gaps_s or {}).items()}
        self._began: int | None = None

    def add_all(self, packets: Iterable[Packet]) -> None:
        for packet in packets:
            if self._began is None:
                self._began = packet.ts
            if packet.status == Status.DECODED:
                self._add(packet)

    def _add(self, packet: Packet) -> None:
        source, destination = ends(packet)
        side = "a" if source <= destination else "b"
        flow, ts = self._flow_of(packet, min(source, destination), max(source, destination), side)
        entry = flow.entry
        expired = entry is not None and ts >= entry.expires()
        if flow.talking:
            silence = ts - flow.last
            timeout = self._timeouts.get(entry.phase if entry else Phase.NONE)
            silent = silence > 5 * SECOND or (timeout is not None and silence >= timeout)
            if expired or silent or (entry is None and open_entry(packet, side, ts)):
                flow.write_down()
                flow.talking = False
        if expired:
            entry = flow.entry = None
        if not flow.talking:
            first_side = entry.opener if entry and flow.carried and not flow.segments else side
            flow.segments.append(Segment(first_side, ts, ts))
            flow.talking = True
        fate = self._run(flow, packet, side, ts)
        flow.last = ts
        flow.segments[-1].sides.append(side)
        self._sum_up(flow, packet, side, ts)
        if fate == "deleted":
            flow.renewed = ts
            flow.write_down()
            flow.segments[-1].deleted = True
            flow.entry, flow.talking = None, False

    def _flow_of(self, packet: Packet, a: End, b: End, side: str) -> tuple[Flow, int]:
        """The flow a packet belongs to, and the packet's time in it, which never goes back."""
        key = (a, b, packet.proto)
        before = self._owner.get(key)
        is_syn = packet.proto == TCP and tcp_kind(packet.flags) == "syn"
        is_over = before is not None and packet.ts - self.flows[before].last >= OVER.get(packet.proto, 86400 * SECOND)
        if before is not None and not is_over and not (is_syn and self.flows[before].closed_once):
            flow = self.flows[before]
            ts = max(packet.ts, flow.last)
            if ts - flow.last >= SECOND and packet.proto not in (ICMP, ICMPV6):
                flow.pauses = min(flow.pauses + 1, 65535)
            return flow, ts
        old = None if before is None else self.flows[before]
        ts = packet.ts if old is None else max(packet.ts, old.last)
        other = "b" if side == "a" else "a"
        orig = other if is_flipped(packet) else side
        is_icmp = packet.proto in (ICMP, ICMPV6)
        icmp = (packet.icmp_type, packet.icmp_code, packet.icmp_id) if is_icmp else None
        if is_icmp:
            a, b = (a[0], 0), (b[0], 0)
        flow = Flow(a, b, packet.proto, icmp, orig, side, ts, ts)
        flow.against = is_against_ports(packet)
        flow.target_is_server = packet.proto not in (ICMP, ICMPV6) and packet.dport in SERVER_PORTS
        flow.began = ts
        if flow.against and (packet.proto == TCP or abs(ts - (self._began or 0)) < MAY_BE_OLDER):
            flow.orig, flow.by_ports = other, True
        if old is not None:
            old.successor = len(self.flows)
            if old.entry is not None and ts < old.entry.expires():
                flow.entry, flow.carried = deepcopy(old.entry), True
                flow.renewed, flow.closed = old.renewed, old.closed
        self._owner[key] = len(self.flows)
        self.flows.append(flow)
        return flow, ts

    def _run(self, flow: Flow, packet: Packet, side: str, ts: int) -> str:
        """Open or carry on the entry; answers whether it "lives", is "deleted" or was "reopened"."""
        fate, before = "lives", ""
        if flow.entry is not None:
            before = flow.entry.state
            fate = track(flow.entry, packet, side, ts)
            if fate == "deleted":
                return fate
            if fate == "reopened":
                self._begin_again(flow, side, ts)
        if flow.entry is None or fate == "reopened":
            self._open(flow, packet, side, ts)
        elif packet.proto == TCP:
            self._note_turn(flow, before, flow.entry.state, ts)
        if flow.entry is not None:
            flow.renewed = flow.entry.renewed
        return fate

    def _begin_again(self, flow: Flow, side: str, ts: int) -> None:
        """A segment of its own for the entry that takes another's place."""
        if flow.segments[-1].sides:
            flow.write_down()
            flow.segments.append(Segment(side, ts, ts))
        flow.segments[-1].first_side = side

    def _open(self, flow: Flow, packet: Packet, side: str, ts: int) -> None:
        flow.entry = open_entry(packet, side, ts)
        if flow.entry is None:
            return
        flow.closed, flow.carried = NEVER, False
        if packet.proto in (UDP, UDPLITE):
            flow.stream_ts = ts + 2 * SECOND
        elif packet.proto == TCP and flow.entry.state == "ES":
            flow.established = min(flow.established, ts)

    def _note_turn(self, flow: Flow, before: str, state: str, ts: int) -> None:
        """Keep when TCP was first established, and when it closed last."""
        if state == "ES" != before:
            flow.established = min(flow.established, ts)
        was_over, is_over = before in ("TW", "CL"), state in ("TW", "CL")
        if is_over and not was_over:
            flow.closed = ts
        if was_over and not is_over:
            flow.closed, flow.carried = NEVER, False

    def _sum_up(self, flow: Flow, packet: Packet, side: str, ts: int) -> None:
        flow.packets[side] += 1
        flow.data[side] += packet.ip_bytes
        flow.offload = flow.offload or packet.offload
        if packet.proto == TCP and packet.flags & SYN and not set(flow.history) & set("shSH"):
            answers = bool(packet.flags & ACK)
            flow.orig = ("b" if side == "a" else "a") if answers else side
        is_answer = packet.proto != TCP and flow.packets[side] == 1 and side != flow.first
        if is_answer and flow.against and ts - flow.began <= SWAPPED and not flow.by_ports:
            flow.by_ports, flow.orig = True, side
        flow.remember(letters(packet), side)
        if packet.proto == TCP:
            if packet.flags & (FIN | RST):
                flow.closing = min(flow.closing, ts)
            state = flow.entry.state if flow.entry else ""
            if tcp_kind(packet.flags) == "rst" or (state in ("TW", "CL") and not flow.carried):
                flow.closed_once = True

    def settle(self) -> None:
        """Who began the flows that ports tell of: a socket that begins conversations with others is no server's."""
        told = [flow for flow in self.flows if flow.by_ports and flow.proto != TCP]
        for flow in told:
            other = "b" if flow.first == "a" else "a"
            flow.orig = flow.first if self._begins(flow) else other

    def _begins(self, flow: Flow) -> bool:
        mine = _socket(flow, flow.first)
        others = [one for one in self.flows if one.proto != TCP]
        first = [one for one in others if one.against and _socket(one, one.first) == mine]
        then = [one for one in others if one.target_is_server and _socket(one, _other(one.first)) == mine]
        sure = [one for one in first if not one.by_ports]
        late = [one for one in first if one.began - (self._began or 0) >= UNDER_WAY]
        peers = {_socket(one, _other(one.first))[0] for one in late}
        if len(sure) > max(len(then), 2) or (not then and len(peers) >= 10):
            return True

        def pair(one: Flow) -> tuple[object, ...]:
            return _socket(one, one.first)[0], _socket(one, _other(one.first))

        alike = [one for one in others if not one.by_ports and pair(one) == pair(flow)]
        return flow.proto not in (ICMP, ICMPV6) and len(alike) >= 10

    def segments(self) -> list[tuple[int, Segment]]:
        """(flow, segment) by flow and time."""
        for flow in self.flows:
            if flow.talking:
                flow.write_down()
        return [(i, segment) for i, flow in enumerate(self.flows) for segment in flow.segments]
