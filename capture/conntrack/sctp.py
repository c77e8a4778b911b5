"""SCTP on Linux's table, as far as it can be told without reading chunks: under way, or established.

net/netfilter/nf_conntrack_proto_sctp.c goes by chunk types. The handshake's states, COOKIE_WAIT and COOKIE_ECHOED, have
3 s; the first packet after an answer is the COOKIE ECHO, which the COOKIE ACK follows at once, so from there on an
association is taken to be ESTABLISHED. Its shutdown (3 s), abort (10 s) and unanswered heartbeats (30 s) are not seen.
"""

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.shapes import Int
from peerburst.capture.conntrack.states import IPS_SEEN_REPLY, SCTP, SCTP_ESTABLISHED


@part
def sctp_packet(status: Int) -> int:
    """The phase whose timeout a packet leaves; `status` is as it was before it."""
    return SCTP_ESTABLISHED if status & IPS_SEEN_REPLY != 0 else SCTP
