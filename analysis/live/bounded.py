"""The flow table of a live session: bounded by its live flows, and whole again at the end.

Flows that the gateway has forgotten, and Linux's own table too, go to disk and leave the table. Should their 5-tuple
come back, the table begins a row of its own for it; `capture` joins them. Of a flow that was closed when it went,
eight bytes stay in memory, because a SYN on a closed 5-tuple begins a new flow and another packet does not.
"""

import secrets
import tempfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from peerburst.analysis.counting.entries import latest_ends_ns
from peerburst.analysis.gateways import GatewayModel
from peerburst.analysis.live import spill
from peerburst.analysis.live.spill import Part, tuple_keys
from peerburst.capture.conntrack.states import CONNTRACK_INDEX, LINUX_TIMEOUTS_NS, NONE, TCP_SYN_SET
from peerburst.capture.flows.five_tuple import tuple_ports
from peerburst.capture.flows.originator import settle
from peerburst.capture.flows.partition import DECODED
from peerburst.capture.flows.record import CLOSED, Flows
from peerburst.capture.flows.table import FlowTable, with_successors
from peerburst.capture.packets.ip import PROTO_TCP
from peerburst.capture.packets.link_facts import LinkFacts
from peerburst.capture.packets.status import Status
from peerburst.capture.read import Capture
from peerburst.capture.units import SECOND_NS

EVERY_NS = 30 * SECOND_NS  # how often flows are looked through for those to retire
GROWTH = 1.5  # or when there are this many times as many as after the last time
LEAST_GROWN = 20_000
LEAST_SHARE = 0.1  # fewer are not worth a file
KEPT_S = 60.0  # since the last packet: what the burst at hand is judged by
# Packets of several interfaces may come this late. One that a clock set back dates earlier still, on a flow that was
# retired, counts at its own time, where the table would have counted it at the flow's latest.
LATE_NS = 5 * SECOND_NS

TUPLE = np.dtype(
    [(name, np.uint64) for name in ("a_hi", "a_lo", "b_hi", "b_lo")]
    + [("a_port", np.uint16), ("b_port", np.uint16), ("proto", np.uint8)]
)


def _tuples(packets: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """The 5-tuples of packets, the smaller end first, as the flow table keeps them."""
    ends = np.zeros(packets.size, TUPLE)
    source, target = ("src_hi", "src_lo", "sport"), ("dst_hi", "dst_lo", "dport")
    smaller = packets["sport"] <= packets["dport"]
    for high_or_low in (1, 0):
        mine, other = packets[source[high_or_low]], packets[target[high_or_low]]
        smaller = np.where(mine != other, mine < other, smaller)
    for end, one, two in (("a", source, target), ("b", target, source)):
        for field, first, second in zip(("hi", "lo", "port"), one, two, strict=True):
            ends[f"{end}_{field}"] = np.where(smaller, packets[first], packets[second])
    ends["proto"] = packets["proto"]
    return ends


def _keys_of_tcp(seed: int, packets: npt.NDArray[np.void]) -> npt.NDArray[np.uint64]:
    ends = _tuples(packets)
    return tuple_keys(seed, ends, ends["a_port"], ends["b_port"])


class LiveTable:
    """Packets go in; the flows of the moment can be asked for at any time, all flows at the end.

    `model` is the one that live counts are made under: what it counts stays in memory. `folder` gets the retired
    flows as Parquet; without one they go to a temporary folder that `close` removes.
    """

    def __init__(
        self,
        model: GatewayModel,
        gaps_ns: npt.NDArray[np.int64] | None = None,
        *,
        folder: Path | None = None,
        every_ns: int = EVERY_NS,
        kept_s: float = KEPT_S,
        least_share: float = LEAST_SHARE,
    ) -> None:
        self._table = FlowTable(gaps_ns)
        self._model = model
        self._folder = folder
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._every_ns, self._kept_ns, self._least_share = every_ns, round(kept_s * SECOND_NS), least_share
        self._seed = secrets.randbits(62)
        self._number = np.zeros(0, np.int64)  # per row of the table, with room
        self._anew = np.zeros(0, np.bool_)
        self._begun = 0
        self._closed_keys = np.zeros(0, np.uint64)  # of retired flows, in order
        self._files: list[Path] = []
        self._held = spill.no_flows()
        self._now_ns: int | None = None  # of the latest packets; goes back when the clock is set back
        self._looked_ns = 0
        self._count_then = 0
        self.retired_flows = 0
        self.warnings: list[str] = []

    @property
    def packets(self) -> int:
        return self._table.packets

    @property
    def first_ns(self) -> int | None:
        return self._table.first_ns

    @property
    def last_ns(self) -> int | None:
        return self._table.last_ns

    @property
    def live_flows(self) -> int:
        """How many flows are in memory."""
        return self._table.flow_count + int(self._held.number.size)

    def add(self, packets: npt.NDArray[np.void]) -> npt.NDArray[np.uint16]:
        """Add PACKET rows in the order they came; answers both ends' ports (`tuple_ports`) of new flows."""
        if not packets.size:
            return np.zeros(0, np.uint16)
        self._now_ns = int(packets["ts"][-1])
        first = self._table.flow_count
        for piece, begins_anew in self._pieces(packets):
            before = self._table.flow_count
            self._table.add(piece)
            self._note_new(before, piece, begins_anew)
        return np.concatenate(tuple_ports(self._table.rows_from(first)))

    def _pieces(self, packets: npt.NDArray[np.void]) -> Iterator[tuple[npt.NDArray[np.void], bool]]:
        """Cut before each SYN on the 5-tuple of a retired, closed flow; such a piece says so."""
        cuts = self._syns_on_closed(packets)
        edges = [0, *cuts.tolist(), packets.size]
        for i, (begin, end) in enumerate(pairwise(edges)):
            if end > begin:
                yield packets[begin:end], i > 0

    def _syns_on_closed(self, packets: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
        if not self._closed_keys.size:
            return np.zeros(0, np.int64)
        is_syn = (
            (packets["status"] == DECODED)
            & (packets["proto"] == PROTO_TCP)
            & (CONNTRACK_INDEX[packets["flags"] & 63] == TCP_SYN_SET)
        )
        syns = np.flatnonzero(is_syn)
        return syns[self._was_closed(_keys_of_tcp(self._seed, packets[syns]))]

    def _was_closed(self, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        """Which of these 5-tuples last belonged to a retired flow that was closed."""
        if not self._closed_keys.size:
            return np.zeros(keys.size, np.bool_)
        at = np.minimum(np.searchsorted(self._closed_keys, keys), self._closed_keys.size - 1)
        found: npt.NDArray[np.bool_] = self._closed_keys[at] == keys
        return found

    def _note_new(self, before: int, piece: npt.NDArray[np.void], begins_anew: bool) -> None:
        """Number the flows that a piece began; tell them what was known of their 5-tuples."""
        count = self._table.flow_count
        if count > self._number.size:
            self._number = np.resize(self._number, count + count // 2)
            self._anew = np.resize(self._anew, count + count // 2)
        self._number[before:count] = np.arange(self._begun, self._begun + count - before)
        self._anew[before:count] = False
        self._begun += count - before
        if count == before or not self._closed_keys.size:
            return
        begun = self._table.rows_from(before)
        keys = tuple_keys(self._seed, begun, *tuple_ports(begun))
        closed = self._was_closed(keys)
        if begins_anew and keys[0] == _keys_of_tcp(self._seed, piece[:1])[0]:
            self._anew[before] = True
            closed[0] = False
        self._table.mark_closed(before + np.flatnonzero(closed))

    def _live(self) -> Part:
        """What is in the table."""
        flows = self._table.flows()
        count = flows.row.size
        anew = self._anew[:count].copy()
        anew[flows.row["successor"][flows.row["successor"] >= 0]] = True
        return Part(flows, self._number[:count], anew)

    def flows(self) -> Flows:
        """The flows in memory, all that the model counts among them; the rows may be a view that `add` changes."""
        if self._held.number.size:
            return self._settled(spill.join([self._held, self._live()], self._seed))
        return self._table.flows()

    def _settled(self, part: Part) -> Flows:
        """Joined flows, of which it is said who began them."""
        settle(part.flows, self._table.began_ns)
        return part.flows

    def is_due(self) -> bool:
        """Whether it is time to `retire`; who keeps peaks looks at `flows` before that."""
        if self._now_ns is None:
            return False
        self._looked_ns = min(self._looked_ns or self._now_ns, self._now_ns)
        grow = self._table.flow_count > max(LEAST_GROWN, GROWTH * self._count_then)
        return grow or self._now_ns - self._looked_ns >= self._every_ns

    def retire(self) -> None:
        """Put on disk, and out of the table, the flows that neither the model nor Linux holds any more."""
        if self._now_ns is None:
            return
        now_ns = self._now_ns - LATE_NS
        part = self._live()
        row = part.flows.row
        in_linux = (row["phase"] != NONE) & (now_ns < row["renewed"] + LINUX_TIMEOUTS_NS[row["phase"]])
        recent = row["last"] >= now_ns - self._kept_ns
        kept = with_successors(row["successor"], in_linux | recent | (latest_ends_ns(self._model, part.flows) > now_ns))
        going = int(np.count_nonzero(~kept))
        self._looked_ns = self._now_ns
        if going and going >= self._least_share * row.size and self._store(part.take(~kept)):
            self._remember_closed(row[~kept & (row["successor"] < 0)])
            self._number, self._anew = part.number[kept], part.anew[kept]
            self._table.compact(kept)
            self.retired_flows += going
        self._count_then = self._table.flow_count
        if self._held.number.size:
            self._held = self._held.take(latest_ends_ns(self._model, self._held.flows) > now_ns)

    def _remember_closed(self, going: npt.NDArray[np.void]) -> None:
        keys, closed = tuple_keys(self._seed, going, *tuple_ports(going)), (going["flags"] & CLOSED) != 0
        # There may be millions, of which few change: they are put in and taken out, not sorted anew.
        other = np.unique(keys[~closed])
        gone = np.searchsorted(self._closed_keys, other[self._was_closed(other)])
        self._closed_keys = np.delete(self._closed_keys, gone)
        more = np.unique(keys[closed & (going["proto"] == PROTO_TCP)])
        more = more[~self._was_closed(more)]
        self._closed_keys = np.insert(self._closed_keys, np.searchsorted(self._closed_keys, more), more)

    def _store(self, part: Part) -> bool:
        """Write flows to the next file; answers whether that went well. Where it did not they stay in memory."""
        try:
            path = self._place() / f"retired-{len(self._files) + 1:05d}.parquet"
            spill.write(path, part)
        except OSError as error:
            text = f"old flows stay in memory, because they cannot be written: {error.strerror or error}"
            if text not in self.warnings:
                self.warnings.append(text)
            return False
        self._files.append(path)
        return True

    def _place(self) -> Path:
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            if not self._files:  # an earlier session's go, as its report does
                for old in self._folder.glob("retired-*.parquet"):
                    old.unlink()
            return self._folder
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="peerburst-live-")
        return Path(self._temporary.name)

    def choose(self, model: GatewayModel) -> None:
        """Count under another model from now on; retired flows that it still counts come back into memory."""
        self._model = model
        self._held = spill.no_flows()
        if self._files and self._now_ns is not None:
            gone = spill.join([spill.read(path) for path in self._files], self._seed)
            self._held = gone.take(latest_ends_ns(model, gone.flows) > self._now_ns)

    def all_flows(self) -> Flows:
        """The flows of the whole session, as an undisturbed table would have them; a copy."""
        parts = [*(spill.read(path) for path in self._files), self._live()]
        return self._settled(spill.join(parts, self._seed))

    def capture(
        self,
        paths: Sequence[str] = (),
        *,
        warnings: Sequence[str] = (),
        addresses: Sequence[str] = (),
        drops: int = 0,
        flows: Flows | None = None,
        link_facts: LinkFacts | None = None,
    ) -> Capture:
        """The session as a capture, of all its flows unless others are given; what the table does not know is said."""
        return Capture(
            paths=tuple(paths),
            flows=self.all_flows() if flows is None else flows,
            packets=self._table.packets,
            statuses={status: int(self._table.statuses[status]) for status in Status},
            first_ns=self._table.first_ns or 0,
            last_ns=self._table.last_ns or 0,
            warnings=(*warnings, *self.warnings),
            interface_addresses=tuple(addresses),
            drops=drops,
            link_facts=link_facts or LinkFacts(),
        )

    def close(self) -> None:
        """Remove what was only put on disk to be out of memory."""
        if self._temporary is not None:
            self._temporary.cleanup()
