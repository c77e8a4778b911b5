"""Whether a capture is of a mirror: packets that a switch or router sends to a sensor, each whole in a tunnel."""

import numpy as np

from peerburst.capture.flows.record import Flows
from peerburst.capture.packets.ip import PROTO_GRE, PROTO_UDP
from peerburst.capture.packets.ports import GENEVE_PORT, TZSP_PORT, VXLAN_PORT, VXLAN_PORT_OF_LINUX

MIRROR_PORTS = (VXLAN_PORT, VXLAN_PORT_OF_LINUX, GENEVE_PORT, TZSP_PORT)
# Beside the mirror the sensor's own few packets may be there: its ARP, a login.
LEAST_SHARE = 0.9
MOST_ENDS = 8  # pairs of mirror and sensor


def is_mirror(flows: Flows) -> bool:
    """Whether nearly all packets are in a tunnel such as mirrors use, between few ends: VXLAN, Geneve, TZSP, ERSPAN.

    ERSPAN is GRE, which others use too; a mirror's goes one way.
    """
    row = flows.row
    packets = row["a_pkts"].astype(np.int64) + row["b_pkts"]
    is_at_port = np.isin(row["a_port"], MIRROR_PORTS) | np.isin(row["b_port"], MIRROR_PORTS)
    is_one_way = (row["a_pkts"] == 0) | (row["b_pkts"] == 0)
    inside = ((row["proto"] == PROTO_UDP) & is_at_port) | ((row["proto"] == PROTO_GRE) & is_one_way)
    if not packets.size or int(packets[inside].sum()) < LEAST_SHARE * int(packets.sum()):
        return False
    ends = np.stack([row[name][inside] for name in ("a_hi", "a_lo", "b_hi", "b_lo")])
    return bool(np.unique(ends, axis=1).shape[1] <= MOST_ENDS)
