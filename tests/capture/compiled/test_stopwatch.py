"""Stages add up, and count nobody's time twice."""

import threading
import time

import pytest

from peerburst.capture.compiled import stopwatch


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still until a test moves it."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def test_a_stage_within_another_counts_for_itself_alone(clock: list[float]) -> None:
    watch = stopwatch.start()
    with stopwatch.stage("models"):
        clock[0] += 1
        with stopwatch.stage("flows"):
            clock[0] += 10
        clock[0] += 2
    with stopwatch.stage("flows"):
        clock[0] += 100
    stopwatch.stop()
    assert watch.seconds == {"flows": 110.0, "models": 3.0}


def test_a_stage_that_fails_is_timed_as_well(clock: list[float]) -> None:
    watch = stopwatch.start()

    def fail() -> None:
        with stopwatch.stage("read"):
            clock[0] += 1
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    stopwatch.stop()
    assert watch.seconds == {"read": 1.0}


def test_nothing_is_kept_where_nobody_asks(clock: list[float]) -> None:
    watch = stopwatch.start()
    stopwatch.stop()
    with stopwatch.stage("read"), stopwatch.stage("read"):
        clock[0] += 1
    assert watch.seconds == {}


def test_threads_keep_apart_what_lies_within_what(clock: list[float]) -> None:
    watch = stopwatch.start()

    def beside() -> None:
        with stopwatch.stage("decode"):
            clock[0] += 5

    with stopwatch.stage("flows"):
        thread = threading.Thread(target=beside)
        thread.start()
        thread.join()
        clock[0] += 1
    stopwatch.stop()
    assert watch.seconds == {"decode": 5.0, "flows": 6.0}  # the same five seconds passed in both
