"""ICMP and ICMPv6 on Linux's table: queries open entries, errors belong to the entries of what they quote.

The rules are those of net/netfilter/nf_conntrack_proto_icmp.c and nf_conntrack_proto_icmpv6.c (icmp_packet,
valid_new): every packet of an entry begins its one timeout anew.
"""

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.shapes import Int
from peerburst.capture.conntrack.states import ESTABLISHED, NONE, PHASE_ICMP
from peerburst.capture.packets.ip import PROTO_ICMPV6

# valid_new: echo, timestamp, information and address mask requests; ICMPv6 echo request.
ICMP_REQUESTS = (8, 13, 15, 17)
ICMPV6_REQUESTS = (128,)


@part
def icmp_new(proto: Int, icmp_type: Int) -> tuple[int, int]:
    """(state, phase) of the entry that a message opens; (NONE, NONE) if it opens none, as replies and errors do."""
    is_request = icmp_type in ICMPV6_REQUESTS if proto == PROTO_ICMPV6 else icmp_type in ICMP_REQUESTS
    if is_request:
        return ESTABLISHED, PHASE_ICMP
    return NONE, NONE
