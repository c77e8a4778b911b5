"""Where a capture was made, seen from its gateway, and what follows for who is who."""

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

import numpy as np

from peerburst.analysis.gateways.model import Per
from peerburst.analysis.hosts.locality import (
    Endpoints,
    Known,
    Scope,
    Words,
    locate,
    to_text,
)
from peerburst.analysis.settings import Settings
from peerburst.analysis.vantage.gateway import (
    Gateway,
    find_gateway,
    local_addresses,
    local_networks,
    named_gateway,
)
from peerburst.analysis.vantage.machines import mac_of_each, united
from peerburst.analysis.vantage.macs import FIRST_HOP_LIMITS, Behind, behind_macs, mac_text
from peerburst.analysis.vantage.twins import NO_TWINS, Twins, twins_of
from peerburst.capture.compiled.shapes import Int64s
from peerburst.capture.flows.record import FIRST_IS_A, Flows
from peerburst.capture.read import Capture


class Kind(StrEnum):
    """Where the capture was made."""

    LAPTOP = "laptop"  # on one machine, or on its line
    LAN = "lan"  # where several machines are seen
    ROUTER = "router"  # on the gateway, on both sides of its translation
    OUTSIDE_NAT = "outside-nat"  # beyond a router that has put its address in place of the machines'
    TUNNEL_MIRROR = "tunnel-mirror"  # of packets that a switch or router mirrors in a tunnel


@dataclass(frozen=True, slots=True)
class Vantage:
    """The kind, and the numbers it rests on."""

    kind: Kind
    gateway: Gateway
    machines: int  # local machines, as far as MACs tell, else addresses
    macs: int  # MACs that flows were seen with
    twins: Twins
    side: str  # which side of a translation counts: lan or wan
    per: Per
    followed: bool  # the packets inside a tunnel are what is read

    @property
    def gateway_macs(self) -> list[str]:
        return sorted(map(mac_text, self.gateway.macs))

    @property
    def outside(self) -> list[str]:
        """The gateway's own addresses on the other side, as far as seen."""
        return [to_text(*words) for words in self.twins.addresses]


class Surroundings:
    """Works out who is who in a capture; every part once, when it is asked for."""

    def __init__(self, capture: Capture, settings: Settings) -> None:
        self._capture, self._settings = capture, settings

    @property
    def _flows(self) -> Flows:
        return self._capture.flows

    @cached_property
    def _macs(self) -> list[Behind]:
        return behind_macs(self._flows)

    @cached_property
    def twins(self) -> Twins:
        """Connections seen on both sides of a translation."""
        return twins_of(self._flows) if self._sees_two_sides() else NO_TWINS

    def _sees_two_sides(self) -> bool:
        """Whether it is worth a search: the far ends of twins lie behind two MACs, unless frames tell of interfaces."""
        if sum(one.remote > 0 for one in self._macs) > 1:
            return True
        births = self._flows.evidence()
        return bool(births["interface"].any() or births["way"].any())

    @cached_property
    def gateway(self) -> Gateway:
        facts = self._capture.link_facts
        if self._settings.gateway is not None:
            return named_gateway(self._settings.gateway, self._macs, facts)
        return find_gateway(self._flows, self._macs, facts)

    @cached_property
    def by_address(self) -> Endpoints:
        """The ends of flows with a host for each local address."""
        facts, is_wan, twins = self._capture.link_facts, self._settings.side == "wan", self.twins
        outside = frozenset(twins.addresses)
        local = local_addresses(self._flows, self._macs, facts, self.gateway)
        known = Known(
            networks=local_networks(facts),
            local=local | outside if is_wan else local - outside,
            gateways=self.gateway.addresses - outside,
            outside=frozenset() if is_wan else outside,
        )
        settings = self._settings
        ends = locate(self._flows.row, settings.local_nets, self._capture.interface_addresses, known)
        return _without_insides(ends, twins) if is_wan else ends

    @cached_property
    def macs(self) -> dict[Words, int]:
        """The MAC of each address on this side."""
        return mac_of_each(self._macs, self._capture.link_facts, self.gateway.macs)

    def ends(self, per: Per) -> Endpoints:
        """The ends of flows with a host for whatever a limit is per."""
        ends = self.by_address
        if per is Per.ADDRESS or not ends.host_words.size:
            return ends
        return united(ends, per, self.macs, _flows_of_hosts(ends))

    def vantage(self, per: Per) -> Vantage:
        """Where the capture was made."""
        machines = _count_talking(self.ends(Per.MACHINE))
        return Vantage(
            kind=self._kind(machines),
            gateway=self.gateway,
            machines=machines,
            macs=len(self._macs),
            twins=self.twins,
            side=self._settings.side or "lan",
            per=per,
            followed=self._settings.follow_tunnels,
        )

    def _kind(self, machines: int) -> Kind:
        if self._settings.mirror:
            return Kind.TUNNEL_MIRROR
        if self.twins.addresses:
            return Kind.ROUTER
        if self._settings.side == "wan" or (machines == 1 and self._one_hop_away()):
            return Kind.OUTSIDE_NAT
        return Kind.LAPTOP if machines <= 1 else Kind.LAN

    def _one_hop_away(self) -> bool:
        """Whether nearly all that the local machine sent first had passed a router already."""
        ends, births, row = self.by_address, self._flows.evidence(), self._flows.row
        from_a = (row["flags"] & FIRST_IS_A) != 0
        is_sent = np.where(from_a, ends.host_a, ends.host_b) >= 0
        hops = births["hop_limit"][is_sent & (births["hop_limit"] > 0)]
        passed = np.isin(hops + 1, FIRST_HOP_LIMITS)
        return bool(hops.size and np.count_nonzero(passed) >= 0.9 * hops.size)


def _count_talking(ends: Endpoints) -> int:
    """How many hosts have a flow that is not to a group of hosts alone."""
    talks = (ends.scope == Scope.CROSSING) | (ends.scope == Scope.LAN) | (ends.scope == Scope.GATEWAY)
    hosts = np.concatenate([ends.host_a[talks], ends.host_b[talks]])
    return int(np.unique(hosts[hosts >= 0]).size)


def _without_insides(ends: Endpoints, twins: Twins) -> Endpoints:
    """The ends where what was seen before translation is left out."""
    scope, host_a, host_b = ends.scope.copy(), ends.host_a.copy(), ends.host_b.copy()
    scope[twins.inside] = Scope.OUTSIDE
    host_a[twins.inside] = host_b[twins.inside] = -1
    return replace(ends, scope=scope, host_a=host_a, host_b=host_b)


def _flows_of_hosts(ends: Endpoints) -> Int64s:
    count = ends.host_words.shape[0]
    flows = np.bincount(ends.host_a[ends.host_a >= 0], minlength=count)
    return flows + np.bincount(ends.host_b[ends.host_b >= 0], minlength=count)
