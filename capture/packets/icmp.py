"""ICMP and ICMPv6 messages (RFC 792, RFC 950, RFC 4443): which are queries, and what stands for their ports."""

import numpy as np

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.shapes import Bool, Int
from peerburst.capture.packets.ip import PROTO_ICMP, PROTO_ICMPV6

# Queries and their replies carry an identifier: echo, timestamp, information, address mask; ICMPv6 echo.
ICMP_QUERIES = (0, 8, 13, 14, 15, 16, 17, 18)
ICMPV6_QUERIES = (128, 129)
# Those of them that answer.
ICMP_REPLIES = (0, 14, 16, 18)
ICMPV6_REPLIES = (129,)


@part
def is_icmp(proto: Int) -> Bool:
    """Whether an IP protocol number is ICMP's or ICMPv6's."""
    return proto == PROTO_ICMP or proto == PROTO_ICMPV6


@part
def is_icmp_query(proto: Int, icmp_type: Int) -> Bool:
    """Whether a message carries an identifier."""
    if proto == PROTO_ICMPV6:
        return icmp_type in ICMPV6_QUERIES
    return icmp_type in ICMP_QUERIES


@part
def is_icmp_reply(proto: Int, icmp_type: Int) -> Bool:
    """Whether a message answers a query."""
    if proto == PROTO_ICMPV6:
        return icmp_type in ICMPV6_REPLIES
    return icmp_type in ICMP_REPLIES


@part
def icmp_ports(proto: Int, icmp_type: Int, icmp_code: Int, icmp_id: Int) -> tuple[np.int64, np.int64]:
    """(the sender's, the receiver's): what stands where TCP has ports, when a message is told from others.

    A query and its reply are one flow by their identifier, as NATs map them (RFC 5508). Any other message goes one way
    and is told by type and code.
    """
    if is_icmp_query(proto, icmp_type):
        return np.int64(icmp_id), np.int64(icmp_id)
    return np.int64(icmp_type) << 8 | np.int64(icmp_code), np.int64(0)
