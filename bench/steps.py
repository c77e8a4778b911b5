"""Where a packet's time goes, step by step in one thread, and what memory costs here that is touched first.

python bench/steps.py FILE   prints nanoseconds a packet, the least of several readings, and milliseconds for 2 MiB
"""

import mmap
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from peerburst.capture.compiled.arrays import LARGE_PAGE
from peerburst.capture.files.source import PacketSource
from peerburst.capture.flows.sharded import ShardedFlowTable

READINGS = 5
PAGES = 64
Answer = TypeVar("Answer")


class Clock:
    """Adds up the seconds of each step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, step: str, work: Callable[[], Answer]) -> Answer:
        began = time.perf_counter()
        answer = work()
        self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - began
        return answer


def one_reading(path: str) -> tuple[dict[str, float], int]:
    """(seconds by step, packets)."""
    clock, table, pieces, before = Clock(), ShardedFlowTable(), PacketSource(path).pieces(), 0
    while (piece := clock("find", lambda: next(pieces, None))) is not None:
        packets = clock("decode", piece.decode)
        partition = clock("partition", lambda packets=packets: table.partition(packets))  # type: ignore[misc]
        for shard in range(table.shards):
            clock("enter", lambda shard=shard: table.enter(packets, partition, before, shard))  # type: ignore[misc] # noqa: B023
        before += packets.size
    clock("finish", table.finish)
    return clock.seconds, before


def page_ms() -> list[float]:
    """Milliseconds to touch each of some pages of 2 MiB for the first time, in order."""
    room = mmap.mmap(-1, PAGES * LARGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    room.madvise(mmap.MADV_HUGEPAGE)
    taken = []
    for at in range(0, len(room), LARGE_PAGE):
        began = time.perf_counter()
        room[at] = 1
        taken.append((time.perf_counter() - began) * 1e3)
    return sorted(taken)


def main() -> None:
    taken = page_ms()
    print(f"2 MiB touched first: {taken[0]:.2f} to {taken[-1]:.2f} ms, half of them below {taken[PAGES // 2]:.2f}")
    readings = [one_reading(sys.argv[1]) for _ in range(READINGS)]
    packets = readings[0][1]
    for step in readings[0][0]:
        print(f"{step:9} {min(seconds[step] for seconds, _packets in readings) / packets * 1e9:7.1f} ns")


if __name__ == "__main__":
    main()
