"""Share of connections beside share of bytes, by kind of flow: many connections are not much traffic."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from peerburst.analysis.figures import style
from peerburst.analysis.figures.sheet import Sheet, open_sheet
from peerburst.analysis.figures.subject import Subject
from peerburst.analysis.humanize import counted, number, one_line, share, size
from peerburst.capture.vocabulary import KIND_NAMES

CONNECTIONS, IP_BYTES = "connections", "ip_bytes"
_BAR = 0.62  # of a row
_ROW_IN = 0.66
_FIXED_IN = 2.3  # title, headings and a caption of three lines
_NAME_IN = 1.1  # the column of names between the two sides
# A bar of 100 % ends here, so that its label still fits outside.
_FULL_BAR = 0.62


@dataclass(frozen=True, slots=True)
class SharesView:
    """What the picture draws.

    table  index: kind; columns: connections (count) and ip_bytes (bytes by the IP length field, both directions).
    """

    host: str
    table: pd.DataFrame


def view(subject: Subject) -> SharesView:
    """The host's connections and bytes by kind."""
    analysis = subject.analysis
    which = analysis.counted_flows(subject.number).flow
    kind, many = analysis.kinds[which], len(KIND_NAMES)
    ip_bytes = np.bincount(kind, weights=analysis.facts.ip_bytes[which], minlength=many)
    table = pd.DataFrame(
        {CONNECTIONS: np.bincount(kind, minlength=many), IP_BYTES: ip_bytes.astype(np.int64)},
        index=pd.Index(KIND_NAMES, name="kind"),
    )
    return SharesView(subject.host, table[table[CONNECTIONS] > 0])


def title(view: SharesView) -> str:
    """The picture's title."""
    return f"What {one_line(view.host)} opened, and what it moved"


def caption(view: SharesView) -> str:
    """What is seen, with its numbers."""
    table = _present(view)
    if table.empty:
        return "The host opened no connection."
    flows, data = table[CONNECTIONS].sum(), table[IP_BYTES].sum()
    most = table[CONNECTIONS].idxmax()
    fattest = table[IP_BYTES].idxmax()
    words = [f"{counted(flows, 'connection')} moved {size(data)}."]
    words.append(_part_in_words(table, str(most), flows, data))
    if fattest != most and data:
        words.append(_part_in_words(table, str(fattest), flows, data))
    return " ".join(words)


@style.house_style
def draw(view: SharesView) -> Figure:
    """The picture; axes are labelled `connections` and `ip_bytes`, a bar's length is a share from 0 to 1."""
    table = _present(view)
    height = _FIXED_IN + _ROW_IN * max(len(table), 1)
    sheet = open_sheet(title(view), "share of all connections and share of all bytes, by kind", caption(view), height)
    if table.empty:
        sheet.say_nothing_to_draw("no connection was opened")
        return sheet.figure
    left, right = _two_sides(sheet)
    _draw_side(left, table[CONNECTIONS], _CONNECTIONS_SIDE)
    _draw_side(right, table[IP_BYTES], _BYTES_SIDE)
    left.invert_xaxis()
    left.spines["left"].set_visible(False)
    left.spines["right"].set_visible(True)
    _draw_names(sheet, left, right, [str(kind) for kind in table.index])
    return sheet.figure


def _present(view: SharesView) -> pd.DataFrame:
    """Kinds that occur, most connections first."""
    table = view.table.reindex(index=list(style.KINDS), fill_value=0)[[CONNECTIONS, IP_BYTES]]
    return table[table.any(axis=1)].sort_values([CONNECTIONS, IP_BYTES], ascending=False, kind="stable")


def _part_in_words(table: pd.DataFrame, kind: str, flows: float, data: float) -> str:
    opened, moved = float(table[CONNECTIONS][kind]), float(table[IP_BYTES][kind])
    return (
        f"{kind.capitalize()} flows were {share(opened, flows)} of the connections "
        f"and {share(moved, data)} of the bytes."
    )


def _two_sides(sheet: Sheet) -> tuple[Axes, Axes]:
    """Axes for connections and for bytes, with room for names between."""
    middle, half = (sheet.left_in + sheet.right_in) / 2, _NAME_IN / 2
    top, bottom = sheet.top_in - 0.35, sheet.bottom_in + 0.1
    left = sheet.axes(sheet.left_in, bottom, middle - half, top)
    right = sheet.axes(middle + half, bottom, sheet.right_in, top)
    left.set_label(CONNECTIONS)
    right.set_label(IP_BYTES)
    return left, right


class _Side(NamedTuple):
    """How one side is set: what it shares out, an amount and the whole in words, and where bars and words begin."""

    what: str
    amount: Callable[[float], str]
    whole: Callable[[float], str]
    outwards: int  # 1 to the right, -1 to the left
    align: Literal["left", "right"]
    heading_at: Literal["left", "right"]


_CONNECTIONS_SIDE = _Side("connections", partial(counted, one="connection"), number, -1, "right", "right")
_BYTES_SIDE = _Side("bytes", size, size, 1, "left", "left")


def _draw_side(axes: Axes, values: "pd.Series[float]", side: _Side) -> None:
    """Bars from the middle outwards, each with its share and its amount written at its end."""
    whole = float(values.sum())
    parts = [float(value) / whole if whole else 0.0 for value in values]
    looks = [style.KIND_LOOKS[str(kind)] for kind in values.index]
    axes.barh(range(len(parts)), parts, _BAR, color=[look.colour for look in looks], linewidth=0)
    for row, (part, value) in enumerate(zip(parts, values, strict=True)):
        _draw_amounts(axes, (part, row), (share(float(value), whole), side.amount(value)), side)
    axes.set(xlim=(0, 1 / _FULL_BAR), ylim=(len(parts) - 0.5, -0.5), xticks=[], yticks=[])
    axes.spines["bottom"].set_visible(False)
    axes.set_title(f"share of {side.what} (of {side.whole(whole)})", loc=side.heading_at, fontsize=11, pad=8)


def _draw_amounts(axes: Axes, end: tuple[float, float], words: tuple[str, str], side: _Side) -> None:
    """The share, and the amount under it, beyond the end of a bar."""
    beyond = 7 * side.outwards
    setting: dict[str, Any] = {"textcoords": "offset points", "ha": side.align}
    axes.annotate(words[0], end, (beyond, 0), va="bottom", fontsize=12, fontweight="bold", **setting)
    small = style.SMALL_PT + 0.5
    axes.annotate(words[1], end, (beyond, -1), va="top", fontsize=small, color=style.QUIET, **setting)


def _draw_names(sheet: Sheet, left: Axes, right: Axes, kinds: list[str]) -> None:
    """The kind of each row of bars, between the two sides."""
    between = (left.get_position().x1 + right.get_position().x0) / 2
    for row, kind in enumerate(kinds):
        height = left.transData.transform((0, row))[1] / sheet.figure.bbox.height
        sheet.figure.text(between, height, kind, ha="center", va="center_baseline", fontsize=12, fontweight="bold")
