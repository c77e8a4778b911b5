"""Who is told when a count rises, once each time."""

import json
import sys
import time
from pathlib import Path

import pytest

from peerburst.capture.errors import SettingsError
from peerburst.live import alerts
from peerburst.live.alerts import Alert, Messenger, Thresholds, usual_thresholds

HOST = "192.168.1.34"


def rises(levels: tuple[int, ...], series: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """(second, threshold) of each alert in a series of (second, count)."""
    watch = Thresholds(levels)
    return [(at_s, level) for at_s, count in series for _host, level in watch.rises(at_s, {HOST: count})]


def test_each_threshold_is_told_once_on_the_way_up() -> None:
    assert rises((160, 201), [(0, 10), (1, 159), (2, 160), (3, 180), (4, 250), (5, 240)]) == [(2, 160), (4, 201)]


def test_both_in_one_leap() -> None:
    assert rises((201, 160), [(0, 10), (1, 300)]) == [(1, 160), (1, 201)]


def test_to_and_fro_across_the_threshold_is_one_alert() -> None:
    assert rises((100,), [(t, 100 if t % 2 else 95) for t in range(60)]) == [(1, 100)]


def test_a_new_rise_is_told_after_five_seconds_below_ninety_per_cent() -> None:
    series = [(0, 100), (1, 89), (2, 89), (5.9, 89), (6.0, 89), (7, 100)]
    assert rises((100,), series) == [(0, 100), (7, 100)]


def test_not_after_less_than_five_seconds() -> None:
    assert rises((100,), [(0, 100), (1, 89), (5.9, 100), (8, 120)]) == [(0, 100)]


def test_a_moment_at_ninety_per_cent_begins_the_five_seconds_anew() -> None:
    series = [(0, 100), (1, 80), (4, 90), (5, 80), (9, 80), (9.5, 100), (10, 80), (15, 80), (16, 100)]
    assert rises((100,), series) == [(0, 100), (16, 100)]


def test_hosts_are_apart_and_one_that_is_gone_counts_as_low() -> None:
    watch = Thresholds((10,))
    assert watch.rises(0, {"a": 10, "b": 9}) == [("a", 10)]
    assert watch.rises(1, {"b": 10}) == [("b", 10)]
    assert watch.rises(6, {"b": 10}) == []
    assert watch.rises(7, {"a": 10, "b": 11}) == [("a", 10)]


def test_the_usual_thresholds_are_close_to_the_limit_and_above_it() -> None:
    assert usual_thresholds(200) == (160, 201)
    assert usual_thresholds(1) == (1, 2)


def test_a_threshold_of_none_is_refused() -> None:
    with pytest.raises(SettingsError, match="1 connection or more"):
        Thresholds((0,))


def alert(**changed: object) -> Alert:
    facts = {"at_s": 42.5, "host": HOST, "count": 204, "threshold": 201, "limit": 200, "model": "rfc", "label": "scan"}
    return Alert(**{**facts, **changed})  # type: ignore[arg-type]


def test_the_sentence() -> None:
    assert alert().sentence() == (
        f"+0:42: {HOST} holds 204 connections, more than the limit, as rfc counts them; the limit is 200"
    )
    assert "161 connections, 160 or more" in alert(count=161, threshold=160).sentence()


def wait_for(path: Path, seconds: float = 10.0) -> str:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if path.exists() and path.read_text().endswith("\n"):
            return path.read_text()
        time.sleep(0.02)
    raise AssertionError(f"{path.name} was not written")


def test_the_command_finds_the_facts_in_its_environment_and_no_shell_sees_them(tmp_path: Path) -> None:
    script = tmp_path / "told.py"
    told = tmp_path / "told.json"
    script.write_text(
        "import json, os, sys\n"
        "facts = {name: value for name, value in os.environ.items() if name.startswith('PEERBURST_')}\n"
        f"open({str(told)!r}, 'w').write(json.dumps([sys.argv[1:], facts]) + '\\n')\n"
    )
    messenger = Messenger(f"{sys.executable} {script} '$HOME; echo' \"two words\"", desktop=False)
    messenger.notify(alert(host="; touch /nowhere"))
    words, facts = json.loads(wait_for(told))
    assert words == ["$HOME; echo", "two words"]
    assert facts["PEERBURST_HOST"] == "; touch /nowhere"
    assert (facts["PEERBURST_COUNT"], facts["PEERBURST_LIMIT"], facts["PEERBURST_THRESHOLD"]) == ("204", "200", "201")
    assert (facts["PEERBURST_MODEL"], facts["PEERBURST_CLASS"]) == ("rfc", "scan")


def test_the_command_is_not_waited_for_and_never_runs_twice_at_a_time(tmp_path: Path) -> None:
    script = tmp_path / "slow.py"
    count = tmp_path / "count"
    script.write_text(f"import time\nopen({str(count)!r}, 'a').write('x\\n')\ntime.sleep(1.0)\n")
    messenger = Messenger(f"{sys.executable} {script}", desktop=False)
    began = time.monotonic()
    for _ in range(5):
        messenger.notify(alert())
    assert time.monotonic() - began < 0.5
    assert wait_for(count) == "x\n"
    assert messenger.left_out == 4
    messenger._running["command"].wait()
    messenger.notify(alert())
    messenger._running["command"].wait()
    assert count.read_text() == "x\nx\n"


@pytest.mark.parametrize("command", ["", "   ", "'unfinished", "no-such-program-anywhere now"])
def test_a_command_that_cannot_run_is_refused_at_the_start(command: str) -> None:
    with pytest.raises(SettingsError, match="--on-alert"):
        Messenger(command)


def test_the_notification_is_an_argument_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(alerts.sys, "platform", "linux")
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/x")
    words = alerts._notification(alert(host="--evil"))
    assert words[:2] == ["notify-send", "--app-name"]
    assert words[words.index("--") + 1 :] == ["peerburst", alert(host="--evil").sentence()]
    monkeypatch.setattr(alerts.sys, "platform", "darwin")
    words = alerts._notification(alert())
    assert words[0] == "osascript"
    assert words[-2:] == ["peerburst", alert().sentence()]
    assert not any(HOST in word for word in words[:-1])


def test_without_a_desktop_there_is_no_notification(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(alerts.sys, "platform", "linux")
    assert alerts._notification(alert()) == []
