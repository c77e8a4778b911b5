"""Runs the capture kernels on a few frames or packets, and gives their rows in the words of `reference`."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from peerburst.capture.conntrack.states import Phase
from peerburst.capture.files.source import PacketSource
from peerburst.capture.flows import record
from peerburst.capture.flows.history import HISTORY_LETTERS
from peerburst.capture.flows.segments import segment_gaps_ns
from peerburst.capture.flows.table import FlowTable
from peerburst.capture.packets.decode import decode
from peerburst.capture.packets.record import FRAME, PACKET
from peerburst.capture.packets.status import Status
from peerburst.capture.packets.tunnels import follow
from tests.support import reference
from tests.support.reference import Frame, Packet

# What a packet's status leaves known; nothing else in its row means anything.
KNOWN = {
    Status.FRAGMENT: ("src", "dst", "proto", "ip_bytes", "offload"),
    Status.DECODED: tuple(name for name in Packet.__dataclass_fields__ if name not in ("ts", "status")),
}


def decoded(frames: list[Frame], *, follow_tunnels: bool = False, around: int = 0xFF) -> list[Packet]:
    """The frames through the decoding kernels. `around`: what the bytes outside every frame are."""
    table = np.zeros(len(frames), FRAME)
    block = bytearray([around] * 64)
    for i, frame in enumerate(frames):
        table[i] = (frame.ts, len(block), len(block) + len(frame.data), frame.wire, frame.link)
        block += frame.data + bytes([around] * 64)
    data = np.frombuffer(bytes(block), np.uint8).copy()
    rows = np.empty(len(frames), PACKET)
    with np.errstate(over="ignore"):
        decode(data, table, len(frames), rows)
        if follow_tunnels:
            follow(data, table, len(frames), rows, np.zeros(1, PACKET))
    return as_packets(rows)


def one(data: bytes, link: int = 1, *, wire: int | None = None, follow_tunnels: bool = False) -> Packet:
    """One frame through the decoding kernels."""
    return decoded([Frame(0, data, len(data) if wire is None else wire, link)], follow_tunnels=follow_tunnels)[0]


def as_packets(rows: npt.NDArray[np.void]) -> list[Packet]:
    """PACKET rows, of each what its status leaves known."""
    columns = {name: rows[name].tolist() for name in PACKET.names or ()}
    columns["src"] = [high << 64 | low for high, low in zip(columns["src_hi"], columns["src_lo"], strict=True)]
    columns["dst"] = [high << 64 | low for high, low in zip(columns["dst_hi"], columns["dst_lo"], strict=True)]
    columns["offload"] = [bool(value) for value in columns["offload"]]
    made = []
    for i, code in enumerate(columns["status"]):
        status = Status(code)
        facts = {name: columns[name][i] for name in KNOWN.get(status, ())}
        made.append(Packet(ts=columns["ts"][i], status=status, **facts))
    return made


def as_rows(packets: list[Packet]) -> npt.NDArray[np.void]:
    """The reverse of `as_packets`."""
    rows = np.zeros(len(packets), PACKET)
    for i, packet in enumerate(packets):
        for name in ("ts", "status", *KNOWN[Status.DECODED]):
            if name in ("src", "dst"):
                high, low = divmod(getattr(packet, name), 2**64)
                rows[name + "_hi"][i], rows[name + "_lo"][i] = high, low
            else:
                rows[name][i] = getattr(packet, name)
    return rows


def read_all(path: Path, *, follow_tunnels: bool = False) -> tuple[npt.NDArray[np.void], PacketSource]:
    """All PACKET rows of a capture, their times as they stand there, and the source, for its warnings."""
    source = PacketSource(str(path), follow_tunnels=follow_tunnels, as_stamped=True)
    batches = list(source.batches())
    return np.concatenate(batches) if batches else np.zeros(0, PACKET), source


def table_of(rows: npt.NDArray[np.void], gaps_s: dict[Phase, float] | None = None, batch: int = 4096) -> FlowTable:
    """A flow table that was given the rows, `batch` at a time."""
    table = FlowTable(segment_gaps_ns(gaps_s))
    for at in range(0, rows.size, batch):
        table.add(rows[at : at + batch])
    return table


FlowFacts = tuple[object, ...]


def is_icmp(row: np.void) -> bool:
    return bool(row["proto"] in (reference.ICMP, reference.ICMPV6))


def flow_facts(table: FlowTable) -> list[FlowFacts]:
    """What the table tells of each flow."""
    return [
        (
            (int(row["a_hi"]) << 64 | int(row["a_lo"]), int(row["a_port"])),
            (int(row["b_hi"]) << 64 | int(row["b_lo"]), int(row["b_port"])),
            int(row["proto"]),
            (int(row["icmp_type"]), int(row["icmp_code"]), int(row["icmp_id"])) if is_icmp(row) else None,
            int(row["pauses"]),
            "a" if row["flags"] & record.ORIG_IS_A else "b",
            "a" if row["flags"] & record.FIRST_IS_A else "b",
            int(row["last"]),
            int(row["successor"]),
            bool(row["flags"] & record.CLOSED),
            bool(row["flags"] & record.OFFLOAD),
            int(row["closed"]),
            int(row["established"]) if row["proto"] == reference.TCP else record.NEVER,
            int(row["stream_ts"]) if row["proto"] in (reference.UDP, reference.UDPLITE) else record.NEVER,
            int(row["closing"]),
            history(int(row["history"])),
            (int(row["a_pkts"]), int(row["b_pkts"])),
            (int(row["a_bytes"]), int(row["b_bytes"])),
        )
        for row in table.flows().row
    ]


def reference_flow_facts(table: reference.Table) -> list[FlowFacts]:
    """The same of the reference's table."""
    return [
        (
            flow.a,
            flow.b,
            flow.proto,
            flow.icmp,
            flow.pauses,
            flow.orig,
            flow.first,
            flow.last,
            flow.successor,
            flow.closed_once,
            flow.offload,
            flow.closed,
            flow.established,
            flow.stream_ts,
            flow.closing,
            flow.history,
            (flow.packets["a"], flow.packets["b"]),
            (flow.data["a"], flow.data["b"]),
        )
        for flow in table.flows
    ]


def history(word: int) -> str:
    """The letters of a coded history, capitals for the end called a."""
    made = ""
    for i in range(word >> 12 & 15):
        code = word >> (16 + 4 * i) & 15
        letter = HISTORY_LETTERS[code % 6]
        made += letter if code >= 6 else letter.upper()
    return made


SegmentFacts = tuple[int, int, int, int, int, Phase, Phase, str, str, bool, bool, bool]


def segment_facts(table: FlowTable) -> list[SegmentFacts]:
    """What the table tells of each segment, flow by flow."""
    made = []
    for row in table.flows().segments:
        seen = int(row["seen"])
        sides = "a" * bool(seen & record.A_SENT) + "b" * bool(seen & record.B_SENT)
        made.append(
            (
                int(row["flow"]),
                int(row["start"]),
                int(row["last"]),
                int(row["renewed"]),
                int(row["closed"]),
                Phase(row["state"]),
                Phase(row["phase"]),
                "a" if seen & record.FIRST_BY_A else "b",
                sides,
                bool(seen & record.AGAIN),
                bool(seen & record.SEVERAL),
                bool(seen & record.WAS_DELETED),
            )
        )
    return made


def reference_segment_facts(table: reference.Table) -> list[SegmentFacts]:
    """The same of the reference's table."""
    return [
        (
            flow,
            segment.start,
            segment.last,
            segment.renewed,
            segment.closed,
            segment.state,
            segment.phase,
            segment.first_side,
            "".join(sorted(set(segment.sides))),
            segment.again,
            len(segment.sides) > 1,
            segment.deleted,
        )
        for flow, segment in table.segments()
    ]


def agree(packets: list[Packet], gaps_s: dict[Phase, float] | None = None, batch: int = 4096) -> FlowTable:
    """Assert that kernel and reference make the same of the packets; answers the kernel's table."""
    slow = reference.Table(gaps_s)
    slow.add_all(packets)
    slow.settle()
    fast = table_of(as_rows(packets), gaps_s, batch)
    assert flow_facts(fast) == reference_flow_facts(slow)
    assert segment_facts(fast) == reference_segment_facts(slow)
    return fast
