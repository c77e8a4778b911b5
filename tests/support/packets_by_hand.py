"""Packets and captures put together byte by byte, for tests. Checksums are 0: nothing here reads them."""

import struct
from collections.abc import Hashable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
IPV4, IPV6, VLAN, MPLS, PPPOE = 0x0800, 0x86DD, 0x8100, 0x8847, 0x8864


def hexed(text: str) -> bytes:
    """Bytes from hexadecimal, with blanks and `# comments`."""
    return bytes.fromhex("".join(line.split("#")[0] for line in text.splitlines()))


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def ethernet(
    inner: bytes, ethertype: int = IPV4, *, source: str = "00:00:00:00:00:01", target: str = "00:00:00:00:00:02"
) -> bytes:
    return mac(target) + mac(source) + struct.pack(">H", ethertype) + inner


def cooked2(inner: bytes, ethertype: int = IPV4, *, way: int = 0, interface: int = 2, sender: str = "") -> bytes:
    """Linux cooked, version 2; `way`: 0 to this machine, 4 sent by it."""
    address = mac(sender) if sender else b""
    return struct.pack(">HHIHBB", ethertype, 0, interface, 1, way, len(address)) + address.ljust(8, b"\0") + inner


def arp(sender: str, address: str, *, asks: str = "0.0.0.0") -> bytes:
    """An ARP request (RFC 826) as it stands behind the EtherType."""
    head = struct.pack(">HHBBH", 1, IPV4, 6, 4, 1)
    return head + mac(sender) + IPv4Address(address).packed + bytes(6) + IPv4Address(asks).packed


def router_advertisement(router: str, prefix: str, length: int = 64, sender: str = "") -> bytes:
    """An IPv6 packet (RFC 4861)."""
    options = bytes([3, 4, length, 0xC0]) + bytes(12) + IPv6Address(prefix).packed
    options += bytes([1, 1]) + mac(sender) if sender else b""
    return ipv6(struct.pack(">BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + options, ICMPV6, router, "ff02::1")


def dhcp_reply(server: str, own: str, *, mask: str = "255.255.255.0", router: str = "", names: str = "") -> bytes:
    """An IPv4 packet: what a DHCP server gives to a client (RFC 2131)."""
    head = bytes([2, 1, 6, 0]) + bytes(12) + IPv4Address(own).packed
    options = bytes([53, 1, 5, 1, 4]) + IPv4Address(mask).packed
    for code, value in ((3, router), (6, names)):
        options += bytes([code, 4]) + IPv4Address(value).packed if value else b""
    body = head.ljust(236, b"\0") + hexed("63825363") + options + b"\xff"
    return ipv4(udp(67, 68, body), UDP, server, own)


def vlan(inner: bytes, ethertype: int = IPV4) -> bytes:
    return struct.pack(">HH", 7, ethertype) + inner


def mpls(inner: bytes, labels: int = 1) -> bytes:
    return b"".join(struct.pack(">I", 16 << 12 | (i == labels - 1) << 8 | 64) for i in range(labels)) + inner


def pppoe(inner: bytes, protocol: int = 0x21) -> bytes:
    return struct.pack(">BBHHH", 0x11, 0, 1, len(inner) + 2, protocol) + inner


def ipv4(
    inner: bytes,
    proto: int = TCP,
    src: str = "10.0.0.1",
    dst: str = "10.0.0.2",
    *,
    options: bytes = b"",
    fragment: int = 0,
    length: int | None = None,
) -> bytes:
    """`fragment`: flags and offset as in the header. `length`: the total length field, if not the true one."""
    size = 20 + len(options)
    total = size + len(inner) if length is None else length
    start = struct.pack(">BBHHHBBH", 0x40 | size // 4, 0, total, 1, fragment, 64, proto, 0)
    return start + IPv4Address(src).packed + IPv4Address(dst).packed + options + inner


def ipv6(
    inner: bytes, following: int = TCP, src: str = "2001:db8::1", dst: str = "2001:db8::2", *, length: int | None = None
) -> bytes:
    payload = len(inner) if length is None else length
    return (
        struct.pack(">IHBB", 6 << 28, payload, following, 64)
        + IPv6Address(src).packed
        + IPv6Address(dst).packed
        + inner
    )


def extension(following: int, inner: bytes, size: int = 8) -> bytes:
    """A hop-by-hop, routing or destination header of `size` bytes."""
    return bytes([following, size // 8 - 1]) + bytes(size - 2) + inner


def fragment(following: int, inner: bytes, offset: int = 0, more: int = 1) -> bytes:
    """An IPv6 fragment header; `offset` in bytes."""
    return struct.pack(">BBHI", following, 0, offset | more, 9) + inner


def tcp(
    sport: int,
    dport: int,
    flags: int,
    data: bytes = b"",
    options: bytes = b"",
    seq: int = 100,
    ack: int = 200,
    window: int = 8192,
) -> bytes:
    header = 20 + len(options)
    return struct.pack(">HHIIBBHHH", sport, dport, seq, ack, header // 4 << 4, flags, window, 0, 0) + options + data


def udp(sport: int, dport: int, data: bytes = b"") -> bytes:
    return struct.pack(">HHHH", sport, dport, 8 + len(data), 0) + data


def icmp(kind: int, code: int = 0, identifier: int = 77, data: bytes = b"") -> bytes:
    return struct.pack(">BBHHH", kind, code, 0, identifier, 1) + data


# ---------------------------------------------------------------------------------------------------- TCP's numbers

# How far a number is from what a sound stack would have sent: in step, repeated, lost, out of window, nonsense.
ASTRAY = (0,) * 14 + (-1, 1, -300, 700, 70_000, -70_000, 3_000_000, 2**31)
WINDOWS = (8192, 8192, 65535, 500, 0)


@dataclass
class Numbered:
    """One end of a TCP connection: the numbers of its first byte, of the next one, and of its SYN and FIN if sent."""

    first: int
    next: int
    syn: int | None = None
    fin: int | None = None


class Numbering:
    """Sequence numbers as sound stacks give them, in the order of the packets.

    What is sent twice (SYN, FIN) keeps its number, everything so far is acknowledged, and a SYN after anything but a
    SYN is a new connection's.
    """

    def __init__(self, first: int = 1_000_000) -> None:
        """`first`: the least number of the first connection."""
        self._first = first
        self._ends: dict[tuple[Hashable, Hashable], Numbered] = {}

    def of(self, source: Hashable, target: Hashable, flags: int, size: int) -> tuple[int, int]:
        """(sequence number, acknowledgement) of a packet that carries `size` bytes."""
        if flags == SYN and self._is_past_its_syn(source, target):
            self._first += 1_000_000
            del self._ends[source, target]
            self._ends.pop((target, source), None)
        mine, other = self._end(source, target), self._end(target, source)
        number = mine.next
        if flags & SYN:
            mine.syn = number = number if mine.syn is None else mine.syn
        if flags & FIN:
            mine.fin = number = number if mine.fin is None else mine.fin
        if flags == RST | ACK and mine.next == mine.first:
            number = 0  # the answer to a SYN that nobody expects (RFC 9293, 3.10.7.1)
        else:
            end = number + size + bool(flags & SYN) + bool(flags & FIN)
            mine.next = max(mine.next, end)
        return number % 2**32, other.next % 2**32 if flags & ACK else 0

    def _end(self, source: Hashable, target: Hashable) -> Numbered:
        if (source, target) not in self._ends:
            first = self._first + (500_000 if (target, source) in self._ends else 0)
            self._ends[source, target] = Numbered(first, first)
        return self._ends[source, target]

    def _is_past_its_syn(self, source: Hashable, target: Hashable) -> bool:
        mine = self._ends.get((source, target))
        return mine is not None and mine.next > (mine.first if mine.syn is None else mine.syn + 1)


# ----------------------------------------------------------------------------------------------------------- captures


# Of the classic format, besides the usual 0xA1B2C3D4.
NANOSECOND_MAGIC, MODIFIED_MAGIC = 0xA1B23C4D, 0xA1B2CD34


def pcap(
    frames: list[tuple[int, int, bytes]],
    *,
    order: str = "<",
    magic: int = 0xA1B2C3D4,
    link: int = 1,
    snaplen: int = 65535,
) -> bytes:
    """A classic capture of (seconds, fraction, bytes)."""
    made = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snaplen, link)]
    for seconds, fraction, data in frames:
        made.append(struct.pack(order + "IIII", seconds, fraction, len(data), len(data)))
        if magic == MODIFIED_MAGIC:
            made.append(struct.pack(order + "IHBB", 1, 0, 0, 0))
        made.append(data)
    return b"".join(made)


def block(order: str, kind: int, body: bytes) -> bytes:
    """A pcapng block around its body, padded to 32 bits."""
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + length + body + length


def section(order: str = "<") -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def interface(order: str = "<", link: int = 1, snaplen: int = 0, options: bytes = b"") -> bytes:
    return block(order, 1, struct.pack(order + "HHI", link, 0, snaplen) + options)


def enhanced(data: bytes, ticks: int = 0, order: str = "<", which: int = 0, wire: int | None = None) -> bytes:
    wire = len(data) if wire is None else wire
    return block(order, 6, struct.pack(order + "IIIII", which, ticks >> 32, ticks % 2**32, len(data), wire) + data)


def simple(data: bytes, order: str = "<", wire: int | None = None) -> bytes:
    return block(order, 3, struct.pack(order + "I", len(data) if wire is None else wire) + data)


def old_packet(data: bytes, ticks: int = 0, order: str = "<", which: int = 0) -> bytes:
    """The obsolete packet block: a 16-bit interface and a count of drops."""
    numbers = (which, 3, ticks >> 32, ticks % 2**32, len(data), len(data))
    return block(order, 2, struct.pack(order + "HHIIII", *numbers) + data)
