"""`python -m peerburst.analysis.warm`: compile the kernels of this layer on nothing, for the cache.

The first run of an installation starts this beside its own compiling of the packet kernels, which takes longer: on two
cores that is a quarter less to wait.
"""

import numpy as np

from peerburst.analysis import bursts, concurrency, entries, features, hostflows
from peerburst.analysis.addresses import classify_ends
from peerburst.analysis.gateways import load
from peerburst.capture.flowtable import FLOW, SEGMENT, Flows


def main() -> None:
    flows = Flows(np.zeros(0, FLOW), np.zeros(0, SEGMENT), np.zeros(1, np.int64))
    ends = classify_ends(flows.row)
    held = entries.apply(load("linux-connlimit"), flows, ends)
    concurrency.measure(held, flows, 1, 0)
    entries.apply(load("nat-mapping"), flows, ends)
    facts = hostflows.flow_facts(flows)
    index = hostflows.HostIndex(flows, ends)
    index.totals()
    none = np.zeros(0, np.int64)
    features.measure_sets(index.flow, index.outbound, none, none, facts, np.zeros(0, np.uint8))
    concurrency.talking_intervals(flows, held)
    bursts.two_states(np.ones(1), 0.1, 1.0, 1.0, np.zeros(1, np.uint8))


if __name__ == "__main__":
    main()
