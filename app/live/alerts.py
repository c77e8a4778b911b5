"""Alerts: which hosts' counts have risen to a threshold, and who is notified.

A command is started directly, never through a shell, and finds the facts in its environment: names from the network
are never part of a command line.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from peerburst.analysis.humanize import clock, counted
from peerburst.analysis.live.snapshot import HostCount, Snapshot, latest_burst
from peerburst.capture.errors import SettingsError
from peerburst.live.options import LiveOptions
from peerburst.live.view import AlertLine

CLOSE_TO_LIMIT = 0.8  # of the limit: the first of the usual thresholds
REARM_SHARE = 0.9  # of the threshold: after REARM_S below it, the next rise alerts again
REARM_S = 5.0
MOST_ALERTS = 100  # kept to be shown
TITLE = "peerburst"


@dataclass(frozen=True, slots=True)
class Alert:
    """A host's count rose to a threshold; `at_s` is seconds since the session's first packet."""

    at_s: float
    host: str
    count: int
    threshold: int
    limit: int
    model: str
    label: str  # class of the burst at hand, or unknown

    def sentence(self) -> str:
        """The alert in words."""
        what = "more than the limit" if self.threshold > self.limit else f"{self.threshold:,} or more"
        return (
            f"{clock(self.at_s)}: {self.host} holds {counted(self.count, 'connection')}, {what}, as {self.model}"
            f" counts them; the limit is {self.limit:,}"
        )

    def facts(self) -> dict[str, str]:
        """Environment variables for a command."""
        return {
            "PEERBURST_HOST": self.host,
            "PEERBURST_COUNT": str(self.count),
            "PEERBURST_THRESHOLD": str(self.threshold),
            "PEERBURST_LIMIT": str(self.limit),
            "PEERBURST_MODEL": self.model,
            "PEERBURST_CLASS": self.label,
            "PEERBURST_AT_S": f"{self.at_s:.3f}",
            "PEERBURST_SAYS": self.sentence(),
        }


def usual_thresholds(limit: int) -> tuple[int, ...]:
    """Close to the limit, and above it: a limit of 200 lets 200 connections through."""
    return tuple(sorted({max(1, round(CLOSE_TO_LIMIT * limit)), limit + 1}))


class Thresholds:
    """Which hosts have risen to which thresholds; a host must clearly fall below one before it can rise to it again."""

    def __init__(self, thresholds: Sequence[int]) -> None:
        if any(threshold < 1 for threshold in thresholds):
            raise SettingsError("an alert must be at 1 connection or more")
        self.levels = tuple(sorted(set(thresholds)))
        self._risen: dict[tuple[str, int], float | None] = {}  # since when the count is low again; None: it is not

    def rises(self, now_s: float, most: Mapping[str, int]) -> list[tuple[str, int]]:
        """(host, threshold) of each rise; `most` is each host's highest count since the last call, 0 where absent."""
        risen = []
        for key in list(self._risen):
            host, threshold = key
            if most.get(host, 0) >= REARM_SHARE * threshold:
                self._risen[key] = None
            else:
                low_since = self._risen[key]
                self._risen[key] = low_since = now_s if low_since is None else low_since
                if now_s - low_since >= REARM_S:
                    del self._risen[key]
        for host, count in most.items():
            for threshold in self.levels:
                if count >= threshold and (host, threshold) not in self._risen:
                    self._risen[host, threshold] = None
                    risen.append((host, threshold))
        return risen


class Messenger:
    """Starts a command and a desktop notification for an alert; waits for neither, and runs one of each at a time."""

    def __init__(self, command: str | None = None, *, desktop: bool = True) -> None:
        try:
            self._command = shlex.split(command) if command is not None else []
        except ValueError as error:
            raise SettingsError(f"--on-alert {command!r} is not a command line: {error}") from None
        if command is not None and (not self._command or shutil.which(self._command[0]) is None):
            raise SettingsError(f"--on-alert {command!r}: there is no such program")
        self._desktop = desktop
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.left_out = 0  # alerts without a command, because the one before still ran

    def notify(self, alert: Alert) -> None:
        """Start the command, unless the one before still runs, and the notification likewise."""
        if self._command and not self._start("command", self._command, alert):
            self.left_out += 1
        if self._desktop and (words := _notification(alert)):
            self._start("desktop", words, alert)

    def _start(self, what: str, words: list[str], alert: Alert) -> bool:
        before = self._running.get(what)
        if before is not None and before.poll() is None:
            return False
        try:
            self._running[what] = subprocess.Popen(
                words,
                env={**os.environ, **alert.facts()},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # so that Ctrl-C does not reach it
            )
        except OSError:
            return False
        return True


def _notification(alert: Alert) -> list[str]:
    """The desktop's own program as an argument vector; empty where there is no desktop."""
    if sys.platform == "darwin" and shutil.which("osascript"):
        script = ("on run argv", "display notification (item 2 of argv) with title (item 1 of argv)", "end run")
        return ["osascript", *(word for line in script for word in ("-e", line)), TITLE, alert.sentence()]
    has_desktop = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if has_desktop and os.environ.get("DBUS_SESSION_BUS_ADDRESS") and shutil.which("notify-send"):
        return ["notify-send", "--app-name", TITLE, "--", TITLE, alert.sentence()]
    return []


class AlertWatch:
    """Watches a session's counts: keeps the latest alerts, and passes each on to a messenger."""

    def __init__(self, options: LiveOptions, messenger: Messenger | None = None) -> None:
        """Where the options name no thresholds, those of the limit at the time are taken."""
        self._levels, self._limit, self._messenger = options.alerts, options.settings.limit, messenger
        self._thresholds = Thresholds(self._levels or usual_thresholds(self._limit))
        self._latest: deque[AlertLine] = deque(maxlen=MOST_ALERTS)
        self.has_alerted = False

    @property
    def latest(self) -> tuple[AlertLine, ...]:
        """The latest alerts, the last one last."""
        return tuple(self._latest)

    def check(self, snapshot: Snapshot) -> None:
        """Raise an alert for each threshold that a host has risen to since the snapshot before."""
        self._follow_limit(snapshot.analysis.settings.limit)
        now_s = snapshot.analysis.since_start(snapshot.now_ns)
        hosts = {host.name: host for host in snapshot.hosts}
        for name, threshold in self._thresholds.rises(now_s, {name: host.most for name, host in hosts.items()}):
            self._raise(_alert(snapshot, hosts[name], threshold))

    def _follow_limit(self, limit: int) -> None:
        if limit != self._limit and not self._levels:
            self._thresholds = Thresholds(usual_thresholds(limit))
        self._limit = limit

    def _raise(self, alert: Alert) -> None:
        self.has_alerted = True
        self._latest.append(AlertLine(alert.at_s, alert.host, alert.count, alert.threshold))
        if self._messenger is not None:
            self._messenger.notify(alert)


def _alert(snapshot: Snapshot, host: HostCount, threshold: int) -> Alert:
    burst = latest_burst(snapshot, host.number)
    return Alert(
        at_s=snapshot.analysis.since_start(snapshot.now_ns),
        host=host.name,
        count=host.most,
        threshold=threshold,
        limit=snapshot.analysis.settings.limit,
        model=snapshot.analysis.models[0].name,
        label=burst.classification.label.value if burst is not None and burst.provisional else "unknown",
    )
