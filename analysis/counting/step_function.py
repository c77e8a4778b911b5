"""How many entries a host held at each instant, as an exact step function."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Steps:
    """A step function: from at[i] on the count is count[i]; before at[0] it is 0."""

    at: npt.NDArray[np.int64]
    count: npt.NDArray[np.int64]

    def value(self, instants: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The count at each instant."""
        index = np.searchsorted(self.at, instants, side="right")
        return np.concatenate([[0], self.count])[index]

    def maximum(self, edges: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The largest count in each [edges[i], edges[i+1])."""
        carried = self.value(edges[:-1])
        low, high = np.searchsorted(self.at, edges[:-1], side="right"), np.searchsorted(self.at, edges[1:], side="left")
        largest = carried.copy()
        some = np.flatnonzero(high > low)
        if some.size:
            bounds = np.stack([low[some], high[some]], axis=1).ravel()
            padded = np.append(self.count, 0)  # reduceat needs every bound to be an index
            largest[some] = np.maximum(carried[some], np.maximum.reduceat(padded, bounds)[::2])
        return largest

    def integral(self, instants: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Entry-nanoseconds from the beginning up to each instant."""
        if not self.at.size:
            return np.zeros(instants.size)
        areas = np.concatenate([[0.0], np.cumsum(self.count[:-1] * np.diff(self.at).astype(np.float64))])
        index = np.searchsorted(self.at, instants, side="right") - 1
        inside = index >= 0
        held = np.zeros(instants.size)
        held[inside] = areas[index[inside]] + self.count[index[inside]] * (instants[inside] - self.at[index[inside]])
        return held


def steps(start: npt.NDArray[np.int64], end: npt.NDArray[np.int64]) -> Steps:
    """The step function of intervals [start, end)."""
    instants = np.concatenate([start, end])
    change = np.concatenate([np.ones(start.size, np.int64), np.full(end.size, -1, np.int64)])
    order = np.argsort(instants, kind="stable")
    instants, total = instants[order], np.cumsum(change[order])
    final = np.flatnonzero(np.append(instants[1:] != instants[:-1], True)) if instants.size else np.zeros(0, np.int64)
    return Steps(instants[final], total[final])
