"""Packets and captures put together octet by octet, for tests. Checksums are 0: nothing here reads them."""

import struct
from ipaddress import IPv4Address, IPv6Address

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
IPV4, IPV6, VLAN, MPLS, PPPOE = 0x0800, 0x86DD, 0x8100, 0x8847, 0x8864


def hexed(text: str) -> bytes:
    """Octets from hexadecimal, with blanks and `# comments`."""
    return bytes.fromhex("".join(line.split("#")[0] for line in text.splitlines()))


def ethernet(inner: bytes, ethertype: int = IPV4) -> bytes:
    return bytes(5) + b"\x02" + bytes(5) + b"\x01" + struct.pack(">H", ethertype) + inner


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
    """A hop-by-hop, routing or destination header of `size` octets."""
    return bytes([following, size // 8 - 1]) + bytes(size - 2) + inner


def fragment(following: int, inner: bytes, offset: int = 0, more: int = 1) -> bytes:
    """An IPv6 fragment header; `offset` in octets."""
    return struct.pack(">BBHI", following, 0, offset | more, 9) + inner


def tcp(sport: int, dport: int, flags: int, data: bytes = b"", options: bytes = b"", seq: int = 100) -> bytes:
    header = 20 + len(options)
    return struct.pack(">HHIIBBHHH", sport, dport, seq, 200, header // 4 << 4, flags, 8192, 0, 0) + options + data


def udp(sport: int, dport: int, data: bytes = b"") -> bytes:
    return struct.pack(">HHHH", sport, dport, 8 + len(data), 0) + data


def icmp(kind: int, code: int = 0, identifier: int = 77, data: bytes = b"") -> bytes:
    return struct.pack(">BBHHH", kind, code, 0, identifier, 1) + data


# ----------------------------------------------------------------------------------------------------------- captures


def pcap(
    frames: list[tuple[int, int, bytes]],
    *,
    order: str = "<",
    magic: int = 0xA1B2C3D4,
    link: int = 1,
    snaplen: int = 65535,
) -> bytes:
    """A classic capture of (seconds, fraction, octets)."""
    made = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snaplen, link)
    for seconds, fraction, octets in frames:
        made += struct.pack(order + "IIII", seconds, fraction, len(octets), len(octets))
        if magic == 0xA1B2CD34:
            made += struct.pack(order + "IHBB", 1, 0, 0, 0)
        made += octets
    return made


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


def enhanced(octets: bytes, ticks: int = 0, order: str = "<", which: int = 0, wire: int | None = None) -> bytes:
    wire = len(octets) if wire is None else wire
    return block(order, 6, struct.pack(order + "IIIII", which, ticks >> 32, ticks % 2**32, len(octets), wire) + octets)


def simple(octets: bytes, order: str = "<", wire: int | None = None) -> bytes:
    return block(order, 3, struct.pack(order + "I", len(octets) if wire is None else wire) + octets)


def old_packet(octets: bytes, ticks: int = 0, order: str = "<", which: int = 0) -> bytes:
    """The obsolete packet block: a 16-bit interface and a count of drops."""
    numbers = (which, 3, ticks >> 32, ticks % 2**32, len(octets), len(octets))
    return block(order, 2, struct.pack(order + "HHIIII", *numbers) + octets)
