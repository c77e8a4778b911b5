"""The one hash of this project, for kernels and for whole columns: a seed, and words mixed into it one by one.

The seed is secret and another in every process, so that nobody can write a capture whose flows or addresses all fall
into one slot. What is joined before it is mixed can be made to cancel: words are mixed one after the other.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.shapes import Int, UInt64s, int64

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio, odd: Knuth, volume 3, section 6.4
FOLD = np.uint64(29)
UPPER_HALF = np.uint64(32)


def _mix(value: Any, word: Any) -> Any:
    value = (value ^ word) * MULTIPLIER
    return value ^ (value >> FOLD)


mix = part(_mix)  # (value: uint64, word: uint64) -> uint64, in kernels


@part
def address_slot(seed: np.uint64, high: np.uint64, low: np.uint64, slots: Int) -> int:
    """Where in a table of so many slots (a power of two) an address (two uint64) is looked for first."""
    return int64(mix(mix(seed, low), high) >> UPPER_HALF) & int64(slots - 1)


def row_keys(seed: int, columns: Sequence[npt.NDArray[Any]]) -> UInt64s:
    """A 64-bit number for each row of these columns (whole numbers), in which different rows differ all but surely."""
    keys: UInt64s = np.full(columns[0].shape, seed, np.uint64)
    for column in columns:
        keys = _mix(keys, column.astype(np.uint64))
    return keys
