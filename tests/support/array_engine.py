"""A second counting engine, the slow twin of `analysis.counting`: all entries of a model at once, as arrays.

When an entry lives is the product's own walk, whose twin is `reference_models`. Here all flows are walked, whoever's
they are; then each entry gets its host, mappings are united by sorting, and all hosts are swept together. The product
goes host by host.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from peerburst.analysis.counting.entries import Walk, walk_flows, walk_room
from peerburst.analysis.counting.host_entries import ENTRY, counted_scopes
from peerburst.analysis.counting.peaks import Concurrency
from peerburst.analysis.counting.sweep import NEVER_CROSSED
from peerburst.analysis.gateways import GatewayModel, Unit
from peerburst.analysis.gateways.compiled import CompiledModels, ModelRange, compile_models
from peerburst.analysis.hosts.locality import Endpoints
from peerburst.capture.compiled.kernel import allocating_kernel, kernel, part
from peerburst.capture.compiled.shapes import Int32s
from peerburst.capture.compiled.sorting import sort_run
from peerburst.capture.flows.five_tuple import flow_ports
from peerburst.capture.flows.record import FlowColumns, Flows
from peerburst.capture.units import SECOND_NS

TALKING_NS = 5 * SECOND_NS


@dataclass(frozen=True, slots=True)
class Entries:
    """What a model's table held: `entry` (ENTRY), whose each is, and which entry each segment kept alive.

    `host`: index into Ends.hosts, -1 for one that does not cross the gateway. `inbound`: opened from outside.
    `of_segment`: index into `entry`, -1 if none.
    """

    entry: npt.NDArray[np.void]
    host: npt.NDArray[np.int32]
    inbound: npt.NDArray[np.bool_]
    of_segment: npt.NDArray[np.int32]


@kernel
def assign_owners(flow, by_a, counted, host_a, host_b, host, inbound):  # type: ignore[no-untyped-def]
    """Fill per entry its host, -1 for one that does not count, and whether it was opened from outside.

    `flow` and `by_a` by entry; `counted` and the hosts at both ends by flow.
    """
    for i in range(flow.size):
        f = flow[i]
        opener, other = (host_a[f], host_b[f]) if by_a[i] else (host_b[f], host_a[f])
        inbound[i] = opener < 0
        host[i] = -1 if not counted[f] else (other if opener < 0 else opener)


@kernel
def unite(order, key, start, end, group):  # type: ignore[no-untyped-def]
    """Number the groups of rows that have a key and time in common, from 0, in `group` (int32); answers how many.

    `order` is that of the rows by key, then start; an end that is another's start is no common time.
    """
    count = 0
    reach = np.int64(0)
    for j in range(order.size):
        i = order[j]
        if j and key[i] == key[order[j - 1]] and start[i] < reach:
            reach = max(reach, end[i])
        else:
            count += 1
            reach = end[i]
        group[i] = count - 1
    return count


@kernel
def gather_groups(order, group, entry, united):  # type: ignore[no-untyped-def]
    """Fill `united` (ENTRY), a row per group: its first entry in this order, lasting as long as any of them."""
    start, end, flow, by_a = entry["start"], entry["end"], entry["flow"], entry["by_a"]
    united_start, united_end, united_flow, united_by_a = united["start"], united["end"], united["flow"], united["by_a"]
    filled = 0
    for j in range(order.size):
        i = order[j]
        g = group[i]
        if g == filled:
            united_start[g], united_end[g], united_flow[g], united_by_a[g] = start[i], end[i], flow[i], by_a[i]
            filled += 1
        else:
            united_end[g] = max(united_end[g], end[i])


@kernel
def rename(of_segment, group):  # type: ignore[no-untyped-def]
    """From the entry of each segment to its group, in place."""
    for i in range(of_segment.size):
        if of_segment[i] >= 0:
            of_segment[i] = group[of_segment[i]]


@kernel
def key_mappings(flow, by_a, counted, row, host_a, host_b, key):  # type: ignore[no-untyped-def]
    """Fill per entry a number, the same for entries of one local address, local port and protocol.

    The address is the opener's if it is local, else the other end's; a flow that does not count, which no gateway
    sees, has a number of its own. `flow` and `by_a` are by entry, `row` (FLOW), `counted` and the hosts by flow.
    """
    proto = row["proto"]
    for i in range(flow.size):
        f = flow[i]
        from_a = (by_a[i] and host_a[f] >= 0) or host_b[f] < 0
        a_port, b_port = flow_ports(row[f])
        host, port = (host_a[f], a_port) if from_a else (host_b[f], b_port)
        key[i] = np.int64(host) << 24 | np.int64(port) << 8 | np.int64(proto[f]) if counted[f] else -1 - np.int64(f)


def _mappings(
    entry: npt.NDArray[np.void],
    of_segment: npt.NDArray[np.int32],
    counted: npt.NDArray[np.bool_],
    row: npt.NDArray[np.void],
    ends: Endpoints,
) -> npt.NDArray[np.void]:
    """Entries of flows to entries of mappings: one lasts as long as any of its flows' does. Renames `of_segment`."""
    key = np.empty(entry.size, np.int64)
    key_mappings(entry["flow"], entry["by_a"], counted, row, ends.host_a, ends.host_b, key)
    order = np.lexsort((entry["start"], key))
    group = np.empty(entry.size, np.int32)
    united = np.empty(unite(order, key, entry["start"], entry["end"], group), ENTRY)
    gather_groups(order, group, entry, united)
    rename(of_segment, group)
    return united


@kernel
def walk_all(flow: Int32s, table: FlowColumns, models: CompiledModels, walk: Walk) -> None:
    walk_flows(flow, flow, table, models, ModelRange(0, 1), np.int64(0), walk)


def apply(model: GatewayModel, flows: Flows, ends: Endpoints, *, include_lan: bool = False) -> Entries:
    """The entries that a gateway of this model would have held for these flows, whoever's they are."""
    walk = walk_room(1, flows.segments.size, names_segments=True)
    every = np.arange(flows.row.size, dtype=np.int32)
    walk_all(every, flows.columns(), compile_models([model]), walk)
    entry = np.empty(walk.counts[0], ENTRY)
    for name, column in (("start", walk.start), ("end", walk.end), ("flow", walk.place), ("by_a", walk.by_a)):
        entry[name] = column[0, : entry.size]
    of_segment = walk.of_segment[0]
    counted = counted_scopes(include_lan)[ends.scope]
    if model.unit is Unit.MAPPING:
        entry = _mappings(entry, of_segment, counted, flows.row, ends)
    host, inbound = np.empty(entry.size, np.int32), np.empty(entry.size, np.bool_)
    assign_owners(entry["flow"], entry["by_a"], counted, ends.host_a, ends.host_b, host, inbound)
    return Entries(entry, host, inbound, of_segment)


@part
def is_active(first, last, start, end, now):  # type: ignore[no-untyped-def]
    return first <= now and now < last + TALKING_NS and start <= now and now < end


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
