"""The programs that play: whether they are here, and in which version."""

import functools
import importlib.metadata
import importlib.util
import json
import shutil
import subprocess
from pathlib import Path

NODE_MODULES = "/usr/lib/node_modules"  # where `npm install -g` puts things
PYTHON_MODULE = "Python module "  # how a need begins that is one


def is_here(need: str) -> bool:
    """Whether a need is met: a program by its name, a file by its path, a Python module."""
    if need.startswith(PYTHON_MODULE):
        return importlib.util.find_spec(need.removeprefix(PYTHON_MODULE)) is not None
    return shutil.which(need) is not None or Path(need).exists()


@functools.cache
def version(*command: str, line: int = 0) -> str:
    """The first words with a digit in what a program says of itself."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    said = (done.stdout + done.stderr).splitlines()
    for text in said[line:]:
        for word in text.replace("/", " ").replace(",", " ").split():
            if word.lstrip("v")[:1].isdigit():
                return word.lstrip("v").rstrip(").")
    return "unknown"


def npm_version(package: str) -> str:
    """The version of an npm package that is installed for all."""
    return str(json.loads(Path(NODE_MODULES, package, "package.json").read_text())["version"])


def module_version(package: str) -> str:
    """The version of a Python package."""
    return importlib.metadata.version(package)


def needs_module(module: str) -> str:
    """A scene's need of a Python module."""
    return PYTHON_MODULE + module


def packaged(package: str) -> str:
    """The version of a Debian package."""
    return version("dpkg-query", "-W", package)


def node_program(*packages: str) -> tuple[str, ...]:
    """What a scene needs that is played by Node.js with these npm packages."""
    return ("node", *(f"{NODE_MODULES}/{package}" for package in packages))
