"""Whose an entry is, and which way it was opened: the entries of one host, walked over its own flows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from peerburst.analysis.counting.active import fill_intervals, is_active, united
from peerburst.analysis.counting.entries import (
    AT_ONCE,
    Walk,
    fetch,
    walk_flows,
    walk_room,
)
from peerburst.analysis.counting.mappings import (
    MappingRoom,
    order_by_local_port,
    place_at,
    room_for_mappings,
    unite_entries,
)
from peerburst.analysis.gateways import GatewayModel
from peerburst.analysis.gateways.compiled import CompiledModels, ModelRange, compile_models
from peerburst.analysis.hosts.index import HostIndex
from peerburst.analysis.hosts.locality import Endpoints, Scope
from peerburst.capture.compiled.kernel import inlined_part, kernel, part
from peerburst.capture.compiled.shapes import Bool, Bools, Int, Int8s, Int32s, Int64s, Records, UInt8s
from peerburst.capture.flows.record import NEVER, ORIG_IS_A, TALKING_NS, FlowColumns, Flows

# Direction of an entry, seen from the host at hand.
OUTBOUND, INBOUND, OF_OTHERS = 0, 1, -1
DIRECTIONS = 2
LAN = int(Scope.LAN)
ANY_TIME = NEVER
# A literal number makes numba compile what it is given to once more.
NONE_YET: Int = np.int64(0)

ENTRY = np.dtype(
    [
        ("start", np.int64),  # counted from, ns
        ("end", np.int64),  # counted until, ns
        ("flow", np.int32),  # the flow that opened it
        ("by_a", np.uint8),  # whether end a sent the packet that opened it
    ],
    align=True,
)


class HostRange(NamedTuple):
    """The hosts [low, high) of a network."""

    low: int
    high: int


class Network(NamedTuple):
    """Which flows are whose. Those of host h are at first[h] to first[h + 1], in the order they began."""

    first: Int64s  # by host, and one more
    flow: Int32s  # by place in that order: the flow's number
    outbound: Bools  # beside it: the host is the flow's originator
    scope: UInt8s  # by flow: a Scope
    counted: Bools  # by Scope: such flows count


class HostSlice(NamedTuple):
    """The part of a Network that is one host's."""

    flow: Int32s
    outbound: Bools
    scope: UInt8s
    counted: Bools


class HostEntries(NamedTuple):
    """Room for all entries of one host under one model, and for the places of the flows walked at once."""

    places: Int32s
    walk: Walk  # of one model, by place in the host's slice
    direction: Int8s  # by entry: OUTBOUND, INBOUND or OF_OTHERS
    flow: Int32s  # by entry: the flow that opened it
    segment: Int32s  # by segment as walked: its number
    mapping: MappingRoom


def network_of(index: HostIndex, ends: Endpoints, *, include_lan: bool) -> Network:
    return Network(index.first, index.flow, index.outbound, ends.scope, counted_scopes(include_lan))


def counted_scopes(include_lan: bool) -> npt.NDArray[np.bool_]:
    """By Scope, whether the entries of such flows count.

    Flows to groups never do; those between local hosts only with `include_lan`, as if they had crossed the gateway.
    """
    counted = np.zeros(len(Scope), np.bool_)
    counted[[Scope.CROSSING, Scope.GATEWAY]] = True
    counted[Scope.LAN] = include_lan
    return counted


def room_for_host(flows: int, segments: int) -> HostEntries:
    """For a host of at most so many flows and segments."""
    return HostEntries(
        places=np.empty(max(flows, 1), np.int32),
        walk=walk_room(1, max(segments, 1), names_segments=True),
        direction=np.empty(segments, np.int8),
        flow=np.empty(segments, np.int32),
        segment=np.empty(segments, np.int32),
        mapping=room_for_mappings(flows, segments),
    )


@part
def slice_of(network: Network, host: int) -> HostSlice:
    low, high = network.first[host], network.first[host + 1]
    return HostSlice(network.flow[low:high], network.outbound[low:high], network.scope, network.counted)


@inlined_part
def direction_of(host: HostSlice, place: Int, by_a: Int, table: FlowColumns) -> int:
    """Which way an entry of the flow at this place was opened; `by_a`: end a of the flow opened it.

    An entry is the opener's where that is a local host, else that of the other end.
    """
    flow = host.flow[place]
    host_is_a = host.outbound[place] == (table.rows["flags"][flow] & ORIG_IS_A != 0)
    if (by_a != 0) == host_is_a:
        return OUTBOUND
    return OF_OTHERS if host.scope[flow] == LAN else INBOUND


@part
def choose(
    host: HostSlice, at: Int, now: Int, table: FlowColumns, room: MappingRoom, is_sorted: Bool, places: Int32s
) -> tuple[Int, Int]:
    """Choose the counted flows of some AT_ONCE segments, from the at-th on; (where to go on, how many).

    Fills `places`. Of flows that cannot have been active at the instant `now` (unless that is ANY_TIME) none is chosen.
    If `is_sorted` the flows are taken in the order that `room` has.
    """
    chosen, segments = 0, 0
    while at < host.flow.size:
        place = place_at(room, at) if is_sorted else at
        f = host.flow[place]
        low, high = table.first_segment[f], table.first_segment[f + 1]
        if now != ANY_TIME and table.segments["start"][low] > now:
            return host.flow.size, chosen  # the rest begins later still
        if chosen and segments + high - low > AT_ONCE:
            break
        if host.counted[host.scope[f]] and (now == ANY_TIME or now < table.segments["last"][high - 1] + TALKING_NS):
            places[chosen] = place
            chosen += 1
            segments += high - low
        at += 1
    return at, chosen


@part
def gather(
    host: HostSlice, now: Int, table: FlowColumns, models: CompiledModels, m: Int, room: HostEntries
) -> tuple[Int, Int]:
    """Fill `room` with the host's entries under model m; (how many, how many segments were walked).

    With an instant `now` only those of flows that may have been active then, unless the model counts mappings, which
    many flows share.
    """
    is_mapping, which = models.rules[m]["is_mapping"], ModelRange(m, m + 1)
    is_sorted = is_mapping and order_by_local_port(host.flow, host.outbound, table, room.mapping)
    room.walk.counts[0] = 0
    at, walked = NONE_YET, NONE_YET
    while at < host.flow.size:
        at, chosen = choose(host, at, ANY_TIME if is_mapping else now, table, room.mapping, is_sorted, room.places)
        places = room.places[:chosen]
        if now == ANY_TIME:  # else they came a moment ago
            fetch(host.flow, places, table)
        done = walked
        for place in places:
            f = host.flow[place]
            for i in range(table.first_segment[f], table.first_segment[f + 1]):
                room.segment[done] = i
                done += 1
        walked = walk_flows(host.flow, places, table, models, which, walked, room.walk)
    entries = room.walk.counts[0]
    for e in range(entries):
        place = room.walk.place[0, e]
        room.flow[e] = host.flow[place]
        room.direction[e] = direction_of(host, place, room.walk.by_a[0, e], table)
    if is_mapping:
        unite_entries(host.outbound, table, room.walk, room.flow, room.direction, room.mapping, walked)
    return entries, walked


@part
def count_active(walked: Int, room: HostEntries, table: FlowColumns, now: Int64s, active: Int64s) -> None:
    """Add to `active`, by direction, the gathered entries that are active at the instant now[direction].

    An entry that was counted is empty afterwards.
    """
    start, end = room.walk.start, room.walk.end
    for k in range(walked):
        e = room.walk.of_segment[0, k]
        if e < 0 or room.direction[e] == OF_OTHERS:
            continue
        way, i = room.direction[e], room.segment[k]
        if is_active(table.segments["start"][i], table.segments["last"][i], start[0, e], end[0, e], now[way]):
            active[way] += 1
            end[0, e] = start[0, e]


class Filled(NamedTuple):
    """What `fill_entries` fills: a row per entry that counts, host by host."""

    entry: Records  # ENTRY
    host: Int32s
    inbound: Bools
    of_segment: Int32s  # by segment of the flow table


@kernel
def fill_entries(
    hosts: HostRange, network: Network, table: FlowColumns, models: CompiledModels, room: HostEntries, filled: Filled
) -> int:
    """Fill the entries of these hosts under the one model there is; answers how many."""
    start, end = filled.entry["start"], filled.entry["end"]
    flow, by_a = filled.entry["flow"], filled.entry["by_a"]
    count = 0
    for h in range(hosts.low, hosts.high):
        entries, walked = gather(slice_of(network, h), ANY_TIME, table, models, NONE_YET, room)
        first = count
        for e in range(entries):
            if room.direction[e] == OF_OTHERS or room.walk.end[0, e] <= room.walk.start[0, e]:
                room.walk.place[0, e] = -1
                continue
            start[count], end[count] = room.walk.start[0, e], room.walk.end[0, e]
            flow[count], by_a[count] = room.flow[e], room.walk.by_a[0, e]
            filled.host[count], filled.inbound[count] = h, room.direction[e] == INBOUND
            room.walk.place[0, e] = count - first
            count += 1
        for k in range(walked):
            e = room.walk.of_segment[0, k]
            if e >= 0 and room.walk.place[0, e] >= 0:
                filled.of_segment[room.segment[k]] = first + room.walk.place[0, e]
    return count


@kernel
def largest_host(hosts: HostRange, network: Network, table: FlowColumns, largest: Int64s) -> None:
    """Fill the most flows and the most segments of any of these hosts, the most segments of a flow, all segments."""
    largest[:] = 0
    for h in range(hosts.low, hosts.high):
        total = 0
        for place in range(network.first[h], network.first[h + 1]):
            n = table.first_segment[network.flow[place] + 1] - table.first_segment[network.flow[place]]
            total += n
            largest[2] = max(largest[2], n)
        largest[0] = max(largest[0], network.first[h + 1] - network.first[h])
        largest[1] = max(largest[1], total)
        largest[3] += total


@dataclass(frozen=True, slots=True)
class Entries:
    """What a model's table held of some hosts: `entry` (ENTRY), whose each is, and what each segment kept alive.

    `host`: index into Endpoints.hosts, ascending. `inbound`: opened from outside. `of_segment`: index into `entry`, -1
    if none. Only what counts is there: entries that last, of flows that cross the gateway.
    """

    entry: npt.NDArray[np.void]
    host: npt.NDArray[np.int32]
    inbound: npt.NDArray[np.bool_]
    of_segment: npt.NDArray[np.int32]

    def of(self, host: int, *, inbound: bool) -> npt.NDArray[np.bool_]:
        """Which entries are those that a host opened or, with `inbound`, that were opened to it."""
        mine: npt.NDArray[np.bool_] = (self.host == host) & (self.inbound == inbound)
        return mine


def host_entries(model: GatewayModel, flows: Flows, network: Network, hosts: Sequence[int] | None = None) -> Entries:
    """The entries that a gateway of this model would have held of all hosts, or of neighbours [low, high)."""
    among = HostRange(0, network.first.size - 1) if hosts is None else HostRange(*hosts)
    table, largest = flows.columns(), np.zeros(4, np.int64)
    largest_host(among, network, table, largest)
    most_flows, most, _most_in_one, total = largest.tolist()
    filled = Filled(
        np.empty(total, ENTRY),
        np.empty(total, np.int32),
        np.empty(total, np.bool_),
        np.full(flows.segments.size, -1, np.int32),
    )
    count = fill_entries(among, network, table, compile_models([model]), room_for_host(most_flows, most), filled)
    return Entries(
        filled.entry[:count].copy(), filled.host[:count].copy(), filled.inbound[:count].copy(), filled.of_segment
    )


def active_by_segment(flows: Flows, entries: Entries, which: Int64s) -> tuple[Int64s, Int64s, Int64s]:
    """(start, end, entry): when each of these segments, which all belong to entries, makes its entry active.

    Those of one entry may overlap; some are empty.
    """
    entry = entries.of_segment[which].astype(np.int64)
    begin, stop = np.empty(which.size, np.int64), np.empty(which.size, np.int64)
    segments, life = flows.segments, entries.entry
    fill_intervals(which, entry, segments["start"], segments["last"], (life["start"], life["end"]), begin, stop)
    return begin, stop, entry


def active_intervals(flows: Flows, entries: Entries) -> tuple[Int64s, Int64s, Int64s]:
    """(start, end, entry) of the intervals in which entries are active; those of one entry are disjoint."""
    return united(*active_by_segment(flows, entries, np.flatnonzero(entries.of_segment >= 0)))
