"""When the flows of each set began: how close together, and how regularly the heavy ones."""

from peerburst.analysis.bursts.features.sets import Scratch, Sets, median
from peerburst.capture.compiled.kernel import kernel
from peerburst.capture.compiled.shapes import Int64s, Records, UInt8s
from peerburst.capture.compiled.sorting import sort_run
from peerburst.capture.units import SECOND_NS
from peerburst.capture.vocabulary import FlowKind

HEAVY = int(FlowKind.HEAVY)
# A player without a lasting connection opens one for each segment of the film, and segments are equally long. So are
# files fetched one after another, each as soon as the one before is there.
LEAST_PERIODIC_GAPS = 3
AS_SOON_AS = 0.1  # of the usual gap
SHORTEST_PERIOD_NS = 1_000_000_000


@kernel
def measure_times(start: Int64s, sets: Sets, room: Scratch, features: Records) -> None:
    """How close together the flows of each set began. They are in the order they began; `start` in ns."""
    together, spare = room.values, room.spare
    for g in range(sets.begins.size):
        begin, stop = sets.begins[g], sets.stops[g]
        n, most = stop - begin, 0
        # Flows from i on begin within a second of it up to `second`, within half a second from `low` to `high`.
        second, low, high = begin, begin, begin
        for i in range(begin, stop):
            now = start[i]
            while second < stop and start[second] < now + SECOND_NS:
                second += 1
            while start[low] < now - SECOND_NS // 2:
                low += 1
            while high < stop and start[high] <= now + SECOND_NS // 2:
                high += 1
            most = max(most, second - i)
            together[i - begin] = high - low
        row = features[g]
        row["connection_count"] = n
        row["most_new_per_s"] = most
        if n:
            sort_run(together, 0, n, spare)
            row["simultaneous_count"] = median(together, n)
            row["duration_s"] = (start[stop - 1] - start[begin]) / 1e9


@kernel
def measure_period(start: Int64s, last: Int64s, kind: UInt8s, sets: Sets, room: Scratch, features: Records) -> None:
    """How regularly the heavy flows of each set begin; `start` and `last` in ns."""
    gaps, idle, ordered, spare = room
    for g in range(sets.begins.size):
        n, before = 0, -1
        for f in range(sets.begins[g], sets.stops[g]):
            if kind[f] == HEAVY:
                if before >= 0:
                    gaps[n] = ordered[n] = start[f] - start[before]
                    idle[n] = start[f] - last[before]
                    n += 1
                before = f
        if n < LEAST_PERIODIC_GAPS:
            continue
        sort_run(ordered, 0, n, spare)
        usual, alike = median(ordered, n), 0
        if usual >= SHORTEST_PERIOD_NS:
            for i in range(n):
                waited = idle[i] < 0 or idle[i] >= AS_SOON_AS * usual
                alike += waited and abs(gaps[i] - usual) <= usual / 5
        features[g]["periodic_share"] = alike / n
