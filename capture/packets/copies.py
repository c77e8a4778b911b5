"""Whether a capture has packets several times: a bridge, `-i any` and a mirror of both directions record them so.

Copies come within a fraction of a millisecond; what TCP sends again comes later, for it waits for a timeout or for
packets that went to the other end and back. A few batches are looked at, not all: who records twice does so all along.
"""

import threading
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from peerburst.capture.packets.ip import PROTO_TCP, PROTO_UDP
from peerburst.capture.packets.status import Status

WITHIN_NS = 1_000_000
AT_ONCE = 1 << 14  # packets of a batch, about
LOOKED_AT = 4  # batches from the beginning, and then each EVERY-th
EVERY = 256
WORTH_A_LOOK = 64  # packets
LEAST_PACKETS, LEAST_FLOWS = 20, 20  # fewer say nothing
FEW_COPIES = 1.2  # packets for each that was sent; a capture without copies has no more than that
MOST_COPIES = 8
ALL_BUT_FEW = 0.9
SYN_OR_FIN = 0x03  # stacks repeat an RST at once, and acknowledgements
OF_THE_TUPLE = ("src_hi", "src_lo", "dst_hi", "dst_lo", "sport", "dport", "proto")
OF_THE_PACKET = ("seq", "ack", "ip_bytes", "flags", "payload", "window")

Packets = npt.NDArray[np.void]
UInt64s = npt.NDArray[np.uint64]


class Copies:
    """How often packets stand in a capture, as far as the batches tell that were looked at."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tcp = self._tcp_sent = 0  # packets, and how many were sent
        self._udp_groups = np.zeros(MOST_COPIES + 1, np.int64)  # packets that stand so often
        self._udp_flows = 0

    def look_at(self, packets: Packets, before: int) -> None:
        """Count copies in PACKET rows before which came so many, if it is their turn. Any thread may call it."""
        is_due = before < LOOKED_AT * AT_ONCE or before // AT_ONCE % EVERY == 0
        if not is_due or (before and packets.size < WORTH_A_LOOK):
            return
        decoded = packets[packets["status"] == Status.DECODED]
        is_tcp = (decoded["proto"] == PROTO_TCP) & ((decoded["payload"] > 0) | (decoded["flags"] & SYN_OR_FIN != 0))
        udp = decoded[decoded["proto"] == PROTO_UDP]
        tcp_groups, udp_groups = _groups(decoded[is_tcp]), np.minimum(_groups(udp), MOST_COPIES)
        udp_flows = np.unique(_mixed(udp, OF_THE_TUPLE)).size
        with self._lock:
            self._tcp, self._tcp_sent = self._tcp + int(tcp_groups.sum()), self._tcp_sent + tcp_groups.size
            self._udp_groups += np.bincount(udp_groups, minlength=MOST_COPIES + 1)
            self._udp_flows = max(self._udp_flows, udp_flows)

    @property
    def times(self) -> float:
        """How often a packet stands there, on average; 1 where there are no copies.

        TCP's packets have numbers. UDP's are alike if a program sends them so: these only tell where nearly all stand
        there the same number of times, in many flows.
        """
        if self._tcp_sent >= LEAST_PACKETS:
            times = self._tcp / self._tcp_sent
            return times if times >= FEW_COPIES else 1.0
        sent = int(self._udp_groups.sum())
        usual = int(self._udp_groups.argmax())
        is_regular = sent >= LEAST_PACKETS and self._udp_groups[usual] >= ALL_BUT_FEW * sent
        return float(usual) if is_regular and 2 <= usual < MOST_COPIES and self._udp_flows >= LEAST_FLOWS else 1.0

    def sentences(self) -> Iterator[str]:
        """What is to be said of it."""
        if self.times > 1:
            often = f"{self.times:.0f}" if abs(self.times - round(self.times)) < 0.05 else f"{self.times:.1f}"
            yield (
                f"each packet stands there {often} times on average, within a millisecond, as a bridge, `-i any` or a"
                " mirror of both directions records it; packets and bytes are counted with the copies, connections once"
            )


def _mixed(packets: Packets, names: tuple[str, ...]) -> UInt64s:
    """A number for each packet from these fields; equal ones are equal, others hardly ever."""
    mixed = np.zeros(packets.size, np.uint64)
    for name in names:
        mixed = (mixed ^ packets[name].astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed


def _groups(packets: Packets) -> npt.NDArray[np.int64]:
    """The sizes of groups of packets alike of which each comes within WITHIN_NS of the group's first."""
    mixed = _mixed(packets, OF_THE_TUPLE + OF_THE_PACKET)
    order = np.lexsort((packets["ts"], mixed))
    mixed, ts = mixed[order], packets["ts"][order]
    if not mixed.size:
        return np.zeros(0, np.int64)
    begins = np.concatenate([[True], (mixed[1:] != mixed[:-1]) | (np.diff(ts) > WITHIN_NS)])
    starts = np.flatnonzero(begins)
    return np.diff(np.append(starts, mixed.size)).astype(np.int64)
