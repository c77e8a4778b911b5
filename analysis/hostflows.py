"""The flows of one host, seen from that host: who is remote, what was sent, what came back, whether it was answered."""

import secrets
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from peerburst.analysis.addresses import Ends, Scope
from peerburst.capture.flowtable import (
    LETTER_ACK,
    LETTER_DATA,
    LETTER_FIN,
    LETTER_RST,
    LETTER_SYN,
    LETTER_SYNACK,
    ORIG_IS_A,
    Flows,
)
from peerburst.capture.internet import PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP
from peerburst.capture.kernels import allocating_kernel, kernel, part

# What a responder sends that is an answer, and what an originator sends that goes on with the handshake.
ANSWERS = 1 << LETTER_SYNACK | 1 << LETTER_ACK | 1 << LETTER_DATA | 1 << LETTER_FIN
GOING_ON = 1 << LETTER_ACK | 1 << LETTER_DATA | 1 << LETTER_FIN

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


def sent_letter(row: npt.NDArray[np.void], letter: int, by_a: Bools) -> Bools:
    """Per flow, whether the end named by `by_a` sent a packet of this history letter."""
    shift = np.where(by_a, letter, letter + 6).astype(np.uint64)
    sent: Bools = (row["history"] >> shift) & np.uint64(1) != 0
    return sent


@dataclass(frozen=True, slots=True)
class FlowFacts:
    """What is the same for every flow whoever looks at it; one element per flow."""

    row: npt.NDArray[np.void]  # the flow table itself (FLOW)
    start_ns: Ints
    last_ns: Ints
    orig_is_a: Bools
    packets: Ints
    ip_bytes: Ints
    rests: Ints  # silences of REST_NS or more; ICMP: none
    answered: Bools  # the responder sent something other than a refusal
    refused: Bools  # all that came back was an RST
    half_open: Bools  # the originator sent a SYN and never went on with the handshake
    mute: Bools  # the responder said nothing: TCP without data from it, else nothing came back
    opened: Bools  # its beginning was seen: not a TCP flow met mid-stream, not an ICMP error


@part
def _is_icmp_error(proto, icmp):  # type: ignore[no-untyped-def]
    """Whether a flow began with an error message (RFC 792, RFC 4443); `icmp` is its type and code."""
    kind = icmp >> 8
    if proto == PROTO_ICMP:
        return kind == 3 or kind == 4 or kind == 5 or kind == 11 or kind == 12
    return proto == PROTO_ICMPV6 and kind < 128


@kernel
def judge(row, packets, octets, rests, orig_is_a, answered, refused, half_open, mute, opened):  # type: ignore[no-untyped-def]
    """Fill FlowFacts of these names from FLOW rows."""
    flags, proto, history, icmp = row["flags"], row["proto"], row["history"], row["icmp_or_rests"]
    a_packets, b_packets, a_bytes, b_bytes = row["a_pkts"], row["b_pkts"], row["a_bytes"], row["b_bytes"]
    for i in range(flags.size):
        from_a = flags[i] & ORIG_IS_A != 0
        orig_is_a[i] = from_a
        packets[i] = np.int64(a_packets[i]) + np.int64(b_packets[i])
        octets[i] = np.int64(a_bytes[i]) + np.int64(b_bytes[i])
        rests[i] = 0 if proto[i] == PROTO_ICMP or proto[i] == PROTO_ICMPV6 else np.int64(icmp[i])
        if proto[i] != PROTO_TCP:
            answered[i] = (b_packets[i] if from_a else a_packets[i]) > 0
            opened[i] = not _is_icmp_error(proto[i], icmp[i])
            refused[i] = half_open[i] = False
            mute[i] = not answered[i]
            continue
        letters = np.int64(history[i] & np.uint64(0xFFF))  # those of end a, then those of end b
        orig, resp = (letters & 63, letters >> 6) if from_a else (letters >> 6, letters & 63)
        answered[i] = resp & ANSWERS != 0
        refused[i] = resp & ANSWERS == 0 and resp & 1 << LETTER_RST != 0
        half_open[i] = orig & 1 << LETTER_SYN != 0 and orig & GOING_ON == 0
        mute[i] = resp & 1 << LETTER_DATA == 0
        opened[i] = orig & 1 << LETTER_SYN != 0 or resp & 1 << LETTER_SYNACK != 0


def flow_facts(flows: Flows) -> FlowFacts:
    row = flows.row
    packets, octets, rests = (np.empty(row.size, np.int64) for _ in range(3))
    marks = [np.empty(row.size, np.bool_) for _ in range(6)]
    judge(row, packets, octets, rests, *marks)
    orig_is_a, answered, refused, half_open, mute, opened = marks
    return FlowFacts(
        row=row,
        start_ns=flows.first_ns(),
        last_ns=flows.segments["last"][flows.first_segment[1:] - 1] if row.size else np.zeros(0, np.int64),
        orig_is_a=orig_is_a,
        packets=packets,
        ip_bytes=octets,
        rests=rests,
        answered=answered,
        refused=refused,
        half_open=half_open,
        mute=mute,
        opened=opened,
    )


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
def measure_hosts(table, size, seed, flow, outbound, first, peers, octets):  # type: ignore[no-untyped-def]
    """Per host, how many remote addresses its flows have and their octets; `size` (octets) is by flow.

    The flows of host h are flow[first[h]:first[h + 1]].
    """
    most = most_flows(first[:-1], first[1:])
    high, low = np.empty(most, np.uint64), np.empty(most, np.uint64)
    slots, code, chief = np.empty(slots_for(most), np.int32), np.empty(most, np.int32), np.empty(most, np.int32)
    for h in range(peers.size):
        gather_remotes(table, flow, outbound, first[h], first[h + 1], high, low)
        peers[h] = number_peers(high, low, first[h + 1] - first[h], seed, slots, code, chief)
        for i in range(first[h], first[h + 1]):
            octets[h] += size[flow[i]]


@kernel
def group_by_host(chosen, host_a, host_b, orig_is_a, at, flow, outbound):  # type: ignore[no-untyped-def]
    """Put the flows of each host side by side, in the order of `chosen`; a flow between two hosts stands twice.

    `at`: where each host's begin; afterwards, where they stop.
    """
    for i in range(chosen.size):
        f = chosen[i]
        if host_a[f] >= 0:
            k = at[host_a[f]]
            at[host_a[f]] += 1
            flow[k], outbound[k] = f, orig_is_a[f]
        if host_b[f] >= 0:
            k = at[host_b[f]]
            at[host_b[f]] += 1
            flow[k], outbound[k] = f, not orig_is_a[f]


@dataclass(frozen=True, slots=True)
class Totals:
    """Per host, over all its flows."""

    peers: Ints  # distinct remote addresses
    ip_bytes: Ints


class HostIndex:
    """Finds the flows of each host without going through all of them again.

    Those of host h are flow[first[h]:first[h + 1]], in the order they began; `outbound` tells which the host opened.
    """

    def __init__(self, facts: FlowFacts, ends: Ends) -> None:
        self._row = facts.row
        chosen = np.flatnonzero((ends.scope != Scope.GROUP) & (ends.scope != Scope.TRANSIT)).astype(np.int32)
        start = facts.start_ns[chosen]
        if (start[1:] < start[:-1]).any():  # flows are numbered as they came, which need not be in order of time
            chosen = chosen[np.argsort(start, kind="stable")]
        hosts = ends.host_words.shape[0]
        # One more in front, for ends that are not local (-1).
        flows = np.bincount(ends.host_a[chosen] + 1, minlength=hosts + 1)[1:]
        flows += np.bincount(ends.host_b[chosen] + 1, minlength=hosts + 1)[1:]
        self.first = np.concatenate([[0], np.cumsum(flows)]).astype(np.int64)
        self.flow = np.empty(self.first[-1], np.int32)
        self.outbound = np.empty(self.first[-1], np.bool_)
        at = self.first[:-1].copy()
        group_by_host(chosen, ends.host_a, ends.host_b, facts.orig_is_a, at, self.flow, self.outbound)

    def counts(self) -> Ints:
        """How many flows each host has."""
        return np.diff(self.first)

    def totals(self, facts: FlowFacts) -> Totals:
        """How many peers and octets each host has."""
        peers, octets = np.zeros(self.first.size - 1, np.int64), np.zeros(self.first.size - 1, np.int64)
        with np.errstate(over="ignore"):
            measure_hosts(self._row, facts.ip_bytes, new_seed(), self.flow, self.outbound, self.first, peers, octets)
        return Totals(peers, octets)

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
