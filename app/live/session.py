"""A live session: packets into the table, a picture of it every tick, alerts, and the verdict at the end.

`LiveView` is all that a screen, a plain line or a JSON line shows; whoever shows it needs nothing else.
"""

import json
import math
import os
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.counting import entries
from peerburst.analysis.gateways import DEFAULT_MODELS, GatewayModel, load
from peerburst.analysis.hosts.programs import attribute
from peerburst.analysis.humanize import one_line
from peerburst.analysis.live.bounded import LiveTable
from peerburst.analysis.live.snapshot import (
    CountHistory,
    HostCount,
    LiveBurst,
    LiveCounts,
    Snapshot,
    kinds_alive,
    latest_burst,
)
from peerburst.analysis.settings import DEFAULT_LIMITS, Settings, load_models
from peerburst.capture.errors import SettingsError
from peerburst.capture.flows.record import Flows
from peerburst.capture.flows.segments import segment_gaps_ns
from peerburst.capture.read import Capture
from peerburst.capture.sockets.observations import SocketObservations
from peerburst.live.alerts import Alert, Messenger, Thresholds, usual_thresholds
from peerburst.render.sentences import CLASS_WORDS

DETAIL_EVERY_S = 1.0  # kinds, burst and programs; counts are of every tick
MOST_HOSTS = 50
MOST_PROGRAMS = 50
MOST_ALERTS = 100
RATE_OVER_S = 2.0
NOTE_EVERY_S = 2.0
NOTE_SUFFIX = ".session.json"
NOTE_SCHEMA = "peerburst/session/1"
DEFAULT_REPORT = "peerburst-report"


@dataclass(frozen=True, slots=True)
class HostLine:
    """One local host now. Seconds since the session's first packet. `new_per_s`: connections of the last second."""

    name: str
    count: int
    talking: int
    peak: int
    peak_at_s: float | None
    new_per_s: int
    is_server: bool  # it opened none itself: the counts are of connections that others opened to it


@dataclass(frozen=True, slots=True)
class ProgramLine:
    """One program of this machine: its flows in memory, and those that the gateway still holds."""

    name: str  # text from outside: no control characters, but never markup either
    flows: int
    alive: int


@dataclass(frozen=True, slots=True)
class BurstLine:
    """The chosen host's latest burst. `provisional`: it still goes on, and its class may change."""

    label: str  # analysis.classify.TrafficClass, as p2p-sync
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
    """Everything there is to show at one instant. Seconds since the session's first packet."""

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
    kinds: tuple[tuple[str, int], ...]  # the chosen host's entries alive, by kind of flow, in the order of Kind
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


class Source(Protocol):
    """Where packets come from; `capture.live.LiveSource` is one."""

    def batches(self, timeout_s: float) -> Iterator[npt.NDArray[np.void] | None]:
        """PACKET rows as they come, None each time that nothing came for `timeout_s`."""

    def stop(self) -> None: ...

    @property
    def drops(self) -> int: ...

    @property
    def warnings(self) -> Sequence[str]: ...

    @property
    def addresses(self) -> Sequence[str]: ...

    @property
    def bytes_kept(self) -> int: ...

    @property
    def ended(self) -> str | None: ...


class Sockets(Protocol):
    """Who watches which program owns which socket; `capture.live.sockets.SocketPoller` is one."""

    def noticed(self, ports: npt.ArrayLike) -> bool: ...

    def observations(self) -> SocketObservations: ...

    def limits(self) -> Sequence[str]: ...

    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """What stays the same during a session; see `Settings` for counting. `tick_s`: from view to view."""

    settings: Settings
    names: tuple[str, ...] = ()  # interfaces, or the file read
    saved_to: str | None = None
    folder: Path | None = None  # of the report; retired flows go there too
    thresholds: tuple[int, ...] = ()  # none: the usual ones, of the limit at the time
    tick_s: float = 0.25


class LiveSession:
    """Runs until its source ends or `stop` is called.

    `host`, `model`, `limit` and `paused` may be set, `stop` and `save_report` called from any thread meanwhile.
    """

    def __init__(
        self,
        source: Source,
        chosen: LiveSettings,
        *,
        sockets: Sockets | None = None,
        messenger: Messenger | None = None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source, self._chosen, self._sockets = source, chosen, sockets
        self._messenger, self._clock_s = messenger, clock_s
        settings = chosen.settings
        self._models = load_models(settings)
        self._model = self._models[0]
        self._limit = settings.limit
        self.host: str | None = None  # None: the busiest
        self.paused = False
        self.alerted = False  # any alert so far
        self.latest: LiveView | None = None
        every = {model.name: model for model in (*self._models, *map(load, DEFAULT_MODELS))}
        gaps_ns = segment_gaps_ns(entries.shortest_gaps_s(list(every.values())))
        self._table = LiveTable(self._model, gaps_ns, folder=chosen.folder)
        self._counts = LiveCounts(self._model, self._limit)
        self._history, self._history_of = CountHistory(), ""
        self._thresholds = Thresholds(chosen.thresholds or usual_thresholds(self._limit))
        self._alerts: deque[AlertLine] = deque(maxlen=MOST_ALERTS)
        self._burst: LiveBurst | None = None
        self._kinds: tuple[tuple[str, int], ...] = ()
        self._programs: tuple[ProgramLine, ...] = ()
        self._detail_s = -math.inf
        self._arrived_s = 0.0
        self._rate = _Rate()
        self._wanted: queue.SimpleQueue[Future[Capture]] = queue.SimpleQueue()
        self._running = threading.Event()
        self._note = SessionNote(chosen.saved_to) if chosen.saved_to is not None else None
        self.interrupted = False

    @property
    def model(self) -> str:
        return self._model.name

    @model.setter
    def model(self, name: str) -> None:
        """Raises SettingsError if there is no such model."""
        self._model = next((model for model in self._models if model.name == name), None) or load(name)

    @property
    def limit(self) -> int:
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        if limit < 1:
            raise SettingsError("a limit must be at least 1 connection")
        self._limit = limit

    def run(self, on_tick: Callable[[LiveView], None]) -> None:
        """Take packets and hand over a view every tick, until the end. Raises CaptureError if nothing can be read."""
        self._running.set()
        try:
            self._take_all(on_tick)
        finally:
            self._running.clear()
            if self._sockets is not None:
                self._sockets.stop()
            self._answer_wishes()
            if self._note is not None:
                self._note.write(self._note_of("interrupted" if self.interrupted else "ended"))

    def _take_all(self, on_tick: Callable[[LiveView], None]) -> None:
        due_s = self._clock_s()
        for packets in self._source.batches(self._chosen.tick_s / 2):
            if packets is not None:
                self._add(packets)
            now_s = self._clock_s()
            if now_s >= due_s:
                due_s = max(due_s + self._chosen.tick_s, now_s)
                self._tick(on_tick)
            self._answer_wishes()
        self._tick(on_tick)

    def _add(self, packets: npt.NDArray[np.void]) -> None:
        ports = self._table.add(packets)
        self._arrived_s = self._clock_s()
        if self._sockets is not None:
            self._sockets.noticed(ports)
        if self._table.is_due():
            self._look(self._table.last_ns or 0)
            self._table.retire()

    def stop(self) -> None:
        """End the capture; `run` returns when what is underway has been taken."""
        self._source.stop()

    def interrupt(self) -> None:
        """End the capture because a person or the system wants it; the side file will say so."""
        self.interrupted = True
        self.stop()

    def _now_ns(self) -> int:
        """The instant of the latest packet, and the time since it came: as good as the packets' own clock."""
        return (self._table.last_ns or 0) + max(0, round((self._clock_s() - self._arrived_s) * 1e9))

    def _analysis(
        self, capture: Capture, models: Sequence[GatewayModel], observations: SocketObservations | None = None
    ) -> Analysis:
        settings = self._chosen.settings
        limits = settings.limits or DEFAULT_LIMITS
        return Analysis(
            capture,
            replace(settings, limits=(self._limit, *(limit for limit in limits if limit != self._limit))),
            models,
            observations,
        )

    def _capture(self, flows: Flows | None = None) -> Capture:
        """Of all flows, unless some are given."""
        return self._table.capture(
            [self._chosen.saved_to or ", ".join(self._chosen.names)],
            flows=flows,
            warnings=self._source.warnings,
            addresses=self._source.addresses,
            drops=self._source.drops,
        )

    def _follow_settings(self) -> None:
        """Begin to count anew, over all flows of the session, when model or limit were changed."""
        if self._counts.model is self._model and self._counts.limit == self._limit:
            return
        if self._counts.model is not self._model:
            self._table.choose(self._model)
        if not self._chosen.thresholds and self._counts.limit != self._limit:
            self._thresholds = Thresholds(usual_thresholds(self._limit))
        self._counts = LiveCounts(self._model, self._limit)
        self._history_of = ""
        if self._table.retired_flows:
            self._counts.snapshot(self._analysis(self._capture(), [self._model]), self._table.last_ns or 0)

    def _look(self, now_ns: int) -> Snapshot:
        self._follow_settings()
        look = self._counts.snapshot(self._analysis(self._capture(self._table.flows()), [self._model]), now_ns)
        self._follow_host(look)
        for host, threshold in self._thresholds.look(
            look.analysis.since_start(now_ns), {host.name: host.most for host in look.hosts}
        ):
            self._alert(look, host, threshold)
        return look

    def _chosen_host(self, look: Snapshot) -> HostCount | None:
        """The one asked for, or the one with the highest count of the session, as in the verdict: it rarely changes."""
        if self.host is not None:
            return next((host for host in look.hosts if host.name == self.host), None)
        return max(
            look.hosts,
            key=lambda host: (not host.is_server, host.peak, host.name == self._history_of),
            default=None,
        )

    def _follow_host(self, look: Snapshot) -> None:
        """Go on with the chosen host's history, from the beginning of the session if it is another host."""
        host = self._chosen_host(look)
        if host is None:
            return
        if host.name != self._history_of:
            self._history, self._history_of, self._burst = CountHistory(), host.name, None
            if self._table.retired_flows:
                whole = LiveCounts(self._model, self._limit).snapshot(
                    self._analysis(self._capture(), [self._model]), look.now_ns
                )
                self._history.extend(whole, next(one for one in whole.hosts if one.name == host.name))
        self._history.extend(look, host)

    def _alert(self, look: Snapshot, name: str, threshold: int) -> None:
        host = next(host for host in look.hosts if host.name == name)
        burst = latest_burst(look, host.number)
        alert = Alert(
            at_s=look.analysis.since_start(look.now_ns),
            host=name,
            count=host.most,
            threshold=threshold,
            limit=self._limit,
            model=self.model,
            label=burst.classification.label.value if burst is not None and burst.provisional else "unknown",
        )
        self.alerted = True
        self._alerts.append(AlertLine(alert.at_s, name, host.most, threshold))
        if self._messenger is not None:
            self._messenger.tell(alert)

    def _tick(self, on_tick: Callable[[LiveView], None]) -> None:
        """Look, and hand over what is seen; while paused only keep watch."""
        look = self._look(self._now_ns()) if self._table.first_ns is not None else None
        if self._note is not None and self._note.is_due(self._clock_s()):
            self._note.write(self._note_of("running"))
        if self.paused and self.latest is not None:
            on_tick(replace(self.latest, paused=True))
            return
        self.latest = self._view(look)
        on_tick(self.latest)

    def _look_closer(self, look: Snapshot, host: HostCount | None) -> None:
        """Once a second: kinds, burst and programs."""
        now_s = self._clock_s()
        if now_s - self._detail_s < DETAIL_EVERY_S:
            return
        self._detail_s = now_s
        self._kinds = kinds_alive(look, host.number) if host is not None else ()
        if host is not None:
            self._burst = latest_burst(look, host.number) or self._burst
        if self._sockets is not None:
            self._programs = _programs(look, self._sockets.observations())

    def _view(self, look: Snapshot | None) -> LiveView:
        host: HostCount | None = None
        hosts: tuple[HostLine, ...] = ()
        if look is not None:
            host = self._chosen_host(look)
            self._look_closer(look, host)
            hosts = tuple(_host_line(look.analysis, one) for one in look.hosts[:MOST_HOSTS])
            if host is not None and host not in look.hosts[:MOST_HOSTS]:
                hosts = (*hosts[:-1], _host_line(look.analysis, host))
        line = _host_line(look.analysis, host) if look is not None and host is not None else None
        chosen, packets = self._chosen, self._table.packets
        return LiveView(
            now_s=look.analysis.since_start(look.now_ns) if look is not None else 0.0,
            packets=packets,
            packets_per_s=self._rate.of(packets, self._clock_s()),
            drops=self._source.drops,
            interfaces=chosen.names,
            saved_to=chosen.saved_to,
            bytes_written=self._source.bytes_kept,
            model=self.model,
            limit=self._limit,
            crossed_at_s=_since(look, host.crossed_at_ns) if look is not None and host is not None else None,
            host=line.name if line is not None else self.host,
            count=line.count if line is not None else 0,
            talking=line.talking if line is not None else 0,
            peak=line.peak if line is not None else 0,
            peak_at_s=line.peak_at_s if line is not None else None,
            new_per_s=line.new_per_s if line is not None else 0,
            hosts=hosts,
            history=History(*self._history.arrays()),
            programs=self._programs,
            kinds=self._kinds,
            burst=_burst_line(look, self._burst) if look is not None and self._burst is not None else None,
            alerts=tuple(self._alerts),
            live_flows=self._table.live_flows,
            retired_flows=self._table.retired_flows,
            memory_mb=memory_mb(),
            paused=self.paused,
            warnings=self._warnings(),
        )

    def _warnings(self) -> tuple[str, ...]:
        sockets = self._sockets.limits() if self._sockets is not None else ()
        note = self._note.warnings if self._note is not None else ()
        return (*self._source.warnings, *self._table.warnings, *note, *sockets)

    def _note_of(self, state: str) -> dict[str, object]:
        return {
            "state": state,
            "reason": self._source.ended or ("interrupted" if self.interrupted else ""),
            "interfaces": list(self._chosen.names),
            "packets": self._table.packets,
            "drops": self._source.drops,
            "bytes": self._source.bytes_kept,
            "first_packet_ns": self._table.first_ns,
            "last_packet_ns": self._table.last_ns,
            "warnings": list(self._source.warnings),
        }

    def _answer_wishes(self) -> None:
        """Give those who want a report all flows so far."""
        while True:
            try:
                wish = self._wanted.get_nowait()
            except queue.Empty:
                return
            wish.set_result(self._capture())

    def analysis(self) -> Analysis:
        """All that the session saw, as `analyze` would answer of the saved file. May be asked from any thread."""
        wish: Future[Capture] = Future()
        self._wanted.put(wish)
        if not self._running.is_set():
            self._answer_wishes()
        others = [model for model in self._models if model.name != self.model]
        observations = self._sockets.observations() if self._sockets is not None else None
        return self._analysis(wish.result(), [self._model, *others], observations)

    def save_report(self) -> Path:
        """Write the report of the session so far, beside the capture if no folder was named.

        Raises SettingsError if there is nothing to report yet, or the folder cannot be written.
        """
        from peerburst.render import report

        analysis = self.analysis()
        folder = self._chosen.folder or Path(DEFAULT_REPORT)
        report.write(analysis, folder, self.chosen_name(analysis), self._limit)
        return folder

    def chosen_name(self, analysis: Analysis) -> str:
        """The host that the verdict speaks of; raises SettingsError where there is none."""
        return self.host if self.host in analysis.host_names else analysis.busiest()

    def close(self) -> None:
        """Remove temporary files."""
        self._table.close()


class SessionNote:
    """The side file that says how a session went: after a kill it still says `running`, and when it last was."""

    def __init__(self, saved_to: str) -> None:
        self._path = Path(saved_to + NOTE_SUFFIX)
        self._due_s = -math.inf
        self.warnings: tuple[str, ...] = ()
        self._started = _utc_now()

    def is_due(self, now_s: float) -> bool:
        if now_s < self._due_s:
            return False
        self._due_s = now_s + NOTE_EVERY_S
        return True

    def write(self, facts: dict[str, object]) -> None:
        """Replace the file by these facts, whole; a disk that is full costs a warning."""
        text = json.dumps(
            {"schema": NOTE_SCHEMA, "started": self._started, "last_alive": _utc_now(), **facts}, indent=1
        )
        unfinished = self._path.with_name(self._path.name + ".unfinished")
        try:
            unfinished.write_text(text + "\n", encoding="utf-8")
            unfinished.replace(self._path)
        except OSError as error:
            self.warnings = (f"{self._path}: cannot be written: {error.strerror or error}",)


class _Rate:
    """Packets per second over the last few seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def of(self, packets: int, now_s: float) -> float:
        self._seen.append((now_s, packets))
        while len(self._seen) > 2 and now_s - self._seen[0][0] > RATE_OVER_S:
            self._seen.popleft()
        seconds = now_s - self._seen[0][0]
        return (packets - self._seen[0][1]) / seconds if seconds > 0 else 0.0


def _utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _since(look: Snapshot, instant_ns: int | None) -> float | None:
    return None if instant_ns is None else look.analysis.since_start(instant_ns)


def _host_line(analysis: Analysis, host: HostCount) -> HostLine:
    return HostLine(
        name=host.name,
        count=host.count,
        talking=host.talking,
        peak=host.peak,
        peak_at_s=analysis.since_start(host.peak_at_ns),
        new_per_s=host.new,
        is_server=host.is_server,
    )


def _burst_line(look: Snapshot, burst: LiveBurst) -> BurstLine:
    found = burst.classification
    return BurstLine(
        label=found.label.value,
        says=CLASS_WORDS[found.label.value],
        provisional=burst.provisional,
        confidence=found.confidence,
        started_s=look.analysis.since_start(burst.start_ns),
        seconds=(burst.last_ns - burst.start_ns) / 1e9,
        connections=burst.features.flows,
        inbound=burst.inbound,
        evidence=tuple(evidence.says for evidence in found.evidence),
    )


def _programs(look: Snapshot, observations: SocketObservations) -> tuple[ProgramLine, ...]:
    """Flows in memory and entries alive by program."""
    flows = look.analysis.capture.flows
    codes, names = attribute(flows, look.analysis.ends, observations)
    everywhere = np.bincount(codes, minlength=len(names))
    alive = np.bincount(codes[look.held.entry["flow"][look.alive]], minlength=len(names))
    lines = [
        ProgramLine(one_line(name), int(count), int(held))
        for name, count, held in zip(names, everywhere, alive, strict=True)
        if count
    ]
    return tuple(sorted(lines, key=lambda line: (-line.alive, -line.flows, line.name))[:MOST_PROGRAMS])


def memory_mb() -> float:
    """What this process holds in memory (resident, MB)."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:  # not Linux: the most it ever held
        import resource

        largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return largest / 1e6 if sys.platform == "darwin" else largest / 1e3
