"""Sorting inside kernels: many short runs of one array, each nearly in order or of no order at all."""

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.shapes import Int, Int32s, Int64s, Ints

SHORT = 16  # runs this short are sorted by insertion


@part
def sort_run(values: Int64s, low: Int, high: Int, spare: Int64s) -> None:
    """Sort values[low:high] in place; `spare` has room for as many values.

    A merge sort: no order of the input makes it slow, and parts that are in order already are not merged.
    """
    for begin in range(low, high, SHORT):
        for i in range(begin + 1, min(begin + SHORT, high)):
            value, j = values[i], i
            while j > begin and values[j - 1] > value:
                values[j] = values[j - 1]
                j -= 1
            values[j] = value
    width = SHORT
    while width < high - low:
        for begin in range(low, high - width, 2 * width):
            middle, end = begin + width, min(begin + 2 * width, high)
            if values[middle - 1] > values[middle]:
                _merge(values, begin, middle, end, spare)
        width *= 2


@part
def sort_spread(values: Int64s, n: Int, spare: Int64s, cells: Int32s) -> None:
    """Sort the first n values in place, faster than `sort_run` where they are many and spread over their range.

    They are dealt to cells of that range first, and each cell is sorted: as long as no cell has more than a few, that
    takes no more steps than there are values, and never more than `sort_run`. `spare` has room for n values, `cells`
    (int32) for one more.
    """
    low, high, in_order = values[0], values[0], True
    for i in range(1, n):
        in_order = in_order and values[i - 1] <= values[i]
        low, high = min(low, values[i]), max(high, values[i])
    if in_order:
        return
    if high - low < 0:  # farther apart than an int64 can say
        sort_run(values, 0, n, spare)
        return
    shift, count = 0, max(n // SHORT, 1)
    while (high - low) >> shift >= count:
        shift += 1
    count = int((high - low) >> shift) + 1
    for c in range(count + 1):
        cells[c] = 0
    for i in range(n):
        cells[int((values[i] - low) >> shift) + 1] += 1
    for c in range(count):
        cells[c + 1] += cells[c]
    for i in range(n):
        c = int((values[i] - low) >> shift)
        spare[cells[c]] = values[i]
        cells[c] += 1
    for i in range(n):
        values[i] = spare[i]
    begin = 0
    for c in range(count):
        sort_run(values, begin, int(cells[c]), spare)
        begin = int(cells[c])


@part
def sort_places(places: Ints, n: Int, first: Ints, second: Ints, spare: Ints) -> None:
    """Sort the first n places by what `first` holds there and, where that is equal, by `second`.

    A merge sort as `sort_run`, of nearly ordered places fast; `spare` has room for as many.
    """
    width = 1
    while width < n:
        for begin in range(0, n - width, 2 * width):
            middle, end = begin + width, min(begin + 2 * width, n)
            if not _comes_before(places[middle], places[middle - 1], first, second):
                continue
            for i in range(begin, middle):
                spare[i] = places[i]
            i, j, k = begin, middle, begin
            while i < middle and j < end:
                right = _comes_before(places[j], spare[i], first, second)
                places[k] = places[j] if right else spare[i]
                j += right
                i += not right
                k += 1
            while i < middle:
                places[k] = spare[i]
                i += 1
                k += 1
        width *= 2


@part
def _comes_before(one: Int, other: Int, first: Ints, second: Ints) -> bool:
    if first[one] != first[other]:
        return bool(first[one] < first[other])
    return bool(second[one] < second[other])


@part
def _merge(values: Int64s, begin: Int, middle: Int, end: Int, spare: Int64s) -> None:
    """Merge two neighbouring runs that are in order."""
    left = middle - begin
    for i in range(left):
        spare[i] = values[begin + i]
    i, j, k = 0, middle, begin
    while i < left and j < end:
        # Without a branch: which side is next cannot be foretold.
        right = values[j] < spare[i]
        values[k] = values[j] if right else spare[i]
        j += right
        i += not right
        k += 1
    while i < left:
        values[k] = spare[i]
        i += 1
        k += 1
