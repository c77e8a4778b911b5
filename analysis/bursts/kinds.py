"""What each flow is by size, answer and ports: probe, sync, heavy, media, service or ordinary. No payload is read."""

import numpy as np

from peerburst.analysis.hosts.flow_facts import ANSWERED, FROM_A, FlowFacts, SomeFacts
from peerburst.capture.compiled.shapes import Records, UInt8s
from peerburst.capture.flows.record import Flows
from peerburst.capture.packets.ip import PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP, PROTO_UDP
from peerburst.capture.packets.ports import SERVICE_PORTS, server_ports
from peerburst.capture.vocabulary import FlowKind

HEAVY_BYTES = 500_000  # CAIDA's split of mice and elephants lies at about 0.5 MB
SYNC_BYTES = 64_000  # Skype's fetched messages and contact lists stay below 73 kB (SkypeIRC.cap)
PROBE_PACKETS = 2
# Chen et al. 2006, as Bonfiglio et al. 2007 use it: a call sends 10 to 100 packets a second, of 30 to 300 bytes,
# for more than 10 seconds. Both ways together and with IP and UDP headers, that is:
MEDIA_PACKETS_PER_S = (10.0, 250.0)
MEDIA_LARGEST_MEAN = 400
MEDIA_SECONDS = 10.0
AT_ONCE = 1 << 16  # flows judged together: what is made of them on the way stays small
MEDIA_LEAST_SHARE = 0.2  # of the packets that the quieter side sends


def flow_kinds(flows: Flows, facts: FlowFacts, *, answers_seen: bool = True) -> UInt8s:
    """Kind per flow. Where one direction alone was captured (`answers_seen` False), none that rests on answers."""
    kinds = np.empty(flows.row.size, np.uint8)
    for low in range(0, kinds.size, AT_ONCE):
        some = np.arange(low, min(low + AT_ONCE, kinds.size), dtype=np.int32)
        kinds[low : low + AT_ONCE] = _kinds(flows.row[low : low + AT_ONCE], facts.of(some), answers_seen)
    return kinds


def _kinds(row: Records, facts: SomeFacts, answers_seen: bool) -> UInt8s:
    answered, orig_is_a = facts.outcome & ANSWERED != 0, facts.outcome & FROM_A != 0
    seconds = (facts.last_ns - facts.start_ns) / 1e9
    packets = facts.packets.astype(np.float64)
    mean = facts.ip_bytes / np.maximum(packets, 1)
    rate = packets / np.maximum(seconds, 1e-9)
    quieter = np.minimum(row["a_pkts"], row["b_pkts"]) / np.maximum(packets, 1)
    is_udp, is_icmp = row["proto"] == PROTO_UDP, np.isin(row["proto"], (PROTO_ICMP, PROTO_ICMPV6))
    resp_port = np.where(orig_is_a, row["b_port"], row["a_port"])
    service = is_icmp | ((is_udp | (row["proto"] == PROTO_TCP)) & np.isin(resp_port, SERVICE_PORTS))
    media = (
        is_udp
        & (seconds >= MEDIA_SECONDS)
        & (rate >= MEDIA_PACKETS_PER_S[0])
        & (rate <= MEDIA_PACKETS_PER_S[1])
        & (mean <= MEDIA_LARGEST_MEAN)
        & (quieter >= MEDIA_LEAST_SHARE)
    )
    heavy = facts.ip_bytes >= HEAVY_BYTES
    probe = (~answered | (is_udp & (packets <= PROBE_PACKETS))) & answers_seen
    unknown_port = server_ports()[resp_port] == 0
    sync = answered & unknown_port & (facts.ip_bytes < SYNC_BYTES) & answers_seen
    kinds = np.full(row.size, FlowKind.ORDINARY, np.uint8)
    for kind, is_kind in (
        (FlowKind.SYNC, sync),
        (FlowKind.PROBE, probe),
        (FlowKind.HEAVY, heavy),
        (FlowKind.MEDIA, media),
        (FlowKind.SERVICE, service),
    ):
        kinds[is_kind] = kind
    return kinds
