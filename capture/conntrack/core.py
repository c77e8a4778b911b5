"""What holds for entries of every protocol: which packet opens one, and when one is over.

After net/netfilter/nf_conntrack_core.c, which asks the tracker of the packet's protocol.
"""

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.shapes import Bool, Int, Record
from peerburst.capture.conntrack.icmp import icmp_new
from peerburst.capture.conntrack.states import ESTABLISHED, GRE, LINUX_TIMEOUTS_NS, NONE, PHASE_OTHER, SCTP, UDP
from peerburst.capture.conntrack.tcp import tcp_new
from peerburst.capture.conntrack.udp import is_udp
from peerburst.capture.packets.icmp import is_icmp
from peerburst.capture.packets.ip import PROTO_GRE, PROTO_SCTP, PROTO_TCP


@part
def new_entry(packet: Record, index: Int) -> tuple[int, int]:
    """(state, phase) of the entry that a packet (PACKET) opens where there is none; (NONE, NONE) if it opens none.

    `index` says what a TCP packet is: TCP_SYN_SET and the like.
    """
    proto = packet["proto"]
    if proto == PROTO_TCP:
        return tcp_new(index)
    if is_udp(proto):
        return ESTABLISHED, UDP
    if is_icmp(proto):
        return icmp_new(proto, packet["icmp_type"])
    if proto == PROTO_GRE:
        return ESTABLISHED, GRE
    if proto == PROTO_SCTP:
        return ESTABLISHED, SCTP
    return ESTABLISHED, PHASE_OTHER  # nf_conntrack_proto_generic.c


@part
def is_expired(phase: Int, renewed: Int, ts: Int) -> Bool:
    """Whether an entry, if there is one, is past its timeout at the instant `ts` (nf_ct_is_expired)."""
    return phase != NONE and ts >= renewed + LINUX_TIMEOUTS_NS[phase]
