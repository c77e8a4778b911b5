"""The flows of one host, seen from that host: who is remote, what was sent, what came back, whether it was answered."""

from dataclasses import dataclass

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
    TALKING_NS,
    Flows,
)
from peerburst.capture.internet import PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP

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

    start_ns: Ints
    last_ns: Ints
    orig_is_a: Bools
    packets: Ints
    ip_bytes: Ints
    pauses: Ints  # silences of more than TALKING_NS
    answered: Bools  # the responder sent something other than a refusal
    refused: Bools  # all that came back was an RST
    half_open: Bools  # the originator sent a SYN and never went on with the handshake
    mute: Bools  # nothing was said: TCP without data from either end, else nothing came back
    opened: Bools  # its beginning was seen: not a TCP flow met mid-stream, not an ICMP error


def _pauses(flows: Flows) -> Ints:
    """How often each flow fell silent for more than TALKING_NS and went on; any such silence ends a segment."""
    segment = flows.segments
    same = segment["flow"][1:] == segment["flow"][:-1]
    silent = segment["start"][1:] - segment["last"][:-1] > TALKING_NS
    return np.bincount(segment["flow"][1:][same & silent], minlength=flows.row.size)


def flow_facts(flows: Flows) -> FlowFacts:
    row = flows.row
    is_tcp = row["proto"] == PROTO_TCP
    orig_is_a: Bools = (row["flags"] & ORIG_IS_A) != 0
    resp_packets = np.where(orig_is_a, row["b_pkts"], row["a_pkts"])
    answers = np.zeros(row.size, np.bool_)
    for letter in (LETTER_SYNACK, LETTER_ACK, LETTER_DATA, LETTER_FIN):
        answers |= sent_letter(row, letter, ~orig_is_a)
    reset = sent_letter(row, LETTER_RST, ~orig_is_a)
    answered = np.where(is_tcp, answers, resp_packets > 0)
    went_on = np.zeros(row.size, np.bool_)
    for letter in (LETTER_ACK, LETTER_DATA, LETTER_FIN):
        went_on |= sent_letter(row, letter, orig_is_a)
    data = sent_letter(row, LETTER_DATA, orig_is_a) | sent_letter(row, LETTER_DATA, ~orig_is_a)
    begun = sent_letter(row, LETTER_SYN, orig_is_a) | sent_letter(row, LETTER_SYNACK, ~orig_is_a)
    icmp_type = row["icmp"] >> 8
    is_error = ((row["proto"] == PROTO_ICMP) & np.isin(icmp_type, (3, 4, 5, 11, 12))) | (
        (row["proto"] == PROTO_ICMPV6) & (icmp_type < 128)
    )
    last = flows.segments["last"][flows.first_segment[1:] - 1] if row.size else np.zeros(0, np.int64)
    return FlowFacts(
        start_ns=flows.first_ns(),
        last_ns=last,
        orig_is_a=orig_is_a,
        packets=row["a_pkts"].astype(np.int64) + row["b_pkts"],
        ip_bytes=(row["a_bytes"] + row["b_bytes"]).astype(np.int64),
        pauses=_pauses(flows),
        answered=answered,
        refused=is_tcp & reset & ~answers,
        half_open=is_tcp & sent_letter(row, LETTER_SYN, orig_is_a) & ~went_on,
        mute=np.where(is_tcp, ~data, ~answered),
        opened=np.where(is_tcp, begun, ~is_error),
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


class HostIndex:
    """Finds the flows of each host without going through all of them again."""

    def __init__(self, flows: Flows, ends: Ends) -> None:
        self._row = flows.row
        self._start = flows.first_ns()
        some = np.flatnonzero((ends.scope != Scope.GROUP) & (ends.scope != Scope.TRANSIT))
        host = np.concatenate([ends.host_a[some], ends.host_b[some]])
        flow = np.concatenate([some, some])
        is_a = np.concatenate([np.ones(some.size, np.bool_), np.zeros(some.size, np.bool_)])
        held = host >= 0
        host, flow, is_a = host[held], flow[held], is_a[held]
        order = np.argsort(host, kind="stable")
        self._flow, self._is_a = flow[order], is_a[order]
        self._last: tuple[int, HostFlows] | None = None
        self._first = np.searchsorted(host[order], np.arange(ends.host_words.shape[0] + 1))

    def counts(self) -> Ints:
        """How many flows each host has."""
        return np.diff(self._first).astype(np.int64)

    def of(self, host: int) -> HostFlows:
        """All flows of a host, in the order they began. The last asked for is kept: questions come in rows."""
        if self._last is None or self._last[0] != host:
            self._last = (host, self._make(host))
        return self._last[1]

    def _make(self, host: int) -> HostFlows:
        part = slice(self._first[host], self._first[host + 1])
        order = np.argsort(self._start[self._flow[part]], kind="stable")
        flow, local_a = self._flow[part][order], self._is_a[part][order]
        row = self._row[flow]
        orig_is_a = (row["flags"] & ORIG_IS_A) != 0
        return HostFlows(
            flow=flow.astype(np.int64),
            outbound=orig_is_a == local_a,
            remote_hi=np.where(local_a, row["b_hi"], row["a_hi"]),
            remote_lo=np.where(local_a, row["b_lo"], row["a_lo"]),
            remote_port=np.where(local_a, row["b_port"], row["a_port"]).astype(np.int64),
            local_port=np.where(local_a, row["a_port"], row["b_port"]).astype(np.int64),
            proto=row["proto"],
            sent_bytes=np.where(local_a, row["a_bytes"], row["b_bytes"]).astype(np.int64),
            received_bytes=np.where(local_a, row["b_bytes"], row["a_bytes"]).astype(np.int64),
        )
