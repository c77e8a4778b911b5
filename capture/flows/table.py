"""The flow table: packets in, flows and segments out.

A flow is the packets of one bidirectional 5-tuple; a SYN on a closed one begins the next flow. A segment is a run of
one flow's packets with no gap longer than the shortest timeout of interest and within one entry of Linux's table.
The last segment is kept in the flow's own record, so that the many flows of one packet cost one record.

Speed comes from working on a batch: all packets are hashed first (`partition`); then, while one is entered, what the
next ones lead to is on its way from memory (`lookup`). It comes from records of two cache lines, and from never
allocating inside.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from peerburst.capture.compiled.arrays import LARGE_PAGE, as_bytes, grow, large_page_array, reserve
from peerburst.capture.compiled.kernel import kernel
from peerburst.capture.compiled.shapes import Int64s, UInt8s
from peerburst.capture.conntrack.states import CONNTRACK_INDEX
from peerburst.capture.conntrack.tcp import DELETED, TCP_SIDE, TCP_STATE
from peerburst.capture.flows import entry, lookup, segments, totals
from peerburst.capture.flows.begin import begin_flow, fill_births, is_next_flow
from peerburst.capture.flows.gather import gathered
from peerburst.capture.flows.originator import settle
from peerburst.capture.flows.partition import DECODED, Partitioner, new_seed
from peerburst.capture.flows.record import (
    BEFORE,
    BEGAN,
    BIRTH,
    CLOSED,
    COUNTERS,
    EARLIEST,
    FLOW,
    FLOW_HALF,
    FLOWS,
    LATEST,
    NEVER,
    NO_FLOW,
    SEED,
    SEGMENT,
    SEGMENTS,
    TCP_STATES,
    Arrival,
    Batch,
    Flows,
    TableMemory,
)
from peerburst.capture.packets.frame_ends import FRAME_ENDS, NO_BYTES
from peerburst.capture.packets.ip import PROTO_TCP
from peerburst.capture.packets.ports import server_ports
from peerburst.capture.packets.status import Status

FIRST_CAPACITY = 1 << 12
LEAST_SLOTS = LARGE_PAGE // 8

Bools = npt.NDArray[np.bool_]


@kernel
def update(batch: Batch, memory: TableMemory, gaps: Int64s, servers: UInt8s, statuses: Int64s) -> None:
    """Enter the chosen packets of a batch.

    `memory` has room for a flow, a TCP state and two closed segments per packet, and more slots than flows; `gaps` is
    by Phase, the silence in ns that a segment left in it may hold; `servers` by port, 1 of a likely server's;
    `statuses` counts packets by Status.
    """
    slots, counters = memory.slots, memory.counters
    earliest, latest, decoded = counters[EARLIEST], counters[LATEST], batch.chosen.size
    for i in range(-lookup.SLOT_AHEAD, batch.chosen.size):
        lookup.prefetch_ahead(batch, memory, i)
        if i < 0:
            continue
        packet, hashed, from_a = batch.packets[batch.chosen[i]], batch.hashes[i] >> 1, batch.hashes[i] & 1 != 0
        ts = packet["ts"]
        earliest, latest = min(earliest, ts), max(latest, ts)
        if hashed < 0:
            statuses[packet["status"]] += 1
            decoded -= 1
            continue
        is_tcp = packet["proto"] == PROTO_TCP
        index = np.int64(CONNTRACK_INDEX[packet["flags"] & 63]) if is_tcp else 0
        slot = lookup.look_up(memory, memory.places[i & lookup.PLACES_MASK], hashed, packet, from_a)
        number = slots[slot] & lookup.NUMBER_BITS if slots[slot] != lookup.FREE else NO_FLOW
        if number != NO_FLOW:
            # A packet dated before its flow's latest counts as of then: a 5-tuple's own time never goes back.
            ts = max(ts, memory.flows[number]["last"])
        arrival = Arrival(packet, ts, from_a, is_tcp, index)
        if number == NO_FLOW or is_next_flow(memory.flows[number], arrival):
            number = begin_flow(memory, number, arrival, servers, counters[BEFORE] + batch.chosen[i])
            slots[slot] = hashed << lookup.HASH_SHIFT | lookup.TAKEN | number
        else:
            segments.cut(memory, number, arrival, gaps)
        decision = entry.advance(memory, number, arrival)
        segments.extend(memory.flows[number], ts, from_a)
        totals.add(memory.flows[number], arrival)
        if decision == DELETED:
            segments.cut_deleted(memory.flows[number], number, arrival, memory.segments, counters)
    counters[EARLIEST], counters[LATEST] = earliest, latest
    statuses[DECODED] += decoded


@dataclass(frozen=True, slots=True)
class TableContents:
    """What a table holds: `row` (FLOW) by flow, and closed `segments` (SEGMENT) as they came."""

    row: npt.NDArray[np.void]
    segments: npt.NDArray[np.void]
    births: npt.NDArray[np.void]  # BIRTH by flow


class FlowTable:
    """Packets go in by batches; flows and segments are asked for at any time."""

    def __init__(self, gaps_ns: npt.NDArray[np.int64] | None = None, seed: int | None = None) -> None:
        """`gaps_ns`: of `segment_gaps_ns`; `seed`: of the hashes, see `new_seed`."""
        self._flows = reserve(FLOW, FIRST_CAPACITY)
        self._segments = reserve(SEGMENT, FIRST_CAPACITY)
        self._slots = large_page_array(np.int64, LEAST_SLOTS)
        # In pages of its own: what other threads write all the time, to other tables, must not lie in the same line.
        self._places = large_page_array(np.int64, lookup.PLACES)
        self._births = reserve(BIRTH, FIRST_CAPACITY)
        self._first_packet_index = reserve(np.int64, FIRST_CAPACITY)
        self._tcp_slots = reserve(np.int64, FIRST_CAPACITY)
        self._tcp_states = reserve(TCP_STATE, FIRST_CAPACITY)
        self._counters = np.zeros(COUNTERS, np.int64)
        self._counters[SEED] = new_seed() if seed is None else seed
        self._counters[EARLIEST], self._counters[LATEST] = NEVER, -NEVER
        self._counters[BEGAN] = NEVER
        self._partitioner = Partitioner(int(self._counters[SEED]), 1)
        self._gaps = segments.segment_gaps_ns() if gaps_ns is None else gaps_ns
        self._servers = server_ports()
        self.statuses = np.zeros(len(Status), np.int64)
        self.packets = 0

    @property
    def first_ns(self) -> int | None:
        """The instant of the earliest packet of all, None of no packets."""
        return int(self._counters[EARLIEST]) if self.packets else None

    @property
    def last_ns(self) -> int | None:
        """The instant of the latest packet of all, None of no packets."""
        return int(self._counters[LATEST]) if self.packets else None

    @property
    def flow_count(self) -> int:
        """How many flows the table holds."""
        return int(self._counters[FLOWS])

    def add(self, packets: npt.NDArray[np.void]) -> None:
        """Add PACKET rows, in the order they came."""
        self.enter(packets, *self._partitioner.partition(packets).of(0), self.packets)

    def enter(
        self,
        packets: npt.NDArray[np.void],
        chosen: npt.NDArray[np.int32],
        hashes: npt.NDArray[np.int64],
        before: int,
        data: npt.NDArray[np.uint8] = NO_BYTES,
    ) -> None:
        """Add the chosen PACKET rows, see `Partition`; `before` is how many packets of all came before the batch.

        `data`: the bytes that their frames stand in, unless they have left these, see `FrameEnds`.
        """
        flows = self.flow_count
        self._make_room(chosen.size)
        self._counters[BEFORE] = before
        if self._counters[BEGAN] == NEVER and packets.size:
            self._counters[BEGAN] = packets["ts"][0]
        with np.errstate(over="ignore"):
            update(Batch(packets, chosen, hashes), self._memory(), self._gaps, self._servers, self.statuses)
        self.packets += chosen.size
        fill_births(data, self._births[flows : self.flow_count], FRAME_ENDS.rows)

    def _memory(self) -> TableMemory:
        return TableMemory(
            self._flows,
            self._flows.view(FLOW_HALF),
            self._births,
            self._first_packet_index,
            self._tcp_slots,
            self._tcp_states,
            self._tcp_states.view(TCP_SIDE),
            self._slots,
            self._places,
            self._segments,
            self._counters,
        )

    def _make_room(self, packets: int) -> None:
        flows = self.flow_count + packets
        self._flows = grow(self._flows, flows)
        self._births = grow(self._births, flows)
        self._first_packet_index = grow(self._first_packet_index, flows)
        self._tcp_slots = grow(self._tcp_slots, flows)
        self._tcp_states = grow(self._tcp_states, int(self._counters[TCP_STATES]) + packets)
        self._segments = grow(self._segments, int(self._counters[SEGMENTS]) + 2 * packets)
        if lookup.SLOTS_PER_FLOW * flows > self._slots.size:
            self._make_slots(flows, self._slots)

    def _make_slots(self, flows: int, held: npt.NDArray[np.int64]) -> None:
        """Have slots for so many flows, with what these hold, which may be some of those before."""
        size = LEAST_SLOTS
        while size < lookup.SLOTS_PER_FLOW * flows:
            size *= 2
        self._slots = large_page_array(np.int64, size)
        lookup.rehash(held, self._slots)

    @property
    def began_ns(self) -> int:
        """The instant of the first packet of all, NEVER before there is one."""
        return int(self._counters[BEGAN])

    def flows(self) -> Flows:
        """The flows and segments so far; the rows are a view that the next `add` changes."""
        held = self.contents()
        flows = gathered(held.row, [held.segments], held.births, is_last=False)
        settle(flows, self.began_ns)
        return flows

    def finish(self) -> Flows:
        """The flows and segments of a table that gets no more packets: what it no longer needs goes first."""
        held = self.end()
        flows = gathered(held.row, [held.segments], held.births, is_last=True)
        settle(flows, self.began_ns)
        return flows

    def contents(self) -> TableContents:
        """What it holds, as views."""
        closed = self._segments[: int(self._counters[SEGMENTS])]
        return TableContents(self.rows_from(0), closed, self._births[: self.flow_count])

    def rows_from(self, first: int) -> npt.NDArray[np.void]:
        """The flows (FLOW) from number `first` on, without their closed segments; a view."""
        return self._flows[first : self.flow_count]

    def first_packet_index(self) -> npt.NDArray[np.int64]:
        """How many packets of all had come before each flow's first, in ascending order; a view."""
        return self._first_packet_index[: self.flow_count]

    def end(self) -> TableContents:
        """What it holds, of a table that gets no more packets: what only they need goes at once, the rest with this."""
        held = self.contents()
        self._slots = self._first_packet_index = self._tcp_slots = np.zeros(0, np.int64)
        self._tcp_states = np.zeros(0, TCP_STATE)
        return held

    def compact(self, kept: Bools) -> None:
        """Forget the flows (one element each) that are not kept; the others move together, in order.

        Of a kept flow its successor must be kept too (`with_successors`).
        """
        count = self.flow_count
        number = np.cumsum(kept, dtype=np.int32) - np.int32(1)
        flows = self._flows[:count][kept]
        followed = flows["successor"] >= 0
        flows["successor"][followed] = number[flows["successor"][followed]]
        closed = self._segments[: int(self._counters[SEGMENTS])]
        closed = closed[kept[closed["flow"]]]
        closed["flow"] = number[closed["flow"]]
        self._compact_tcp(kept)
        self._flows, self._segments = _with_room(flows), _with_room(closed)
        self._births = _with_room(self._births[:count][kept])
        self._first_packet_index = _with_room(self._first_packet_index[:count][kept])
        self._counters[FLOWS], self._counters[SEGMENTS] = flows.size, closed.size
        held = self._slots[self._slots != lookup.FREE]
        of = held & lookup.NUMBER_BITS
        self._make_slots(flows.size, ((held - of) | number[of])[kept[of]])

    def _compact_tcp(self, kept: Bools) -> None:
        """Forget the TCP states of the flows that are not kept."""
        slots = self._tcp_slots[: self.flow_count][kept]
        has_state = slots >= 0
        states = as_bytes(self._tcp_states)[slots[has_state]].view(TCP_STATE)
        slots[has_state] = np.arange(states.size)
        self._tcp_slots, self._tcp_states = _with_room(slots), _with_room(states)
        self._counters[TCP_STATES] = states.size

    def mark_closed(self, numbers: npt.NDArray[np.int64]) -> None:
        """Say of these flows what was known of the 5-tuple before it was forgotten: that TCP had closed."""
        self._flows["flags"][numbers] |= np.uint8(CLOSED)


def _with_room(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The rows at the head of an array that has room for more."""
    out = grow(reserve(rows.dtype, FIRST_CAPACITY), rows.size)
    as_bytes(out)[: rows.size] = as_bytes(rows)
    return out


def with_successors(successor: npt.NDArray[np.int32], kept: Bools) -> Bools:
    """`kept`, and the flows that took over a 5-tuple from a kept one: it must not pass for the tuple's owner again."""
    kept = kept.copy()
    while True:
        heirs = successor[kept]
        missing = heirs[heirs >= 0]
        missing = missing[~kept[missing]]
        if not missing.size:
            return kept
        kept[missing] = True
