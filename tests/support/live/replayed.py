"""A source that replays a saved capture, at a multiple of its own speed or as fast as it is taken."""

import time
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from peerburst.capture.files.source import PacketSource

MOMENT_S = 1e-6  # against rounding: a packet is not waited for twice


class ReplaySource:
    """Hands out a capture's packets by time: `clock_s` seconds times `speed`; a speed of 0 does not wait."""

    def __init__(
        self,
        path: str,
        *,
        speed: float = 0.0,
        clock_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        size: int = 256,
    ) -> None:
        reader = PacketSource(path)
        self.packets = np.concatenate(list(reader.batches()))
        self.addresses = tuple(reader.addresses)
        self.link_facts = reader.link_facts.facts()
        self.warnings: tuple[str, ...] = ()
        self.drops = reader.drops
        self.bytes_kept = 0
        self.ended: str | None = None
        self._speed, self._clock_s, self._sleep, self._size = speed, clock_s, sleep, size
        self._stopped = False

    def batches(self, timeout_s: float) -> Iterator[npt.NDArray[np.void] | None]:
        began_s, at = self._clock_s(), 0
        seconds = (self.packets["ts"] - self.packets["ts"][0]) / 1e9
        while at < self.packets.size and not self._stopped:
            upto = min(self._due(seconds, began_s), at + self._size)
            if upto > at:
                yield self.packets[at:upto]
                at = upto
                continue
            self._sleep(min(timeout_s, (seconds[at] - self._played_s(began_s)) / self._speed + MOMENT_S))
            if self._due(seconds, began_s) == at:
                yield None
        self.ended = "stopped" if self._stopped else "the capture is at its end"

    def _due(self, seconds: npt.NDArray[np.float64], began_s: float) -> int:
        """How many packets should have come by now."""
        if not self._speed:
            return seconds.size
        return int(np.searchsorted(seconds, self._played_s(began_s), side="right"))

    def _played_s(self, began_s: float) -> float:
        return (self._clock_s() - began_s) * self._speed

    def stop(self) -> None:
        self._stopped = True
