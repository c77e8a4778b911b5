"""Read captures and prepare their analysis, for the command line and for notebooks."""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.gateways.compiled import shortest_gaps_s
from peerburst.analysis.settings import Settings, load_models
from peerburst.capture.compiled.kernel import is_cold
from peerburst.capture.errors import SettingsError
from peerburst.capture.flows.segments import segment_gaps_ns
from peerburst.capture.read import Progress, read


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
    with _warming():
        capture = read(
            paths,
            follow_tunnels=settings.follow_tunnels,
            most_packets=settings.most_packets,
            gaps_ns=segment_gaps_ns(shortest_gaps_s(models)),
            progress=progress,
        )
    return Analysis(capture, settings, models)
