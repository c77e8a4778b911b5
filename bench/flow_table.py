"""The flow table alone: read captures into it and say how long that took, without start-up and without answers.

python bench/flow_table.py FILE...
"""

import sys
import time

from peerburst.analysis.entries import shortest_gaps_s
from peerburst.analysis.gateways import DEFAULT_MODELS, load
from peerburst.capture.flowtable import segment_gaps_ns
from peerburst.capture.read import read


def main() -> None:
    gaps = segment_gaps_ns(shortest_gaps_s([load(name) for name in DEFAULT_MODELS]))
    for path in sys.argv[1:]:
        read([path], gaps_ns=gaps, most_packets=1)  # the kernels are loaded
        began = time.perf_counter()
        capture = read([path], gaps_ns=gaps)
        seconds = time.perf_counter() - began
        print(f"{seconds:.4f} s {capture.packets} packets {capture.flows.row.size} flows")


if __name__ == "__main__":
    main()
