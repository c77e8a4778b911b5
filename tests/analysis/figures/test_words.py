"""How figures say numbers, wrap lines and divide time."""

import numpy as np
import pytest

from peerburst.analysis.figures import timeaxis
from peerburst.analysis.figures.sheet import text_width_in, wrap
from peerburst.analysis.humanize import clock, counted, few_digits, number, one_line, share, size, span


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (number(40_000), "40,000"),
        (counted(1, "flow"), "1 flow"),
        (counted(0, "flow"), "0 flows"),
        (counted(2, "mouse", "mice"), "2 mice"),
        (few_digits(0.0421), "0.042"),
        (few_digits(9.96), "10"),
        (few_digits(1.3), "1.3"),
        (few_digits(2.0), "2"),
        (size(0), "0 B"),
        (size(999), "999 B"),
        (size(999.9), "1 kB"),
        (size(1_234_567), "1.2 MB"),
        (size(500_000), "500 kB"),
        (size(14e9), "14 GB"),
        (span(0), "0 s"),
        (span(0.012), "12 ms"),
        (span(0.3), "0.3 s"),
        (span(42.4), "42 s"),
        (span(59.6), "1 min"),
        (span(200), "3 min 20 s"),
        (span(3600), "1 h"),
        (span(7500), "2 h 5 min"),
        (span(3 * 86_400 + 4 * 3600), "3 d 4 h"),
        (clock(0.4), "+0:00"),
        (clock(42.9), "+0:42"),
        (clock(3723), "+1:02:03"),
        (share(0, 5), "0 %"),
        (share(5, 0), "0 %"),
        (share(1, 1000), "under 1 %"),
        (share(999, 1000), "over 99 %"),
        (share(82, 100), "82 %"),
        (share(5, 5), "100 %"),
        (one_line("a\nb\x1b[31m\u202ec"), "a b [31m c"),
    ],
)
def test_numbers_are_said_in_words(said: str, expected: str) -> None:
    assert said == expected


def test_wrapped_lines_fit_and_lose_nothing() -> None:
    text = "Above the limit of 200 for 3 min 20 s, 1.2 MB. " * 6 + "x" * 300
    lines = wrap(text, 4.0, 10)
    assert all(text_width_in(line, 10) <= 4.0 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_a_number_is_not_parted_from_its_unit() -> None:
    for width in np.linspace(1.0, 4.0, 40):
        lines = wrap("it took 3 min 20 s and 1.2 MB or 82 % of all", float(width), 10)
        assert not any(line.startswith(("min", "s ", "MB", "%")) for line in lines)


@pytest.mark.parametrize(
    ("length_s", "unit", "step_s"),
    [
        (1, "seconds", 0.1),
        (60, "seconds", 10),
        (299, "seconds", 30),
        (600, "minutes", 60),
        (7200, "minutes", 900),
        (3 * 86_400, "hours", 12 * 3600),
        (4 * 86_400, "days", 86_400),
        (30 * 86_400, "days", 5 * 86_400),
    ],
)
def test_time_axis_takes_a_unit_that_suits(length_s: float, unit: str, step_s: float) -> None:
    chosen = timeaxis.unit_for(length_s)
    assert chosen.name == unit
    assert timeaxis.step_for(length_s, chosen) == pytest.approx(step_s)
