"""A flow table in parts, which different threads can fill at the same time, and that answers as one.

A flow's packets all fall to one part, in their order, so each part is a `FlowTable` like any other. In the end their
flows are numbered anew, in the order in which they began: the answer does not tell how many parts there were.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from peerburst.capture.compiled.arrays import grow, release, reserve
from peerburst.capture.compiled.kernel import kernel
from peerburst.capture.compiled.parallel import processors, side_by_side
from peerburst.capture.flows.table import FLOW, Dealer, Dealt, Flows, FlowTable, Kept, gathered, new_seed

MOST_PARTS = 2  # finding packets is for one thread alone, and more parts would wait for it
PLACED_AT_ONCE = 1 << 17  # flows of a part: 16 MB of them are held twice
NO_BIRTH = np.int64(np.iinfo(np.int64).max)


def shards_for_this_machine() -> int:
    """Two where there is a core for the second, else one."""
    return min(MOST_PARTS, processors())


@kernel
def number_by_birth(births, at, stops, number):  # type: ignore[no-untyped-def]
    """Number the flows of all parts from 0 in the order of their births.

    Those of part p are births[at[p]:stops[p]], in order; `at` moves on. `number` (int32), one per flow, is to fill.
    """
    for n in range(births.size):
        earliest, birth = 0, NO_BIRTH
        for p in range(at.size):
            if at[p] < stops[p] and births[at[p]] < birth:
                earliest, birth = p, births[at[p]]
        number[at[earliest]] = n
        at[earliest] += 1


@kernel
def place(row, number, first, stop, out):  # type: ignore[no-untyped-def]
    """Copy the flows row[first:stop] of one part to their places in `out`; `number` is of that part's flows."""
    for i in range(first, stop):
        target = number[i]
        out[target] = row[i]
        if row[i]["successor"] >= 0:
            out[target]["successor"] = number[row[i]["successor"]]


@kernel
def renumber(segments, number):  # type: ignore[no-untyped-def]
    """From a part's numbers of flows to those of all, in place."""
    flow = segments["flow"]
    for i in range(flow.size):
        flow[i] = number[flow[i]]


class ShardedFlowTable:
    """Packets are dealt to parts, and entered in each in their order; flows and segments come out in the end."""

    def __init__(self, gaps_ns: npt.NDArray[np.int64] | None = None, parts: int | None = None) -> None:
        """`parts`: 1 or another power of two, None for as many as this machine has use for."""
        seed = new_seed()
        self.parts = shards_for_this_machine() if parts is None else parts
        self._dealer = Dealer(seed, self.parts)
        self._tables = [FlowTable(gaps_ns, seed) for _ in range(self.parts)]

    def deal(self, packets: npt.NDArray[np.void]) -> Dealt:
        """What entering PACKET rows has to know of them beforehand. It may be asked from any thread."""
        return self._dealer.deal(packets)

    def enter(self, packets: npt.NDArray[np.void], dealt: Dealt, before: int, part: int) -> None:
        """Enter those of the PACKET rows that were dealt to a part; `before` is how many packets came before them.

        Batches must be entered in order; different parts at the same time, by different threads.
        """
        self._tables[part].add_dealt(packets, *dealt.of(part), before)

    def finish(self) -> Flows:
        """The flows and segments; nothing can be entered after that."""
        if self.parts == 1:
            return self._tables[0].finish()
        numbers = _numbers([table.births() for table in self._tables])
        return _united([table.let_go() for table in self._tables], numbers)

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


def _numbers(births: Sequence[npt.NDArray[np.int64]]) -> list[npt.NDArray[np.int32]]:
    """By part, the number of each flow among those of all parts."""
    stops = np.cumsum([part.size for part in births])
    begins = np.concatenate([[0], stops[:-1]])
    number = np.empty(stops[-1], np.int32)
    number_by_birth(np.concatenate(births), begins.copy(), stops, number)
    return [number[begin:stop] for begin, stop in zip(begins, stops, strict=True)]


def _united(parts: Sequence[Kept], numbers: Sequence[npt.NDArray[np.int32]]) -> Flows:
    """The flows of all parts as those of one table: each part's own are put in their places beside the others'."""
    flows = sum(own.size for own in numbers)
    out = grow(reserve(FLOW, flows), flows)[:flows]

    def put(p: int) -> None:
        row, own = parts[p].row, numbers[p]
        # Piece by piece, so that what is copied can go and little is held twice.
        for first in range(0, own.size, PLACED_AT_ONCE):
            stop = min(first + PLACED_AT_ONCE, own.size)
            place(row, own, first, stop, out)
            release(row, stop)
        renumber(parts[p].segments, own)

    side_by_side(put, range(len(parts)), most=len(parts))
    return gathered(out, [part.segments for part in parts], is_last=True)
