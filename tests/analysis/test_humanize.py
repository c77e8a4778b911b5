"""Numbers in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerburst.analysis import humanize


@pytest.mark.parametrize(
    ("data", "text"),
    [(0, "0 B"), (980, "980 B"), (999, "999 B"), (1000, "1 kB"), (1234, "1.2 kB"), (999_499, "999 kB"),
     (999_500, "1 MB"), (14e9, "14 GB"), (5e18, "5,000 PB")],
)  # fmt: skip
def test_sizes_are_decimal(data: float, text: str) -> None:
    assert humanize.size(data) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.0421, "42 ms"), (0.3, "0.3 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (60, "1 min"),
     (200, "3 min 20 s"), (7500, "2 h 5 min"), (3600, "1 h"), (273_600, "3 d 4 h")],
)  # fmt: skip
def test_spans_have_two_units(seconds: float, text: str) -> None:
    assert humanize.span(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "+0:00"), (42.9, "+0:42"), (59.999, "+0:59"), (61, "+1:01"), (3723, "+1:02:03"), (360_000, "+100:00:00")],
)
def test_clocks_cut_the_part_of_a_second(seconds: float, text: str) -> None:
    assert humanize.clock(seconds) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 10, "0 %"),
        (1, 1000, "under 1 %"),
        (1, 3, "33 %"),
        (999, 1000, "over 99 %"),
        (10, 10, "100 %"),
        (0, 0, "0 %"),
    ],
)
def test_a_part_never_reads_as_none_or_all(part: float, whole: float, text: str) -> None:
    assert humanize.share(part, whole) == text


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (0.0421, "0.042"), (1.25, "1.2"), (9.96, "10"), (5712, "5,712")])
def test_few_digits(value: float, text: str) -> None:
    assert humanize.few_digits(value) == text


def test_counted_nouns() -> None:
    assert humanize.counted(1, "flow") == "1 flow"
    assert humanize.counted(40_000, "flow") == "40,000 flows"
    assert humanize.counted(2, "entry", "entries") == "2 entries"


@given(st.text())
def test_one_line_is_one_harmless_line(text: str) -> None:
    line = humanize.one_line(text)
    assert len(line.splitlines()) <= 1
    assert not any(character in line for character in "\x1b\x9b\r\n\t\x00\u202e\u2066")
    assert humanize.one_line(line) == line


def test_what_is_printable_stays() -> None:
    assert humanize.one_line("Zürich \u2192 東京 ") == "Zürich \u2192 東京"
    assert humanize.one_line("a\x1b[31mb\nc") == "a [31mb c"
