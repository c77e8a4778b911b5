"""The wheel: what is in it, and that the command runs from it with nothing but its dependencies around."""

import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import numpy
import pytest

from peerburst import __version__
from tests.support.paths import ROOT

SETUPTOOLS_NEEDED = 77  # as in pyproject.toml: the first that reads a licence expression


def _missing() -> str | None:
    """What keeps this environment from building a wheel."""
    if importlib.util.find_spec("pip") is None:
        return "pip"
    try:
        major = int(importlib.metadata.version("setuptools").split(".")[0])
    except importlib.metadata.PackageNotFoundError:
        major = 0
    return None if major >= SETUPTOOLS_NEEDED else f"setuptools {SETUPTOOLS_NEEDED} or newer"


pytestmark = pytest.mark.skipif(_missing() is not None, reason=f"building a wheel needs {_missing()}")


def _pip(*arguments: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: what earlier builds left in build/ must not come along."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for folder in ("app", "analysis", "capture"):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source / file)
    _pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", out, source)
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """peerburst, installed from the wheel into an environment of its own that sees this one's dependencies."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    _pip("--python", python, "install", "--no-deps", "--no-index", wheel)
    (packages,) = (home / "lib").glob("python*/site-packages")
    # Only a path: the .pth files of that folder, and with them our editable install, are not read.
    (packages / "dependencies.pth").write_text(f"{Path(numpy.__file__).parents[1]}\n")
    return home / "bin" / "peerburst"


def _run(command: Path, folder: Path, *arguments: str | Path) -> str:
    """Standard output of the command, run outside the repository. Uncompiled, since compiling takes longer."""
    around = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    around |= {"NUMBA_DISABLE_JIT": "1", "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run([command, *arguments], cwd=folder, env=around, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _inside(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_nothing_but_peerburst_is_installed(wheel: Path) -> None:
    assert {name.split("/")[0] for name in _inside(wheel)} == {"peerburst", f"peerburst-{__version__}.dist-info"}


def test_every_source_file_is_in_the_wheel(wheel: Path) -> None:
    places = {"app": "peerburst", "analysis": "peerburst/analysis", "capture": "peerburst/capture"}
    expected = {
        f"{place}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, place in places.items()
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".toml") or path.name == "py.typed"
    }
    assert {name for name in _inside(wheel) if name.startswith("peerburst/")} == expected
    assert {"peerburst/py.typed", "peerburst/analysis/gateways/linux-connlimit.toml"} <= expected


def test_the_command_tells_its_version(command: Path, tmp_path: Path) -> None:
    assert _run(command, tmp_path, "--version") == f"peerburst {__version__}\n"


def test_the_command_analyses_a_capture_from_another_folder(command: Path, tmp_path: Path) -> None:
    answer = json.loads(_run(command, tmp_path, "analyze", "--format", "json", ROOT / "pcaps" / "chat-sync-small.pcap"))
    assert answer["capture"]["packets"] == 435  # pcaps/SOURCES.md
    assert answer["hosts"][0]["host"] == "10.20.1.37"
    assert answer["hosts"][0]["models"].keys() >= {"linux-connlimit", "pf-normal", "nat-mapping"}


def test_the_installed_package_is_not_the_one_under_test(command: Path, tmp_path: Path) -> None:
    where = "import peerburst.capture.read as module; print(module.__file__)"
    printed = _run(command.with_name("python"), tmp_path, "-c", where)
    assert Path(printed.strip()).is_relative_to(command.parent.parent)
