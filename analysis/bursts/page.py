"""The table of features in docs/classes.md, made from their registry so that the page cannot drift from it.

    python -m peerburst.analysis.bursts.page docs/classes.md           rewrite the table in the page
    python -m peerburst.analysis.bursts.page --check docs/classes.md   only say whether it is up to date

The prose of the page is kept by hand; the table stands between `<!-- begin features -->` and `<!-- end features -->`.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from peerburst.analysis.bursts.features import ALL, Unit

UNITS = {
    Unit.COUNT: "count",
    Unit.SECONDS: "seconds",
    Unit.PER_SECOND: "count per second",
    Unit.BYTES: "bytes",
    Unit.BYTES_PER_SECOND: "bytes per second",
    Unit.PER_PACKET: "bytes per packet",
    Unit.PER_PEER: "count per peer",
    Unit.SHARE: "share, 0 to 1",
    Unit.ENTROPY: "entropy, 0 to 1",
    Unit.PORT: "port",
}
BETWEEN = re.compile(r"(<!-- begin features -->\n).*?(<!-- end features -->)", re.DOTALL)


def table() -> str:
    """One line a feature: its name, what it is counted in, its words."""
    lines = [f"| `{feature.name}` | {UNITS[feature.unit]} | {feature.words} |" for feature in ALL.values()]
    return "\n".join(["| feature | unit | words |", "|---|---|---|", *lines])


def render(page: str) -> str:
    """The page with the table made anew; raises ValueError where it has no place for it."""
    made, found = BETWEEN.subn(lambda match: f"{match[1]}\n{table()}\n\n{match[2]}", page)
    if found != 1:
        raise ValueError(f"the page has {found} places for the table of features, not one")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if the page is not up to date")
    parser.add_argument("page", type=Path)
    options = parser.parse_args(arguments)
    before = options.page.read_text(encoding="utf-8")
    after = render(before)
    if options.check:
        return int(after != before)
    options.page.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
