"""Read captures and prepare their analysis, for the command line and for notebooks."""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.gateways.compiled import shortest_gaps_s
from peerburst.analysis.hosts.locality import Scope
from peerburst.analysis.settings import Settings, load_models
from peerburst.analysis.vantage.mirror import is_mirror
from peerburst.capture.compiled.kernel import is_cold
from peerburst.capture.errors import SettingsError
from peerburst.capture.flows.segments import segment_gaps_ns
from peerburst.capture.read import Capture, Progress, read


@contextlib.contextmanager
def _warming() -> Iterator[None]:
    """On an installation's first run, compile the kernels of the analysis in a process beside this one."""
    if not is_cold():
        yield
        return
    try:
        beside = subprocess.Popen(
            [sys.executable, "-m", "peerburst.analysis.precompile"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError:  # without a second process, kernels compile when they are needed
        yield
        return
    try:
        yield
    except BaseException:
        beside.terminate()
        raise
    finally:
        beside.wait()


def analyse(paths: Sequence[str], settings: Settings, progress: Callable[[Progress], None] | None = None) -> Analysis:
    """Read captures as one stream; the answers are computed when asked for.

    Raises CaptureError for a file that cannot be read, SettingsError for a setting that makes no sense.
    """
    models = load_models(settings)
    if settings.most_packets is not None and settings.most_packets < 1:
        raise SettingsError("the number of packets to read must be at least 1")

    def reading(follow_tunnels: bool) -> Capture:
        return read(
            paths,
            follow_tunnels=follow_tunnels,
            most_packets=settings.most_packets,
            gaps_ns=segment_gaps_ns(shortest_gaps_s(models)),
            progress=progress,
        )

    with _warming():
        capture = reading(settings.follow_tunnels)
        if _may_be_mirror(capture, paths, settings):
            inside = Analysis(reading(True), replace(settings, follow_tunnels=True, mirror=True), models)
            # Else nothing in it can be read, or nothing of it crosses a gateway.
            if not is_mirror(inside.capture.flows) and inside.scopes[Scope.CROSSING]:
                return inside
    return Analysis(capture, settings, models)


def _may_be_mirror(capture: Capture, paths: Sequence[str], settings: Settings) -> bool:
    """Whether to look inside a tunnel unasked: nobody said what to count, and the captures can be read again."""
    is_asked = settings.follow_tunnels or settings.include_lan or settings.local_nets is not None
    return not is_asked and is_mirror(capture.flows) and all(Path(path).is_file() for path in paths)
