"""Work shared out: every piece once, each shard in order, errors and interrupts after what came before them."""

import threading
import time
from collections.abc import Iterator

import pytest

from peerburst.capture.compiled.pipeline import PIECES_AHEAD, Pipeline


class Entered:
    """What was entered in each shard, and by how many at the same time."""

    def __init__(self, shards: int) -> None:
        self.numbers: list[list[int]] = [[] for _ in range(shards)]
        self.inside = [0] * shards
        self.at_once = 0

    def enter(self, number: int, shard: int) -> None:
        self.inside[shard] += 1
        self.at_once = max(self.at_once, self.inside[shard])
        time.sleep(0.0005 * (number % 3))
        self.numbers[shard].append(number)
        self.inside[shard] -= 1


def slow_for_some(number: int) -> int:
    time.sleep(0.002 if number % 5 == 0 else 0)
    return number


@pytest.mark.parametrize(("workers", "shards"), [(1, 1), (1, 2), (2, 1), (2, 2), (3, 2), (3, 4)])
def test_every_piece_is_entered_once_in_every_shard_in_order(workers: int, shards: int) -> None:
    entered = Entered(shards)
    Pipeline(iter(range(60)), slow_for_some, entered.enter, shards).run(workers)
    assert entered.numbers == [list(range(60))] * shards
    assert entered.at_once == 1


def test_nothing_is_no_work() -> None:
    entered = Entered(2)
    Pipeline(iter(()), slow_for_some, entered.enter, 2).run(2)
    assert entered.numbers == [[], []]


def test_pieces_are_found_by_one_and_not_far_ahead() -> None:
    found, entered = [], Entered(1)
    ahead = 0

    def pieces() -> Iterator[int]:
        nonlocal ahead
        for number in range(50):
            found.append(number)
            ahead = max(ahead, len(found) - len(entered.numbers[0]))
            yield number

    Pipeline(pieces(), slow_for_some, entered.enter, 1).run(3)
    assert len(entered.numbers[0]) == 50
    assert ahead <= PIECES_AHEAD


def test_an_error_in_finding_comes_after_the_pieces_before_it() -> None:
    def pieces() -> Iterator[int]:
        yield from range(5)
        raise KeyError("sixth")

    entered = Entered(2)
    with pytest.raises(KeyError, match="sixth"):
        Pipeline(pieces(), slow_for_some, entered.enter, 2).run(2)
    assert entered.numbers == [list(range(5))] * 2


@pytest.mark.parametrize("where", ["prepare", "enter"])
def test_an_error_in_the_work_ends_it(where: str) -> None:
    def prepare(number: int) -> int:
        if where == "prepare" and number == 3:
            raise ValueError("third")
        return number

    def enter(number: int, part: int) -> None:
        if where == "enter" and number == 3:
            raise ValueError("third")

    with pytest.raises(ValueError, match="third"):
        Pipeline(iter(range(1000)), prepare, enter, 2).run(2)


def test_after_an_interrupt_all_parts_have_the_same_pieces() -> None:
    entered = Entered(2)

    def interrupted() -> None:
        if len(entered.numbers[0]) > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Pipeline(iter(range(100_000)), slow_for_some, entered.enter, 2).run(2, interrupted)
    first, second = entered.numbers
    assert first == second == list(range(len(first)))
    assert 20 < len(first) < 100_000


def test_an_interrupt_does_not_wait_for_a_silent_pipe() -> None:
    silent, entered = threading.Event(), Entered(2)

    def pieces() -> Iterator[int]:
        yield from range(4)
        silent.wait(30)
        yield 4

    def interrupted() -> None:
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        Pipeline(pieces(), slow_for_some, entered.enter, 2).run(2, interrupted)
    assert time.monotonic() - began < 10
    assert entered.numbers == [[0, 1, 2, 3]] * 2
    silent.set()
    time.sleep(0.05)
    assert entered.numbers == [[0, 1, 2, 3]] * 2  # what came too late is not entered
