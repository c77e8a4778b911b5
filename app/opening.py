"""From file names and settings to an analysis: what the command line and notebooks share."""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.counting import entries
from peerburst.analysis.counting.step_function import DEFAULT_LIMIT, DEFAULT_LIMITS
from peerburst.analysis.gateways import DEFAULT_MODELS, GatewayModel, load
from peerburst.capture.compiled.kernel import is_cold
from peerburst.capture.errors import SettingsError
from peerburst.capture.flows.table import segment_gaps_ns
from peerburst.capture.read import Progress, read


@dataclass(frozen=True, slots=True)
class Settings:
    """How to read and count. Empty `models` and `limits` stand for the usual ones; `local_nets` None likewise."""

    models: tuple[str, ...] = ()
    limits: tuple[int, ...] = ()
    local_nets: tuple[str, ...] | None = None
    include_lan: bool = False
    follow_tunnels: bool = False
    most_packets: int | None = None

    @property
    def limit(self) -> int:
        """The limit that verdicts and pictures speak of."""
        return self.limits[0] if self.limits else DEFAULT_LIMIT


@contextlib.contextmanager
def _warming() -> Iterator[None]:
    """On an installation's first run, compile the kernels of the analysis beside those of the packets."""
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
    except OSError:  # no second process to be had: they compile when they are needed
        yield
        return
    try:
        yield
    except BaseException:
        beside.terminate()
        raise
    finally:
        beside.wait()


def models_of(settings: Settings) -> list[GatewayModel]:
    """The models to count under, the headline model first; raises SettingsError if one or a limit makes no sense."""
    models = [load(name) for name in settings.models or DEFAULT_MODELS]
    names = [model.name for model in models]
    if len(set(names)) < len(names):
        raise SettingsError(f"a gateway model is named twice in {', '.join(names)}")
    if any(limit < 1 for limit in settings.limits):
        raise SettingsError("a limit must be at least 1 connection")
    return models


def analyse(paths: Sequence[str], settings: Settings, progress: Callable[[Progress], None] | None = None) -> Analysis:
    """Read captures as one stream and prepare the answers."""
    models = models_of(settings)
    if settings.most_packets is not None and settings.most_packets < 1:
        raise SettingsError("the number of packets to read must be at least 1")
    with _warming():
        capture = read(
            paths,
            follow_tunnels=settings.follow_tunnels,
            most_packets=settings.most_packets,
            gaps_ns=segment_gaps_ns(entries.shortest_gaps_s(models)),
            progress=progress,
        )
    return Analysis(
        capture,
        models=models,
        local_nets=settings.local_nets,
        limits=settings.limits or DEFAULT_LIMITS,
        include_lan=settings.include_lan,
    )
