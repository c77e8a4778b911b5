"""How many entries each host held at each instant: exact step functions, their peaks, and when limits were crossed.

An entry counts from its start up to, not including, its end. At one instant, ends come before starts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from peerburst.analysis.entries import Entries
from peerburst.capture.flowtable import TALKING_NS, Flows
from peerburst.capture.kernels import kernel

NEVER_CROSSED = -1
DEFAULT_LIMIT = 200  # the article's hotel
# Limits seen in the wild (docs/gateways.md): a home router that died, the article's hotel, carriers' port blocks,
# small routers' whole tables.
DEFAULT_LIMITS = (100, 128, 200, 256, 512, 1000, 1024, 2048)


@kernel
def sweep(host, start, end, by_start, by_end, limits, until, peak, peak_at, crossed, above):  # type: ignore[no-untyped-def]
    """Walk starts and ends in time order, keeping a count per host.

    `by_start`, `by_end`: orders of the entries. Fills per host `peak` and its instant, and per host and limit the
    instant the count first exceeded it (`crossed`) and for how long it did (`above`, ns), up to the instant `until`.
    """
    count = np.zeros(peak.size, np.int64)
    since = np.zeros(above.shape, np.int64)
    ended = 0
    for j in range(by_start.size + 1):
        now = start[by_start[j]] if j < by_start.size else until
        while ended < by_end.size and end[by_end[ended]] <= now:
            i = by_end[ended]
            ended += 1
            h = host[i]
            for k in range(limits.size):
                if count[h] == limits[k] + 1:
                    above[h, k] += min(end[i], until) - since[h, k]
            count[h] -= 1
        if j == by_start.size:
            break
        h = host[by_start[j]]
        count[h] += 1
        if count[h] > peak[h]:
            peak[h], peak_at[h] = count[h], now
        for k in range(limits.size):
            if count[h] == limits[k] + 1:
                since[h, k] = now
                if crossed[h, k] == NEVER_CROSSED:
                    crossed[h, k] = now
    for h in range(peak.size):
        for k in range(limits.size):
            if count[h] > limits[k]:
                above[h, k] += until - since[h, k]


@kernel
def talking_at(segment, of_segment, host, start, end, at, talking):  # type: ignore[no-untyped-def]
    """Count per host the entries that have had a packet in the TALKING_NS before the instant at[host], or at it.

    `host`, `start` and `end` are by entry; the entries counted are those alive at the instant.
    """
    counted = np.zeros(host.size, np.bool_)
    for i in range(segment.size):
        entry = of_segment[i]
        if entry < 0 or host[entry] < 0 or counted[entry]:
            continue
        now = at[host[entry]]
        alive = start[entry] <= now and now < end[entry]
        if alive and segment["start"][i] <= now and now < segment["last"][i] + TALKING_NS:
            talking[host[entry]] += 1
            counted[entry] = True


@kernel
def make_disjoint(entry, start, end):  # type: ignore[no-untyped-def]
    """Make the spells of each entry disjoint, in place: rows by entry, then start. One within another becomes empty."""
    for i in range(1, entry.size):
        if entry[i] == entry[i - 1]:
            # The earlier one's end, where it reaches further, is handed on to the later.
            reach = end[i - 1]
            end[i - 1] = min(reach, start[i])
            end[i] = max(end[i], reach)


@dataclass(frozen=True, slots=True)
class Concurrency:
    """Per host (by index into Ends.hosts) under one model. Instants in ns since the epoch, or NEVER_CROSSED."""

    peak: npt.NDArray[np.int64]
    peak_at: npt.NDArray[np.int64]
    talking_at_peak: npt.NDArray[np.int64]
    limits: tuple[int, ...]
    crossed_at: npt.NDArray[np.int64]  # hosts by limits
    above_ns: npt.NDArray[np.int64]  # hosts by limits


def chosen_entries(entries: Entries, *, inbound: bool = False) -> npt.NDArray[np.int64]:
    """The entries that count for their host: those it opened or, with `inbound`, those opened to it."""
    return np.flatnonzero(
        (entries.host >= 0) & (entries.inbound == inbound) & (entries.entry["end"] > entries.entry["start"])
    )


def measure(
    entries: Entries,
    flows: Flows,
    hosts: int,
    until_ns: int,
    limits: Sequence[int] = DEFAULT_LIMITS,
    *,
    inbound: bool = False,
) -> Concurrency:
    """Peaks and crossings of every host, up to the capture's last instant `until_ns`."""
    chosen = chosen_entries(entries, inbound=inbound)
    host = entries.host[chosen]
    start, end = (
        np.ascontiguousarray(entries.entry["start"][chosen]),
        np.ascontiguousarray(entries.entry["end"][chosen]),
    )
    shape = (hosts, len(limits))
    peak, peak_at, talking = np.zeros(hosts, np.int64), np.full(hosts, NEVER_CROSSED), np.zeros(hosts, np.int64)
    crossed, above = np.full(shape, NEVER_CROSSED), np.zeros(shape, np.int64)
    by_start, by_end = np.argsort(start, kind="stable"), np.argsort(end)
    sweep(host, start, end, by_start, by_end, np.array(limits, np.int64), until_ns, peak, peak_at, crossed, above)
    counted_host = np.full(entries.host.size, -1, np.int32)
    counted_host[chosen] = host
    entry_start, entry_end = np.ascontiguousarray(entries.entry["start"]), np.ascontiguousarray(entries.entry["end"])
    talking_at(flows.segments, entries.of_segment, counted_host, entry_start, entry_end, peak_at, talking)
    return Concurrency(peak, peak_at, talking, tuple(limits), crossed, above)


@dataclass(frozen=True, slots=True)
class Steps:
    """A step function: from at[i] on the count is count[i]; before at[0] it is 0."""

    at: npt.NDArray[np.int64]
    count: npt.NDArray[np.int64]

    def value(self, instants: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The count at each instant."""
        index = np.searchsorted(self.at, instants, side="right")
        return np.concatenate([[0], self.count])[index]

    def maximum(self, edges: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The largest count in each [edges[i], edges[i+1])."""
        carried = self.value(edges[:-1])
        low, high = np.searchsorted(self.at, edges[:-1], side="right"), np.searchsorted(self.at, edges[1:], side="left")
        largest = carried.copy()
        some = np.flatnonzero(high > low)
        if some.size:
            bounds = np.stack([low[some], high[some]], axis=1).ravel()
            padded = np.append(self.count, 0)  # reduceat needs every bound to be an index
            largest[some] = np.maximum(carried[some], np.maximum.reduceat(padded, bounds)[::2])
        return largest

    def integral(self, instants: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Entry-nanoseconds from the beginning up to each instant."""
        if not self.at.size:
            return np.zeros(instants.size)
        areas = np.concatenate([[0.0], np.cumsum(self.count[:-1] * np.diff(self.at).astype(np.float64))])
        index = np.searchsorted(self.at, instants, side="right") - 1
        inside = index >= 0
        held = np.zeros(instants.size)
        held[inside] = areas[index[inside]] + self.count[index[inside]] * (instants[inside] - self.at[index[inside]])
        return held


def steps(start: npt.NDArray[np.int64], end: npt.NDArray[np.int64]) -> Steps:
    """The step function of intervals [start, end)."""
    instants = np.concatenate([start, end])
    change = np.concatenate([np.ones(start.size, np.int64), np.full(end.size, -1, np.int64)])
    order = np.argsort(instants, kind="stable")
    instants, total = instants[order], np.cumsum(change[order])
    final = np.flatnonzero(np.append(instants[1:] != instants[:-1], True)) if instants.size else np.zeros(0, np.int64)
    return Steps(instants[final], total[final])


def talking_intervals(
    flows: Flows, entries: Entries
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(start, end, entry) of the spells in which entries talk: from a packet until TALKING_NS after the last."""
    which = np.flatnonzero(entries.of_segment >= 0)
    entry = entries.of_segment[which].astype(np.int64)
    start = np.maximum(flows.segments["start"][which], entries.entry["start"][entry])
    end = np.minimum(flows.segments["last"][which] + TALKING_NS, entries.entry["end"][entry])
    # Segments of one entry may follow each other sooner than TALKING_NS, those of a mapping's flows lie side by side.
    order = np.lexsort((start, entry))
    entry, start, end = entry[order], start[order], end[order]
    make_disjoint(entry, start, end)
    kept = end > start
    return start[kept], end[kept], entry[kept]
