"""Reading captures into a flow table: the way of every saved packet."""

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
from peerburst.capture.files.merge import in_time_order
from peerburst.capture.files.source import PacketSource, Piece
from peerburst.capture.flows.partition import Partition
from peerburst.capture.flows.record import Flows
from peerburst.capture.flows.sharded import ShardedFlowTable
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
    table = ShardedFlowTable(gaps_ns)
    sources: list[PacketSource] = []

    def open_source(path: str) -> PacketSource:
        sources.append(PacketSource(path, follow_tunnels=follow_tunnels))
        announce_first_compile()
        return sources[-1]

    def decode(found: _Found) -> _Decoded:
        content = found.content
        packets = content.decode() if isinstance(content, Piece) else content
        data = content.data if isinstance(content, Piece) else NO_BYTES
        with stage("decode"):
            return _Decoded(packets, table.partition(packets), found.before, data)

    def enter(decoded: _Decoded, shard: int) -> None:
        with stage("flows"):
            table.enter(decoded.packets, decoded.partition, decoded.before, shard, decoded.data)

    began, total = time.monotonic(), sum(_size(path) for path in paths)

    def report_progress() -> None:
        if progress is not None:
            done = sum(source.bytes_read for source in sources)
            progress(Progress(table.packets, done, total, time.monotonic() - began))

    interrupted = []
    pipeline = Pipeline(_numbered(in_time_order(paths, open_source), most_packets), decode, enter, table.shards)
    try:
        pipeline.run(table.shards, report_progress)
    except KeyboardInterrupt:
        interrupted.append("reading was interrupted; what follows is of the part that was read")
    mark_compiled()
    with stage("flows"):
        flows = table.finish()
    count_packets(table.packets)
    return Capture(
        paths=tuple(paths),
        flows=flows,
        packets=table.packets,
        statuses={status: int(table.statuses[status]) for status in Status},
        first_ns=table.first_ns or 0,
        last_ns=table.last_ns or 0,
        warnings=tuple([text for source in sources for text in source.warnings] + interrupted),
        interface_addresses=tuple(address for source in sources for address in source.addresses),
        drops=sum(source.drops for source in sources),
        link_facts=joined([source.link_facts.facts() for source in sources]),
    )
