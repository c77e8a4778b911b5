"""The screen as a whole: keys change the session, every size shows what matters, hostile text stays text."""

import asyncio
import dataclasses
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

pytest.importorskip("textual")

from textual.pilot import Pilot

from peerburst.capture.errors import SettingsError
from peerburst.live.view import LiveView
from peerburst.screen.terminals import ASCII, DOTS, Terminal
from peerburst.screen.window import Window
from tests.support.live import views
from tests.support.live.screens import StillSession

FULL = Terminal(DOTS, colour=True)
PLAIN = Terminal(ASCII, colour=False)
Deed = Callable[[Pilot[None]], Awaitable[None]]


def text_of(app: Window) -> str:
    """All that the topmost screen shows."""
    return "\n".join("".join(part.text for part in strip) for strip in app.screen._compositor.render_strips())


def play(session: StillSession, deed: Deed, size: tuple[int, int] = (80, 24), terminal: Terminal = FULL) -> str:
    """Run the screen without a terminal, do the deed, and give the text shown after it."""

    async def run() -> str:
        app = Window(session, terminal)
        try:
            async with app.run_test(size=size) as pilot:
                await until(pilot, lambda: app._drawn != ())
                await deed(pilot)
                await pilot.pause()
                return text_of(app)
        finally:
            app.close_session()

    return asyncio.run(run())


async def until(pilot: Pilot[None], so: Callable[[], bool]) -> None:
    """Wait for it, at most some seconds."""
    for _ in range(100):
        if so():
            return
        await pilot.pause(0.05)
    raise AssertionError("it did not come about")


def press(*keys: str) -> Deed:
    async def deed(pilot: Pilot[None]) -> None:
        for key in keys:
            await pilot.press(key)
            await pilot.pause()

    return deed


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_the_limit_is_typed() -> None:
    session = StillSession(views.view())
    shown = play(session, press("l", "1", "5", "0", "enter"))
    assert session.limit == 150
    assert "The limit is 150 now." in shown


@pytest.mark.parametrize("answer", ["0", "", "99999999999"])
def test_a_limit_that_is_none_is_refused_and_asked_again(answer: str) -> None:
    session = StillSession(views.view())
    shown = play(session, press("l", "backspace", *answer, "enter"))
    assert session.limit == 200
    assert "That is not a whole number from 1" in shown


def test_escape_changes_nothing() -> None:
    session = StillSession(views.view())
    play(session, press("l", "7", "escape", "m", "down", "escape"))
    assert (session.limit, session.model) == (200, "linux-connlimit")


def test_the_model_is_picked_from_a_list() -> None:
    session = StillSession(views.view())
    play(session, press("m", "down", "enter"))
    assert session.model == "linux-conntrack"


def test_a_model_of_ones_own_stays_in_the_list() -> None:
    session = StillSession(views.view(model="flat:60"))
    shown = play(session, press("m"))
    assert "flat:60" in shown
    assert session.model == "flat:60"


def test_up_and_down_go_through_the_hosts_as_sorted() -> None:
    session = StillSession(views.view())
    play(session, press("down"))
    assert session.host == "192.168.1.20"
    play(session := StillSession(views.view()), press("down", "down", "down", "up"))
    assert session.host == "192.168.1.20"
    play(session := StillSession(views.view()), press("down", "b"))
    assert session.host is None
    play(session := StillSession(views.view()), press("s", "s", "s", "up"))  # by name: .20 comes before .34
    assert session.host == "192.168.1.20"


def test_hosts_are_filtered() -> None:
    session = StillSession(views.view())
    shown = play(session, press("slash", *"2001", "enter"))
    assert 'Hosts 1/3 "2001"' in shown
    assert "192.168.1.20 " not in shown


def test_pause_and_report() -> None:
    session = StillSession(views.view())

    async def deed(pilot: Pilot[None]) -> None:
        await pilot.press("p")
        assert session.paused
        await pilot.press("p", "r")
        await until(pilot, lambda: "The report is in evening." in text_of(pilot.app))

    play(session, deed)
    assert not session.paused
    assert session.reports == 1


def test_a_report_that_fails_is_said_and_the_screen_stays() -> None:
    class Full(StillSession):
        def save_report(self) -> Path:
            raise SettingsError("the disk is full; name another folder with -o")

    async def deed(pilot: Pilot[None]) -> None:
        await pilot.press("r")
        await until(pilot, lambda: "No report: the disk is full; name another folder with -o" in text_of(pilot.app))

    play(Full(views.view()), deed)


def test_q_ends_the_session_and_then_the_screen() -> None:
    session = StillSession(views.view())

    async def deed(pilot: Pilot[None]) -> None:
        await pilot.press("q")
        await until(pilot, lambda: not pilot.app.is_running)

    play(session, deed)
    assert session.ended.is_set()


def test_a_clock_that_ticks_while_the_screen_goes_finds_nothing_to_draw_on() -> None:
    ticks = 0

    class Going(Window):
        async def _close_all(self) -> None:
            nonlocal ticks
            await super()._close_all()
            self.show_message("The panels have gone by now.")
            ticks += 1

    async def run() -> None:
        app = Going(StillSession(views.view()), FULL)
        try:
            async with app.run_test() as pilot:
                await until(pilot, lambda: app._drawn != ())
        finally:
            app.close_session()

    asyncio.run(run())
    assert ticks == 1


def test_a_signal_to_end_ends_the_session_in_order() -> None:
    session = StillSession(views.view())

    async def deed(pilot: Pilot[None]) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await until(pilot, lambda: not pilot.app.is_running)

    play(session, deed)
    assert session.ended.is_set()


def test_the_end_of_the_capture_leaves_the_picture() -> None:
    session = StillSession(views.view())

    async def deed(pilot: Pilot[None]) -> None:
        session.ended.set()
        await until(pilot, lambda: "The capture has ended" in text_of(pilot.app))

        await pilot.press("l")
        assert len(pilot.app.screen_stack) == 1  # nothing counts any more: there is no limit to ask for

    assert "ENDED" in play(session, deed)


def test_a_resized_screen_is_drawn_for_its_new_size_without_a_new_view() -> None:
    async def deed(pilot: Pilot[None]) -> None:
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: pilot.app.size.width == 80)
        await pilot.pause(0.6)

    lines = play(StillSession(views.view()), deed, (120, 40)).splitlines()
    assert sum(line.startswith("Hosts 3") and "new/s" in line and line.rstrip().endswith("held") for line in lines) == 1
    assert sum("linger" in line for line in lines) == 1
    assert lines[10].startswith("          ╵+0:00")


def test_a_failure_closes_the_screen_and_is_handed_on() -> None:
    class Unplugged(StillSession):
        def run(self, on_tick: Callable[[LiveView], None]) -> None:
            on_tick(self.view)
            self.ended.wait(1)
            raise SettingsError("eth0 is gone")

    async def run() -> BaseException | None:
        app = Window(session, FULL)
        async with app.run_test() as pilot:
            await until(pilot, lambda: app._drawn != ())
            session.ended.set()
            await until(pilot, lambda: not app.is_running)
        return app.failure

    session = Unplugged(views.view())
    assert str(asyncio.run(run())) == "eth0 is gone"


WHAT_MATTERS = (
    "192.168.1.34 holds", "of 200", "talking", "lingering", "new/s", "peak 1", "Hosts 3", "Programs", "qtox", "Kinds",
    "sync", "p2p-sync, PROVISIONAL, 82 % sure", "because 160 connections", "login.pcapng, 6.2 MB", "q quit", "? help",
    "linux-connlimit", "wlan0", "+1:59",
)  # fmt: skip


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 40), (200, 60)])
@pytest.mark.parametrize("terminal", [FULL, PLAIN], ids=["dots", "ascii"])
def test_every_size_shows_what_matters(
    size: tuple[int, int], terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not terminal.colour:
        monkeypatch.setenv("NO_COLOR", "1")
    shown = play(StillSession(views.view()), press(), size, terminal)
    assert [words for words in WHAT_MATTERS if words not in shown] == []
    lines = shown.splitlines()
    assert len(lines) == size[1]
    if terminal is PLAIN:
        assert shown.isascii()


@pytest.mark.parametrize("size", [(40, 10), (20, 5), (76, 21)])
def test_small_terminals_show_the_answer_at_least(size: tuple[int, int]) -> None:
    assert "holds" in play(StillSession(views.view()), press(), size).replace("\n", "")


def test_without_colour_none_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    coloured = StillSession(views.view(count=250, drops=3))

    async def run() -> set[str]:
        app = Window(coloured, PLAIN)
        async with app.run_test() as pilot:
            await until(pilot, lambda: app._drawn != ())
            segments = [segment for panel in app.query("Panel") for segment in panel.render_line(0)]
            app.close_session()
        styles = [segment.style for segment in segments if segment.style is not None]
        return {colour.name for style in styles for colour in (style.color, style.bgcolor) if colour is not None}

    assert asyncio.run(run()) <= {"default"}


def test_hostile_names_are_text_and_stay_in_their_place() -> None:
    name = "[bold red]x[/] [@click=app.bell]y[/] \x1b[2J\n\u202e界"
    hostile = views.view(
        programs=(views.ProgramLine(name, 2, 2),),
        interfaces=(name,),
        saved_to=name,
        warnings=(name,),
        hosts=(dataclasses.replace(views.view().hosts[0], name=name),),
        host=name,
    )
    shown = play(StillSession(hostile), press(), (120, 40))
    assert shown.count("[bold red]x[/]") >= 2
    assert len(shown.splitlines()) == 40
    assert not set(shown) & set("\x1b\u202e")
    assert '[b]"' in play(StillSession(views.view()), press("slash", *"[b]", "enter"))


def test_panels_are_drawn_again_only_when_they_change() -> None:
    session = StillSession(views.view())
    updates: list[str] = []

    async def deed(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, Window)
        for panel in app.query("Panel"):
            original = panel.update

            def noted(
                *args: object, _id: str = str(panel.id), _do: Callable[..., None] = original, **how: bool
            ) -> None:
                updates.append(_id)
                _do(*args, **how)

            panel.update = noted  # type: ignore[method-assign]
        app._receive(dataclasses.replace(session.view, packets=50_000))
        app.show_latest()
        app.show_latest()

    play(session, deed)
    assert updates == ["counters"]


def test_help_names_every_key() -> None:
    shown = play(StillSession(views.view()), press("question_mark"))
    for words in ("gateway model", "type a number", "sort hosts", "timeline", "report now", "talking", "lingering"):
        assert words in shown
    assert os.environ.get("NO_COLOR") is None
