"""A flow table in shards, which different threads can fill at the same time, and that answer as one.

A flow's packets all fall to one shard, in their order, so each shard is a `FlowTable` like any other. In the end their
flows are numbered anew, in the order in which they began: the answer does not tell how many shards there were.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from peerburst.capture.compiled.arrays import grow, release, reserve
from peerburst.capture.compiled.kernel import kernel
from peerburst.capture.compiled.parallel import processors, side_by_side
from peerburst.capture.compiled.shapes import Int, Int32s, Int64s, Records
from peerburst.capture.flows.gather import gathered
from peerburst.capture.flows.originator import settle
from peerburst.capture.flows.partition import Partition, Partitioner, new_seed
from peerburst.capture.flows.record import BIRTH, FLOW, Flows
from peerburst.capture.flows.table import FlowTable, TableContents
from peerburst.capture.packets.frame_ends import NO_BYTES

MOST_SHARDS = 2  # finding packets is for one thread alone, and more shards would wait for it
PLACED_AT_ONCE = 1 << 17  # flows of a shard: 16 MB of them are held twice
BEHIND_ALL = np.int64(np.iinfo(np.int64).max)


def shards_for_this_machine() -> int:
    """Two where there is a core for the second, else one."""
    return min(MOST_SHARDS, processors())


@kernel
def number_by_first_packet(first_packet_index: Int64s, at: Int64s, stops: Int64s, number: Int32s) -> None:
    """Number the flows of all shards from 0 in the order of their first packets.

    Those of shard s are first_packet_index[at[s]:stops[s]], in order; `at` moves on. `number`, one per flow, is filled.
    """
    for n in range(first_packet_index.size):
        earliest, index = 0, BEHIND_ALL
        for s in range(at.size):
            if at[s] < stops[s] and first_packet_index[at[s]] < index:
                earliest, index = s, first_packet_index[at[s]]
        number[at[earliest]] = n
        at[earliest] += 1


@kernel
def place(flows: Records, number: Int32s, first: Int, stop: Int, out: Records) -> None:
    """Copy the flows[first:stop] of one shard to their places in `out`; `number` is of that shard's flows."""
    for i in range(first, stop):
        target = number[i]
        out[target] = flows[i]
        if flows[i]["successor"] >= 0:
            out[target]["successor"] = number[flows[i]["successor"]]


@kernel
def place_births(births: Records, number: Int32s, out: Records) -> None:
    """Copy what one shard's flows were born with (BIRTH) to their places in `out`."""
    for i in range(births.size):
        out[number[i]] = births[i]


@kernel
def renumber(segments: Records, number: Int32s) -> None:
    """From a shard's numbers of flows to those of all, in place."""
    flow = segments["flow"]
    for i in range(flow.size):
        flow[i] = number[flow[i]]


class ShardedFlowTable:
    """Packets are given to shards, and entered in each in their order; flows and segments come out in the end."""

    def __init__(self, gaps_ns: npt.NDArray[np.int64] | None = None, shards: int | None = None) -> None:
        """`shards`: 1 or another power of two, None for as many as this machine has use for."""
        seed = new_seed()
        self.shards = shards_for_this_machine() if shards is None else shards
        self._partitioner = Partitioner(seed, self.shards)
        self._tables = [FlowTable(gaps_ns, seed) for _ in range(self.shards)]

    def partition(self, packets: npt.NDArray[np.void]) -> Partition:
        """What entering PACKET rows has to know of them beforehand. It may be asked from any thread."""
        return self._partitioner.partition(packets)

    def enter(
        self,
        packets: npt.NDArray[np.void],
        partition: Partition,
        before: int,
        shard: int,
        data: npt.NDArray[np.uint8] = NO_BYTES,
    ) -> None:
        """Enter those of the PACKET rows that are one shard's; `before` is how many packets came before them.

        `data`: see `FlowTable.enter`.

        Batches must be entered in order; different shards at the same time, by different threads.
        """
        self._tables[shard].enter(packets, *partition.of(shard), before, data)

    def finish(self) -> Flows:
        """The flows and segments; nothing can be entered after that."""
        if self.shards == 1:
            return self._tables[0].finish()
        numbers = _numbers([table.first_packet_index() for table in self._tables])
        flows = _united([table.end() for table in self._tables], numbers)
        settle(flows, self._tables[0].began_ns)
        return flows

    @property
    def packets(self) -> int:
        """How many packets have been entered."""
        return sum(table.packets for table in self._tables)

    @property
    def statuses(self) -> npt.NDArray[np.int64]:
        """How many packets have each Status."""
        counts: npt.NDArray[np.int64] = np.sum([table.statuses for table in self._tables], axis=0)
        return counts

    @property
    def first_ns(self) -> int | None:
        """The instant of the earliest packet of all, None of no packets."""
        return min((table.first_ns for table in self._tables if table.first_ns is not None), default=None)

    @property
    def last_ns(self) -> int | None:
        """The instant of the latest packet of all, None of no packets."""
        return max((table.last_ns for table in self._tables if table.last_ns is not None), default=None)


def _numbers(first_packet_index: Sequence[npt.NDArray[np.int64]]) -> list[npt.NDArray[np.int32]]:
    """By shard, the number of each flow among those of all shards."""
    stops = np.cumsum([shard.size for shard in first_packet_index])
    begins = np.concatenate([[0], stops[:-1]])
    number = np.empty(stops[-1], np.int32)
    number_by_first_packet(np.concatenate(first_packet_index), begins.copy(), stops, number)
    return [number[begin:stop] for begin, stop in zip(begins, stops, strict=True)]


def _united(shards: Sequence[TableContents], numbers: Sequence[npt.NDArray[np.int32]]) -> Flows:
    """The flows of all shards as those of one table: each shard's own are put in their places beside the others'."""
    flows = sum(own.size for own in numbers)
    out, births = grow(reserve(FLOW, flows), flows)[:flows], grow(reserve(BIRTH, flows), flows)[:flows]

    def put(s: int) -> None:
        row, own = shards[s].row, numbers[s]
        # Piece by piece, so that what is copied can go and little is held twice.
        for first in range(0, own.size, PLACED_AT_ONCE):
            stop = min(first + PLACED_AT_ONCE, own.size)
            place(row, own, first, stop, out)
            release(row, stop)
        place_births(shards[s].births, own, births)
        release(shards[s].births, own.size)
        renumber(shards[s].segments, own)

    side_by_side(put, range(len(shards)), most=len(shards))
    return gathered(out, [shard.segments for shard in shards], births, is_last=True)
