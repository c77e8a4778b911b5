"""When an entry lives: segments to what a gateway of a given model holds in its table, and from when to when.

One walk over a flow's segments, in order, with the model's timeouts as numbers: no packet is read again. All that
counts (peaks, live counts, timelines, pictures) comes from this walk.
"""

from typing import NamedTuple

import numpy as np

from peerburst.analysis.gateways import GatewayModel
from peerburst.analysis.gateways.compiled import (
    AFTER_ANY,
    AFTER_REPLY,
    AS_STREAM,
    FLAT,
    LINUX,
    STATES,
    SYN_FIN,
    SYN_REPEATED,
    TAKES_ICMP,
    TAKES_IPV4,
    TAKES_IPV6,
    TAKES_OTHER,
    TAKES_TCP,
    TAKES_UDP,
    UDP_FIRST,
    CompiledModels,
    ModelRange,
    compile_models,
)
from peerburst.capture.compiled.kernel import inlined_part, kernel, part
from peerburst.capture.compiled.prefetch import prefetch
from peerburst.capture.compiled.shapes import Int, Int32s, Int64s, Record, UInt8s
from peerburst.capture.conntrack.states import (
    CLOSE,
    ESTABLISHED,
    NONE,
    PHASE_ICMP,
    SYN_SENT,
    TIME_WAIT,
    UDP,
    UDP_STREAM,
)
from peerburst.capture.flows.history import LETTER_SYN
from peerburst.capture.flows.record import (
    A_SENT,
    AGAIN,
    B_SENT,
    CAME_SECOND,
    FIRST_BY_A,
    FIRST_IS_A,
    NEVER,
    ORIG_IS_A,
    SEVERAL,
    WAS_DELETED,
    FlowColumns,
    Flows,
)
from peerburst.capture.packets.ip import PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP, PROTO_UDP, PROTO_UDPLITE, is_ipv4

EITHER_SYN = np.uint64(1 << LETTER_SYN | 1 << (LETTER_SYN + 6))  # in a flow's history, from whichever end
AT_ONCE = 1 << 12  # segments that are walked before what they gave is taken up


# Whether the first packet seen of a flow came second at the gateway, and whether the end that began was ever seen.
NOT_TURNED, TURNED, TURNED_AND_ALONE = range(3)


class Walk(NamedTuple):
    """What a walk fills, by model: how many entries (`counts`), and of each entry the other fields."""

    counts: Int64s
    start: Int64s  # (models, room): counted from, ns
    end: Int64s  # (models, room): counted until, ns
    place: Int32s  # (models, room): where in the list that was walked the flow that opened it stands
    by_a: UInt8s  # (models, room): whether end a sent the packet that did
    of_segment: Int32s  # (models, room or 0): by segment as walked, the entry that it kept alive, or -1


class _Flow(NamedTuple):
    """The flow at hand in a walk."""

    number: Int
    place: Int
    low: Int  # its segments are [low, high)
    high: Int
    bit: int  # TAKES_TCP and the like
    opened_by_a: bool
    turned: int  # NOT_TURNED and the like
    passed_on: Int  # the instant at which a successor takes the 5-tuple, or NEVER


def walk_room(models: int, room: int, *, names_segments: bool) -> Walk:
    """Room for `room` entries of each of so many models. Pages that no entry reaches cost no memory."""
    size = (models, room)
    return Walk(
        counts=np.zeros(models, np.int64),
        start=np.empty(size, np.int64),
        end=np.empty(size, np.int64),
        place=np.empty(size, np.int32),
        by_a=np.empty(size, np.uint8),
        of_segment=np.empty(size if names_segments else (models, 0), np.int32),
    )


@part
def _protocol_bit(proto: int) -> int:
    """Which bit of a model's `protocols` this protocol is."""
    if proto == PROTO_TCP:
        return TAKES_TCP
    if proto == PROTO_UDP or proto == PROTO_UDPLITE:
        return TAKES_UDP
    if proto == PROTO_ICMP or proto == PROTO_ICMPV6:
        return TAKES_ICMP
    return TAKES_OTHER


@part
def _answered(seen: int, by_a: bool, answered: int) -> int:
    """How far the entry's UDP exchange is: 0 one way, 1 replied, 2 the opener sent again after the reply."""
    opener = seen & (A_SENT if by_a else B_SENT) != 0
    other = seen & (B_SENT if by_a else A_SENT) != 0
    opener_first = (seen & FIRST_BY_A != 0) == by_a
    again = (opener_first and seen & AGAIN != 0) or (not opener_first and opener and other) or (answered > 0 and opener)
    if again:
        return 2
    return max(answered, 1 if other else 0)


@part
def _udp_phase(two_way: Int, engine: Int, phase: Int, answered: Int, several: bool) -> Int:
    """Which timeout a segment of UDP leaves behind."""
    if two_way == AS_STREAM:
        return np.int64(phase)
    if engine == FLAT:
        return UDP
    if answered >= (1 if two_way == AFTER_REPLY else 2):
        return UDP_STREAM
    # The one who replied sends more: a segment tells that only by Linux's own stream, so from an age of 2 s.
    if two_way == AFTER_ANY and answered == 1 and phase == UDP_STREAM:
        return UDP_STREAM
    return UDP if several else UDP_FIRST


@part
def _tcp_phase(engine: Int, phase: Int, state: Int, deleted: bool, several: bool, over: bool) -> Int:
    """Which timeout a segment of TCP leaves behind. `over`: TCP has closed in this flow."""
    if engine == LINUX:
        return np.int64(phase)
    if engine == FLAT:
        return ESTABLISHED
    if deleted:
        return CLOSE
    if state == SYN_SENT and several:
        return SYN_REPEATED
    if over and state != TIME_WAIT and state != CLOSE:
        return CLOSE
    return np.int64(state)


@part
def _turned(flow: Record) -> int:
    """How far a flow (FLOW) is turned round."""
    orig_is_a = flow["flags"] & ORIG_IS_A != 0
    if flow["flags"] & CAME_SECOND == 0 or orig_is_a == (flow["flags"] & FIRST_IS_A != 0):
        return NOT_TURNED
    return TURNED_AND_ALONE if (flow["a_pkts"] if orig_is_a else flow["b_pkts"]) == 0 else TURNED


@inlined_part
def _walk_syn_fin(flow: _Flow, table: FlowColumns, slot: int, done: Int, walk: Walk) -> None:
    """One entry of a TCP flow begun by a SYN, which counts until its first FIN or RST, whatever its segments are."""
    if table.rows["history"][flow.number] & EITHER_SYN == 0:
        return
    entry = walk.counts[slot]
    if walk.of_segment.shape[1] > 0:
        for i in range(flow.high - flow.low):
            walk.of_segment[slot, done + i] = entry
    walk.start[slot, entry] = table.segments["start"][flow.low]
    walk.end[slot, entry] = min(table.rows["closing"][flow.number], flow.passed_on)
    walk.place[slot, entry], walk.by_a[slot, entry] = flow.place, flow.opened_by_a
    walk.counts[slot] += 1


@inlined_part
def _walk_segments(
    flow: _Flow, table: FlowColumns, models: CompiledModels, m: int, slot: int, done: Int, walk: Walk
) -> None:
    """The entries that a flow's segments open and keep alive, one after the other, under model m."""
    rule = models.rules[m]
    engine, names_segments, count = rule["engine"], walk.of_segment.shape[1] > 0, walk.counts[slot]
    alive, by_a, answered, several, over = False, False, 0, False, False
    expiry, at, first = np.int64(0), -1, count
    for i in range(flow.low, flow.high):
        phase, seen = table.segments["phase"][i], table.segments["seen"][i]
        if phase == NONE and engine != FLAT:
            continue
        start, last = table.segments["start"][i], table.segments["last"][i]
        if not alive or start >= expiry:
            if over and engine == STATES:
                continue  # stray packets after the close open nothing
            begins = start
            if rule["from_established"]:
                begins = table.rows["established"][flow.number]
                if flow.bit != TAKES_TCP or begins == NEVER or begins > last:
                    continue
                begins = max(begins, start)
            alive, by_a, answered, several, at = True, seen & FIRST_BY_A != 0, 0, False, count
            walk.start[slot, at] = begins
            walk.place[slot, at] = flow.place
            # Linux goes by the first packet it saw, the others by who began. So does Linux where the capture missed the
            # question, or dated the answer before it: the gateway saw what the capture did not.
            linux_saw = flow.turned == NOT_TURNED or (flow.turned == TURNED and at != first)
            walk.by_a[slot, at] = by_a if engine == LINUX and linux_saw else flow.opened_by_a
            expiry = np.int64(0)
            count += 1
        else:
            several = True  # a second packet, in another segment
        several = several or seen & SEVERAL != 0
        if names_segments:
            walk.of_segment[slot, done + i - flow.low] = at
        deleted = seen & WAS_DELETED != 0
        if flow.bit == TAKES_TCP:
            left = _tcp_phase(engine, phase, table.segments["state"][i], deleted, several, over)
        elif flow.bit == TAKES_UDP:
            answered = _answered(seen, by_a, answered)
            left = _udp_phase(rule["two_way"], engine, phase, answered, several)
        else:
            left = max(phase, PHASE_ICMP)
        since = table.segments["renewed"][i] if engine == LINUX else last
        expiry = max(since + models.timeout[m, left], last)
        if deleted and rule["reset_deletes"]:
            expiry = last
            alive = False
        over = over or deleted or table.segments["closed"][i] != NEVER
        # The flow's own packets come before its successor's, be it in one tick: for them the entry still lives.
        end = min(expiry, max(flow.passed_on, last))
        # An entry met when it had closed already is never counted, and ends no earlier than it starts.
        if rule["leaves_out_closed"]:
            end = max(min(end, table.segments["closed"][i]), walk.start[slot, at])
        walk.end[slot, at] = end
    walk.counts[slot] = count


@part
def walk_flows(
    flow: Int32s, places: Int32s, table: FlowColumns, models: CompiledModels, which: ModelRange, done: Int, walk: Walk
) -> Int:
    """Walk the flows flow[place], for each of these places, under the models `which`; add their entries to `walk`.

    `done`: how many segments were walked before into this `walk`; answers how many are now.
    Model by model of each flow: the flow is in the cache, and its branches go the same way again.
    """
    for place in places:
        f = flow[place]
        low, high = table.first_segment[f], table.first_segment[f + 1]
        successor = table.rows["successor"][f]
        passed_on = table.segments["start"][table.first_segment[successor]] if successor >= 0 else NEVER
        bit, opened_by_a = _protocol_bit(table.rows["proto"][f]), table.rows["flags"][f] & ORIG_IS_A != 0
        family = TAKES_IPV4 if is_ipv4(table.rows["a_hi"][f], table.rows["a_lo"][f]) else TAKES_IPV6
        one = _Flow(f, place, low, high, bit, opened_by_a, _turned(table.rows[f]), passed_on)
        for m in range(which.low, which.high):
            if walk.of_segment.shape[1] > 0:
                for i in range(high - low):
                    walk.of_segment[m - which.low, done + i] = -1
            if models.rules[m]["protocols"] & bit == 0 or models.rules[m]["families"] & family == 0:
                continue
            if models.rules[m]["engine"] == SYN_FIN:
                _walk_syn_fin(one, table, m - which.low, done, walk)
            else:
                _walk_segments(one, table, models, m, m - which.low, done, walk)
        done += high - low
    return done


@part
def fetch(flow: Int32s, places: Int32s, table: FlowColumns) -> None:
    """Ask memory for these flows: of one host they lie far apart, and come many times sooner all at once."""
    for place in places:
        f = np.int64(flow[place])
        prefetch(table.halves, 2 * f)
        prefetch(table.halves, 2 * f + 1)
        for i in range(table.first_segment[f], table.first_segment[f + 1]):
            prefetch(table.segments, i)


@kernel
def fill_latest_ends(
    flow: Int32s, table: FlowColumns, models: CompiledModels, which: ModelRange, walk: Walk, latest: Int64s
) -> None:
    """Fill by flow number when its last entry under the one model `which` ends, ns; 0 where there never was one."""
    for k in range(flow.size):
        walk.counts[0] = 0
        walk_flows(flow, flow[k : k + 1], table, models, which, np.int64(0), walk)
        latest[flow[k]] = 0
        for e in range(walk.counts[0]):
            latest[flow[k]] = max(latest[flow[k]], walk.end[0, e])


def latest_ends_ns(model: GatewayModel, flows: Flows) -> Int64s:
    """Per flow, until when a gateway of this model holds its last entry, ns; 0 if it never held one.

    Mappings go on while any of their flows does: this is each flow's own share.
    """
    most = int(np.diff(flows.first_segment).max(initial=1))
    latest = np.zeros(flows.row.size, np.int64)
    fill_latest_ends(
        np.arange(flows.row.size, dtype=np.int32), flows.columns(), compile_models([model]), ModelRange(0, 1),
        walk_room(1, most, names_segments=False), latest,
    )  # fmt: skip
    return latest
