"""Captures in notebooks and scripts: open one, get DataFrames and figures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from peerburst.analysis import gateways as models_of_gateways
from peerburst.analysis.bursts.features.record import ALL
from peerburst.analysis.settings import Settings
from peerburst.opening import analyse

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

Path_like = str | os.PathLike[str]


def open(
    *captures: Path_like,
    models: Sequence[str] = (),
    limits: Sequence[int] = (),
    local_nets: Sequence[str] | None = None,
    include_lan: bool = False,
    inner: bool = False,
    gateway: str | None = None,
    side: str | None = None,
    per: str | None = None,
) -> OpenCapture:
    """Read one or more captures (pcap or pcapng, compressed or not; `-` is standard input) as one stream.

    `models`: gateway models by name or file, the headline model first; by default the usual ones. `limits`:
    connections per host, the one to draw first; by default the usual ones. `local_nets`: networks of local hosts; by
    default the private ranges and what the capture says. `include_lan`: count traffic between local hosts too.
    `inner`: follow tunnels. `gateway`: its address or MAC; by default as the capture tells. `side`: of a router seen
    from both sides, `lan` or `wan`. `per`: what a limit is per, `address`, `prefix`, `mac` or `machine`. Raises
    CaptureError for a file that cannot be read, SettingsError for a setting that makes no sense.
    """
    settings = Settings(
        models=tuple(models),
        limits=tuple(limits),
        local_nets=None if local_nets is None else tuple(local_nets),
        include_lan=include_lan,
        follow_tunnels=inner,
        gateway=gateway,
        side=side,
        per=per,
    )
    return OpenCapture([os.fspath(path) for path in captures], settings)


def gateways() -> pd.DataFrame:
    """The gateway models that come with peerburst: title and timeouts in seconds, one row each."""
    rows = {
        model.name: {"title": model.title, **{phase: model.timeout_s(phase) for phase in models_of_gateways.PHASES}}
        for model in models_of_gateways.shipped()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


# Columns of the tables and what they hold, so that a table without rows has them all.
BURST_TYPES: dict[str, type] = {
    "host": str,
    "inbound": bool,
    "start_s": float,
    "end_s": float,
    "class": str,
    "confidence": float,
    "evidence": str,
}
TIMELINE_TYPES = {"t_s": float, "at": int, "max": int, "mean": float, "talking": int}


def _sheet_that_says(text: str) -> Figure:
    from matplotlib.figure import Figure

    sheet = Figure()
    sheet.text(0.5, 0.5, text, ha="center", va="center")
    return sheet


class OpenCapture:
    """A capture that has been read. Hosts are named by their address; the default host is the one with most entries."""

    def __init__(self, paths: Sequence[str], settings: Settings) -> None:
        self.settings = settings
        self.analysis = analyse(paths, settings)

    @property
    def host(self) -> str | None:
        """The host that held most entries under the headline model; None where no host is local."""
        return self.analysis.busiest() if self.analysis.ranked else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What went wrong while reading."""
        return self.analysis.capture.warnings

    @property
    def statuses(self) -> pd.Series[int]:
        """How many packets were decoded, and how many were not, by reason."""
        return pd.Series({status.name.lower(): count for status, count in self.analysis.capture.statuses.items()})

    @property
    def flows(self) -> pd.DataFrame:
        """One row per flow: Zeek's names, times in UTC, bytes by the IP length field."""
        return self.analysis.flows

    @property
    def hosts(self) -> pd.DataFrame:
        """One row per local host: flows, peers, bytes, class, and the peak under each model."""
        rows = {
            host.name: {
                "flows": host.flows,
                "peers": host.peers,
                "ip_bytes": host.ip_bytes,
                "class": host.classification.label.value,
                **{name: peak.peak for name, peak in host.models.items()},
            }
            for host in self.analysis.hosts
        }
        models = {model.name: int for model in self.analysis.models}
        types = {"flows": int, "peers": int, "ip_bytes": int, "class": str} | models
        return pd.DataFrame.from_dict(rows, orient="index", columns=list(types)).astype(types)

    @property
    def bursts(self) -> pd.DataFrame:
        """One row per burst: host, seconds from the first packet, class, and the features it was decided on."""
        types = BURST_TYPES | {name: int if feature.is_whole else float for name, feature in ALL.items()}
        rows = [
            {
                "host": burst.host,
                "inbound": burst.inbound,
                "start_s": burst.start_s,
                "end_s": burst.end_s,
                "class": burst.classification.label.value,
                "confidence": burst.classification.confidence,
                "evidence": "; ".join(evidence.says for evidence in burst.classification.evidence),
                **{name: getattr(burst.features, name) for name in burst.features.__slots__},
            }
            for burst in self.analysis.bursts
        ]
        return pd.DataFrame(rows, columns=list(types)).astype(types)

    def timeline(self, host: str | None = None, *, model: str | None = None, step_s: float = 1.0) -> pd.DataFrame:
        """The host's count every `step_s` seconds: at that instant, the largest and mean until the next, talking."""
        chosen = host or self.host
        if chosen is None:
            return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in TIMELINE_TYPES.items()})
        return self.analysis.timeline(chosen, self._model(model), step_s=step_s)

    def matrix(self, host: str | None = None) -> pd.DataFrame:
        """Models down, limits across: the second at which the host exceeded the limit, NaN if it never did."""
        chosen = host or self.host
        if chosen is None:
            return pd.DataFrame(columns=list(self.analysis.limits), dtype=float)
        return self.analysis.matrix(chosen)

    def plot(self, name: str = "timeline", host: str | None = None, *, model: str | None = None) -> Figure:
        """A picture by its name in `analysis.figures.registry.FIGURES` (those of a report), as a matplotlib figure.

        Where no host is local it is a sheet that says so.
        """
        from peerburst.analysis.figures import registry

        chosen = host or self.host
        if chosen is None:
            registry.module(name)  # refuses a name that no picture has
            return _sheet_that_says("No local host sent or received anything.")
        return registry.figure(self.analysis, name, chosen, model=self._model(model))

    def report(self, folder: Path_like, host: str | None = None) -> list[Path]:
        """Write pictures, sentences and numbers into a folder; returns the paths of its files."""
        from peerburst.render import report

        return report.write(self.analysis, folder, host or self.analysis.busiest())

    def _model(self, name: str | None) -> str:
        return name or self.analysis.models[0].name
