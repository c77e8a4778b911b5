"""Packets on their way from the thread that reads them to whoever takes them."""

import threading
from collections import deque

import numpy as np
import numpy.typing as npt

from peerburst.capture.files.source import BATCH

Packets = npt.NDArray[np.void]

MOST_PACKETS = 1 << 18  # 22 MB: some seconds of a busy line


class PacketQueue:
    """Batches of packets (PACKET rows), at most MOST_PACKETS and one batch: whoever puts more in has to wait."""

    def __init__(self) -> None:
        self._batches: deque[Packets] = deque()
        self._count = 0
        self._has_ended = self._is_abandoned = False
        self._changed = threading.Condition()

    @property
    def is_over(self) -> bool:
        """Whether nothing is there and nothing will come."""
        with self._changed:
            return self._has_ended and not self._batches

    def put(self, packets: Packets) -> None:
        """Add a batch, once there is room for it; throw it away if nobody takes packets any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._count < MOST_PACKETS or self._is_abandoned)
            if not self._is_abandoned:
                self._batches.append(packets)
                self._count += packets.size
                self._changed.notify_all()

    def end(self) -> None:
        """Nothing more will be put in."""
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Nobody will take packets any more."""
        with self._changed:
            self._is_abandoned = True
            self._batches.clear()
            self._count = 0
            self._changed.notify_all()

    def take(self, timeout_s: float) -> Packets | None:
        """What is there, small batches made one up to BATCH packets; None if nothing comes within the time, or ever."""
        with self._changed:
            self._changed.wait_for(lambda: self._batches or self._has_ended, timeout_s)
            taken: list[Packets] = []
            size = 0
            while self._batches and (not taken or size + self._batches[0].size <= BATCH):
                taken.append(self._batches.popleft())
                size += taken[-1].size
            self._count -= size
            self._changed.notify_all()
        if not taken:
            return None
        return taken[0] if len(taken) == 1 else np.concatenate(taken)
