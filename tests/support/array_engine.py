"""A second counting engine, the slow twin of `analysis.counting`: all entries of a model at once, as arrays.

It walks all flows of the table, whoever's they are, then says by entry whose it is, unites mappings by sorting them,
and sweeps all starts and ends of all hosts together. The product walks host by host.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from peerburst.analysis.counting.peaks import Concurrency
from peerburst.analysis.counting.sweep import NEVER_CROSSED
from peerburst.analysis.gateways import Begins, Engine, GatewayModel, TwoWay, Unit
from peerburst.analysis.hosts.locality import Endpoints, Scope
from peerburst.capture.compiled.kernel import allocating_kernel, kernel, part
from peerburst.capture.compiled.sorting import sort_run
from peerburst.capture.conntrack.states import (
    CLOSE,
    ESTABLISHED,
    NONE,
    PHASE_ICMP,
    PHASES,
    SYN_SENT,
    TIME_WAIT,
    UDP,
    UDP_STREAM,
    Phase,
)
from peerburst.capture.flows.five_tuple import flow_ports
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
    Flows,
)
from peerburst.capture.packets.ip import PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP, PROTO_UDP, PROTO_UDPLITE
from peerburst.capture.units import SECOND_NS

TALKING_NS = 5 * SECOND_NS
EITHER_SYN = np.uint64(1 << LETTER_SYN | 1 << (LETTER_SYN + 6))  # in a flow's history, from whichever end
FOREVER_NS = 1 << 61  # of a timeout that never comes; start + FOREVER_NS still fits

# Timeouts as the kernel takes them: by Phase, then those of finer phases.
SYN_REPEATED = PHASES  # the SYN was sent again, still no answer
UDP_FIRST = PHASES + 1  # a single packet so far
TIMEOUTS = PHASES + 2

PHASE_NAMES = {
    int(Phase.SYN_SENT): "syn_sent",
    int(Phase.SYN_RECV): "syn_recv",
    int(Phase.ESTABLISHED): "established",
    int(Phase.FIN_WAIT): "fin_wait",
    int(Phase.CLOSE_WAIT): "close_wait",
    int(Phase.LAST_ACK): "last_ack",
    int(Phase.TIME_WAIT): "time_wait",
    int(Phase.CLOSE): "close",
    int(Phase.SYN_SENT2): "syn_sent2",
    int(Phase.RETRANSMITTED): "tcp_retransmitted",
    int(Phase.UNACKNOWLEDGED): "tcp_unacknowledged",
    int(Phase.UDP): "udp_one_way",
    int(Phase.UDP_STREAM): "udp_two_way",
    int(Phase.ICMP): "icmp",
    int(Phase.OTHER): "other",
    int(Phase.GRE): "gre_one_way",
    int(Phase.GRE_STREAM): "gre_two_way",
    int(Phase.SCTP): "sctp_one_way",
    int(Phase.SCTP_ESTABLISHED): "sctp_two_way",
    SYN_REPEATED: "syn_repeated",
    UDP_FIRST: "udp_first",
}

# Rules as the kernel takes them.
ENGINE, TWO_WAY, RESET_DELETES, LEAVES_OUT_CLOSED, FROM_ESTABLISHED, PROTOCOLS, FAMILIES, RULES = range(8)
STATES, LINUX, FLAT, SYN_FIN = range(4)
AFTER_REPLY, AFTER_SECOND_REQUEST, AFTER_ANY, AS_STREAM = range(4)
TAKES_TCP, TAKES_UDP, TAKES_ICMP, TAKES_OTHER = 1, 2, 4, 8

ENGINES = {Engine.STATES: STATES, Engine.LINUX: LINUX, Engine.FLAT: FLAT, Engine.SYN_FIN: SYN_FIN}
TWO_WAYS = {
    TwoWay.REPLY: AFTER_REPLY,
    TwoWay.SECOND_REQUEST: AFTER_SECOND_REQUEST,
    TwoWay.STREAM: AS_STREAM,
}
PROTOCOL_BITS = {"tcp": TAKES_TCP, "udp": TAKES_UDP, "icmp": TAKES_ICMP, "other": TAKES_OTHER}

ENTRY = np.dtype(
    [
        ("start", np.int64),  # counted from, ns
        ("end", np.int64),  # counted until, ns
        ("flow", np.int32),  # the flow that opened it
        ("by_a", np.uint8),  # whether end a sent the packet that opened it
    ],
    align=True,
)


@dataclass(frozen=True, slots=True)
class Entries:
    """What a model's table held: `entry` (ENTRY), whose each is, and which entry each segment kept alive.

    `host`: index into Ends.hosts, -1 for one that does not cross the gateway. `inbound`: opened from outside.
    `of_segment`: index into `entry`, -1 if none.
    """

    entry: npt.NDArray[np.void]
    host: npt.NDArray[np.int32]
    inbound: npt.NDArray[np.bool_]
    of_segment: npt.NDArray[np.int32]


def model_timeouts(model: GatewayModel) -> npt.NDArray[np.int64]:
    """The model's timeouts in ns by Phase, SYN_REPEATED and UDP_FIRST."""
    timeouts = np.zeros(TIMEOUTS, np.int64)
    for phase, name in PHASE_NAMES.items():
        seconds = model.timeout_s(name)
        timeouts[phase] = FOREVER_NS if seconds * SECOND_NS >= FOREVER_NS else round(seconds * SECOND_NS)
    return timeouts


def model_rules(model: GatewayModel) -> npt.NDArray[np.int64]:
    """The model's rules by ENGINE, TWO_WAY and so on."""
    rules = np.zeros(RULES, np.int64)
    rules[ENGINE] = ENGINES[model.engine]
    rules[TWO_WAY] = TWO_WAYS[model.two_way_after]
    if model.two_way_after is TwoWay.STREAM and model.stream_age_s == 0:
        rules[TWO_WAY] = AFTER_ANY  # without a least age, the packet after the reply makes the stream
    rules[RESET_DELETES] = model.reset_deletes_unanswered
    rules[LEAVES_OUT_CLOSED] = bool(model.left_out)
    rules[FROM_ESTABLISHED] = model.begins is Begins.ESTABLISHED
    rules[FAMILIES] = sum({"ipv4": 1, "ipv6": 2}[name] for name in model.families)
    rules[PROTOCOLS] = sum(PROTOCOL_BITS[name] for name in model.protocols)
    return rules


@part
def _protocol_bit(proto):  # type: ignore[no-untyped-def]
    """Which bit of a model's PROTOCOLS this protocol is."""
    if proto == PROTO_TCP:
        return TAKES_TCP
    if proto == PROTO_UDP or proto == PROTO_UDPLITE:
        return TAKES_UDP
    if proto == PROTO_ICMP or proto == PROTO_ICMPV6:
        return TAKES_ICMP
    return TAKES_OTHER


@part
def _answered(seen, by_a, answered):  # type: ignore[no-untyped-def]
    """How far the entry's UDP exchange is: 0 one way, 1 replied, 2 the opener sent again after the reply."""
    opener = seen & (A_SENT if by_a else B_SENT) != 0
    other = seen & (B_SENT if by_a else A_SENT) != 0
    opener_first = (seen & FIRST_BY_A != 0) == by_a
    again = (opener_first and seen & AGAIN != 0) or (not opener_first and opener and other) or (answered > 0 and opener)
    if again:
        return 2
    return max(answered, 1 if other else 0)


@part
def _udp_phase(two_way, engine, phase, answered, several):  # type: ignore[no-untyped-def]
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
def _tcp_phase(engine, phase, state, deleted, several, over):  # type: ignore[no-untyped-def]
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
def walk_flows(flow, n, segment, first, row, rules, timeouts, counts, start_of, end_of, place_of, by_a_of, of_segment):  # type: ignore[no-untyped-def]  # fmt: skip
    """Walk the first n of these flows under several models' rules; fills `counts` with how many entries each came to.

    Fills by model and entry its start and end (ns), the place in `flow` of the flow that opened it, and whether end a
    sent the packet that did; and `of_segment`, if it has room for any, by model and for one segment after the other of
    these flows, the entry it kept alive, or -1. `first`: where each flow's segments begin, one more than flows.

    Model by model of each flow: the flow is in the cache, and its branches go the same way again.
    """
    # Columns are taken out of the loop: each time inside it costs two atomic operations, which two threads fight over.
    starts, lasts, renewals, closes = segment["start"], segment["last"], segment["renewed"], segment["closed"]
    states, phases, sights = segment["state"], segment["phase"], segment["seen"]
    protos, flags, successors, established = row["proto"], row["flags"], row["successor"], row["established"]
    histories, closings = row["history"], row["closing"]
    names_segments = of_segment.shape[1] > 0
    counts[:] = 0
    walked = 0
    for place in range(n):
        f = flow[place]
        low, high = first[f], first[f + 1]
        proto, opened_by_a = protos[f], flags[f] & ORIG_IS_A != 0
        bit = _protocol_bit(proto)
        is_udp = bit == TAKES_UDP
        # The instant at which a successor takes the 5-tuple.
        passed_on = starts[first[successors[f]]] if successors[f] >= 0 else NEVER
        for m in range(rules.shape[0]):
            engine = rules[m, ENGINE]
            family = 1 if row["a_hi"][f] == 0 and row["a_lo"][f] >> np.uint64(32) == 0xFFFF else 2
            takes, count = rules[m, PROTOCOLS] & bit != 0 and rules[m, FAMILIES] & family != 0, counts[m]
            if engine == SYN_FIN:
                # A TCP flow begun by a SYN counts until its first FIN or RST, whatever its segments are.
                takes = takes and histories[f] & EITHER_SYN != 0
                if names_segments:
                    for i in range(high - low):
                        of_segment[m, walked + i] = count if takes else -1
                if takes:
                    start_of[m, count], end_of[m, count] = starts[low], min(closings[f], passed_on)
                    place_of[m, count], by_a_of[m, count] = place, opened_by_a
                    counts[m] += 1
                continue
            if not takes:
                if names_segments:
                    for i in range(high - low):
                        of_segment[m, walked + i] = -1
                continue
            alive, by_a, answered, several, over = False, False, 0, False, False
            expiry, at = np.int64(0), -1
            for i in range(low, high):
                phase, seen = phases[i], sights[i]
                if names_segments:
                    of_segment[m, walked + i - low] = -1
                if phase == NONE and engine != FLAT:
                    continue
                start, last = starts[i], lasts[i]
                if not alive or start >= expiry:
                    if over and engine == STATES:
                        continue  # stray packets after the close open nothing
                    begins = start
                    if rules[m, FROM_ESTABLISHED]:
                        begins = established[f]
                        if bit != TAKES_TCP or begins == NEVER or begins > last:
                            continue
                        begins = max(begins, start)
                    alive, by_a, answered, several, at = True, seen & FIRST_BY_A != 0, 0, False, count
                    start_of[m, at] = begins
                    place_of[m, at] = place
                    # Linux goes by the first packet it saw, the others by who began.
                    # Unless its first packet is an answer dated too early, or the question was not captured.
                    turned = flags[f] & CAME_SECOND != 0 and opened_by_a != (flags[f] & FIRST_IS_A != 0)
                    alone = (row["a_pkts"][f] if opened_by_a else row["b_pkts"][f]) == 0
                    linux_saw = not turned or (not alone and at != counts[m])
                    by_a_of[m, at] = by_a if engine == LINUX and linux_saw else opened_by_a
                    expiry = np.int64(0)
                    count += 1
                else:
                    several = True  # a second packet, in another segment
                several = several or seen & SEVERAL != 0
                if names_segments:
                    of_segment[m, walked + i - low] = at
                deleted = seen & WAS_DELETED != 0
                if bit == TAKES_TCP:
                    left = _tcp_phase(engine, phase, states[i], deleted, several, over)
                elif is_udp:
                    answered = _answered(seen, by_a, answered)
                    left = _udp_phase(rules[m, TWO_WAY], engine, phase, answered, several)
                else:
                    left = max(phase, PHASE_ICMP)
                since = renewals[i] if engine == LINUX else last
                until = max(since + timeouts[m, left], last)
                if deleted and rules[m, RESET_DELETES]:
                    until = last
                    alive = False
                over = over or deleted or closes[i] != NEVER
                # The flow's own packets come before its successor's, be it in one tick: for them the entry still lives.
                expiry = until
                end = min(until, max(passed_on, last))
                # An entry met when it had closed already is never counted, and ends no earlier than it starts.
                if rules[m, LEAVES_OUT_CLOSED]:
                    end = max(min(end, closes[i]), start_of[m, at])
                end_of[m, at] = end
            counts[m] = count
        walked += high - low


@kernel
def walk(flow, segment, first, row, rules, timeouts, counts, start, end, place, by_a, of_segment):  # type: ignore[no-untyped-def]
    """`walk_flows` of all these flows."""
    walk_flows(
        flow, flow.size, segment, first, row, rules, timeouts, counts, start, end, place, by_a, of_segment
    )  # fmt: skip


@kernel
def assign_owners(flow, by_a, counted, host_a, host_b, host, inbound):  # type: ignore[no-untyped-def]
    """Fill per entry its host, -1 for one that does not count, and whether it was opened from outside.

    `flow` and `by_a` by entry; `counted` and the hosts at both ends by flow.
    """
    for i in range(flow.size):
        f = flow[i]
        opener, other = (host_a[f], host_b[f]) if by_a[i] else (host_b[f], host_a[f])
        inbound[i] = opener < 0
        host[i] = -1 if not counted[f] else (other if opener < 0 else opener)


@kernel
def unite(order, key, start, end, group):  # type: ignore[no-untyped-def]
    """Number the groups of rows that have a key and time in common, from 0, in `group` (int32); answers how many.

    `order` is that of the rows by key, then start; an end that is another's start is no common time.
    """
    count = 0
    reach = np.int64(0)
    for j in range(order.size):
        i = order[j]
        if j and key[i] == key[order[j - 1]] and start[i] < reach:
            reach = max(reach, end[i])
        else:
            count += 1
            reach = end[i]
        group[i] = count - 1
    return count


@kernel
def gather_groups(order, group, entry, united):  # type: ignore[no-untyped-def]
    """Fill `united` (ENTRY), a row per group: its first entry in this order, lasting as long as any of them."""
    start, end, flow, by_a = entry["start"], entry["end"], entry["flow"], entry["by_a"]
    united_start, united_end, united_flow, united_by_a = united["start"], united["end"], united["flow"], united["by_a"]
    filled = 0
    for j in range(order.size):
        i = order[j]
        g = group[i]
        if g == filled:
            united_start[g], united_end[g], united_flow[g], united_by_a[g] = start[i], end[i], flow[i], by_a[i]
            filled += 1
        else:
            united_end[g] = max(united_end[g], end[i])


@kernel
def rename(of_segment, group):  # type: ignore[no-untyped-def]
    """From the entry of each segment to its group, in place."""
    for i in range(of_segment.size):
        if of_segment[i] >= 0:
            of_segment[i] = group[of_segment[i]]


@kernel
def key_mappings(flow, by_a, counted, row, host_a, host_b, key):  # type: ignore[no-untyped-def]
    """Fill per entry a number, the same for entries of one local address, local port and protocol.

    The address is the opener's if it is local, else the other end's; a flow that does not count, which no gateway
    sees, has a number of its own. `flow` and `by_a` are by entry, `row` (FLOW), `counted` and the hosts by flow.
    """
    proto = row["proto"]
    for i in range(flow.size):
        f = flow[i]
        from_a = (by_a[i] and host_a[f] >= 0) or host_b[f] < 0
        a_port, b_port = flow_ports(row[f])
        host, port = (host_a[f], a_port) if from_a else (host_b[f], b_port)
        key[i] = np.int64(host) << 24 | np.int64(port) << 8 | np.int64(proto[f]) if counted[f] else -1 - np.int64(f)


def _mappings(
    entry: npt.NDArray[np.void],
    of_segment: npt.NDArray[np.int32],
    counted: npt.NDArray[np.bool_],
    row: npt.NDArray[np.void],
    ends: Endpoints,
) -> npt.NDArray[np.void]:
    """Entries of flows to entries of mappings: one lasts as long as any of its flows' does. Renames `of_segment`."""
    key = np.empty(entry.size, np.int64)
    key_mappings(entry["flow"], entry["by_a"], counted, row, ends.host_a, ends.host_b, key)
    order = np.lexsort((entry["start"], key))
    group = np.empty(entry.size, np.int32)
    united = np.empty(unite(order, key, entry["start"], entry["end"], group), ENTRY)
    gather_groups(order, group, entry, united)
    rename(of_segment, group)
    return united


def counted_scopes(include_lan: bool) -> npt.NDArray[np.bool_]:
    """By Scope, whether the entries of such flows count."""
    counted = np.zeros(len(Scope), np.bool_)
    counted[[Scope.CROSSING, Scope.GATEWAY]] = True
    counted[Scope.LAN] = include_lan
    return counted


def apply(
    model: GatewayModel,
    flows: Flows,
    ends: Endpoints,
    *,
    include_lan: bool = False,
    only: npt.NDArray[np.int32] | None = None,
) -> Entries:
    """The entries that a gateway of this model would have held for these flows.

    Flows to groups never count; those between local hosts only with `include_lan`, as if they had crossed. `only`:
    the numbers of the flows to look at, ascending, instead of all.
    """
    first = flows.first_segment
    walked = np.arange(flows.row.size, dtype=np.int32) if only is None else only
    segments = flows.segments.size if only is None else int((first[only + 1] - first[only]).sum())
    # Pages that no entry reaches are never touched, so they cost no memory.
    most = (1, segments)
    start, end, place = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int32)
    by_a, of_walked, counts = np.empty(most, np.uint8), np.empty(most, np.int32), np.zeros(1, np.int64)
    walk(
        walked, flows.segments, first, flows.row, model_rules(model)[None], model_timeouts(model)[None], counts,
        start, end, place, by_a, of_walked,
    )  # fmt: skip
    entry = np.empty(counts[0], ENTRY)
    for name, column in (("start", start), ("end", end), ("by_a", by_a)):
        entry[name] = column[0, : entry.size]
    entry["flow"] = walked[place[0, : entry.size]]
    of_segment = of_walked[0]
    if only is not None:
        of_segment = np.full(flows.segments.size, -1, np.int32)
        lengths = first[only + 1] - first[only]
        within = np.arange(segments) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        of_segment[np.repeat(first[only], lengths) + within] = of_walked[0]
    counted = counted_scopes(include_lan)[ends.scope]
    if model.unit is Unit.MAPPING:
        entry = _mappings(entry, of_segment, counted, flows.row, ends)
    host, inbound = np.empty(entry.size, np.int32), np.empty(entry.size, np.bool_)
    assign_owners(entry["flow"], entry["by_a"], counted, ends.host_a, ends.host_b, host, inbound)
    return Entries(entry, host, inbound, of_segment)


@part
def is_active(first, last, start, end, now):  # type: ignore[no-untyped-def]
    return first <= now and now < last + TALKING_NS and start <= now and now < end


@kernel
def tally(host, inbound, start, end, until, begun, ended):  # type: ignore[no-untyped-def]
    """Count the entries that begin, and those that end by `until`, per host and way in; `begun` and `ended` are zeros.

    The entries that others opened to host h are at hosts + h.
    """
    hosts = begun.size // 2
    for i in range(host.size):
        if host[i] >= 0 and end[i] > start[i]:
            k = host[i] + hosts if inbound[i] else host[i]
            begun[k] += 1
            ended[k] += end[i] <= until


@kernel
def deal(host, inbound, start, end, until, next_start, next_end, starts, ends):  # type: ignore[no-untyped-def]
    """Put the starts and the ends that `tally` counted side by side by host and way in.

    `next_start` and `next_end`: where each one's begin; afterwards, where they stop.
    """
    hosts = next_start.size // 2
    for i in range(host.size):
        if host[i] >= 0 and end[i] > start[i]:
            k = host[i] + hosts if inbound[i] else host[i]
            starts[next_start[k]] = start[i]
            next_start[k] += 1
            if end[i] <= until:
                ends[next_end[k]] = end[i]
                next_end[k] += 1


@part
def sweep_host(starts, start_at, starts_stop, ends, end_at, ends_stop, limits, until, crossed, above):  # type: ignore[no-untyped-def]  # fmt: skip
    """(the most alive at once, the first instant of that) of one host, whose starts and ends are in order.

    Fills by limit, which ascend, the instant the count first exceeded it (`crossed`) and for how long it did (`above`,
    ns), up to the instant `until`.
    """
    count, over, most, peak_at = 0, 0, 0, np.int64(NEVER_CROSSED)  # `over`: how many limits the count exceeds
    while start_at < starts_stop or end_at < ends_stop:
        if end_at < ends_stop and (start_at == starts_stop or ends[end_at] <= starts[start_at]):
            if over and count == limits[over - 1] + 1:
                over -= 1
                above[over] += ends[end_at]
            count -= 1
            end_at += 1
            continue
        now = starts[start_at]
        start_at += 1
        count += 1
        if count > most:
            most, peak_at = count, now
        if over < limits.size and count == limits[over] + 1:
            above[over] -= now
            if crossed[over] == NEVER_CROSSED:
                crossed[over] = now
            over += 1
    for k in range(over):
        above[k] += until
    return most, peak_at


@allocating_kernel
def sweep(starts, begun, ends, ended, limits, until, peak, peak_at, crossed, above):  # type: ignore[no-untyped-def]
    """Walk each host's starts and ends in time order (it sorts them), keeping a count.

    `begun` and `ended` say how many each has. Fills per host `peak` and its instant, and per host and limit what
    `sweep_host` tells of it.
    """
    spare = np.empty(begun.max() if begun.size else 0, np.int64)
    start_at, end_at = 0, 0
    for h in range(begun.size):
        starts_stop, ends_stop = start_at + begun[h], end_at + ended[h]
        sort_run(starts, start_at, starts_stop, spare)
        sort_run(ends, end_at, ends_stop, spare)
        peak[h], peak_at[h] = sweep_host(
            starts, start_at, starts_stop, ends, end_at, ends_stop, limits, until, crossed[h], above[h]
        )
        start_at, end_at = starts_stop, ends_stop


@allocating_kernel
def talking_at(first, last, of_segment, host, inbound, start, end, at, talking):  # type: ignore[no-untyped-def]
    """Count the entries that have had a packet in the TALKING_NS before the instant at[k], or at it.

    k is their host and way in, as in `tally`. `first` and `last` packet are by segment, `host` to `end` by entry; the
    entries counted are those alive at the instant.
    """
    hosts = at.size // 2
    counted = np.zeros(host.size, np.bool_)
    for i in range(first.size):
        entry = of_segment[i]
        if entry < 0 or host[entry] < 0:
            continue
        k = host[entry] + hosts if inbound[entry] else host[entry]
        now = at[k]
        if is_active(first[i], last[i], start[entry], end[entry], now):
            talking[k] += not counted[entry]
            counted[entry] = True


def measure(
    entries: Entries, flows: Flows, hosts: int, until_ns: int, limits: Sequence[int]
) -> tuple[Concurrency, Concurrency]:
    """Peaks and crossings of every host, up to the capture's last instant `until_ns`.

    First of the entries that hosts opened, then of those opened to them. `limits` ascend.
    """
    host, inbound = entries.host, entries.inbound
    start, end = entries.entry["start"], entries.entry["end"]
    begun, ended = np.zeros(2 * hosts, np.int64), np.zeros(2 * hosts, np.int64)
    tally(host, inbound, start, end, until_ns, begun, ended)
    starts, ends = np.empty(begun.sum(), np.int64), np.empty(ended.sum(), np.int64)
    deal(host, inbound, start, end, until_ns, np.cumsum(begun) - begun, np.cumsum(ended) - ended, starts, ends)
    shape = (2 * hosts, len(limits))
    peak, peak_at, talking = np.zeros(2 * hosts, np.int64), np.full(2 * hosts, NEVER_CROSSED), np.zeros_like(begun)
    crossed, above = np.full(shape, NEVER_CROSSED), np.zeros(shape, np.int64)
    sweep(starts, begun, ends, ended, np.array(limits, np.int64), until_ns, peak, peak_at, crossed, above)
    segments = flows.segments
    talking_at(segments["start"], segments["last"], entries.of_segment, host, inbound, start, end, peak_at, talking)
    outbound, opened_to = (
        Concurrency(peak[way], peak_at[way], talking[way], tuple(limits), crossed[way], above[way])
        for way in (slice(hosts), slice(hosts, None))
    )
    return outbound, opened_to
