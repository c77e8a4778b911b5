"""README.md: what it shows as printed is printed, its notebook lines run, its links lead somewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def _block(start: str) -> str:
    """The fenced block that begins with this line (and what may stand before the fence)."""
    found = re.search(re.escape(start) + r"\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    assert found, f"README.md has no block after {start!r}"
    return found[1]


def _run(*arguments: str, folder: Path) -> str:
    """Standard output, compiled also where the suite runs uncompiled: the capture is long."""
    around = {**os.environ, "NUMBA_DISABLE_JIT": "0"}
    done = subprocess.run([sys.executable, *arguments], cwd=folder, env=around, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_the_demo_is_said_to_print_it_prints() -> None:
    printed = iter(
        line.rstrip() for line in _run("-m", "peerburst", "pcaps/hotel-evening.pcapng.zst", folder=ROOT).splitlines()
    )
    shown = [line for line in _block("<!-- printed by the demo -->\n```").splitlines() if line != "..."]
    assert len(shown) > 10
    absent = [line for line in shown if line not in printed]  # `in` goes on where the last search ended: order counts
    assert absent == []


def test_the_notebook_lines_run(tmp_path: Path) -> None:
    (tmp_path / "pcaps").symlink_to(ROOT / "pcaps")
    code = _block("```python")
    noted = re.findall(r"^(\S.*?) +# (\d+|'[^']*')(?:,.*)?$", code, re.MULTILINE)
    assert len(noted) == 3
    checks = "".join(f"\nassert {expression} == {value}, {expression}" for expression, value in noted)
    _run("-c", code + checks, folder=tmp_path)
    assert (tmp_path / "evening.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
