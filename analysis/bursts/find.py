"""Find the bursts of all hosts: where each began and ended, what it did, and what class that makes it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from peerburst.analysis.bursts import detect, features
from peerburst.analysis.bursts.classify import classify
from peerburst.analysis.hosts.flow_facts import FlowFacts
from peerburst.analysis.hosts.index import HostIndex
from peerburst.analysis.results import Burst

FLOWS_AT_ONCE = 1 << 18  # among which bursts are sought


@dataclass(frozen=True, slots=True)
class BurstFinder:
    """Bursts among the flows of all hosts. `span`: the instants of the first and the last packet, ns."""

    index: HostIndex
    facts: FlowFacts
    kinds: npt.NDArray[np.uint8]  # by flow
    host_names: list[str]
    ip_bytes: npt.NDArray[np.int64]  # by host
    span: tuple[int, int]

    def find(self) -> list[Burst]:
        """All bursts, in the order they began."""
        found = [burst for inbound in (False, True) for burst in self._all(inbound)]
        return sorted(found, key=lambda burst: (burst.start_s, burst.host))

    def _all(self, inbound: bool) -> Iterator[Burst]:
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
        index = self.index
        begin, edges = index.first[low], index.first[low : high + 1] - index.first[low]
        flow, outbound = (column[begin : begin + edges[-1]] for column in (index.flow, index.outbound))
        chosen = (outbound != inbound) & self.facts.have_opened(flow)
        flow, outbound = flow[chosen], outbound[chosen]
        first = np.concatenate([[0], np.cumsum(chosen)])[edges]
        starts = self.facts.start_of(flow)
        intervals = [
            (number, first[number] + interval.first, first[number] + interval.stop, interval.base_per_s)
            for number in detect.candidates(starts, first).tolist()
            for interval in detect.find(starts[first[number] : first[number + 1]], self.span)
        ]
        begins, stops = (np.array([interval[i] for interval in intervals], np.int64) for i in (1, 2))
        measured = features.of_rows(features.measure_sets(flow, outbound, begins, stops, self.facts, self.kinds))
        for (number, begin, stop, base_per_s), seen in zip(intervals, measured, strict=True):
            host = low + number
            yield Burst(
                host=self.host_names[host],
                inbound=inbound,
                start_s=self._since_start(starts[begin]),
                end_s=self._since_start(starts[stop - 1]),
                base_per_s=base_per_s,
                share_of_connections=seen.flow_count / max(int(index.counts()[host]), 1),
                share_of_bytes=seen.total_bytes / max(int(self.ip_bytes[host]), 1),
                features=seen,
                classification=classify(seen),
            )

    def _since_start(self, ns: int) -> float:
        return (int(ns) - self.span[0]) / 1e9
