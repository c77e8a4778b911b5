"""Several captures as one stream in time order, as mergecap would make it.

A ring has thousands of files, and a process may hold some hundreds open: a capture is open only while its time is
there. Its first packet tells when that is, for which it is opened once before and closed again.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from peerburst.capture.files.source import BATCH, Buffers, PacketSource, Piece
from peerburst.capture.packets.link_facts import LinkFacts
from peerburst.capture.packets.record import PACKET

USUALLY_ALLOWED = 200  # files open at a time, of a limit of 256 or 1,024
MOST_OPEN = 1 << 14

Packets = npt.NDArray[np.void]
# Fewer packets than this are kept until there are more: each piece of work has a price of its own.
WORTH_A_PIECE = BATCH // 2


@dataclass(slots=True)
class Reading:
    """What is known of the captures besides their packets: of those that are done with, and of the open ones."""

    opened: list[PacketSource] = field(default_factory=list)
    warnings: dict[str, list[str]] = field(default_factory=dict)  # by path
    addresses: dict[str, list[str]] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)  # those not read to their end
    link_facts: list[LinkFacts] = field(default_factory=list)
    drops: int = 0
    bytes_of_closed: int = 0
    most_open: int = 0

    def bytes_read(self) -> int:
        return self.bytes_of_closed + sum(source.bytes_read for source in list(self.opened))

    def keep(self, source: PacketSource) -> PacketSource:
        """Note a source that is being read."""
        self.opened.append(source)
        self.most_open = max(self.most_open, len(self.opened))
        return source

    def finish(self, source: PacketSource) -> None:
        """Note what a source had to say, and close it."""
        self._note(source)
        self.bytes_of_closed += source.bytes_read
        self.opened.remove(source)
        source.close()

    def finish_all(self) -> None:
        """Note what those had to say that were not read to their end; they stay open, for a thread may read there."""
        for source in self.opened:
            self._note(source)

    def _note(self, source: PacketSource) -> None:
        self.warnings[source.path], self.addresses[source.path] = source.warnings, source.addresses
        self.drops += source.drops
        self.link_facts.append(source.link_facts.facts())
        if source.is_damaged:
            self.damaged.add(source.path)


class _Head:
    """One source and the packets it has read but not yet given.

    Within a file packets keep their order even where their times go backwards, so what is compared is the latest time
    so far (`due`), which never falls.
    """

    def __init__(self, number: int, source: PacketSource) -> None:
        self.number = number  # among the captures as they were named: of equal times the first named comes first
        self.source = source
        self._batches = source.batches()
        self._latest = np.iinfo(np.int64).min
        self.packets: Packets = np.empty(0, PACKET)
        self.due: npt.NDArray[np.int64] = np.empty(0, np.int64)

    def fill(self) -> bool:
        """Hold at least one packet; False when there are none left."""
        if not self.due.size:
            packets = next(self._batches, None)
            if packets is None:
                return False
            self.packets = packets
            self.due = np.maximum(np.maximum.accumulate(packets["ts"]), self._latest)
            self._latest = self.due[-1]
        return True

    def take(self, until: int) -> tuple[Packets, npt.NDArray[np.int64]]:
        """The held packets that are due by an instant."""
        count = int(np.searchsorted(self.due, until, side="right"))
        taken = self.packets[:count], self.due[:count]
        self.packets, self.due = self.packets[count:], self.due[count:]
        return taken


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A capture that has packets, and when the first of them is due."""

    due: int
    number: int
    path: str
    head: _Head | None  # of what cannot be opened twice, such as a pipe


def _allow_more_open_files() -> None:
    """Captures that all overlap must all be open: take what the system would give if asked."""
    if sys.platform == "win32":
        return  # there the limit is in the thousands, and nothing to ask for
    try:
        import resource

        least, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        if least != resource.RLIM_INFINITY:
            wanted = MOST_OPEN if most == resource.RLIM_INFINITY else min(most, MOST_OPEN)
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(least, wanted), most))
    except (ImportError, OSError, ValueError):
        return  # then what there is must do


class _Merge:
    """The captures whose time is there, and those whose time has yet to come."""

    def __init__(self, paths: Sequence[str], open_source: Callable[..., PacketSource], reading: Reading) -> None:
        self._open_source, self._reading = open_source, reading
        if len(paths) > USUALLY_ALLOWED:
            _allow_more_open_files()
        self._buffers = Buffers()  # shared by all: they are read one after the other, as a rule
        waiting = [self._look_at(number, path) for number, path in enumerate(paths)]
        self._waiting = sorted((one for one in waiting if one), key=lambda one: (-one.due, -one.number))
        self._alive: list[_Head] = []

    def _open(self, number: int, path: str) -> _Head:
        return _Head(number, self._reading.keep(self._open_source(path, buffers=self._buffers)))

    def _look_at(self, number: int, path: str) -> _Waiting | None:
        """When the capture's first packet is due, None if it has none."""
        head = self._open(number, path)
        if not head.fill():
            self._reading.finish(head.source)
            return None
        due = int(head.due[0])
        if not Path(path).is_file():
            return _Waiting(due, number, path, head)
        self._reading.opened.remove(head.source)
        head.source.close()
        return _Waiting(due, number, path, None)

    def _until(self) -> int:
        """What is due by then can no longer be overtaken by anything unread in the open captures."""
        return min(int(head.due[-1]) for head in self._alive)

    def _open_those_due(self) -> None:
        while self._waiting and (not self._alive or self._waiting[-1].due <= self._until()):
            next_one = self._waiting.pop()
            head = next_one.head or self._open(next_one.number, next_one.path)
            if head.fill():  # the file may have changed since
                self._alive.append(head)
            else:
                self._reading.finish(head.source)
        self._alive.sort(key=lambda head: head.number)

    def _drop_those_done(self) -> None:
        done = [head for head in self._alive if not head.fill()]
        for head in done:
            self._reading.finish(head.source)
        self._alive = [head for head in self._alive if head not in done]

    def packets(self) -> Iterator[Packets]:
        """All packets in order, a few or many at a time."""
        self._open_those_due()
        while self._alive:
            until = self._until()
            parts = [head.take(until) for head in self._alive if head.due[0] <= until]
            due = np.concatenate([part[1] for part in parts])
            packets = np.concatenate([part[0] for part in parts])
            yield packets[np.argsort(due, kind="stable")] if len(parts) > 1 else packets
            del parts
            self._drop_those_done()
            self._open_those_due()


def _gathered(packets: Iterator[Packets]) -> Iterator[Packets]:
    """The same packets, many at a time."""
    held: list[Packets] = []
    for some in packets:
        held.append(some)
        if sum(each.size for each in held) >= WORTH_A_PIECE:
            yield np.concatenate(held)
            held = []
    if held:
        yield np.concatenate(held)


def in_time_order(
    paths: Sequence[str], open_source: Callable[..., PacketSource], reading: Reading | None = None
) -> Iterator[Piece | Packets]:
    """All packets of all captures in time order: of one capture as pieces yet to be decoded, of several as PACKET rows.

    `open_source(path, buffers=...)` opens one; only those that overlap in time are open together. What they have to say
    besides is noted in `reading`.
    """
    reading = Reading() if reading is None else reading
    if len(paths) == 1:
        source = reading.keep(open_source(paths[0], buffers=None))
        yield from source.pieces()
        return
    yield from _gathered(_Merge(paths, open_source, reading).packets())
