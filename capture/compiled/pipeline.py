"""Threads that share the work of one reading: pieces are found one after another, prepared in any order, and entered
in each shard of a table in their order.

A thread that is free takes any of the three tasks that can be done, so all are busy whichever of them is the slowest,
and no more threads run than there are processors. Kernels release the GIL. The thread that calls only waits: an
interrupt, which Python gives to the main thread, never strikes in the middle of a task.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Found = TypeVar("Found")
Ready = TypeVar("Ready")

# Found and not yet entered everywhere: with fewer, somebody may soon have nothing to do; more only hold memory.
PIECES_AHEAD = 4
REPORT_EVERY_S = 0.1


class Pipeline(Generic[Found, Ready]):
    """Takes every one of `pieces` through `prepare` and, for each shard, through `enter(ready, shard)`.

    `pieces` is asked by one thread at a time; `enter` is called by one thread at a time for each shard, in the order of
    the pieces.
    """

    def __init__(
        self,
        pieces: Iterator[Found],
        prepare: Callable[[Found], Ready],
        enter: Callable[[Ready, int], None],
        shards: int,
    ) -> None:
        self._pieces = pieces
        self._prepare = prepare
        self._enter = enter
        self._change = threading.Condition()
        self._done = threading.Event()
        self._found: deque[tuple[int, Found]] = deque()
        self._ready: dict[int, Ready] = {}
        self._count = 0  # pieces found so far
        self._entered = [0] * shards
        self._is_entering = [False] * shards
        self._is_finding = False
        self._is_over = False  # nothing more will be found
        self._is_broken = False  # nothing more will be done
        self._failure: BaseException | None = None

    def run(self, workers: int, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Take all pieces through with so many threads, calling `meanwhile` in this one now and then.

        Raises what finding raised, once everything found before that is entered; what preparing or entering raised, at
        once. After an interrupt everything found so far is entered, and KeyboardInterrupt raised.
        """
        for worker in range(workers):
            threading.Thread(target=self._work, args=(worker,), daemon=True).start()
        try:
            while not self._done.wait(REPORT_EVERY_S):
                meanwhile()
        except BaseException:
            # Nobody waits for the thread that finds: it may be reading from a pipe that says nothing.
            with self._change:
                self._is_over = True
                self._check_whether_done()
                self._change.notify_all()
            self._done.wait()
            raise
        if self._failure is not None:
            raise self._failure
        meanwhile()

    def _work(self, worker: int) -> None:
        while (task := self._next(worker)) is not None:
            try:
                task()
            except BaseException as error:
                with self._change:
                    self._failure, self._is_broken = error, True
            with self._change:
                self._check_whether_done()
                self._change.notify_all()

    def _next(self, worker: int) -> Callable[[], None] | None:
        """Wait for something to do; None when all is done."""
        with self._change:
            while not self._done.is_set():
                if (task := self._choose(worker)) is not None:
                    return task
                self._change.wait()
            return None

    def _choose(self, worker: int) -> Callable[[], None] | None:
        """Something to do now, marked as being done.

        Finding comes first where it has fallen behind, for only one worker at a time can do it; then entering the
        worker's own shard, which its processor's cache knows best.
        """
        shards, ahead = len(self._entered), self._count - min(self._entered)
        may_find = not (self._is_finding or self._is_over)
        if may_find and ahead < PIECES_AHEAD:
            self._is_finding = True
            return self._find
        if (own := self._enterable(worker % shards)) is not None:
            return own
        if self._found:
            number, piece = self._found.popleft()
            return lambda: self._make_ready(number, piece)
        for shard in range(shards):
            if (others := self._enterable(shard)) is not None:
                return others
        return None

    def _enterable(self, shard: int) -> Callable[[], None] | None:
        number = self._entered[shard]
        if self._is_entering[shard] or number not in self._ready:
            return None
        self._is_entering[shard] = True
        ready = self._ready[number]
        return lambda: self._enter_in(shard, number, ready)

    def _find(self) -> None:
        try:
            piece = next(self._pieces, None)
        except BaseException as error:
            piece, self._failure = None, error
        with self._change:
            self._is_finding = False
            if piece is None:
                self._is_over = True
            elif not self._is_over:  # an interrupt may have come first
                self._found.append((self._count, piece))
                self._count += 1

    def _make_ready(self, number: int, piece: Found) -> None:
        ready = self._prepare(piece)
        with self._change:
            self._ready[number] = ready

    def _enter_in(self, shard: int, number: int, ready: Ready) -> None:
        self._enter(ready, shard)
        with self._change:
            self._is_entering[shard] = False
            self._entered[shard] += 1
            if min(self._entered) > number:
                del self._ready[number]

    def _check_whether_done(self) -> None:
        if self._is_broken or (self._is_over and min(self._entered) == self._count):
            self._done.set()
