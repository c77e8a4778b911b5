"""A coverage-guided fuzzer (atheris, libFuzzer) of the reader, the decoding, the flow table and every gateway model.

The kernels run uncompiled, so that their every branch is seen. One execution is one file image, as in `mutation`; what
must hold is the same. Images that reached something new are kept in a folder, from where both fuzzers start the next
time; `--merge` keeps of those only what the seeds do not reach. Needs `pip install atheris`, and tests/ on PYTHONPATH.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

LONGEST_IMAGE = 2048
LONGEST_S = 10  # uncompiled, on a machine that does other things too
INSIDE = "PEERBURST_FUZZ_INSIDE"  # set in the process that libFuzzer runs in, which it ends without ado
EXECUTED = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
COVERED = re.compile(r"cov: (\d+) ft: (\d+)")
FOUND = Path(__file__).resolve().parent / "found"


def fuzz(arguments: list[str]) -> None:
    """Hand over to libFuzzer with these arguments; does not come back."""
    import atheris  # type: ignore[import-untyped]

    with atheris.instrument_imports(include=["peerburst"]):
        import peerburst.analysis.gateways.compiled
        import peerburst.capture.files.source
    from peerburst.analysis.gateways import shipped
    from peerburst.capture.flows.segments import segment_gaps_ns
    from peerburst.capture.flows.table import FlowTable
    from tests.lab.hostile import mutation

    models = shipped()
    gaps = segment_gaps_ns(peerburst.analysis.gateways.compiled.shortest_gaps_s(models))
    peerburst.capture.files.source.WINDOW = mutation.WINDOW
    peerburst.capture.files.source.BATCH = mutation.PACKETS

    def one_image(image: bytes) -> None:
        packets = mutation.read_image(image)
        if packets.size:
            table = FlowTable(gaps)
            table.add(packets)
            flows = mutation.check_table(table)
            if flows.row.size:
                mutation.check_models(flows, models)

    atheris.Setup([os.environ[INSIDE], *arguments], one_image)
    atheris.Fuzz()


def _inside(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """This file again, in a process of its own, with the jit off."""
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder) / "fuzz"  # libFuzzer starts itself again to merge, by a name that must be a program's
        again.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}" "$@"\n')
        again.chmod(0o700)
        environment = {**os.environ, INSIDE: str(again), "NUMBA_DISABLE_JIT": "1"}
        return subprocess.run([again, *arguments], env=environment, stderr=subprocess.PIPE, text=True, check=False)


def write_seeds(folder: Path) -> int:
    """The seeds as files, for libFuzzer; answers how many."""
    from tests.lab.hostile.seeds import plain

    made = plain()
    for number, image in enumerate(made.values()):
        (folder / f"seed-{number:03}").write_bytes(image)
    return len(made)


def run(seconds: int, found: Path, crashes: Path) -> dict[str, Any]:
    """Fuzz for so long; answers what was done, as it is written down."""
    import numba
    import numpy as np

    found.mkdir(parents=True, exist_ok=True)
    crashes.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as seeds:
        count = write_seeds(Path(seeds))
        limits = [f"-max_len={LONGEST_IMAGE}", f"-timeout={LONGEST_S}", "-rss_limit_mb=2048"]
        where = [f"-artifact_prefix={crashes}{os.sep}", str(found), seeds]
        done = _inside([f"-max_total_time={seconds}", "-print_final_stats=1", *limits, *where])
    executed, covered = EXECUTED.search(done.stderr), COVERED.findall(done.stderr)
    kept = sorted(path.name for path in crashes.iterdir())
    if done.returncode and not kept:
        sys.exit(f"the fuzzer could not run: {done.stderr[-2000:]}")
    return {
        "fuzzer": "atheris",
        "compiled": False,
        "executions": int(executed.group(1)) if executed else 0,
        "seconds": round(time.monotonic() - began, 1),
        "edges": int(covered[-1][0]) if covered else 0,
        "features": int(covered[-1][1]) if covered else 0,
        "crashes": kept,
        "seeds": count,
        "versions": {"python": platform.python_version(), "numba": numba.__version__, "numpy": np.__version__},
    }


def merge(found: Path, into: Path) -> None:
    """Of the images found, those that together reach all that the seeds do not, the smallest of each."""
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        seeds, merged = Path(folder) / "seeds", Path(folder) / "merged"
        seeds.mkdir()
        merged.mkdir()
        write_seeds(seeds)
        known = {path.read_bytes() for path in seeds.iterdir()}
        for path in seeds.iterdir():
            (merged / path.name).write_bytes(path.read_bytes())
        done = _inside(["-merge=1", f"-max_len={LONGEST_IMAGE}", str(merged), str(found)])
        if done.returncode:
            sys.exit(f"the images could not be merged: {done.stderr[-2000:]}")
        for path in merged.iterdir():
            image = path.read_bytes()
            if image not in known:
                (into / path.name[:16]).write_bytes(image)


def _command_line() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--found", type=Path, default=FOUND, help="a folder for the images that reached something new")
    parser.add_argument("--crashes", type=Path, default=Path("crashes"), help="a folder for the images that fail")
    parser.add_argument("--merge", type=Path, help="do not fuzz: keep in this folder what is worth keeping of --found")
    parser.add_argument("-o", "--output", type=Path, help="a JSON file that the run is added to")
    options = parser.parse_args()
    if options.merge:
        merge(options.found, options.merge)
        return
    made = run(options.seconds, options.found, options.crashes)
    print(json.dumps(made, indent=1))
    if options.output:
        runs = json.loads(options.output.read_text()) if options.output.exists() else []
        options.output.write_text(json.dumps([*runs, made], indent=1) + "\n")
    sys.exit(bool(made["crashes"]))


if __name__ == "__main__":
    if os.environ.get(INSIDE):
        fuzz(sys.argv[1:])
    else:
        _command_line()
