"""Whether a capture saw both directions: a mirror port set to one, or a filter, leaves half of each connection.

A silent other end proves nothing: it may be scanned, flooded or gone. But TCP that acknowledges what is not in the
capture was answered: a SYN and then an ACK of the same end, a SYN+ACK and then more, or data and bare acknowledgements
met in their midst, and not one packet of the other end. Neither a scan nor a flood sends that, multicast is not TCP.
A capture is taken to hold one direction if at least LEAST_PROOFS flows say so and, of them and of the flows in which
both ends were seen, no more than MOST_TWO_WAY are the latter (a multi-homed neighbour, a switch that floods).
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np

from peerburst.analysis.gateways import Engine, GatewayModel
from peerburst.capture.compiled.kernel import kernel, part
from peerburst.capture.compiled.shapes import Bool, Int, Int32s, Int64s, Record, Records, UInt8s
from peerburst.capture.conntrack.udp import is_udp
from peerburst.capture.flows.history import LETTER_ACK, LETTER_DATA, LETTER_FIN, LETTER_RST, LETTER_SYN, LETTER_SYNACK
from peerburst.capture.flows.record import NEVER, Flows
from peerburst.capture.packets.ip import PROTO_TCP

LEAST_PROOFS = 3
MOST_TWO_WAY = 0.05
NEARLY_ALL = 0.95  # of the proofs: sent by local ends, or to them
MID_STREAM_PACKETS = 4  # a probe of acknowledgements is repeated less often

SYN, SYNACK, ACK = 1 << LETTER_SYN, 1 << LETTER_SYNACK, 1 << LETTER_ACK
DATA, FIN, RST = 1 << LETTER_DATA, 1 << LETTER_FIN, 1 << LETTER_RST

# Indices of what is counted of flows: one end was seen, both were; the one end proves that it was answered; it closed.
ONE_WAY, TWO_WAY, PROOFS, CLOSING, COUNTS = range(5)
# What a flow proves: nothing, that end a was answered unseen, that end b was.
NOTHING, A_ALONE, B_ALONE = range(3)


class Seen(Enum):
    """Which packets a capture holds."""

    BOTH = "both"
    OUTBOUND = "outbound"  # those that local hosts sent
    INBOUND = "inbound"  # those that were sent to local hosts
    ONE_WAY = "one way"  # of each connection those of one end, now the local and now the other


@dataclass(frozen=True, slots=True)
class Direction:
    """Which direction a capture holds, and the numbers that say so. Flows are of TCP and UDP."""

    seen: Seen
    one_way_flows: int  # packets of one end
    two_way_flows: int
    acknowledging_flows: int  # of those of one end: TCP that acknowledges what is not there
    closing_flows: int  # of those: with a FIN or RST
    sent_by_local: int  # of the acknowledging: sent by a local host to another
    sent_to_local: int

    @property
    def is_one_way(self) -> bool:
        return self.seen is not Seen.BOTH

    @property
    def most_close(self) -> bool:
        """Whether most of the TCP that tells of the missing direction comes to its end in the capture."""
        return 2 * self.closing_flows >= self.acknowledging_flows


def bound(found: Direction, model: GatewayModel) -> str:
    """What peaks counted under a model are: "at most", "at least", or nothing where both directions are there.

    An entry without replies has a shorter timeout than one with them, so what stays open, and UDP, goes too soon. But
    TCP whose close is seen of one end alone may be held longer than after a whole close: that depends on the model.
    """
    if not found.is_one_way:
        return ""
    if not found.most_close or (model.engine is Engine.SYN_FIN and found.seen is not Seen.OUTBOUND):
        return "at least"
    # Without SYN+ACKs the handshake is never over; without SYNs what is seen is a connection that one end closed.
    unanswered = "syn_sent" if model.engine is Engine.LINUX else "syn_repeated"
    held_s = model.timeout_s(unanswered if found.seen is Seen.OUTBOUND else "fin_wait")
    whole_s = 0.0 if model.left_out else model.timeout_s("time_wait")
    return "at most" if held_s >= whole_s else "at least"


@part
def _proves(letters: Int, packets: Int) -> Bool:
    """Whether what one end sent, alone, shows that it was answered: its letters in a history, its packets."""
    if letters & SYN:
        return letters & ACK != 0 or letters & FIN != 0  # a SYN itself may carry data (RFC 7413)
    if letters & SYNACK:
        return letters & (ACK | DATA | FIN) != 0
    return letters & ACK != 0 and letters & DATA != 0 and letters & RST == 0 and packets >= MID_STREAM_PACKETS


@part
def _proof(flow: Record) -> int:
    """What a TCP flow (FLOW) of one end proves."""
    letters = np.int64(flow["history"] & np.uint64(0xFFF))
    if flow["b_pkts"] == 0:
        return A_ALONE if _proves(letters & 63, np.int64(flow["a_pkts"])) else NOTHING
    return B_ALONE if _proves(letters >> 6, np.int64(flow["b_pkts"])) else NOTHING


@kernel
def count_ways(rows: Records, proof: UInt8s, counts: Int64s) -> None:
    """Fill by flow (FLOW) what it proves, and add to `counts` by ONE_WAY and so on."""
    for i in range(rows.size):
        flow = rows[i]
        proof[i] = NOTHING
        is_tcp = flow["proto"] == PROTO_TCP
        if not is_tcp and not is_udp(flow["proto"]):
            continue
        if flow["a_pkts"] > 0 and flow["b_pkts"] > 0:
            counts[TWO_WAY] += 1
            continue
        counts[ONE_WAY] += 1
        if is_tcp:
            proof[i] = _proof(flow)
        if proof[i] != NOTHING:
            counts[PROOFS] += 1
            counts[CLOSING] += flow["closing"] != NEVER


@dataclass(frozen=True, slots=True)
class Ways:
    """What flows say of directions, before it is known which ends are local."""

    proof: UInt8s  # by flow: NOTHING, A_ALONE or B_ALONE
    counts: Int64s  # by ONE_WAY and so on

    @property
    def is_one_way(self) -> bool:
        proofs, two_way = int(self.counts[PROOFS]), int(self.counts[TWO_WAY])
        return proofs >= LEAST_PROOFS and two_way <= MOST_TWO_WAY * (proofs + two_way)


def ways(flows: Flows) -> Ways:
    """What these flows say of directions."""
    proof, counts = np.empty(flows.row.size, np.uint8), np.zeros(COUNTS, np.int64)
    count_ways(flows.row, proof, counts)
    return Ways(proof, counts)


def direction(found: Ways, host_a: Int32s, host_b: Int32s) -> Direction:
    """Which direction there is; `host_a` and `host_b`: by flow, the number of the local host at each end, or -1."""
    a_local, b_local = host_a >= 0, host_b >= 0
    of_a, of_b = found.proof == A_ALONE, found.proof == B_ALONE
    by_local = int(np.count_nonzero((of_a & a_local & ~b_local) | (of_b & b_local & ~a_local)))
    to_local = int(np.count_nonzero((of_a & b_local & ~a_local) | (of_b & a_local & ~b_local)))
    one_way, two_way, proofs, closing = found.counts.tolist()
    seen = Seen.BOTH
    if found.is_one_way:
        most = NEARLY_ALL * proofs
        seen = Seen.OUTBOUND if by_local >= most else Seen.INBOUND if to_local >= most else Seen.ONE_WAY
    return Direction(seen, one_way, two_way, proofs, closing, by_local, to_local)
