"""NAT's mappings: entries of one local address, port and protocol unite as long as they have time in common."""

from typing import NamedTuple

import numpy as np

from peerburst.analysis.counting.entries import Walk
from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.shapes import Bools, Int, Int8s, Int32s, Int64s
from peerburst.capture.compiled.sorting import sort_places, sort_run
from peerburst.capture.flows.five_tuple import flow_ports
from peerburst.capture.flows.record import ORIG_IS_A, FlowColumns

UNITED = -1  # the direction of an entry that another stands for, as of one that is another host's
NO_ENTRY = -1
KEY_SHIFT = 32


class MappingRoom(NamedTuple):
    """Scratch memory to unite the entries of one host."""

    codes: Int64s  # by flow: its key in the high half, its place in the low one, ascending
    spare: Int64s  # by flow
    key: Int32s  # by entry
    opener: Int32s  # by entry: the one that stands for it, or NO_ENTRY
    order: Int32s  # by entry of one key
    spare_order: Int32s


def room_for_mappings(flows: int, segments: int) -> MappingRoom:
    """For a host of at most so many flows and segments."""
    return MappingRoom(
        codes=np.empty(flows, np.int64),
        spare=np.empty(flows, np.int64),
        key=np.empty(segments, np.int32),
        opener=np.empty(segments, np.int32),
        order=np.empty(segments, np.int32),
        spare_order=np.empty(segments, np.int32),
    )


@part
def _local_key(flow: int, outbound: bool, table: FlowColumns) -> Int:
    """A host's port (ping's identifier) and the protocol, below 1 << 24: what the flows of a mapping have in common."""
    is_a = outbound == (table.rows["flags"][flow] & ORIG_IS_A != 0)
    a_port, b_port = flow_ports(table.rows[flow])
    return (a_port if is_a else b_port) << 8 | np.int64(table.rows["proto"][flow])


@part
def order_by_local_port(flow: Int32s, outbound: Bools, table: FlowColumns, room: MappingRoom) -> bool:
    """Order the places of a host's flows by their key in `room`; answers False where they are in order already."""
    before: Int = np.int64(-1)
    in_order = True
    for place in range(flow.size):
        key = _local_key(flow[place], outbound[place], table)
        if key < before:
            in_order = False
        before = key
    if in_order:
        return False
    for place in range(flow.size):
        room.codes[place] = _local_key(flow[place], outbound[place], table) << KEY_SHIFT | place
    sort_run(room.codes, 0, flow.size, room.spare)
    return True


@part
def place_at(room: MappingRoom, at: Int) -> Int:
    """The at-th place in the order that `order_by_local_port` made."""
    return np.int64(room.codes[at] & ((1 << KEY_SHIFT) - 1))


@part
def unite_entries(
    outbound: Bools, table: FlowColumns, walk: Walk, flow: Int32s, direction: Int8s, room: MappingRoom, walked: Int
) -> None:
    """Make mappings of the entries in `walk`, where those of one key are neighbours.

    The first of a mapping stands for it and lasts as long as any; the direction of the others becomes UNITED, and the
    segments that kept them alive now keep that one alive.
    """
    entries = walk.counts[0]
    for e in range(entries):
        room.key[e] = _local_key(flow[e], outbound[walk.place[0, e]], table)
    low = 0
    while low < entries:
        high = low + 1
        while high < entries and room.key[high] == room.key[low]:
            high += 1
        _unite_neighbours(low, high, walk, flow, direction, room)
        low = high
    for k in range(walked):
        e = walk.of_segment[0, k]
        if e >= 0:
            walk.of_segment[0, k] = room.opener[e]


@part
def _unite_neighbours(low: int, high: int, walk: Walk, flow: Int32s, direction: Int8s, room: MappingRoom) -> None:
    """Unite the entries [low, high), which have one key."""
    start, end = walk.start[0], walk.end[0]
    in_order = True
    for e in range(low + 1, high):
        in_order = in_order and start[e] > start[e - 1]
    if not in_order:
        for e in range(low, high):
            room.order[e - low] = e
        sort_places(room.order, high - low, start, flow, room.spare_order)
    opener = NO_ENTRY
    for k in range(high - low):
        e = low + k if in_order else int(room.order[k])
        room.opener[e] = NO_ENTRY
        if direction[e] < 0:
            continue
        if opener != NO_ENTRY and start[e] < end[opener]:
            end[opener] = max(end[opener], end[e])
            direction[e] = UNITED
        else:
            opener = e
        room.opener[e] = opener
