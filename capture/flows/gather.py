"""Bringing segments together: from the order in which they ended to flow by flow, those still going on included."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from peerburst.capture.compiled.arrays import large_page_array, release
from peerburst.capture.compiled.kernel import kernel
from peerburst.capture.compiled.parallel import side_by_side
from peerburst.capture.compiled.prefetch import prefetch_to_write
from peerburst.capture.compiled.shapes import Int64s, Records
from peerburst.capture.flows.record import A_SENT, B_SENT, SEGMENT, Flows
from peerburst.capture.flows.segments import write_down

GATHER_AHEAD = 16
GATHERED_AT_ONCE = 1 << 18  # segments: 10 MB of them are held twice


@kernel
def count_segments(segments: Records, starts: Int64s) -> None:
    """Add closed segments to those counted of each flow, in `starts[flow + 1]`."""
    flow = segments["flow"]
    for i in range(flow.size):
        starts[flow[i] + 1] += 1


@kernel
def begin_gathering(flows: Records, starts: Int64s) -> None:
    """From how many closed segments each flow has to where its segments begin once all lie together by flow.

    `starts` has one more than flows; the last is how many there are, those still in the flows included.
    """
    for flow in range(flows.size):
        starts[flow + 1] += starts[flow] + (flows["seen"][flow] & (A_SENT | B_SENT) != 0)


@kernel
def gather(segments: Records, starts: Int64s, out: Records) -> None:
    """Copy closed segments to where their flows' next one belongs in `out`, and move that place (`starts`) on."""
    for i in range(segments.size):
        if i + GATHER_AHEAD < segments.size:
            prefetch_to_write(out, starts[segments["flow"][i + GATHER_AHEAD]])
        flow = segments["flow"][i]
        out[starts[flow]] = segments[i]
        starts[flow] += 1


@kernel
def end_gathering(flows: Records, starts: Int64s, out: Records) -> None:
    """Add the segments that are still in the flows, and put `starts` back to where each flow's segments begin."""
    for flow in range(flows.size):
        if flows["seen"][flow] & (A_SENT | B_SENT):
            write_down(flows[flow], flow, out[starts[flow]])
            starts[flow] += 1
    for flow in range(flows.size, 0, -1):
        starts[flow] = starts[flow - 1]
    starts[0] = 0


def gathered(
    row: npt.NDArray[np.void],
    closed: Sequence[npt.NDArray[np.void]],
    births: npt.NDArray[np.void],
    *,
    is_last: bool,
) -> Flows:
    """Flows with their segments side by side. `closed`: the closed ones, in one lot or in several of different flows.

    `is_last`: those are not needed any more and may go.
    """
    starts = large_page_array(np.int64, row.size + 1)
    side_by_side(lambda segments: count_segments(segments, starts), closed, most=len(closed))
    begin_gathering(row, starts)
    out = large_page_array(SEGMENT, int(starts[-1]))

    def put(segments: npt.NDArray[np.void]) -> None:
        for first in range(0, segments.size, GATHERED_AT_ONCE):
            stop = min(first + GATHERED_AT_ONCE, segments.size)
            gather(segments[first:stop], starts, out)
            if is_last:
                release(segments, stop)

    side_by_side(put, closed, most=len(closed))
    end_gathering(row, starts, out)
    return Flows(row, out, starts, births)
