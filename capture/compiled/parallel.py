"""Parts of one piece of work done side by side, where there are processors for it."""

import os
from collections.abc import Callable, Iterable
from typing import TypeVar

Part = TypeVar("Part")


def processors() -> int:
    """How many processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def side_by_side(work: Callable[[Part], None], parts: Iterable[Part], *, most: int) -> None:
    """Do the work on every part, at most so many at a time: what takes long must be in kernels, which hold no lock."""
    parts = list(parts)
    if min(most, len(parts)) < 2:
        for each in parts:
            work(each)
        return
    from concurrent.futures import ThreadPoolExecutor  # it costs, and only who has several parts pays

    with ThreadPoolExecutor(min(most, len(parts))) as pool:
        for _done in pool.map(work, parts):
            pass
