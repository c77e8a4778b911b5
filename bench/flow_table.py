"""The flow table alone: read captures into it and say what that took, without start-up and without answers.

python bench/flow_table.py FILE...   prints a line per file: seconds, packets, flows, peak memory in MB
"""

import resource
import sys
import time

from peerburst.analysis.gateways import DEFAULT_MODELS, load
from peerburst.analysis.gateways.compiled import shortest_gaps_s
from peerburst.capture.flows.segments import segment_gaps_ns
from peerburst.capture.read import read


def main() -> None:
    gaps = segment_gaps_ns(shortest_gaps_s([load(name) for name in DEFAULT_MODELS]))
    read([sys.argv[1]], gaps_ns=gaps, most_packets=1)  # the kernels are loaded
    for path in sys.argv[1:]:
        began = time.perf_counter()
        capture = read([path], gaps_ns=gaps)
        seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        print(f"{seconds:.4f} {capture.packets} {capture.flows.row.size} {peak:.0f}", flush=True)


if __name__ == "__main__":
    main()
