"""Measures sets of flows: what is known of each flow is gathered once, then one kernel fills each group of features."""

from collections.abc import Iterator

import numpy as np

from peerburst.analysis.bursts.features.answers import measure_answers
from peerburst.analysis.bursts.features.peers import Rooms, measure_peers
from peerburst.analysis.bursts.features.ports import measure_ports
from peerburst.analysis.bursts.features.record import FEATURES, Features, of_rows
from peerburst.analysis.bursts.features.services import measure_services, move_services_last
from peerburst.analysis.bursts.features.sets import Measured, Sets, port_scratch, scratch
from peerburst.analysis.bursts.features.times import measure_period, measure_times
from peerburst.analysis.bursts.features.weight import measure_sizes, measure_weight
from peerburst.analysis.hosts.flow_facts import FlowFacts
from peerburst.analysis.hosts.index import HostFlows
from peerburst.analysis.hosts.peers import HostFlowColumns, new_seed, peer_room
from peerburst.capture.compiled.parallel import processors, side_by_side
from peerburst.capture.compiled.shapes import Bools, Int32s, Int64s, Records, UInt8s
from peerburst.capture.packets.ports import server_ports

PART_FLOWS = 1 << 14  # flows measured together: what is gathered of them lies in the processor's cache


def _parts(begins: Int64s, stops: Int64s) -> Iterator[slice]:
    """Neighbouring sets that lie within some PART_FLOWS flows, or one set of more."""
    low = 0
    edges = list(zip(begins.tolist(), stops.tolist(), strict=True))
    for number, (begin, stop) in enumerate(edges):
        if number > low and (stop - edges[low][0] > PART_FLOWS or begin < edges[number - 1][1]):
            yield slice(low, number)
            low = number
    if edges:
        yield slice(low, len(edges))


def measure_sets(
    flow: Int32s, outbound: Bools, begins: Int64s, stops: Int64s, facts: FlowFacts, kinds: UInt8s
) -> Records:
    """FEATURES of sets of flows, each of one host: flow[begins[i]:stops[i]], in the order they began.

    `outbound` tells beside `flow` which the host opened; `facts` and `kinds` are of the whole table. Sets that lie side
    by side are measured together, in memory that is bounded by the largest.
    """
    features, servers, seed, rows = np.zeros(begins.size, FEATURES), server_ports(), new_seed(), facts.row

    def measure_part(part: slice) -> None:
        low = begins[part.start]
        of, sets = slice(low, stops[part.stop - 1]), Sets(begins[part] - low, stops[part] - low)
        given, moved = (HostFlowColumns(rows, flow[of].copy(), outbound[of].copy()) for _ in range(2))
        middles = np.empty_like(sets.begins)
        move_services_last(kinds[given.flow], given, sets, moved, middles)
        measured = Measured(moved, kinds[moved.flow], facts.of(moved.flow))
        largest, filled = int((sets.stops - sets.begins).max()), features[part]
        room = Rooms(scratch(largest), peer_room(largest), port_scratch())
        with np.errstate(over="ignore"):
            measure_services(moved, measured.facts.ip_bytes, sets, middles, seed, room.peers, filled)
        connections = Sets(sets.begins, np.where(middles > sets.begins, middles, sets.stops))
        _measure_connections(measured, connections, servers, room, filled)
        voice = np.empty(moved.flow.size, np.int64)
        measure_weight(measured, connections, voice, filled)
        with np.errstate(over="ignore"):
            measure_peers(measured, voice, connections, seed, room, filled)

    side_by_side(measure_part, _parts(begins, stops), most=processors())
    return features


def _measure_connections(measured: Measured, sets: Sets, servers: UInt8s, room: Rooms, features: Records) -> None:
    facts, kind = measured.facts, measured.kind
    measure_times(facts.start_ns, sets, room.sets, features)
    measure_sizes(facts.ip_bytes, kind, sets, room.sets, features)
    measure_period(facts.start_ns, facts.last_ns, kind, sets, room.sets, features)
    measure_answers(facts.packets, facts.outcome, sets, features)
    measure_ports(measured, servers, sets, room.ports, features)


def measure(flows: HostFlows, facts: FlowFacts, kinds: UInt8s) -> Features:
    """The features of these flows of one host; `facts` and `kinds` are of the whole table."""
    ends = np.array([0, flows.flow.size], np.int64)
    return of_rows(measure_sets(flows.flow.astype(np.int32), flows.outbound, ends[:1], ends[1:], facts, kinds))[0]
