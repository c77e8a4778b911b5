"""What a run after the first one costs: nothing is compiled again, whichever command it is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.kernels import COMPILED
from tests.support.paths import PCAPS

RUN = """
import contextlib, json, os, sys
from numba.core import event
from peerburst.cli.main import main
compiled = {}
for command in json.loads(sys.argv[1]):
    with event.install_recorder("numba:compile") as recorder, contextlib.redirect_stdout(open(os.devnull, "w")):
        with contextlib.suppress(SystemExit):
            main(command)
    compiled[command[0]] = [record.data["dispatcher"].py_func.__qualname__ for _, record in recorder.buffer]
print(json.dumps(compiled))
"""


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_a_second_run_compiles_nothing(tmp_path: Path) -> None:
    capture = str(PCAPS / "chat-sync-small.pcap")
    commands = [
        ["analyze", capture],
        ["flows", capture],
        ["timeline", capture],
        ["report", capture, "-o", str(tmp_path)],
    ]
    command = [sys.executable, "-c", RUN, json.dumps(commands)]
    _first, second = (subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(2))
    assert json.loads(second.stdout) == {name: [] for name, *_rest in commands}
