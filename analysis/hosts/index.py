"""The flows of one host, seen from that host: who is remote, what was sent, what came back, whether it was answered."""

import secrets
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from peerburst.analysis.hosts.locality import Endpoints, Scope
from peerburst.capture.compiled.arrays import prefetch
from peerburst.capture.compiled.kernel import allocating_kernel, kernel, part
from peerburst.capture.flows.gather import GATHER_AHEAD
from peerburst.capture.flows.history import LETTER_ACK, LETTER_DATA, LETTER_FIN, LETTER_RST, LETTER_SYN, LETTER_SYNACK
from peerburst.capture.flows.record import FLOW_HALF, NEVER, ORIG_IS_A, Flows
from peerburst.capture.packets.ip import PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP

# What a responder sends that is an answer, and what an originator sends that goes on with the handshake.
ANSWERS = 1 << LETTER_SYNACK | 1 << LETTER_ACK | 1 << LETTER_DATA | 1 << LETTER_FIN
GOING_ON = 1 << LETTER_ACK | 1 << LETTER_DATA | 1 << LETTER_FIN

GROUP, TRANSIT = int(Scope.GROUP), int(Scope.TRANSIT)

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


def sent_letter(row: npt.NDArray[np.void], letter: int, by_a: Bools) -> Bools:
    """Per flow, whether the end named by `by_a` sent a packet of this history letter."""
    shift = np.where(by_a, letter, letter + 6).astype(np.uint64)
    sent: Bools = (row["history"] >> shift) & np.uint64(1) != 0
    return sent


# What `_judge` says of a flow.
ANSWERED, REFUSED, HALF_OPEN, MUTE, OPENED, FROM_A = 1, 2, 4, 8, 16, 32


@part
def _is_icmp_error(proto, kind):  # type: ignore[no-untyped-def]
    """Whether a flow began with an error message (RFC 792, RFC 4443); `kind` is its ICMP type."""
    if proto == PROTO_ICMP:
        return kind == 3 or kind == 4 or kind == 5 or kind == 11 or kind == 12
    return proto == PROTO_ICMPV6 and kind < 128


@part
def _judge(flow):  # type: ignore[no-untyped-def]
    """The marks of a flow (FLOW)."""
    from_a = flow["flags"] & ORIG_IS_A != 0
    marks = FROM_A if from_a else 0
    if flow["proto"] != PROTO_TCP:
        answered = (flow["b_pkts"] if from_a else flow["a_pkts"]) > 0
        opened = not _is_icmp_error(flow["proto"], flow["icmp_type"])
        return marks | (ANSWERED if answered else MUTE) | (OPENED if opened else 0)
    letters = np.int64(flow["history"] & np.uint64(0xFFF))  # those of end a, then those of end b
    orig, resp = (letters & 63, letters >> 6) if from_a else (letters >> 6, letters & 63)
    if resp & ANSWERS != 0:
        marks |= ANSWERED
    elif resp & 1 << LETTER_RST != 0:
        marks |= REFUSED
    if orig & 1 << LETTER_SYN != 0 and orig & GOING_ON == 0:
        marks |= HALF_OPEN
    if resp & 1 << LETTER_DATA == 0:
        marks |= MUTE
    if orig & 1 << LETTER_SYN != 0 or resp & 1 << LETTER_SYNACK != 0:
        marks |= OPENED
    return marks


@kernel
def judge(row, marks):  # type: ignore[no-untyped-def]
    """Fill the marks of every flow (FLOW)."""
    for i in range(marks.size):
        marks[i] = _judge(row[i])


@kernel
def gather_facts(flow, row, halves, first, segment, start, last, packets, ip_bytes, rests, marks):  # type: ignore[no-untyped-def]
    """Fill, side by side for these flows, what FlowFacts says of them.

    `row` (FLOW, and as FLOW_HALF `halves`) and `first`, where each one's segments begin, are of the whole table.
    """
    starts, lasts = segment["start"], segment["last"]
    for k in range(flow.size):
        if k + GATHER_AHEAD < flow.size:
            ahead = np.int64(flow[k + GATHER_AHEAD])
            prefetch(halves, 2 * ahead)
            prefetch(halves, 2 * ahead + 1)
            prefetch(segment, first[ahead])
            prefetch(segment, first[ahead + 1] - 1)
        f = flow[k]
        begin, stop = first[f], first[f + 1]
        start[k], last[k] = starts[begin], lasts[stop - 1]
        one = row[f]
        rests[k] = one["pauses"]
        packets[k] = np.int64(one["a_pkts"]) + np.int64(one["b_pkts"])
        ip_bytes[k] = np.int64(one["a_bytes"]) + np.int64(one["b_bytes"])
        marks[k] = _judge(one)


@dataclass(frozen=True, slots=True)
class FactsOf:
    """What is the same for a flow whoever looks at it: one element for each of some flows."""

    start_ns: Ints
    last_ns: Ints
    packets: Ints
    ip_bytes: Ints
    rests: npt.NDArray[np.int32]  # silences of PAUSE_NS or more; ICMP: none
    marks: npt.NDArray[np.uint8]  # ANSWERED and the like


class FlowFacts:
    """What is the same for every flow whoever looks at it; the columns have one element per flow.

    Columns are made when they are first asked for: with millions of flows all of them need much memory, and answers
    about some flows should ask for those (`of`).
    """

    def __init__(self, flows: Flows) -> None:
        self._flows = flows
        self.row = flows.row  # the flow table itself (FLOW)

    def of(self, flow: npt.NDArray[np.int32]) -> FactsOf:
        """The facts of these flows."""
        start, last, packets, ip_bytes = (np.empty(flow.size, np.int64) for _ in range(4))
        rests, marks = np.empty(flow.size, np.int32), np.empty(flow.size, np.uint8)
        gather_facts(
            flow, self.row, self.row.view(FLOW_HALF), self._flows.first_segment, self._flows.segments,
            start, last, packets, ip_bytes, rests, marks,
        )  # fmt: skip
        return FactsOf(start, last, packets, ip_bytes, rests, marks)

    def start_of(self, flow: npt.NDArray[np.int32]) -> Ints:
        """When each of these flows began, ns."""
        starts: Ints = self._flows.segments["start"][self._flows.first_segment[flow]]
        return starts

    def have_opened(self, flow: npt.NDArray[np.int32]) -> Bools:
        """Whether the beginning of each of these flows was seen."""
        opened: Bools = self._marks[flow] & np.uint8(OPENED) != 0
        return opened

    @cached_property
    def _all(self) -> FactsOf:
        return self.of(np.arange(self.row.size, dtype=np.int32))

    @cached_property
    def _marks(self) -> npt.NDArray[np.uint8]:
        marks = np.empty(self.row.size, np.uint8)
        judge(self.row, marks)
        return marks

    def _are(self, mark: int) -> Bools:
        marked: Bools = self._marks & np.uint8(mark) != 0
        return marked

    @property
    def start_ns(self) -> Ints:
        return self._all.start_ns

    @property
    def last_ns(self) -> Ints:
        return self._all.last_ns

    @property
    def packets(self) -> Ints:
        return self._all.packets

    @property
    def ip_bytes(self) -> Ints:
        return self._all.ip_bytes

    @property
    def orig_is_a(self) -> Bools:
        return self._are(FROM_A)

    @property
    def answered(self) -> Bools:
        """The responder sent something other than a refusal."""
        return self._are(ANSWERED)

    @property
    def refused(self) -> Bools:
        """All that came back was an RST."""
        return self._are(REFUSED)

    @property
    def half_open(self) -> Bools:
        """The originator sent a SYN and never went on with the handshake."""
        return self._are(HALF_OPEN)

    @property
    def mute(self) -> Bools:
        """The responder said nothing: TCP without data from it, else nothing came back."""
        return self._are(MUTE)

    @property
    def opened(self) -> Bools:
        """Its beginning was seen: not a TCP flow met mid-stream, not an ICMP error."""
        return self._are(OPENED)


def flow_facts(flows: Flows) -> FlowFacts:
    return FlowFacts(flows)


@dataclass(frozen=True, slots=True)
class HostFlows:
    """Some flows of one host, in the order they began; `flow` indexes the flow table, the rest is aligned with it."""

    flow: Ints
    outbound: Bools  # the host is the originator
    remote_hi: npt.NDArray[np.uint64]
    remote_lo: npt.NDArray[np.uint64]
    remote_port: Ints
    local_port: Ints
    proto: npt.NDArray[np.uint8]
    sent_bytes: Ints
    received_bytes: Ints

    def take(self, chosen: npt.NDArray[np.intp] | Bools) -> "HostFlows":
        """The chosen of these flows."""
        return HostFlows(*(getattr(self, name)[chosen] for name in self.__slots__))


@part
def most_flows(begins, stops):  # type: ignore[no-untyped-def]
    """The size of the largest of the sets flow[begins[i]:stops[i]]."""
    most = 0
    for g in range(begins.size):
        most = max(most, stops[g] - begins[g])
    return most


@part
def slots_for(flows):  # type: ignore[no-untyped-def]
    """The size of a slot table for the peers of so many flows: a power of two, at most half full."""
    size = 2
    while size < 2 * flows:
        size *= 2
    return size


def new_seed() -> np.uint64:
    """For `number_peers`, so that nobody can write a capture whose peers all fall into one slot."""
    return np.uint64(secrets.randbits(62))


@part
def gather_remotes(table, flow, outbound, begin, stop, high, low):  # type: ignore[no-untyped-def]
    """Copy the remote addresses of flow[begin:stop], as FLOW rows have them, to `high` and `low`.

    Side by side they are found many times faster: each look at the table itself is a miss of the cache.
    """
    for i in range(begin, stop):
        row = table[flow[i]]
        if outbound[i] == (row["flags"] & ORIG_IS_A != 0):  # the host is end a
            high[i - begin], low[i - begin] = row["b_hi"], row["b_lo"]
        else:
            high[i - begin], low[i - begin] = row["a_hi"], row["a_lo"]


@part
def number_peers(high, low, n, seed, slots, code, chief):  # type: ignore[no-untyped-def]
    """Number the first n addresses in the order they appear; answers how many different ones there are.

    Fills `code`, each address's number from 0 on, and `chief`, where each number appears first. `slots` is room to work
    in, `slots_for(n)` of it.
    """
    size = slots_for(n)
    for at in range(size):
        slots[at] = -1
    count = 0
    for i in range(n):
        value = (low[i] ^ seed) * np.uint64(0x9E3779B97F4A7C15)
        value = (value ^ (value >> np.uint64(29)) ^ high[i]) * np.uint64(0x9E3779B97F4A7C15)
        at = np.int64(value >> np.uint64(32)) & (size - 1)
        while slots[at] >= 0 and (low[chief[slots[at]]] != low[i] or high[chief[slots[at]]] != high[i]):
            at = (at + 1) & (size - 1)
        if slots[at] < 0:
            slots[at] = count
            chief[count] = i
            count += 1
        code[i] = slots[at]
    return count


@allocating_kernel
def measure_hosts(table, seed, flow, outbound, first, peers, ip_bytes):  # type: ignore[no-untyped-def]
    """Per host, how many remote addresses its flows (FLOW, in `table`) have, and their bytes.

    The flows of host h are flow[first[h]:first[h + 1]].
    """
    most = most_flows(first[:-1], first[1:])
    high, low = np.empty(most, np.uint64), np.empty(most, np.uint64)
    slots, code, chief = np.empty(slots_for(most), np.int32), np.empty(most, np.int32), np.empty(most, np.int32)
    a_bytes, b_bytes = table["a_bytes"], table["b_bytes"]
    for h in range(peers.size):
        gather_remotes(table, flow, outbound, first[h], first[h + 1], high, low)
        peers[h] = number_peers(high, low, first[h + 1] - first[h], seed, slots, code, chief)
        for i in range(first[h], first[h + 1]):
            ip_bytes[h] += np.int64(a_bytes[flow[i]]) + np.int64(b_bytes[flow[i]])


@kernel
def count_host_flows(scope, host_a, host_b, first, segment, counts):  # type: ignore[no-untyped-def]
    """Count each host's unicast flows into `counts`, which are zeros; answers whether flows are numbered as they began.

    `first`: where each flow's segments begin.
    """
    starts, latest, in_order = segment["start"], -NEVER, True
    for f in range(scope.size):
        if scope[f] == GROUP or scope[f] == TRANSIT:
            continue
        in_order = in_order and starts[first[f]] >= latest
        latest = starts[first[f]]
        if host_a[f] >= 0:
            counts[host_a[f]] += 1
        if host_b[f] >= 0:
            counts[host_b[f]] += 1
    return in_order


@kernel
def group_by_host(order, scope, host_a, host_b, row, at, flow, outbound):  # type: ignore[no-untyped-def]
    """Put the unicast flows of each host side by side; one between two hosts stands twice.

    In this order or, where it is empty, in that of their numbers. `at`: where each host's begin; afterwards, where
    they stop.
    """
    flags = row["flags"]
    for k in range(scope.size):
        f = np.int64(order[k]) if order.size else k
        if scope[f] == GROUP or scope[f] == TRANSIT:
            continue
        from_a = flags[f] & ORIG_IS_A != 0
        if host_a[f] >= 0:
            k_a = at[host_a[f]]
            at[host_a[f]] += 1
            flow[k_a], outbound[k_a] = f, from_a
        if host_b[f] >= 0:
            k_b = at[host_b[f]]
            at[host_b[f]] += 1
            flow[k_b], outbound[k_b] = f, not from_a


@dataclass(frozen=True, slots=True)
class Totals:
    """Per host, over all its flows."""

    peers: Ints  # distinct remote addresses
    ip_bytes: Ints


class HostIndex:
    """Finds the flows of each host without going through all of them again.

    Those of host h are flow[first[h]:first[h + 1]], in the order they began; `outbound` tells which the host opened.
    """

    def __init__(self, flows: Flows, ends: Endpoints) -> None:
        self._row = flows.row
        counts = np.zeros(ends.host_words.shape[0], np.int64)
        in_order = count_host_flows(ends.scope, ends.host_a, ends.host_b, flows.first_segment, flows.segments, counts)
        # Flows are numbered as they came, which need not be in order of time.
        order = np.zeros(0, np.int32) if in_order else np.argsort(flows.first_ns(), kind="stable").astype(np.int32)
        self.first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.flow = np.empty(self.first[-1], np.int32)
        self.outbound = np.empty(self.first[-1], np.bool_)
        at = self.first[:-1].copy()
        group_by_host(order, ends.scope, ends.host_a, ends.host_b, self._row, at, self.flow, self.outbound)

    def counts(self) -> Ints:
        """How many flows each host has."""
        return np.diff(self.first)

    def totals(self) -> Totals:
        """How many peers and bytes each host has."""
        peers, ip_bytes = np.zeros(self.first.size - 1, np.int64), np.zeros(self.first.size - 1, np.int64)
        with np.errstate(over="ignore"):
            measure_hosts(self._row, new_seed(), self.flow, self.outbound, self.first, peers, ip_bytes)
        return Totals(peers, ip_bytes)

    def of(self, host: int) -> HostFlows:
        """All flows of a host, in the order they began."""
        part = slice(self.first[host], self.first[host + 1])
        flow, outbound = self.flow[part].astype(np.int64), self.outbound[part]
        local_a = outbound == ((self._row["flags"][flow] & ORIG_IS_A) != 0)

        def remote(a: str, b: str) -> npt.NDArray[Any]:
            return np.where(local_a, self._row[b][flow], self._row[a][flow])

        def local(a: str, b: str) -> npt.NDArray[Any]:
            return np.where(local_a, self._row[a][flow], self._row[b][flow])

        return HostFlows(
            flow=flow,
            outbound=outbound,
            remote_hi=remote("a_hi", "b_hi"),
            remote_lo=remote("a_lo", "b_lo"),
            remote_port=remote("a_port", "b_port").astype(np.int64),
            local_port=local("a_port", "b_port").astype(np.int64),
            proto=self._row["proto"][flow],
            sent_bytes=local("a_bytes", "b_bytes").astype(np.int64),
            received_bytes=remote("a_bytes", "b_bytes").astype(np.int64),
        )
