"""When an entry is active: it has had a packet in the last TALKING_NS, and lives. Users read "talking"."""

import numpy as np

from peerburst.analysis.counting.entries import Entries
from peerburst.capture.compiled.kernel import kernel, part
from peerburst.capture.compiled.shapes import Int64s
from peerburst.capture.flows.record import TALKING_NS, Flows


@part
def is_active(first: int, last: int, start: int, end: int, now: int) -> bool:
    """Whether, by one of its segments, an entry is active at the instant `now`.

    `first` and `last`: the segment's packets; [start, end): the entry's life. All in ns.
    """
    return first <= now and now < last + TALKING_NS and start <= now and now < end


def active_by_segment(flows: Flows, entries: Entries, which: Int64s) -> tuple[Int64s, Int64s, Int64s]:
    """(start, end, entry): when each of these segments, which all belong to entries, makes its entry active.

    The instants [start, end) are those for which `is_active` holds. Those of one entry may overlap; some are empty.
    """
    entry = entries.of_segment[which].astype(np.int64)
    segments, life = flows.segments, entries.entry
    start = np.maximum(segments["start"][which], life["start"][entry])
    end = np.minimum(segments["last"][which] + TALKING_NS, life["end"][entry])
    return start, end, entry


@kernel
def make_disjoint(entry: Int64s, start: Int64s, end: Int64s) -> None:
    """Make the intervals of each entry disjoint, in place: rows by entry, then start. One within another is emptied."""
    for i in range(1, entry.size):
        if entry[i] == entry[i - 1]:
            # The earlier one's end, where it reaches further, is handed on to the later.
            reach = end[i - 1]
            end[i - 1] = min(reach, start[i])
            end[i] = max(end[i], reach)


def active_intervals(flows: Flows, entries: Entries) -> tuple[Int64s, Int64s, Int64s]:
    """(start, end, entry) of the intervals in which entries are active; those of one entry are disjoint."""
    start, end, entry = active_by_segment(flows, entries, np.flatnonzero(entries.of_segment >= 0))
    # Segments of one entry may follow each other sooner than TALKING_NS, those of a mapping's flows lie side by side.
    order = np.lexsort((start, entry))
    entry, start, end = entry[order], start[order], end[order]
    make_disjoint(entry, start, end)
    kept = end > start
    return start[kept], end[kept], entry[kept]
