"""What a change costs, in under half a minute: the flow table and `analyze` against tcpdump's walk of the same file.

python bench/quick.py
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from measure import PYTHON, installed, median, run
from traces import TRACES, write

RUNS = 5


def table_seconds(path: Path) -> float:
    """The flow table's own time, best of what one process prints."""
    done = subprocess.run(
        [PYTHON, str(Path(__file__).parent / "flow_table.py"), *[str(path)] * RUNS],
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted(float(line.split()[0]) for line in done.stdout.splitlines())[RUNS // 2]


def main() -> None:
    if not installed("tcpdump"):
        sys.exit("tcpdump is not installed, and it is what this compares with")
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "1M-50k.pcap"
        with path.open("wb") as out:
            write(TRACES["1M-50k"], out)
        walks, whole = [], []
        tcpdump = ["tcpdump", "-r", str(path), "tcp port 9"]
        analyze = [PYTHON, "-m", "peerburst", "analyze", "--format", "json", str(path)]
        run(analyze, timeout_s=60)
        for _ in range(RUNS):
            walks.append(run(tcpdump, timeout_s=60))
            whole.append(run(analyze, timeout_s=60))
        walk = median([cost for cost in walks if cost])
        analysis = median([cost for cost in whole if cost])
        table = table_seconds(path)
    print(f"tcpdump, filter only   {walk.seconds:7.3f} s")
    print(f"flow table             {table:7.3f} s  {table / walk.seconds:5.2f} times as long")
    print(f"analyze --format json  {analysis.seconds:7.3f} s  {analysis.peak_mb:.0f} MB")


if __name__ == "__main__":
    main()
