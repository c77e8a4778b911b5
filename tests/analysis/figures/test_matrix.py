"""The matrix of models and limits: its cells and its words."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from peerburst.analysis.figures import matrix
from tests.analysis.figures.examples import crowded_matrix, matrix_view
from tests.analysis.figures.reading import words_of


def cells_of(figure: Figure) -> dict[str, str]:
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    return {str(text.get_gid())[5:]: text.get_text() for text in texts if str(text.get_gid()).startswith("cell:")}


def test_matrix_cells_say_when_each_limit_was_crossed_or_ok() -> None:
    assert cells_of(matrix.draw(matrix_view())) == {
        "linux-connlimit:100": "+0:42",
        "linux-connlimit:200": "+1:04",
        "linux-connlimit:1000": "ok",
        "naive:100": "+0:10",
        "naive:200": "+0:40",
        "naive:1000": "+1 d 1 h",
    }


def test_matrix_shows_peaks_and_sets_the_headline_apart() -> None:
    texts = {t.get_text(): t for t in matrix.draw(matrix_view()).findobj(Text) if isinstance(t, Text)}
    assert {"212", "1,212", "100", "200", "1,000"} <= set(texts)
    assert texts["linux-connlimit"].get_fontweight() == "bold"
    assert texts["naive"].get_fontweight() == "normal"
    assert "≥ 212" in words_of(matrix.draw(replace(matrix_view(), at_least=True)))


def test_matrix_cells_too_narrow_for_a_clock_say_whole_hours() -> None:
    assert cells_of(matrix.draw(crowded_matrix()))["model-0:5"] == "+10 h"
    assert matrix.short_cell_text(59.0) == "+0:59"
    assert matrix.short_cell_text(2 * 86_400 + 3700) == "+49 h"


@pytest.mark.parametrize(
    ("crossed", "expected"),
    [
        ([1.0, 2.0, np.nan], "a limit of 200 or less is crossed, one of 1,000 or more is not."),
        ([1.0, np.nan, np.nan], "a limit of 100 is crossed, one of 200 or more is not."),
        ([np.nan] * 3, "no limit from 100 up is crossed."),
        ([1.0, 2.0, 3.0], "every limit up to 1,000 is crossed."),
    ],
)
def test_matrix_caption_says_which_limits_are_crossed(crossed: list[float], expected: str) -> None:
    table = pd.DataFrame([crossed], index=["m"], columns=[100, 200, 1000])
    assert (
        matrix.caption(matrix.MatrixView("h", table, pd.Series({"m": 7}))) == f"Under m the host peaks at 7: {expected}"
    )


def test_matrix_caption_compares_the_models() -> None:
    assert matrix.caption(matrix_view()).endswith(
        "The same packets peak at 212 (linux-connlimit) to 1,212 (naive) across 2 gateway models."
    )
