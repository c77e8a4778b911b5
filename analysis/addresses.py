"""Which addresses are local, and which flows cross the gateway. Addresses are two uint64, IPv4 as ::ffff:a.b.c.d."""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from peerburst.capture.errors import SettingsError
from peerburst.capture.flowtable import ORIG_IS_A
from peerburst.capture.internet import PROTO_UDP
from peerburst.capture.kernels import kernel

Words = npt.NDArray[np.uint64]

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
HUB_SHARE = 0.9
# A local address that answers on these UDP ports gives what gateways give: DNS, DHCP, NAT-PMP or PCP (RFC 6886, 6887).
GATEWAY_PORTS = (53, 67, 5351)


class Scope(IntEnum):
    """Where a flow goes, seen from the gateway."""

    CROSSING = 0  # between a local host and the world: the gateway holds it
    LAN = 1  # between local hosts
    GROUP = 2  # to a multicast or broadcast address
    TRANSIT = 3  # neither end is local
    GATEWAY = 4  # between a local host and the gateway itself: its table holds these too


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


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


@kernel
def match_networks(high, low, networks, inside):  # type: ignore[no-untyped-def]
    """Set inside[i] where an address is in any of the networks: rows of mask and address, high and low words each."""
    for i in range(high.size):
        for k in range(networks.shape[0]):
            if high[i] & networks[k, 0] == networks[k, 2] and low[i] & networks[k, 1] == networks[k, 3]:
                inside[i] = True
                break


def within(high: Words, low: Words, networks: Sequence[Network]) -> npt.NDArray[np.bool_]:
    """Which addresses are in any of the networks."""
    table = np.zeros((len(networks), 4), np.uint64)
    for i, network in enumerate(networks):
        prefix = network.prefixlen + (96 if network.version == 4 else 0)
        mask = ((1 << prefix) - 1) << (128 - prefix)
        table[i] = mask >> 64, mask & (1 << 64) - 1, *to_words(network.network_address)
    inside = np.zeros(high.size, np.bool_)
    match_networks(np.ascontiguousarray(high), np.ascontiguousarray(low), table, inside)
    return inside


@dataclass(frozen=True, slots=True)
class Ends:
    """The ends of every flow as numbers: which are local, which host each is, where the flow goes."""

    scope: npt.NDArray[np.uint8]  # Scope per flow
    host_a: npt.NDArray[np.int32]  # index into hosts of end a, -1 if it is not local
    host_b: npt.NDArray[np.int32]
    host_words: npt.NDArray[np.uint64]  # hosts by 2
    hub: tuple[str, ...]  # addresses outside the local ranges that were taken as local
    gateways: tuple[str, ...]  # local addresses that were taken as the gateway

    def hosts(self) -> list[str]:
        return [to_text(int(high), int(low)) for high, low in self.host_words]


def pair_codes(high: Words, low: Words) -> tuple[npt.NDArray[np.int64], Words]:
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


def _find_hub(row: npt.NDArray[np.void], unexplained: npt.NDArray[np.bool_], version: int) -> tuple[int, int] | None:
    """The address that is an end of nearly all packets that no local range explains: the capturing host itself."""
    is_v4 = (row["a_hi"] == 0) & (row["a_lo"] >> np.uint64(32) == np.uint64(0xFFFF))
    chosen = unexplained & (is_v4 if version == 4 else ~is_v4)
    some = row[chosen]
    if not some.size:
        return None
    packets = some["a_pkts"].astype(np.int64) + some["b_pkts"]
    codes, distinct = pair_codes(
        np.concatenate([some["a_hi"], some["b_hi"]]), np.concatenate([some["a_lo"], some["b_lo"]])
    )
    # Of two ends seen equally often, the one that opens flows: half a packet more for each.
    opens_a = (some["flags"] & ORIG_IS_A) != 0
    weight = np.concatenate([2 * packets + opens_a, 2 * packets + ~opens_a])
    per_address = np.bincount(codes, weights=weight)
    best = int(per_address.argmax())
    if per_address[best] < 2 * HUB_SHARE * packets.sum():
        return None
    return int(distinct[best, 0]), int(distinct[best, 1])


def _directed_broadcast(
    row: npt.NDArray[np.void], local_a: npt.NDArray[np.bool_], local_b: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Flows to a local IPv4 address that ends in 255 and never answers: a subnet's broadcast address, nearly always."""
    last = np.uint64(255)
    to_a = local_a & (row["a_hi"] == 0) & (row["a_lo"] & last == last) & (row["a_pkts"] == 0)
    to_b = local_b & (row["b_hi"] == 0) & (row["b_lo"] & last == last) & (row["b_pkts"] == 0)
    broadcast: npt.NDArray[np.bool_] = to_a | to_b
    return broadcast


def _find_gateways(row: npt.NDArray[np.void], lan: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    """Local addresses (n by 2) that serve other local hosts what gateways serve."""
    serves_a = lan & (row["proto"] == PROTO_UDP) & np.isin(row["a_port"], GATEWAY_PORTS) & (row["a_pkts"] > 0)
    serves_b = lan & (row["proto"] == PROTO_UDP) & np.isin(row["b_port"], GATEWAY_PORTS) & (row["b_pkts"] > 0)
    high = np.concatenate([row["a_hi"][serves_a], row["b_hi"][serves_b]])
    low = np.concatenate([row["a_lo"][serves_a], row["b_lo"][serves_b]])
    return pair_codes(high, low)[1]


def classify_ends(
    row: npt.NDArray[np.void], local_nets: Sequence[str] | None = None, interfaces: Sequence[str] = ()
) -> Ends:
    """Tell local ends from remote ones for FLOW rows.

    `local_nets` replaces the default ranges. Without it, the capture's own interface addresses are local too, and an
    address that nearly all unexplained packets have in common (a laptop with a public or IPv6 address).
    """
    networks = parse_networks(DEFAULT_LOCAL_NETS if local_nets is None else local_nets)
    if local_nets is None:
        networks += parse_networks(interfaces)
    groups = parse_networks(GROUP_NETS)
    local_a, local_b = within(row["a_hi"], row["a_lo"], networks), within(row["b_hi"], row["b_lo"], networks)
    group = within(row["a_hi"], row["a_lo"], groups) | within(row["b_hi"], row["b_lo"], groups)
    group |= _directed_broadcast(row, local_a, local_b)
    hubs = []
    if local_nets is None:
        for version in (4, 6):
            hub = _find_hub(row, ~(local_a | local_b | group), version)
            if hub is not None:
                hubs.append(to_text(*hub))
                local_a |= (row["a_hi"] == hub[0]) & (row["a_lo"] == hub[1])
                local_b |= (row["b_hi"] == hub[0]) & (row["b_lo"] == hub[1])
    scope = np.full(row.size, Scope.TRANSIT, np.uint8)
    scope[local_a ^ local_b] = Scope.CROSSING
    scope[local_a & local_b] = Scope.LAN
    scope[group] = Scope.GROUP
    gateways = _find_gateways(row, scope == Scope.LAN)
    for high, low in gateways:
        is_a, is_b = (row["a_hi"] == high) & (row["a_lo"] == low), (row["b_hi"] == high) & (row["b_lo"] == low)
        scope[(is_a | is_b) & (scope == Scope.LAN)] = Scope.GATEWAY
        local_a &= ~is_a
        local_b &= ~is_b
    host_a, host_b = np.full(row.size, -1, np.int32), np.full(row.size, -1, np.int32)
    in_a, in_b = np.flatnonzero(local_a), np.flatnonzero(local_b)
    codes, words = pair_codes(
        np.concatenate([row["a_hi"][in_a], row["b_hi"][in_b]]), np.concatenate([row["a_lo"][in_a], row["b_lo"][in_b]])
    )
    host_a[in_a], host_b[in_b] = codes[: in_a.size], codes[in_a.size :]
    return Ends(
        scope, host_a, host_b, words, tuple(hubs), tuple(to_text(int(high), int(low)) for high, low in gateways)
    )
