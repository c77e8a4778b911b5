"""GRE on Linux's table: one timeout as long as nobody has answered, a longer one after that.

The rule is that of net/netfilter/nf_conntrack_proto_gre.c (nf_conntrack_gre_packet). PPTP's helper, which tells calls
between two hosts apart by their numbers, is not modelled: two addresses have one entry.
"""

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.shapes import Int
from peerburst.capture.conntrack.states import GRE, GRE_STREAM, IPS_SEEN_REPLY


@part
def gre_packet(status: Int) -> int:
    """The phase whose timeout a packet leaves; `status` is as it was before it."""
    return GRE_STREAM if status & IPS_SEEN_REPLY != 0 else GRE
