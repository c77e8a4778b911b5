"""Cutting a flow into segments: where it was silent for long, and where one entry of Linux's table ends.

The segment at hand stands in the flow's own record; closed ones go to a table of theirs, in the order they end.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from peerburst.capture.compiled.kernel import inlined_part, part
from peerburst.capture.compiled.shapes import Bool, Int, Int64s, Record, Records
from peerburst.capture.conntrack.core import is_expired, new_entry
from peerburst.capture.conntrack.states import NONE, PHASES, Phase
from peerburst.capture.flows.record import (
    A_SENT,
    AGAIN,
    B_SENT,
    FIRST_BY_A,
    MOST_PAUSES,
    NEVER,
    PAUSE_NS,
    SEGMENTS,
    SEVERAL,
    TALKING_NS,
    WAS_DELETED,
    Arrival,
    TableMemory,
)
from peerburst.capture.packets.icmp import is_icmp
from peerburst.capture.units import SECOND_NS


@part
def begin(flow: Record, ts: Int, from_a: Bool) -> None:
    """Begin a segment of a flow (FLOW)."""
    flow["start"] = ts
    flow["last"] = ts
    flow["seen"] = FIRST_BY_A if from_a else 0


@part
def write_down(flow: Record, number: Int, segment: Record) -> None:
    """Write the segment at hand of a flow, which has this number, to a row of segments (SEGMENT)."""
    segment["start"] = flow["start"]
    segment["last"] = flow["last"]
    segment["renewed"] = flow["renewed"]
    # Without an entry there is no close either: the flow's is that of the entry before.
    segment["closed"] = flow["closed"] if flow["phase"] != NONE else NEVER
    segment["flow"] = number
    segment["state"] = flow["state"]
    segment["phase"] = flow["phase"]
    segment["seen"] = flow["seen"]


@inlined_part
def _close(flow: Record, number: Int, segments: Records, counters: Int64s) -> None:
    """Move the segment at hand of a flow to the closed ones."""
    write_down(flow, number, segments[counters[SEGMENTS]])
    counters[SEGMENTS] += 1


@inlined_part
def cut(memory: TableMemory, number: Int, arrival: Arrival, gaps: Int64s) -> None:
    """End a flow's segment before the packet at hand if it is time; an entry past its timeout is forgotten.

    `gaps` is by phase, see `segment_gaps_ns`. Before the entry advances: a segment tells how its packets left it.
    """
    flow, ts = memory.flows[number], arrival.ts
    silence = ts - flow["last"]
    if silence >= PAUSE_NS and not is_icmp(flow["proto"]):
        flow["pauses"] = min(np.int64(flow["pauses"]) + 1, MOST_PAUSES)
    expired = is_expired(flow["phase"], flow["renewed"], ts)
    if flow["seen"] & (A_SENT | B_SENT) == 0:
        begin(flow, ts, arrival.from_a)
    elif (
        expired
        or silence > gaps[flow["phase"]]
        or (flow["state"] == NONE and new_entry(arrival.packet, arrival.tcp_index)[0] != NONE)
    ):
        _close(flow, number, memory.segments, memory.counters)
        begin(flow, ts, arrival.from_a)
    if expired:
        flow["state"] = NONE
        flow["phase"] = NONE


@part
def cut_reopened(flow: Record, number: Int, arrival: Arrival, segments: Records, counters: Int64s) -> None:
    """Give the entry that takes another's place a segment of its own."""
    if flow["seen"] & (A_SENT | B_SENT):
        _close(flow, number, segments, counters)
    begin(flow, arrival.ts, arrival.from_a)


@part
def cut_deleted(flow: Record, number: Int, arrival: Arrival, segments: Records, counters: Int64s) -> None:
    """End the segment with the packet at hand, at which Linux deleted the entry."""
    flow["seen"] |= WAS_DELETED
    flow["renewed"] = arrival.ts
    _close(flow, number, segments, counters)
    flow["state"] = NONE
    flow["phase"] = NONE
    flow["seen"] = 0


@part
def extend(flow: Record, ts: Int, from_a: Bool) -> None:
    """Add the packet at hand to the segment at hand."""
    seen = flow["seen"]
    mine, other = (A_SENT, B_SENT) if from_a else (B_SENT, A_SENT)
    if seen & (A_SENT | B_SENT):
        seen |= SEVERAL
    if seen & other and (seen & FIRST_BY_A != 0) == from_a:
        seen |= AGAIN
    flow["seen"] = seen | mine
    flow["last"] = ts


def segment_gaps_ns(shortest_s: Mapping[Phase, float] | None = None) -> npt.NDArray[np.int64]:
    """Per phase, the longest silence inside a segment: what tells talking from lingering, or less than a timeout.

    An entry is gone once its timeout has passed: a silence of just that length ends a segment.
    """
    gaps = np.full(PHASES, TALKING_NS, np.int64)
    for phase, seconds in (shortest_s or {}).items():
        gaps[phase] = min(gaps[phase], int(seconds * SECOND_NS) - 1)
    return gaps
