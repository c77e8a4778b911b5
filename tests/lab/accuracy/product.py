"""peerburst's own view of a capture: every frame, and the flows with what they say of ends, flags and counts."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from peerburst.capture.errors import CaptureError
from peerburst.capture.files.source import PacketSource
from peerburst.capture.flows.five_tuple import tuple_ports
from peerburst.capture.flows.history import HISTORY_LETTERS
from peerburst.capture.flows.record import ORIG_IS_A
from peerburst.capture.packets.icmp import icmp_ports, is_icmp
from peerburst.capture.packets.status import LABELS, Status
from peerburst.capture.read import Capture
from peerburst.capture.read import read as read_capture

from .seen import FRAGMENT, NO_IP, PACKET, TCP, Seen

KINDS = {**{int(status): label for status, label in LABELS.items()}, int(Status.DECODED): PACKET}
KINDS |= {int(Status.NOT_IP): NO_IP, int(Status.FRAGMENT): FRAGMENT}

End = tuple[int, int]  # address, port
Endpoints = tuple[End, End, int]  # the smaller end, the other, the protocol


@dataclass(frozen=True, slots=True)
class Flow:
    """One row of the flow table."""

    ends: Endpoints
    counts: tuple[int, int, int, int]  # packets and bytes of the smaller end, then of the other
    orig_is_a: bool
    sent: frozenset[str]  # history's letters, capitals the smaller end's


@dataclass(frozen=True, slots=True)
class Reading:
    """A capture as peerburst read it; `refusal` if it did not."""

    frames: tuple[Seen, ...] = ()
    instants_ns: tuple[int, ...] = ()
    flows: tuple[Flow, ...] = ()
    warnings: tuple[str, ...] = ()
    refusal: str | None = None


def _seen(rows: npt.NDArray[np.void]) -> list[Seen]:
    """Each PACKET row; columns become lists once, which is far faster than asking rows."""
    names = (
        "status",
        "src_hi",
        "src_lo",
        "dst_hi",
        "dst_lo",
        "proto",
        "sport",
        "dport",
        "ip_bytes",
        "flags",
        "payload",
        "icmp_type",
        "icmp_code",
        "icmp_id",
    )
    seen = []
    for status, sh, sl, dh, dl, proto, sport, dport, length, flags, payload, *message in zip(
        *(rows[name].tolist() for name in names), strict=True
    ):
        if status == Status.DECODED:
            if is_icmp(proto):
                sport, dport = map(int, icmp_ports(proto, *message))
            tcp = (flags, payload) if proto == TCP else (0, 0)
            seen.append(Seen(PACKET, sh << 64 | sl, dh << 64 | dl, proto, sport, dport, length, *tcp))
        elif status == Status.FRAGMENT:
            seen.append(Seen(FRAGMENT, sh << 64 | sl, dh << 64 | dl, proto, ip_bytes=length))
        else:
            seen.append(Seen(KINDS[status]))
    return seen


def _letters(history: int) -> frozenset[str]:
    """Which letters either end sent, from the lower twelve bits of the coded history."""
    names = HISTORY_LETTERS.upper() + HISTORY_LETTERS
    return frozenset(name for i, name in enumerate(names) if history >> i & 1)


def _flows(capture: Capture) -> list[Flow]:
    row = capture.flows.row
    names = ("a_hi", "a_lo", "a_port", "b_hi", "b_lo", "b_port", "proto", "a_pkts", "a_bytes", "b_pkts", "b_bytes")
    ports = dict(zip(("a_port", "b_port"), tuple_ports(row), strict=True))
    columns = [ports.get(name, row[name]).tolist() for name in (*names, "flags", "history")]
    return [
        Flow(
            ((a_hi << 64 | a_lo, a_port), (b_hi << 64 | b_lo, b_port), proto),
            (a_pkts, a_bytes, b_pkts, b_bytes),
            bool(flags & ORIG_IS_A),
            _letters(history),
        )
        for a_hi, a_lo, a_port, b_hi, b_lo, b_port, proto, a_pkts, a_bytes, b_pkts, b_bytes, flags, history in zip(
            *columns, strict=True
        )
    ]


def read(path: Path) -> Reading:
    """Read a capture twice: frame by frame, and into the flow table."""
    try:
        source = PacketSource(str(path), as_stamped=True)
        frames: list[Seen] = []
        instants: list[int] = []
        for rows in source.batches():
            frames += _seen(rows)
            instants += rows["ts"].tolist()
        capture = read_capture([str(path)])
    except CaptureError as error:
        return Reading(refusal=str(error))
    return Reading(tuple(frames), tuple(instants), tuple(_flows(capture)), capture.warnings)
