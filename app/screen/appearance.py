"""How the screen looks: its colours, and where its panels stand in terminals of different sizes."""

import dataclasses

from textual.theme import BUILTIN_THEMES, Theme

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

# -narrow, -low and so on: the breakpoints below, which Textual sets as classes of the screen.
WIDTHS = [(0, "-narrow"), (76, "-usual"), (110, "-wide")]
HEIGHTS = [(0, "-low"), (22, "-medium"), (34, "-tall")]
CSS = """
Screen { background: $background; color: $foreground; }
Panel { height: 1; width: 1fr; text-wrap: nowrap; }
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
