"""Linux's own rules for one connection: its states, TCP's state table, UDP's stream rule, and the timeouts.

How a TCP packet moves a live entry is in `tcptrack`. The rules are those of the kernel's
net/netfilter/nf_conntrack_proto_tcp.c and nf_conntrack_proto_udp.c (6.x), the timeouts those of
Documentation/networking/nf_conntrack-sysctl.rst. The flow table runs them on every packet; gateway models then work on
the states and instants that it keeps.
"""

from enum import IntEnum

import numpy as np

from peerburst.capture.compiled.kernel import part
from peerburst.capture.units import SECOND_NS


class Phase(IntEnum):
    """Which timeout an entry runs under. The first ten are Linux's TCP states, in the kernel's order."""

    NONE = 0  # no entry
    SYN_SENT = 1
    SYN_RECV = 2
    ESTABLISHED = 3
    FIN_WAIT = 4
    CLOSE_WAIT = 5
    LAST_ACK = 6
    TIME_WAIT = 7
    CLOSE = 8
    SYN_SENT2 = 9
    RETRANSMITTED = 10  # TCP: three retransmissions without an answer
    UNACKNOWLEDGED = 11  # TCP: data or a mid-stream pick-up that nobody has acknowledged
    UDP = 12
    UDP_STREAM = 13
    ICMP = 14
    OTHER = 15


PHASES = len(Phase)

LINUX_TIMEOUTS_S = {
    Phase.NONE: 0,
    Phase.SYN_SENT: 120,
    Phase.SYN_RECV: 60,
    Phase.ESTABLISHED: 432_000,
    Phase.FIN_WAIT: 120,
    Phase.CLOSE_WAIT: 60,
    Phase.LAST_ACK: 30,
    Phase.TIME_WAIT: 120,
    Phase.CLOSE: 10,
    Phase.SYN_SENT2: 120,
    Phase.RETRANSMITTED: 300,
    Phase.UNACKNOWLEDGED: 300,
    Phase.UDP: 30,
    Phase.UDP_STREAM: 120,
    Phase.ICMP: 30,
    Phase.OTHER: 600,
}
LINUX_TIMEOUTS_NS = np.array([LINUX_TIMEOUTS_S[phase] * SECOND_NS for phase in Phase], np.int64)
UDP_STREAM_AGE_NS = 2 * SECOND_NS

NONE = int(Phase.NONE)
SYN_SENT = int(Phase.SYN_SENT)
ESTABLISHED = int(Phase.ESTABLISHED)
FIN_WAIT = int(Phase.FIN_WAIT)
LAST_ACK = int(Phase.LAST_ACK)
TIME_WAIT = int(Phase.TIME_WAIT)
CLOSE = int(Phase.CLOSE)
SYN_SENT2 = int(Phase.SYN_SENT2)
SYN_RECV = int(Phase.SYN_RECV)
RETRANSMITTED = int(Phase.RETRANSMITTED)
UNACKNOWLEDGED = int(Phase.UNACKNOWLEDGED)
UDP = int(Phase.UDP)
UDP_STREAM = int(Phase.UDP_STREAM)

TCP_FIN, TCP_SYN, TCP_RST, TCP_PSH, TCP_ACK, TCP_URG = 1, 2, 4, 8, 16, 32

# What a TCP packet is to the table (the kernel's enum tcp_bit_set).
IS_SYN, IS_SYNACK, IS_FIN, IS_ACK, IS_RST, IS_NOTHING = range(6)

IGNORED = 32  # may be valid or not: passed on, nothing changes
INVALID = 33

_SS, _SR, _ES, _FW, _CW, _LA, _TW, _CL, _S2 = range(1, 10)
_IG, _IV = IGNORED, INVALID

# tcp_conntracks[direction][packet][state]; direction 0 is that of the packet that opened the entry.
TRANSITIONS = np.array(
    [
        [
            # NONE SYN_SENT SYN_RECV ESTABLISHED FIN_WAIT CLOSE_WAIT LAST_ACK TIME_WAIT CLOSE SYN_SENT2
            [_SS, _SS, _IG, _IG, _IG, _IG, _IG, _SS, _SS, _S2],  # SYN
            [_IV, _IV, _SR, _IV, _IV, _IV, _IV, _IV, _IV, _SR],  # SYN+ACK
            [_IV, _IV, _FW, _FW, _LA, _LA, _LA, _TW, _CL, _IV],  # FIN
            [_ES, _IV, _ES, _ES, _CW, _CW, _TW, _TW, _CL, _IV],  # ACK
            [_IV, _CL, _CL, _CL, _CL, _CL, _CL, _CL, _CL, _CL],  # RST
            [_IV, _IV, _IV, _IV, _IV, _IV, _IV, _IV, _IV, _IV],
        ],
        [
            [_IV, _S2, _IV, _IV, _IV, _IV, _IV, _SS, _IV, _S2],
            [_IV, _SR, _IG, _IG, _IG, _IG, _IG, _IG, _IG, _SR],
            [_IV, _IV, _FW, _FW, _LA, _LA, _LA, _TW, _CL, _IV],
            [_IV, _IG, _SR, _ES, _CW, _CW, _TW, _TW, _CL, _IG],
            [_IV, _CL, _CL, _CL, _CL, _CL, _CL, _CL, _CL, _CL],
            [_IV, _IV, _IV, _IV, _IV, _IV, _IV, _IV, _IV, _IV],
        ],
    ],
    np.uint8,
)


def _packet_kinds() -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """The kind of every combination of the six old flags; those no stack sends are IS_NOTHING (tcp_valid_flags)."""
    kinds = np.full(64, IS_NOTHING, np.uint8)
    valid = {
        TCP_SYN: IS_SYN,
        TCP_SYN | TCP_URG: IS_SYN,
        TCP_SYN | TCP_ACK: IS_SYNACK,
        TCP_RST: IS_RST,
        TCP_RST | TCP_ACK: IS_RST,
        TCP_FIN | TCP_ACK: IS_FIN,
        TCP_FIN | TCP_ACK | TCP_URG: IS_FIN,
        TCP_ACK: IS_ACK,
        TCP_ACK | TCP_URG: IS_ACK,
    }
    for flags, kind in valid.items():
        kinds[flags] = kind
        kinds[flags | TCP_PSH] = kind
    return kinds


PACKET_KINDS = _packet_kinds()

# Marks of an entry.
OPENED_BY_A = 1  # the end with the smaller address and port sent the first packet
REPLIED = 2
ASSURED = 4  # TCP: the handshake is over, or somebody answered a picked up connection


@part
def open_tcp(kind):  # type: ignore[no-untyped-def]
    """(state, phase) of the entry that a TCP packet of this kind opens; (NONE, NONE) if it opens none."""
    state = TRANSITIONS[0, kind, NONE]
    if state == SYN_SENT:
        return SYN_SENT, SYN_SENT
    if state == ESTABLISHED:  # picked up mid-stream (nf_conntrack_tcp_loose); nobody has answered yet
        return ESTABLISHED, UNACKNOWLEDGED
    return NONE, NONE
