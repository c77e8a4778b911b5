"""A live session: counts packets as they come, shows a view every tick, and answers for the whole at the end."""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.live.snapshot import Snapshot
from peerburst.capture.read import Capture
from peerburst.live import view_parts
from peerburst.live.alerts import AlertWatch, Messenger
from peerburst.live.counting import SessionCounts
from peerburst.live.note import SessionNote
from peerburst.live.options import LiveOptions
from peerburst.live.protocols import Sockets, Source
from peerburst.live.view import History, LiveView

TICK_S = 0.25
DEFAULT_REPORT = "peerburst-report"


class LiveSession:
    """Runs until its source ends or `stop` is called.

    `host`, `model`, `limit` and `paused` may be set, `stop` and `save_report` called from any thread meanwhile. A model
    or limit that makes no sense raises SettingsError.
    """

    def __init__(
        self,
        source: Source,
        options: LiveOptions,
        *,
        sockets: Sockets | None = None,
        messenger: Messenger | None = None,
        tick_s: float = TICK_S,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`tick_s`: seconds from view to view."""
        self._source, self._options, self._sockets = source, options, sockets
        self._tick_s, self._clock_s = tick_s, clock_s
        self._counts = SessionCounts(source, options)
        self._alerts = AlertWatch(options, messenger)
        self._details = view_parts.Details()
        self._rate = view_parts.PacketRate()
        self._note = SessionNote(options.write) if options.write is not None else None
        self.paused = False
        self.interrupted = False
        self.latest: LiveView | None = None
        self._arrived_s = 0.0  # when the latest packets came
        self._requests: queue.SimpleQueue[Future[Capture]] = queue.SimpleQueue()
        self._running = threading.Event()

    @property
    def host(self) -> str | None:
        """The host to show; None for the busiest."""
        return self._counts.host

    @host.setter
    def host(self, name: str | None) -> None:
        self._counts.host = name

    @property
    def model(self) -> str:
        """The name of the gateway model that counts."""
        return self._counts.model.name

    @model.setter
    def model(self, name: str) -> None:
        self._counts.choose_model(name)

    @property
    def limit(self) -> int:
        """The limit that the view is about."""
        return self._counts.settings.limit

    @limit.setter
    def limit(self, limit: int) -> None:
        self._counts.choose_limit(limit)

    @property
    def has_alerted(self) -> bool:
        """Whether there was an alert so far."""
        return self._alerts.has_alerted

    def run(self, on_tick: Callable[[LiveView], None]) -> None:
        """Take packets and hand over a view every tick, until the end. Raises CaptureError if nothing can be read."""
        self._running.set()
        try:
            self._take_all(on_tick)
        finally:
            self._running.clear()
            if self._sockets is not None:
                self._sockets.stop()
            self._answer_requests()
            if self._note is not None:
                self._note.write(self._facts("interrupted" if self.interrupted else "ended"))

    def _take_all(self, on_tick: Callable[[LiveView], None]) -> None:
        due_s = self._clock_s()
        for packets in self._source.batches(self._tick_s / 2):
            if packets is not None:
                self._add(packets)
            now_s = self._clock_s()
            if now_s >= due_s:
                due_s = max(due_s + self._tick_s, now_s)
                self._tick(on_tick)
            self._answer_requests()
        self._tick(on_tick)

    def _add(self, packets: npt.NDArray[np.void]) -> None:
        ports = self._counts.table.add(packets)
        self._arrived_s = self._clock_s()
        if self._sockets is not None:
            self._sockets.noticed(ports)
        if self._counts.table.is_due():
            self._take_snapshot(self._counts.table.last_ns or 0)
            self._counts.table.retire()

    def _tick(self, on_tick: Callable[[LiveView], None]) -> None:
        """Count, and hand over a view: while paused, the one of before."""
        snapshot = self._take_snapshot(self._now_ns()) if self._counts.table.first_ns is not None else None
        if self._note is not None and self._note.is_due(self._clock_s()):
            self._note.write(self._facts("running"))
        if self.paused and self.latest is not None:
            on_tick(replace(self.latest, paused=True))
            return
        self.latest = self._view(snapshot)
        on_tick(self.latest)

    def _now_ns(self) -> int:
        """The time by the packets' clock: that of the latest packet, and how long ago it came."""
        return (self._counts.table.last_ns or 0) + max(0, round((self._clock_s() - self._arrived_s) * 1e9))

    def _take_snapshot(self, now_ns: int) -> Snapshot:
        snapshot = self._counts.snapshot(now_ns)
        self._alerts.check(snapshot)
        return snapshot

    def stop(self) -> None:
        """End the capture; `run` returns when the packets underway are counted."""
        self._source.stop()

    def interrupt(self) -> None:
        """Stop because a person or the system asks for it; the side file says so."""
        self.interrupted = True
        self.stop()

    def close(self) -> None:
        """Remove temporary files."""
        self._counts.table.close()

    def _view(self, snapshot: Snapshot | None) -> LiveView:
        host = self._counts.chosen_host(snapshot) if snapshot is not None else None
        if snapshot is not None:
            observations = self._sockets.observations if self._sockets is not None else None
            self._details.update(snapshot, host, self._clock_s(), observations)
        line, crossed_at_s = view_parts.NO_HOST, None
        if snapshot is not None and host is not None:
            line = view_parts.host_line(snapshot.analysis, host)
            if host.crossed_at_ns is not None:
                crossed_at_s = snapshot.analysis.since_start(host.crossed_at_ns)
        burst, packets = self._details.burst, self._counts.table.packets
        return LiveView(
            now_s=snapshot.analysis.since_start(snapshot.now_ns) if snapshot is not None else 0.0,
            packets=packets,
            packets_per_s=self._rate.of(packets, self._clock_s()),
            drops=self._source.drops,
            interfaces=self._options.sources,
            saved_to=self._options.write,
            bytes_written=self._source.bytes_kept,
            model=self.model,
            limit=self.limit,
            crossed_at_s=crossed_at_s,
            host=line.name or self.host,
            count=line.count,
            talking=line.talking,
            peak=line.peak,
            peak_at_s=line.peak_at_s,
            new_per_s=line.new_per_s,
            hosts=view_parts.host_lines(snapshot, host) if snapshot is not None else (),
            history=History(*self._counts.history.arrays()),
            programs=self._details.programs,
            kinds=self._details.kinds,
            burst=view_parts.burst_line(snapshot, burst) if snapshot is not None and burst is not None else None,
            alerts=self._alerts.latest,
            live_flows=self._counts.table.live_flows,
            retired_flows=self._counts.table.retired_flows,
            memory_mb=view_parts.memory_mb(),
            paused=self.paused,
            warnings=self._warnings(),
        )

    def _warnings(self) -> tuple[str, ...]:
        sockets = self._sockets.limits() if self._sockets is not None else ()
        note = self._note.warnings if self._note is not None else ()
        return (*self._source.warnings, *self._counts.table.warnings, *note, *sockets)

    def _facts(self, state: str) -> dict[str, object]:
        """What the side file says now."""
        return {
            "state": state,
            "reason": self._source.ended or ("interrupted" if self.interrupted else ""),
            "interfaces": list(self._options.sources),
            "packets": self._counts.table.packets,
            "drops": self._source.drops,
            "bytes": self._source.bytes_kept,
            "first_packet_ns": self._counts.table.first_ns,
            "last_packet_ns": self._counts.table.last_ns,
            "warnings": list(self._source.warnings),
        }

    def analysis(self) -> Analysis:
        """The analysis of the whole session, as `analyze` makes it of the saved file. Any thread may ask."""
        request: Future[Capture] = Future()
        self._requests.put(request)
        if not self._running.is_set():
            self._answer_requests()
        observations = self._sockets.observations() if self._sockets is not None else None
        return self._counts.whole_analysis(request.result(), observations)

    def _answer_requests(self) -> None:
        """Hand all flows so far to the threads that wait for them."""
        while True:
            try:
                request = self._requests.get_nowait()
            except queue.Empty:
                return
            request.set_result(self._counts.capture())

    def chosen_name(self, analysis: Analysis) -> str:
        """The host that the summary speaks of; raises SettingsError where there is none."""
        return self.host if self.host in analysis.host_names else analysis.busiest()

    def save_report(self) -> Path:
        """Write the report of the session so far, into DEFAULT_REPORT if no folder was named.

        Raises SettingsError if there is nothing to report yet, or the folder cannot be written.
        """
        from peerburst.render import report

        analysis = self.analysis()
        folder = Path(self._options.output or DEFAULT_REPORT)
        report.write(analysis, folder, self.chosen_name(analysis))
        return folder
