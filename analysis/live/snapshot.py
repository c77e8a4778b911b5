"""What every host holds now, and has held at most, look by look: the counts of a live session.

A look sees the flows in memory. What was retired had ended before the look at that time, so the highest count since
the look before is exact, and with what was kept of earlier looks so is the highest of the session.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.bursts import detect, features
from peerburst.analysis.bursts.classify import Classification, classify
from peerburst.analysis.bursts.features import Features
from peerburst.analysis.counting import step_function
from peerburst.analysis.counting.host_entries import Entries, active_by_segment
from peerburst.analysis.counting.peaks import measure_entries
from peerburst.analysis.counting.sweep import NEVER_CROSSED
from peerburst.analysis.gateways import GatewayModel
from peerburst.capture.flows.record import TALKING_NS
from peerburst.capture.units import SECOND_NS
from peerburst.capture.vocabulary import KIND_NAMES

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

GONE = -1  # the number of a host that has no flow in memory
UNDERWAY_NS = SECOND_NS // 2  # longer than any packet takes from the interface to a look
FINE_S = 3600  # of the history, at one value a second; before that one a minute
COARSE_MINUTES = 24 * 60
BURSTS_WITHIN_NS = 600 * SECOND_NS  # how far back a burst is looked for: longer bursts are shown from there


@dataclass(slots=True)
class _Most:
    """The highest count of a host in one direction; instants in ns or NEVER_CROSSED."""

    peak: int = 0
    peak_at: int = NEVER_CROSSED
    crossed_at: int = NEVER_CROSSED

    def raise_to(self, peak: int, peak_at: int, crossed_at: int) -> None:
        if peak > self.peak:
            self.peak, self.peak_at = peak, peak_at
        if self.crossed_at == NEVER_CROSSED:
            self.crossed_at = crossed_at


@dataclass(frozen=True, slots=True)
class HostCount:
    """One host at a look. Instants in ns since the epoch. `most`: the highest count since the look before.

    Of a host that opened nothing yet (`is_server`) these are the connections that others opened to it.
    """

    number: int
    name: str
    count: int
    talking: int
    new: int  # opened in the last second
    most: int
    peak: int
    peak_at_ns: int
    crossed_at_ns: int | None
    is_server: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at the flows in memory. `alive`: per entry, whether it counts now."""

    analysis: Analysis
    held: Entries
    alive: Bools
    now_ns: int
    hosts: tuple[HostCount, ...]  # all that ever held something, the one with the most entries first


@dataclass(frozen=True, slots=True)
class LiveBurst:
    """A host's latest burst. `provisional`: its next connection may come any moment."""

    start_ns: int
    last_ns: int
    inbound: bool
    provisional: bool
    features: Features
    classification: Classification


class LiveCounts:
    """Counts under one model and limit."""

    def __init__(self, model: GatewayModel, limit: int) -> None:
        self.model = model
        self.limit = limit
        self._most: dict[tuple[str, bool], _Most] = {}
        self._looked_ns = 0

    def snapshot(self, analysis: Analysis, now_ns: int) -> Snapshot:
        """Count at `now_ns`, which must not come before any packet seen by more than a moment."""
        held = analysis.entries(self.model)
        entry = held.entry
        begun = entry["start"] <= now_ns
        alive = begun & (entry["end"] > now_ns)
        talking = alive & self._active(analysis, held, now_ns)
        new = begun & (entry["start"] > now_ns - SECOND_NS)
        names = analysis.host_names
        lately = begun & (entry["end"] > self._looked_ns)
        opened, opened_to = measure_entries(held, lately, len(names), now_ns, (self.limit,))
        latest = {False: opened, True: opened_to}
        self._looked_ns = now_ns
        for inbound, found in latest.items():
            for number in np.flatnonzero(found.peak).tolist():
                most = self._most.setdefault((names[number], inbound), _Most())
                most.raise_to(int(found.peak[number]), int(found.peak_at[number]), int(found.crossed_at[number, 0]))
        columns = {
            inbound: [self._per_host(held, rows & (held.inbound == inbound), names) for rows in (alive, talking, new)]
            + [latest[inbound].peak]
            for inbound in (False, True)
        }
        numbers = {name: number for number, name in enumerate(names)}
        known = dict.fromkeys(name for name, _inbound in self._most)
        hosts = [self._host(numbers.get(name, GONE), name, columns) for name in known]
        hosts.sort(key=lambda host: (host.is_server, -host.count, -host.peak, host.name))
        return Snapshot(analysis, held, alive, now_ns, tuple(hosts))

    def _host(self, number: int, name: str, columns: dict[bool, list[Ints]]) -> HostCount:
        """What a host holds, from the columns of both directions, and has held."""
        outward = self._most.get((name, False))
        most = outward or self._most[name, True]
        here = columns[outward is None]
        count, talking, new, latest = (int(column[number]) for column in here) if number != GONE else (0, 0, 0, 0)
        return HostCount(
            number=number,
            name=name,
            count=count,
            talking=talking,
            new=new,
            most=latest,
            peak=most.peak,
            peak_at_ns=most.peak_at,
            crossed_at_ns=None if most.crossed_at == NEVER_CROSSED else most.crossed_at,
            is_server=outward is None,
        )

    def _active(self, analysis: Analysis, held: Entries, now_ns: int) -> Bools:
        """Per entry, whether it has had a packet in the last five seconds."""
        flows = analysis.capture.flows
        recent = (held.of_segment >= 0) & (flows.segments["last"] > now_ns - TALKING_NS)  # the others cannot say so
        start, end, entry = active_by_segment(flows, held, np.flatnonzero(recent))
        active = np.zeros(held.entry.size, np.bool_)
        active[entry[(start <= now_ns) & (now_ns < end)]] = True
        return active

    @staticmethod
    def _per_host(held: Entries, chosen: Bools, names: list[str]) -> Ints:
        return np.bincount(held.host[chosen], minlength=len(names))


def kinds_alive(look: Snapshot, number: int) -> tuple[tuple[str, int], ...]:
    """How many of a host's entries alive are of each kind of flow."""
    mine = look.held.entry["flow"][look.alive & (look.held.host == number)]
    counts = np.bincount(look.analysis.kinds[mine], minlength=len(KIND_NAMES))
    return tuple(zip(KIND_NAMES, counts.tolist(), strict=True))


def latest_burst(look: Snapshot, number: int) -> LiveBurst | None:
    """The host's latest burst among the flows in memory."""
    if number == GONE:
        return None
    analysis, flows = look.analysis, look.analysis.index.of(number)
    begin = max(analysis.capture.first_ns, look.now_ns - BURSTS_WITHIN_NS)
    found = None
    for inbound in (False, True):
        opened = flows.take((flows.outbound != inbound) & analysis.facts.opened[flows.flow])
        starts = analysis.facts.start_ns[opened.flow]
        opened, starts = opened.take(starts >= begin), starts[starts >= begin]
        bursts = detect.find(starts, (begin, look.now_ns))
        if bursts and (found is None or starts[bursts[-1].stop - 1] > found.last_ns):
            seen = features.measure(
                opened.take(np.arange(bursts[-1].first, bursts[-1].stop)), analysis.facts, analysis.kinds
            )
            last = int(starts[bursts[-1].stop - 1])
            provisional = look.now_ns - last < detect.SAME_BURST_NS  # more of it may come
            found = LiveBurst(
                start_ns=int(starts[bursts[-1].first]),
                last_ns=last,
                inbound=inbound,
                provisional=provisional,
                features=seen,
                classification=classify(seen, provisional=provisional, rules=analysis.rules),
            )
    return found


class CountHistory:
    """A host's count at whole seconds: each of the last hour, before that the highest of each minute, for a day."""

    def __init__(self) -> None:
        self._fine: deque[tuple[int, int, int]] = deque()
        self._coarse: deque[tuple[int, int, int]] = deque(maxlen=COARSE_MINUTES)

    @property
    def next_s(self) -> int:
        """The first second that is not known yet."""
        return self._fine[-1][0] + 1 if self._fine else 0

    def add(self, second: int, count: int, talking: int) -> None:
        self._fine.append((second, count, talking))
        if len(self._fine) > FINE_S + 60:
            minute = [self._fine.popleft() for _ in range(60)]
            self._coarse.append(max(minute, key=lambda at: at[1]))

    def arrays(self) -> tuple[npt.NDArray[np.float64], Ints, Ints]:
        """(seconds, counts, talking), oldest first."""
        rows = np.array([*self._coarse, *self._fine], np.int64).reshape(-1, 3)
        return rows[:, 0].astype(np.float64), rows[:, 1], rows[:, 2]

    def extend(self, look: Snapshot, host: HostCount) -> None:
        """Add the seconds since the last one known, up to the look, but for those whose packets may be underway."""
        first_ns = look.analysis.capture.first_ns
        upto = (look.now_ns - UNDERWAY_NS - first_ns) // SECOND_NS
        seconds = np.arange(max(self.next_s, upto - FINE_S), upto + 1)
        if not seconds.size:
            return
        at = first_ns + seconds * SECOND_NS
        held, segments = look.held, look.analysis.capture.flows.segments
        mine = held.of(host.number, inbound=host.is_server)
        count = step_function.steps(held.entry["start"][mine], held.entry["end"][mine]).value(at)
        of = np.flatnonzero(held.of_segment >= 0)
        of = of[mine[held.of_segment[of]] & (segments["last"][of] + TALKING_NS > at[0])]
        talks = self._active_at(look, of, at)
        for row in zip(seconds.tolist(), count.tolist(), talks, strict=True):
            self.add(*row)

    @staticmethod
    def _active_at(look: Snapshot, of: npt.NDArray[np.intp], at: Ints) -> list[int]:
        """How many entries talk at each instant; `of` are the segments that may say so."""
        start, end, entry = active_by_segment(look.analysis.capture.flows, look.held, of)
        return [int(np.unique(entry[(start <= instant) & (instant < end)]).size) for instant in at]
