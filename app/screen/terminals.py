"""What a terminal can show, and the characters that the screen draws with there."""

from collections.abc import Mapping
from dataclasses import dataclass

# The kernel's console has a font of 256 or 512 characters, without braille; video terminals have their own sets.
_POOR_FONT = ("linux", "vt", "ansi", "cons")
_COLOURLESS = ("vt100", "vt102", "vt220", "vt320")
_NO_CURSOR = ("", "dumb", "unknown", "emacs")


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Characters by meaning. `braille`: the timeline is drawn in dots, 2 by 4 a cell; otherwise in half cells."""

    braille: bool
    talking: str
    lingering: str
    low_talking: str  # half a cell of it, in a timeline without dots
    low_lingering: str
    free: str
    limit: str  # the mark across the gauge
    line: str  # the limit's line in a timeline without dots
    tick: str
    chosen: str
    bar: str
    cut: str  # stands for what did not fit
    frame: str  # Textual's name of a border
    up_down: str  # keys

    @property
    def dots(self) -> tuple[int, int]:
        """How many steps across and up one cell of a timeline has."""
        return (2, 4) if self.braille else (1, 2)


DOTS = Glyphs(True, "█", "▒", "▄", "▖", "·", "┃", "-", "╵", "▶", "■", "…", "round", "↑↓")
ASCII = Glyphs(False, "#", ":", "=", ".", "_", "|", "-", "'", ">", "=", "~", "ascii", "j/k")


@dataclass(frozen=True, slots=True)
class Terminal:
    """What a terminal can show."""

    glyphs: Glyphs
    colour: bool

    def words(self, text: str) -> str:
        """`text` as this terminal can show it."""
        return text if self.glyphs.braille else text.encode("ascii", "replace").decode("ascii")


def can_show(environ: Mapping[str, str]) -> bool:
    """Whether the terminal can place its cursor, as a screen needs it to."""
    return environ.get("TERM", "") not in _NO_CURSOR


def terminal_of(environ: Mapping[str, str]) -> Terminal:
    """The terminal that the environment tells of: TERM, NO_COLOR (no-color.org) and the locale."""
    kind = environ.get("TERM", "")
    glyphs = DOTS if _is_utf8(environ) and not kind.startswith(_POOR_FONT) else ASCII
    return Terminal(glyphs, colour=not environ.get("NO_COLOR") and not kind.startswith(_COLOURLESS))


def _is_utf8(environ: Mapping[str, str]) -> bool:
    """Whether the locale's characters are UTF-8, by the variables POSIX names, in its order.

    Python itself sets LC_CTYPE to C.UTF-8 where it finds the C locale (PEP 538): that says nothing of the terminal.
    """
    language = environ.get("LANG", "")
    ctype = environ.get("LC_CTYPE", "")
    if ctype == "C.UTF-8" and language in ("C", "POSIX"):
        ctype = ""
    locale = environ.get("LC_ALL") or ctype or language
    return "utf8" in locale.lower().replace("-", "")
