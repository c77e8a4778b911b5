"""What a person asks of `peerburst live`."""

from dataclasses import dataclass
from enum import StrEnum

from peerburst.analysis.settings import Settings
from peerburst.capture.live.options import CaptureOptions, Rotation, StopConditions

USUAL, NEVER_STOPS, ONE_FILE = Settings(), StopConditions(), Rotation()


class Show(StrEnum):
    """How a session is shown."""

    SCREEN = "screen"
    PLAIN = "plain"
    JSONL = "jsonl"


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """What a live session reads, counts, keeps and shows."""

    settings: Settings = USUAL
    capture: CaptureOptions | None = None  # of interfaces
    read: str | None = None  # a growing file, or `-`, instead of interfaces
    stops: StopConditions = NEVER_STOPS
    rotation: Rotation = ONE_FILE
    write: str | None = None  # the file that keeps the packets
    output: str | None = None  # the folder of the report; flows that ended go there too
    host: str | None = None  # None: the busiest
    alerts: tuple[int, ...] = ()  # none: the usual thresholds of the limit
    on_alert: str | None = None  # a command line
    show: Show | None = None  # None: the screen, where there is a terminal that can show it
    quiet: bool = False

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of what packets come from."""
        return self.capture.interfaces if self.capture is not None else (self.read or "",)
