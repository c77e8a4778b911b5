"""A session on a replayed capture: exact counts at every look, settings that change under way, its end."""

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from peerburst.analysis.live.bounded import LiveTable
from peerburst.analysis.settings import Settings
from peerburst.capture.errors import SettingsError
from peerburst.live.alerts import Alert, Messenger
from peerburst.live.note import NOTE_SUFFIX, SessionNote
from peerburst.live.options import LiveOptions
from peerburst.live.session import LiveSession
from peerburst.live.view import LiveView
from peerburst.opening import analyse
from peerburst.render.json_document import document
from tests.support.kernels import COMPILED
from tests.support.live.replayed import ReplaySource
from tests.support.making import HOST, OTHER_HOST, Tape, local, remote
from tests.support.paths import PCAPS

pytestmark = pytest.mark.skipif(not COMPILED, reason="hundreds of looks take minutes without the compiler")
SYNC = str(PCAPS / "chat-sync-small.pcap")
BUSY = str(PCAPS / "bittorrent.pcap.zst")


class Clock:
    """A clock that only sleeping moves on."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


class Told(Messenger):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(desktop=False)
        self.alerts: list[Alert] = []

    def notify(self, alert: Alert) -> None:
        self.alerts.append(alert)


def replayed(
    path: str, *, settings: Settings | None = None, tick_s: float = 0.25, **chosen: object
) -> tuple[LiveSession, ReplaySource, Told]:
    """A session on a capture at its own speed, by a clock that does not keep anybody waiting."""
    clock, told = Clock(), Told()
    source = ReplaySource(path, speed=1.0, clock_s=clock, sleep=clock.sleep)
    asked = LiveOptions(settings or Settings(), read="replay", **chosen)  # type: ignore[arg-type]
    return LiveSession(source, asked, messenger=told, tick_s=tick_s, clock_s=clock), source, told


def forget_early(session: LiveSession) -> None:
    """Have flows retired a second after they ended."""
    counts = session._counts
    counts.table = LiveTable(counts.model, counts.table._table._gaps, every_ns=10**9, kept_s=0, least_share=0)


def views_of(session: LiveSession) -> list[LiveView]:
    seen: list[LiveView] = []
    session.run(seen.append)
    return seen


@pytest.mark.parametrize("path", [SYNC, BUSY], ids=["chat-sync", "busy"])
def test_the_end_is_what_analyze_says(path: str) -> None:
    session, _source, _told = replayed(path)
    last = views_of(session)[-1]
    saved = analyse([path], Settings())
    host = saved.host(saved.ranked[0])
    peak = host.models["linux-connlimit"]
    assert (last.host, last.peak, last.peak_at_s) == (host.name, peak.peak, peak.peak_at_s)
    assert last.crossed_at_s == peak.crossed_at_s[200]
    ours, theirs = document(session.analysis()), document(saved)
    ours["capture"]["files"] = theirs["capture"]["files"]
    assert ours == theirs
    session.close()


@pytest.mark.parametrize("path", [SYNC, BUSY], ids=["chat-sync", "busy"])
def test_every_second_of_the_history_is_exact(path: str) -> None:
    session, _source, _told = replayed(path)
    last = views_of(session)[-1]
    saved = analyse([path], Settings()).timeline(last.host or "")
    seconds = last.history.t_s.size
    assert len(saved) - 2 <= seconds <= len(saved)
    np.testing.assert_array_equal(last.history.t_s, saved["t_s"][:seconds])
    np.testing.assert_array_equal(last.history.count, saved["at"][:seconds])
    np.testing.assert_array_equal(last.history.talking, saved["talking"][:seconds])


def test_every_look_counts_exactly() -> None:
    session, _source, _told = replayed(SYNC)
    seen = [view for view in views_of(session) if view.host == "10.20.1.37"]
    saved = analyse([SYNC], Settings())
    at = np.array([round(view.now_s * 1e9) for view in seen]) + saved.capture.first_ns
    np.testing.assert_array_equal([view.count for view in seen], saved.steps("10.20.1.37").value(at))
    np.testing.assert_array_equal([view.talking for view in seen], saved.talking_steps("10.20.1.37").value(at))
    assert all(view.lingering == view.count - view.talking for view in seen)
    assert max(view.new_per_s for view in seen) >= 5


def test_with_early_retirement_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = views_of(replayed(SYNC)[0])
    session, _source, _told = replayed(SYNC)
    forget_early(session)
    forgetful = views_of(session)
    assert forgetful[-1].retired_flows > 20
    assert [(view.count, view.talking, view.peak) for view in forgetful] == [
        (view.count, view.talking, view.peak) for view in plain
    ]
    np.testing.assert_array_equal(forgetful[-1].history.count, plain[-1].history.count)
    session.close()


def test_a_burst_is_named_within_ten_seconds_and_marked_provisional() -> None:
    session, _source, _told = replayed(SYNC)
    seen = views_of(session)
    final = next(burst for burst in analyse([SYNC], Settings()).bursts if burst.host == "10.20.1.37")
    first = next(view for view in seen if view.burst is not None and view.host == "10.20.1.37")
    assert first.burst is not None
    assert first.now_s - first.burst.started_s < 10
    assert first.burst.provisional
    assert first.burst.evidence
    last = seen[-1].burst
    assert last is not None
    assert last.label == final.classification.label.value


def login(count: int = 120, *, at_s: float = 10.0) -> Tape:
    """One host opens `count` UDP exchanges in a second, another one stays quiet."""
    tape = Tape()
    tape.exchange(0, local(4000, OTHER_HOST), remote(1))
    for i in range(count):
        tape.exchange(at_s + i / count, local(5000 + i), remote(i), 0.01)
    tape.udp(at_s + 100, local(4001, OTHER_HOST), remote(2))
    return tape


def test_alerts_by_the_highest_count_since_the_last_look(tmp_path: Path) -> None:
    session, _source, told = replayed(
        login().write(tmp_path / "login.pcap"), settings=Settings(limits=(100,)), tick_s=5.0
    )
    last = views_of(session)[-1]
    assert [(alert.host, alert.threshold, alert.limit) for alert in told.alerts] == [(HOST, 80, 100), (HOST, 101, 100)]
    assert told.alerts[0].count == 120
    assert session.has_alerted
    assert [alert.threshold for alert in last.alerts] == [80, 101]
    assert last.crossed_at_s == pytest.approx(10 + 100 / 120, abs=0.001)


def test_without_a_crossing_there_is_no_alert(tmp_path: Path) -> None:
    session, _source, told = replayed(login(20).write(tmp_path / "calm.pcap"))
    views_of(session)
    assert told.alerts == []
    assert not session.has_alerted


def changing(session: LiveSession, at_s: float, **changed: object) -> list[LiveView]:
    """Run a session; set these attributes once it is so many seconds old."""
    seen: list[LiveView] = []
    waiting = dict(changed)

    def on_tick(view: LiveView) -> None:
        seen.append(view)
        if view.now_s >= at_s:
            while waiting:
                setattr(session, *waiting.popitem())

    session.run(on_tick)
    return seen


@pytest.mark.parametrize("model", ["cisco-asa", "nat-mapping", "naive", "flat:600"])
def test_another_model_counts_as_if_it_had_from_the_start(model: str) -> None:
    session, _source, _told = replayed(SYNC)
    forget_early(session)
    session.host = "10.20.1.37"
    last = changing(session, 50.0, model=model)[-1]
    saved = analyse([SYNC], Settings(models=(model,)))
    peak = saved.host(saved.host_number("10.20.1.37")).models[saved.models[0].name]
    assert last.model == saved.models[0].name
    assert (last.peak, last.peak_at_s) == (peak.peak, peak.peak_at_s)
    at = np.array([round(last.now_s * 1e9) + saved.capture.first_ns])
    assert last.count == saved.steps("10.20.1.37", saved.models[0].name).value(at)[0]
    timeline = saved.timeline("10.20.1.37", saved.models[0].name)
    np.testing.assert_array_equal(last.history.count, timeline["at"][: last.history.count.size])
    session.close()


def test_another_limit_is_crossed_when_it_would_have_been() -> None:
    session, _source, told = replayed(SYNC)
    last = changing(session, 60.0, limit=50)[-1]
    saved = analyse([SYNC], Settings(limits=(50,)))
    assert last.limit == 50
    assert last.crossed_at_s == saved.host(saved.ranked[0]).models["linux-connlimit"].crossed_at_s[50]
    assert {alert.limit for alert in told.alerts} == {50}


def test_another_host_has_its_own_history(tmp_path: Path) -> None:
    session, _source, _told = replayed(login().write(tmp_path / "login.pcap"))
    last = changing(session, 50.0, host=OTHER_HOST)[-1]
    assert (last.host, last.peak) == (OTHER_HOST, 1)
    assert last.history.count.max() == 1
    assert last.history.t_s[0] == 0
    assert last.burst is None


def test_a_pause_stills_the_picture_and_nothing_else() -> None:
    session, _source, _told = replayed(SYNC)
    seen = changing(session, 30.0, paused=True)
    still = [view for view in seen if view.paused]
    assert len(still) > 20
    assert {view.packets for view in still} == {still[0].packets}
    assert session.analysis().capture.packets == analyse([SYNC], Settings()).capture.packets


def test_settings_that_make_no_sense_are_refused() -> None:
    session, _source, _told = replayed(SYNC)
    with pytest.raises(SettingsError, match="at least 1"):
        session.limit = 0
    with pytest.raises(SettingsError, match="not a gateway model"):
        session.model = "no-such"
    assert (session.limit, session.model) == (200, "linux-connlimit")


def test_a_report_can_be_had_from_another_thread_meanwhile(tmp_path: Path) -> None:
    session, _source, _told = replayed(SYNC, output=str(tmp_path / "out"))
    made: list[int] = []
    asking = threading.Thread(target=lambda: made.append(session.analysis().capture.packets))

    def on_tick(view: LiveView) -> None:
        if view.now_s > 30 and not asking.ident:
            asking.start()
            time.sleep(0.05)

    session.run(on_tick)
    asking.join(10)
    assert 0 < made[0] < session.analysis().capture.packets
    session.close()


def test_stop_ends_it_in_order() -> None:
    session, source, _told = replayed(SYNC)
    seen: list[LiveView] = []

    def on_tick(view: LiveView) -> None:
        seen.append(view)
        if view.now_s > 20:
            session.stop()

    session.run(on_tick)
    assert source.ended == "stopped"
    assert seen[-1].packets == session.analysis().capture.packets < source.packets.size


def test_a_session_without_a_packet_has_a_view_and_an_end(tmp_path: Path) -> None:
    session, source, _told = replayed(SYNC)
    source.packets = source.packets[:0]
    source.batches = lambda timeout_s: iter([None, None])  # type: ignore[assignment]
    last = views_of(session)[-1]
    assert (last.packets, last.host, last.hosts, last.history.t_s.size) == (0, None, (), 0)
    assert session.analysis().ranked == []


def test_the_side_file_says_how_it_went(tmp_path: Path) -> None:
    kept = tmp_path / "kept.pcapng"
    note = tmp_path / ("kept.pcapng" + NOTE_SUFFIX)
    session, _source, _told = replayed(SYNC, write=str(kept))
    states: list[tuple[str, int]] = []

    def on_tick(view: LiveView) -> None:
        if note.exists():
            told = json.loads(note.read_text())
            states.append((told["state"], told["packets"]))

    session.run(on_tick)
    assert {state for state, _packets in states} == {"running"}
    assert states[0][1] < states[-1][1]
    end = json.loads(note.read_text())
    assert (end["state"], end["reason"]) == ("ended", "the capture is at its end")
    assert end["packets"] == session.analysis().capture.packets
    assert end["last_alive"] >= end["started"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [note.name]


def test_interrupted_is_said_so(tmp_path: Path) -> None:
    session, _source, _told = replayed(SYNC, write=str(tmp_path / "kept.pcapng"))
    session.run(lambda view: session.interrupt() if view.now_s > 10 else None)
    told = json.loads((tmp_path / "kept.pcapng.session.json").read_text())
    assert told["state"] == "interrupted"


def test_a_side_file_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    note = SessionNote(str(tmp_path / "no" / "kept.pcapng"))
    note.write({"state": "running"})
    assert "cannot be written" in note.warnings[0]
