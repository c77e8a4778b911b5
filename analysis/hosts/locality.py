"""Which addresses are local, and which flows cross the gateway. Addresses are two uint64, IPv4 as ::ffff:a.b.c.d."""

import ipaddress
import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from peerburst.capture.compiled.hashing import address_slot
from peerburst.capture.compiled.kernel import allocating_kernel, kernel, part
from peerburst.capture.compiled.shapes import Bools, Int32s, Int64s, Records, UInt8s, UInt64s
from peerburst.capture.errors import SettingsError
from peerburst.capture.flows.record import ORIG_IS_A
from peerburst.capture.packets.ip import PROTO_UDP

# What a guest network hands out and what never leaves a link: RFC 1918, RFC 6598 (carrier NAT), RFC 3927, RFC 4193,
# RFC 4291 (link-local, loopback), RFC 1122 (this network, loopback).
DEFAULT_LOCAL_NETS = (
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "127.0.0.0/8",
    "0.0.0.0/32",
    "fc00::/7",
    "fe80::/10",
    "::1/128",
    "::/128",
)
GROUP_NETS = ("224.0.0.0/4", "255.255.255.255/32", "ff00::/8")
MAPPED = 0xFFFF << 32
# An address that is an end of this share of the packets no local range explains is the capturing host's own.
CAPTURE_HOST_SHARE = 0.9


class Scope(IntEnum):
    """Where a flow goes, seen from the gateway."""

    CROSSING = 0  # between a local host and the world: the gateway holds it
    LAN = 1  # between local hosts
    GROUP = 2  # to a multicast or broadcast address
    TRANSIT = 3  # neither end is local
    GATEWAY = 4  # between a local host and the gateway itself: its table holds these too
    OUTSIDE = 5  # of the gateway's own address outside: a connection after translation, which was counted before it


Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Words = tuple[int, int]  # an address, high and low


def parse_networks(texts: Iterable[str]) -> list[Network]:
    """Networks or single addresses as typed; raises SettingsError on the first that is neither."""
    networks: list[Network] = []
    for text in texts:
        try:
            networks.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            raise SettingsError(f"{text!r} is not a network; write it like 192.168.0.0/16 or 2001:db8::/32") from None
    return networks


def to_words(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> tuple[int, int]:
    """(high, low) of an address."""
    number = int(address)
    if address.version == 4:
        return 0, MAPPED | number
    return number >> 64, number & (1 << 64) - 1


def to_text(high: int, low: int) -> str:
    """An address as people write it."""
    if high == 0 and low >> 32 == 0xFFFF:
        return str(ipaddress.IPv4Address(low & 0xFFFFFFFF))
    return str(ipaddress.IPv6Address(high << 64 | low))


def _table(networks: Sequence[Network]) -> UInt64s:
    """Networks as kernels take them: rows of mask and address, high and low words each."""
    table = np.zeros((len(networks), 4), np.uint64)
    for i, network in enumerate(networks):
        prefix = network.prefixlen + (96 if network.version == 4 else 0)
        mask = ((1 << prefix) - 1) << (128 - prefix)
        table[i] = mask >> 64, mask & (1 << 64) - 1, *to_words(network.network_address)
    return table


@part
def _within(high: np.uint64, low: np.uint64, networks: UInt64s) -> bool:
    """Whether an address is in any of the networks of a `_table`."""
    for k in range(networks.shape[0]):
        if high & networks[k, 0] == networks[k, 2] and low & networks[k, 1] == networks[k, 3]:
            return True
    return False


@kernel
def match_networks(high: UInt64s, low: UInt64s, networks: UInt64s, inside: Bools) -> None:
    """Fill inside[i]: whether an address is in any of the networks of a `_table`."""
    for i in range(high.size):
        inside[i] = _within(high[i], low[i], networks)


def within(high: UInt64s, low: UInt64s, networks: Sequence[Network]) -> Bools:
    """Which addresses are in any of the networks."""
    inside = np.empty(high.size, np.bool_)
    match_networks(np.ascontiguousarray(high), np.ascontiguousarray(low), _table(networks), inside)
    return inside


# Locality bits of a flow: end a is local, end b is, one end is a group of hosts.
LOCAL_A, LOCAL_B, TO_GROUP = 1, 2, 4
OUTSIDE = 8  # alone: an end is the gateway's address outside
# The scope of flows with each of the eight combinations of these.
SCOPES = np.full(9, Scope.GROUP, np.uint8)
SCOPES[OUTSIDE] = Scope.OUTSIDE
SCOPES[[0, LOCAL_A, LOCAL_B, LOCAL_A | LOCAL_B]] = Scope.TRANSIT, Scope.CROSSING, Scope.CROSSING, Scope.LAN


@kernel
def fill_locality(rows: Records, networks: UInt64s, groups: UInt64s, locality: UInt8s) -> None:
    """Fill the locality bits of each flow (FLOW).

    A group is an address in `groups`, or a broadcast address: a local IPv4 address that ends in 255 and never answers,
    which is nearly always a subnet's.
    """
    last, none = np.uint64(255), np.uint64(0)
    a_hi, a_lo, b_hi, b_lo = rows["a_hi"], rows["a_lo"], rows["b_hi"], rows["b_lo"]
    a_packets, b_packets = rows["a_pkts"], rows["b_pkts"]
    for i in range(locality.size):
        local_a, local_b = _within(a_hi[i], a_lo[i], networks), _within(b_hi[i], b_lo[i], networks)
        group = _within(a_hi[i], a_lo[i], groups) or _within(b_hi[i], b_lo[i], groups)
        group = group or (local_a and a_hi[i] == none and a_lo[i] & last == last and a_packets[i] == 0)
        group = group or (local_b and b_hi[i] == none and b_lo[i] & last == last and b_packets[i] == 0)
        locality[i] = (LOCAL_A if local_a else 0) | (LOCAL_B if local_b else 0) | (TO_GROUP if group else 0)


@part
def _slot(slots: Int32s, words: UInt64s, high: np.uint64, low: np.uint64, seed: np.uint64) -> int:
    """The slot that holds this address's number, or the free one (-1) where it belongs."""
    at = address_slot(seed, high, low, slots.size)
    while slots[at] >= 0 and (words[slots[at], 1] != low or words[slots[at], 0] != high):
        at = (at + 1) & (slots.size - 1)
    return at


@kernel
def fill_slots(words: UInt64s, seed: np.uint64, slots: Int32s) -> None:
    """Make addresses (n by 2) known to `_slot`; `slots`, a power of two and at least twice as many, are -1 before."""
    for k in range(words.shape[0]):
        slots[_slot(slots, words, words[k, 0], words[k, 1], seed)] = k


@kernel
def match_ends(rows: Records, words: UInt64s, seed: np.uint64, slots: Int32s, ends: UInt8s) -> None:
    """Fill which ends of each flow (FLOW) are among the addresses that `slots` knows, as LOCAL_A and LOCAL_B."""
    a_hi, a_lo, b_hi, b_lo = rows["a_hi"], rows["a_lo"], rows["b_hi"], rows["b_lo"]
    for i in range(ends.size):
        in_a = slots[_slot(slots, words, a_hi[i], a_lo[i], seed)] >= 0
        in_b = slots[_slot(slots, words, b_hi[i], b_lo[i], seed)] >= 0
        ends[i] = (LOCAL_A if in_a else 0) | (LOCAL_B if in_b else 0)


def ends_among(row: Records, addresses: Collection[Words]) -> UInt8s:
    """Which ends of FLOW rows are among these addresses: LOCAL_A and LOCAL_B."""
    ends = np.zeros(row.size, np.uint8)
    if addresses:
        words = np.array(sorted(addresses), np.uint64)
        slots = np.full(1 << (2 * len(words)).bit_length(), -1, np.int32)
        seed = np.uint64(secrets.randbits(62))
        with np.errstate(over="ignore"):
            fill_slots(words, seed, slots)
            match_ends(row, words, seed, slots, ends)
    return ends


@allocating_kernel
def number_ends(rows: Records, locality: UInt8s, seed: np.uint64, code_a: Int32s, code_b: Int32s) -> UInt64s:
    """Number the addresses of local ends in the order they appear; answers them, n by 2 (high, low).

    Fills per flow (FLOW) the number of each end, -1 where its locality bit says that it is not local. `seed`: see
    `hashing.address_slot`.
    """
    a_hi, a_lo, b_hi, b_lo = rows["a_hi"], rows["a_lo"], rows["b_hi"], rows["b_lo"]
    slots, words, count = np.full(1 << 10, -1, np.int32), np.empty((1 << 9, 2), np.uint64), 0
    for i in range(locality.size):
        for side in range(2):
            code = -1
            if locality[i] & (LOCAL_B if side else LOCAL_A):
                high, low = (b_hi[i], b_lo[i]) if side else (a_hi[i], a_lo[i])
                at = _slot(slots, words, high, low, seed)
                if slots[at] < 0:
                    if count == words.shape[0]:
                        larger = np.empty((2 * count, 2), np.uint64)
                        larger[:count] = words
                        words, slots = larger, np.full(4 * count, -1, np.int32)
                        for k in range(count):
                            slots[_slot(slots, words, words[k, 0], words[k, 1], seed)] = k
                        at = _slot(slots, words, high, low, seed)
                    words[count, 0], words[count, 1] = high, low
                    slots[at] = count
                    count += 1
                code = slots[at]
            if side:
                code_b[i] = code
            else:
                code_a[i] = code
    return words[:count]


@kernel
def renumber(code: Int32s, ranks: Int32s) -> None:
    """Put ranks[code[i]] in the place of every code that is not -1."""
    for i in range(code.size):
        if code[i] >= 0:
            code[i] = ranks[code[i]]


@kernel
def weigh_ends(rows: Records, code_a: Int32s, code_b: Int32s, weights: Int64s) -> np.int64:
    """Add up for each address number two for every packet, and one for every flow it opened; answers the packets."""
    flags, a_packets, b_packets = rows["flags"], rows["a_pkts"], rows["b_pkts"]
    total = np.int64(0)
    for i in range(code_a.size):
        if code_a[i] >= 0:
            packets, opens_a = np.int64(a_packets[i]) + np.int64(b_packets[i]), flags[i] & ORIG_IS_A != 0
            weights[code_a[i]] += 2 * packets + opens_a
            weights[code_b[i]] += 2 * packets + (not opens_a)
            total += packets
    return total


def _numbers(rows: Records, locality: UInt8s) -> tuple[Int32s, Int32s, UInt64s]:
    """(number of end a per flow, of end b, distinct addresses by 2 in order) of the local ends; -1 of others."""
    code_a, code_b = np.empty(rows.size, np.int32), np.empty(rows.size, np.int32)
    with np.errstate(over="ignore"):
        words = number_ends(rows, locality, np.uint64(secrets.randbits(62)), code_a, code_b)
    order = np.lexsort((words[:, 1], words[:, 0]))
    ranks = np.empty(order.size, np.int32)
    ranks[order] = np.arange(order.size)
    renumber(code_a, ranks)
    renumber(code_b, ranks)
    return code_a, code_b, words[order]


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The ends of every flow as numbers: which are local, which host each is, where the flow goes."""

    scope: UInt8s  # Scope per flow
    host_a: Int32s  # index into hosts of end a, -1 if it is not local
    host_b: Int32s
    host_words: UInt64s  # hosts by 2
    capture_host: tuple[str, ...]  # addresses outside the local ranges that were taken as local
    gateways: tuple[str, ...]  # local addresses that were taken as the gateway
    addresses: tuple[tuple[Words, ...], ...] = ()  # by host, where one may have several; the main one first

    def hosts(self) -> list[str]:
        return [to_text(int(high), int(low)) for high, low in self.host_words]

    def united(self, group: Int32s, main: UInt64s, addresses: tuple[tuple[Words, ...], ...]) -> "Endpoints":
        """The same with hosts numbered by the group that each belongs to; `main`: a group's address by 2."""
        host_a, host_b = self.host_a.copy(), self.host_b.copy()
        renumber(host_a, group)
        renumber(host_b, group)
        return replace(self, host_a=host_a, host_b=host_b, host_words=main, addresses=addresses)


def pair_codes(high: UInt64s, low: UInt64s) -> tuple[Int64s, UInt64s]:
    """(code per address, distinct addresses by 2), sorted by address."""
    if not high.size:
        return np.zeros(0, np.int64), np.zeros((0, 2), np.uint64)
    order = np.lexsort((low, high)) if high.any() else np.argsort(low, kind="stable")
    sorted_high, sorted_low = high[order], low[order]
    is_new = np.ones(order.size, np.bool_)
    is_new[1:] = (sorted_high[1:] != sorted_high[:-1]) | (sorted_low[1:] != sorted_low[:-1])
    codes = np.empty(order.size, np.int64)
    codes[order] = np.cumsum(is_new) - 1
    return codes, np.stack([sorted_high[is_new], sorted_low[is_new]], axis=1)


def _find_capture_host(row: Records, locality: UInt8s, version: int) -> tuple[int, int] | None:
    """The address that is an end of nearly all packets that no local range explains: the capturing host itself."""
    is_v4 = (row["a_hi"] == 0) & (row["a_lo"] >> np.uint64(32) == np.uint64(0xFFFF))
    unexplained = (locality == 0) & (is_v4 if version == 4 else ~is_v4)
    code_a, code_b, words = _numbers(row, np.where(unexplained, LOCAL_A | LOCAL_B, 0).astype(np.uint8))
    if not words.size:
        return None
    # Of two ends seen equally often, the one that opens flows: half a packet more for each.
    weights = np.zeros(words.shape[0], np.int64)
    packets = weigh_ends(row, code_a, code_b, weights)
    best = int(weights.argmax())
    if weights[best] < 2 * CAPTURE_HOST_SHARE * packets:
        return None
    return int(words[best, 0]), int(words[best, 1])


@dataclass(frozen=True, slots=True)
class Known:
    """What else than addresses' ranges tells who is who; addresses as words."""

    networks: tuple[Network, ...] = ()  # local too
    local: frozenset[Words] = frozenset()  # local too
    gateways: frozenset[Words] = frozenset()  # the gateway's own on this side
    outside: frozenset[Words] = frozenset()  # the gateway's own on the other side


def servers_among(row: Records, ports: Sequence[int]) -> set[Words]:
    """Local addresses that answered other local hosts over UDP from one of these ports."""
    found: set[Words] = set()
    udp = np.flatnonzero(row["proto"] == PROTO_UDP)
    asked = row[udp[np.isin(row["a_port"][udp], ports) | np.isin(row["b_port"][udp], ports)]]
    locality = np.empty(asked.size, np.uint8)
    fill_locality(asked, _table(parse_networks(DEFAULT_LOCAL_NETS)), _table(parse_networks(GROUP_NETS)), locality)
    lan = asked[locality == LOCAL_A | LOCAL_B]
    for end in ("a", "b"):
        serves = lan[np.isin(lan[f"{end}_port"], ports) & (lan[f"{end}_pkts"] > 0)]
        found |= set(zip(serves[f"{end}_hi"].tolist(), serves[f"{end}_lo"].tolist(), strict=True))
    return found


NOTHING_KNOWN = Known()


def locate(
    row: Records,
    local_nets: Sequence[str] | None = None,
    interfaces: Sequence[str] = (),
    known: Known = NOTHING_KNOWN,
) -> Endpoints:
    """Tell local ends from remote ones for FLOW rows.

    `local_nets` replaces the default ranges and what else is known to be local. Without it, the capture's own interface
    addresses are local too, and an address that nearly all unexplained packets have in common (a laptop with a public
    or IPv6 address).
    """
    networks = parse_networks(DEFAULT_LOCAL_NETS if local_nets is None else local_nets)
    if local_nets is None:
        networks += [*parse_networks(interfaces), *known.networks]
    locality = np.empty(row.size, np.uint8)
    fill_locality(row, _table(networks), _table(parse_networks(GROUP_NETS)), locality)
    locality |= ends_among(row, known.local if local_nets is None else ())
    locality |= ends_among(row, known.gateways)
    locality[ends_among(row, known.outside) != 0] = OUTSIDE
    capture_hosts = _add_capture_hosts(row, locality) if local_nets is None else ()
    scope, (host_a, host_b, words) = SCOPES[locality], _numbers(row, np.where(locality == OUTSIDE, 0, locality))
    lan = np.flatnonzero(scope == Scope.LAN)
    is_gateway = np.zeros(words.shape[0], np.bool_)
    if known.gateways:
        is_gateway[:] = [(high, low) in known.gateways for high, low in words.tolist()]
        scope[lan[is_gateway[host_a[lan]] | is_gateway[host_b[lan]]]] = Scope.GATEWAY
        # The gateway is no host of its own.
        ranks = np.where(is_gateway, -1, np.cumsum(~is_gateway) - 1).astype(np.int32)
        renumber(host_a, ranks)
        renumber(host_b, ranks)
    gateways = tuple(to_text(int(high), int(low)) for high, low in words[is_gateway])
    return Endpoints(scope, host_a, host_b, words[~is_gateway], capture_hosts, gateways)


def _add_capture_hosts(row: Records, locality: UInt8s) -> tuple[str, ...]:
    """Make the capturing host's own addresses local, one of each IP version at most; answers them."""
    if locality.all():
        return ()
    added = []
    for version in (4, 6):
        words = _find_capture_host(row, locality, version)
        if words is not None:
            added.append(to_text(*words))
            for end, bit in (("a", LOCAL_A), ("b", LOCAL_B)):
                locality[(row[f"{end}_hi"] == words[0]) & (row[f"{end}_lo"] == words[1])] |= bit
    return tuple(added)
