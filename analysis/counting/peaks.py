"""Every host's peaks, crossings and active entries under several models, without keeping any model's entries.

Host by host: one host's flows and segments lie in the processor's cache while all models are walked over them, and
what is needed meanwhile is bounded by the largest host, not by the capture.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from peerburst.analysis.counting.entries import (
    AT_ONCE,
    Walk,
    fetch,
    walk_flows,
    walk_room,
)
from peerburst.analysis.counting.host_entries import (
    ANY_TIME,
    INBOUND,
    NONE_YET,
    OF_OTHERS,
    OUTBOUND,
    Entries,
    HostEntries,
    HostRange,
    HostSlice,
    Network,
    choose,
    count_active,
    direction_of,
    gather,
    largest_host,
    room_for_host,
    slice_of,
)
from peerburst.analysis.counting.sweep import (
    DIRECTIONS,
    NEVER_CROSSED,
    Found,
    Limits,
    Spans,
    add_span,
    clear,
    nothing_found,
    spans_room,
    sweep,
)
from peerburst.analysis.gateways import GatewayModel, Unit
from peerburst.analysis.gateways.compiled import CompiledModels, ModelRange, compile_models
from peerburst.capture.compiled.kernel import kernel, part
from peerburst.capture.compiled.parallel import processors, side_by_side
from peerburst.capture.compiled.shapes import Bools, Int, Int32s, Int64s
from peerburst.capture.flows.record import FlowColumns, Flows

# Hosts of so many segments are one part of the work. Two parts are counted side by side as far as what they need
# meanwhile stays below MEMORY.
PART_SEGMENTS = 1 << 16
MEMORY = 128 << 20
BYTES_PER_SEGMENT = 32
NO_INSTANT = -1 << 62  # nothing was active then


class Room(NamedTuple):
    """Scratch memory to count hosts in, one after the other."""

    walk: Walk  # of all models, for the flows walked at once
    spans: Spans
    host: HostEntries
    now: Int64s  # by direction
    active: Int64s


@dataclass(frozen=True, slots=True)
class Concurrency:
    """Per host (by index into Endpoints.hosts) under one model. Instants in ns since the epoch, or NEVER_CROSSED."""

    peak: npt.NDArray[np.int64]
    peak_at: npt.NDArray[np.int64]
    active_at_peak: npt.NDArray[np.int64]
    limits: tuple[int, ...]
    crossed_at: npt.NDArray[np.int64]  # hosts by limits
    above_ns: npt.NDArray[np.int64]  # hosts by limits


@part
def _gather_spans(host: HostSlice, table: FlowColumns, models: CompiledModels, which: ModelRange, room: Room) -> None:
    """Gather the starts and ends of the host's entries under these models, none of which counts mappings."""
    walk, places, at = room.walk, room.host.places, NONE_YET
    is_sorted = models.rules[which.low]["is_mapping"]
    while at < host.flow.size:
        at, chosen = choose(host, at, ANY_TIME, table, room.host.mapping, is_sorted, places)
        fetch(host.flow, places[:chosen], table)
        walk.counts[:] = 0
        walk_flows(host.flow, places[:chosen], table, models, which, NONE_YET, walk)
        for slot in range(which.high - which.low):
            for e in range(walk.counts[slot]):
                way = direction_of(host, walk.place[slot, e], walk.by_a[slot, e], table)
                if way != OF_OTHERS:
                    add_span(walk.start[slot, e], walk.end[slot, e], slot, way, room.spans)


@part
def _count_active_at_peaks(
    host: HostSlice, table: FlowColumns, models: CompiledModels, m: int, peak_at: Int64s, room: Room
) -> None:
    """Count in room.active, by direction, the entries that are active at the instant of that direction's peak."""
    room.active[:] = 0
    for way in range(DIRECTIONS):
        if peak_at[way] != NEVER_CROSSED:
            room.now[:] = NO_INSTANT
            room.now[way] = peak_at[way]
            _entries, walked = gather(host, peak_at[way], table, models, m, room.host)
            count_active(walked, room.host, table, room.now, room.active)


@kernel
def count_hosts(
    hosts: HostRange,
    network: Network,
    table: FlowColumns,
    models: CompiledModels,
    which: ModelRange,
    limits: Limits,
    found: Found,
    room: Room,
) -> None:
    """Count these hosts under the models `which`, of which those that count mappings come last; fills `found`."""
    mappings = which.low
    while mappings < which.high and not models.rules[mappings]["is_mapping"]:
        mappings += 1
    for h in range(hosts.low, hosts.high):
        host = slice_of(network, h)
        clear(room.spans)
        if mappings > which.low:
            _gather_spans(host, table, models, ModelRange(which.low, mappings), room)
        for m in range(which.low, which.high):
            slot, walked = m - which.low, NONE_YET
            if m >= mappings:
                entries, walked = gather(host, ANY_TIME, table, models, m, room.host)
                _add_gathered(entries, slot, room)
            for way in range(DIRECTIONS):
                sweep(room.spans, slot, way, limits, found, m, h)
            if m >= mappings:
                room.active[:] = 0
                for way in range(DIRECTIONS):
                    room.now[way] = found.peak_at[m, way, h]
                count_active(walked, room.host, table, room.now, room.active)
            else:
                _count_active_at_peaks(host, table, models, m, found.peak_at[m, :, h], room)
            for way in range(DIRECTIONS):
                found.active[m, way, h] = room.active[way]


@part
def _add_gathered(entries: Int, slot: int, room: Room) -> None:
    for e in range(entries):
        if room.host.direction[e] != OF_OTHERS:
            walk = room.host.walk
            add_span(walk.start[0, e], walk.end[0, e], slot, np.int64(room.host.direction[e]), room.spans)


@kernel
def count_segments(network: Network, table: FlowColumns, segments: Int64s) -> None:
    """Fill per host how many segments its flows have."""
    for h in range(segments.size):
        segments[h] = 0
        for place in range(network.first[h], network.first[h + 1]):
            segments[h] += table.first_segment[network.flow[place] + 1] - table.first_segment[network.flow[place]]


def _parts(segments: npt.NDArray[np.int64], models: int) -> Iterator[tuple[HostRange, ModelRange]]:
    """Neighbouring hosts of some PART_SEGMENTS in all, or one host of more model by model.

    `segments`: of each host.
    """
    low, held = 0, 0
    for host, more in enumerate(segments.tolist()):
        held += more
        if held < PART_SEGMENTS and host + 1 < segments.size:
            continue
        if more < PART_SEGMENTS:
            yield HostRange(low, host + 1), ModelRange(0, models)
        else:
            if host > low:
                yield HostRange(low, host), ModelRange(0, models)
            yield from ((HostRange(host, host + 1), ModelRange(model, model + 1)) for model in range(models))
        low, held = host + 1, 0


def _room(hosts: HostRange, network: Network, table: FlowColumns, models: int) -> Room:
    largest = np.zeros(4, np.int64)
    largest_host(hosts, network, table, largest)
    most_flows, most, most_in_one, _total = largest.tolist()
    # An odd number of cache lines, lest models meet in one set.
    at_once, most = ((n // 128 * 2 + 3) * 64 for n in (max(most_in_one, AT_ONCE), most))
    return Room(
        walk=walk_room(models, at_once, names_segments=False),
        spans=spans_room(models, most),
        host=room_for_host(max(most_flows, AT_ONCE), most),
        now=np.empty(DIRECTIONS, np.int64),
        active=np.empty(DIRECTIONS, np.int64),
    )


def measure(
    models: Sequence[GatewayModel], flows: Flows, network: Network, until_ns: int, limits: Sequence[int]
) -> list[tuple[Concurrency, Concurrency]]:
    """Peaks and crossings of every host under each model.

    First of the entries that hosts opened, then of those opened to them. `limits` ascend; time above them is counted
    up to the capture's last instant `until_ns`. Hosts are counted several at a time where there are processors.
    """
    # Models of entries first: one walk serves them all.
    order = sorted(range(len(models)), key=lambda number: models[number].unit is Unit.MAPPING)
    compiled, table = compile_models([models[number] for number in order]), flows.columns()
    hosts = network.first.size - 1
    found = nothing_found(len(models), hosts, len(limits))
    judged_by = Limits(np.array(limits, np.int64), until_ns)

    def count(part: tuple[HostRange, ModelRange]) -> None:
        some, which = part
        room = _room(some, network, table, which.high - which.low)
        count_hosts(some, network, table, compiled, which, judged_by, found, room)

    segments = np.empty(hosts, np.int64)
    count_segments(network, table, segments)
    largest = int(segments.max(initial=1))
    at_most = MEMORY // (BYTES_PER_SEGMENT * largest)
    side_by_side(count, _parts(segments, len(models)), most=min(processors(), at_most))
    return [_concurrency(found, k, limits) for k in np.argsort(order).tolist()]


def _concurrency(found: Found, model: int, limits: Sequence[int]) -> tuple[Concurrency, Concurrency]:
    """(of what hosts opened, of what was opened to them)"""
    opened, opened_to = (
        Concurrency(
            found.peak[model, way],
            found.peak_at[model, way],
            found.active[model, way],
            tuple(limits),
            found.crossed[model, way],
            found.above[model, way],
        )
        for way in (OUTBOUND, INBOUND)
    )
    return opened, opened_to


@kernel
def sweep_entries(
    host: Int32s, inbound: Bools, start: Int64s, end: Int64s, limits: Limits, found: Found, spans: Spans
) -> None:
    """Fill `found`, of one model, with the peaks and crossings of entries; `host` ascends."""
    low = 0
    while low < host.size:
        high = low
        clear(spans)
        while high < host.size and host[high] == host[low]:
            add_span(start[high], end[high], NONE_YET, INBOUND if inbound[high] else OUTBOUND, spans)
            high += 1
        for way in range(DIRECTIONS):
            sweep(spans, NONE_YET, way, limits, found, NONE_YET, np.int64(host[low]))
        low = high


def measure_entries(
    entries: Entries, chosen: npt.NDArray[np.bool_], hosts: int, until_ns: int, limits: Sequence[int]
) -> tuple[Concurrency, Concurrency]:
    """Peaks and crossings of each host's chosen entries: of those it opened, then of those opened to it.

    Active ones are not counted.
    """
    host, inbound, entry = entries.host[chosen], entries.inbound[chosen], entries.entry[chosen]
    most = int(np.bincount(host).max(initial=0))
    found = nothing_found(1, hosts, len(limits))
    judged_by = Limits(np.array(limits, np.int64), until_ns)
    sweep_entries(host, inbound, entry["start"], entry["end"], judged_by, found, spans_room(1, most))
    return _concurrency(found, 0, limits)
