"""Find the bursts of all hosts: where each began and ended, what it did, and what class that makes it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from peerburst.analysis.bursts import detect, features
from peerburst.analysis.bursts.classes import RULES
from peerburst.analysis.bursts.classify import classify
from peerburst.analysis.bursts.features import Features
from peerburst.analysis.bursts.rules import Rule
from peerburst.analysis.hosts.flow_facts import FlowFacts
from peerburst.analysis.hosts.index import HostIndex
from peerburst.analysis.results import Burst
from peerburst.capture.compiled.shapes import Bools, Int32s, Int64s, UInt8s

FLOWS_AT_ONCE = 1 << 18  # among which bursts are sought


@dataclass(frozen=True, slots=True)
class _Opened:
    """The connections that some hosts opened, or that were opened to them: host by host, in the order they began."""

    flow: Int32s
    outbound: Bools
    starts_ns: Int64s
    first: Int64s  # by host, and one more: where its connections begin among these


@dataclass(frozen=True, slots=True)
class _Interval:
    """A burst among connections opened: those of [first, stop), and the rate per second that it rose from."""

    host: int
    first: int
    stop: int
    base_per_s: float


@dataclass(frozen=True, slots=True)
class BurstFinder:
    """Bursts among the flows of all hosts. `span`: the instants of the first and the last packet, ns."""

    index: HostIndex
    facts: FlowFacts
    kinds: UInt8s  # by flow
    host_names: list[str]
    ip_bytes: Int64s  # by host
    span: tuple[int, int]
    rules: tuple[Rule, ...] = RULES

    def find(self) -> list[Burst]:
        """All bursts, in the order they began."""
        found = [burst for inbound in (False, True) for burst in self._opened(inbound)]
        return sorted(found, key=lambda burst: (burst.start_s, burst.host))

    def _opened(self, inbound: bool) -> Iterator[Burst]:
        """Of the connections that hosts opened or, with `inbound`, of those opened to them."""
        hosts, low = self.index.first.size - 1, 0
        while low < hosts:
            # Some hosts at a time: of millions of flows, what is made of them on the way would be much.
            high = int(np.searchsorted(self.index.first, self.index.first[low] + FLOWS_AT_ONCE, side="right"))
            high = min(max(high - 1, low + 1), hosts)
            yield from self._of_hosts(low, high, inbound)
            low = high

    def _of_hosts(self, low: int, high: int, inbound: bool) -> Iterator[Burst]:
        """Of hosts [low, high)."""
        opened = self._opened_by(low, high, inbound)
        intervals = list(self._intervals(opened))
        begins, stops = (np.array([getattr(one, end) for one in intervals], np.int64) for end in ("first", "stop"))
        rows = features.measure_sets(opened.flow, opened.outbound, begins, stops, self.facts, self.kinds)
        for interval, seen in zip(intervals, features.of_rows(rows), strict=True):
            yield self._burst(low + interval.host, inbound, interval, opened.starts_ns, seen)

    def _opened_by(self, low: int, high: int, inbound: bool) -> _Opened:
        """The connections of hosts [low, high) whose beginning was seen."""
        index = self.index
        begin, edges = index.first[low], index.first[low : high + 1] - index.first[low]
        flow, outbound = (column[begin : begin + edges[-1]] for column in (index.flow, index.outbound))
        chosen = (outbound != inbound) & self.facts.have_opened(flow)
        first = np.concatenate([[0], np.cumsum(chosen)])[edges]
        return _Opened(flow[chosen], outbound[chosen], self.facts.start_of(flow[chosen]), first)

    def _intervals(self, opened: _Opened) -> Iterator[_Interval]:
        """The bursts of each host, numbered from the first of these hosts."""
        for host in detect.candidates(opened.starts_ns, opened.first).tolist():
            first = opened.first[host]
            for found in detect.find(opened.starts_ns[first : opened.first[host + 1]], self.span):
                yield _Interval(host, first + found.first, first + found.stop, found.base_per_s)

    def _burst(self, host: int, inbound: bool, interval: _Interval, starts_ns: Int64s, seen: Features) -> Burst:
        flows = int(self.index.first[host + 1] - self.index.first[host])
        return Burst(
            host=self.host_names[host],
            inbound=inbound,
            start_s=self._since_start(starts_ns[interval.first]),
            end_s=self._since_start(starts_ns[interval.stop - 1]),
            base_per_s=interval.base_per_s,
            share_of_connections=seen.flow_count / max(flows, 1),
            share_of_bytes=seen.total_bytes / max(int(self.ip_bytes[host]), 1),
            features=seen,
            classification=classify(seen, rules=self.rules),
        )

    def _since_start(self, ns: int) -> float:
        return (int(ns) - self.span[0]) / 1e9
