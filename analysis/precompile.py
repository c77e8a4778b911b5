"""`python -m peerburst.analysis.precompile`: compile the kernels of this layer on next to nothing, for the cache.

The first run of an installation starts this beside its own compiling of the packet kernels, which takes longer: on two
cores that is a quarter less to wait.
"""

import numpy as np

from peerburst.analysis.bursts import detect, features, kinds
from peerburst.analysis.counting import entries, host_entries, peaks
from peerburst.analysis.gateways import load
from peerburst.analysis.hosts.flow_facts import FlowFacts
from peerburst.analysis.hosts.index import HostIndex
from peerburst.analysis.hosts.locality import MAPPED, ends_among, locate
from peerburst.analysis.settings import DEFAULT_LIMITS
from peerburst.analysis.vantage import direction
from peerburst.analysis.vantage.macs import behind_macs
from peerburst.analysis.vantage.twins import twins_of
from peerburst.capture.flows.record import BIRTH, FLOW, SEGMENT, Flows


def main() -> None:
    # One flow of one packet, from a local host.
    row, segment = np.zeros(1, FLOW), np.zeros(1, SEGMENT)
    row["a_lo"], row["b_lo"], row["successor"] = MAPPED | 10 << 24, MAPPED | 9 << 24, -1
    births = np.zeros(1, BIRTH)
    births["frame"], births["sender"] = 1, 1
    flows = Flows(row, segment, np.array([0, 1], np.int64), births)
    behind_macs(flows)
    twins_of(flows)
    ends_among(row, {(0, 1)})
    ends = locate(flows.row)
    index, facts = HostIndex(flows, ends), FlowFacts(flows)
    direction.ways(flows)
    models = [load("linux-connlimit"), load("nat-mapping")]
    network = host_entries.network_of(index, ends, include_lan=False)
    peaks.measure(models, flows, network, 0, (1,))
    index.totals()
    facts.have_opened(index.flow)
    begins, stops = index.first[:-1], index.first[1:]
    features.measure_sets(index.flow, index.outbound, begins, stops, facts, kinds.flow_kinds(flows, facts))
    detect.two_states(np.ones(1), 0.1, 1.0, 1.0, np.zeros(1, np.uint8))
    # What pictures and live sessions ask for.
    held = host_entries.host_entries(models[0], flows, network)
    host_entries.active_intervals(flows, held)
    peaks.measure_entries(held, held.host == 0, 1, 0, DEFAULT_LIMITS)
    entries.latest_ends_ns(models[0], flows)


if __name__ == "__main__":
    main()
