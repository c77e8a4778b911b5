"""Ethernet frames with IPv4 or IPv6 and TCP, UDP or ICMP inside, lengths and checksums right.

RFC 894 (Ethernet), 791 and 8200 (IP), 9293 (TCP), 768 (UDP), 792 and 4443 (ICMP), 1071 (checksum). A body is given by
its first bytes and its size: what follows is zero bytes, which stand for ciphertext nobody could read anyway, and
which add nothing to a checksum.
"""

import struct
from dataclasses import dataclass
from enum import IntFlag
from typing import NamedTuple

ETHERTYPE_IPV4, ETHERTYPE_IPV6 = b"\x08\x00", b"\x86\xdd"
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
DONT_FRAGMENT = 0x4000
# RFC 894: a frame carries at least 46 bytes, so 60 with its header; the checksum behind it is never captured.
SHORTEST_ON_WIRE = 60
PORT_UNREACHABLE_V4, PORT_UNREACHABLE_V6 = (3, 3), (1, 4)


class Flag(IntFlag):
    """TCP's control bits, RFC 9293 section 3.1."""

    FIN = 0x01
    SYN = 0x02
    RST = 0x04
    PSH = 0x08
    ACK = 0x10


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a packet as seen on the LAN: `mac` is the next hop's, `address` packed, 4 or 16 bytes.

    `shortest_frame`: frames from a guest arrive padded; the gateway's own are captured before its card pads them.
    """

    mac: bytes
    address: bytes
    hop_limit: int
    shortest_frame: int = 0


class Frame(NamedTuple):
    """A frame's first bytes and its length on the wire; the bytes not given are zero."""

    head: bytes
    length: int


def checksum(data: bytes) -> int:
    """RFC 1071: the complement of the ones' complement sum of 16-bit words (2^16 is 1 modulo 65535)."""
    if len(data) % 2:
        data += b"\0"
    return 0xFFFF - ((int.from_bytes(data, "big") % 0xFFFF) or 0xFFFF)


def tcp(
    source: Endpoint,
    target: Endpoint,
    ports: tuple[int, int],
    numbers: tuple[int, int],
    flags: int,
    window: int,
    *,
    options: bytes = b"",
    body: bytes = b"",
    size: int = 0,
    identification: int = 0,
) -> Frame:
    """One segment; `numbers` are sequence and acknowledgement, `body` the first bytes of `size`."""
    head_length = 20 + len(options)
    fixed = struct.pack(">HHIIBBHHH", *ports, numbers[0], numbers[1], head_length // 4 << 4, int(flags), window, 0, 0)
    summed = checksum(_pseudo_header(source, target, TCP, head_length + size) + fixed + options + body)
    header = fixed[:16] + summed.to_bytes(2, "big") + fixed[18:] + options
    return _framed(source, target, TCP, header + body, head_length + size, identification)


def udp(
    source: Endpoint,
    target: Endpoint,
    ports: tuple[int, int],
    body: bytes,
    size: int,
    identification: int = 0,
) -> Frame:
    """One datagram; `body` is the first bytes of `size`."""
    fixed = struct.pack(">HHHH", *ports, 8 + size, 0)
    # RFC 768: a sum of zero is sent as all ones, for zero means no checksum.
    summed = checksum(_pseudo_header(source, target, UDP, 8 + size) + fixed + body) or 0xFFFF
    return _framed(source, target, UDP, fixed[:6] + summed.to_bytes(2, "big") + body, 8 + size, identification)


def port_unreachable(source: Endpoint, target: Endpoint, refused: Frame) -> Frame:
    """The ICMP message `source` sends for a datagram nobody listens for; it quotes the datagram's headers."""
    quote = refused.head[14:]
    if len(target.address) == 4:
        quote = quote[:28]  # RFC 792: the internet header and 64 bits
        fixed = struct.pack(">BBHI", *PORT_UNREACHABLE_V4, 0, 0)
        protocol, summed = ICMP, checksum(fixed + quote)
    else:
        quote = quote[:48]
        fixed = struct.pack(">BBHI", *PORT_UNREACHABLE_V6, 0, 0)
        length = len(fixed) + len(quote)
        protocol, summed = ICMPV6, checksum(_pseudo_header(source, target, ICMPV6, length) + fixed + quote)
    message = fixed[:2] + summed.to_bytes(2, "big") + fixed[4:] + quote
    return _framed(source, target, protocol, message, len(message), 0)


def _pseudo_header(source: Endpoint, target: Endpoint, protocol: int, length: int) -> bytes:
    if len(source.address) == 4:
        return source.address + target.address + struct.pack(">HH", protocol, length)
    return source.address + target.address + struct.pack(">II", length, protocol)


def _framed(
    source: Endpoint, target: Endpoint, protocol: int, payload: bytes, payload_length: int, identification: int
) -> Frame:
    if len(source.address) == 4:
        ethertype, header = ETHERTYPE_IPV4, _ipv4_header(source, target, protocol, payload_length, identification)
    else:
        fixed = struct.pack(">IHBB", 6 << 28, payload_length, protocol, source.hop_limit)
        ethertype, header = ETHERTYPE_IPV6, fixed + source.address + target.address
    length = 14 + len(header) + payload_length
    return Frame(target.mac + source.mac + ethertype + header + payload, max(length, source.shortest_frame))


def _ipv4_header(source: Endpoint, target: Endpoint, protocol: int, length: int, identification: int) -> bytes:
    fixed = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, identification, DONT_FRAGMENT, source.hop_limit, protocol, 0)
    addresses = source.address + target.address
    return fixed[:10] + checksum(fixed + addresses).to_bytes(2, "big") + addresses
