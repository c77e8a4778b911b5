"""Where the time goes: seconds per named stage, kept only when somebody asks."""

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext


class Stopwatch:
    """Adds up the seconds of stages. One within another counts for the inner one alone, so a thread's sum is its whole.

    Stages of different threads overlap: packets are decoded while those before them enter the flow table.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.packets = 0
        self.began = time.perf_counter()
        self._lock = threading.Lock()
        self._inner = threading.local()  # per thread, the seconds that stages within each stage took, outermost first

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time that its block takes to this stage."""
        if not hasattr(self._inner, "seconds"):
            self._inner.seconds = [0.0]
        inner: list[float] = self._inner.seconds
        began = time.perf_counter()
        inner.append(0.0)
        try:
            yield
        finally:
            whole = time.perf_counter() - began
            own = whole - inner.pop()
            inner[-1] += whole
            with self._lock:
                self.seconds[name] = self.seconds.get(name, 0.0) + own


_watch: Stopwatch | None = None
_UNTIMED = nullcontext()


def start() -> Stopwatch:
    """Keep time from now on."""
    global _watch
    _watch = Stopwatch()
    return _watch


def running() -> Stopwatch | None:
    """The watch that keeps time now, if one does."""
    return _watch


def count_packets(packets: int) -> None:
    """Note how many packets the stages were about."""
    if _watch is not None:
        _watch.packets += packets


def stop() -> None:
    """Keep time no longer."""
    global _watch
    _watch = None


def stage(name: str) -> AbstractContextManager[None]:
    """`with stage("models"):` adds to that stage where time is kept, and costs next to nothing where not."""
    return _watch.stage(name) if _watch is not None else _UNTIMED
