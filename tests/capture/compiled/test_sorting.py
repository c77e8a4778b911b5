"""The kernels' sort gives what Python's does, and touches nothing beside the run."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerburst.capture.compiled.sorting import SHORT, sort_places, sort_run, sort_spread


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


def check_spread(values: list[int]) -> None:
    array = np.array([*values, -7], np.int64)
    sort_spread(array, len(values), np.empty(len(values), np.int64), np.empty(len(values) + 1, np.int32))
    assert array.tolist() == [*sorted(values), -7]


@given(values=st.lists(st.integers(-(2**62), 2**62 - 1) | st.integers(0, 50), min_size=1, max_size=200))
def test_spread_values_are_sorted(values: list[int]) -> None:
    check_spread(values)


@pytest.mark.parametrize("size", [1, 2, SHORT, 5 * SHORT + 1, 1000])
def test_values_that_are_not_spread_at_all_are_sorted_as_well(size: int) -> None:
    for values in ([3] * size, [i * 7919 % 101 for i in range(size)], [i * i * i for i in range(size, 0, -1)]):
        check_spread(values)
    check_spread([*range(size), 2**62, 5])


@pytest.mark.filterwarnings("ignore:overflow encountered")  # uncompiled, numpy says so
def test_values_too_far_apart_to_be_spread_are_sorted() -> None:
    check_spread([2**63 - 1, -(2**63), 0, 5])


@given(values=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), max_size=80))
def test_places_are_sorted_by_one_value_then_another_then_as_they_were(values: list[tuple[int, int]]) -> None:
    first, second = (np.array([value[i] for value in values], np.int64) for i in (0, 1))
    places = np.arange(len(values), dtype=np.int32)
    sort_places(places, len(values), first, second.astype(np.int32), np.empty(len(values), np.int32))
    assert places.tolist() == sorted(range(len(values)), key=lambda i: values[i])
