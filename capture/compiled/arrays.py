"""Memory for tables of millions of rows: arrays in large pages, which grow where they stand.

Large pages matter once a table is larger than the processor's caches: with lines asked for ahead (`prefetch`), a flow
table of 500,000 flows took 140 ns a packet in small pages and 100 ns in large ones (docs/benchmarks.md).
"""

import contextlib
import mmap
import os
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

# A process has far more addresses than memory: room is taken for as many rows as the machine's memory could hold, and
# costs nothing until a row is written.
LEAST_MEMORY = 1 << 30
LINUX_MAP_NORESERVE = 0x4000  # Python names it from 3.13 on
LARGE_PAGE = 1 << 21


def _machine_memory() -> int:
    try:
        return max(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), LEAST_MEMORY)
    except (AttributeError, ValueError, OSError):
        return LEAST_MEMORY


def reserve(dtype: npt.DTypeLike, rows: int) -> npt.NDArray[Any]:
    """An array of zeros with room for all rows that the machine's memory could hold, in large pages.

    Where the system does not give such room (Windows, limits on address space), an array of `rows`; `grow` makes it
    larger by copying.
    """
    kind = np.dtype(dtype)
    size = _machine_memory() // LARGE_PAGE * LARGE_PAGE  # Linux lays whole large pages on their boundaries
    room = mapped(size, LINUX_MAP_NORESERVE if sys.platform == "linux" else 0)
    return np.zeros(rows, kind) if room is None else np.frombuffer(room, kind, size // kind.itemsize)


def large_page_array(dtype: npt.DTypeLike, rows: int) -> npt.NDArray[Any]:
    """An array of so many rows of zeros, in large pages unless it is small."""
    kind = np.dtype(dtype)
    room = mapped(in_pages(rows * kind.itemsize))
    return np.zeros(rows, kind) if room is None else np.frombuffer(room, kind, rows)


def in_pages(size: int) -> int:
    """What to map for so many bytes."""
    return -(-size // LARGE_PAGE) * LARGE_PAGE if 8 * size > LARGE_PAGE else max(size, 1)


def mapped(size: int, more_flags: int = 0) -> mmap.mmap | None:
    """Memory of this process alone, in large pages where they fit; None where the system gives none.

    Without these flags Python maps memory that could be shared with others, which Linux has no large pages for.
    """
    try:
        room = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | more_flags)
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
    as_bytes(larger)[: array.size] = as_bytes(array)
    return larger


def as_bytes(rows: npt.NDArray[Any]) -> npt.NDArray[np.void]:
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
