"""What one reader saw in one frame: the words in which peerburst and tshark are compared."""

from dataclasses import dataclass
from functools import cache
from ipaddress import IPv6Address, ip_address

# Kinds of `Seen` that both readers know. Where peerburst made out less it says which of its statuses that was.
PACKET = "packet"
FRAGMENT = "fragment"
NO_IP = "not IP"
HEADLESS = "no transport header"  # tshark's: addresses, and then not what the protocol number promised

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58


@dataclass(frozen=True, slots=True)
class Seen:
    """The outermost internet packet of a frame. Ports follow peerburst's rule for ICMP; lengths are bytes."""

    kind: str
    src: int = 0  # addresses as 128 bits, IPv4 mapped
    dst: int = 0
    proto: int = 0
    sport: int = 0
    dport: int = 0
    ip_bytes: int = 0
    flags: int = 0  # TCP's
    payload: int = 0  # TCP's


@cache
def number(address: str) -> int:
    """An address as 128 bits; IPv4 as ::ffff:a.b.c.d."""
    parsed = ip_address(address)
    return int(parsed) if isinstance(parsed, IPv6Address) else 0xFFFF00000000 | int(parsed)


def is_icmp_query(proto: int, message: int) -> bool:
    """RFC 792, 950 and 4443: the messages with an identifier, which peerburst puts in both ports."""
    return message in (128, 129) if proto == ICMPV6 else message in (0, 8, *range(13, 19))
