"""How many entries each host held at each instant: exact step functions, their peaks, and when limits were crossed.

An entry counts from its start up to, not including, its end. At one instant, ends come before starts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from peerburst.analysis.counting.active import is_active
from peerburst.analysis.counting.entries import Entries
from peerburst.capture.compiled.kernel import allocating_kernel, kernel, part
from peerburst.capture.compiled.sorting import sort_run
from peerburst.capture.flows.record import Flows

NEVER_CROSSED = -1


@kernel
def tally(host, inbound, start, end, until, begun, ended):  # type: ignore[no-untyped-def]
    """Count the entries that begin, and those that end by `until`, per host and way in; `begun` and `ended` are zeros.

    The entries that others opened to host h are at hosts + h.
    """
    hosts = begun.size // 2
    for i in range(host.size):
        if host[i] >= 0 and end[i] > start[i]:
            k = host[i] + hosts if inbound[i] else host[i]
            begun[k] += 1
            ended[k] += end[i] <= until


@kernel
def deal(host, inbound, start, end, until, next_start, next_end, starts, ends):  # type: ignore[no-untyped-def]
    """Put the starts and the ends that `tally` counted side by side by host and way in.

    `next_start` and `next_end`: where each one's begin; afterwards, where they stop.
    """
    hosts = next_start.size // 2
    for i in range(host.size):
        if host[i] >= 0 and end[i] > start[i]:
            k = host[i] + hosts if inbound[i] else host[i]
            starts[next_start[k]] = start[i]
            next_start[k] += 1
            if end[i] <= until:
                ends[next_end[k]] = end[i]
                next_end[k] += 1


@part
def sweep_host(starts, start_at, starts_stop, ends, end_at, ends_stop, limits, until, crossed, above):  # type: ignore[no-untyped-def]  # fmt: skip
    """(the most alive at once, the first instant of that) of one host, whose starts and ends are in order.

    Fills by limit, which ascend, the instant the count first exceeded it (`crossed`) and for how long it did (`above`,
    ns), up to the instant `until`.
    """
    count, over, most, peak_at = 0, 0, 0, np.int64(NEVER_CROSSED)  # `over`: how many limits the count exceeds
    while start_at < starts_stop or end_at < ends_stop:
        if end_at < ends_stop and (start_at == starts_stop or ends[end_at] <= starts[start_at]):
            if over and count == limits[over - 1] + 1:
                over -= 1
                above[over] += ends[end_at]
            count -= 1
            end_at += 1
            continue
        now = starts[start_at]
        start_at += 1
        count += 1
        if count > most:
            most, peak_at = count, now
        if over < limits.size and count == limits[over] + 1:
            above[over] -= now
            if crossed[over] == NEVER_CROSSED:
                crossed[over] = now
            over += 1
    for k in range(over):
        above[k] += until
    return most, peak_at


@allocating_kernel
def sweep(starts, begun, ends, ended, limits, until, peak, peak_at, crossed, above):  # type: ignore[no-untyped-def]
    """Walk each host's starts and ends in time order (it sorts them), keeping a count.

    `begun` and `ended` say how many each has. Fills per host `peak` and its instant, and per host and limit what
    `sweep_host` tells of it.
    """
    spare = np.empty(begun.max() if begun.size else 0, np.int64)
    start_at, end_at = 0, 0
    for h in range(begun.size):
        starts_stop, ends_stop = start_at + begun[h], end_at + ended[h]
        sort_run(starts, start_at, starts_stop, spare)
        sort_run(ends, end_at, ends_stop, spare)
        peak[h], peak_at[h] = sweep_host(
            starts, start_at, starts_stop, ends, end_at, ends_stop, limits, until, crossed[h], above[h]
        )
        start_at, end_at = starts_stop, ends_stop


@allocating_kernel
def talking_at(first, last, of_segment, host, inbound, start, end, at, talking):  # type: ignore[no-untyped-def]
    """Count the entries that have had a packet in the TALKING_NS before the instant at[k], or at it.

    k is their host and way in, as in `tally`. `first` and `last` packet are by segment, `host` to `end` by entry; the
    entries counted are those alive at the instant.
    """
    hosts = at.size // 2
    counted = np.zeros(host.size, np.bool_)
    for i in range(first.size):
        entry = of_segment[i]
        if entry < 0 or host[entry] < 0:
            continue
        k = host[entry] + hosts if inbound[entry] else host[entry]
        now = at[k]
        if is_active(first[i], last[i], start[entry], end[entry], now):
            talking[k] += not counted[entry]
            counted[entry] = True


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
    entries: Entries, flows: Flows, hosts: int, until_ns: int, limits: Sequence[int]
) -> tuple[Concurrency, Concurrency]:
    """Peaks and crossings of every host, up to the capture's last instant `until_ns`.

    First of the entries that hosts opened, then of those opened to them. `limits` ascend.
    """
    host, inbound = entries.host, entries.inbound
    start, end = entries.entry["start"], entries.entry["end"]
    begun, ended = np.zeros(2 * hosts, np.int64), np.zeros(2 * hosts, np.int64)
    tally(host, inbound, start, end, until_ns, begun, ended)
    starts, ends = np.empty(begun.sum(), np.int64), np.empty(ended.sum(), np.int64)
    deal(host, inbound, start, end, until_ns, np.cumsum(begun) - begun, np.cumsum(ended) - ended, starts, ends)
    shape = (2 * hosts, len(limits))
    peak, peak_at, talking = np.zeros(2 * hosts, np.int64), np.full(2 * hosts, NEVER_CROSSED), np.zeros_like(begun)
    crossed, above = np.full(shape, NEVER_CROSSED), np.zeros(shape, np.int64)
    sweep(starts, begun, ends, ended, np.array(limits, np.int64), until_ns, peak, peak_at, crossed, above)
    segments = flows.segments
    talking_at(segments["start"], segments["last"], entries.of_segment, host, inbound, start, end, peak_at, talking)
    outbound, opened_to = (
        Concurrency(peak[way], peak_at[way], talking[way], tuple(limits), crossed[way], above[way])
        for way in (slice(hosts), slice(hosts, None))
    )
    return outbound, opened_to


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
