"""The kernels' sort gives what Python's does, and touches nothing beside the run."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerburst.analysis.sorting import SHORT, sort_run


def check(values: list[int], low: int, high: int) -> None:
    array = np.array(values, np.int64)
    sort_run(array, low, high, np.empty(len(values), np.int64))
    assert array.tolist() == values[:low] + sorted(values[low:high]) + values[high:]


@given(
    values=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=200), cut=st.tuples(st.integers(0, 9), st.integers(0, 9))
)
def test_a_run_is_sorted_and_the_rest_left_alone(values: list[int], cut: tuple[int, int]) -> None:
    low = min(cut[0], len(values))
    check(values, low, max(low, len(values) - cut[1]))


@pytest.mark.parametrize("size", [0, 1, SHORT - 1, SHORT, SHORT + 1, 2 * SHORT, 3 * SHORT, 5 * SHORT + 1, 1000])
def test_runs_of_every_shape(size: int) -> None:
    ascending = list(range(size))
    for values in (ascending, ascending[::-1], [0] * size, [i * 7919 % 101 for i in ascending]):
        check(values, 0, size)
