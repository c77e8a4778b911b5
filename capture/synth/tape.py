"""What the gateway's LAN port saw: frames in order of time, each belonging to a labelled flow."""

from collections.abc import Iterator
from dataclasses import dataclass

from peerburst.capture.synth.frames import Frame
from peerburst.capture.vocabulary import FlowKind, TrafficClass

MICROSECOND_NS = 1000


@dataclass(slots=True)
class Flow:
    """The truth about one flow: who made it and why; times are nanoseconds since the epoch, None before a packet."""

    guest: str
    program: str
    traffic_class: TrafficClass
    kind: FlowKind
    protocol: str
    orig_h: str
    orig_p: int
    resp_h: str
    resp_p: int
    first_ns: int | None = None
    last_ns: int | None = None
    packets: int = 0


@dataclass(frozen=True, slots=True)
class Recorded:
    """One packet on the tape."""

    time_ns: int
    frame: Frame
    flow: Flow


class Tape:
    """Takes frames in any order while the programs play; gives them back sorted, only those inside the capture."""

    def __init__(self, start_ns: int, duration_s: float) -> None:
        self._start_ns = start_ns
        self._end_us = round(duration_s * 1e6)
        self._recorded: list[Recorded] = []

    def record(self, at_s: float, frame: Frame, flow: Flow) -> None:
        """Keep `frame`, seen `at_s` seconds into the capture, unless the capture was over by then."""
        at_us = round(at_s * 1e6)
        if not 0 <= at_us < self._end_us:
            return
        self._recorded.append(Recorded(self._start_ns + at_us * MICROSECOND_NS, frame, flow))

    def packets(self) -> Iterator[Recorded]:
        """All packets by time; those of the same microsecond in the order they were recorded."""
        self._recorded.sort(key=lambda packet: packet.time_ns)
        yield from self._recorded
