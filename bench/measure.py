"""Running a command and saying what it cost: seconds by the wall clock and of the processors, and peak memory."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PYTHON = sys.executable
# As installed programs run: with Python's byte code kept from the run before, which some machines that build forbid.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took, its children included."""

    seconds: float
    processor_s: float
    peak_mb: float

    def scaled(self, factor: float) -> "Cost":
        """What a larger run of the same kind would take."""
        return Cost(self.seconds * factor, self.processor_s * factor, self.peak_mb)


def run(command: Sequence[str], *, timeout_s: float, fed_by: Sequence[str] | None = None) -> Cost | None:
    """Run once, output thrown away; None if it failed or took longer than `timeout_s`.

    `fed_by` is a command whose output it reads; what that costs is not counted.
    """
    with tempfile.TemporaryDirectory() as place:
        began = time.perf_counter()
        feeder = None
        if fed_by is not None:
            feeder = subprocess.Popen(fed_by, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=ENVIRONMENT)
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL if feeder is None else feeder.stdout,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=place,
            env=ENVIRONMENT,
        )
        if feeder is not None and feeder.stdout is not None:
            feeder.stdout.close()  # the child has it: when it ends early, so does the feeder
        cost = _wait(child, began, timeout_s)
        if feeder is not None:
            feeder.kill()
            feeder.wait()
    return cost if child.returncode == 0 else None


def _wait(child: "subprocess.Popen[bytes]", began: float, timeout_s: float) -> Cost | None:
    """Wait for a process and say what it cost; None if it had to be ended.

    The peak is the system's own mark for the process, looked at while it runs: what `wait4` answers may be that of this
    process, which was there before the command took its place.
    """
    peak_kb = 0
    while True:
        peak_kb = _peak_kb(child.pid) or peak_kb
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        seconds = time.perf_counter() - began
        if pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            return Cost(seconds, usage.ru_utime + usage.ru_stime, (peak_kb or usage.ru_maxrss) / 1000)
        if seconds > timeout_s:
            child.kill()
            os.wait4(child.pid, 0)
            child.returncode = -9
            return None
        time.sleep(0.002)


def _peak_kb(pid: int) -> int:
    """The most memory a running process has held, 0 where the system does not say."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def median(costs: Sequence[Cost]) -> Cost:
    """The middle of the times, and the largest memory of all."""
    return Cost(
        statistics.median(cost.seconds for cost in costs),
        statistics.median(cost.processor_s for cost in costs),
        max(cost.peak_mb for cost in costs),
    )


def installed(program: str) -> bool:
    return shutil.which(program) is not None
