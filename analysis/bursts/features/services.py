"""Questions to services: told from the rest of each set, counted, and whom they ask."""

import numpy as np

from peerburst.analysis.bursts.features.sets import Sets
from peerburst.analysis.hosts.peers import HostFlowColumns, PeerRoom, gather_remotes, number_peers
from peerburst.capture.compiled.kernel import kernel
from peerburst.capture.compiled.shapes import Int64s, Records, UInt8s
from peerburst.capture.vocabulary import FlowKind

SERVICE = int(FlowKind.SERVICE)


@kernel
def move_services_last(
    kind: UInt8s, given: HostFlowColumns, sets: Sets, moved: HostFlowColumns, middles: Int64s
) -> None:
    """Copy each set to `moved`, its questions to services last; they begin at `middles`. `kind` is beside `given`."""
    for g in range(sets.begins.size):
        at = sets.begins[g]
        for asks in (False, True):
            middles[g] = at if asks else middles[g]
            for i in range(sets.begins[g], sets.stops[g]):
                if (kind[i] == SERVICE) == asks:
                    moved.flow[at], moved.outbound[at] = given.flow[i], given.outbound[i]
                    at += 1


@kernel
def measure_services(
    flows: HostFlowColumns,
    ip_bytes: Int64s,
    sets: Sets,
    middles: Int64s,
    seed: np.uint64,
    room: PeerRoom,
    features: Records,
) -> None:
    """Each set as a whole, and whom its questions ask, which begin at `middles`; `ip_bytes` is beside the flows."""
    for g in range(sets.begins.size):
        begin, middle, stop = sets.begins[g], middles[g], sets.stops[g]
        total = 0
        for i in range(begin, stop):
            total += ip_bytes[i]
        gather_remotes(flows, middle, stop, room)
        row = features[g]
        row["flow_count"] = stop - begin
        row["total_bytes"] = total
        row["service_share"] = (stop - middle) / max(stop - begin, 1)
        row["service_peer_count"] = number_peers(stop - middle, seed, room)
