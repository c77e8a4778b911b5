"""What is shown of a live session at one instant.

A screen, a plain line or a JSON line needs nothing but a `LiveView`. Times are seconds since the first packet.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class HostLine:
    """One local host now. `new_per_s`: connections opened in the last second."""

    name: str
    count: int
    talking: int
    peak: int
    peak_at_s: float | None
    new_per_s: int
    is_server: bool  # it opened none: the counts are of connections that others opened to it


@dataclass(frozen=True, slots=True)
class ProgramLine:
    """One program of this machine: its flows in memory, and those that the gateway still holds."""

    name: str  # from outside: without control characters, and never to be read as markup
    flows: int
    alive: int


@dataclass(frozen=True, slots=True)
class BurstLine:
    """The chosen host's latest burst. `provisional`: it goes on, and its class may change."""

    label: str  # its class: the value of a TrafficClass, as p2p-sync
    says: str  # the class in words
    provisional: bool
    confidence: float  # 0 to 1
    started_s: float
    seconds: float  # from its first new connection to its last
    connections: int
    inbound: bool
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AlertLine:
    """A threshold that a host's count rose to."""

    at_s: float
    host: str
    count: int
    threshold: int


@dataclass(frozen=True, slots=True)
class History:
    """The chosen host's count at whole seconds of the last hour, oldest first; three arrays of one length."""

    t_s: npt.NDArray[np.float64]
    count: npt.NDArray[np.int64]
    talking: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LiveView:
    """Everything there is to show at one instant."""

    now_s: float
    packets: int
    packets_per_s: float
    drops: int  # lost by interface or system: counts are then "at least"
    interfaces: tuple[str, ...]
    saved_to: str | None  # the file being written, or None
    bytes_written: int
    model: str
    limit: int
    crossed_at_s: float | None  # when the chosen host first exceeded the limit
    host: str | None  # the chosen one, or the busiest; None before there is any
    count: int  # of the chosen host, now
    talking: int
    peak: int
    peak_at_s: float | None
    new_per_s: int
    hosts: tuple[HostLine, ...]  # the busiest first
    history: History
    programs: tuple[ProgramLine, ...]  # the most alive first
    kinds: tuple[tuple[str, int], ...]  # the chosen host's entries alive, by kind of flow, in the order of the kinds
    burst: BurstLine | None
    alerts: tuple[AlertLine, ...]  # the latest last
    live_flows: int  # in memory
    retired_flows: int  # on disk
    memory_mb: float
    paused: bool
    warnings: tuple[str, ...]

    @property
    def lingering(self) -> int:
        """Entries that the gateway only remembers."""
        return self.count - self.talking
