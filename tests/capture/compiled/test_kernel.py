"""The kernels' cache: its name, its place, its one announcement."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from peerburst.capture.compiled import kernel
from tests.support.kernels import COMPILED

PACKAGE = Path(kernel.__file__).resolve().parents[2]

FINGERPRINT = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("kernel", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(module.fingerprint())
"""


def copied(folder: Path) -> Path:
    """The kernel sources as an installed package has them; answers the copy of kernel.py."""
    for name in ("capture", "analysis"):
        shutil.copytree(
            PACKAGE / name, folder / name, ignore=lambda _folder, names: [n for n in names if n == "__pycache__"]
        )
    return folder / "capture" / "compiled" / "kernel.py"


def fingerprint(kernels_py: Path) -> str:
    ran = subprocess.run([sys.executable, "-c", FINGERPRINT, kernels_py], capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def test_the_fingerprint_is_of_all_kernel_sources(tmp_path: Path) -> None:
    kernels_py = copied(tmp_path)
    before = fingerprint(kernels_py)
    assert before == fingerprint(kernels_py)
    seen = {before, kernel.fingerprint()}  # an installation elsewhere has machine code of its own
    # A constant in one file is compiled into the kernels of others; analysis has kernels of its own.
    for changed in ("capture/packets/ip.py", "analysis/counting/entries.py", "capture/compiled/kernel.py"):
        with (tmp_path / changed).open("a") as source:
            source.write("\n# changed\n")
        seen.add(fingerprint(kernels_py))
    assert len(seen) == 5


def test_the_fingerprint_is_of_where_sources_stand_as_well(tmp_path: Path) -> None:
    kernels_py = copied(tmp_path)
    before = fingerprint(kernels_py)
    (tmp_path / "capture/links").rename(tmp_path / "capture/linkt")  # the order of names and contents is the same
    assert fingerprint(kernels_py) != before


def test_the_cache_lies_in_the_users_cache_folder() -> None:
    assert kernel.cache_folder().name == f"kernels-{kernel.fingerprint()}"
    assert os.access(kernel.cache_folder(), os.W_OK)
    assert PACKAGE not in kernel.cache_folder().parents


WHERE = "from peerburst.capture.compiled import kernel; print(kernel.cache_folder())"


def test_without_a_writable_cache_folder_a_private_one_serves(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder can be made below a file")
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "file"), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", WHERE]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    folder = Path(ran.stdout.strip())
    assert folder.parent == tmp_path
    assert folder.name.startswith("peerburst-kernels-")
    assert folder.stat().st_mode & 0o777 == 0o700


def test_numbas_own_setting_is_left_alone() -> None:
    before = kernel.NUMBA_SETTINGS.CACHE_DIR
    kernel.kernel(lambda value: value)
    assert before == kernel.NUMBA_SETTINGS.CACHE_DIR


READ = """
import sys
from peerburst.capture.read import read
print(read([sys.argv[1]]).packets)
"""

LEAN = """
import numpy as np
from peerburst.capture.flows.gather import end_gathering
from peerburst.capture.flows.record import A_SENT, FLOW, SEGMENT
row = np.zeros(1, FLOW)
row["seen"] = A_SENT
print("numba.np.npyimpl" in sys.modules)
try:
    end_gathering(row, np.zeros(2, np.int64), np.zeros(0, SEGMENT))
except IndexError as error:
    print(error)
"""


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_the_first_run_says_that_it_compiles_and_the_next_does_not(tmp_path: Path) -> None:
    # Compiles everything once, some ten seconds: so the read-only installation is tried in the same run.
    package = tmp_path / "installed" / "peerburst"
    copied(package)
    (package / "__init__.py").write_text("")
    for folder in (package / "capture", package / "analysis", package):
        folder.chmod(0o555)
    capture = tmp_path / "empty.pcap"
    capture.write_bytes(bytes.fromhex("d4c3b2a1 02000400 00000000 00000000 ffff0000 01000000") + bytes(16))
    environment = {
        **os.environ,
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PYTHONPATH": str(package.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-c", READ, str(capture)]
    before = sorted(package.rglob("*"))
    first, second = (
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True) for _ in range(2)
    )
    assert (first.stdout, first.stderr) == ("1\n", kernel.ANNOUNCEMENT + "\n")
    assert (second.stdout, second.stderr) == ("1\n", "")
    assert sorted(package.rglob("*")) == before
    (folder,) = (tmp_path / "cache" / "peerburst").iterdir()
    assert (folder / kernel.COMPILED_MARK).exists()
    assert list(folder.rglob("*.nbc")), "no machine code was kept"
    # Taken up without the compiler, the machine code still says what is out of bounds.
    lean = subprocess.run([*command[:2], READ + LEAN, *command[3:]], env=environment, capture_output=True, text=True)
    assert (lean.stdout, lean.stderr) == ("1\nFalse\nindex is out of bounds\n", "")
    for made in (package / "capture", package / "analysis", package):
        made.chmod(0o755)
