"""Memory for tables of millions of rows: arrays that grow where they stand, and lines asked for before they are needed.

Both matter once a table is larger than the processor's caches: a flow table of 500,000 flows took 330 ns a packet
without either, 140 ns with lines asked for ahead, and 100 ns with large pages too (docs/benchmarks.md).
"""

import contextlib
import ctypes
import mmap
import os
import sys
import threading
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

from peerburst.capture.compiled.kernel import NUMBA_SETTINGS

# A process has far more addresses than memory: room is taken for as many rows as the machine's memory could hold, and
# costs nothing until a row is written.
LEAST_ROOM = 1 << 30
LINUX_MAP_NORESERVE = 0x4000  # Python names it from 3.13 on
LARGE_PAGE = 1 << 21
TO_READ, TO_WRITE, ANY_CACHE_LEVEL = 0, 1, 3


def _machine_memory() -> int:
    try:
        return max(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), LEAST_ROOM)
    except (AttributeError, ValueError, OSError):
        return LEAST_ROOM


def reserve(dtype: npt.DTypeLike, rows: int) -> npt.NDArray[Any]:
    """An array of zeros with room for all rows that the machine's memory could hold, in large pages.

    Where the system does not give such room (Windows, limits on address space), an array of `rows`; `grow` makes it
    larger by copying.
    """
    kind = np.dtype(dtype)
    data = _machine_memory() // LARGE_PAGE * LARGE_PAGE  # Linux lays whole large pages on their boundaries
    room = _mapped(data, LINUX_MAP_NORESERVE if sys.platform == "linux" else 0)
    return np.zeros(rows, kind) if room is None else np.frombuffer(room, kind, data // kind.itemsize)


def large_page_array(dtype: npt.DTypeLike, rows: int) -> npt.NDArray[Any]:
    """An array of so many rows of zeros, in large pages unless it is small."""
    kind = np.dtype(dtype)
    room = _mapped(_in_pages(rows * kind.itemsize))
    return np.zeros(rows, kind) if room is None else np.frombuffer(room, kind, rows)


def _in_pages(data: int) -> int:
    """What to map for so many bytes."""
    return -(-data // LARGE_PAGE) * LARGE_PAGE if 8 * data > LARGE_PAGE else max(data, 1)


def _mapped(data: int, more_flags: int = 0) -> mmap.mmap | None:
    """Memory of this process alone, in large pages where they fit; None where the system gives none.

    Without these flags Python maps memory that could be shared with others, which Linux has no large pages for.
    """
    try:
        room = mmap.mmap(-1, data, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | more_flags)
    except (AttributeError, ValueError, OSError, OverflowError):
        return None
    with contextlib.suppress(AttributeError, OSError):  # kernels built without large pages say EINVAL
        room.madvise(mmap.MADV_HUGEPAGE)
    return room


def grow(array: npt.NDArray[Any], wanted: int) -> npt.NDArray[Any]:
    """The array, or a copy of it with room for at least `wanted` rows."""
    if wanted <= array.size:
        return array
    larger = np.zeros(max(array.size + array.size // 2, wanted), array.dtype)
    data(larger)[: array.size] = data(array)
    return larger


def data(rows: npt.NDArray[Any]) -> npt.NDArray[np.void]:
    """The same rows as plain bytes: of a record, numpy copies the named fields, and not what lies between them."""
    return rows.view(f"V{rows.itemsize}")


def release(array: npt.NDArray[Any], rows: int) -> None:
    """Let the system have the memory of the first rows of a `reserve` array, or of a view from its beginning on.

    Nobody reads them again. What is given back first is taken anew next, and that memory needs no waiting for.
    """
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    room = base.obj if isinstance(base, memoryview) else None
    size = rows * array.itemsize // LARGE_PAGE * LARGE_PAGE
    if isinstance(room, mmap.mmap) and size and hasattr(mmap, "MADV_DONTNEED"):
        room.madvise(mmap.MADV_DONTNEED, 0, size)


class BufferPool:
    """Arrays of one type and size, handed out again once nobody holds them or a view of them.

    New memory is not free: the system clears each page when it is first written, which for the arrays of a batch costs
    as much as finding its packets (docs/benchmarks.md). Those that are kept lie side by side, in large pages.
    """

    def __init__(self, dtype: npt.DTypeLike, size: int, most: int) -> None:
        """`most` arrays are kept; when all are held, those beyond are new each time."""
        self._dtype, self._size = np.dtype(dtype), size
        data = max(size * self._dtype.itemsize, 1)
        room = _mapped(_in_pages(most * data))
        # One object for each, which its array holds: so one sees which are in use.
        kind = ctypes.c_uint8 * data
        self._rooms = [] if room is None else [kind.from_buffer(room, i * data) for i in range(most)]
        self._lock = threading.Lock()

    def take(self) -> npt.NDArray[Any]:
        """An array with whatever it held before."""
        with self._lock:
            for room in self._rooms:
                if sys.getrefcount(room) == _HELD_BY_NOBODY:
                    return np.frombuffer(memoryview(room), self._dtype, self._size)
        return np.empty(self._size, self._dtype)


def _count_of_nobody() -> int:
    """What `sys.getrefcount` says of an object that a list and a loop's variable hold: Pythons differ in one."""
    for thing in [object()]:
        return sys.getrefcount(thing)
    raise AssertionError


_HELD_BY_NOBODY = _count_of_nobody()


def _prefetcher(access: int) -> Any:
    @intrinsic
    def prefetch(context, array, at):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
            byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
            call = builder.module.declare_intrinsic(
                "llvm.prefetch", [byte], ir.FunctionType(ir.VoidType(), [byte, word, word, word])
            )
            pointer = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
            builder.call(call, [pointer, word(access), word(ANY_CACHE_LEVEL), word(1)])
            return context.get_dummy_value()

        return types.void(array, types.int64), generate

    return prefetch


def _nothing(array, at):  # type: ignore[no-untyped-def]
    """What prefetching does, uncompiled."""


# (array, at): ask for the cache line of array[at], to read it only or to write it too, which takes it from other
# cores. Hints: any `at` will do, nothing is read that is not there.
prefetch, prefetch_to_write = (
    _nothing if NUMBA_SETTINGS.DISABLE_JIT else _prefetcher(access) for access in (TO_READ, TO_WRITE)
)
