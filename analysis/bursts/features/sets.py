"""Sets of one host's flows, side by side, as the kernels that measure features take them."""

from typing import NamedTuple

import numpy as np

from peerburst.analysis.hosts.flow_facts import SomeFacts
from peerburst.analysis.hosts.peers import HostFlowColumns
from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.shapes import Bools, Int64s, UInt8s

PORTS = 65536


class Sets(NamedTuple):
    """Where each set's flows lie among those side by side: from begins[g] to before stops[g]."""

    begins: Int64s
    stops: Int64s


class Measured(NamedTuple):
    """Flows side by side, those of each set in the order they began, and what is known of each."""

    flows: HostFlowColumns
    kind: UInt8s  # FlowKind
    facts: SomeFacts


class Scratch(NamedTuple):
    """Room to work on one set at a time: four columns, each for as many values as the largest set has flows."""

    values: Int64s
    more: Int64s
    ordered: Int64s
    spare: Int64s  # for `sort_run`


def scratch(largest: int) -> Scratch:
    """Room for sets of so many flows at most."""
    return Scratch(*(np.empty(largest, np.int64) for _ in Scratch._fields))


class PortScratch(NamedTuple):
    """Room to count ports of one set at a time: by port, and nothing anywhere between two sets."""

    counts: Int64s
    local_counts: Int64s
    seen: Bools


def port_scratch() -> PortScratch:
    return PortScratch(np.zeros(PORTS, np.int64), np.zeros(PORTS, np.int64), np.zeros(PORTS, np.bool_))


@part
def median(ordered: Int64s, n: int) -> float:
    """The middle of the first n values, at least one, which are in order."""
    middle: float = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2.0
    return middle


@part
def count_runs(ordered: Int64s, n: int) -> tuple[int, int]:
    """(how many distinct, how often the commonest) among the first n values, which are in order."""
    distinct, longest, length = 0, 0, 0
    for i in range(n):
        length = length + 1 if i and ordered[i] == ordered[i - 1] else 1
        distinct += length == 1
        longest = max(longest, length)
    return distinct, longest
