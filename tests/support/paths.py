"""Where the project's own files are, and the captures of other people beside it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PCAPS = ROOT / "pcaps"
CASES = ROOT / "tests" / "cases"
DOCS = ROOT / "docs"
CORPUS = ROOT.parent / "shared" / "corpus"
