"""The records of the flow table: a flow, a segment of it, and the memory that kernels work in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from peerburst.capture.compiled.shapes import Bool, Int, Int32s, Int64s, Record, Records
from peerburst.capture.units import SECOND_NS

# One record per flow, two cache lines. The ends of the 5-tuple are `a`, the smaller (address, port), and `b`.
_FLOW_OF_ANY = np.dtype(
    [
        ("a_hi", np.uint64),  # addresses: two words each, IPv4 as ::ffff:a.b.c.d
        ("a_lo", np.uint64),
        ("b_hi", np.uint64),
        ("b_lo", np.uint64),
        ("a_port", np.uint16),  # 0 of protocols without ports
        ("b_port", np.uint16),
        ("proto", np.uint8),  # IP protocol number
        ("flags", np.uint8),  # ORIG_IS_A and the like
        ("state", np.uint8),  # Linux's state of the entry now
        ("status", np.uint8),  # of the entry: OPENED_BY_A, IPS_SEEN_REPLY and the like
        ("last", np.int64),  # latest packet, ns
        ("start", np.int64),  # of the segment at hand, ns
        ("renewed", np.int64),  # when the entry's timeout last began anew, ns
        ("phase", np.uint8),  # the timeout it runs under
        ("seen", np.uint8),  # of the segment: A_SENT and the like
        ("pauses", np.uint16),  # silences of PAUSE_NS or more; of ICMP they are not counted
        ("successor", np.int32),  # the flow that took over the 5-tuple, or -1
        ("a_pkts", np.uint32),  # sent by end a
        ("b_pkts", np.uint32),
        ("a_bytes", np.uint64),  # by the IP length field
        ("b_bytes", np.uint64),
        ("history", np.uint64),  # Zeek's letters, as `history` codes them
        ("closed", np.int64),  # TCP entered TIME_WAIT or CLOSE, ns, or NEVER
        ("established", np.int64),  # TCP was first ESTABLISHED, ns, or NEVER
        ("closing", np.int64),  # first FIN or RST, ns, or NEVER
    ],
    align=True,
)
# In the room of `established`, which only TCP has: what other protocols have (as in Linux's union nf_conntrack_proto).
_FLOW_OF_ONE = {
    "stream_ts": (np.int64, 0),  # UDP: from when on the entry is old enough for a stream, ns
    "icmp_type": (np.uint8, 0),  # ICMP and ICMPv6: of the first message
    "icmp_code": (np.uint8, 1),
    "icmp_id": (np.uint16, 2),  # of a query, else 0
}


def _in_room_of(name: str, common: np.dtype[np.void], union: Mapping[str, tuple[type, int]]) -> np.dtype[np.void]:
    """A record with more fields that lie where one field of it does."""
    fields = {field: (place[0], place[1]) for field, place in (common.fields or {}).items()}
    begin = fields[name][1]
    fields |= {field: (np.dtype(kind), begin + offset) for field, (kind, offset) in union.items()}
    return np.dtype(
        {
            "names": list(fields),
            "formats": [kind for kind, _offset in fields.values()],
            "offsets": [offset for _kind, offset in fields.values()],
            "itemsize": common.itemsize,
        },
        align=True,
    )


# Joining arrays of it needs `dtype=FLOW`: by itself numpy lays the fields out one after the other.
FLOW = _in_room_of("established", _FLOW_OF_ANY, _FLOW_OF_ONE)

# A flow as two cache lines, to ask for each.
FLOW_HALF = np.dtype([("words", np.int64, (8,))])

# A run of one flow's packets with no gap longer than the shortest timeout of interest and within one entry of Linux's
# table. The last one of a flow is kept in the flow's own record.
SEGMENT = np.dtype(
    [
        ("start", np.int64),  # first packet, ns
        ("last", np.int64),  # latest packet, ns
        ("renewed", np.int64),  # when Linux last began the entry's timeout anew, ns
        ("closed", np.int64),  # when TCP entered TIME_WAIT or CLOSE in this entry, or NEVER
        ("flow", np.int32),
        ("state", np.uint8),  # Linux's state after the last packet
        ("phase", np.uint8),  # the timeout it left behind
        ("seen", np.uint8),  # A_SENT and the like
    ],
    align=True,
)

# What the first packet of a flow told beyond the flow itself, as in PACKET: written once, and read at the end alone.
BIRTH = np.dtype(
    [
        ("sender", np.int64),  # MAC; where the frame does not say, 0
        ("receiver", np.int64),  # MAC
        ("frame", np.uint32),  # the packet's, by which the others are found
        ("seq", np.uint32),  # of TCP; of a SYN, the initial sequence number
        ("ip_bytes", np.uint16),
        ("interface", np.uint16),  # the index of the interface it was seen on
        ("hop_limit", np.uint8),  # IPv4's time to live, IPv6's hop limit
        ("way", np.uint8),  # INCOMING and the like
    ],
    align=True,
)

NEVER = np.int64(np.iinfo(np.int64).max)

# Flags of a flow.
ORIG_IS_A = 1
FIRST_IS_A = 2  # the end that sent the first packet seen
CLOSED = 4  # reached TIME_WAIT or CLOSE, or was refused: a SYN begins a new flow
OFFLOAD = 8  # some IP length was 0: the card does the splitting
CARRIED = 16  # Linux's entry of the flow before lives on in it: its SYN did not reopen the entry
AGAINST_PORTS = 32  # its first packet, which does not tell who began, came from a server's port to one that is none
TOLD_BY_PORTS = 64  # and it may be an answer all the same: see `originator`
CAME_SECOND = 128  # if that is so, then the gateway saw the other end first, though the capture did not

# What a segment saw.
FIRST_BY_A = 1
A_SENT = 2
B_SENT = 4
AGAIN = 8  # its first sender sent again after the other end had
SEVERAL = 16  # more than one packet
WAS_DELETED = 32  # Linux deleted the entry at its last packet

TALKING_NS = 5 * SECOND_NS
# A player pauses between segments of two seconds and more; TCP waits less for a lost packet, as a rule (RFC 6298: 1 s
# at the very first, then the round trip and its spread).
PAUSE_NS = SECOND_NS
MOST_PAUSES = 65535

# A flow that was silent for so long has ended: its next packet begins another, as in Zeek (its inactivity timeouts).
# It is the longest that any shipped gateway model holds a silent entry: UDP and ICMP 350 s (AWS NAT gateway; RFC 4787
# recommends 300 s), TCP five days (Linux, pf-conservative), anything else a day (Cisco IOS).
UDP_OVER_NS = 350 * SECOND_NS
TCP_OVER_NS = 432_000 * SECOND_NS
OTHER_OVER_NS = 86_400 * SECOND_NS
SHORTEST_OVER_NS = UDP_OVER_NS

# Indices into a table's counters: how many flows, closed segments and TCP states there are, the seed of its hashes, the
# instants of its earliest and latest packet, whatever their status, how many packets came before the batch at hand, and
# the instant of the first packet of all, other shards' included.
FLOWS, SEGMENTS, TCP_STATES, SEED, EARLIEST, LATEST, BEFORE, BEGAN, COUNTERS = range(9)

NO_FLOW = -1


class TableMemory(NamedTuple):
    """All that a table keeps, with room for what one batch may add to it."""

    flows: Records  # FLOW
    flow_halves: Records  # the same as FLOW_HALF
    births: Records  # BIRTH, by flow
    first_packet_index: Int64s  # by flow: how many packets of all had come before its first
    tcp_slots: Int64s  # by flow: which of `tcp_states` is its own, NO_TCP_STATE, or a first SYN, see `entry`
    tcp_states: Records  # TCP_STATE
    tcp_sides: Records  # the same as TCP_SIDE, two for each
    slots: Int64s  # where flows are found by hash, see `lookup`
    places: Int64s  # PLACES of them, to work in
    segments: Records  # SEGMENT, closed ones as they came
    counters: Int64s  # by FLOWS and so on


class Batch(NamedTuple):
    """Packets, and those of them that are a table's, see `partition`."""

    packets: Records  # PACKET
    chosen: Int32s
    hashes: Int64s  # of the chosen


class Arrival(NamedTuple):
    """A packet as its flow sees it."""

    packet: Record  # PACKET
    ts: Int  # ns; no earlier than the 5-tuple's latest packet
    from_a: Bool  # whether end a sent it
    is_tcp: Bool
    tcp_index: Int  # what a TCP packet is: TCP_SYN_SET and the like


class FlowColumns(NamedTuple):
    """A flow table as kernels that read it take it. They take columns by name inside, where strides are constants."""

    rows: Records  # FLOW
    halves: Records  # the same as FLOW_HALF: two lines of the processor's cache each
    first_segment: Int64s  # by flow, and one more: the segments of flow f are [first_segment[f], first_segment[f + 1])
    segments: Records  # SEGMENT


@dataclass(frozen=True, slots=True)
class Flows:
    """What the table knows when it is asked: `row` (FLOW), `segments` (SEGMENT) by flow and time, where each begins."""

    row: npt.NDArray[np.void]
    segments: npt.NDArray[np.void]
    first_segment: npt.NDArray[np.int64]  # one more than flows
    births: npt.NDArray[np.void] = field(default_factory=lambda: np.zeros(0, BIRTH))  # BIRTH by flow; none if not known

    def evidence(self) -> npt.NDArray[np.void]:
        """BIRTH by flow; zeros, which say nothing, where none is known."""
        return self.births if self.births.size == self.row.size else np.zeros(self.row.size, BIRTH)

    def first_ns(self) -> npt.NDArray[np.int64]:
        """The instant of each flow's first packet."""
        starts: npt.NDArray[np.int64] = self.segments["start"][self.first_segment[:-1]]
        return starts

    def columns(self) -> FlowColumns:
        """These flows as kernels take them; views, no copies."""
        return FlowColumns(self.row, self.row.view(FLOW_HALF), self.first_segment, self.segments)
