"""Share of connections beside share of bytes, by kind of flow: many connections are not much traffic."""

from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from peerburst.analysis.figures import style
from peerburst.analysis.figures.sheet import open_sheet
from peerburst.analysis.humanize import counted, number, one_line, share, size

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
    middle, half = (sheet.left_in + sheet.right_in) / 2, _NAME_IN / 2
    top, bottom = sheet.top_in - 0.35, sheet.bottom_in + 0.1
    left = sheet.axes(sheet.left_in, bottom, middle - half, top)
    right = sheet.axes(middle + half, bottom, sheet.right_in, top)
    _draw_side(left, table[CONNECTIONS], "connections", [counted(value, "connection") for value in table[CONNECTIONS]])
    _draw_side(right, table[IP_BYTES], "bytes", [size(value) for value in table[IP_BYTES]])
    left.set_label(CONNECTIONS)
    right.set_label(IP_BYTES)
    left.invert_xaxis()
    left.spines["left"].set_visible(False)
    left.spines["right"].set_visible(True)
    between = (left.get_position().x1 + right.get_position().x0) / 2
    for row, kind in enumerate(table.index):
        height = left.transData.transform((0, row))[1] / sheet.figure.bbox.height
        sheet.figure.text(between, height, kind, ha="center", va="center_baseline", fontsize=12, fontweight="bold")
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


def _draw_side(axes: Axes, values: "pd.Series[float]", what: str, amounts: list[str]) -> None:
    """Bars from the middle outwards, each with its share and its amount written at its end."""
    whole = float(values.sum())
    parts = [float(value) / whole if whole else 0.0 for value in values]
    looks = [style.KIND_LOOKS[str(kind)] for kind in values.index]
    axes.barh(range(len(parts)), parts, _BAR, color=[look.colour for look in looks], linewidth=0)
    outwards = 1 if what == "bytes" else -1
    for row, (part, value, amount) in enumerate(zip(parts, values, amounts, strict=True)):
        axes.annotate(
            share(float(value), whole),
            (part, row),
            (7 * outwards, 0),
            textcoords="offset points",
            ha="left" if outwards > 0 else "right",
            va="bottom",
            fontsize=12,
            fontweight="bold",
        )
        axes.annotate(
            amount,
            (part, row),
            (7 * outwards, -1),
            textcoords="offset points",
            ha="left" if outwards > 0 else "right",
            va="top",
            fontsize=style.SMALL_PT + 0.5,
            color=style.QUIET,
        )
    axes.set(xlim=(0, 1 / _FULL_BAR), ylim=(len(parts) - 0.5, -0.5), xticks=[], yticks=[])
    axes.spines["bottom"].set_visible(False)
    total = size(whole) if what == "bytes" else number(whole)
    heading = f"share of bytes (of {total})" if what == "bytes" else f"share of connections (of {total})"
    axes.set_title(heading, loc="left" if what == "bytes" else "right", fontsize=11, pad=8)
