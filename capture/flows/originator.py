"""Which end began a flow: who sent the first packet, where the capture saw the beginning; else what the ports say.

TCP tells by its flags, and ICMP's queries by their types, in whatever order packets were dated: a SYN comes from the
originator, a SYN+ACK from the responder. Everything else is the first sender's, but for a flow whose first packet came
from a port that is likely a server's to one that is not (it stands AGAINST_PORTS), and which

- may have begun before the capture: its first packet came within MAY_BE_OLDER_NS of the capture's own, a time for
  which it may have been silent without being forgotten; or
- was answered within SWAPPED_NS: two interfaces have two clocks, and the answer may be dated before its question.

Such a flow (TOLD_BY_PORTS) is turned round as Zeek would (its `likely_server_ports`), unless that socket is seen to
speak first to others, or that address from many ports to the same socket (`settle`): a program that begins its
conversations from port 443 is not a server.
"""

import numpy as np
import numpy.typing as npt

from peerburst.capture.compiled.hashing import row_keys
from peerburst.capture.compiled.kernel import kernel, part
from peerburst.capture.compiled.shapes import Bool, Bools, Int, Int64s, Record, Records, UInt8s, UInt64s
from peerburst.capture.conntrack.states import TCP_SYN_SET, TCP_SYNACK_SET
from peerburst.capture.flows.record import AGAINST_PORTS, CAME_SECOND, FIRST_IS_A, ORIG_IS_A, TOLD_BY_PORTS, Flows
from peerburst.capture.packets.icmp import is_icmp, is_icmp_reply
from peerburst.capture.packets.ip import PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP
from peerburst.capture.packets.ports import PORTS, server_ports
from peerburst.capture.units import SECOND_NS

# Programs that keep an exchange alive send before Linux forgets it, after 30 s (nf_conntrack_udp_timeout): every 20 s
# by RFC 3948, every 25 s with WireGuard.
MAY_BE_OLDER_NS = 30 * SECOND_NS
SWAPPED_NS = SECOND_NS // 20
# Who speaks first to so many addresses and is never spoken to first is no server: one met in its midst, or of another
# clock, would hear from some client that it answers late or not at all. What was under way shows in the first second,
# so later flows are asked.
SPOKEN_TO = 10
SURE = 3  # times that a socket spoke first beyond doubt: a server may break a long silence once or twice
UNDER_WAY_NS = SECOND_NS
LOOKED_AT = 1 << 20  # flows: the first of a long capture tell enough


@part
def is_flipped(packet: Record, index: Int) -> Bool:
    """Whether the first packet seen (PACKET) comes, by itself, from the responder."""
    proto = packet["proto"]
    if proto == PROTO_TCP:
        is_answer: Bool = index == TCP_SYNACK_SET
        return is_answer
    return is_icmp(proto) and is_icmp_reply(proto, packet["icmp_type"])


@part
def is_against_ports(packet: Record, index: Int, servers: UInt8s) -> Bool:
    """Whether a flow's first packet, which does not tell, goes from a likely server's port to one that is not.

    `servers` is 1 of each likely server's port. Protocols without ports have port 0, which is none.
    """
    if packet["proto"] == PROTO_TCP and (index == TCP_SYN_SET or index == TCP_SYNACK_SET):
        return False
    by_ports: Bool = servers[packet["sport"]] != 0 and servers[packet["dport"]] == 0
    return by_ports


@kernel
def count_against(rows: Records) -> int:
    """How many flows (FLOW) but those of TCP stand AGAINST_PORTS."""
    against = 0
    for i in range(rows.size):
        against += rows[i]["flags"] & AGAINST_PORTS != 0 and rows[i]["proto"] != PROTO_TCP
    return against


def settle(flows: Flows, began_ns: int, *, one_way: bool = False) -> None:
    """Say of the flows that stand AGAINST_PORTS who began them, in place; it may be asked again when there are more.

    `began_ns`: the instant of the capture's first packet. `one_way`: the capture saw packets of one direction alone,
    so the first one seen says nothing of who began, and ports tell of all; what an answer opened came second.
    """
    flags = flows.row["flags"]
    if count_against(flows.row):  # it is unusual, and of millions of flows found out soon
        _settle_against(flows, began_ns, one_way=one_way)
    if one_way:
        turned = (flags & np.uint8(ORIG_IS_A) != 0) != (flags & np.uint8(FIRST_IS_A) != 0)
        flags[turned] |= np.uint8(CAME_SECOND)


def _settle_against(flows: Flows, began_ns: int, *, one_way: bool) -> None:
    flags = flows.row["flags"]
    against = np.flatnonzero((flags & np.uint8(AGAINST_PORTS) != 0) & (flows.row["proto"] != PROTO_TCP))
    begins = np.full(against.size, not one_way)
    told = flags[against] & np.uint8(TOLD_BY_PORTS) != 0
    if not one_way and told.any():
        begins[told] = _begin_others(flows, against[told], began_ns)
    first_is_a = flags[against] & np.uint8(FIRST_IS_A) != 0
    orig = np.where(first_is_a == begins, np.uint8(ORIG_IS_A), np.uint8(0))
    flags[against] = flags[against] & ~np.uint8(ORIG_IS_A) | orig


def _begin_others(flows: Flows, told: npt.NDArray[np.intp], began_ns: int) -> Bools:
    """Per flow that is told by ports, whether its first sender's socket is seen to begin conversations."""
    row = flows.row[:LOOKED_AT]
    others = np.flatnonzero(~np.isin(row["proto"], (PROTO_TCP, PROTO_ICMP, PROTO_ICMPV6)))
    flags = row["flags"][others]
    against = flags & np.uint8(AGAINST_PORTS) != 0
    target = _ports(flows, others, of_first=False)
    speaks, spoken_to = others[against], others[~against & (server_ports()[target] != 0)]
    sure = others[flags & np.uint8(AGAINST_PORTS | TOLD_BY_PORTS) == AGAINST_PORTS]
    asked = np.unique(_sockets(flows, told, of_first=True))
    first = _times_seen(asked, _sockets(flows, sure, of_first=True))  # how often each spoke first, beyond doubt
    then = _times_seen(asked, _sockets(flows, spoken_to, of_first=False))  # how often others did
    begins = ((first >= SURE) & (first > then)) | ((then == 0) & (_peers(flows, speaks, asked, began_ns) >= SPOKEN_TO))
    answer: Bools = begins[np.searchsorted(asked, _sockets(flows, told, of_first=True))]
    doubted = told[~answer]
    is_target = np.zeros(PORTS, np.bool_)
    is_target[_ports(flows, doubted, of_first=False)] = True
    beyond_doubt = others[(flags & np.uint8(TOLD_BY_PORTS) == 0) & is_target[target]]
    answer[~answer] = _times_seen(_pairs(flows, doubted), _pairs(flows, beyond_doubt)) >= SPOKEN_TO
    return answer


def _times_seen(asked: UInt64s, among: UInt64s) -> Int64s:
    """How often each of these numbers is among those."""
    keys, counts = np.unique(among, return_counts=True)
    if not keys.size:
        return np.zeros(asked.size, np.int64)
    place = np.minimum(np.searchsorted(keys, asked), keys.size - 1)
    return np.where(keys[place] == asked, counts[place], 0)


def _peers(flows: Flows, speaks: npt.NDArray[np.intp], asked: UInt64s, began_ns: int) -> Int64s:
    """By socket, to how many addresses it spoke first, in flows that were not under way."""
    row, starts = flows.row, flows.segments["start"][flows.first_segment[speaks]]
    late = speaks[starts - began_ns >= UNDER_WAY_NS]
    sockets = _sockets(flows, late, of_first=True)
    first_is_a = row["flags"][late] & np.uint8(FIRST_IS_A) != 0
    high = np.where(first_is_a, row["b_hi"][late], row["a_hi"][late])
    low = np.where(first_is_a, row["b_lo"][late], row["a_lo"][late])
    _keys, one_of_each = np.unique(row_keys(0, [sockets, high, low]), return_index=True)
    return _times_seen(asked, sockets[one_of_each])


def _pairs(flows: Flows, which: npt.NDArray[np.intp]) -> UInt64s:
    """A number for the first sender's address and the socket it sent to: a flood goes through its own ports."""
    row = flows.row
    first_is_a = row["flags"][which] & np.uint8(FIRST_IS_A) != 0
    address = [np.where(first_is_a, row[f"a_{word}"][which], row[f"b_{word}"][which]) for word in ("hi", "lo")]
    return row_keys(0, [*address, _sockets(flows, which, of_first=False)])


def _ports(flows: Flows, which: npt.NDArray[np.intp], *, of_first: bool) -> npt.NDArray[np.uint16]:
    """The port of these flows' first senders, or of the other ends."""
    is_a = (flows.row["flags"][which] & np.uint8(FIRST_IS_A) != 0) == of_first
    return np.where(is_a, flows.row["a_port"][which], flows.row["b_port"][which])


def _sockets(flows: Flows, which: npt.NDArray[np.intp], *, of_first: bool) -> UInt64s:
    """A number for the socket (address, port, protocol) of these flows' first senders, or of the other ends."""
    row = flows.row
    is_a = (row["flags"][which] & np.uint8(FIRST_IS_A) != 0) == of_first
    columns = [np.where(is_a, row[f"a_{name}"][which], row[f"b_{name}"][which]) for name in ("hi", "lo", "port")]
    return row_keys(0, [*columns, row["proto"][which]])
