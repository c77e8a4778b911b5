"""The boxes over the screen: a line to type, a list to pick from, the page of help."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from peerburst.screen.terminals import Glyphs, Terminal
from peerburst.screen.text import cut

LARGE = 76  # cells a list or the help is wide
_FRAME = 4  # cells of border and padding
Check = Callable[[str], str | None]  # what is wrong with an answer, or None


class _Question(ModalScreen[str | None]):
    """A box; Escape closes it without an answer."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "close", show=False)]


class AskText(_Question):
    """One line to type, answered with Enter once `check` finds nothing wrong with it."""

    def __init__(self, question: str, answer: str, check: Check) -> None:
        super().__init__()
        self._question, self._answer, self._check = question, answer, check

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield Static(self._question, markup=False)
            yield Input(self._answer, compact=True, select_on_focus=True)
            yield Static("Enter takes it, Escape leaves it as it is.", markup=False, id="hint")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the answer, or say what is wrong with it."""
        wrong = self._check(event.value.strip())
        if wrong is None:
            self.dismiss(event.value.strip())
        else:
            self.query_one("#hint", Static).update(Content.styled(wrong, "bold $over"))


class Pick(_Question):
    """A list to pick from; the one in use is highlighted."""

    def __init__(self, question: str, offered: Sequence[tuple[str, str]], present: str, terminal: Terminal) -> None:
        """`offered`: pairs of an answer and what the list says of it."""
        super().__init__()
        self._question, self._offered, self._present, self._terminal = question, offered, present, terminal

    def compose(self) -> ComposeResult:
        names = max(len(name) for name, _ in self._offered) + 2
        room = min(LARGE, self.app.size.width) - names - _FRAME
        options = [
            Option(Content.assemble((name.ljust(names), "bold"), cut(says, max(room, 1), self._terminal)))
            for name, says in self._offered
        ]
        with Vertical(classes="box large"):
            yield Static(self._question, markup=False)
            yield OptionList(*options, compact=True, markup=False)
            yield Static("Enter takes it, Escape leaves it as it is.", markup=False, id="hint")

    def on_mount(self) -> None:
        """Highlight the one in use."""
        names = [name for name, _ in self._offered]
        self.query_one(OptionList).highlighted = names.index(self._present) if self._present in names else 0

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Close with this answer."""
        self.dismiss(self._offered[event.option_index][0])


class Help(_Question):
    """The keys, and how to read the screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,q,enter,space", "dismiss(None)", "close", show=False)
    ]

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__()
        self._glyphs = glyphs

    def compose(self) -> ComposeResult:
        with Vertical(classes="box large"):
            yield Static(Content("\n").join(_help(self._glyphs)), markup=False)


def _help(glyphs: Glyphs) -> list[Content]:
    keys = (
        (f"{glyphs.up_down}", "the host to look at; b: always the busiest"),
        ("m", "the gateway model that counts"),
        ("l", "the limit: type a number"),
        ("s", "sort hosts by connections now, peak, new ones, name"),
        ("/", "show only hosts whose name has these letters"),
        ("+ -", "a finer or coarser timeline; 0: as wide as fits"),
        ("p", "hold the picture still; capturing goes on"),
        ("r", "write the report now, as it would be at the end"),
        ("q", "end the capture and print the verdict (also Ctrl-C)"),
    )
    marks = (
        (glyphs.talking, "$talking", "talking: a packet in the last 5 s"),
        (glyphs.lingering, "$lingering", "lingering: the gateway only remembers it"),
        (glyphs.limit, "$limit", "the limit"),
    )
    return [
        Content.styled("Keys", "$heading"),
        *(Content.assemble((f"  {key:7}", "bold"), says) for key, says in keys),
        Content(""),
        Content.styled("How to read it", "$heading"),
        *(Content.assemble("  ", (mark, style), f"      {says}") for mark, style, says in marks),
        Content('  "at least": packets were lost, so there may have been more.'),
        Content('  "provisional": the burst goes on; its class may change.'),
        Content("  +2:57: minutes and seconds since the first packet."),
        Content.styled("Escape closes this.", "$quiet"),
    ]
