"""The sheet a picture is drawn on: title above, caption below, inches between; and how it is saved."""

import io
import re
from dataclasses import dataclass
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D

from peerburst.analysis.figures import style
from peerburst.analysis.humanize import one_line
from peerburst.capture.errors import SettingsError

WIDTH_IN = 11.0
HEIGHT_IN = 6.2
MARGIN_IN = 0.35
_FOOT_IN = 0.2
DPI = 160  # 1760 pixels wide
LINE_SPACING = 1.3
_SMALLEST_TITLE_PT = 12.0
# A number stays on the line of its unit.
_NUMBER_THEN_UNIT = re.compile(r"(?<=\d) (?=(?:%|[kMGTP]?B|ms|s|min|h|d)(?![A-Za-z]))")


class Picture(Figure):
    """A Figure that a notebook shows by itself, without pyplot."""

    def _repr_png_(self) -> bytes:
        return png(self)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A figure with its title and caption set; what lies between `bottom_in` and `top_in` is free to draw on."""

    figure: Figure
    bottom_in: float
    top_in: float

    @property
    def left_in(self) -> float:
        return MARGIN_IN

    @property
    def right_in(self) -> float:
        return WIDTH_IN - MARGIN_IN

    def axes(self, left_in: float, bottom_in: float, right_in: float, top_in: float) -> Axes:
        """Axes whose frame has these edges, in inches from the lower left corner of the sheet."""
        height = self.figure.get_figheight()
        return self.figure.add_axes(
            (left_in / WIDTH_IN, bottom_in / height, (right_in - left_in) / WIDTH_IN, (top_in - bottom_in) / height)
        )

    def canvas(self, left_in: float, bottom_in: float, right_in: float, top_in: float) -> Axes:
        """Axes without a frame, measured in inches from their own lower left corner."""
        axes = self.axes(left_in, bottom_in, right_in, top_in)
        axes.set_axis_off()
        axes.set(xlim=(0, right_in - left_in), ylim=(0, top_in - bottom_in))
        return axes

    def say_nothing_to_draw(self, reason: str) -> None:
        """Fill the free part with one sentence instead of a drawing."""
        middle = (self.bottom_in + self.top_in) / 2 / self.figure.get_figheight()
        self.figure.text(0.5, middle, f"Nothing to draw: {reason}", ha="center", fontsize=13, color=style.QUIET)


def open_sheet(title: str, subtitle: str, caption: str, height_in: float = HEIGHT_IN) -> Sheet:
    """A sheet 11 inches wide with its words on it; each is wrapped to the width, so none is ever clipped."""
    figure = Picture(figsize=(WIDTH_IN, height_in), dpi=DPI)
    FigureCanvasAgg(figure)
    title_pt = _title_size(title, WIDTH_IN - 2 * MARGIN_IN)
    top = _write_down(figure, title, title_pt, "bold", style.INK, height_in - 0.28)
    top = _write_down(figure, subtitle, style.SUBTITLE_PT, "normal", style.QUIET, top - 0.04)
    bottom = _write_caption(figure, caption)
    rule = [MARGIN_IN / WIDTH_IN, 1 - MARGIN_IN / WIDTH_IN]
    figure.add_artist(Line2D(rule, [bottom / height_in] * 2, color=style.FAINT, linewidth=0.8))
    return Sheet(figure, bottom + 0.12, top - 0.1)


def _write_caption(figure: Figure, caption: str) -> float:
    """Set the caption at the foot of the sheet; returns where it ends above."""
    lines = wrap(caption, WIDTH_IN - 2 * MARGIN_IN, style.CAPTION_PT)
    figure.text(
        MARGIN_IN / WIDTH_IN,
        _FOOT_IN / figure.get_figheight(),
        "\n".join(lines),
        fontsize=style.CAPTION_PT,
        va="bottom",
        linespacing=LINE_SPACING,
        gid="caption",
    )
    return _FOOT_IN + _lines_in(len(lines), style.CAPTION_PT) + 0.1


@style.house_style
def png(figure: Figure) -> bytes:
    """The figure as a PNG: the same bytes for the same picture (no date, no software name)."""
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=DPI, metadata={"Software": None})
    return target.getvalue()


def save(figure: Figure, path: str | PathLike[str]) -> None:
    """Write the figure to `path` as a PNG; SettingsError if that place cannot be written."""
    data = png(figure)
    try:
        Path(path).write_bytes(data)
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise SettingsError(f"{path}: cannot write the picture ({reason}); choose another place with -o.") from problem


@lru_cache(maxsize=4096)
def text_width_in(text: str, size_pt: float, weight: str = "normal") -> float:
    """Width of one line of text, in inches, as it will be set."""
    font = FontProperties(family=[style.FAMILY], size=size_pt, weight=weight)
    width, _, _ = _ruler().get_text_width_height_descent(text, font, False)
    return float(width) / DPI


def wrap(text: str, width_in: float, size_pt: float, weight: str = "normal") -> list[str]:
    """Lines no wider than `width_in`; a single word wider than that is cut into pieces."""
    lines: list[str] = []
    line = ""
    for word in _NUMBER_THEN_UNIT.sub("\u00a0", one_line(text)).split(" "):
        longer = f"{line} {word}" if line else word
        if text_width_in(longer, size_pt, weight) <= width_in:
            line = longer
            continue
        if line:
            lines.append(line)
        *pieces, line = _cut(word, width_in, size_pt, weight)
        lines += pieces
    lines.append(line)
    return [line.replace("\u00a0", " ") for line in lines]


def shorten(text: str, width_in: float, size_pt: float, weight: str = "normal") -> str:
    """The text, or as much of its start as fits in `width_in` with an ellipsis."""
    text = one_line(text)
    if text_width_in(text, size_pt, weight) <= width_in:
        return text
    while text and text_width_in(f"{text}…", size_pt, weight) > width_in:
        text = text[:-1]
    return f"{text}…"


@lru_cache(maxsize=1)
def _ruler() -> Any:
    return RendererAgg(1, 1, DPI)  # type: ignore[no-untyped-call]  # matplotlib has no types for its backends


def _cut(word: str, width_in: float, size_pt: float, weight: str) -> list[str]:
    pieces = [""]
    for letter in word:
        if pieces[-1] and text_width_in(pieces[-1] + letter, size_pt, weight) > width_in:
            pieces.append("")
        pieces[-1] += letter
    return pieces


def _title_size(title: str, width_in: float) -> float:
    """The largest size at which the title takes one line, down to a readable smallest."""
    needed = text_width_in(one_line(title), style.TITLE_PT, "bold")
    return min(style.TITLE_PT, max(_SMALLEST_TITLE_PT, style.TITLE_PT * width_in / max(needed, 1e-9) * 0.995))


def _lines_in(count: int, size_pt: float) -> float:
    return count * size_pt * LINE_SPACING / 72


def _write_down(figure: Figure, text: str, size_pt: float, weight: str, colour: str, top_in: float) -> float:
    """Set text with its upper edge at `top_in`; returns where it ends."""
    if not text:
        return top_in
    lines = wrap(text, WIDTH_IN - 2 * MARGIN_IN, size_pt, weight)
    figure.text(
        MARGIN_IN / WIDTH_IN,
        top_in / figure.get_figheight(),
        "\n".join(lines),
        fontsize=size_pt,
        fontweight=weight,
        color=colour,
        va="top",
        linespacing=LINE_SPACING,
    )
    return top_in - _lines_in(len(lines), size_pt)
