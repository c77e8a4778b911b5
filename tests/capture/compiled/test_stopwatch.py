"""Stages add up, and count nobody's time twice."""

import threading
import time

import pytest

from peerburst.capture.compiled import stopwatch as timing


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still until a test moves it."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def test_a_stage_within_another_counts_for_itself_alone(clock: list[float]) -> None:
    watch = timing.start()
    with timing.stage("models"):
        clock[0] += 1
        with timing.stage("flows"):
            clock[0] += 10
        clock[0] += 2
    with timing.stage("flows"):
        clock[0] += 100
    timing.stop()
    assert watch.seconds == {"flows": 110.0, "models": 3.0}


def test_a_stage_that_fails_is_timed_as_well(clock: list[float]) -> None:
    watch = timing.start()

    def fail() -> None:
        with timing.stage("read"):
            clock[0] += 1
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    timing.stop()
    assert watch.seconds == {"read": 1.0}


def test_nothing_is_kept_where_nobody_asks(clock: list[float]) -> None:
    watch = timing.start()
    timing.stop()
    with timing.stage("read"), timing.stage("read"):
        clock[0] += 1
    assert watch.seconds == {}


def test_threads_keep_apart_what_lies_within_what(clock: list[float]) -> None:
    watch = timing.start()

    def beside() -> None:
        with timing.stage("decode"):
            clock[0] += 5

    with timing.stage("flows"):
        thread = threading.Thread(target=beside)
        thread.start()
        thread.join()
        clock[0] += 1
    timing.stop()
    assert watch.seconds == {"decode": 5.0, "flows": 6.0}  # the same five seconds passed in both
