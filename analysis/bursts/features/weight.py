"""What the flows of each set weigh: how bytes spread over them, how full packets are, what is heavy, film or voice."""

import numpy as np

from peerburst.analysis.bursts.features.sets import Measured, Scratch, Sets, median
from peerburst.capture.compiled.kernel import kernel, part
from peerburst.capture.compiled.shapes import Int64s, Record, Records, UInt8s
from peerburst.capture.compiled.sorting import sort_run
from peerburst.capture.packets.ip import PROTO_UDP
from peerburst.capture.vocabulary import FlowKind

HEAVY = int(FlowKind.HEAVY)
# A player that is ahead of the film pauses between segments, of 2 to 10 s as a rule; a transfer hardly ever stalls for
# a second, and whoever reads pauses longer.
LEAST_PAUSES = 2
LONGEST_SEGMENT_S = 20.0  # from one pause to the next, on average
# A film by RTP (RFC 3550): as steady as a call, and nothing goes back but a report now and then. An acknowledged
# transfer (QUIC) has at least one packet back for ten or twenty.
ONE_WAY_RTP_MOST_BACK = 0.02  # of the packets
# A codec sends 16 to 100 packets a second each way (60 to 10 ms of sound in each); a download's acknowledgements are a
# few hundredths of its bytes, a picture sent the other way a tenth or more.
STEADY_LEAST_S = 5.0
STEADY_PACKETS_PER_S = 20.0
VOICE_LEAST_SHARE = 0.08  # of the bytes that the quieter side sends
VOICE_SHORTEST_S = 5.0  # from one pause to the next, on average: who talks does not fall silent again and again


@kernel
def measure_sizes(ip_bytes: Int64s, kind: UInt8s, sets: Sets, room: Scratch, features: Records) -> None:
    """How the bytes spread over the flows of each set."""
    sizes, spare = room.values, room.spare
    for g in range(sets.begins.size):
        n = sets.stops[g] - sets.begins[g]
        total, heavy = 0, 0
        for i in range(n):
            f = sets.begins[g] + i
            sizes[i] = ip_bytes[f]
            total += ip_bytes[f]
            heavy += ip_bytes[f] if kind[f] == HEAVY else 0
        if not n:
            continue
        sort_run(sizes, 0, n, spare)
        largest3 = 0
        for i in range(max(0, n - 3), n):
            largest3 += sizes[i]
        row, whole = features[g], max(total, 1)
        row["median_bytes"] = median(sizes, n)
        row["largest_bytes"] = sizes[n - 1]
        row["top3_bytes_share"] = largest3 / whole
        row["heavy_bytes_share"] = heavy / whole


@part
def _is_steady(flow: Record, packets: int, seconds: float) -> bool:
    """Whether a flow (FLOW) is UDP with as many packets as voice or picture have."""
    return flow["proto"] == PROTO_UDP and seconds >= STEADY_LEAST_S and packets / seconds >= STEADY_PACKETS_PER_S


@part
def _is_voice(flow: Record, seconds: float, pauses: int) -> bool:
    """Whether a steady flow (FLOW) goes on all the while and both sides fill it."""
    quieter = np.float64(min(flow["a_bytes"], flow["b_bytes"]))
    whole = np.float64(max(flow["a_bytes"] + flow["b_bytes"], np.uint64(1)))
    return bool(pauses * VOICE_SHORTEST_S <= seconds and quieter / whole >= VOICE_LEAST_SHARE)


@part
def _is_one_way_rtp(flow: Record, packets: int) -> bool:
    """Whether a steady flow (FLOW) goes one way, and somebody is there."""
    back = np.int64(min(flow["a_pkts"], flow["b_pkts"]))
    return bool(0 < back <= ONE_WAY_RTP_MOST_BACK * packets)


@kernel
def measure_weight(measured: Measured, sets: Sets, voice: Int64s, features: Records) -> None:
    """How full the packets of each set are, how fast what is heavy, and how much of it comes in segments.

    Fills `voice`, beside the flows, with the bytes of those that are voice.
    """
    rows, flow, facts = measured.flows.rows, measured.flows.flow, measured.facts
    for g in range(sets.begins.size):
        total, count, heavy, heavy_ns, segmented = 0, 0, 0, 0, 0
        for i in range(sets.begins[g], sets.stops[g]):
            row, ip_bytes, packets, pauses = rows[flow[i]], facts.ip_bytes[i], facts.packets[i], facts.pauses[i]
            ns = facts.last_ns[i] - facts.start_ns[i]
            seconds = ns / 1e9
            total += ip_bytes
            count += packets
            if measured.kind[i] == HEAVY:
                heavy += ip_bytes
                heavy_ns += ns
                if pauses >= LEAST_PAUSES and pauses * LONGEST_SEGMENT_S >= seconds:
                    segmented += ip_bytes
            voice[i] = 0
            if _is_steady(row, packets, seconds):
                if _is_voice(row, seconds, pauses):
                    voice[i] = ip_bytes
                elif _is_one_way_rtp(row, packets):
                    segmented += ip_bytes
        mine = features[g]
        mine["bytes_per_packet"] = total / max(count, 1)
        mine["segmented_bytes_share"] = segmented / max(total, 1)
        # Over a second at least: what came in an instant has no rate.
        mine["heavy_bytes_per_s"] = heavy / max(heavy_ns / 1e9, 1.0)
