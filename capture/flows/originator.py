"""Which end began a flow, as Zeek decides (its `likely_server_ports` and the flipping of connections)."""

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.shapes import Bool, Int, Record, UInt8s
from peerburst.capture.conntrack.states import TCP_SYN_SET, TCP_SYNACK_SET
from peerburst.capture.conntrack.udp import is_udp
from peerburst.capture.packets.ip import PROTO_TCP


@part
def is_flipped(packet: Record, index: Int, servers: UInt8s) -> Bool:
    """Whether the first packet seen (PACKET) comes from the responder; `servers` is 1 of each likely server's port.

    A SYN comes from the originator, a SYN+ACK from the responder; a TCP flow met mid-stream, and any UDP flow, is
    turned round if its source port is a likely server's and its destination port is not.
    """
    proto = packet["proto"]
    if proto == PROTO_TCP:
        if index == TCP_SYN_SET:
            return False
        if index == TCP_SYNACK_SET:
            return True
    elif not is_udp(proto):
        return False
    by_ports: Bool = servers[packet["sport"]] != 0 and servers[packet["dport"]] == 0
    return by_ports
