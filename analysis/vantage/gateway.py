"""Which MAC and which addresses are the gateway's, and which hosts are on this side of it."""

import ipaddress
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from peerburst.analysis.hosts.locality import (
    LOCAL_A,
    LOCAL_B,
    Network,
    Words,
    ends_among,
    servers_among,
    to_words,
)
from peerburst.analysis.vantage.macs import FIRST_HOP_LIMITS, MOST_PASSED, OWN, Behind, is_v4
from peerburst.capture.errors import SettingsError
from peerburst.capture.flows.record import FIRST_IS_A, Flows
from peerburst.capture.packets.link_facts import LinkFacts
from peerburst.capture.packets.ports import GATEWAY_PORTS

DNS_PORT = 53
# A gateway has the world behind its MAC: so many addresses outside local ranges, and several times as many as any
# other. With fewer, a server with some public addresses of its own looks the same.
LEAST_REMOTE = 3
TIMES_OTHERS = 4
# A second gateway on the same link has a tenth of the first's, and more than a machine has addresses.
LEAST_OF_SECOND, SHARE_OF_SECOND = 16, 0.1
# What a machine may have: public IPv4 addresses, and IPv6 addresses, of which many make a new one each day (RFC 8981).
MOST_PUBLIC4, MOST_PUBLIC6 = 8, 48
# A router that answers ARP for others (RFC 1027) says more addresses to be its own.
MOST_BY_ARP = 8
SHORTEST_PREFIX4, SHORTEST_PREFIX6 = 96 + 8, 32  # shorter ones are mistakes, or attacks


@dataclass(frozen=True, slots=True)
class Gateway:
    """What is known of it. `why`: in words that follow "because"."""

    macs: frozenset[int] = frozenset()
    addresses: frozenset[Words] = frozenset()
    remote: int = 0  # about how many addresses of the world lie behind its MACs
    why: str = ""
    only_dns: frozenset[Words] = frozenset()  # answers DNS, and nothing says that it is the gateway


def parse_gateway(text: str) -> tuple[int | None, Words | None]:
    """(MAC, address), one of them, as typed; raises SettingsError on anything else."""
    digits = text.replace("-", ":").split(":")
    if len(digits) == 6 and all(len(part) in (1, 2) for part in digits):
        try:
            return int("".join(part.zfill(2) for part in digits), 16), None
        except ValueError:
            pass
    try:
        return None, to_words(ipaddress.ip_address(text))
    except ValueError:
        raise SettingsError(f"{text!r} is no gateway; write its address or its MAC, like 00:11:22:33:44:55") from None


def named_gateway(text: str, macs: Sequence[Behind], facts: LinkFacts) -> Gateway:
    """The gateway that a person named by its MAC or address."""
    mac, address = parse_gateway(text)
    pairs = {(fact[0], (fact[1], fact[2])) for fact in (*facts.neighbours, *facts.routers)}
    if mac is not None:
        own = frozenset(words for of, words in pairs if of == mac)
        return Gateway(frozenset([mac]), own, _remote(macs, [mac]), "you named it")
    assert address is not None
    of = {one for one, words in pairs if words == address}
    of |= {one.mac for one in macs if address in one.addresses and one.mac != OWN and one.remote >= LEAST_REMOTE}
    return Gateway(frozenset(of), frozenset([address]), _remote(macs, of), "you named it")


def _remote(macs: Sequence[Behind], of: Collection[int]) -> int:
    return sum(one.remote for one in macs if one.mac in of)


def find_gateway(flows: Flows, macs: Sequence[Behind], facts: LinkFacts) -> Gateway:
    """The gateway by its MAC, behind which the world lies; without MACs, by what it serves."""
    serves = servers_among(flows.row, GATEWAY_PORTS)
    by_mac = _by_mac(macs, facts) or _by_mac_and_service(macs, serves)
    more_than_dns = servers_among(flows.row, [port for port in GATEWAY_PORTS if port != DNS_PORT])
    if not by_mac and not macs and serves and not more_than_dns and not facts.dhcp_routers:
        # Nothing can say whether a name server is on this link: what is asked of it is counted rather than left out.
        return Gateway(
            frozenset(), frozenset(serves), 0, "it answers DNS, and there are no MACs to tell more", frozenset()
        )
    if not by_mac:
        addresses = frozenset(more_than_dns | facts.dhcp_routers)
        why = "it serves DHCP or NAT-PMP" if more_than_dns else "a DHCP server names it"
        return Gateway(frozenset(), addresses, 0, why if addresses else "", frozenset(serves - addresses))
    behind = [one for one in macs if one.mac in by_mac]
    own = _own_addresses(by_mac, facts)
    here = {words for one in behind for words in one.private4}
    own |= (here - _elsewhere(macs, by_mac)) & serves
    remote = _remote(macs, by_mac)
    return Gateway(frozenset(by_mac), frozenset(own), remote, "the world lies behind its MAC", frozenset(serves - own))


def _elsewhere(macs: Sequence[Behind], by_mac: Collection[int]) -> set[Words]:
    return {words for one in macs if one.mac not in by_mac for words in one.addresses}


def _by_mac_and_service(macs: Sequence[Behind], serves: Collection[Words]) -> set[int]:
    """MACs behind which both an address that serves DNS and some of the world lie, however little."""
    return {
        one.mac
        for one in macs
        if one.mac != OWN and one.remote and (set(one.private4) & set(serves)) - _elsewhere(macs, [one.mac])
    }


def _by_mac(macs: Sequence[Behind], facts: LinkFacts) -> set[int]:
    """The MACs of gateways, the one with the most behind it and others like it; none if nothing tells."""
    others = sorted((one for one in macs if one.mac != OWN), key=lambda one: -one.remote)
    said = {mac for mac, *_address in facts.routers}
    said |= {mac for mac, high, low in facts.neighbours if (high, low) in facts.dhcp_routers}
    if not others or others[0].remote < LEAST_REMOTE:
        return said
    first, rest = others[0], others[1:]
    second = rest[0].remote if rest else 0
    if first.remote >= TIMES_OTHERS * second:
        return said | {first.mac}
    alike = {one.mac for one in others if one.remote >= max(LEAST_OF_SECOND, SHARE_OF_SECOND * first.remote)}
    machines = [one for one in others if one.mac not in alike and one.private4]
    if machines and len(alike) > 1:  # several routers on a link of machines
        return said | alike
    inner = {one.mac for one in others[:2] if one.private4}  # a router with machines behind it, and the one beyond
    return said | ({one.mac for one in others[:2]} - inner if len(inner) == 1 else set())


def _own_addresses(by_mac: Collection[int], facts: LinkFacts) -> set[Words]:
    own = {(high, low) for mac, high, low in facts.routers if mac in by_mac} | set(facts.dhcp_routers)
    for of in by_mac:
        by_arp = {(high, low) for mac, high, low in facts.neighbours if mac == of}
        if len(by_arp) <= MOST_BY_ARP:
            own |= by_arp
    return own


def local_networks(facts: LinkFacts) -> tuple[Network, ...]:
    """Prefixes that routers and DHCP servers say are on the link."""
    found: list[Network] = []
    for high, low, length in sorted(facts.prefixes):
        number = high << 64 | low
        if is_v4((high, low)) and SHORTEST_PREFIX4 <= length <= 128:
            found.append(ipaddress.IPv4Network((number & 0xFFFFFFFF, length - 96), strict=False))
        elif not is_v4((high, low)) and SHORTEST_PREFIX6 <= length <= 128:
            found.append(ipaddress.IPv6Network((number, length), strict=False))
    return tuple(found)


def local_addresses(flows: Flows, macs: Sequence[Behind], facts: LinkFacts, gateway: Gateway) -> frozenset[Words]:
    """Addresses outside local ranges that are on this side: behind a MAC that is not the gateway's, or this machine's.

    What lies behind the gateway's MAC as well is not.
    """
    found: set[Words] = set()
    for one in macs:
        if one.mac in gateway.macs or not (gateway.macs or one.mac == OWN):
            continue
        if len(one.public4) <= MOST_PUBLIC4 and not one.private4:
            found |= set(one.public4)
        if len(one.public6) <= MOST_PUBLIC6:
            found |= set(one.public6)
    if gateway.macs:
        said = {(high, low) for mac, high, low in facts.neighbours if mac not in gateway.macs}
        found |= {words for words in said if words[0] >> 56 != 0xFF}
    return frozenset(found - _behind_gateway(flows, found, gateway) - _from_afar(flows, found))


def _from_afar(flows: Flows, addresses: set[Words]) -> set[Words]:
    """Those of the addresses whose packets have mostly passed more routers than one: a second router let them in."""
    births, row = flows.evidence(), flows.row
    first_a, ends = (row["flags"] & FIRST_IS_A) != 0, ends_among(row, addresses)
    is_sender = (ends & np.where(first_a, LOCAL_A, LOCAL_B).astype(np.uint8)) != 0
    hops = births["hop_limit"].astype(np.int64)
    near = np.isin(hops, [first - passed for first in FIRST_HOP_LIMITS for passed in range(MOST_PASSED + 1)] + [0])
    far = Counter(_senders(flows, is_sender & ~near))
    if not far:
        return set()
    sent = Counter(_senders(flows, is_sender & ((ends_among(row, set(far)) & ends) != 0)))
    return {words for words, count in far.items() if 2 * count > sent[words]}


def _senders(flows: Flows, which: npt.NDArray[np.bool_]) -> list[Words]:
    row = flows.row[which]
    is_a = (row["flags"] & FIRST_IS_A) != 0
    high, low = np.where(is_a, row["a_hi"], row["b_hi"]), np.where(is_a, row["a_lo"], row["b_lo"])
    return list(zip(high.tolist(), low.tolist(), strict=True))


def _behind_gateway(flows: Flows, addresses: set[Words], gateway: Gateway) -> set[Words]:
    """Those of the addresses that some flow shows behind the gateway's MAC."""
    births, row = flows.evidence(), flows.row
    first_a, seen = (row["flags"] & FIRST_IS_A) != 0, set[Words]()
    ends = ends_among(row, addresses)
    for bit, name in ((LOCAL_A, "a"), (LOCAL_B, "b")):
        is_sender = first_a == (name == "a")
        for mac in gateway.macs:
            mine = np.where(is_sender, births["sender"], births["receiver"]) == mac
            behind = ((ends & bit) != 0) & mine
            seen |= set(zip(row[f"{name}_hi"][behind].tolist(), row[f"{name}_lo"][behind].tolist(), strict=True))
    return seen
