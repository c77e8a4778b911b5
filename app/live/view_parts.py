"""The parts of a view, made of a snapshot of the counts."""

import math
import os
import sys
from collections import deque
from collections.abc import Callable

import numpy as np

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.hosts.programs import attribute
from peerburst.analysis.humanize import one_line
from peerburst.analysis.live.snapshot import HostCount, LiveBurst, Snapshot, kinds_alive, latest_burst
from peerburst.capture.sockets.observations import SocketObservations
from peerburst.live.view import BurstLine, HostLine, ProgramLine

DETAIL_EVERY_S = 1.0
MOST_HOSTS = 50
MOST_PROGRAMS = 50
RATE_OVER_S = 2.0

NO_HOST = HostLine(name="", count=0, talking=0, peak=0, peak_at_s=None, new_per_s=0, is_server=False)


def host_line(analysis: Analysis, host: HostCount) -> HostLine:
    """One host as it is shown."""
    return HostLine(
        name=host.name,
        count=host.count,
        talking=host.talking,
        peak=host.peak,
        peak_at_s=analysis.since_start(host.peak_at_ns),
        new_per_s=host.new,
        is_server=host.is_server,
    )


def host_lines(snapshot: Snapshot, chosen: HostCount | None) -> tuple[HostLine, ...]:
    """The busiest hosts, as many as are shown; the chosen one is always among them."""
    shown = list(snapshot.hosts[:MOST_HOSTS])
    if chosen is not None and chosen not in shown:
        shown[-1] = chosen
    return tuple(host_line(snapshot.analysis, host) for host in shown)


def burst_line(snapshot: Snapshot, burst: LiveBurst) -> BurstLine:
    """A burst as it is shown."""
    found = burst.classification
    return BurstLine(
        label=found.label.value,
        says=found.label.says,
        provisional=burst.provisional,
        confidence=found.confidence,
        started_s=snapshot.analysis.since_start(burst.start_ns),
        seconds=(burst.last_ns - burst.start_ns) / 1e9,
        connections=burst.features.flow_count,
        inbound=burst.inbound,
        evidence=tuple(evidence.says for evidence in found.evidence),
    )


def program_lines(snapshot: Snapshot, observations: SocketObservations) -> tuple[ProgramLine, ...]:
    """The programs with the most entries alive, each with its flows in memory."""
    flows = snapshot.analysis.capture.flows
    codes, names = attribute(flows, snapshot.analysis.ends, observations)
    everywhere = np.bincount(codes, minlength=len(names))
    alive = np.bincount(codes[snapshot.held.entry["flow"][snapshot.alive]], minlength=len(names))
    lines = [
        ProgramLine(one_line(name), int(count), int(held))
        for name, count, held in zip(names, everywhere, alive, strict=True)
        if count
    ]
    return tuple(sorted(lines, key=lambda line: (-line.alive, -line.flows, line.name))[:MOST_PROGRAMS])


class Details:
    """What is updated once a second: kinds and latest burst of the chosen host, and this machine's programs."""

    def __init__(self) -> None:
        self.kinds: tuple[tuple[str, int], ...] = ()
        self.burst: LiveBurst | None = None
        self.programs: tuple[ProgramLine, ...] = ()
        self._host: str | None = None
        self._due_s = -math.inf

    def update(
        self,
        snapshot: Snapshot,
        host: HostCount | None,
        now_s: float,
        observations: Callable[[], SocketObservations] | None,
    ) -> None:
        """Update, if a second has passed. `observations` gives the sockets seen; None where nobody watches them."""
        if host is not None and host.name != self._host:
            self._host, self.burst = host.name, None
        if now_s < self._due_s:
            return
        self._due_s = now_s + DETAIL_EVERY_S
        self.kinds = kinds_alive(snapshot, host.number) if host is not None else ()
        if host is not None:
            self.burst = latest_burst(snapshot, host.number) or self.burst
        if observations is not None:
            self.programs = program_lines(snapshot, observations())


class PacketRate:
    """Packets per second over the last few seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def of(self, packets: int, now_s: float) -> float:
        """The rate now, with so many packets since the start."""
        self._seen.append((now_s, packets))
        while len(self._seen) > 2 and now_s - self._seen[0][0] > RATE_OVER_S:
            self._seen.popleft()
        seconds = now_s - self._seen[0][0]
        return (packets - self._seen[0][1]) / seconds if seconds > 0 else 0.0


def memory_mb() -> float:
    """What this process holds in memory (resident, MB)."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:  # where there is no /proc: the most it ever held
        import resource

        largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return largest / 1e6 if sys.platform == "darwin" else largest / 1e3
