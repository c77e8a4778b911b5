"""What is drawn of a count: cells of the gauge and the timeline, against pictures written out by hand."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("textual")

from peerburst.live.view import History
from peerburst.screen import panels
from peerburst.screen.host_table import DisplayOptions, SortOrder, hosts_table, listed_hosts
from peerburst.screen.panels import SessionState
from peerburst.screen.plot import columns_of, gauge, scale_top, span_of, timeline
from peerburst.screen.terminals import ASCII, DOTS, Terminal, can_show, terminal_of
from tests.support.live import views

PLAIN = Terminal(ASCII, colour=False)
FULL = Terminal(DOTS, colour=True)


def _history(*samples: tuple[float, int, int]) -> History:
    t, count, talking = zip(*samples, strict=True)
    return History(np.array(t, float), np.array(count, np.int64), np.array(talking, np.int64))


@pytest.mark.parametrize(
    ("count", "talking", "drawn"),
    [
        (0, 0, "________________|___"),  # 20 cells are 250 connections: 12.5 each, the limit at 200
        (50, 25, "##::____________|___"),
        (1, 1, "#_______________|___"),
        (200, 0, "::::::::::::::::|___"),
        (201, 0, "::::::::::::::::|___"),  # hidden by the mark; the sentence says it
        (225, 225, "################|#__"),
        (1000, 0, "::::|:::::::::::::::"),
    ],
)
def test_gauge(count: int, talking: int, drawn: str) -> None:
    assert gauge(count, talking, 200, 20, ASCII).plain == drawn


def test_gauge_over_the_limit_says_so_in_colour_too() -> None:
    spans = [(span.start, span.end, span.style) for span in gauge(250, 0, 200, 20, DOTS).spans]
    assert spans == [(0, 16, "$lingering"), (16, 17, "bold $limit"), (17, 20, "$over")]


def test_timeline_in_half_cells() -> None:
    # 4 rows of 2 halves; 8 is the limit, 3 rows below it: a half is 8/6 connections, the upper edge 10.7;
    # of the 8, the 4 talking are three halves.
    history = _history((0, 1, 1), (1, 4, 0), (2, 8, 4), (3, 9, 0), (4, 0, 0))
    lines = [line.plain for line in timeline(history, 8, 4.0, (16, 5), ASCII)]
    assert lines == [
        "limit 8 ---.----",
        "          ::    ",
        "         .#:    ",
        "      0 =:#:    ",
        "        '+0:00  ",
    ]


def test_timeline_in_dots() -> None:
    # The limit is far above. 1 and 4 talking share a cell, then come 3 lingering, of which the topmost is drawn.
    history = _history((0, 1, 1), (1, 4, 4), (2, 3, 0), (3, 0, 0))
    lines = [line.plain for line in timeline(history, 100, 3.0, (60, 3), DOTS)]
    low = lines[1][len("limit 100 ") :]
    # Two rows, upper edge 4: a dot is half a connection, so 1 is two dots, 4 all eight, 3 two of the upper four.
    assert lines[0].rstrip().endswith("limit 100: far above")
    assert low[0] == chr(0x2800 + 0x40 + 0x04 + 0x80 + 0x20 + 0x10 + 0x08)
    assert ord(low[1]) - 0x2800 in (0x40 + 0x02, 0x04 + 0x01)  # every other dot
    assert low[2] == " "


def test_a_limit_in_sight_lies_between_two_rows() -> None:
    assert scale_top(60, 200, 6) == 240.0  # five rows below the limit, one above
    assert scale_top(243, 200, 6) == 300.0  # 240 would cut it off
    assert scale_top(49, 200, 6) == 50.0  # the limit is left out
    assert scale_top(5000, 200, 6) == 5000.0
    assert scale_top(0, 200, 6) == 4.0


def test_columns_keep_the_largest_of_their_time() -> None:
    history = _history((0, 3, 3), (1, 9, 2), (2, 4, 1), (7, 5, 5))
    count, talking = columns_of(history, span_of(8.0, 6, 2), 8.0)
    assert count.tolist() == [9, 4, 4, 5, 5, -1]  # carried on through silence, and nothing after now
    assert talking.tolist() == [2, 1, 1, 5, 5, -1]


def test_a_long_session_shows_its_latest_part() -> None:
    assert (span_of(100.0, 140, None).step_s, span_of(100.0, 140, None).first) == (1, 0)
    assert span_of(200.0, 140, None).step_s == 2
    late = span_of(36_000.0, 140, None)
    assert (late.step_s, late.first + late.columns - 1) == (10, 3600)


@pytest.mark.parametrize(
    ("environ", "glyphs", "colour"),
    [
        ({"TERM": "xterm-256color", "LANG": "en_GB.UTF-8"}, DOTS, True),
        ({"TERM": "xterm-256color", "LANG": "de_DE.utf8", "NO_COLOR": "1"}, DOTS, False),
        ({"TERM": "xterm-256color", "LANG": "de_DE.utf8", "NO_COLOR": ""}, DOTS, True),  # no-color.org: not empty
        ({"TERM": "xterm-256color", "LANG": "en_GB.UTF-8", "LC_ALL": "C"}, ASCII, True),
        ({"TERM": "xterm-256color", "LANG": "C", "LC_CTYPE": "C.UTF-8"}, ASCII, True),  # Python set LC_CTYPE
        ({"TERM": "xterm-256color", "LC_CTYPE": "C.UTF-8"}, DOTS, True),
        ({"TERM": "xterm", "LANG": "en_US.ISO-8859-1"}, ASCII, True),
        ({"TERM": "vt100", "LANG": "en_GB.UTF-8"}, ASCII, False),
        ({"TERM": "linux", "LANG": "en_GB.UTF-8"}, ASCII, True),
    ],
)
def test_what_a_terminal_can_show(environ: dict[str, str], glyphs: object, colour: bool) -> None:
    found = terminal_of(environ)
    assert (found.glyphs, found.colour) == (glyphs, colour)


def test_without_a_cursor_there_is_no_screen() -> None:
    assert not can_show({"TERM": "dumb"})
    assert not can_show({})
    assert can_show({"TERM": "vt100"})


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"count": 120}, "192.168.1.34 holds 120 connections: 80 left to the limit of 200"),
        ({"count": 200}, "192.168.1.34 holds 200 connections: CLOSE to the limit of 200, 0 left"),
        ({"count": 212}, "192.168.1.34 holds 212 connections: 12 OVER the limit of 200"),
        ({"count": 212, "drops": 5}, "192.168.1.34 holds at least 212 connections: 12 OVER the limit of 200"),
        ({"count": 1, "host": "2001:db8:1234:5678:9abc:def0:1234:5678"},
         "2001:db8:1234:…def0:1234:5678 is sent 1 connection: 199 left to the limit of 200"),
    ],
)  # fmt: skip
def test_the_sentence(changed: dict[str, object], says: str) -> None:
    sentence = panels.headline(views.view(**changed), 80, FULL)[0].plain
    assert sentence == says
    assert len(sentence) <= 80


def test_hosts_are_those_around_the_chosen_one_sorted_and_filtered() -> None:
    hosts = tuple(views.HostLine(f"10.0.0.{n}", 100 - n, 1, n, 1.0, n % 3, False) for n in range(1, 31))
    view = views.view(hosts=hosts, host="10.0.0.20")
    lines = [line.plain for line in hosts_table(view, DisplayOptions(), 45, 6, FULL)]
    assert [line.split()[0 if line[0] == " " else 1] for line in lines[1:]] == [
        "10.0.0.18", "10.0.0.19", "10.0.0.20", "10.0.0.21", "10.0.0.22",
    ]  # fmt: skip
    assert lines[3].startswith("▶ 10.0.0.20")
    by_peak = listed_hosts(view, DisplayOptions(order=SortOrder.PEAK))
    assert [host.peak for host in by_peak[:2]] == [30, 29]
    assert [host.name for host in listed_hosts(view, DisplayOptions(name_filter="0.3"))] == ["10.0.0.3", "10.0.0.30"]
    none = hosts_table(view, DisplayOptions(name_filter="zz"), 45, 6, FULL)
    assert none[1].plain.strip() == "no host's name has that (/)"


@pytest.mark.parametrize("label", ["p2p-sync", "client-server", "bulk-transfer"])
def test_a_burst_fits_80_columns_and_says_that_it_is_provisional(label: str) -> None:
    burst = dataclasses.replace(
        views.view().burst, label=label, confidence=0.999, connections=12_345, seconds=3599, inbound=True
    )
    lines = [line.plain for line in panels.burst_lines(views.view(burst=burst), 80, 3, FULL)]
    assert lines[0].startswith(f"Burst +0:40  {label}, PROVISIONAL, over 99 % sure  12,345 sent to it")
    over = dataclasses.replace(burst, provisional=False)
    assert "PROVISIONAL" not in panels.burst_lines(views.view(burst=over), 80, 3, FULL)[0].plain


def test_evidence_is_cut_between_reasons() -> None:
    burst = dataclasses.replace(views.view().burst, evidence=tuple(f"reason number {n} of many" for n in range(6)))
    lines = [line.plain for line in panels.burst_lines(views.view(burst=burst), 80, 3, FULL)]
    assert lines[2] == "because reason number 0 of many; reason number 1 of many; 4 more"


def test_lost_packets_come_first() -> None:
    line = panels.counters(views.view(drops=1204), 80, FULL).plain
    assert line == "LOST 1,204 packets: counts are at least   saved login.pcapng, 6.2 MB"
    assert "none lost" in panels.counters(views.view(), 80, FULL).plain


def test_nothing_from_outside_leaves_its_place() -> None:
    name = "[red]a\x1b[31m\n\u202eb[/red]" + "界" * 40
    view = views.view(
        programs=(views.ProgramLine(name, 1, 1),), interfaces=(name,), saved_to=name, warnings=(name,), model=name
    )
    for width in (18, 28):
        line = panels.programs_table(view, width, 6, FULL)[1]
        assert line.cell_length == width
        assert line.plain.startswith("[red")
        assert not set(line.plain) & set("\x1b\n\u202e")
    for line in (panels.title(view, SessionState.RUNNING, 80, FULL), panels.news(view, 80, FULL)):
        assert line.cell_length <= 80
        assert not set(line.plain) & set("\x1b\n\u202e")
    assert panels.programs_table(view, 28, 6, PLAIN)[1].plain.isascii()
