"""`python -m peerburst.analysis.warm`: compile the kernels of this layer on nothing, for the cache.

The first run of an installation starts this beside its own compiling of the packet kernels, which takes longer: on two
cores that is a quarter less to wait.
"""

import numpy as np

from peerburst.analysis import bursts, concurrency, entries
from peerburst.analysis.addresses import classify_ends
from peerburst.analysis.gateways import load
from peerburst.capture.flowtable import FLOW, SEGMENT, Flows


def main() -> None:
    flows = Flows(np.zeros(0, FLOW), np.zeros(0, SEGMENT), np.zeros(1, np.int64))
    held = entries.apply(load("linux-connlimit"), flows, classify_ends(flows.row))
    concurrency.measure(held, flows, 1, 0)
    concurrency.talking_intervals(flows, held)
    bursts.two_states(np.ones(1), 0.1, 1.0, 1.0, np.zeros(1, np.uint8))


if __name__ == "__main__":
    main()
