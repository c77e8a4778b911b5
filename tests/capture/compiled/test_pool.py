"""Arrays that are used again."""

import numpy as np

from peerburst.capture.compiled.pool import BufferPool


def test_arrays_are_used_again_once_nobody_holds_them() -> None:
    reused = BufferPool(np.int64, 10, most=2)
    first, second = reused.take(), reused.take()
    third, fourth = reused.take(), reused.take()  # beyond the two that are kept
    assert len({array.ctypes.data for array in (first, second, third, fourth)}) == 4
    assert (first.size, first.dtype) == (10, np.int64)
    at, view = first.ctypes.data, first[3:5]
    del first
    assert reused.take().ctypes.data != at  # a view holds it
    del view
    assert reused.take().ctypes.data == at
