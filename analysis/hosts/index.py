"""The flows of one host, seen from that host: who is remote, what was sent, what came back."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from peerburst.analysis.hosts.locality import Endpoints, Scope
from peerburst.analysis.hosts.peers import HostFlowColumns, count_peers, new_seed, peer_room
from peerburst.capture.compiled.kernel import kernel
from peerburst.capture.compiled.shapes import Bools, Int32s, Int64s, Records, UInt8s, UInt64s
from peerburst.capture.flows.record import NEVER, ORIG_IS_A, Flows

GROUP, TRANSIT = int(Scope.GROUP), int(Scope.TRANSIT)


@dataclass(frozen=True, slots=True)
class HostFlows:
    """Some flows of one host, in the order they began; `flow` indexes the flow table, the rest is aligned with it."""

    flow: Int64s
    outbound: Bools  # the host is the originator
    remote_hi: UInt64s
    remote_lo: UInt64s
    remote_port: Int64s
    local_port: Int64s
    proto: UInt8s
    sent_bytes: Int64s
    received_bytes: Int64s

    def take(self, chosen: npt.NDArray[np.intp] | Bools) -> "HostFlows":
        """The chosen of these flows."""
        return HostFlows(*(getattr(self, name)[chosen] for name in self.__slots__))


class FlowHosts(NamedTuple):
    """Whose each flow is, by flow."""

    scope: UInt8s  # Scope
    host_a: Int32s  # the number of the host at end a, -1 if that is not local
    host_b: Int32s


@kernel
def count_host_flows(hosts: FlowHosts, first_segment: Int64s, segments: Records, counts: Int64s) -> bool:
    """Count each host's unicast flows into `counts`, which are zeros; answers whether flows are numbered as they began.

    `first_segment`: where each flow's segments (SEGMENT) begin.
    """
    starts, latest, in_order = segments["start"], -NEVER, True
    scope, host_a, host_b = hosts.scope, hosts.host_a, hosts.host_b
    for f in range(scope.size):
        if scope[f] == GROUP or scope[f] == TRANSIT:
            continue
        in_order = in_order and starts[first_segment[f]] >= latest
        latest = starts[first_segment[f]]
        if host_a[f] >= 0:
            counts[host_a[f]] += 1
        if host_b[f] >= 0:
            counts[host_b[f]] += 1
    return in_order


@kernel
def group_by_host(order: Int32s, hosts: FlowHosts, rows: Records, at: Int64s, flow: Int32s, outbound: Bools) -> None:
    """Put the unicast flows of each host side by side; one between two hosts stands twice.

    In this order or, where it is empty, in that of their numbers. `at`: where each host's begin; afterwards, where
    they stop.
    """
    flags, scope, host_a, host_b = rows["flags"], hosts.scope, hosts.host_a, hosts.host_b
    for k in range(scope.size):
        f = np.int64(order[k]) if order.size else k
        if scope[f] == GROUP or scope[f] == TRANSIT:
            continue
        from_a = flags[f] & ORIG_IS_A != 0
        if host_a[f] >= 0:
            k_a = at[host_a[f]]
            at[host_a[f]] += 1
            flow[k_a], outbound[k_a] = f, from_a
        if host_b[f] >= 0:
            k_b = at[host_b[f]]
            at[host_b[f]] += 1
            flow[k_b], outbound[k_b] = f, not from_a


@dataclass(frozen=True, slots=True)
class Totals:
    """Per host, over all its flows."""

    peers: Int64s  # distinct remote addresses
    ip_bytes: Int64s


class HostIndex:
    """Finds the flows of each host without going through all of them again.

    Those of host h are flow[first[h]:first[h + 1]], in the order they began; `outbound` tells which the host opened.
    """

    def __init__(self, flows: Flows, ends: Endpoints) -> None:
        self._row = flows.row
        hosts = FlowHosts(ends.scope, ends.host_a, ends.host_b)
        counts = np.zeros(ends.host_words.shape[0], np.int64)
        in_order = count_host_flows(hosts, flows.first_segment, flows.segments, counts)
        # Flows are numbered as they came, which need not be in order of time.
        order = np.zeros(0, np.int32) if in_order else np.argsort(flows.first_ns(), kind="stable").astype(np.int32)
        self.first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.flow = np.empty(self.first[-1], np.int32)
        self.outbound = np.empty(self.first[-1], np.bool_)
        group_by_host(order, hosts, self._row, self.first[:-1].copy(), self.flow, self.outbound)

    def counts(self) -> Int64s:
        """How many flows each host has."""
        return np.diff(self.first)

    def totals(self) -> Totals:
        """How many peers and bytes each host has."""
        counts = self.counts()
        peers, ip_bytes = np.zeros(counts.size, np.int64), np.zeros(counts.size, np.int64)
        flows, room = HostFlowColumns(self._row, self.flow, self.outbound), peer_room(int(counts.max(initial=0)))
        with np.errstate(over="ignore"):
            count_peers(flows, self.first, new_seed(), room, peers, ip_bytes)
        return Totals(peers, ip_bytes)

    def of(self, host: int) -> HostFlows:
        """All flows of a host, in the order they began."""
        part = slice(self.first[host], self.first[host + 1])
        flow, outbound = self.flow[part].astype(np.int64), self.outbound[part]
        local_a = outbound == ((self._row["flags"][flow] & ORIG_IS_A) != 0)

        def remote(a: str, b: str) -> npt.NDArray[Any]:
            return np.where(local_a, self._row[b][flow], self._row[a][flow])

        def local(a: str, b: str) -> npt.NDArray[Any]:
            return np.where(local_a, self._row[a][flow], self._row[b][flow])

        return HostFlows(
            flow=flow,
            outbound=outbound,
            remote_hi=remote("a_hi", "b_hi"),
            remote_lo=remote("a_lo", "b_lo"),
            remote_port=remote("a_port", "b_port").astype(np.int64),
            local_port=local("a_port", "b_port").astype(np.int64),
            proto=self._row["proto"][flow],
            sent_bytes=local("a_bytes", "b_bytes").astype(np.int64),
            received_bytes=remote("a_bytes", "b_bytes").astype(np.int64),
        )
