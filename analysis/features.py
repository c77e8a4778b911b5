"""What a set of one host's flows looks like, in numbers: what classes are decided on."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from peerburst.analysis.hostflows import FlowFacts, HostFlows
from peerburst.analysis.kinds import Kind
from peerburst.capture.flowtable import server_ports
from peerburst.capture.internet import PROTO_TCP, PROTO_UDP

MAIL_PORTS = (25, 465, 587)
WEB_PORTS = (80, 443, 8080, 8443)
# A player that is ahead of the film rests between segments; a stalled transfer may rest once or twice.
PACED_PAUSES = 3
# A codec sends 16 to 100 packets a second each way (60 to 10 ms of sound in each); a download's acknowledgements are a
# few hundredths of its bytes, a picture sent the other way a tenth or more.
TALK_SECONDS = 5.0
TALK_PACKETS_PER_S = 20.0
TALK_LEAST_SHARE = 0.08
# A player without a lasting connection opens one for each segment of the film, and segments are equally long.
CLOCKED_GAPS = 5
CLOCKED_LEAST_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Features:
    """Shares are of the flows unless named otherwise; NaN never: an empty set has zeros."""

    flows: int
    peers: int  # distinct remote addresses
    seconds: float  # from the first flow's start to the last one's
    per_second: int  # most new flows in any one second
    together: float  # flows begun within half a second of one, itself included: the median
    flows_per_peer: float
    spread: float  # distinct /16 (IPv4) or /32 (IPv6) prefixes per peer
    ports: int  # distinct responder ports
    port_entropy: float  # of responder ports; 0: all one port, 1: each another
    busiest_port: int
    busiest_port_share: float
    unknown_ports: float  # to responder ports that no known service has
    one_local_port: float  # UDP flows from the one local port that has most; services not counted
    busiest_peer_share: float
    ports_of_busiest_peer: int
    target_share: float  # to the one responder address and port that has most
    udp: float
    answered: float
    refused: float
    inbound: float
    tiny: float  # of two packets or fewer
    median_bytes: float
    total_bytes: int
    largest_bytes: int
    top3_bytes: float  # share of the bytes in the three largest flows
    received: float  # share of the bytes that came in
    heavy_bytes: float  # share of the bytes that heavy flows carry
    media_bytes: float
    paced_bytes: float  # share of the bytes that heavy flows carry which pause again and again
    mail: float  # to mail transfer or submission ports
    web: float  # to web ports
    service: float
    half_open: float  # TCP flows that their originator never carried beyond its SYN
    mute: float  # nothing was said: TCP without data from either end, else unanswered
    packet_bytes: float  # IP octets per packet, on average
    top_peer_bytes: float  # share of the bytes that go to or from the one peer that has most
    talk_bytes: float  # share of the bytes in steady UDP exchanges that both sides fill: voice, video
    clocked: float  # share of heavy flows that begin as long after the one before as heavy flows usually do


def _entropy(labels: npt.NDArray[np.int64]) -> float:
    """Shannon entropy of the labels over that of all different ones: 0 to 1."""
    if labels.size < 2:
        return 0.0
    counts = np.unique(labels, return_counts=True)[1] / labels.size
    return float(-(counts * np.log(counts)).sum() / np.log(labels.size)) + 0.0


def distinct(high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.int64], int]:
    """(code per address, how many distinct)."""
    if not high.any():
        values, codes = np.unique(low, return_inverse=True)
        return codes.astype(np.int64), values.size
    values, codes = np.unique(np.stack([high, low], axis=1), axis=0, return_inverse=True)
    return codes.astype(np.int64).ravel(), values.shape[0]


def _prefixes(flows: HostFlows) -> int:
    """Distinct /16 of IPv4 and /32 of IPv6 remotes."""
    is_v4 = (flows.remote_hi == 0) & (flows.remote_lo >> np.uint64(32) == np.uint64(0xFFFF))
    prefix = np.where(is_v4, flows.remote_lo >> np.uint64(16), flows.remote_hi >> np.uint64(32))
    return int(np.unique(prefix).size)


def _busiest(labels: npt.NDArray[np.int64]) -> tuple[int, int]:
    """(the commonest label, how often); (0, 0) of none."""
    if not labels.size:
        return 0, 0
    values, counts = np.unique(labels, return_counts=True)
    best = int(counts.argmax())
    return int(values[best]), int(counts[best])


def _most_in_a_second(starts_ns: npt.NDArray[np.int64]) -> int:
    """Most starts in any window of one second; the starts are in order."""
    if not starts_ns.size:
        return 0
    upto = np.searchsorted(starts_ns, starts_ns + 1_000_000_000, side="left")
    return int((upto - np.arange(starts_ns.size)).max())


def _typically_together(starts_ns: npt.NDArray[np.int64]) -> float:
    """How many starts lie within half a second of one, in the middle of all; the starts are in order."""
    if not starts_ns.size:
        return 0.0
    before = np.searchsorted(starts_ns, starts_ns - 500_000_000, side="left")
    upto = np.searchsorted(starts_ns, starts_ns + 500_000_000, side="right")
    return float(np.median(upto - before))


def _talks(flows: HostFlows, facts: FlowFacts) -> npt.NDArray[np.bool_]:
    """Per flow, whether it is UDP that goes on steadily and that both sides fill."""
    which = flows.flow
    seconds = (facts.last_ns[which] - facts.start_ns[which]) / 1e9
    rate = facts.packets[which] / np.maximum(seconds, 1e-9)
    quieter = np.minimum(flows.sent_bytes, flows.received_bytes) / np.maximum(facts.ip_bytes[which], 1)
    talks: npt.NDArray[np.bool_] = (
        (flows.proto == PROTO_UDP)
        & (seconds >= TALK_SECONDS)
        & (rate >= TALK_PACKETS_PER_S)
        & (quieter >= TALK_LEAST_SHARE)
        & (facts.pauses[which] < PACED_PAUSES)
    )
    return talks


def _clocked(starts_ns: npt.NDArray[np.int64]) -> float:
    """Share of the gaps between starts that lie within a fifth of the median gap; 0 of few or of short gaps."""
    gaps = np.diff(starts_ns)
    if gaps.size < CLOCKED_GAPS:
        return 0.0
    usual = float(np.median(gaps))
    return float(np.mean(np.abs(gaps - usual) <= usual / 5)) if usual >= CLOCKED_LEAST_NS else 0.0


def measure(flows: HostFlows, facts: FlowFacts, kinds: npt.NDArray[np.uint8]) -> Features:
    """The features of these flows of one host; `facts` and `kinds` are of the whole table."""
    which, n = flows.flow, flows.flow.size
    share = 1.0 / max(n, 1)
    starts, size, kind = facts.start_ns[which], facts.ip_bytes[which], kinds[which]
    is_tcp, is_udp = flows.proto == PROTO_TCP, flows.proto == PROTO_UDP
    answered, is_service = facts.answered[which], kind == Kind.SERVICE
    peer, peers = distinct(flows.remote_hi, flows.remote_lo)
    busiest_peer, busiest_peer_flows = _busiest(peer)
    port = np.where(flows.outbound, flows.remote_port, flows.local_port)  # the responder's
    target = np.where(flows.outbound, peer, -1) * 65536 + port
    busiest_port, busiest_port_flows = _busiest(port)
    total = int(size.sum())

    def share_of(chosen: npt.NDArray[np.bool_]) -> float:
        return float(np.count_nonzero(chosen)) * share

    return Features(
        flows=n,
        peers=peers,
        seconds=float(starts[-1] - starts[0]) / 1e9 if n else 0.0,
        per_second=_most_in_a_second(starts),
        together=_typically_together(starts),
        flows_per_peer=n / max(peers, 1),
        spread=_prefixes(flows) / max(peers, 1),
        ports=int(np.unique(port).size),
        port_entropy=_entropy(port),
        busiest_port=busiest_port,
        busiest_port_share=busiest_port_flows * share,
        unknown_ports=share_of((is_tcp | is_udp) & (server_ports()[port] == 0)),
        one_local_port=_busiest(flows.local_port[is_udp & flows.outbound & ~is_service])[1] * share,
        busiest_peer_share=busiest_peer_flows * share,
        ports_of_busiest_peer=int(np.unique(port[peer == busiest_peer]).size),
        target_share=_busiest(target)[1] * share,
        udp=share_of(is_udp),
        answered=share_of(answered),
        refused=share_of(facts.refused[which]),
        inbound=share_of(~flows.outbound),
        tiny=share_of(facts.packets[which] <= 2),
        median_bytes=float(np.median(size)) if n else 0.0,
        total_bytes=total,
        largest_bytes=int(size.max()) if n else 0,
        top3_bytes=float(np.sort(size)[-3:].sum() / max(total, 1)),
        received=float(flows.received_bytes.sum() / max(total, 1)),
        heavy_bytes=float(size[kind == Kind.HEAVY].sum() / max(total, 1)),
        media_bytes=float(size[kind == Kind.MEDIA].sum() / max(total, 1)),
        paced_bytes=float(size[(kind == Kind.HEAVY) & (facts.pauses[which] >= PACED_PAUSES)].sum() / max(total, 1)),
        mail=share_of(is_tcp & np.isin(port, MAIL_PORTS)),
        web=share_of(np.isin(port, WEB_PORTS)),
        service=share_of(is_service),
        half_open=share_of(facts.half_open[which]),
        mute=share_of(facts.mute[which]),
        packet_bytes=total / max(int(facts.packets[which].sum()), 1),
        top_peer_bytes=float(np.bincount(peer, size).max() / max(total, 1)) if n else 0.0,
        talk_bytes=float(size[_talks(flows, facts)].sum() / max(total, 1)),
        clocked=_clocked(starts[kind == Kind.HEAVY]),
    )
