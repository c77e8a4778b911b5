"""A recording machine's clock that is set while it records: time goes on in the order of the file.

A file's packets stand in the order in which they came. Where their times do not, either a packet is late, which
interfaces and queues recorded together often are, or the clock was set. A packet is late by the time that a reader
waits before it empties a buffer: libpcap's and dumpcap's readers wait up to a second, and remote probes some more.
So up to MOST_LATE_NS packets keep their times; a jump back by more is the clock's, and what follows is moved to where
the time before had got to.
"""

from collections.abc import Iterator

import numpy as np

from peerburst.capture.compiled.kernel import kernel, part
from peerburst.capture.compiled.shapes import Bool, Int, Int64s, Record, Records
from peerburst.capture.units import SECOND_NS

MOST_LATE_NS = 10 * SECOND_NS
# A jump ahead by more than this is looked into: where the clock comes back soon, it was wrong in between.
AHEAD_NS = 60 * SECOND_NS
SAID_FROM_NS = 86_400 * SECOND_NS  # a silence worth a sentence, for it may be the clock's
MOST_LOOKS_AHEAD = 64  # in a batch, to see whether a clock comes back: each is over all packets that follow there
FARTHEST_NS = 1 << 62  # from 1970, either way: adding a timeout to such an instant cannot overflow

KEPT = 8  # settings of the clock that are known again: two clocks may take turns

# What a Clock counts: see its properties.
SHIFT, LATEST, BEGUN, BACKWARDS, FARTHEST_BACK, FORWARDS, FARTHEST_AHEAD, SILENCE, LOOKS, SETTINGS, KNOWN = range(11)


@part
def _is_empty(frame: Record) -> Bool:
    """Whether it is a record of zeros alone, which nobody's clock has stamped."""
    return bool(frame["ts"] == 0 and frame["wire"] == 0)


@part
def _known_setting(clock: Int64s, ts: Int) -> Int:
    """Which earlier setting of the clock makes time go on at `ts`, -1 if none does; the latest one first."""
    for i in range(min(clock[SETTINGS], KEPT)):
        which: Int = (clock[SETTINGS] - 1 - i) % KEPT
        if abs(ts + clock[KNOWN + which] - clock[LATEST]) <= MOST_LATE_NS:
            return which
    return -1


@part
def _comes_back(frames: Records, i: Int, shift: Int, latest: Int) -> bool:
    """Whether a clock that is far ahead at frames[i] is back at about `latest` some packets later."""
    ahead = frames[i]["ts"] + shift - latest
    for j in range(i + 1, frames.size):
        since = frames[j]["ts"] + shift - latest
        if since < ahead - AHEAD_NS and since >= -MOST_LATE_NS:
            return True
    return False


@part
def _set(clock: Int64s, ts: Int) -> None:
    """Have time go on at `ts`, which is kept as a setting."""
    clock[SHIFT] = clock[LATEST] - ts
    clock[KNOWN + clock[SETTINGS] % KEPT] = clock[SHIFT]
    clock[SETTINGS] += 1


@part
def _jump(frames: Records, i: Int, clock: Int64s) -> None:
    """The time of frames[i] is far from that before it: find the setting of the clock that it goes by."""
    ts = frames[i]["ts"]
    jump, known = ts + clock[SHIFT] - clock[LATEST], _known_setting(clock, ts)
    if jump < 0:
        clock[BACKWARDS] += 1
        clock[FARTHEST_BACK] = max(clock[FARTHEST_BACK], -jump)
    if known >= 0:
        clock[SHIFT] = clock[KNOWN + known]
    elif jump < 0:
        _set(clock, ts)
    elif jump > AHEAD_NS and clock[LOOKS] < MOST_LOOKS_AHEAD and _comes_back(frames, i, clock[SHIFT], clock[LATEST]):
        clock[FORWARDS] += 1
        clock[FARTHEST_AHEAD] = max(clock[FARTHEST_AHEAD], jump)
        _set(clock, ts)
    else:
        clock[LOOKS] += jump > AHEAD_NS
        clock[SILENCE] = max(clock[SILENCE], jump)


@kernel
def keep_going(frames: Records, clock: Int64s) -> None:
    """Move the times of `frames` (FRAME), which stand in the order they came, by what `clock` was set meanwhile."""
    latest, shift, begin = clock[LATEST], clock[SHIFT], 0
    clock[LOOKS] = 0
    while not clock[BEGUN] and begin < frames.size:
        if not _is_empty(frames[begin]):
            clock[BEGUN], clock[SETTINGS] = 1, 1
            latest = frames[begin]["ts"]
        begin += 1
    for i in range(begin, frames.size):
        frame = frames[i]
        ts = frame["ts"] + shift
        if ts < latest - MOST_LATE_NS or ts > latest + MOST_LATE_NS:
            clock[LATEST] = latest
            if _is_empty(frame):
                frame["ts"] = latest
                continue
            _jump(frames, i, clock)
            shift = clock[SHIFT]
            ts = frame["ts"] + shift
        if shift != 0:
            frame["ts"] = ts = min(max(ts, -FARTHEST_NS), FARTHEST_NS)
        latest = max(latest, ts)
    clock[LATEST], clock[SHIFT] = latest, shift


AS_WHEN_SET = ", as when a clock is set; the order of the file counts, and what follows was moved so that time goes on"


class Clock:
    """The clock of one recording, and how often it was set."""

    def __init__(self) -> None:
        self._state = np.zeros(KNOWN + KEPT, np.int64)

    def mend(self, frames: Records) -> None:
        """Move the times of the next FRAME rows."""
        with np.errstate(over="ignore"):
            keep_going(frames, self._state)

    def start_anew(self) -> None:
        """What follows is another recording, with a clock of its own."""
        self._state[[SHIFT, LATEST, BEGUN, SETTINGS]] = 0
        self._state[KNOWN:] = 0

    @property
    def latest_ns(self) -> int | None:
        """The latest time so far of the recording at hand, None before its first packet."""
        return int(self._state[LATEST]) if self._state[BEGUN] else None

    def sentences(self) -> Iterator[str]:
        """What is to be said of it."""
        state = self._state.tolist()
        if state[BACKWARDS] and not state[FORWARDS]:
            often = "" if state[BACKWARDS] == 1 else f" {state[BACKWARDS]:,} times, by up to"
            yield f"time runs backwards{often or ' by'} {span(state[FARTHEST_BACK])}{AS_WHEN_SET}"
        if state[FORWARDS]:
            yield (
                f"time jumps ahead by {span(state[FARTHEST_AHEAD])}"
                + (" and runs backwards again" if state[BACKWARDS] else "")
                + AS_WHEN_SET
            )
        if state[SILENCE] > SAID_FROM_NS:
            yield (
                f"there is no packet for {span(state[SILENCE])}: nothing came, or captures of different times were"
                " merged, or the clock was set ahead; it counts as silence"
            )


UNITS = (
    ("year", "years", 31_557_600),
    ("day", "days", 86_400),
    ("h", "h", 3600),
    ("min", "min", 60),
    ("s", "s", 1),
)


def span(ns: int) -> str:
    """A length of time in its two largest units."""
    rest = (ns + SECOND_NS // 2) // SECOND_NS
    texts: list[str] = []
    for one, several, size in UNITS:
        many, rest = divmod(rest, size)
        if many or texts:
            texts.append(f"{many:,} {one if many == 1 else several}" if many else "")
        if len(texts) == 2:
            break
    return " ".join(text for text in texts if text) or f"{ns / SECOND_NS:.1f} s"
