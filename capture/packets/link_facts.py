"""What rare packets say of the link itself: which address is behind which MAC, which router and prefix it has.

ARP (RFC 826), IPv6 neighbour discovery (RFC 4861) and what DHCP servers answer (RFC 2131, options of RFC 2132).
Decoding leaves the frames of such packets in a chain, so that nobody has to look for them among all others.
"""

import threading
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from peerburst.capture.compiled.kernel import kernel, part
from peerburst.capture.compiled.loads import be16, be32, be64
from peerburst.capture.compiled.shapes import Bool, Bytes, Int, Records
from peerburst.capture.links.protocols import ETHERTYPE_VLAN
from peerburst.capture.packets.frame_ends import ETHERNET as ETHERNET_FRAME
from peerburst.capture.packets.frame_ends import ETHERNET_SENDER, KIND_BITS, KIND_MASK, mac_at
from peerburst.capture.packets.ip import MAPPED_PREFIX, PROTO_UDP

NONE_LEFT = -1  # the end of the chain of telling frames

ETHERTYPE_ARP = 0x0806
ETHERNET, LINUX_SLL, LINUX_SLL2 = 1, 113, 276
ETHERNET_HEADER, VLAN_TAG, SLL_HEADER, SLL2_HEADER = 14, 4, 16, 20
ARP_LENGTH, ARP_SENDER_MAC, ARP_SENDER_ADDRESS = 28, 8, 14
ARP_OF_ETHERNET_AND_IPV4 = 0x0800_0604  # protocol 0x0800, lengths 6 and 4

ROUTER_SOLICITATION, ROUTER_ADVERTISEMENT, NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT, REDIRECT = range(133, 138)
SOURCE_MAC_OPTION, TARGET_MAC_OPTION, PREFIX_OPTION = 1, 2, 3
ON_LINK_OR_AUTONOMOUS = 0xC0

UDP_HEADER = 8
BOOTP_REPLY, BOOTP_OWN_ADDRESS, BOOTP_COOKIE, BOOTP_OPTIONS = 2, 16, 236, 240
DHCP_COOKIE = 0x63825363
MASK_OPTION, ROUTER_OPTION, NAME_SERVER_OPTION, END_OPTION, PAD_OPTION = 1, 3, 6, 255, 0

# What one fact is.
NEIGHBOUR, ROUTER, PREFIX, DHCP_ROUTER, NAME_SERVER = range(1, 6)
FACT = np.dtype(
    [
        ("mac", np.int64),  # of a NEIGHBOUR or ROUTER
        ("high", np.uint64),  # the address, IPv4 as ::ffff:a.b.c.d
        ("low", np.uint64),
        ("length", np.int64),  # bits of a PREFIX, IPv4's counted from 96
        ("kind", np.int64),
    ]
)
MOST_PER_FRAME = 16
MOST_FACTS = 1 << 16  # kept of one capture: more is an attack or an address scan, and says nothing more


@part
def arp_at(data: Bytes, start: Int, stop: Int, link: Int) -> Int:
    """Where the ARP message of a frame begins, or its `start` where it has none."""
    at, said = start, start
    if link == ETHERNET:
        at, said = start + ETHERNET_HEADER, start + ETHERNET_HEADER - 2
        if be16(data, said) == ETHERTYPE_VLAN:
            at, said = at + VLAN_TAG, said + VLAN_TAG
    elif link == LINUX_SLL:
        at, said = start + SLL_HEADER, start + SLL_HEADER - 2
    elif link == LINUX_SLL2:
        at = start + SLL2_HEADER
    if at == start or at + ARP_LENGTH > stop or be16(data, said) != ETHERTYPE_ARP:
        return start
    return at


@part
def is_neighbour_discovery(icmp_type: Int) -> Bool:
    """Whether an ICMPv6 message is one of neighbour discovery's."""
    return icmp_type >= ROUTER_SOLICITATION and icmp_type <= REDIRECT


@part
def _say(facts: Records, count: Int, kind: Int, mac: Int, high: np.uint64, low: np.uint64) -> Int:
    fact = facts[count]
    fact["kind"], fact["mac"], fact["length"] = kind, mac, 0
    fact["high"], fact["low"] = high, low
    return count + 1


@part
def _sender(data: Bytes, frame: Int) -> Int:
    """Who handed on a packet, by its `frame`, if that is Ethernet; most name themselves besides."""
    return mac_at(data, (frame >> KIND_BITS) + ETHERNET_SENDER) if frame & KIND_MASK == ETHERNET_FRAME else np.int64(0)


@part
def _arp(data: Bytes, at: Int, facts: Records, count: Int) -> Int:
    if be32(data, at + 2) != ARP_OF_ETHERNET_AND_IPV4 or be32(data, at + ARP_SENDER_ADDRESS) == 0:
        return count
    mac = mac_at(data, at + ARP_SENDER_MAC)
    low = np.uint64(MAPPED_PREFIX | be32(data, at + ARP_SENDER_ADDRESS))
    return _say(facts, count, NEIGHBOUR, mac, np.uint64(0), low)


@part
def _discovery(data: Bytes, at: Int, stop: Int, packets: Records, i: Int, facts: Records, count: Int) -> Int:
    """A message of neighbour discovery, from its ICMPv6 header on; at most MOST_PER_FRAME facts."""
    packet = packets[i]
    kind, mac, most = (
        np.int64(packet["icmp_type"]),
        _sender(data, np.int64(packet["frame"])),
        count + MOST_PER_FRAME - 1,
    )
    high, low = packet["src_hi"], packet["src_lo"]
    options = at + 8
    if kind == ROUTER_ADVERTISEMENT:
        options = at + 16
    elif kind == NEIGHBOUR_SOLICITATION or kind == NEIGHBOUR_ADVERTISEMENT:
        options = at + 24
        if kind == NEIGHBOUR_ADVERTISEMENT and options <= stop:
            high, low = be64(data, at + 8), be64(data, at + 16)
    elif kind == REDIRECT:
        return count
    while options + 8 <= stop and count < most:
        option, length = np.int64(data[options]), np.int64(data[options + 1]) * 8
        if length == 0:
            break
        if option == SOURCE_MAC_OPTION or option == TARGET_MAC_OPTION:
            mac = mac_at(data, options + 2)
        if (
            option == PREFIX_OPTION
            and kind == ROUTER_ADVERTISEMENT
            and options + 32 <= stop
            and data[options + 3] & ON_LINK_OR_AUTONOMOUS
        ):
            count = _say(facts, count, PREFIX, 0, be64(data, options + 16), be64(data, options + 24))
            facts[count - 1]["length"] = data[options + 2]
        options += length
    if high == 0 and low == 0:  # who has no address yet asks whether anybody has it
        return count
    return _say(facts, count, ROUTER if kind == ROUTER_ADVERTISEMENT else NEIGHBOUR, mac, high, low)


@part
def _ones(mask: Int) -> Int:
    bits = 0
    while bits < 32 and mask >> (31 - bits) & 1:
        bits += 1
    return bits


@part
def _dhcp(data: Bytes, at: Int, stop: Int, facts: Records, count: Int) -> Int:
    """What a DHCP server answers, from the UDP header on; at most MOST_PER_FRAME facts."""
    bootp = at + UDP_HEADER
    if bootp + BOOTP_OPTIONS > stop or data[bootp] != BOOTP_REPLY or be32(data, bootp + BOOTP_COOKIE) != DHCP_COOKIE:
        return count
    own, options, most = be32(data, bootp + BOOTP_OWN_ADDRESS), bootp + BOOTP_OPTIONS, count + MOST_PER_FRAME - 1
    while options + 2 <= stop and count < most and data[options] != END_OPTION:
        if data[options] == PAD_OPTION:
            options += 1
            continue
        option, length, value = np.int64(data[options]), np.int64(data[options + 1]), options + 2
        if length >= 4 and value + 4 <= stop:
            low = np.uint64(MAPPED_PREFIX | be32(data, value))
            if option == MASK_OPTION and own != 0:
                count = _say(facts, count, PREFIX, 0, np.uint64(0), np.uint64(MAPPED_PREFIX | own))
                facts[count - 1]["length"] = 96 + _ones(be32(data, value))
            elif option == ROUTER_OPTION:
                count = _say(facts, count, DHCP_ROUTER, 0, np.uint64(0), low)
            elif option == NAME_SERVER_OPTION:
                count = _say(facts, count, NAME_SERVER, 0, np.uint64(0), low)
        options = value + length
    return count


@kernel
def read_facts(data: Bytes, frames: Records, packets: Records, last: Int, facts: Records) -> Int:
    """Fill `facts` (FACT) from the chain of telling frames that ends in `last`; answers how many.

    Stops where fewer than MOST_PER_FRAME places are left.
    """
    count: Int = np.int64(0)
    i: Int = np.int64(last)
    while i != NONE_LEFT and count + MOST_PER_FRAME <= facts.size:
        at, stop = frames[i]["start"], frames[i]["stop"]
        if packets[i]["status"] != 0:
            count = _arp(data, at, facts, count)
        elif packets[i]["proto"] == PROTO_UDP:
            count = _dhcp(data, at, stop, facts, count)
        else:
            count = _discovery(data, at, stop, packets, i, facts, count)
        i = frames[i]["link"]
    return count


@dataclass(frozen=True, slots=True)
class LinkFacts:
    """What is known of the link. Addresses are (high, low) words; MACs whole numbers."""

    neighbours: frozenset[tuple[int, int, int]] = frozenset()  # (MAC, high, low)
    routers: frozenset[tuple[int, int, int]] = frozenset()  # (MAC, high, low) of Router Advertisements
    prefixes: frozenset[tuple[int, int, int]] = frozenset()  # (high, low, bits of 128)
    dhcp_routers: frozenset[tuple[int, int]] = frozenset()
    name_servers: frozenset[tuple[int, int]] = frozenset()


@dataclass(slots=True)
class LinkFactCollector:
    """Gathers facts from batches; any thread may add to it."""

    _seen: set[tuple[int, int, int, int, int]] = field(default_factory=set)  # as in FACT
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self, data: npt.NDArray[np.uint8], frames: npt.NDArray[np.void], packets: npt.NDArray[np.void], last: Int
    ) -> None:
        """Add what the frames of a batch say, as `decode` left them; `last` is what it answered."""
        if last == NONE_LEFT or len(self._seen) >= MOST_FACTS:
            return
        facts = np.zeros(4096 + MOST_PER_FRAME, FACT)
        found = np.unique(facts[: read_facts(data, frames, packets, last, facts)])
        with self._lock:
            self._seen.update(found.tolist())

    def facts(self) -> LinkFacts:
        with self._lock:
            seen = list(self._seen)

        def of(kind: int, first: int, last: int) -> frozenset[tuple[int, ...]]:
            return frozenset(fact[first:last] for fact in seen if fact[4] == kind)

        return LinkFacts(
            neighbours=of(NEIGHBOUR, 0, 3),  # type: ignore[arg-type]
            routers=of(ROUTER, 0, 3),  # type: ignore[arg-type]
            prefixes=of(PREFIX, 1, 4),  # type: ignore[arg-type]
            dhcp_routers=of(DHCP_ROUTER, 1, 3),  # type: ignore[arg-type]
            name_servers=of(NAME_SERVER, 1, 3),  # type: ignore[arg-type]
        )


def joined(parts: list[LinkFacts]) -> LinkFacts:
    """The facts of several captures."""
    names = LinkFacts.__dataclass_fields__
    return LinkFacts(**{name: frozenset().union(*(getattr(part, name) for part in parts)) for name in names})
