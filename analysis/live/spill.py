"""Flows that have left memory: written to Parquet, read back, and joined with what came of their 5-tuples later.

A flow that is taken out of the table and whose 5-tuple comes back gets a second row. Joined, the rows of one 5-tuple
become again the flows that an undisturbed table would have made of the same packets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from peerburst.capture.compiled.hashing import row_keys
from peerburst.capture.conntrack.states import NONE
from peerburst.capture.flows.five_tuple import tuple_ports
from peerburst.capture.flows.record import (
    BIRTH,
    CARRIED,
    CLOSED,
    FLOW,
    MOST_PAUSES,
    OFFLOAD,
    ORIG_IS_A,
    OTHER_OVER_NS,
    PAUSE_NS,
    SEGMENT,
    TCP_OVER_NS,
    UDP_OVER_NS,
    Flows,
)
from peerburst.capture.flows.totals import EITHER_SYN
from peerburst.capture.packets.ip import PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP, PROTO_UDP, PROTO_UDPLITE

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

BORN = "birth_"  # before the names of BIRTH's fields
LETTERS_AT_MOST = 12  # of a history: six for each way


def tuple_keys(
    seed: int, ends: npt.NDArray[np.void], a_port: npt.NDArray[np.uint16], b_port: npt.NDArray[np.uint16]
) -> Keys:
    """A 64-bit number per 5-tuple, from rows with the fields a_hi to b_lo and proto; seeded, so nobody can aim.

    The ports are those of `tuple_ports`, by which ICMP's flows are told apart as well.
    """
    return row_keys(seed, [*(ends[name] for name in ("a_hi", "a_lo", "b_hi", "b_lo")), a_port, b_port, ends["proto"]])


@dataclass(frozen=True, slots=True)
class Part:
    """Some flows of a session. `number`: their places in the order of first packets, over the whole session.

    `anew`: the flow was begun by a SYN on a closed 5-tuple, and is not part of the flow before.
    """

    flows: Flows
    number: npt.NDArray[np.int64]
    anew: Bools

    def take(self, chosen: Bools) -> "Part":
        """The chosen flows, copied; successors that are not chosen are forgotten."""
        row = self.flows.row[chosen]
        place = np.where(chosen, np.cumsum(chosen) - 1, -1).astype(np.int32)
        row["successor"] = np.where(row["successor"] >= 0, place[row["successor"]], -1)
        segments = self.flows.segments[chosen[self.flows.segments["flow"]]]
        segments["flow"] = place[segments["flow"]]
        counts = np.diff(self.flows.first_segment)[chosen]
        return Part(
            Flows(row, segments, np.concatenate([[0], np.cumsum(counts)]), self.flows.evidence()[chosen]),
            self.number[chosen],
            self.anew[chosen],
        )


def no_flows() -> Part:
    """A part without flows."""
    nothing = Flows(np.zeros(0, FLOW), np.zeros(0, SEGMENT), np.zeros(1, np.int64))
    return Part(nothing, np.zeros(0, np.int64), np.zeros(0, np.bool_))


def write(path: Path, part: Part) -> None:
    """Write flows to a Parquet file: a column per field of FLOW, and each flow's segments as a list.

    The file appears whole or not at all. Raises OSError.
    """
    import pyarrow as pa
    from pyarrow import parquet

    flows, names = part.flows, SEGMENT.names or ()
    columns = {name: pa.array(np.ascontiguousarray(flows.row[name])) for name in FLOW.names or ()}
    births = flows.evidence()
    columns |= {BORN + name: pa.array(np.ascontiguousarray(births[name])) for name in BIRTH.names or ()}
    columns["number"] = pa.array(part.number)
    columns["anew"] = pa.array(part.anew)
    fields = [pa.array(np.ascontiguousarray(flows.segments[name])) for name in names]
    columns["segments"] = pa.ListArray.from_arrays(
        pa.array(flows.first_segment.astype(np.int32)), pa.StructArray.from_arrays(fields, names=list(names))
    )
    unfinished = path.with_suffix(".unfinished")
    try:
        parquet.write_table(pa.table(columns), unfinished, compression="zstd", compression_level=1)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def read(path: Path) -> Part:
    """The flows of a file that `write` made."""
    from pyarrow import parquet

    table = parquet.read_table(path)
    row = np.zeros(table.num_rows, FLOW)
    for name in FLOW.names or ():
        row[name] = table.column(name).to_numpy()
    births = np.zeros(table.num_rows, BIRTH)
    for name in BIRTH.names or ():
        births[name] = table.column(BORN + name).to_numpy()
    lists = table.column("segments").combine_chunks()
    segments = np.zeros(len(lists.values), SEGMENT)
    for position, name in enumerate(SEGMENT.names or ()):
        segments[name] = lists.values.field(position).to_numpy(zero_copy_only=False)
    first = lists.offsets.to_numpy().astype(np.int64) if len(lists) else np.zeros(1, np.int64)
    return Part(Flows(row, segments, first, births), table.column("number").to_numpy(), table.column("anew").to_numpy())


def _together(parts: Sequence[Part]) -> Part:
    """The parts one after the other, their segments renumbered."""
    flows = np.cumsum([0] + [part.flows.row.size for part in parts])
    segments = np.cumsum([0] + [part.flows.segments.size for part in parts])
    rows = np.concatenate([part.flows.row for part in parts], dtype=FLOW)  # unasked, numpy unfolds the union
    held = np.concatenate([part.flows.segments for part in parts])
    for i, part in enumerate(parts):
        held["flow"][segments[i] : segments[i + 1]] = part.flows.segments["flow"] + np.int32(flows[i])
    first = [part.flows.first_segment[:-1] + segments[i] for i, part in enumerate(parts)]
    return Part(
        Flows(
            rows,
            held,
            np.concatenate([*first, segments[-1:]]),
            np.concatenate([part.flows.evidence() for part in parts]),
        ),
        np.concatenate([part.number for part in parts]),
        np.concatenate([part.anew for part in parts]),
    )


def _had_entry(flows: Flows) -> Bools:
    """Which flows held an entry of Linux's table in any of their segments."""
    tracked = flows.segments["flow"][flows.segments["phase"] != NONE]
    had: Bools = np.bincount(tracked, minlength=flows.row.size) > 0
    return had


def _history_of_both(earlier: Keys, later: Keys) -> Keys:
    """The letters of both histories, once each, in the order they came (`flows.history`)."""
    history = earlier.copy()
    for place in range(LETTERS_AT_MOST):
        code = (later >> np.uint64(16 + 4 * place)) & np.uint64(15)
        bit = np.uint64(1) << code
        is_new = (place < (later >> np.uint64(12) & np.uint64(15))) & (history & bit == 0)
        count = history >> np.uint64(12) & np.uint64(15)
        longer = (history | bit | code << (np.uint64(16) + np.uint64(4) * count)) + np.uint64(1 << 12)
        history = np.where(is_new, longer, history)
    return history


def _pauses_of_both(earlier: npt.NDArray[np.void], later: npt.NDArray[np.void], began_ns: Ints) -> Ints:
    """How often flows fell silent in their two rows and between them; of ICMP that is not counted."""
    between = (began_ns - earlier["last"] >= PAUSE_NS) & ~np.isin(earlier["proto"], (PROTO_ICMP, PROTO_ICMPV6))
    first, then = (row["pauses"].astype(np.int64) for row in (earlier, later))
    pauses: Ints = np.minimum(first + then + between, MOST_PAUSES)
    return pauses


def _established_of_both(whole: npt.NDArray[np.void], later: npt.NDArray[np.void], had_entry: Bools) -> None:
    """Put in `whole`, the earlier rows, what both say of `established` and, of UDP, of `stream_ts`."""
    is_tcp, is_udp = whole["proto"] == PROTO_TCP, np.isin(whole["proto"], (PROTO_UDP, PROTO_UDPLITE))
    whole["established"][is_tcp] = np.minimum(whole["established"], later["established"])[is_tcp]
    whole["stream_ts"][is_udp & had_entry] = later["stream_ts"][is_udp & had_entry]


def _go_on(
    earlier: npt.NDArray[np.void], later: npt.NDArray[np.void], had_entry: Bools, began_ns: Ints
) -> npt.NDArray[np.void]:
    """The rows of flows whose packets were kept in two rows each; `had_entry` and `began_ns` are of the later ones."""
    whole = earlier.copy()
    for name in ("a_pkts", "b_pkts", "a_bytes", "b_bytes"):
        whole[name] += later[name]
    whole["pauses"] = _pauses_of_both(earlier, later, began_ns)
    for name in ("last", "start", "seen", "successor"):
        whole[name] = later[name]
    for name in ("state", "status", "phase", "renewed", "closed"):
        whole[name] = np.where(had_entry, later[name], earlier[name])
    _established_of_both(whole, later, had_entry)
    whole["closing"] = np.minimum(earlier["closing"], later["closing"])
    whole["history"] = _history_of_both(earlier["history"], later["history"])
    either_syn, orig = np.uint64(EITHER_SYN), np.uint8(ORIG_IS_A)
    told = (earlier["history"] & either_syn == 0) & (later["history"] & either_syn != 0)
    whole["flags"] = np.where(told, whole["flags"] & ~orig | later["flags"] & orig, whole["flags"])
    sticky = np.uint8(CLOSED | OFFLOAD)
    whole["flags"] |= later["flags"] & sticky
    whole["flags"][had_entry] &= ~np.uint8(CARRIED)
    whole["flags"] |= np.where(had_entry, later["flags"] & np.uint8(CARRIED), np.uint8(0))
    return whole


def _are_over(row: npt.NDArray[np.void], began_ns: Ints) -> Bools:
    """Per row, which stand in the order of their packets, whether the one before was silent too long to go on in it."""
    over = np.full(row.size, OTHER_OVER_NS)
    over[np.isin(row["proto"], (PROTO_UDP, PROTO_UDPLITE, PROTO_ICMP, PROTO_ICMPV6))] = UDP_OVER_NS
    over[row["proto"] == PROTO_TCP] = TCP_OVER_NS
    return np.concatenate([[False], began_ns[1:] - row["last"][:-1] >= over[1:]])[: row.size]


def join(parts: Sequence[Part], seed: int) -> Part:
    """All flows in the order they began being seen, those of one 5-tuple joined unless one began anew.

    Who began those that ports tell of is for `settle` to say.
    """
    if not parts:
        return no_flows()
    all_of = _together(parts)
    flows = all_of.flows
    keys = tuple_keys(seed, flows.row, *tuple_ports(flows.row))
    order = np.lexsort((all_of.number, keys))
    same_tuple = np.concatenate([[False], keys[order][1:] == keys[order][:-1]])[: order.size]
    began_ns = flows.first_ns()[order]
    begins = ~same_tuple | all_of.anew[order] | _are_over(flows.row[order], began_ns)
    group = np.cumsum(begins) - 1
    firsts = np.flatnonzero(begins)
    row, had_entry = flows.row[order][firsts], _had_entry(flows)[order]
    rank = np.arange(order.size) - firsts[group] if order.size else np.zeros(0, np.int64)
    for turn in range(1, int(rank.max(initial=0)) + 1):
        which = np.flatnonzero(rank == turn)
        row[group[which]] = _go_on(row[group[which]], flows.row[order[which]], had_entry[which], began_ns[which])
    # A group's successor is the next of its 5-tuple.
    successor = np.full(firsts.size, -1, np.int64)
    followed = np.flatnonzero(same_tuple[firsts][1:])
    successor[followed] = followed + 1
    number = all_of.number[order][firsts]
    by_number = np.argsort(number)
    place = np.empty(firsts.size, np.int64)
    place[by_number] = np.arange(firsts.size)
    row["successor"] = np.where(successor >= 0, place[successor], -1)
    place_of_row = np.empty(order.size, np.int64)
    place_of_row[order] = place[group]
    segments, first = _rearranged(flows, place_of_row, all_of.number, firsts.size)
    births = flows.evidence()[order][firsts][by_number]
    return Part(
        Flows(row[by_number], segments, first, births), number[by_number], all_of.anew[order][firsts][by_number]
    )


def _rearranged(
    flows: Flows, place: npt.NDArray[np.int64], number: npt.NDArray[np.int64], groups: int
) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int64]]:
    """(segments by the new place of their flow, then as they came; where each flow's begin)."""
    order = np.lexsort((number, place))
    counts = np.diff(flows.first_segment)[order]
    ends = np.cumsum(counts)
    shift = flows.first_segment[:-1][order] - (ends - counts)
    segments = flows.segments[np.repeat(shift, counts) + np.arange(flows.segments.size)]
    segments["flow"] = np.repeat(place[order], counts)
    first = np.zeros(groups + 1, np.int64)
    np.cumsum(np.bincount(segments["flow"], minlength=groups), out=first[1:])
    return segments, first
