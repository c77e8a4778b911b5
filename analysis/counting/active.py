"""When an entry is active: it has had a packet in the last TALKING_NS, and lives. Users read "talking"."""

import numpy as np

from peerburst.capture.compiled.kernel import kernel, part
from peerburst.capture.compiled.shapes import Int64s
from peerburst.capture.flows.record import TALKING_NS


@part
def active_interval(first: int, last: int, start: int, end: int) -> tuple[int, int]:
    """The instants [begin, stop) in which one segment makes its entry active; none where stop <= begin.

    `first` and `last`: the segment's packets; [start, end): the entry's life. All in ns.
    """
    return max(first, start), min(last + TALKING_NS, end)


@part
def is_active(first: int, last: int, start: int, end: int, now: int) -> bool:
    """Whether a segment makes its entry active at the instant `now`; see `active_interval`."""
    begin, stop = active_interval(first, last, start, end)
    return begin <= now < stop


@kernel
def fill_intervals(
    segment: Int64s,
    entry: Int64s,
    first: Int64s,
    last: Int64s,
    life: tuple[Int64s, Int64s],
    begin: Int64s,
    stop: Int64s,
) -> None:
    """Fill per row the `active_interval` of a segment and the entry it belongs to.

    `first` and `last` are by segment; `life`, the entries' start and end, by entry.
    """
    start, end = life
    for i in range(segment.size):
        s, e = segment[i], entry[i]
        begin[i], stop[i] = active_interval(first[s], last[s], start[e], end[e])


@kernel
def make_disjoint(entry: Int64s, start: Int64s, end: Int64s) -> None:
    """Make the intervals of each entry disjoint, in place: rows by entry, then start. One within another is emptied."""
    for i in range(1, entry.size):
        if entry[i] == entry[i - 1]:
            # The earlier one's end, where it reaches further, is handed on to the later.
            reach = end[i - 1]
            end[i - 1] = min(reach, start[i])
            end[i] = max(end[i], reach)


def united(start: Int64s, end: Int64s, entry: Int64s) -> tuple[Int64s, Int64s, Int64s]:
    """(start, end, entry) of the same intervals, those of one entry made disjoint."""
    # Segments of one entry may follow each other sooner than TALKING_NS, those of a mapping's flows lie side by side.
    order = np.lexsort((start, entry))
    entry, start, end = entry[order], start[order], end[order]
    make_disjoint(entry, start, end)
    kept = end > start
    return start[kept], end[kept], entry[kept]
