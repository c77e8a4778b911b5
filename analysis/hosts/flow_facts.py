"""What is the same for a flow whoever looks at it: when it began and ended, what it weighs, what came of it."""

from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from peerburst.capture.compiled.kernel import kernel, part
from peerburst.capture.compiled.prefetch import prefetch
from peerburst.capture.compiled.shapes import Bools, Int32s, Int64s, Record, Records, UInt8s
from peerburst.capture.flows.gather import GATHER_AHEAD
from peerburst.capture.flows.history import LETTER_ACK, LETTER_DATA, LETTER_FIN, LETTER_RST, LETTER_SYN, LETTER_SYNACK
from peerburst.capture.flows.record import ORIG_IS_A, FlowColumns, Flows
from peerburst.capture.packets.ip import PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP

# What a responder sends that is an answer.
ANSWERS = 1 << LETTER_SYNACK | 1 << LETTER_ACK | 1 << LETTER_DATA | 1 << LETTER_FIN

# Outcome bits of a flow: the responder sent something other than a refusal; all that came back was an RST; the
# responder said nothing (TCP without data from it, else nothing came back); its beginning was seen (not a TCP flow met
# mid-stream, not an ICMP error); end a began it.
ANSWERED, REFUSED, MUTE, OPENED, FROM_A = 1, 2, 4, 8, 16


def sent_letter(rows: Records, letter: int, by_a: Bools) -> Bools:
    """Per flow (FLOW), whether the end named by `by_a` sent a packet of this history letter."""
    shift = np.where(by_a, letter, letter + 6).astype(np.uint64)
    sent: Bools = (rows["history"] >> shift) & np.uint64(1) != 0
    return sent


@part
def _is_icmp_error(proto: int, kind: int) -> bool:
    """Whether a flow began with an error message (RFC 792, RFC 4443); `kind` is its ICMP type."""
    if proto == PROTO_ICMP:
        return kind == 3 or kind == 4 or kind == 5 or kind == 11 or kind == 12
    return proto == PROTO_ICMPV6 and kind < 128


@part
def _outcome(flow: Record) -> int:
    """The outcome bits of a flow (FLOW)."""
    from_a = flow["flags"] & ORIG_IS_A != 0
    outcome = FROM_A if from_a else 0
    if flow["proto"] != PROTO_TCP:
        answered = (flow["b_pkts"] if from_a else flow["a_pkts"]) > 0
        opened = not _is_icmp_error(flow["proto"], flow["icmp_type"])
        return outcome | (ANSWERED if answered else MUTE) | (OPENED if opened else 0)
    letters = np.int64(flow["history"] & np.uint64(0xFFF))  # those of end a, then those of end b
    orig, resp = (letters & 63, letters >> 6) if from_a else (letters >> 6, letters & 63)
    if resp & ANSWERS != 0:
        outcome |= ANSWERED
    elif resp & 1 << LETTER_RST != 0:
        outcome |= REFUSED
    if resp & 1 << LETTER_DATA == 0:
        outcome |= MUTE
    if orig & 1 << LETTER_SYN != 0 or resp & 1 << LETTER_SYNACK != 0:
        outcome |= OPENED
    return outcome


@kernel
def fill_outcomes(rows: Records, outcome: UInt8s) -> None:
    """Fill the outcome bits of every flow (FLOW)."""
    for i in range(outcome.size):
        outcome[i] = _outcome(rows[i])


class SomeFacts(NamedTuple):
    """The facts of some flows, an element for each."""

    start_ns: Int64s
    last_ns: Int64s
    packets: Int64s
    ip_bytes: Int64s
    pauses: Int32s  # silences of PAUSE_NS or more; ICMP: none
    outcome: UInt8s  # outcome bits


@kernel
def gather_facts(table: FlowColumns, flow: Int32s, facts: SomeFacts) -> None:
    """Fill `facts` for these flows of the table, in their order."""
    rows, first, segments = table.rows, table.first_segment, table.segments
    starts, lasts = segments["start"], segments["last"]
    for k in range(flow.size):
        if k + GATHER_AHEAD < flow.size:
            ahead = np.int64(flow[k + GATHER_AHEAD])
            prefetch(table.halves, 2 * ahead)
            prefetch(table.halves, 2 * ahead + 1)
            prefetch(segments, first[ahead])
            prefetch(segments, first[ahead + 1] - 1)
        f = flow[k]
        facts.start_ns[k], facts.last_ns[k] = starts[first[f]], lasts[first[f + 1] - 1]
        one = rows[f]
        facts.pauses[k] = one["pauses"]
        facts.packets[k] = np.int64(one["a_pkts"]) + np.int64(one["b_pkts"])
        facts.ip_bytes[k] = np.int64(one["a_bytes"]) + np.int64(one["b_bytes"])
        facts.outcome[k] = _outcome(one)


class FlowFacts:
    """The facts of all flows; the columns have one element per flow.

    Columns are made when they are first asked for: with millions of flows all of them need much memory, and answers
    about some flows should ask for those (`of`).
    """

    def __init__(self, flows: Flows) -> None:
        self._flows = flows
        self.row = flows.row  # the flow table itself (FLOW)

    def of(self, flow: Int32s) -> SomeFacts:
        """The facts of these flows."""
        start, last, packets, ip_bytes = (np.empty(flow.size, np.int64) for _ in range(4))
        facts = SomeFacts(start, last, packets, ip_bytes, np.empty(flow.size, np.int32), np.empty(flow.size, np.uint8))
        gather_facts(self._flows.columns(), flow, facts)
        return facts

    def start_of(self, flow: Int32s) -> Int64s:
        """When each of these flows began, ns."""
        starts: Int64s = self._flows.segments["start"][self._flows.first_segment[flow]]
        return starts

    def have_opened(self, flow: Int32s) -> Bools:
        """Whether the beginning of each of these flows was seen."""
        opened: Bools = self._outcome[flow] & np.uint8(OPENED) != 0
        return opened

    @cached_property
    def _all(self) -> SomeFacts:
        return self.of(np.arange(self.row.size, dtype=np.int32))

    @cached_property
    def _outcome(self) -> npt.NDArray[np.uint8]:
        outcome = np.empty(self.row.size, np.uint8)
        fill_outcomes(self.row, outcome)
        return outcome

    def _have(self, bit: int) -> Bools:
        having: Bools = self._outcome & np.uint8(bit) != 0
        return having

    @property
    def start_ns(self) -> Int64s:
        return self._all.start_ns

    @property
    def last_ns(self) -> Int64s:
        return self._all.last_ns

    @property
    def packets(self) -> Int64s:
        return self._all.packets

    @property
    def ip_bytes(self) -> Int64s:
        return self._all.ip_bytes

    @property
    def orig_is_a(self) -> Bools:
        return self._have(FROM_A)

    @property
    def answered(self) -> Bools:
        """The responder sent something other than a refusal."""
        return self._have(ANSWERED)

    @property
    def refused(self) -> Bools:
        """All that came back was an RST."""
        return self._have(REFUSED)

    @property
    def opened(self) -> Bools:
        """Its beginning was seen: not a TCP flow met mid-stream, not an ICMP error."""
        return self._have(OPENED)
