"""Counts stacked as areas: talking below, lingering on top, each by kind of flow; and the key to them."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from peerburst.analysis.figures import style
from peerburst.analysis.figures.sheet import Sheet
from peerburst.analysis.humanize import number

TALKING, LINGERING = "talking", "lingering"
KEY_IN = 2.45
_KEY_LINE_IN = 0.29
_KEY_COLUMNS = ((TALKING, 0.82, 1.6), (LINGERING, 1.68, 2.45))  # left edge of the swatch, right edge of the number


def whole(counts: pd.DataFrame) -> pd.DataFrame:
    """The counts with a column (kind, state) for every kind, in stacking order; what is left out counts 0."""
    columns = pd.MultiIndex.from_product([style.KINDS, [TALKING, LINGERING]])
    return counts.reindex(columns=columns, fill_value=0).fillna(0)


def draw(axes: Axes, table: pd.DataFrame, end_s: float) -> None:
    """Stack a `whole` table: every kind's talking, then every kind's lingering. The last row holds until `end_s`."""
    times = np.append(table.index.to_numpy(dtype=float), end_s)
    floor = np.zeros(times.size)
    for state in (TALKING, LINGERING):
        for kind, look in style.KIND_LOOKS.items():
            held = table[(kind, state)].to_numpy(dtype=float)
            if not held.any():
                continue
            ceiling = floor + np.append(held, held[-1])
            axes.fill_between(times, floor, ceiling, step="post", label=f"{kind} {state}", **_fill(look, state))
            floor = ceiling
        axes.step(times, floor, where="post", color=style.INK, linewidth=0.7, label=state)


def _fill(look: style.KindLook, state: str) -> dict[str, Any]:
    """Solid for talking, pale and hatched for lingering."""
    if state == TALKING:
        return {"facecolor": look.colour, "linewidth": 0}
    edge = style.pale(look.colour, 0.25)
    return {"facecolor": style.pale(look.colour), "edgecolor": edge, "hatch": look.hatch, "linewidth": 0}


def draw_key(sheet: Sheet, table: pd.DataFrame, row: pd.Series, heading: str) -> None:
    """Colours and hatches of the kinds, top to bottom as in the stack, with the numbers of one row."""
    seen = [kind for kind in reversed(style.KINDS) if table[kind].to_numpy().any()]
    height = _KEY_LINE_IN * (len(seen) + 2.3)
    key = sheet.canvas(sheet.right_in - KEY_IN, sheet.top_in - 0.08 - height, sheet.right_in, sheet.top_in - 0.08)
    key.set_label("key")
    key.text(0, height, heading, va="top", fontweight="bold")
    for state, _, right in _KEY_COLUMNS:
        key.text(right, height - _KEY_LINE_IN, state, ha="right", va="top", fontsize=style.SMALL_PT)
    for place, kind in enumerate(seen):
        _draw_key_line(key, kind, row, height - _KEY_LINE_IN * (place + 2.75))


def _draw_key_line(key: Axes, kind: str, row: pd.Series, base: float) -> None:
    key.text(0, base + 0.08, kind, va="center_baseline")
    for state, left, right in _KEY_COLUMNS:
        key.add_patch(Rectangle((left, base), 0.2, 0.17, **_fill(style.KIND_LOOKS[kind], state)))
        key.text(right, base + 0.08, number(row[(kind, state)]), ha="right", va="center_baseline")
