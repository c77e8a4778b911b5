"""With whom the flows of each set were."""

from typing import NamedTuple

import numpy as np

from peerburst.analysis.bursts.features.sets import PORTS, Measured, PortScratch, Scratch, Sets, count_runs
from peerburst.analysis.hosts.peers import PeerRoom, gather_remotes, number_peers
from peerburst.capture.compiled.kernel import kernel, part
from peerburst.capture.compiled.shapes import Int64s, Records
from peerburst.capture.compiled.sorting import sort_run
from peerburst.capture.flows.record import ORIG_IS_A


class Rooms(NamedTuple):
    """Room to work on one set at a time."""

    sets: Scratch
    peers: PeerRoom
    ports: PortScratch


@part
def _prefix(high: np.uint64, low: np.uint64) -> np.int64:
    """A number for the /16 (IPv4) or /32 (IPv6) of an address."""
    is_v4 = high == 0 and low >> np.uint64(32) == np.uint64(0xFFFF)
    return np.int64(low >> np.uint64(16) if is_v4 else high >> np.uint64(32))


@part
def _busiest_peer(room: PeerRoom, n: int, peers: int, count: Int64s) -> tuple[int, int]:
    """(number, flows) of the peer with most of the n flows; of equals, the one with the lowest address.

    `count` is room for as many values as there are peers.
    """
    high, low, code, first = room.high, room.low, room.code, room.first
    for k in range(peers):
        count[k] = 0
    for i in range(n):
        count[code[i]] += 1
    best, most = 0, 0
    for k in range(peers):
        c, b = first[k], first[best]
        lower = high[c] < high[b] or (high[c] == high[b] and low[c] < low[b])
        if count[k] > most or (count[k] == most and lower):
            best, most = k, count[k]
    return best, most


@part
def _most_of_one(values: Int64s, begin: int, n: int, room: PeerRoom, peers: int, sums: Int64s) -> tuple[int, int]:
    """(the sum of values[begin:begin + n], that of the peer with most of it); `sums` is room for one for each peer."""
    code = room.code
    for k in range(peers):
        sums[k] = 0
    total, most = 0, 0
    for i in range(n):
        sums[code[i]] += values[begin + i]
        total += values[begin + i]
        most = max(most, sums[code[i]])
    return total, most


@kernel
def measure_peers(
    measured: Measured, voice: Int64s, sets: Sets, seed: np.uint64, room: Rooms, features: Records
) -> None:
    """How flows, bytes, `voice` (bytes beside the flows) and ports spread over peers and networks."""
    table, flow, outbound = measured.flows
    a_port, b_port, flags = table["a_port"], table["b_port"], table["flags"]
    values, targets, spare, of_busiest = room.sets.values, room.sets.more, room.sets.spare, room.ports.seen
    found = room.peers
    for g in range(sets.begins.size):
        begin, n = sets.begins[g], sets.stops[g] - sets.begins[g]
        gather_remotes(measured.flows, begin, sets.stops[g], found)
        peers = number_peers(n, seed, found)
        busiest, busiest_flows = _busiest_peer(found, n, peers, values)
        total, top = _most_of_one(measured.facts.ip_bytes, begin, n, found, peers, values)
        top_voice = _most_of_one(voice, begin, n, found, peers, values)[1]
        for k in range(peers):
            values[k] = _prefix(found.high[found.first[k]], found.low[found.first[k]])
        sort_run(values, 0, peers, spare)
        prefixes = count_runs(values, peers)[0]
        ports = 0
        for i in range(n):
            f = flow[begin + i]
            port = b_port[f] if flags[f] & ORIG_IS_A else a_port[f]  # the responder's
            targets[i] = (np.int64(found.code[i] + 1) if outbound[begin + i] else 0) * PORTS + port
            if found.code[i] == busiest:
                ports += not of_busiest[port]
                of_busiest[port] = True
        for i in range(n):  # cleared for the next set
            of_busiest[targets[i] % PORTS] = False
        sort_run(targets, 0, n, spare)
        row, share = features[g], 1.0 / max(n, 1)
        row["peer_count"] = peers
        row["flows_per_peer"] = n / max(peers, 1)
        row["prefixes_per_peer"] = prefixes / max(peers, 1)
        row["busiest_peer_share"] = busiest_flows * share
        row["top_peer_bytes_share"] = top / max(total, 1)
        row["voice_bytes_share"] = top_voice / max(total, 1)
        row["busiest_peer_port_count"] = ports
        row["busiest_target_share"] = count_runs(targets, n)[1] * share
