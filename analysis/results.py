"""What an analysis answers: a host in numbers, its peak under a model, a burst."""

from dataclasses import dataclass

from peerburst.analysis.bursts.classify import Classification
from peerburst.analysis.bursts.features import Features


@dataclass(frozen=True, slots=True)
class Burst:
    """A time in which a host opened, or was sent, connections far faster than usual. Seconds from the first packet."""

    host: str
    inbound: bool  # the connections came to the host
    start_s: float
    end_s: float  # when the last of its connections began
    base_per_s: float
    share_of_connections: float  # of all the host's
    share_of_bytes: float
    features: Features
    classification: Classification


@dataclass(frozen=True, slots=True)
class ModelPeak:
    """The most entries a host held under one model. Seconds since the first packet, None where there is none."""

    peak: int
    peak_at_s: float | None
    talking: int
    lingering: int
    crossed_at_s: dict[int, float | None]
    above_s: dict[int, float]


@dataclass(frozen=True, slots=True)
class Host:
    """A local host in numbers. `flows`, `peers` and `ip_bytes` are of all its unicast traffic.

    `models` are about the connections it opened through the gateway; of a host that opened none (`is_server`), about
    those opened to it.
    """

    name: str
    flows: int
    peers: int
    ip_bytes: int
    models: dict[str, ModelPeak]
    is_server: bool
    inbound_peak: int  # entries that others opened to it, under the first model
    classification: Classification
