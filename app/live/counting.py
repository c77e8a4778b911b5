"""What a live session counts: its flows under one model and limit, with the history of the host that is shown."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.gateways import DEFAULT_MODELS, GatewayModel, load
from peerburst.analysis.gateways.compiled import shortest_gaps_s
from peerburst.analysis.live.bounded import LiveTable
from peerburst.analysis.live.snapshot import CountHistory, HostCount, LiveCounts, Snapshot
from peerburst.analysis.settings import load_models
from peerburst.capture.errors import SettingsError
from peerburst.capture.flows.record import Flows
from peerburst.capture.flows.segments import segment_gaps_ns
from peerburst.capture.read import Capture
from peerburst.capture.sockets.observations import SocketObservations
from peerburst.live.options import LiveOptions
from peerburst.live.protocols import Source


class SessionCounts:
    """Takes packets and gives snapshots. Model, limit and `host` may change at any time, from any thread.

    When model or limit have changed, the next snapshot begins to count anew, over all flows of the session.
    """

    def __init__(self, source: Source, options: LiveOptions) -> None:
        self._source, self._options = source, options
        self.settings = options.settings
        self._models = load_models(options.settings)
        self.model = self._models[0]
        self.host = options.host  # None: the busiest
        self.history = CountHistory()  # of the chosen host
        self._history_of = ""
        folder = Path(options.output) if options.output is not None else None
        self.table = LiveTable(self.model, _gaps_ns(self._models), folder=folder)
        self._counts = LiveCounts(self.model, self.settings.limit)

    def choose_model(self, name: str) -> None:
        """Count under this model; raises SettingsError if there is none."""
        self.model = next((model for model in self._models if model.name == name), None) or load(name)

    def choose_limit(self, limit: int) -> None:
        """Compare the counts with this limit; raises SettingsError below 1."""
        if limit < 1:
            raise SettingsError("a limit must be at least 1 connection")
        self.settings = self._options.settings.with_limit(limit)

    def snapshot(self, now_ns: int) -> Snapshot:
        """Count at an instant, and go on with the chosen host's history."""
        self._follow_choices()
        snapshot = self._counts.snapshot(self._analysis(self.capture(self.table.flows())), now_ns)
        self._follow_host(snapshot)
        return snapshot

    def _follow_choices(self) -> None:
        """Begin to count anew if model or limit have changed."""
        model, limit = self.model, self.settings.limit
        if self._counts.model is model and self._counts.limit == limit:
            return
        if self._counts.model is not model:
            self.table.choose(model)
        self._counts = LiveCounts(model, limit)
        self._history_of = ""
        if self.table.retired_flows:
            self._counts.snapshot(self._analysis(self.capture()), self.table.last_ns or 0)

    def chosen_host(self, snapshot: Snapshot) -> HostCount | None:
        """The host asked for or, as in the summary, the one with the highest peak, which rarely changes."""
        if self.host is not None:
            return next((host for host in snapshot.hosts if host.name == self.host), None)
        return max(
            snapshot.hosts,
            key=lambda host: (not host.is_server, host.peak, host.name == self._history_of),
            default=None,
        )

    def _follow_host(self, snapshot: Snapshot) -> None:
        """Go on with the chosen host's history, from the beginning of the session if it is another host."""
        host = self.chosen_host(snapshot)
        if host is None:
            return
        if host.name != self._history_of:
            self.history, self._history_of = CountHistory(), host.name
            if self.table.retired_flows:
                counts = LiveCounts(self._counts.model, self._counts.limit)
                whole = counts.snapshot(self._analysis(self.capture()), snapshot.now_ns)
                self.history.extend(whole, next(one for one in whole.hosts if one.name == host.name))
        self.history.extend(snapshot, host)

    def capture(self, flows: Flows | None = None) -> Capture:
        """The session's capture so far, of all flows unless some are given."""
        return self.table.capture(
            [self._options.write or ", ".join(self._options.sources)],
            flows=flows,
            warnings=self._source.warnings,
            addresses=self._source.addresses,
            drops=self._source.drops,
            link_facts=self._source.link_facts,
        )

    def _analysis(self, capture: Capture) -> Analysis:
        return Analysis(capture, self.settings, [self._counts.model])

    def whole_analysis(self, capture: Capture, observations: SocketObservations | None) -> Analysis:
        """The answers of a capture under all models, the one that counts first."""
        others = [model for model in self._models if model.name != self.model.name]
        return Analysis(capture, self.settings, [self.model, *others], observations)


def _gaps_ns(models: Sequence[GatewayModel]) -> npt.NDArray[np.int64]:
    """The silences that end a segment, under these models and those that may be chosen later."""
    every = {model.name: model for model in (*models, *map(load, DEFAULT_MODELS))}
    return segment_gaps_ns(shortest_gaps_s(list(every.values())))
