"""Lines for people and objects for programs."""

import io
import json
from dataclasses import replace

import pytest

from peerburst.live.lines import WIDTH, JsonLines, PlainLines, as_object, line
from peerburst.live.view import AlertLine, LiveView
from tests.support.live import views


def shown(*several: LiveView, bell: bool = False) -> list[str]:
    out = io.StringIO()
    lines = PlainLines(out, bell=bell)
    for view in several:
        lines.show(view)
    return out.getvalue().splitlines()


def test_a_line_says_when_who_and_how_many_of_how_many() -> None:
    view = views.view(count=173, talking=12, new_per_s=48, peak=181)
    assert line(view) == "  +1:59 192.168.1.34: 173 of 200, 12 talking, 48 new, peak 181"


def test_drops_make_it_at_least_and_above_the_limit_it_says_over() -> None:
    view = views.view(count=1234, talking=12, new_per_s=48, peak=1810, drops=7)
    assert line(view) == "  +1:59 192.168.1.34: at least 1,234 of 200 OVER, 12 talking, 48 new, peak 1,810"
    assert " OVER" not in line(views.view(count=200, limit=200))


@pytest.mark.parametrize("host", ["10.0.0.1", "2001:db8:1234:5678:9abc:def0:1234:5678", "x" * 300])
def test_no_line_is_wider_than_eighty_columns(host: str) -> None:
    view = views.view(host=host, count=1_234_567, talking=234_567, new_per_s=9_999, peak=2_345_678, drops=1)
    for now_s in (0.0, 3_600.0, 360_000.0):
        assert len(line(views.view(host=host, now_s=now_s))) <= WIDTH
    assert "at least 1,234,567 of 200 OVER" in line(view)


def test_before_anything_came() -> None:
    assert line(views.empty()) == "  +0:00 nothing so far, no connection through the gateway"


def test_a_name_from_outside_cannot_reach_the_terminal() -> None:
    view = views.view(host="evil\x1b[2J\nname", warnings=("also\x1b]0;evil\x07",))
    text = "\n".join(shown(view))
    assert "\x1b" not in text
    assert "\x07" not in text


def test_an_alert_is_told_once_even_if_old_ones_have_gone() -> None:
    first, second, third = (AlertLine(float(i), views.HOST, 160 + i, 160) for i in range(3))
    told = shown(
        views.view(alerts=(first,)), views.view(alerts=(first, second)), views.view(alerts=(second, third)), bell=True
    )
    alerts = [text for text in told if "ALERT" in text]
    assert alerts == [f"\a  +0:0{i} ALERT: 192.168.1.34 holds {160 + i}; the limit is 200" for i in range(3)]
    assert not any("\a" in text for text in shown(views.view(alerts=(first,))))


def test_a_leap_over_two_thresholds_is_one_alert() -> None:
    leap = tuple(AlertLine(3.0, views.HOST, 256, threshold) for threshold in (160, 201))
    alerts = [text for text in shown(views.view(alerts=leap)) if "ALERT" in text]
    assert alerts == ["  +0:03 ALERT: 192.168.1.34 holds 256, over the limit of 200"]


def test_the_end_of_a_burst_is_told() -> None:
    going = views.view()
    assert going.burst is not None
    over = replace(going, burst=replace(going.burst, provisional=False))
    text = " ".join(" ".join(shown(going, over, over)).split())
    assert text.count(" is over: opened 160 connections, p2p-sync (82 % sure)") == 1


def test_a_burst_is_told_when_its_class_changes_and_warnings_once() -> None:
    text = " ".join(" ".join(shown(*[views.view(warnings=("wlan0 went down",))] * 3)).split())
    assert text.count("a burst since +0:40: opened 160 connections so far, p2p-sync (82 % sure)") == 1
    assert text.count("warning: wlan0 went down") == 1
    assert all(len(row) <= WIDTH for row in shown(views.view()))


def test_every_json_line_parses_and_has_the_counts() -> None:
    out = io.StringIO()
    lines = JsonLines(out)
    lines.show(views.view())
    lines.show(views.empty())
    objects = [json.loads(text) for text in out.getvalue().splitlines()]
    assert [one["schema"] for one in objects] == ["peerburst/live/1"] * 2
    seen = objects[0]
    assert (seen["host"], seen["limit"], seen["model"]) == (views.HOST, 200, "linux-connlimit")
    assert seen["hosts"][1]["name"] == "192.168.1.20"
    assert seen["kinds"]["sync"] == 90
    assert seen["burst"]["label"] == "p2p-sync"
    assert seen["burst"]["provisional"] is True
    assert objects[1]["burst"] is None
    assert "history" not in seen
    assert seen == as_object(views.view())
