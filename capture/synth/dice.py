"""Chance that falls the same way everywhere: draws made from the raw output of a seeded PCG64.

numpy keeps the raw stream of a bit generator, and SeedSequence, unchanged for ever, but not what `Generator` makes of
it (NEP 19); so the few distributions a scenario needs are worked out here.
"""

import math
import zlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Thing = TypeVar("Thing")

_DRAWN_AT_ONCE = 256


class Dice:
    """One stream of chance, known by the scenario's seed and a name."""

    def __init__(self, seed: int, name: str) -> None:
        # crc32, for `hash` differs from run to run.
        self._source = np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(name.encode())]))
        self._drawn: list[int] = []

    def _raw(self) -> int:
        if not self._drawn:
            self._drawn = self._source.random_raw(_DRAWN_AT_ONCE).tolist()
        return self._drawn.pop()

    def share(self) -> float:
        """A number in [0, 1), 53 bits of it."""
        return (self._raw() >> 11) * 2.0**-53

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self.share()

    def integer(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + self._raw() % (high - low + 1)

    def happens(self, probability: float) -> bool:
        return self.share() < probability

    def exponential(self, mean: float) -> float:
        return -mean * math.log(1.0 - self.share())

    def log_normal(self, median: float, sigma: float) -> float:
        """Log-normal by its median; `sigma` is the deviation of the logarithm (Box and Muller 1958)."""
        radius = math.sqrt(-2.0 * math.log(1.0 - self.share()))
        return median * math.exp(sigma * radius * math.cos(2.0 * math.pi * self.share()))

    def random_bytes(self, count: int) -> bytes:
        return b"".join(self._raw().to_bytes(8, "big") for _ in range((count + 7) // 8))[:count]

    def pick(self, things: Sequence[Thing]) -> Thing:
        return things[self._raw() % len(things)]

    def shuffled(self, things: Sequence[Thing]) -> list[Thing]:
        """All of `things` in an order of chance (Fisher and Yates)."""
        order = list(things)
        for last in range(len(order) - 1, 0, -1):
            other = self.integer(0, last)
            order[last], order[other] = order[other], order[last]
        return order
