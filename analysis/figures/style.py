"""How every picture looks: colours, second cues, type sizes. One place, so that a kind is the same in all of them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from matplotlib import style as mpl_style

from peerburst.capture.vocabulary import KIND_NAMES

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class KindLook:
    """What marks one kind of flow: a colour, and a hatch and a marker for eyes or printers without colour."""

    colour: str
    hatch: str
    marker: str


# Okabe & Ito's palette (2008, "Color Universal Design"), told apart with all common kinds of colour blindness; grey
# is for what needs no attention. Order is stacking order, bottom to top, and the integer code of each kind.
_LOOKS = {
    "probe": KindLook("#E69F00", "....", "v"),
    "sync": KindLook("#0072B2", "////", "o"),
    "heavy": KindLook("#D55E00", "xxxx", "s"),
    "media": KindLook("#CC79A7", "\\\\\\\\", "D"),
    "service": KindLook("#009E73", "----", "P"),
    "ordinary": KindLook("#8A8A8A", "||||", "^"),
}
KINDS = KIND_NAMES
# A kind without colours yet is drawn all the same; tests/analysis/bursts/test_vocabulary.py names it.
KIND_LOOKS = {kind: _LOOKS.get(kind, KindLook("#000000", "", ".")) for kind in KINDS}

INK = "#1F2328"
QUIET = "#57606A"  # 6.4:1 against white: still easy to read
FAINT = "#D0D7DE"
ALARM = "#A40E26"  # limits and what is above them
ALARM_TINT = "#FBE3E4"
CALM_TINT = "#E6F0F7"

FAMILY = "DejaVu Sans"  # ships with matplotlib, so a picture is the same on every machine
TITLE_PT = 15.0
SUBTITLE_PT = 10.5
LABEL_PT = 10.0
SMALL_PT = 9.0  # nothing is set smaller: legible when 11 inches are a page wide
CAPTION_PT = 10.0

# parse_math off: a `$` in a name is a dollar, not the start of a formula.
_SETTINGS: dict[str, Any] = {
    "text.parse_math": False,
    "text.usetex": False,
    "text.color": INK,
    "font.family": [FAMILY],
    "font.size": LABEL_PT,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.labelsize": LABEL_PT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": False,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": SMALL_PT + 0.5,
    "ytick.labelsize": SMALL_PT + 0.5,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.6,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "legend.frameon": False,
}


def house_style(function: Callable[P, R]) -> Callable[P, R]:
    """Run `function` under our settings alone: whatever the caller has set in matplotlib neither shows nor changes."""

    @wraps(function)
    def styled(*args: P.args, **kwargs: P.kwargs) -> R:
        with mpl_style.context(["default", _SETTINGS]):
            return function(*args, **kwargs)

    return styled


def pale(colour: str, amount: float = 0.75) -> tuple[float, float, float]:
    """`colour` (#RRGGBB) mixed with white; `amount` 0 keeps it, 1 is white."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return tuple(part + (1 - part) * amount for part in (red, green, blue))  # type: ignore[return-value]
