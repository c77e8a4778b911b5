"""UDP and UDP-Lite on Linux's table: one timeout for exchanges, a longer one for streams.

The rule is that of net/netfilter/nf_conntrack_proto_udp.c (5.5 and later): a packet of an entry that has seen a reply
and is more than two seconds old makes it a stream.
"""

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.shapes import Bool, Int
from peerburst.capture.conntrack.states import IPS_SEEN_REPLY, UDP, UDP_STREAM
from peerburst.capture.packets.ip import PROTO_UDP, PROTO_UDPLITE
from peerburst.capture.units import SECOND_NS

STREAM_AGE_NS = 2 * SECOND_NS  # from the packet that opened the entry (stream_ts = jiffies + 2 * HZ)


@part
def is_udp(proto: Int) -> Bool:
    """Whether UDP's rules hold for an IP protocol number."""
    return proto == PROTO_UDP or proto == PROTO_UDPLITE


@part
def udp_packet(status: Int, stream_ts: Int, ts: Int) -> int:
    """The phase whose timeout a datagram leaves at the instant `ts`; `status` is as it was before it."""
    return UDP_STREAM if status & IPS_SEEN_REPLY != 0 and ts > stream_ts else UDP
