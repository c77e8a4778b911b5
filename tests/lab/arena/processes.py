"""Programs started, watched and ended by their own process ids."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

PATIENCE_S = 3.0
# A virtual environment's own variables and a desktop's are nothing to the programs played.
KEPT = ("PATH", "LANG", "PYTHONPATH", "VIRTUAL_ENV")


class Processes:
    """A group of programs that end together; leave `with` and they are gone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[subprocess.Popen[bytes]] = []
        self._closed = False

    def start(
        self, command: Sequence[str], *, log: str, environment: Mapping[str, str] | None = None, stdin: bool = False
    ) -> subprocess.Popen[bytes]:
        """Start a program in a session of its own; what it says goes to `log` in the folder."""
        if self._closed:
            raise RuntimeError("the arena is closing")
        base = {key: os.environ[key] for key in KEPT if key in os.environ}
        with (self.folder / log).open("ab") as said:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                env={**base, "HOME": str(self.folder), **(environment or {})},
                start_new_session=True,
            )
        self._running.append(process)
        return process

    def stop(self, process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> int:
        """End one program and its children: kindly, then not; its return code."""
        if process in self._running:
            self._running.remove(process)
        if process.poll() is None:
            _signal(process, how)
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                _signal(process, signal.SIGKILL)
        _signal(process, signal.SIGKILL)  # children that stayed behind
        return process.wait()

    def close(self) -> None:
        """End them all: the signal to all first, so that they end at the same time."""
        self._closed = True
        running = tuple(self._running)
        for process in running:
            _signal(process, signal.SIGTERM)
        until = time.monotonic() + PATIENCE_S
        for process in running:
            while process.poll() is None and time.monotonic() < until:
                time.sleep(0.02)
            _signal(process, signal.SIGKILL)
            process.wait()
        self._running.clear()

    def __enter__(self) -> "Processes":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _signal(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """To the whole session: it is led by the program, and its number stays taken while one member lives."""
    try:
        os.killpg(process.pid, how)
    except (ProcessLookupError, PermissionError):
        return
