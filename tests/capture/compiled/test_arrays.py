"""Arrays that grow where they stand, and what is done where the system has no such room."""

import mmap
import os

import numpy as np
import pytest

from peerburst.capture.compiled.arrays import LARGE_PAGE, grow, large_page_array, release, reserve
from peerburst.capture.compiled.pool import BufferPool
from peerburst.capture.flows.record import FLOW
from peerburst.capture.flows.table import FIRST_CAPACITY, FlowTable
from peerburst.capture.packets.record import PACKET


def many_flows(count: int) -> "np.ndarray[tuple[int], np.dtype[np.void]]":
    """As many UDP packets, each of another flow."""
    rows = np.zeros(count, PACKET)
    rows["src_lo"], rows["dst_lo"], rows["proto"] = 1, np.arange(2, count + 2), 17
    rows["ts"] = np.arange(count)
    return rows


def test_there_is_room_for_more_than_was_asked_for_and_it_is_zero() -> None:
    array = reserve(FLOW, 10)
    assert array.size >= 10
    assert not array[-1]["a_lo"]
    array[3]["a_lo"] = 7
    assert array["a_lo"][:5].tolist() == [0, 0, 0, 7, 0]
    assert grow(array, 5) is array


def test_without_room_arrays_grow_by_copying(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_names: object) -> None:
        raise OSError("no address space")

    with_room = FlowTable()
    monkeypatch.setattr(mmap, "mmap", refuse)
    assert reserve(FLOW, 10).size == 10
    without = FlowTable()
    packets = many_flows(2 * FIRST_CAPACITY + 1000)
    packets[1::2] = packets[::2]  # each flow twice, and of TCP, so that its lines are moved as well
    packets["proto"], packets["flags"], packets["window"] = 6, 16, 1000
    for table in (with_room, without):
        for first in range(0, packets.size, 700):
            table.add(packets[first : first + 700])
    left, right = with_room.flows(), without.finish()
    assert left.row.size == packets.size // 2 > FIRST_CAPACITY
    assert (left.row == right.row).all()
    assert (left.segments == right.segments).all()


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="the system takes no memory back")
def test_memory_given_back_reads_as_zero_and_the_rest_stays() -> None:
    rows = 2 * LARGE_PAGE // 8
    array = reserve(np.int64, rows)
    array[:rows] = 5
    release(array, rows - 1)
    assert array[: LARGE_PAGE // 8].tolist() == [0] * (LARGE_PAGE // 8)
    assert (array[LARGE_PAGE // 8 : rows] == 5).all()


def test_finishing_answers_what_asking_does() -> None:
    table = FlowTable()
    table.add(many_flows(100))
    again = many_flows(100)
    again["ts"] += 60 * 10**9
    table.add(again)
    asked, finished = table.flows(), table.finish()
    assert finished.segments.size == 200
    assert (asked.segments == finished.segments).all()
    assert (asked.first_segment == finished.first_segment).all()


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="the system takes no memory back")
def test_memory_is_given_back_through_a_view_as_well() -> None:
    rows = 2 * LARGE_PAGE // 8
    array = reserve(np.int64, rows)
    array[:rows] = 5
    release(array[: rows - 10][: rows - 20], LARGE_PAGE // 8)
    assert not array[: LARGE_PAGE // 8].any()
    assert array[LARGE_PAGE // 8] == 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_memory_is_of_this_process_alone() -> None:
    # Shared memory comes in small pages, each of which has to be cleared.
    arrays = [BufferPool(np.int64, 1000, most=2).take(), large_page_array(np.int64, 1000), reserve(np.int64, 1000)]
    for array in arrays:
        array[0] = 1
    child = os.fork()
    if not child:
        for array in arrays:
            array[0] = 2
        os._exit(0)
    os.waitpid(child, 0)
    assert [int(array[0]) for array in arrays] == [1, 1, 1]


def test_arrays_in_pages_are_zero_and_as_long_as_was_asked() -> None:
    for rows in (0, 1, 1000, LARGE_PAGE // 8 + 1):
        array = large_page_array(np.int64, rows)
        assert array.size == rows
        assert not array.any()
