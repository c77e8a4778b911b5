"""Connections seen twice on a NAT router: before translation and after it.

The two flows have the far end in common (its address, port and protocol) and the first packet itself: TCP's initial
sequence number, or else the length. They begin within a moment, and their frames tell that the packet was forwarded
in between: by another interface, another receiver, the other way, or one hop less.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from peerburst.analysis.hosts.locality import Words
from peerburst.capture.compiled.hashing import address_slot
from peerburst.capture.compiled.kernel import kernel, part
from peerburst.capture.compiled.shapes import Bool, Int, Int32s, Int64s, Record, Records
from peerburst.capture.flows.record import FIRST_IS_A, Flows
from peerburst.capture.packets.ip import PROTO_TCP

APART_NS = 10_000_000  # forwarding takes microseconds; a loaded router's queue some milliseconds
LEAST_TWINS = 3
# Of the flows that an address outside begins: those whose inside was seen. The router's own have none.
LEAST_SHARE = 0.5
SLOTS = 1 << 14  # flows of the latest moment are found by hash; a lost one costs one pair


@part
def _is_pair(rows: Records, births: Records, one: Int, other: Int, far_is_target: Bool) -> bool:
    """Whether two flows agree in the far end and the first packet, but not in the near end."""
    f, g, b, c = rows[one], rows[other], births[one], births[other]
    if f["proto"] != g["proto"]:
        return False
    if b["seq"] != c["seq"] if f["proto"] == PROTO_TCP else b["ip_bytes"] != c["ip_bytes"]:
        return False
    far_a, far_a_too = _far_is_a(f, far_is_target), _far_is_a(g, far_is_target)
    f_hi, f_lo, f_port = (f["a_hi"], f["a_lo"], f["a_port"]) if far_a else (f["b_hi"], f["b_lo"], f["b_port"])
    g_hi, g_lo, g_port = (g["a_hi"], g["a_lo"], g["a_port"]) if far_a_too else (g["b_hi"], g["b_lo"], g["b_port"])
    if f_hi != g_hi or f_lo != g_lo or f_port != g_port:
        return False
    f_hi, f_lo = (f["b_hi"], f["b_lo"]) if far_a else (f["a_hi"], f["a_lo"])
    g_hi, g_lo = (g["b_hi"], g["b_lo"]) if far_a_too else (g["a_hi"], g["a_lo"])
    return bool(f_hi != g_hi or f_lo != g_lo)


@part
def _far_is_a(flow: Record, far_is_target: Bool) -> bool:
    return bool((flow["flags"] & FIRST_IS_A != 0) != far_is_target)


@part
def _was_forwarded(earlier: Record, later: Record) -> bool:
    """Whether the frames of two first packets (BIRTH) tell that one was forwarded as the other."""
    if earlier["receiver"] != 0 and later["receiver"] != 0:
        return bool(earlier["receiver"] != later["receiver"])
    if earlier["interface"] != 0 and later["interface"] != 0:
        return bool(earlier["interface"] != later["interface"])
    return bool(earlier["way"] != later["way"] or earlier["hop_limit"] == later["hop_limit"] + 1)


@kernel
def find_twins(
    rows: Records, births: Records, starts: Int64s, first_segment: Int64s, slots: Int32s, of: Int32s, outward: Int32s
) -> Int:
    """Fill of[f] with the earlier flow that flow f is the twin of, -1 of none; answers how many there are.

    `outward[f]` is 1 where the far end is who the first packet went to, 0 where it sent it. `starts`: of segments, in
    ns; `slots`, -1 before: 2 by SLOTS.
    """
    found: Int = np.int64(0)
    for f in range(rows.size):
        of[f] = -1
        flow, ts = rows[f], starts[first_segment[f]]
        for k in range(2):
            far_a = _far_is_a(flow, k == 1)
            high = flow["a_hi"] if far_a else flow["b_hi"]
            low = flow["a_lo"] if far_a else flow["b_lo"]
            port = np.int64(flow["a_port"] if far_a else flow["b_port"])
            what = np.int64(births[f]["seq"] if flow["proto"] == PROTO_TCP else births[f]["ip_bytes"])
            mixed = low ^ np.uint64(port << 20 ^ what << 7 ^ np.int64(flow["proto"]) << 44)
            at = address_slot(np.uint64(1), high, mixed, slots.shape[1])
            g = slots[k, at]
            is_near = g >= 0 and of[f] < 0 and ts - starts[first_segment[g]] <= APART_NS and of[g] < 0
            if is_near and _is_pair(rows, births, g, f, k == 1) and _was_forwarded(births[g], births[f]):
                of[f], outward[f] = g, k
                found += 1
            slots[k, at] = f
    return found


@dataclass(frozen=True, slots=True)
class Twins:
    """The pairs of flows, and the addresses that the router puts in place of others."""

    inside: npt.NDArray[np.int64]  # flow before translation
    outside: npt.NDArray[np.int64]  # the same connection after it
    addresses: tuple[Words, ...]  # of the router, outside


NO_TWINS = Twins(np.zeros(0, np.int64), np.zeros(0, np.int64), ())


def twins_of(flows: Flows) -> Twins:
    """The connections that were seen on both sides of a NAT."""
    of, outward = np.empty(flows.row.size, np.int32), np.zeros(flows.row.size, np.int32)
    slots = np.full((2, SLOTS), -1, np.int32)
    births = flows.evidence()
    if not births["frame"].any():
        return NO_TWINS
    with np.errstate(over="ignore"):
        found = find_twins(flows.row, births, flows.segments["start"], flows.first_segment, slots, of, outward)
    if found < LEAST_TWINS:
        return NO_TWINS
    later = np.flatnonzero(of >= 0)
    earlier = of[later].astype(np.int64)
    hops = births["hop_limit"].astype(np.int64)
    # Who opens from inside is seen there first, who is let in from outside there; unless hops tell.
    is_outside_later = np.where(hops[later] != hops[earlier], hops[later] < hops[earlier], True)
    is_outside_later = np.where(outward[later] == 1, is_outside_later, ~is_outside_later)
    inside, outside = np.where(is_outside_later, earlier, later), np.where(is_outside_later, later, earlier)
    return _translated(flows, inside, outside, outward[later] == 1)


def _near(flows: Flows, which: npt.NDArray[np.int64], is_outward: npt.NDArray[np.bool_]) -> list[Words]:
    """The near ends of some flows: who sent the first packet where `is_outward`, else who it went to."""
    row = flows.row[which]
    is_a = ((row["flags"] & FIRST_IS_A) != 0) == is_outward
    high, low = np.where(is_a, row["a_hi"], row["b_hi"]), np.where(is_a, row["a_lo"], row["b_lo"])
    return list(zip(high.tolist(), low.tolist(), strict=True))


def _translated(
    flows: Flows,
    inside: npt.NDArray[np.int64],
    outside: npt.NDArray[np.int64],
    is_outward: npt.NDArray[np.bool_],
) -> Twins:
    """Those of the pairs whose outside address is a translator's: nearly all that it begins was begun inside."""
    own, others = _near(flows, outside, is_outward), _near(flows, inside, is_outward)
    twins, insiders = Counter(own), Counter(others)
    began = {words: _began(flows, words) for words in twins}
    addresses = tuple(
        words
        for words, count in twins.items()
        if count >= LEAST_TWINS and count > 2 * insiders[words] and count >= LEAST_SHARE * began[words]
    )
    kept = np.array([words in addresses for words in own], np.bool_)
    return Twins(inside[kept], outside[kept], addresses) if addresses else NO_TWINS


def _began(flows: Flows, words: Words) -> int:
    """How many flows an address sent the first packet of."""
    row, first_a = flows.row, (flows.row["flags"] & FIRST_IS_A) != 0
    is_a = (row["a_hi"] == words[0]) & (row["a_lo"] == words[1]) & first_a
    is_b = (row["b_hi"] == words[0]) & (row["b_lo"] == words[1]) & ~first_a
    return int(np.count_nonzero(is_a | is_b))
