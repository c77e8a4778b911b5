"""Which addresses are one machine, and by what a limit is counted: address, prefix, MAC or machine."""

from collections.abc import Collection, Sequence

import numpy as np

from peerburst.analysis.gateways.model import Per
from peerburst.analysis.hosts.locality import Endpoints, Words
from peerburst.analysis.vantage.macs import OWN, Behind, is_v4
from peerburst.capture.compiled.shapes import Int64s
from peerburst.capture.packets.link_facts import LinkFacts

LINK_LOCAL6 = 0xFE80
MOST_OWN = 8  # addresses of this machine, if it forwards nobody's packets
PREFIX_HIGH = 0  # in place of the lower half of an address, for all of a /64


def mac_of_each(macs: Sequence[Behind], facts: LinkFacts, gateways: Collection[int]) -> dict[Words, int]:
    """The MAC that each address lies behind, the one with most of its flows; none that is a gateway's."""
    most: dict[Words, tuple[int, int]] = {}
    for one in macs:
        for words, flows in one.addresses.items():
            most[words] = max(most.get(words, (0, 0)), (flows, one.mac))
    found = {(high, low): mac for mac, high, low in facts.neighbours}
    found |= {words: mac for words, (_flows, mac) in most.items()}
    return {words: mac for words, mac in found.items() if mac not in gateways}


def _is_link_local(words: Words) -> bool:
    return words[0] >> 48 == LINK_LOCAL6 or (is_v4(words) and words[1] >> 16 & 0xFFFF == 0xA9FE)


def group_key(words: Words, per: Per, macs: dict[Words, int], several: Collection[int]) -> tuple[str, int, int]:
    """What an address counts with; `several`: MACs of several IPv4 addresses."""
    mac = macs.get(words, 0)
    if per is Per.PREFIX and not is_v4(words):
        return "prefix", words[0], PREFIX_HIGH
    if mac and (per is Per.MAC or (per is Per.MACHINE and mac not in several)):
        return "mac", mac, 0
    return "address", *words


def united(ends: Endpoints, per: Per, macs: dict[Words, int], flows: Int64s) -> Endpoints:
    """Hosts numbered by what a limit is per, in order of their main addresses: those with the most flows.

    `flows`: how many each address has, by host number.
    """
    words = [(high, low) for high, low in ends.host_words.tolist()]
    several = several_v4(words, macs)
    groups: dict[tuple[str, int, int], list[int]] = {}
    for host, address in enumerate(words):
        groups.setdefault(group_key(address, per, macs, several), []).append(host)
    if len(groups) == len(words):
        return ends
    # IPv4 addresses name a machine better than one of many temporary ones.
    members = [
        sorted(group, key=lambda host: (per in (Per.MAC, Per.MACHINE) and not is_v4(words[host]), -int(flows[host])))
        for group in groups.values()
    ]
    members.sort(key=lambda group: words[group[0]])
    number = np.empty(len(words), np.int32)
    for place, group in enumerate(members):
        number[group] = place
    main = np.array([words[group[0]] for group in members], np.uint64).reshape(-1, 2)
    return ends.united(number, main, tuple(tuple(words[host] for host in group) for group in members))


def several_v4(words: Sequence[Words], macs: dict[Words, int]) -> set[int]:
    """MACs of more than one IPv4 address; this machine itself may have some on each of its interfaces."""
    seen: dict[int, int] = {}
    for address in words:
        mac = macs.get(address, 0)
        if mac and not _is_link_local(address) and (is_v4(address) or mac == OWN):
            seen[mac] = seen.get(mac, 0) + 1
    return {mac for mac, count in seen.items() if count > (MOST_OWN if mac == OWN else 1)}
