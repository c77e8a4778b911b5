"""Reading captures into a flow table: the way of every saved packet."""

import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from peerburst.capture.compiled.kernel import announce_first_compile, mark_compiled
from peerburst.capture.compiled.pipeline import Pipeline
from peerburst.capture.compiled.stopwatch import count_packets, stage
from peerburst.capture.errors import SettingsError
from peerburst.capture.files.merge import Reading, in_time_order
from peerburst.capture.files.source import Buffers, PacketSource, Piece
from peerburst.capture.flows.partition import Partition
from peerburst.capture.flows.record import Flows
from peerburst.capture.flows.sharded import ShardedFlowTable
from peerburst.capture.packets.copies import Copies
from peerburst.capture.packets.frame_ends import NO_BYTES
from peerburst.capture.packets.link_facts import LinkFacts, joined
from peerburst.capture.packets.status import Status


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a reading is: packets so far, bytes read of those on disk (0 if unknown), seconds since the start."""

    packets: int
    bytes_read: int
    bytes_total: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Capture:
    """All that was kept of one or more captures."""

    paths: tuple[str, ...]
    flows: Flows
    packets: int
    statuses: dict[Status, int]
    first_ns: int  # the earliest packet's instant since the epoch; 0 of an empty capture
    last_ns: int
    warnings: tuple[str, ...]
    interface_addresses: tuple[str, ...]  # as pcapng interface descriptions give them
    drops: int  # packets that interfaces and system report as lost
    damaged: tuple[str, ...] = ()  # captures that could not be read to their end
    link_facts: LinkFacts = field(default_factory=LinkFacts)

    @property
    def duration_s(self) -> float:
        return (self.last_ns - self.first_ns) / 1e9


@dataclass(frozen=True, slots=True)
class _Found:
    """A piece of a capture, or packets of several, and how many packets came before them."""

    content: Piece | npt.NDArray[np.void]
    before: int


@dataclass(frozen=True, slots=True)
class _Decoded:
    """Decoded packets, and which shard of the flow table each falls to."""

    packets: npt.NDArray[np.void]
    partition: Partition
    before: int
    data: npt.NDArray[np.uint8]  # the bytes of their frames


def _numbered(pieces: Iterator[Piece | npt.NDArray[np.void]], most_packets: int | None) -> Iterator[_Found]:
    """Pieces with the number of packets before each, up to so many packets in all."""
    before = 0
    for content in pieces:
        left = None if most_packets is None else most_packets - before
        wanted = content.first(left) if isinstance(content, Piece) else content[:left]
        yield _Found(wanted, before)
        before += wanted.size
        if most_packets is not None and before >= most_packets:
            return


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except (OSError, ValueError):
        return 0


def _each_once(paths: Sequence[str]) -> tuple[list[str], list[str]]:
    """(the captures but those named before, a sentence for each of these); one file may have two names."""
    named: dict[object, str] = {}
    sentences = []
    for path in paths:
        identity = _identity(path)
        if identity in named:
            also = "" if named[identity] == path else f", also as {named[identity]}"
            sentences.append(f"{path}: is named more than once{also}; it was read once")
        named.setdefault(identity, path)
    return list(named.values()), list(dict.fromkeys(sentences))


def _of_all(paths: Sequence[str], sentences: Iterator[str]) -> Iterator[str]:
    """Sentences with the name of the capture that they are of, or how many there are."""
    of = paths[0] if len(paths) == 1 else f"{len(paths):,} captures"
    return (f"{of}: {sentence}" for sentence in sentences)


def _identity(path: str) -> object:
    """What tells a file from another, whatever its name."""
    try:
        facts = Path(path).stat()
    except (OSError, ValueError):
        return path
    return (facts.st_dev, facts.st_ino) if stat.S_ISREG(facts.st_mode) and path != "-" else path


def read(
    paths: Sequence[str],
    *,
    follow_tunnels: bool = False,
    most_packets: int | None = None,
    gaps_ns: npt.NDArray[np.int64] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Capture:
    """Read captures as one stream in time order; `-` is standard input.

    Raises CaptureError if one of them cannot be read at all. Damage on the way ends that file with a warning; an
    interrupt (Ctrl-C) ends the reading with what was read so far.
    """
    if not paths:
        raise SettingsError("no capture was named")
    if paths.count("-") > 1:
        raise SettingsError("standard input (-) can be read only once")
    paths, named_again = _each_once(paths)
    table, reading, copies = ShardedFlowTable(gaps_ns), Reading(), Copies()

    def open_source(path: str, buffers: Buffers | None) -> PacketSource:
        source = PacketSource(path, follow_tunnels=follow_tunnels, buffers=buffers)
        announce_first_compile()
        return source

    def decode(found: _Found) -> _Decoded:
        content = found.content
        packets = content.decode() if isinstance(content, Piece) else content
        data = content.data if isinstance(content, Piece) else NO_BYTES
        with stage("decode"):
            copies.look_at(packets, found.before)
            return _Decoded(packets, table.partition(packets), found.before, data)

    def enter(decoded: _Decoded, shard: int) -> None:
        with stage("flows"):
            table.enter(decoded.packets, decoded.partition, decoded.before, shard, decoded.data)

    began, total = time.monotonic(), sum(_size(path) for path in paths)

    def report_progress() -> None:
        if progress is not None:
            progress(Progress(table.packets, reading.bytes_read(), total, time.monotonic() - began))

    interrupted = []
    pipeline = Pipeline(
        _numbered(in_time_order(paths, open_source, reading), most_packets), decode, enter, table.shards
    )
    try:
        pipeline.run(table.shards, report_progress)
    except KeyboardInterrupt:
        interrupted.append("reading was interrupted; what follows is of the part that was read")
    mark_compiled()
    with stage("flows"):
        flows = table.finish()
    count_packets(table.packets)
    reading.finish_all()
    return Capture(
        paths=tuple(paths),
        flows=flows,
        packets=table.packets,
        statuses={status: int(table.statuses[status]) for status in Status},
        first_ns=table.first_ns or 0,
        last_ns=table.last_ns or 0,
        warnings=tuple(
            [*named_again, *_of_all(paths, copies.sentences())]
            + [text for path in paths for text in reading.warnings.get(path, ())]
            + interrupted
        ),
        interface_addresses=tuple(address for path in paths for address in reading.addresses.get(path, ())),
        drops=reading.drops,
        damaged=tuple(path for path in paths if path in reading.damaged),
        link_facts=joined(reading.link_facts),
    )
