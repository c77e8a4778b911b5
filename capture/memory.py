"""Memory for tables of millions of rows: arrays that grow where they stand, and lines asked for before they are needed.

Both matter once a table is larger than the processor's caches: a flow table of 500,000 flows took 330 ns a packet
without either, 140 ns with lines asked for ahead, and 100 ns with large pages too (docs/benchmarks.md).
"""

import contextlib
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

from peerburst.capture.kernels import NUMBA_SETTINGS

# A process has far more addresses than memory: room is taken for as many rows as the machine's memory could hold, and
# costs nothing until a row is written.
LEAST_ROOM = 1 << 30
LINUX_MAP_NORESERVE = 0x4000  # Python names it from 3.13 on
LARGE_PAGE = 1 << 21
READ_AND_WRITE, ANY_CACHE_LEVEL = 1, 3


def _machine_memory() -> int:
    try:
        return max(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), LEAST_ROOM)
    except (AttributeError, ValueError, OSError):
        return LEAST_ROOM


def roomy(dtype: npt.DTypeLike, rows: int) -> npt.NDArray[Any]:
    """An array of zeros with room for all rows that the machine's memory could hold, in large pages.

    Where the system does not give such room (Windows, limits on address space), an array of `rows`; `grown` makes it
    larger by copying.
    """
    kind = np.dtype(dtype)
    try:
        octets = _machine_memory() // kind.itemsize * kind.itemsize
        uncommitted = LINUX_MAP_NORESERVE if sys.platform == "linux" else 0
        room = mmap.mmap(-1, octets, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | uncommitted)
    except (AttributeError, ValueError, OSError, OverflowError):
        return np.zeros(rows, kind)
    _ask_for_large_pages(room)
    return np.frombuffer(room, kind)


def _ask_for_large_pages(room: mmap.mmap) -> None:
    with contextlib.suppress(AttributeError, OSError):  # kernels built without large pages say EINVAL
        room.madvise(mmap.MADV_HUGEPAGE)


def grown(array: npt.NDArray[Any], wanted: int) -> npt.NDArray[Any]:
    """The array, or a copy of it with room for at least `wanted` rows."""
    if wanted <= array.size:
        return array
    larger = np.zeros(max(array.size + array.size // 2, wanted), array.dtype)
    octets(larger)[: array.size] = octets(array)
    return larger


def octets(rows: npt.NDArray[Any]) -> npt.NDArray[np.void]:
    """The same rows as plain octets: of a record, numpy copies the named fields, and not what lies between them."""
    return rows.view(f"V{rows.itemsize}")


def give_back(array: npt.NDArray[Any], rows: int) -> None:
    """Let the system have the memory of the first rows of a `roomy` array, or of a view from its beginning on.

    Nobody reads them again. What is given back first is taken anew next, and that memory needs no waiting for.
    """
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    room = base.obj if isinstance(base, memoryview) else None
    size = rows * array.itemsize // LARGE_PAGE * LARGE_PAGE
    if isinstance(room, mmap.mmap) and size and hasattr(mmap, "MADV_DONTNEED"):
        room.madvise(mmap.MADV_DONTNEED, 0, size)


class Reused:
    """Arrays of one type and size, handed out again once nobody holds them or a view of them.

    New memory is not free: the system clears each page when it is first written, which for the arrays of a batch costs
    as much as finding its packets (docs/benchmarks.md). Large ones lie in large pages.
    """

    def __init__(self, dtype: npt.DTypeLike, size: int, most: int) -> None:
        """`most` arrays are kept; when all are held, those beyond are new each time."""
        self._dtype, self._size, self._most = np.dtype(dtype), size, most
        self._rooms: list[mmap.mmap] = []
        self._lock = threading.Lock()

    def take(self) -> npt.NDArray[Any]:
        """An array with whatever it held before."""
        with self._lock:
            for room in self._rooms:
                if sys.getrefcount(room) == _HELD_BY_NOBODY:  # an array holds its room
                    return np.frombuffer(room, self._dtype, self._size)
            octets = max(self._size * self._dtype.itemsize, 1)
            if 2 * octets > LARGE_PAGE:
                octets = -(-octets // LARGE_PAGE) * LARGE_PAGE
            try:
                if len(self._rooms) < self._most:
                    self._rooms.append(mmap.mmap(-1, octets))
                    _ask_for_large_pages(self._rooms[-1])
                    return np.frombuffer(self._rooms[-1], self._dtype, self._size)
            except (OSError, ValueError):  # no addresses left
                pass
            return np.empty(self._size, self._dtype)


def _count_of_nobody() -> int:
    """What `sys.getrefcount` says of an object that a list and a loop's variable hold: Pythons differ in one."""
    for thing in [object()]:
        return sys.getrefcount(thing)
    raise AssertionError


_HELD_BY_NOBODY = _count_of_nobody()


def _prefetcher() -> Any:
    @intrinsic
    def prefetch(context, array, at):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
            octet, word = ir.IntType(8).as_pointer(), ir.IntType(32)
            call = builder.module.declare_intrinsic(
                "llvm.prefetch", [octet], ir.FunctionType(ir.VoidType(), [octet, word, word, word])
            )
            pointer = builder.bitcast(builder.gep(data, [arguments[1]]), octet)
            builder.call(call, [pointer, word(READ_AND_WRITE), word(ANY_CACHE_LEVEL), word(1)])
            return context.get_dummy_value()

        return types.void(array, types.int64), generate

    return prefetch


def _nothing(array, at):  # type: ignore[no-untyped-def]
    """What `prefetch` does, uncompiled."""


# prefetch(array, at): ask for the cache line of array[at]. A hint: any `at` will do, nothing is read that is not there.
prefetch = _nothing if NUMBA_SETTINGS.DISABLE_JIT else _prefetcher()
