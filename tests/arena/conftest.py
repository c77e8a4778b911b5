"""Puts the project's root on the path: the arena is run from there, as `tests.arena`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
