"""Taking flows out of a table, so that a session of days needs no more memory than its live flows.

All that touches the inside of a `FlowTable` from outside is here.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from peerburst.capture.compiled.arrays import as_bytes, grow, reserve
from peerburst.capture.conntrack.tcp import LINE
from peerburst.capture.flows.table import CLOSED, FIRST_CAPACITY, FLOWS, FREE, LINES, NUMBER_BITS, SEGMENTS, FlowTable

Bools = npt.NDArray[np.bool_]


def _with_room(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The rows at the head of an array that has room for more."""
    out = grow(reserve(rows.dtype, FIRST_CAPACITY), rows.size)
    as_bytes(out)[: rows.size] = as_bytes(rows)
    return out


def heirs_kept(successor: npt.NDArray[np.int32], kept: Bools) -> Bools:
    """`kept`, and the flows that took over a 5-tuple from a kept one: it must not pass for the tuple's owner again."""
    kept = kept.copy()
    while True:
        heirs = successor[kept]
        missing = heirs[heirs >= 0]
        missing = missing[~kept[missing]]
        if not missing.size:
            return kept
        kept[missing] = True


def compact(table: FlowTable, kept: Bools) -> None:
    """Forget the flows (one element each) that are not kept; the others move together, in order.

    Of a kept flow its successor must be kept too (`heirs_kept`).
    """
    count, closed = int(table._gauge[FLOWS]), int(table._gauge[SEGMENTS])
    number = np.cumsum(kept, dtype=np.int32) - np.int32(1)
    row = table._row[:count][kept]
    followed = row["successor"] >= 0
    row["successor"][followed] = number[row["successor"][followed]]
    segments = table._segments[:closed]
    segments = segments[kept[segments["flow"]]]
    segments["flow"] = number[segments["flow"]]
    words = table._words[:count][kept]
    has_line = words >= 0
    lines = as_bytes(table._lines)[words[has_line]].view(LINE)
    words[has_line] = np.arange(lines.size)
    table._row, table._segments = _with_room(row), _with_room(segments)
    table._words, table._lines = _with_room(words), _with_room(lines)
    table._gauge[FLOWS], table._gauge[SEGMENTS], table._gauge[LINES] = row.size, segments.size, lines.size
    held = table._slots[table._slots != FREE]
    of = held & NUMBER_BITS
    table._make_slots(row.size, ((held - of) | number[of])[kept[of]])


def flow_count(table: FlowTable) -> int:
    """How many flows the table holds."""
    return int(table._gauge[FLOWS])


def rows_of(table: FlowTable, first: int) -> npt.NDArray[np.void]:
    """The rows from number `first` on, without gathering segments; a view."""
    return table._row[first : int(table._gauge[FLOWS])]


def mark_closed(table: FlowTable, numbers: npt.NDArray[np.int64]) -> None:
    """Say of these flows what was known of the 5-tuple before it was forgotten: that TCP had closed."""
    table._row["flags"][numbers] |= np.uint8(CLOSED)
