"""The features of a set of flows: each with its name, type, unit and words, from which sentences and docs are made.

To add one: a field here, and what fills it in the kernel of this folder that has what it needs.
tests/analysis/bursts/test_features.py says what it lacks then.
"""

from dataclasses import dataclass, field, fields
from enum import Enum

import numpy as np

from peerburst.analysis.humanize import size
from peerburst.capture.compiled.shapes import Records


class Unit(Enum):
    """What a feature is counted in. The value is how the names of such features end."""

    COUNT = "_count"
    SECONDS = "_s"
    PER_SECOND = "_per_s"
    BYTES = "_bytes"
    BYTES_PER_SECOND = "_bytes_per_s"
    PER_PACKET = "_per_packet"
    PER_PEER = "_per_peer"
    SHARE = "_share"  # from 0 to 1
    ENTROPY = "_entropy"  # from 0, all alike, to 1, each another
    PORT = "_port"  # the port itself


def _in(unit: Unit, words: str) -> dict[str, object]:
    """What is known of a feature besides its name and type; `words` is how sentences and docs name it."""
    return {"unit": unit, "words": words}


@dataclass(frozen=True, slots=True)
class Features:
    """What a set does besides asking services (names, time, ping); of one that only does that, what it asks.

    `flow_count`, `total_bytes`, `service_share` and `service_peer_count` are of the whole set, all else of those
    connections. A `_bytes_share` is of bytes, any other `_share` of connections. NaN never: an empty set has zeros.
    """

    flow_count: int = field(metadata=_in(Unit.COUNT, "flows, questions to services among them"))
    # Those that are no questions to services; all, where there is nothing else.
    connection_count: int = field(metadata=_in(Unit.COUNT, "connections"))
    peer_count: int = field(metadata=_in(Unit.COUNT, "peers"))
    duration_s: float = field(metadata=_in(Unit.SECONDS, "seconds from the first connection to the last"))
    most_new_per_s: int = field(metadata=_in(Unit.PER_SECOND, "most new connections in a second"))
    # Begun within half a second of one, itself included: the median.
    simultaneous_count: float = field(metadata=_in(Unit.COUNT, "connections opened together, as a rule"))
    flows_per_peer: float = field(metadata=_in(Unit.PER_PEER, "connections per peer"))
    # IPv6: /32 networks.
    prefixes_per_peer: float = field(metadata=_in(Unit.PER_PEER, "/16 networks per peer"))
    port_count: int = field(metadata=_in(Unit.COUNT, "different ports at the other end"))
    port_entropy: float = field(metadata=_in(Unit.ENTROPY, "entropy of the ports at the other end"))
    busiest_port: int = field(metadata=_in(Unit.PORT, "port at the other end that most went to"))
    busiest_port_share: float = field(metadata=_in(Unit.SHARE, "share to one port"))
    unknown_port_share: float = field(metadata=_in(Unit.SHARE, "share to ports that no known service has"))
    unknown_port_bytes_share: float = field(metadata=_in(Unit.SHARE, "byte share of ports that no known service has"))
    one_local_port_share: float = field(metadata=_in(Unit.SHARE, "share from one local UDP port"))
    busiest_peer_share: float = field(metadata=_in(Unit.SHARE, "share of connections with one peer"))
    busiest_peer_port_count: int = field(metadata=_in(Unit.COUNT, "ports tried of one host"))
    busiest_target_share: float = field(metadata=_in(Unit.SHARE, "share to one address and port"))
    udp_share: float = field(metadata=_in(Unit.SHARE, "share of UDP"))
    answered_share: float = field(metadata=_in(Unit.SHARE, "share answered"))
    refused_share: float = field(metadata=_in(Unit.SHARE, "share refused"))
    inbound_share: float = field(metadata=_in(Unit.SHARE, "share opened from outside"))
    tiny_share: float = field(metadata=_in(Unit.SHARE, "share of two packets or fewer"))
    median_bytes: float = field(metadata=_in(Unit.BYTES, "median size of a connection"))
    total_bytes: int = field(metadata=_in(Unit.BYTES, "bytes in all"))
    largest_bytes: int = field(metadata=_in(Unit.BYTES, "bytes of the largest connection"))
    top3_bytes_share: float = field(metadata=_in(Unit.SHARE, "byte share of the three largest connections"))
    received_bytes_share: float = field(metadata=_in(Unit.SHARE, "share of bytes received"))
    heavy_bytes_share: float = field(metadata=_in(Unit.SHARE, "byte share of heavy connections"))
    # Heavy ones that pause again and again, or steady UDP one way.
    segmented_bytes_share: float = field(
        metadata=_in(Unit.SHARE, "byte share of connections that rest and go on, or come by the clock")
    )
    mail_port_share: float = field(metadata=_in(Unit.SHARE, "share to mail ports"))
    web_port_share: float = field(metadata=_in(Unit.SHARE, "share to web ports"))
    streaming_port_share: float = field(metadata=_in(Unit.SHARE, "share to ports of streaming servers"))
    service_share: float = field(metadata=_in(Unit.SHARE, "share to names, time and address services"))
    service_peer_count: int = field(metadata=_in(Unit.COUNT, "servers asked for names, time or a ping"))
    # TCP without data from the responder, else unanswered.
    mute_share: float = field(metadata=_in(Unit.SHARE, "share in which the other end said nothing"))
    bytes_per_packet: float = field(metadata=_in(Unit.PER_PACKET, "bytes in a packet on average"))
    top_peer_bytes_share: float = field(metadata=_in(Unit.SHARE, "byte share of one peer"))
    # With the one peer that has most of them: voice, video.
    voice_bytes_share: float = field(
        metadata=_in(Unit.SHARE, "byte share of steady UDP exchanges that both sides fill")
    )
    heavy_bytes_per_s: float = field(metadata=_in(Unit.BYTES_PER_SECOND, "bytes a second of heavy connections"))
    # Heavy ones that begin as long after the one before as heavy ones usually do.
    periodic_share: float = field(metadata=_in(Unit.SHARE, "share of heavy connections at equal distances"))


@dataclass(frozen=True, slots=True)
class Feature:
    """What one feature is: its name, how sentences and docs name it, and what it is counted in."""

    name: str
    words: str
    unit: Unit
    is_whole: bool  # counted in whole numbers

    def text(self, value: float) -> str:
        """A value as people read it."""
        if self.unit in (Unit.BYTES, Unit.BYTES_PER_SECOND):
            return size(value)
        return f"{value:.0f}" if self.is_whole else f"{value:.3g}"


ALL = {
    column.name: Feature(column.name, column.metadata["words"], column.metadata["unit"], column.type is int)
    for column in fields(Features)
}

# One row per set of flows, as the kernels fill it.
FEATURES = np.dtype([(feature.name, np.int64 if feature.is_whole else np.float64) for feature in ALL.values()])


def of_rows(rows: Records) -> list[Features]:
    """FEATURES rows as Features."""
    return [Features(*values) for values in rows.tolist()]
