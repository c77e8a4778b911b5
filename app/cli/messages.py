"""Messages of the program to the person: one line each, on standard error."""

import sys

from peerburst.analysis.humanize import one_line


def say(text: str) -> None:
    """Print a message; control characters from file names and the like are left out."""
    print(f"peerburst: {one_line(text)}", file=sys.stderr)


def warn(text: str) -> None:
    """Print a warning."""
    say(f"warning: {text}")
