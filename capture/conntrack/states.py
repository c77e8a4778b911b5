"""What Linux's connection tracking knows of every connection: states, packets, transitions, status bits, timeouts.

The names are those of include/uapi/linux/netfilter/nf_conntrack_tcp.h, nf_conntrack_common.h and
net/netfilter/nf_conntrack_proto_tcp.c (6.x); the timeouts those of Documentation/networking/nf_conntrack-sysctl.rst.
How a packet moves an entry is in `tcp`, `udp`, `icmp`, `gre` and `sctp`; docs/conntrack.md tells it as a whole.
"""

from enum import IntEnum

import numpy as np

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
    GRE = 16
    GRE_STREAM = 17
    SCTP = 18  # COOKIE_WAIT and COOKIE_ECHOED
    SCTP_ESTABLISHED = 19


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
    Phase.GRE: 30,
    Phase.GRE_STREAM: 180,
    Phase.SCTP: 3,
    Phase.SCTP_ESTABLISHED: 210,
}
LINUX_TIMEOUTS_NS = np.array([LINUX_TIMEOUTS_S[phase] * SECOND_NS for phase in Phase], np.int64)

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
PHASE_ICMP = int(Phase.ICMP)
PHASE_OTHER = int(Phase.OTHER)
GRE = int(Phase.GRE)
GRE_STREAM = int(Phase.GRE_STREAM)
SCTP = int(Phase.SCTP)
SCTP_ESTABLISHED = int(Phase.SCTP_ESTABLISHED)

# Status bits of an entry: Linux's enum ip_conntrack_status, but for the first, which tells who opened it.
OPENED_BY_A = 1  # the end with the smaller address and port sent the first packet
IPS_SEEN_REPLY = 2  # packets have been seen both ways
IPS_ASSURED = 4  # TCP: the handshake is over, or somebody answered a picked up connection

# Directions of an entry: Linux's enum ip_conntrack_dir.
ORIGINAL, REPLY = 0, 1

TCP_FIN, TCP_SYN, TCP_RST, TCP_PSH, TCP_ACK, TCP_URG = 1, 2, 4, 8, 16, 32

# What a TCP packet is to the table: the kernel's enum tcp_bit_set.
TCP_SYN_SET, TCP_SYNACK_SET, TCP_FIN_SET, TCP_ACK_SET, TCP_RST_SET, TCP_NONE_SET = range(6)

IGNORED = 32  # sIG: may be valid or not; passed on, nothing changes
INVALID = 33  # sIV

_SS, _SR, _ES, _FW, _CW, _LA, _TW, _CL, _S2 = range(1, 10)
_IG, _IV = IGNORED, INVALID

# tcp_conntracks[direction][packet][state].
TCP_CONNTRACKS = np.array(
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


def _conntrack_index() -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """What every combination of the six old flags is (get_conntrack_index).

    Those that no stack sends are TCP_NONE_SET (tcp_valid_flags).
    """
    index = np.full(64, TCP_NONE_SET, np.uint8)
    valid = {
        TCP_SYN: TCP_SYN_SET,
        TCP_SYN | TCP_URG: TCP_SYN_SET,
        TCP_SYN | TCP_ACK: TCP_SYNACK_SET,
        TCP_RST: TCP_RST_SET,
        TCP_RST | TCP_ACK: TCP_RST_SET,
        TCP_FIN | TCP_ACK: TCP_FIN_SET,
        TCP_FIN | TCP_ACK | TCP_URG: TCP_FIN_SET,
        TCP_ACK: TCP_ACK_SET,
        TCP_ACK | TCP_URG: TCP_ACK_SET,
    }
    for flags, what in valid.items():
        index[flags] = what
        index[flags | TCP_PSH] = what
    return index


CONNTRACK_INDEX = _conntrack_index()
