"""Running a command and saying what it cost: seconds by the wall clock and peak memory of it and its children."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds and peak memory of one run."""

    seconds: float
    peak_mb: float


def run(command: Sequence[str], *, timeout_s: float) -> Cost | None:
    """Run once, output thrown away; None if it failed or took longer than `timeout_s`."""
    with tempfile.TemporaryDirectory() as place:
        began = time.perf_counter()
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=place
        )
        usage = _wait(child, began + timeout_s)
        seconds = time.perf_counter() - began
    if usage is None or child.returncode != 0:
        return None
    return Cost(seconds, usage / 1000)


def _wait(child: "subprocess.Popen[bytes]", deadline: float) -> int | None:
    """Wait for a process; its peak resident kilobytes, or None if it had to be ended."""
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            return usage.ru_maxrss
        if time.perf_counter() > deadline:
            child.kill()
            os.wait4(child.pid, 0)
            child.returncode = -9
            return None
        time.sleep(0.002)


def median(costs: Sequence[Cost]) -> Cost:
    """The run in the middle by time, with the largest memory of all."""
    return Cost(statistics.median(cost.seconds for cost in costs), max(cost.peak_mb for cost in costs))


def installed(program: str) -> bool:
    return shutil.which(program) is not None


PYTHON = sys.executable
