"""The pcapng blocks that we write, and addresses added to others' interface descriptions.

Layout: draft-ietf-opsawg-pcapng. Always little-endian, times in nanoseconds.
"""

import ipaddress
import struct
from collections.abc import Sequence

from peerburst.capture.files.pcapng import (
    BYTE_ORDER_MAGIC,
    ENHANCED_PACKET,
    IF_IPV4,
    IF_IPV6,
    IF_TSRESOL,
    INTERFACE,
    INTERFACE_STATISTICS,
    ISB_OSDROP,
    OPTION_END,
    SECTION_HEADER,
)

OPTION_COMMENT = 1
IF_NAME = 2
ISB_IFRECV = 4
NANOSECONDS = 9
UNKNOWN_LENGTH = (1 << 64) - 1
ANY_MASK = b"\xff\xff\xff\xff"  # if_IPv4addr wants a mask, which nobody reads


def section_header(comment: str = "") -> bytes:
    options = _option("<", OPTION_COMMENT, comment.encode()) + _option("<", OPTION_END, b"") if comment else b""
    return _block(SECTION_HEADER, struct.pack("<IHHQ", BYTE_ORDER_MAGIC, 1, 0, UNKNOWN_LENGTH) + options)


def interface_description(name: str, link_type: int, snaplen: int) -> bytes:
    """One interface; an empty name is left out."""
    options = (_option("<", IF_NAME, name.encode()) if name else b"") + _option("<", IF_TSRESOL, bytes([NANOSECONDS]))
    return _block(INTERFACE, struct.pack("<HHI", link_type, 0, snaplen) + options + _option("<", OPTION_END, b""))


def enhanced_packet(interface: int, time_ns: int, kept: bytes, length: int) -> bytes:
    """One packet of the section's interface number `interface`; `length` bytes on the wire."""
    head = struct.pack("<IIIII", interface, time_ns >> 32, time_ns & 0xFFFF_FFFF, len(kept), length)
    return _block(ENHANCED_PACKET, head + kept + bytes(-len(kept) % 4))


def interface_statistics(interface: int, time_ns: int, received: int, dropped: int) -> bytes:
    """How many packets came and were lost since the capture began."""
    head = struct.pack("<III", interface, time_ns >> 32, time_ns & 0xFFFF_FFFF)
    counts = _option("<", ISB_IFRECV, struct.pack("<Q", received)) + _option(
        "<", ISB_OSDROP, struct.pack("<Q", dropped)
    )
    return _block(INTERFACE_STATISTICS, head + counts + _option("<", OPTION_END, b""))


def with_addresses(description: bytes, order: str, addresses: Sequence[str]) -> bytes:
    """An interface description block, in byte order `order`, that also names the interface's addresses.

    dumpcap leaves them out; with them a kept file tells which host is ours. They go in front of the other options.
    """
    added = b""
    for address in map(ipaddress.ip_address, addresses):
        if address.version == 4:
            added += _option(order, IF_IPV4, address.packed + ANY_MASK)
        else:
            added += _option(order, IF_IPV6, address.packed + bytes([128]))
    rest = description[16:-4] or _option(order, OPTION_END, b"")
    length = struct.pack(order + "I", 20 + len(added) + len(rest))
    return description[:4] + length + description[8:16] + added + rest + length


def _block(kind: int, body: bytes) -> bytes:
    """Its total length stands at both ends."""
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def _option(order: str, code: int, data: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(data)) + data + bytes(-len(data) % 4)
