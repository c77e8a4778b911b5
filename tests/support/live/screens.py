"""Draw the screens that docs/live.md shows: run `python -m tests.support.live.screens` when they have changed."""

import asyncio
import dataclasses
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from peerburst.live.view import History, LiveView
from peerburst.screen.terminals import ASCII, DOTS, Terminal
from peerburst.screen.window import Window
from tests.support.live import views
from tests.support.paths import DOCS

FOLDER = DOCS / "live"


class StillSession:
    """A session that shows one view until it is stopped, and keeps what was set."""

    def __init__(self, view: LiveView) -> None:
        self.view = view
        self.host: str | None = None
        self.model, self.limit, self.paused = view.model, view.limit, False
        self.reports = 0
        self.ended = threading.Event()

    def run(self, on_tick: Callable[[LiveView], None]) -> None:
        on_tick(self.view)
        self.ended.wait()

    def stop(self) -> None:
        self.ended.set()

    def save_report(self) -> Path:
        self.reports += 1
        return Path("evening")


def evening(until_s: int, **changed: Any) -> LiveView:
    """A chat program comes online at +2:00 behind a limit of 200: quiet, a steep rise, a slow fall."""
    t = np.arange(until_s + 1, dtype=np.float64)
    wave = 4 * np.sin(t / 7) + 3 * np.sin(t / 2.3)
    rise = 296 * (1 - np.exp(-np.clip(t - 120, 0, None) / 55)) * np.exp(-np.clip(t - 250, 0, None) / 40)
    web = 24 * np.exp(-(((t - 65) / 12) ** 2))
    count = np.maximum(np.round(5 + wave / 4 + web + rise + np.where(rise > 9, wave, 0)), 0).astype(np.int64)
    active = np.where((t > 120) & (t < 258), 36 + wave, 1.5 + web / 3)
    talking = np.minimum(np.round(np.clip(active, 0, None)).astype(np.int64), count)
    peak = int(count.max())
    over = np.flatnonzero(count > 200)
    new = 6 if 120 < until_s < 258 else 0
    view = views.view(
        now_s=float(until_s), history=History(t, count, talking), count=int(count[-1]), talking=int(talking[-1]),
        peak=peak, peak_at_s=float(count.argmax()), crossed_at_s=float(over[0]) if over.size else None, new_per_s=new,
        host="10.20.1.37", interfaces=("wlan0",), saved_to="evening.pcapng", alerts=(),
    )  # fmt: skip
    here = views.HostLine(view.host or "", view.count, view.talking, peak, view.peak_at_s, new, False)
    others = (
        views.HostLine("10.20.1.12", 31, 4, 44, 17.0, 1, False),
        views.HostLine("2001:db8:1234:5678:9abc:def0:1234:5678", 8, 2, 9, 3.0, 0, False),
        views.HostLine("10.20.1.90", 5, 1, 12, 80.0, 0, True),
    )
    shares = (0.55, 0.33, 0.0, 0.01, 0.03, 0.08)
    kinds = tuple(
        (name, round(view.count * part))
        for name, part in zip(("probe", "sync", "heavy", "media", "service", "ordinary"), shares, strict=True)
    )
    burst = dataclasses.replace(
        view.burst, started_s=120.0, seconds=float(until_s - 120), connections=round((until_s - 120) * 5.2),
        evidence=(
            f"{round((until_s - 120) * 5.2):,} connections with 404 peers", "1.3 connections per peer",
            "391 different ports at the other end", "93 % went to ports that no known service has",
            "half of the connections carried 153 B or less", "65 % of them were answered",
        ),
    )  # fmt: skip
    programs = (
        views.ProgramLine("qtox", 530, round(view.count * 0.9)),
        views.ProgramLine("firefox", 60, 12),
        views.ProgramLine("systemd-resolved", 31, 6),
        views.ProgramLine("", 3, 1),
    )
    full = dataclasses.replace(view, hosts=(here, *others), kinds=kinds, burst=burst, programs=programs)
    return dataclasses.replace(full, **changed)


async def draw(name: str, view: LiveView, size: tuple[int, int], terminal: Terminal, keys: str = "") -> str:
    """Save one screen as FOLDER/name.svg and give its text."""
    app = Window(StillSession(view), terminal)
    async with app.run_test(size=size) as pilot:
        await pilot.pause(0.6)
        if keys:
            await pilot.press(*keys.split())
            await pilot.pause(0.4)
        (FOLDER / f"{name}.svg").write_text(app.export_screenshot(title=f"peerburst live, {size[0]} x {size[1]}"))
        text = "\n".join("".join(part.text for part in strip) for strip in app.screen._compositor.render_strips())
        app.close_session()
    return text


def main() -> None:
    """Draw them all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    full, plain = Terminal(DOTS, colour=True), Terminal(ASCII, colour=False)
    over = evening(215, alerts=(views.AlertLine(151.0, "10.20.1.37", 160, 160),))
    lost = evening(330, drops=1204, warnings=("wlan0 lost packets for 3 s: its buffer was full",))
    shots = [
        ("before", evening(100, burst=None), (80, 24), full, ""),
        ("over", over, (80, 24), full, ""),
        ("over-wide", over, (120, 40), full, ""),
        ("lost", lost, (80, 24), full, ""),
        ("model", over, (80, 24), full, "m down"),
        ("limit", over, (80, 24), full, "l"),
        ("help", over, (80, 24), full, "question_mark"),
        ("plain", over, (80, 24), plain, ""),
    ]
    wanted = sys.argv[1:]
    for name, view, size, terminal, keys in shots:
        if wanted and name not in wanted:
            continue
        os.environ.pop("NO_COLOR", None)
        if not terminal.colour:
            os.environ["NO_COLOR"] = "1"
        print(f"== {name}")
        print(asyncio.run(draw(name, view, size, terminal, keys)))


if __name__ == "__main__":
    main()
