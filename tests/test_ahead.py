"""Work done beforehand in a thread: the same items, the same errors, and no thread left behind."""

import threading
import time
from collections.abc import Iterator

import pytest

from peerburst.capture.ahead import ahead


def threads_end() -> bool:
    """Whether all threads but this one end within a second."""
    deadline = time.monotonic() + 1
    while threading.active_count() > 1 and time.monotonic() < deadline:
        time.sleep(0.005)
    return threading.active_count() == 1


def test_items_come_in_their_order_and_the_thread_ends() -> None:
    assert list(ahead(range(1000), 3)) == list(range(1000))
    assert threads_end()


def test_no_more_than_the_depth_is_made_beforehand() -> None:
    made = []

    def items() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    taken = ahead(items(), 4)
    assert next(taken) == 0
    time.sleep(0.1)
    assert len(made) <= 1 + 4 + 2  # taken, waiting, and the one in hand
    taken.close()
    assert threads_end()
    assert len(made) < 20


def test_an_error_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise KeyError("third")

    taken = ahead(items(), 8)
    assert [next(taken), next(taken)] == [1, 2]
    with pytest.raises(KeyError, match="third"):
        next(taken)
    assert threads_end()


def test_the_work_is_done_in_another_thread() -> None:
    assert list(ahead((threading.get_ident() for _ in range(1)), 1)) != [threading.get_ident()]
