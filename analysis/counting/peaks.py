"""Every host's peaks, crossings and talking entries under several models, without keeping any model's entries.

Host by host: one host's flows and segments lie in the processor's cache while all models are walked over them, and
what is needed meanwhile is bounded by the largest host, not by the capture.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from peerburst.analysis.counting.active import is_active
from peerburst.analysis.counting.entries import counted_scopes, model_rules, model_timeouts, walk_flows
from peerburst.analysis.counting.step_function import NEVER_CROSSED, Concurrency, sweep_host
from peerburst.analysis.gateways import GatewayModel, Unit
from peerburst.analysis.hosts.index import HostIndex
from peerburst.analysis.hosts.locality import Endpoints, Scope
from peerburst.capture.compiled.arrays import prefetch
from peerburst.capture.compiled.kernel import kernel, part
from peerburst.capture.compiled.parallel import processors, side_by_side
from peerburst.capture.compiled.sorting import sort_places, sort_run, sort_spread
from peerburst.capture.flows.five_tuple import flow_ports
from peerburst.capture.flows.record import FLOW_HALF, ORIG_IS_A, TALKING_NS, Flows

OUTWARD, INWARD = 0, 1  # entries that a host opened, and those that others opened to it
LAN = int(Scope.LAN)
AT_ONCE = 1 << 12  # segments that are walked before what they gave is taken up
# Hosts of so many segments are one part of the work. Two parts are counted side by side as far as what they need
# meanwhile stays below MEMORY.
PART_SEGMENTS = 1 << 16
MEMORY = 128 << 20
BYTES_PER_SEGMENT = 32


@kernel
def sizes(low_host, high_host, host_first, flow, first):  # type: ignore[no-untyped-def]
    """(the flows of the host that has most, the segments of that which has most, those of the flow that has most)."""
    most_flows, most_segments, most_in_one = 0, 0, 0
    for h in range(low_host, high_host):
        total = 0
        for place in range(host_first[h], host_first[h + 1]):
            n = first[flow[place] + 1] - first[flow[place]]
            total += n
            most_in_one = max(most_in_one, n)
        most_segments = max(most_segments, total)
        most_flows = max(most_flows, host_first[h + 1] - host_first[h])
    return most_flows, most_segments, most_in_one


@part
def _way(by_a, outbound, orig_is_a, scope):  # type: ignore[no-untyped-def]
    """OUTWARD, INWARD or, if the entry is that of the host at the flow's other end, -1.

    `by_a`: end a opened the entry; `outbound`: the host at hand is the flow's originator.
    """
    if (by_a != 0) == (outbound == orig_is_a):
        return OUTWARD
    return -1 if scope == LAN else INWARD


@part
def _divide(starts, n, cells):  # type: ignore[no-untyped-def]
    """Divide the time of n starts, which are in order, into at most n equal cells; answers their length as a shift.

    Fills for each cell which start is the first in it or after it, and one more.
    """
    shift = 0
    while (starts[n - 1] - starts[0]) >> shift >= n:
        shift += 1
    filled = 0
    for k in range(n):
        while filled <= (starts[k] - starts[0]) >> shift:
            cells[filled] = k
            filled += 1
    cells[filled] = n
    return shift


@part
def rise_and_fall(starts, ends, n, until, cells, shift, change):  # type: ignore[no-untyped-def]
    """(the most of n spells alive at once, the first instant of that); `starts` are in order, `ends` in any.

    Ends come before starts of the same instant; none comes after `until`. `cells` and `shift` are what `_divide` makes
    of the starts, `change` is room for n counts. Sorting the ends as well would take three times as long.
    """
    for k in range(n):
        change[k] = 1
    earliest, latest = starts[0], starts[n - 1]
    for k in range(n):
        end = ends[k]
        if end > latest or end > until:
            continue
        # The first start that is not before the end: a few steps from where the cell begins.
        cell = (end - earliest) >> shift
        at, stop = int(cells[cell]), int(cells[cell + 1])
        if stop - at <= 3:  # nearly always, and without a branch: how many steps cannot be foretold
            two, three = min(at + 1, n - 1), min(at + 2, n - 1)
            at += int(starts[at] < end) + int(starts[two] < end) + int(starts[three] < end)
        else:
            while at < stop:
                middle = (at + stop) >> 1
                if starts[middle] < end:
                    at = middle + 1
                else:
                    stop = middle
        change[at] -= 1
    count, most, best = 0, 0, 0
    for k in range(n):
        count += change[k]
        if count > most:
            most, best = count, k
    return most, starts[best]


@part
def _are_same(one, other, n):  # type: ignore[no-untyped-def]
    k = 0
    while k < n and one[k] == other[k]:
        k += 1
    return k == n


@part
def _local_key(flow, place, outbound, row):  # type: ignore[no-untyped-def]
    """A host's port and the protocol as one number below 1 << 24: the flows of a mapping have it in common."""
    f = flow[place]
    is_a = outbound[place] == (row["flags"][f] & ORIG_IS_A != 0)
    a_port, b_port = flow_ports(row[f])
    return (a_port if is_a else b_port) << 8 | np.int64(row["proto"][f])


@part
def _order_by_key(flow, low, high, outbound, row, codes, spare):  # type: ignore[no-untyped-def]
    """Fill `codes` with the places low to high by their key, the key in the high half; not if they are so already.

    Answers whether it did.
    """
    before, in_order = np.int64(-1), True
    for place in range(low, high):
        key = _local_key(flow, place, outbound, row)
        in_order = in_order and key >= before
        before = key
    if in_order:
        return False
    for place in range(low, high):
        codes[place - low] = _local_key(flow, place, outbound, row) << 32 | place
    sort_run(codes, 0, high - low, spare)
    return True


@part
def _choose(flow, at, low, high, codes, is_sorted, scope, counted, first, some, some_place):  # type: ignore[no-untyped-def]
    """Choose the counted flows of some AT_ONCE segments, from `at` on; (where to go on, how many flows, segments).

    Fills `some` and their places `some_place`. If `is_sorted`, the flows are in the order that `codes` has.
    """
    chosen, segments = 0, 0
    while at < high:
        place = np.int64(codes[at - low] & 0xFFFFFFFF) if is_sorted else at
        f = flow[place]
        more = first[f + 1] - first[f]
        if chosen and segments + more > AT_ONCE:
            break
        if counted[scope[f]]:
            some[chosen], some_place[chosen] = f, place
            chosen += 1
            segments += more
        at += 1
    return at, chosen, segments


@part
def _gather_entries(flow, low, high, outbound, scope, counted, table, rules, timeouts, room, codes, starts, ends, n):  # type: ignore[no-untyped-def]  # fmt: skip
    """Put the starts and ends of the host's entries that last side by side, by model and way; how many go into `n`."""
    segment, first, row, halves = table
    some, some_place, counts, start_of, end_of, place_of, by_a_of, of_segment = room
    flags = row["flags"]
    n[:] = 0
    at = low
    while at < high:
        at, chosen, _segments = _choose(
            flow, at, low, high, codes, False, scope, counted, first, some, some_place
        )  # fmt: skip
        # Flows of one host lie far apart. Asked for all at once they come many times sooner than one by one.
        for k in range(chosen):
            prefetch(halves, 2 * np.int64(some[k]))
            prefetch(halves, 2 * np.int64(some[k]) + 1)
            for i in range(first[some[k]], first[some[k] + 1]):
                prefetch(segment, i)
        walk_flows(
            some, chosen, segment, first, row, rules, timeouts, counts, start_of, end_of, place_of, by_a_of,
            of_segment[:, :0],
        )  # fmt: skip
        for m in range(rules.shape[0]):
            for e in range(counts[m]):
                k = place_of[m, e]
                f = some[k]
                way = _way(by_a_of[m, e], outbound[some_place[k]], flags[f] & ORIG_IS_A != 0, scope[f])
                if way >= 0 and end_of[m, e] > start_of[m, e]:
                    starts[m, way, n[m, way]], ends[m, way, n[m, way]] = start_of[m, e], end_of[m, e]
                    n[m, way] += 1


@part
def _count_talkers(flow, low, high, outbound, scope, counted, table, rules, timeouts, room, wanted, now):  # type: ignore[no-untyped-def]  # fmt: skip
    """How many of the host's entries of the `wanted` way are alive at the instant `now` and talk then."""
    segment, first, row, _halves = table
    some, some_place, counts, start_of, end_of, place_of, by_a_of, of_segment = room
    seg_start, seg_last, flags = segment["start"], segment["last"], row["flags"]
    talkers, at = 0, low
    while at < high:
        chosen, segments = 0, 0
        while at < high:
            f = flow[at]
            begin, stop = first[f], first[f + 1]
            if seg_start[begin] > now:
                at = high  # the rest begins later still
                break
            if chosen and segments + stop - begin > AT_ONCE:
                break
            if counted[scope[f]] and now < seg_last[stop - 1] + TALKING_NS:
                some[chosen], some_place[chosen] = f, at
                chosen += 1
                segments += stop - begin
            at += 1
        walk_flows(
            some, chosen, segment, first, row, rules, timeouts, counts, start_of, end_of, place_of, by_a_of, of_segment
        )
        walked, told = 0, -1
        for k in range(chosen):
            f, place = some[k], some_place[k]
            for i in range(first[f], first[f + 1]):
                e = of_segment[0, walked]
                walked += 1
                if e < 0 or e == told:
                    continue
                if not is_active(seg_start[i], seg_last[i], start_of[0, e], end_of[0, e], now):
                    continue
                way = _way(by_a_of[0, e], outbound[place], flags[f] & ORIG_IS_A != 0, scope[f])
                if way == wanted:
                    talkers += 1
                    told = e
    return talkers


@part
def _gather_mappings(  # type: ignore[no-untyped-def]
    flow, low, high, outbound, scope, counted, table, rules, timeouts, room, held, codes, spare, starts, ends, n,
):  # fmt: skip
    """As `_gather_entries`, of mappings: entries of one key unite as long as they have time in common.

    Leaves in `held` what `_count_mappings_talking` needs, and answers whether `codes` has the order of the flows.
    """
    segment, first, row, _halves = table
    some, some_place, counts, start_of, end_of, place_of, by_a_of, of_segment = room
    start, end, flow_of, key, way, mapping, entry_of, order, spare_order = held
    flags = row["flags"]
    n[OUTWARD] = n[INWARD] = 0
    is_sorted = _order_by_key(flow, low, high, outbound, row, codes, spare)
    entries, walked, at = 0, 0, low
    while at < high:
        at, chosen, segments = _choose(
            flow, at, low, high, codes, is_sorted, scope, counted, first, some, some_place
        )  # fmt: skip
        walk_flows(
            some, chosen, segment, first, row, rules, timeouts, counts, start_of, end_of, place_of, by_a_of, of_segment
        )
        count = counts[0]
        for e in range(count):
            place, f = some_place[place_of[0, e]], some[place_of[0, e]]
            start[entries + e], end[entries + e], flow_of[entries + e] = start_of[0, e], end_of[0, e], f
            key[entries + e] = _local_key(flow, place, outbound, row)
            way[entries + e] = _way(by_a_of[0, e], outbound[place], flags[f] & ORIG_IS_A != 0, scope[f])
        for i in range(segments):
            e = of_segment[0, i]
            entry_of[walked + i] = entries + e if e >= 0 else -1
        walked += segments
        entries += count
    begin = 0
    while begin < entries:
        stop, in_order = begin + 1, True
        while stop < entries and key[stop] == key[begin]:
            in_order = in_order and start[stop] > start[stop - 1]
            stop += 1
        if not in_order:
            for i in range(begin, stop):
                order[i - begin] = i
            sort_places(order, stop - begin, start, flow_of, spare_order)
        opener = -1  # the entry that opened the mapping at hand, and stands for it
        for k in range(stop - begin):
            i = begin + k if in_order else int(order[k])
            mapping[i] = -1
            if way[i] < 0:
                continue
            if opener >= 0 and start[i] < end[opener]:
                end[opener] = max(end[opener], end[i])
            else:
                _add_mapping(opener, start, end, way, starts, ends, n)
                opener = i
            mapping[i] = opener
        _add_mapping(opener, start, end, way, starts, ends, n)
        begin = stop
    return is_sorted


@part
def _add_mapping(opener, start, end, way, starts, ends, n):  # type: ignore[no-untyped-def]
    """Add a mapping, if there is one and it lasts, to what `_gather_mappings` fills."""
    if opener >= 0 and end[opener] > start[opener]:
        w = int(way[opener])
        starts[w, n[w]], ends[w, n[w]] = start[opener], end[opener]
        n[w] += 1


@part
def _count_mappings_talking(flow, low, high, scope, counted, table, held, codes, is_sorted, now, talkers):  # type: ignore[no-untyped-def]  # fmt: skip
    """Add to `talkers`, by way, the mappings that are alive at the instant now[way] and talk then.

    Of the host whose mappings were gathered last.
    """
    segment, first, _row, _halves = table
    start, end, _flow_of, _key, way, mapping, entry_of, _order, _spare_order = held
    seg_start, seg_last = segment["start"], segment["last"]
    walked = 0
    for at in range(low, high):
        f = flow[np.int64(codes[at - low] & 0xFFFFFFFF) if is_sorted else at]
        if not counted[scope[f]]:
            continue
        for i in range(first[f], first[f + 1]):
            e = entry_of[walked]
            walked += 1
            if e < 0 or mapping[e] < 0:
                continue
            opener = mapping[e]
            w = int(way[opener])
            if is_active(seg_start[i], seg_last[i], start[opener], end[opener], now[w]):
                talkers[w] += 1
                end[opener] = start[opener]  # counted: it is alive no more


def _working_room(models: int, most_flows: int, most: int, most_in_one: int) -> tuple[Any, ...]:
    """What `count_hosts` works in, of so many models, and `sizes` of its hosts; what is not reached costs no memory."""
    # Of one slice, which may be a single flow. An odd number of cache lines, lest models meet in one set.
    at_once = (max(most_in_one, AT_ONCE) // 128 * 2 + 3) * 64
    size = (models, at_once)
    room = (
        np.empty(at_once, np.int32), np.empty(at_once, np.int32), np.empty(models, np.int64), np.empty(size, np.int64),
        np.empty(size, np.int64), np.empty(size, np.int32), np.empty(size, np.uint8), np.empty(size, np.int32),
    )  # fmt: skip
    most = (most // 128 * 2 + 3) * 64
    ordered = (
        np.empty((models, 2, most), np.int64), np.empty((models, 2, most), np.int64), np.empty(most, np.int32),
        np.empty(most, np.int64), np.empty((2, most + 1), np.int32), np.empty((2, most), np.int64),
        np.empty(2, np.int64), np.zeros(2, np.int64),
    )  # fmt: skip
    held = (
        np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int32), np.empty(most, np.int32),
        np.empty(most, np.int8), np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most, np.int32),
        np.empty(most, np.int32),
    )  # fmt: skip
    few = np.zeros((models, 2), np.int64), np.zeros(2, np.int64), np.zeros(2, np.int64)
    return room, ordered, held, np.empty(most_flows, np.int64), few


@kernel
def count_hosts(  # type: ignore[no-untyped-def]
    low_host, high_host, host_first, flow, outbound, scope, counted, segment, first, row, halves, entry_models,
    rules, timeouts, limits, until, peak, peak_at, talking, crossed, above, working_room,
):  # fmt: skip
    """Count the hosts [low_host, high_host) under models: the first `entry_models` count entries, the others mappings.

    The flows of host h are flow[host_first[h]:host_first[h + 1]], in the order they began; `outbound` tells beside
    them which it opened. By flow: `scope`, `row` (FLOW, and as FLOW_HALF `halves`) and `first`, where its segments
    begin, one more than flows. `counted`: by Scope, whether such flows count. By model: `rules` and `timeouts`.

    Fills, by model, way and host, `peak`, `peak_at` and `talking`, and by limit too `crossed` and `above` of the hosts
    that exceed the lowest: see `concurrency.Concurrency`.
    """
    models = rules.shape[0]
    table = (segment, first, row, halves)
    room, ordered, held, codes, few = working_room
    starts, ends, change, spare, cells, given, divided, shifts = ordered
    n, now, talkers = few
    for h in range(low_host, high_host):
        low, high = host_first[h], host_first[h + 1]
        _gather_entries(
            flow, low, high, outbound, scope, counted, table, rules[:entry_models], timeouts[:entry_models], room,
            codes, starts, ends, n,
        )  # fmt: skip
        divided[:] = -1
        for m in range(models):
            is_sorted = False
            if m >= entry_models:
                is_sorted = _gather_mappings(
                    flow, low, high, outbound, scope, counted, table, rules[m : m + 1], timeouts[m : m + 1], room,
                    held, codes, spare, starts[m], ends[m], n[m],
                )  # fmt: skip
            for way in range(2):
                lasting = n[m, way]
                if not lasting:
                    continue
                # Under most models the same entries begin, one after the other: they are put in order once.
                last = divided[way]
                if last < 0 or n[last, way] != lasting or not _are_same(starts[m, way], given[way], lasting):
                    for k in range(lasting):
                        given[way, k] = starts[m, way, k]
                    sort_spread(starts[m, way], lasting, spare, cells[way])
                    shifts[way] = _divide(starts[m, way], lasting, cells[way])
                    divided[way] = last = m
                peak[m, way, h], peak_at[m, way, h] = rise_and_fall(
                    starts[last, way], ends[m, way], lasting, until, cells[way], shifts[way], change
                )
                if limits.size and peak[m, way, h] > limits[0]:
                    kept = 0
                    for k in range(lasting):
                        ends[m, way, kept] = ends[m, way, k]
                        kept += ends[m, way, k] <= until
                    sort_spread(ends[m, way], kept, spare, change)
                    sweep_host(
                        starts[last, way], 0, lasting, ends[m, way], 0, kept, limits, until, crossed[m, way, h],
                        above[m, way, h],
                    )  # fmt: skip
                if m < entry_models:
                    talking[m, way, h] = _count_talkers(
                        flow, low, high, outbound, scope, counted, table, rules[m : m + 1], timeouts[m : m + 1], room,
                        way, peak_at[m, way, h],
                    )  # fmt: skip
            if m >= entry_models and n[m, OUTWARD] + n[m, INWARD]:
                now[OUTWARD], now[INWARD] = peak_at[m, OUTWARD, h], peak_at[m, INWARD, h]
                talkers[:] = 0
                _count_mappings_talking(flow, low, high, scope, counted, table, held, codes, is_sorted, now, talkers)
                talking[m, OUTWARD, h], talking[m, INWARD, h] = talkers[OUTWARD], talkers[INWARD]


@kernel
def count_segments(host_first, flow, first, segments):  # type: ignore[no-untyped-def]
    """Fill per host how many segments its flows have; the rest is as in `count_hosts`."""
    for h in range(segments.size):
        segments[h] = 0
        for place in range(host_first[h], host_first[h + 1]):
            segments[h] += first[flow[place] + 1] - first[flow[place]]


def _parts(segments: npt.NDArray[np.int64], models: int) -> Iterator[tuple[int, int, int, int]]:
    """Neighbouring hosts of some PART_SEGMENTS in all, or one host of more model by model, as `count_hosts` has them.

    `segments`: of each host.
    """
    low, held = 0, 0
    for host, more in enumerate(segments.tolist()):
        held += more
        if held < PART_SEGMENTS and host + 1 < segments.size:
            continue
        if more < PART_SEGMENTS:
            yield low, host + 1, 0, models
        else:
            if host > low:
                yield low, host, 0, models
            yield from ((host, host + 1, model, model + 1) for model in range(models))
        low, held = host + 1, 0


def measure(
    models: Sequence[GatewayModel],
    flows: Flows,
    ends: Endpoints,
    index: HostIndex,
    until_ns: int,
    limits: Sequence[int],
    *,
    include_lan: bool = False,
) -> list[tuple[Concurrency, Concurrency]]:
    """Peaks and crossings of every host under each model, as `concurrency.measure` of `entries.apply` gives them.

    First of the entries that hosts opened, then of those opened to them. `limits` ascend; time above them is counted
    up to the capture's last instant `until_ns`. Hosts are counted several at a time where there are processors.
    """
    # Models of entries first: one walk serves them all.
    order = sorted(range(len(models)), key=lambda number: models[number].unit is Unit.MAPPING)
    entry_models = sum(model.unit is not Unit.MAPPING for model in models)
    hosts = index.first.size - 1
    shape = (len(models), 2, hosts)
    peak, talking = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    peak_at = np.full(shape, NEVER_CROSSED, np.int64)
    crossed = np.full((*shape, len(limits)), NEVER_CROSSED, np.int64)
    above = np.zeros((*shape, len(limits)), np.int64)
    rules, timeouts = (np.stack([of(models[number]) for number in order]) for of in (model_rules, model_timeouts))

    def count(part: tuple[int, int, int, int]) -> None:
        low_host, high_host, low, high = part
        needed = sizes(low_host, high_host, index.first, index.flow, flows.first_segment)
        count_hosts(
            low_host, high_host, index.first, index.flow, index.outbound, ends.scope, counted_scopes(include_lan),
            flows.segments, flows.first_segment, flows.row, flows.row.view(FLOW_HALF),
            min(max(entry_models - low, 0), high - low), rules[low:high], timeouts[low:high],
            np.array(limits, np.int64), until_ns,
            peak[low:high], peak_at[low:high], talking[low:high], crossed[low:high], above[low:high],
            _working_room(high - low, *needed),
        )  # fmt: skip

    segments = np.empty(hosts, np.int64)
    count_segments(index.first, index.flow, flows.first_segment, segments)
    largest = int(segments.max(initial=1))
    room = MEMORY // (BYTES_PER_SEGMENT * largest)
    side_by_side(count, _parts(segments, len(models)), most=min(processors(), room))
    found: list[tuple[Concurrency, Concurrency]] = []
    for k in np.argsort(order).tolist():
        opened, opened_to = (
            Concurrency(peak[k, w], peak_at[k, w], talking[k, w], tuple(limits), crossed[k, w], above[k, w])
            for w in (OUTWARD, INWARD)
        )
        found.append((opened, opened_to))
    return found
