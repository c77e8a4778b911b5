"""The count over time of one host: how high it rose, when it crossed limits, and for how long.

An entry counts from its start up to, not including, its end. At one instant, ends come before starts.
"""

from typing import NamedTuple

import numpy as np

from peerburst.capture.compiled.kernel import inlined_part, part
from peerburst.capture.compiled.shapes import Int, Int32s, Int64s
from peerburst.capture.compiled.sorting import sort_spread

NEVER_CROSSED = -1
DIRECTIONS = 2


class Limits(NamedTuple):
    """What counts are held against."""

    limit: Int64s  # ascending; n are allowed, n + 1 cross
    until: int  # the capture's last instant, ns: time above is counted up to it


class Found(NamedTuple):
    """What sweeping fills. Instants in ns or NEVER_CROSSED."""

    peak: Int64s  # (models, directions, hosts)
    peak_at: Int64s  # the first instant of it
    active: Int64s  # entries active then
    crossed: Int64s  # (models, directions, hosts, limits): when the count first exceeded it
    above: Int64s  # the same: for how long it did, ns


class Spans(NamedTuple):
    """The starts and ends of one host's entries, by model and direction, and scratch memory to sweep over them."""

    n: Int64s  # (models, directions): how many
    start: Int64s  # (models, directions, room)
    end: Int64s
    given: Int64s  # (directions, room): starts as they came under the model in `divided`
    divided: Int64s  # by direction: under which model the starts were last put in order, or -1
    cells: Int32s  # (directions, room + 1): see `divide`
    shift: Int64s  # by direction
    change: Int32s  # (room)
    spare: Int64s  # (room)


def spans_room(models: int, room: int) -> Spans:
    """Room for `room` entries of each model and direction. Pages that no entry reaches cost no memory."""
    return Spans(
        n=np.zeros((models, DIRECTIONS), np.int64),
        start=np.empty((models, DIRECTIONS, room), np.int64),
        end=np.empty((models, DIRECTIONS, room), np.int64),
        given=np.empty((DIRECTIONS, room), np.int64),
        divided=np.empty(DIRECTIONS, np.int64),
        cells=np.empty((DIRECTIONS, room + 1), np.int32),
        shift=np.zeros(DIRECTIONS, np.int64),
        change=np.empty(room, np.int32),
        spare=np.empty(room, np.int64),
    )


def nothing_found(models: int, hosts: int, limits: int) -> Found:
    shape = (models, DIRECTIONS, hosts)
    return Found(
        peak=np.zeros(shape, np.int64),
        peak_at=np.full(shape, NEVER_CROSSED, np.int64),
        active=np.zeros(shape, np.int64),
        crossed=np.full((*shape, limits), NEVER_CROSSED, np.int64),
        above=np.zeros((*shape, limits), np.int64),
    )


@part
def clear(spans: Spans) -> None:
    """Begin with another host."""
    spans.n[:] = 0
    spans.divided[:] = -1


@inlined_part
def add_span(start: Int, end: Int, slot: Int, direction: Int, spans: Spans) -> None:
    """Add an entry, if it lasts, of the model in this slot."""
    if end > start:
        n = spans.n[slot, direction]
        spans.start[slot, direction, n], spans.end[slot, direction, n] = start, end
        spans.n[slot, direction] += 1


@part
def divide(start: Int64s, n: int, cells: Int32s) -> int:
    """Divide the time of n starts, which are in order, into at most n equal cells; answers their length as a shift.

    Fills for each cell which start is the first in it or after it, and one more.
    """
    shift = 0
    while (start[n - 1] - start[0]) >> shift >= n:
        shift += 1
    filled = 0
    for k in range(n):
        while filled <= (start[k] - start[0]) >> shift:
            cells[filled] = k
            filled += 1
    cells[filled] = n
    return shift


@part
def rise_and_fall(
    start: Int64s, end: Int64s, n: int, until: int, cells: Int32s, shift: int, change: Int32s
) -> tuple[int, int]:
    """(the most of n entries alive at once, the first instant of that); the starts are in order, the ends in any.

    None comes after `until`. `cells` and `shift` are what `divide` makes of the starts, `change` is room for n counts.
    Sorting the ends as well would take three times as long.
    """
    for k in range(n):
        change[k] = 1
    earliest, latest = start[0], start[n - 1]
    for k in range(n):
        ending = end[k]
        if ending > latest or ending > until:
            continue
        # The first start that is not before the end: a few steps from where the cell begins.
        cell = (ending - earliest) >> shift
        at, stop = int(cells[cell]), int(cells[cell + 1])
        if stop - at <= 3:  # nearly always, and without a branch: how many steps cannot be foretold
            two, three = min(at + 1, n - 1), min(at + 2, n - 1)
            at += int(start[at] < ending) + int(start[two] < ending) + int(start[three] < ending)
        else:
            while at < stop:
                middle = (at + stop) >> 1
                if start[middle] < ending:
                    at = middle + 1
                else:
                    stop = middle
        change[at] -= 1
    count, most, best = 0, 0, 0
    for k in range(n):
        count += change[k]
        if count > most:
            most, best = count, k
    return most, start[best]


@part
def hold_against(start: Int64s, end: Int64s, limits: Limits, crossed: Int64s, above: Int64s) -> None:
    """Fill by limit the instant the count first exceeded it, and for how long it did; starts and ends are in order.

    No end comes after limits.until.
    """
    limit = limits.limit
    count, over, s, e = 0, 0, 0, 0  # `over`: how many limits the count exceeds
    while s < start.size or e < end.size:
        if e < end.size and (s == start.size or end[e] <= start[s]):
            if over and count == limit[over - 1] + 1:
                over -= 1
                above[over] += end[e]
            count -= 1
            e += 1
            continue
        now = start[s]
        s += 1
        count += 1
        if over < limit.size and count == limit[over] + 1:
            above[over] -= now
            if crossed[over] == NEVER_CROSSED:
                crossed[over] = now
            over += 1
    for k in range(over):
        above[k] += limits.until


@part
def _begin_alike(one: Int64s, other: Int64s, n: int) -> bool:
    k = 0
    while k < n and one[k] == other[k]:
        k += 1
    return k == n


@part
def _put_in_order(spans: Spans, slot: Int, direction: Int) -> Int:
    """Put the starts in order; answers in which slot they are so.

    Under most models the same entries begin, one after the other: then they are in order in an earlier slot.
    """
    n, last = spans.n[slot, direction], spans.divided[direction]
    start = spans.start[slot, direction]
    if last >= 0 and spans.n[last, direction] == n and _begin_alike(start, spans.given[direction], n):
        return int(last)
    for k in range(n):
        spans.given[direction, k] = start[k]
    sort_spread(start, n, spans.spare, spans.cells[direction])
    spans.shift[direction] = divide(start, n, spans.cells[direction])
    spans.divided[direction] = slot
    return slot


@part
def sweep(spans: Spans, slot: Int, direction: Int, limits: Limits, found: Found, model: Int, host: Int) -> None:
    """Find the peak of what was added for one model and direction and, if it exceeds a limit, when and how long."""
    n = spans.n[slot, direction]
    if not n:
        return
    start = spans.start[_put_in_order(spans, slot, direction), direction]
    end = spans.end[slot, direction]
    most, at = rise_and_fall(start, end, n, limits.until, spans.cells[direction], spans.shift[direction], spans.change)
    found.peak[model, direction, host], found.peak_at[model, direction, host] = most, at
    if limits.limit.size and most > limits.limit[0]:
        kept = 0
        for k in range(n):
            end[kept] = end[k]
            kept += end[k] <= limits.until
        sort_spread(end, kept, spans.spare, spans.change)
        hold_against(
            start[:n], end[:kept], limits, found.crossed[model, direction, host], found.above[model, direction, host]
        )
