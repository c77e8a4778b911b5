"""At which instants to draw a step function that changes more often than a picture has pixels."""

import numpy as np
import numpy.typing as npt

from peerburst.analysis.counting.step_function import Steps

MOST_INSTANTS = 1500


def drawn_instants(steps: Steps, first_ns: int, last_ns: int) -> npt.NDArray[np.int64]:
    """Instants from first to last, rising: all changes of the steps or, of very many, the highest in each span."""
    inside = (steps.at >= first_ns) & (steps.at <= last_ns)
    at, count = steps.at[inside], steps.count[inside]
    ends = np.array([first_ns, last_ns])
    if at.size <= MOST_INSTANTS:
        return np.unique(np.concatenate([ends, at]))
    edges = np.linspace(first_ns, last_ns, MOST_INSTANTS // 2 + 1).astype(np.int64)
    highest = _highest(np.searchsorted(edges, at, side="right"), at, count)
    return np.unique(np.concatenate([ends, edges, at[highest]]))


def _highest(
    span: npt.NDArray[np.intp], at: npt.NDArray[np.int64], count: npt.NDArray[np.int64]
) -> npt.NDArray[np.intp]:
    """Which instant of each span has the highest count; of equals the earliest."""
    order = np.lexsort((-at, count, span))  # the highest of a span comes last
    is_last = np.append(span[order][1:] != span[order][:-1], True)
    highest: npt.NDArray[np.intp] = order[is_last]
    return highest
