"""Arrays of batches, used again: the system clears each page of new memory when it is first written."""

import ctypes
import sys
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from peerburst.capture.compiled.arrays import in_pages, mapped


class BufferPool:
    """Arrays of one type and size, handed out again once nobody holds them or a view of them.

    New memory is not free: the system clears each page when it is first written, which for the arrays of a batch costs
    as much as finding its packets (docs/benchmarks.md). Those that are kept lie side by side, in large pages.
    """

    def __init__(self, dtype: npt.DTypeLike, size: int, most: int) -> None:
        """`most` arrays are kept; when all are held, those beyond are new each time."""
        self._dtype, self._size = np.dtype(dtype), size
        length = max(size * self._dtype.itemsize, 1)
        memory = mapped(in_pages(most * length))
        # One object for each, which its array holds: so one sees which are in use.
        buffer = ctypes.c_uint8 * length
        self._buffers = [] if memory is None else [buffer.from_buffer(memory, i * length) for i in range(most)]
        self._lock = threading.Lock()

    def take(self) -> npt.NDArray[Any]:
        """An array with whatever it held before."""
        with self._lock:
            for buffer in self._buffers:
                if sys.getrefcount(buffer) == _HELD_BY_NOBODY:
                    return np.frombuffer(memoryview(buffer), self._dtype, self._size)
        return np.empty(self._size, self._dtype)


def _count_of_nobody() -> int:
    """What `sys.getrefcount` says of an object that a list and a loop's variable hold: Pythons differ in one."""
    for thing in [object()]:
        return sys.getrefcount(thing)
    raise AssertionError


_HELD_BY_NOBODY = _count_of_nobody()
