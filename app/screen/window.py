"""The live screen itself: its parts, its keys, four looks a second at what the session has counted."""

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
from textual.theme import BUILTIN_THEMES, Theme
from textual.widgets import Static

from peerburst.analysis import gateways
from peerburst.analysis.humanize import number, one_line
from peerburst.capture.errors import PeerburstError
from peerburst.live.view import LiveView
from peerburst.screen import panels
from peerburst.screen.panels import Choice, Standing
from peerburst.screen.plot import STEPS_S, span_of, timeline
from peerburst.screen.questions import AskText, Help, Pick
from peerburst.screen.terminals import Terminal

FRAME_S = 0.25
MESSAGE_S = 5.0
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
OVER = "The capture has ended. q leaves the screen and prints the verdict."
LARGEST_LIMIT = 10_000_000

COLOURS = Theme(
    name="peerburst",
    primary="#56B4E9",
    warning="#E69F00",
    error="#FF7B72",
    foreground="#E6EAEF",
    background="#11151A",
    surface="#1A2027",
    panel="#24303C",
    dark=True,
    variables={
        # Okabe and Ito's blue, lightened twice; amber and red stay apart from it with all common colour blindness.
        "talking": "#A6DCFF",
        "lingering": "#4F9BD0",
        "limit": "#FF9E64",
        "over": "#FF7B72",
        "warn": "#FFC857",
        "quiet": "#8D99A6",
        "heading": "bold #9FB3C8",
        "chosen": "on #24303C",
    },
)
_ANSI = BUILTIN_THEMES["ansi-dark"]
NO_COLOURS = dataclasses.replace(
    _ANSI,
    name="peerburst-plain",
    variables={
        **_ANSI.variables,
        **dict.fromkeys(("talking", "lingering", "limit", "over", "quiet"), "ansi_default"),
        "warn": "bold ansi_default",
        "heading": "bold underline ansi_default",
        "chosen": "reverse",
    },
)
KEYS = (
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


class Part(Static):
    """Lines of text, drawn again only if they are others than before."""

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
    """The screen of one session, which runs in a thread of its own from when the screen is there."""

    ENABLE_COMMAND_PALETTE = False
    # Textual declares these two as variables of an instance.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (76, "-usual"), (110, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-low"), (22, "-medium"), (34, "-tall")]  # noqa: RUF012
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
    CSS = """
    Screen { background: $background; color: $foreground; }
    Part { height: 1; width: 1fr; text-wrap: nowrap; }
    #title { background: $panel; }
    #title:nocolor { text-style: reverse; }
    #headline { height: 3; }
    #timeline { height: 1fr; min-height: 4; }
    #tables { height: 7; }
    #hosts, #programs, #kinds { height: 1fr; }
    #programs { width: 18; margin-left: 2; }
    #kinds { width: 13; margin-left: 2; }
    #burst { height: 3; }
    #keys { color: $quiet; }
    .-wide #programs { width: 28; margin-left: 3; }
    .-wide #kinds { width: 30; margin-left: 3; }
    .-tall #headline, .-tall #timeline, .-tall #tables { margin-top: 1; }
    .-tall #burst, .-tall #counters { margin-top: 1; }
    .-tall #tables { height: 9; }
    .-tall #burst { height: 4; }
    .-narrow #programs, .-narrow #kinds { display: none; }
    .-low #tables { height: 4; }
    .-low #burst { height: 1; }
    ModalScreen { align: center middle; background: $background 60%; }
    ModalScreen:ansi { background: ansi_default; }
    .box { width: 56; max-width: 96%; height: auto; max-height: 96%; padding: 0 1; background: $surface; }
    .box { border: round $quiet; }
    .box.ascii { border: ascii $quiet; }
    .large { width: 76; }
    #hint { color: $quiet; margin-top: 1; }
    Input { margin-top: 1; }
    Input:nocolor { text-style: underline; }
    OptionList { height: auto; max-height: 17; margin-top: 1; background: $surface; scrollbar-size: 0 0; }
    OptionList:focus { background-tint: $surface 0%; }
    OptionList > .option-list--option-highlighted { text-style: reverse; }
    """

    def __init__(self, session: Session, terminal: Terminal) -> None:
        super().__init__(ansi_color=None if terminal.colour else True)
        theme = COLOURS if terminal.colour else NO_COLOURS
        self.register_theme(theme)
        self.theme = theme.name
        self.animation_level = "none"
        self._session, self._terminal = session, terminal
        self._choice = Choice()
        self._latest: LiveView | None = None
        self._drawn: tuple[object, ...] = ()
        self._message = ""
        self._messages = 0
        self._thread = threading.Thread(target=self._run_session, name="session")
        self._leaving = False
        self.failure: BaseException | None = None

    def compose(self) -> ComposeResult:
        yield Part("title")
        yield Part("headline")
        yield Part("timeline")
        with Horizontal(id="tables"):
            yield Part("hosts")
            yield Part("programs")
            yield Part("kinds")
        yield Part("burst")
        yield Part("counters")
        yield Part("news")
        yield Part("keys")

    def on_mount(self) -> None:
        """Begin. A signal to end, or a line that was cut, ends the session in order too."""
        if threading.current_thread() is threading.main_thread():
            for one in ENDING_SIGNALS:
                asyncio.get_running_loop().add_signal_handler(one, self.action_leave)
        self._thread.start()
        self.set_interval(FRAME_S, self.look)

    def on_resize(self) -> None:
        """Draw for the new size, once the parts have theirs."""
        self.call_after_refresh(self.look)

    def _run_session(self) -> None:
        try:
            self._session.run(self._take)
        except BaseException as failure:  # carried over to the caller's thread
            self.failure = failure

    def _take(self, view: LiveView) -> None:
        self._latest = view

    def _has_ended(self) -> bool:
        return self._thread.ident is not None and not self._thread.is_alive()

    def close_session(self) -> None:
        """End the session and wait until it has put its things away."""
        self._session.stop()
        if self._thread.ident is not None:
            self._thread.join()

    def look(self) -> None:
        """Draw the latest view, if anything is new and the parts are still there to show it."""
        if not self.is_running:
            return
        ended = self._has_ended()
        if ended and (self._leaving or self.failure is not None):
            self.exit()
            return
        if self._latest is None:
            self._part("headline").show([Content.styled("Waiting for the capture to begin.", "bold")])
            self._show_keys()
            return
        standing = Standing.ENDED if ended else Standing.PAUSED if self._latest.paused else Standing.RUNNING
        sizes = tuple(part.size for part in self.screen_stack[0].query(Part))
        present = (id(self._latest), self._choice, self._message, standing, sizes)
        if present != self._drawn:
            self._drawn = present
            self._draw(self._latest, standing)

    def _part(self, name: str) -> Part:
        return self.screen_stack[0].query_one(f"#{name}", Part)

    def _draw(self, view: LiveView, standing: Standing) -> None:
        terminal, choice, width = self._terminal, self._choice, self.size.width
        self._part("title").show([panels.title(view, standing, width, terminal)])
        self._part("headline").show(panels.headline(view, width, terminal))
        plot = self._part("timeline").size
        if plot.height:
            self._part("timeline").show(
                timeline(
                    view.history, view.limit, view.now_s, (plot.width, plot.height), terminal.glyphs, choice.step_s
                )
            )
        hosts, programs, kinds = (self._part(name) for name in ("hosts", "programs", "kinds"))
        hosts.show(panels.hosts_table(view, choice, *hosts.size, terminal))
        if programs.display and programs.size.width:
            programs.show(panels.programs_table(view, *programs.size, terminal))
            kinds.show(panels.kinds_table(view, *kinds.size, terminal))
        self._part("burst").show(panels.burst_lines(view, *self._part("burst").size, terminal))
        self._part("counters").show([panels.counters(view, width, terminal)])
        self._part("news").show([self._news(view, standing, width)])
        self._show_keys()

    def _news(self, view: LiveView, standing: Standing, width: int) -> Content:
        if self._message:
            return Content.styled(panels.cut(self._message, width, self._terminal), "bold")
        if standing is Standing.ENDED:
            return Content.styled(OVER, "bold")
        return panels.news(view, width, self._terminal)

    def _show_keys(self) -> None:
        pairs = ((key or self._terminal.glyphs.up_down, does) for key, does in KEYS)
        parts = [Content.assemble((key, "bold $foreground"), f" {does}") for key, does in pairs]
        self._part("keys").show([Content("  ").join(parts)])

    def say(self, message: str) -> None:
        """Show a message for some seconds in the place of the news."""
        self._messages += 1
        said, self._message = self._messages, one_line(message)

        def unsay() -> None:
            if said == self._messages:
                self._message = ""

        self.set_timer(MESSAGE_S, unsay)
        self.look()

    def _ask(self, question: AskText | Pick | Help, then: Callable[[str], None] | None = None) -> None:
        def answered(answer: str | None) -> None:
            if answer is not None and then is not None:
                then(answer)

        self.push_screen(question, answered)
        if not self._terminal.glyphs.braille:
            self.call_after_refresh(lambda: question.query_one(".box").add_class("ascii"))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What the session counts can be changed only while it counts."""
        return not (action in ("pause", "other_host", "busiest", "model", "limit") and self._has_ended())

    def action_leave(self) -> None:
        """End the session; the screen goes once it has ended, or at a second press."""
        if self._leaving:
            self.exit()
            return
        self._leaving = True
        self._session.stop()
        self.say("Ending the capture.")

    def action_pause(self) -> None:
        """Hold the picture still, or go on."""
        self._session.paused = not self._session.paused
        self.say("The picture stands still; capturing goes on." if self._session.paused else "Going on.")

    def action_other_host(self, step: int) -> None:
        """Look at the next host in the list, or the one before."""
        if self._latest is None:
            return
        names = [host.name for host in panels.chosen_hosts(self._latest, self._choice)]
        present = self._session.host or self._latest.host
        if names:
            at = names.index(present) + step if present in names else 0
            self._session.host = names[min(max(at, 0), len(names) - 1)]
            self.say(f"Host {self._session.host}; b goes back to the busiest.")

    def action_busiest(self) -> None:
        """Look at whichever host holds most."""
        self._session.host = None
        self.say("The busiest host, whichever it is.")

    def action_model(self) -> None:
        """Ask which gateway counts."""
        offered = [(model.name, one_line(model.title)) for model in gateways.shipped()]
        present = self._session.model
        if present not in (name for name, _ in offered):
            offered.insert(0, (present, "the one in use"))
        self._ask(Pick("Which gateway counts?", offered, present, self._terminal), self._set_model)

    def _set_model(self, model: str) -> None:
        self._session.model = model
        self.say(f"Counting as {model} does.")

    def action_limit(self) -> None:
        """Ask for the limit."""
        question = f"The limit, a number of connections from 1 to {number(LARGEST_LIMIT)}:"
        self._ask(AskText(question, str(self._session.limit), _wrong_limit), self._set_limit)

    def _set_limit(self, answer: str) -> None:
        self._session.limit = int(answer)
        self.say(f"The limit is {number(self._session.limit)} now.")

    def action_sort(self) -> None:
        """Sort the hosts by the next column."""
        self._choice = dataclasses.replace(self._choice, order=self._choice.order.following())
        self.say(f"Hosts are sorted by {self._choice.order.words}.")

    def action_filter(self) -> None:
        """Ask which hosts to list."""
        self._ask(
            AskText("Only hosts whose name has (nothing: all of them):", self._choice.wanted, lambda _: None),
            self._set_filter,
        )

    def _set_filter(self, wanted: str) -> None:
        self._choice = dataclasses.replace(self._choice, wanted=wanted)
        self.look()

    def action_zoom(self, coarser: int) -> None:
        """A finer (-1) or coarser (1) timeline, or (0) the one that fits."""
        step_s = None
        if coarser and self._latest is not None:
            columns = self._part("timeline").size.width * 2
            present = self._choice.step_s or span_of(self._latest.now_s, columns, None).step_s
            step_s = STEPS_S[min(max(STEPS_S.index(present) + coarser, 0), len(STEPS_S) - 1)]
        self._choice = dataclasses.replace(self._choice, step_s=step_s)
        self.look()

    @work(exclusive=True, thread=True, exit_on_error=False)
    def action_report(self) -> None:
        """Write the report of what has been seen so far, beside the capture going on."""
        self.call_from_thread(self.say, "Writing the report.")
        try:
            folder = self._session.save_report()
        except PeerburstError as error:
            self.call_from_thread(self.say, f"No report: {error}")
        else:
            self.call_from_thread(self.say, f"The report is in {folder}.")

    def action_help(self) -> None:
        """Show the keys."""
        self._ask(Help(self._terminal.glyphs))


def _wrong_limit(answer: str) -> str | None:
    if answer.isascii() and answer.isdigit() and 1 <= int(answer) <= LARGEST_LIMIT:
        return None
    return f"That is not a whole number from 1 to {number(LARGEST_LIMIT)}."
