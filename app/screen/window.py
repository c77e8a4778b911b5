"""The live screen itself: its panels, its keys, and the latest view of the session four times a second."""

import asyncio
import dataclasses
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Protocol

from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static

from peerburst.analysis import gateways
from peerburst.analysis.humanize import number, one_line
from peerburst.capture.errors import PeerburstError
from peerburst.live.view import LiveView
from peerburst.screen import panels
from peerburst.screen.appearance import COLOURS, CSS, HEIGHTS, NO_COLOURS, WIDTHS
from peerburst.screen.host_table import DisplayOptions, hosts_table, listed_hosts
from peerburst.screen.panels import SessionState
from peerburst.screen.plot import STEPS_S, span_of, timeline
from peerburst.screen.questions import AskText, Help, Pick
from peerburst.screen.terminals import Terminal
from peerburst.screen.text import cut

REFRESH_S = 0.25
MESSAGE_S = 5.0
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ENDED_MESSAGE = "The capture has ended. q leaves the screen and prints the verdict."
LARGEST_LIMIT = 10_000_000

KEY_HINTS = (
    ("q", "quit"),
    ("p", "pause"),
    ("", "host"),
    ("m", "model"),
    ("l", "limit"),
    ("s", "sort"),
    ("/", "filter"),
    ("r", "report"),
    ("?", "help"),
)


class Session(Protocol):
    """What the screen needs of a live session. `run` blocks until the capture ends or `stop` is called."""

    host: str | None
    model: str
    limit: int
    paused: bool

    def run(self, on_tick: Callable[[LiveView], None]) -> None: ...
    def stop(self) -> None: ...
    def save_report(self) -> Path: ...


class Panel(Static):
    """Lines of text, drawn again only when they change."""

    def __init__(self, name: str) -> None:
        super().__init__(id=name, markup=False)
        self._shown: tuple[str, object] | None = None

    def show(self, lines: Sequence[Content]) -> None:
        """Show these lines, the first at the top."""
        content = Content("\n").join(lines)
        if (content.plain, content.spans) != self._shown:
            self._shown = (content.plain, content.spans)
            self.update(content, layout=False)


class Window(App[None]):
    """The screen of one session, which runs in a thread of its own once the screen is there."""

    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "leave", "quit"),
        Binding("ctrl+c,ctrl+q", "leave", "quit", priority=True),
        Binding("p,space", "pause", "pause"),
        Binding("up,k", "other_host(-1)", "host"),
        Binding("down,j", "other_host(1)", "host"),
        Binding("b", "busiest", "busiest host"),
        Binding("m", "model", "model"),
        Binding("l", "limit", "limit"),
        Binding("s", "sort", "sort"),
        Binding("slash", "filter", "filter"),
        Binding("plus,equals_sign", "zoom(-1)", "finer"),
        Binding("minus", "zoom(1)", "coarser"),
        Binding("0", "zoom(0)", "as wide as fits"),
        Binding("r", "report", "report"),
        Binding("question_mark,h,f1", "help", "help"),
    ]
    CSS = CSS

    def __init__(self, session: Session, terminal: Terminal) -> None:
        super().__init__(ansi_color=None if terminal.colour else True)
        theme = COLOURS if terminal.colour else NO_COLOURS
        self.register_theme(theme)
        self.theme = theme.name
        self.animation_level = "none"
        self._session, self._terminal = session, terminal
        self._display_options = DisplayOptions()
        self._latest: LiveView | None = None
        self._drawn: tuple[object, ...] = ()
        self._message = ""
        self._messages = 0
        self._thread = threading.Thread(target=self._run_session, name="session")
        self._leaving = False
        self.failure: BaseException | None = None

    def compose(self) -> ComposeResult:
        yield Panel("title")
        yield Panel("headline")
        yield Panel("timeline")
        with Horizontal(id="tables"):
            yield Panel("hosts")
            yield Panel("programs")
            yield Panel("kinds")
        yield Panel("burst")
        yield Panel("counters")
        yield Panel("news")
        yield Panel("keys")

    def on_mount(self) -> None:
        """Begin the session. A signal to end it, or a terminal that goes away, ends it in order too."""
        if threading.current_thread() is threading.main_thread():
            for one in ENDING_SIGNALS:
                asyncio.get_running_loop().add_signal_handler(one, self.action_leave)
        self._thread.start()
        self.set_interval(REFRESH_S, self.show_latest)

    def on_resize(self) -> None:
        """Draw for the new size, once the panels have theirs."""
        self.call_after_refresh(self.show_latest)

    def _run_session(self) -> None:
        try:
            self._session.run(self._receive)
        except BaseException as failure:  # raised again in the caller's thread
            self.failure = failure

    def _receive(self, view: LiveView) -> None:
        self._latest = view

    def _has_ended(self) -> bool:
        return self._thread.ident is not None and not self._thread.is_alive()

    def close_session(self) -> None:
        """End the session, and wait until it has closed its files."""
        self._session.stop()
        if self._thread.ident is not None:
            self._thread.join()

    def show_latest(self) -> None:
        """Draw the latest view, if anything is new and the panels are still there to show it."""
        if not self.is_running:
            return
        ended = self._has_ended()
        if ended and (self._leaving or self.failure is not None):
            self.exit()
            return
        if self._latest is None:
            self._panel("headline").show([Content.styled("Waiting for the capture to begin.", "bold")])
            self._show_keys()
            return
        state = SessionState.ENDED if ended else SessionState.PAUSED if self._latest.paused else SessionState.RUNNING
        sizes = tuple(panel.size for panel in self.screen_stack[0].query(Panel))
        drawn = (id(self._latest), self._display_options, self._message, state, sizes)
        if drawn != self._drawn:
            self._drawn = drawn
            self._draw(self._latest, state)

    def _panel(self, name: str) -> Panel:
        return self.screen_stack[0].query_one(f"#{name}", Panel)

    def _draw(self, view: LiveView, state: SessionState) -> None:
        terminal, display, width = self._terminal, self._display_options, self.size.width
        self._panel("title").show([panels.title(view, state, width, terminal)])
        self._panel("headline").show(panels.headline(view, width, terminal))
        plot = self._panel("timeline").size
        if plot.height:
            self._panel("timeline").show(
                timeline(
                    view.history, view.limit, view.now_s, (plot.width, plot.height), terminal.glyphs, display.step_s
                )
            )
        hosts, programs, kinds = (self._panel(name) for name in ("hosts", "programs", "kinds"))
        hosts.show(hosts_table(view, display, *hosts.size, terminal))
        if programs.display and programs.size.width:
            programs.show(panels.programs_table(view, *programs.size, terminal))
            kinds.show(panels.kinds_table(view, *kinds.size, terminal))
        self._panel("burst").show(panels.burst_lines(view, *self._panel("burst").size, terminal))
        self._panel("counters").show([panels.counters(view, width, terminal)])
        self._panel("news").show([self._news(view, state, width)])
        self._show_keys()

    def _news(self, view: LiveView, state: SessionState, width: int) -> Content:
        if self._message:
            return Content.styled(cut(self._message, width, self._terminal), "bold")
        if state is SessionState.ENDED:
            return Content.styled(ENDED_MESSAGE, "bold")
        return panels.news(view, width, self._terminal)

    def _show_keys(self) -> None:
        pairs = ((key or self._terminal.glyphs.up_down, does) for key, does in KEY_HINTS)
        parts = [Content.assemble((key, "bold $foreground"), f" {does}") for key, does in pairs]
        self._panel("keys").show([Content("  ").join(parts)])

    def show_message(self, message: str) -> None:
        """Show a message for some seconds, in place of the news."""
        self._messages += 1
        count, self._message = self._messages, one_line(message)

        def clear() -> None:
            if count == self._messages:
                self._message = ""

        self.set_timer(MESSAGE_S, clear)
        self.show_latest()

    def _ask(self, question: AskText | Pick | Help, then: Callable[[str], None] | None = None) -> None:
        def answered(answer: str | None) -> None:
            if answer is not None and then is not None:
                then(answer)

        self.push_screen(question, answered)
        if not self._terminal.glyphs.braille:
            self.call_after_refresh(lambda: question.query_one(".box").add_class("ascii"))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only while the session counts can host, model and limit be changed, or the screen paused."""
        return not (action in ("pause", "other_host", "busiest", "model", "limit") and self._has_ended())

    def action_leave(self) -> None:
        """End the session; the screen goes once it has ended, or at a second press."""
        if self._leaving:
            self.exit()
            return
        self._leaving = True
        self._session.stop()
        self.show_message("Ending the capture.")

    def action_pause(self) -> None:
        """Hold the screen still, or go on."""
        self._session.paused = not self._session.paused
        self.show_message("The picture stands still; capturing goes on." if self._session.paused else "Going on.")

    def action_other_host(self, step: int) -> None:
        """Show the next host of the list, or the one before."""
        if self._latest is None:
            return
        names = [host.name for host in listed_hosts(self._latest, self._display_options)]
        present = self._session.host or self._latest.host
        if names:
            at = names.index(present) + step if present in names else 0
            self._session.host = names[min(max(at, 0), len(names) - 1)]
            self.show_message(f"Host {self._session.host}; b goes back to the busiest.")

    def action_busiest(self) -> None:
        """Show the busiest host, whichever it is."""
        self._session.host = None
        self.show_message("The busiest host, whichever it is.")

    def action_model(self) -> None:
        """Ask for the gateway model."""
        offered = [(model.name, one_line(model.title)) for model in gateways.shipped()]
        present = self._session.model
        if present not in (name for name, _ in offered):
            offered.insert(0, (present, "the one in use"))
        self._ask(Pick("Which gateway counts?", offered, present, self._terminal), self._set_model)

    def _set_model(self, model: str) -> None:
        self._session.model = model
        self.show_message(f"Counting as {model} does.")

    def action_limit(self) -> None:
        """Ask for the limit."""
        question = f"The limit, a number of connections from 1 to {number(LARGEST_LIMIT)}:"
        self._ask(AskText(question, str(self._session.limit), _limit_error), self._set_limit)

    def _set_limit(self, answer: str) -> None:
        self._session.limit = int(answer)
        self.show_message(f"The limit is {number(self._session.limit)} now.")

    def action_sort(self) -> None:
        """Sort the hosts by the next column."""
        self._display_options = dataclasses.replace(self._display_options, order=self._display_options.order.next())
        self.show_message(f"Hosts are sorted by {self._display_options.order.words}.")

    def action_filter(self) -> None:
        """Ask which hosts to list."""
        self._ask(
            AskText(
                "List only hosts whose name contains (empty: all):", self._display_options.name_filter, lambda _: None
            ),
            self._set_filter,
        )

    def _set_filter(self, letters: str) -> None:
        self._display_options = dataclasses.replace(self._display_options, name_filter=letters)
        self.show_latest()

    def action_zoom(self, coarser: int) -> None:
        """A finer (-1) or coarser (1) timeline, or (0) the one that fits."""
        step_s = None
        if coarser and self._latest is not None:
            columns = self._panel("timeline").size.width * 2
            present = self._display_options.step_s or span_of(self._latest.now_s, columns, None).step_s
            step_s = STEPS_S[min(max(STEPS_S.index(present) + coarser, 0), len(STEPS_S) - 1)]
        self._display_options = dataclasses.replace(self._display_options, step_s=step_s)
        self.show_latest()

    @work(exclusive=True, thread=True, exit_on_error=False)
    def action_report(self) -> None:
        """Write the report so far, while the capture goes on."""
        self.call_from_thread(self.show_message, "Writing the report.")
        try:
            folder = self._session.save_report()
        except PeerburstError as error:
            self.call_from_thread(self.show_message, f"No report: {error}")
        else:
            self.call_from_thread(self.show_message, f"The report is in {folder}.")

    def action_help(self) -> None:
        """Show the keys."""
        self._ask(Help(self._terminal.glyphs))


def _limit_error(answer: str) -> str | None:
    if answer.isascii() and answer.isdigit() and 1 <= int(answer) <= LARGEST_LIMIT:
        return None
    return f"That is not a whole number from 1 to {number(LARGEST_LIMIT)}."
