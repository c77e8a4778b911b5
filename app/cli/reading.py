"""Reading captures for a command: progress and warnings go to standard error."""

import contextlib
import gc
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from peerburst.analysis.settings import Settings
from peerburst.cli.messages import warn
from peerburst.cli.options import When

if TYPE_CHECKING:
    from peerburst.analysis.analysis import Analysis
    from peerburst.analysis.results import Host


@contextlib.contextmanager
def _kept_for_good() -> Iterator[None]:
    """Around imports: what they make stays, and searching it for garbage takes a tenth of a second."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


def read_captures(
    paths: Sequence[str], settings: Settings, *, quiet: bool = False, progress: When = When.AUTO
) -> "Analysis":
    """Read captures as one stream; raises what `opening.analyse` does."""
    with _kept_for_good():
        from peerburst.opening import analyse
        from peerburst.render.progress import ReadingProgress

    shown = progress is When.ON or (progress is When.AUTO and sys.stderr.isatty() and not quiet)
    with ReadingProgress(sys.stderr if shown else None) as watch:
        analysis = analyse(paths, settings, watch.update)
    if not quiet:
        for warning in analysis.capture.warnings:
            warn(warning)
    return analysis


def chosen_host(analysis: "Analysis", name: str | None) -> "Host | None":
    """The host of that name, or the busiest; None where a capture has no local host."""
    if name is not None:
        return analysis.host(analysis.host_number(name))
    return analysis.host(analysis.ranked[0]) if analysis.ranked else None
