"""A live session without a screen: one line a second for people, or one JSON object a second for programs."""

import dataclasses
import json
import textwrap
from typing import Any, TextIO

from peerburst.analysis.humanize import clock, counted, number, one_line, share
from peerburst.live.view import AlertLine, BurstLine, LiveView

WIDTH = 80
BELL = "\a"
SCHEMA = "peerburst/live/1"
LEFT_OUT = ("history",)  # of the JSON: all lines together are the history


def _shortened(name: str, room: int) -> str:
    """A name that fits; one too long loses its middle, as addresses differ at both ends."""
    clean = one_line(name)
    if len(clean) <= room:
        return clean
    head = max(room - 2, 2) // 2
    return f"{clean[:head]}..{clean[len(clean) - max(room - 2 - head, 1) :]}"


def line(view: LiveView) -> str:
    """The view in at most 80 columns: when, who, how many of how many, and how that moves."""
    if view.host is None:
        seen = counted(view.packets, "packet") if view.packets else "nothing"
        return f"{clock(view.now_s):>7} {seen} so far, no connection through the gateway"
    least = "at least " if view.drops else ""
    over = " OVER" if view.count > view.limit else ""
    rest = (
        f": {least}{number(view.count)} of {number(view.limit)}{over}, {number(view.talking)} talking,"
        f" {number(view.new_per_s)} new, peak {number(view.peak)}"
    )
    head = f"{clock(view.now_s):>7} "
    return f"{head}{_shortened(view.host, WIDTH - len(head) - len(rest))}{rest}"


def alert_line(alert: AlertLine, limit: int) -> str:
    """An alert, in words that stand out without colour."""
    where = ", over the limit of" if alert.count > limit else "; the limit is"
    return f"{clock(alert.at_s):>7} ALERT: {one_line(alert.host)} holds {number(alert.count)}{where} {number(limit)}"


def burst_line(burst: BurstLine, now_s: float) -> str:
    """The class of the latest burst and why, while it goes on or once it is over."""
    verb = "was sent" if burst.inbound else "opened"
    reasons = "; ".join(burst.evidence)
    what = f"{verb} {counted(burst.connections, 'connection')}"
    began = clock(burst.started_s)
    head = f"a burst since {began}: {what} so far" if burst.provisional else f"the burst of {began} is over: {what}"
    return (
        f"{clock(now_s):>7} {head}, {burst.label} ({share(burst.confidence, 1)} sure): {burst.says}."
        f" Because {reasons or 'nothing speaks for any other class'}."
    )


class PlainLines:
    """Writes a line for each view, and more for warnings, alerts and bursts. `bell`: ring the terminal at an alert."""

    def __init__(self, out: TextIO, *, bell: bool = False) -> None:
        self._out, self._bell = out, bell
        self._last_alert: AlertLine | None = None
        self._burst: tuple[float, str, bool] | None = None
        self._warned: set[str] = set()

    def show(self, view: LiveView) -> None:
        """Write what is new in a view."""
        for warning in view.warnings:
            if warning not in self._warned:
                self._warned.add(warning)
                self._say(f"        warning: {one_line(warning)}")
        self._print(line(view))
        for alert in self._new_alerts(view):
            self._print((BELL if self._bell else "") + alert_line(alert, view.limit))
        burst = view.burst
        if burst is not None and (told := (burst.started_s, burst.label, burst.provisional)) != self._burst:
            self._burst = told
            self._say(burst_line(burst, view.now_s))
        self._out.flush()

    def _new_alerts(self, view: LiveView) -> tuple[AlertLine, ...]:
        """Those after the last one written; a view keeps only the latest."""
        known = view.alerts.index(self._last_alert) + 1 if self._last_alert in view.alerts else 0
        if view.alerts:
            self._last_alert = view.alerts[-1]
        new = view.alerts[known:]
        highest = {(alert.at_s, alert.host): alert for alert in new}  # a rise over two thresholds at once is one line
        return tuple(highest.values())

    def _print(self, text: str) -> None:
        print(text, file=self._out)

    def _say(self, text: str) -> None:
        """A sentence over as many lines as it needs."""
        self._print(textwrap.fill(text, WIDTH, subsequent_indent=" " * 8, drop_whitespace=True))


def as_object(view: LiveView) -> dict[str, Any]:
    """A view as plain values; seconds are from the session's first packet, rounded to milliseconds."""
    made = {
        field.name: _plain(getattr(view, field.name))
        for field in dataclasses.fields(view)
        if field.name not in LEFT_OUT
    }
    made["kinds"] = dict(view.kinds)
    return {"schema": SCHEMA, "type": "view", **made}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return round(value, 3) if isinstance(value, float) else value


class JsonLines:
    """Writes a JSON object for each view."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def show(self, view: LiveView) -> None:
        """Write a view."""
        self.write(as_object(view))

    def write(self, content: dict[str, Any]) -> None:
        """Write an object on a line of its own."""
        print(json.dumps(content, allow_nan=False), file=self._out, flush=True)
