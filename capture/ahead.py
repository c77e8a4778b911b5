"""Doing the next piece of work in a thread while the last one is used: kernels and decompressors release the GIL."""

import contextlib
import queue
import threading
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

T = TypeVar("T")
_END = object()


def ahead(items: Iterable[T], depth: int) -> Generator[T, None, None]:
    """The items in their order, up to `depth` of them made beforehand in a thread.

    What making one raises is raised here, after the items before it. Closing the generator ends the thread once
    it has made the item it is at; nobody waits for that, for it may be reading from a pipe that says nothing.
    """
    waiting: queue.Queue[T | object | _Raised] = queue.Queue(depth)
    stopped = threading.Event()
    thread = threading.Thread(target=_make, args=(items, waiting.put, stopped), daemon=True)
    thread.start()
    try:
        while (item := waiting.get()) is not _END:
            if isinstance(item, _Raised):
                raise item.error
            yield item  # type: ignore[misc]
    finally:
        stopped.set()
        with contextlib.suppress(queue.Empty):  # make room, should the thread be waiting for it
            while True:
                waiting.get_nowait()


class _Raised:
    def __init__(self, error: BaseException) -> None:
        self.error = error


def _make(items: Iterable[T], put: Callable[[object], None], stopped: threading.Event) -> None:
    try:
        for item in items:
            put(item)
            if stopped.is_set():
                return
    except BaseException as error:
        put(_Raised(error))
        return
    put(_END)
