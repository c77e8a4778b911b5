"""What a change costs, in under half a minute: the flow table and `analyze` against tcpdump's walk of the same file.

python bench/quick.py
"""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import ENVIRONMENT, PYTHON, Cost, installed, median, run
from traces import TRACES, write

RUNS = 5


def table_cost(path: Path) -> Cost | None:
    """One run of the flow table alone, in a process of its own."""
    done = subprocess.run(
        [PYTHON, str(Path(__file__).parent / "flow_table.py"), str(path)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    if done.returncode:
        return None
    seconds, _packets, _flows, peak = (float(word) for word in done.stdout.split())
    return Cost(seconds, seconds, peak)


def main() -> None:
    if not installed("tcpdump"):
        sys.exit("tcpdump is not installed, and it is what this compares with")
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "1M-50k.pcap"
        with path.open("wb") as out:
            write(TRACES["1M-50k"], out)
        commands = {
            "tcpdump, filter only": ["tcpdump", "-r", str(path), "tcp port 9"],
            "analyze --format json": [PYTHON, "-m", "peerburst", "analyze", "--format", "json", str(path)],
        }
        for command in commands.values():
            run(command, timeout_s=120)  # the file in the page cache, the kernels compiled
        costs: dict[str, list[Cost]] = {}
        ratios = []
        for _ in range(RUNS):
            for name, command in commands.items():
                if (cost := run(command, timeout_s=60)) is not None:
                    costs.setdefault(name, []).append(cost)
            if (table := table_cost(path)) is not None:
                costs.setdefault("flow table", []).append(table)
                ratios.append(table.seconds / costs["tcpdump, filter only"][-1].seconds)
    for name, found in costs.items():
        cost = median(found)
        print(f"{name:24} {cost.seconds:7.3f} s {cost.peak_mb:5.0f} MB")
    print(f"the flow table takes {statistics.median(ratios):.2f} times as long as tcpdump's walk")


if __name__ == "__main__":
    main()
