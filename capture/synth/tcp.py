"""One TCP connection of a guest to a host outside, every number right (RFC 9293).

Half duplex: one side talks at a time, which is how requests and answers behave and what keeps both sides' numbers
plain. Seen from the gateway, a remote answers one round trip later, a guest one Wi-Fi round trip later.
"""

import struct
from collections.abc import Callable

from peerburst.capture.synth import frames
from peerburst.capture.synth.frames import Flag
from peerburst.capture.synth.site import WIFI_ROUND_TRIP_S, Remote
from peerburst.capture.synth.stage import Stage
from peerburst.capture.vocabulary import FlowKind

GUEST, REMOTE = 0, 1

MSS_V4, MSS_V6 = 1460, 1440
# RFC 6928: ten segments in the first round trip, then twice as many in each.
INITIAL_WINDOW = 10
LARGEST_WINDOW = 170  # segments: a quarter of a megabyte, inside what both sides offer below
OFFERED_SYN, OFFERED = 64240, 1026
WINDOW_SHIFT = 8  # 1026 << 8: 262,656 bytes
# RFC 1122 4.2.3.2: every second segment is acknowledged; a lone one after a wait (Linux: 40 ms).
DELAYED_ACK_S = 0.040
# RFC 6298: the first retransmission after 1 s, doubling: at 1, 3 and 7 s.
SYN_RETRIES_S = (0.0, 1.0, 3.0, 7.0)
COMMON_RATE_BPS = 8_000_000


def plain(size: int) -> bytes:
    """Nothing at the start of a segment that can be known: see `frames` on zero bytes."""
    return b""


class TcpConversation:
    """One connection; methods take the time in seconds and return when it is the guest's turn again."""

    def __init__(
        self,
        stage: Stage,
        remote: Remote,
        port: int,
        kind: FlowKind,
        *,
        opening: Callable[[int], bytes] = plain,
        shortest: int = 1,
        local_port: int | None = None,
    ) -> None:
        """`opening` gives what begins the unknown part of a segment of a given size: a record header, say.

        No segment of a longer message is left with fewer than `shortest` bytes.
        """
        dice = stage.dice
        self._stage = stage
        self.remote = remote
        self.now = stage.start_s
        self._ends = (stage.guest_end(remote.endpoint), remote.endpoint)
        self._ports = (stage.guest.ephemeral_port(dice) if local_port is None else local_port, port)
        self._next = [dice.integer(0, 2**32 - 1), dice.integer(0, 2**32 - 1)]
        self._received = [0, 0]  # what each side has received of the other, the acknowledgement it sends
        self._ids = [dice.integer(1, 0xFFFF), 0]
        self._mss = MSS_V4 if len(remote.endpoint.address) == 4 else MSS_V6
        self._opening = opening
        self._shortest = shortest
        self.flow = stage.flow(self._ends[0], self._ends[1], self._ports, "tcp", kind)

    def connect(self, at: float) -> float:
        """SYN, SYN/ACK, ACK."""
        self._emit(at, GUEST, Flag.SYN)
        return self._accepted(at)

    def connect_late(self, at: float) -> float:
        """As `connect`, but the first SYN is lost behind the gateway and sent again a second later."""
        self._emit(at, GUEST, Flag.SYN, retransmission=True)
        self._emit(at + SYN_RETRIES_S[1], GUEST, Flag.SYN)
        return self._accepted(at + SYN_RETRIES_S[1])

    def connect_unanswered(self, at: float, patience_s: float = 8.0) -> float:
        """SYNs into silence, at 0, 1, 3 and 7 s or until patience ends."""
        for wait in SYN_RETRIES_S:
            if wait < patience_s:
                self._emit(at + wait, GUEST, Flag.SYN, retransmission=True)
        return at + patience_s

    def connect_refused(self, at: float) -> float:
        """SYN, and a reset for an answer."""
        self._emit(at, GUEST, Flag.SYN)
        self._received[REMOTE] = self._next[GUEST]
        self._next[REMOTE] = 0  # RFC 9293 3.5.2: a reset for a segment without ACK has sequence number zero
        at = self._passes(at, REMOTE)
        self._emit(at, REMOTE, Flag.RST | Flag.ACK)
        return at

    def probe(self, at: float) -> float:
        """What a half-open scan does: SYN, SYN/ACK, RST."""
        self._emit(at, GUEST, Flag.SYN)
        self._received[REMOTE] = self._next[GUEST]
        at = self._passes(at, REMOTE)
        self._emit(at, REMOTE, Flag.SYN | Flag.ACK)
        at += WIFI_ROUND_TRIP_S
        self._emit(at, GUEST, Flag.RST)
        return at

    def upload(self, at: float, content: bytes, size: int | None = None, *, rate_bps: float = COMMON_RATE_BPS) -> float:
        """The guest sends `size` bytes that begin with `content`; returns when the remote's last ACK passed."""
        return self._transfer(at, GUEST, content, size, rate_bps, last_ack=True)

    def download(
        self, at: float, content: bytes, size: int | None = None, *, rate_bps: float = COMMON_RATE_BPS
    ) -> float:
        """The remote sends `size` bytes that begin with `content`, at most `rate_bps` fast."""
        return self._transfer(at, REMOTE, content, size, rate_bps, last_ack=True)

    def exchange(
        self,
        at: float,
        request: tuple[bytes, int],
        response: tuple[bytes, int],
        *,
        think_s: float = 0.02,
        rate_bps: float = COMMON_RATE_BPS,
    ) -> float:
        """A request and its response, each (first bytes, size); a quick response carries the request's ACK."""
        slow = think_s > DELAYED_ACK_S
        at = self._transfer(at, GUEST, *request, COMMON_RATE_BPS, last_ack=slow)
        return self._transfer(at + think_s, REMOTE, *response, rate_bps, last_ack=True)

    def close(self, at: float, by: int = GUEST) -> float:
        """FIN, FIN/ACK, ACK; `by` is the side that begins."""
        at = max(at, self.now)
        self._emit(at, by, Flag.FIN | Flag.ACK)
        other = 1 - by
        self._received[other] = self._next[by]
        at = self._passes(at, other)
        self._emit(at, other, Flag.FIN | Flag.ACK)
        self._received[by] = self._next[other]
        at = self._passes(at, by)
        self._emit(at, by, Flag.ACK)
        self.now = at
        return at

    def reset(self, at: float, by: int = GUEST) -> float:
        """One side has had enough."""
        at = max(at, self.now)
        self._emit(at, by, Flag.RST | Flag.ACK)
        self.now = at
        return at

    def _accepted(self, at: float) -> float:
        self._received[REMOTE] = self._next[GUEST]
        at = self._passes(at, REMOTE)
        self._emit(at, REMOTE, Flag.SYN | Flag.ACK)
        self._received[GUEST] = self._next[REMOTE]
        at = self._passes(at, GUEST)
        self._emit(at, GUEST, Flag.ACK)
        self.now = at
        return at

    def _transfer(
        self, at: float, sender: int, content: bytes, size: int | None, rate_bps: float, *, last_ack: bool
    ) -> float:
        """Segments at the pace of slow start and `rate_bps`; every second one is acknowledged."""
        receiver = 1 - sender
        at = round_began = max(at, self.now)
        self._received[sender] = self._next[receiver]
        left = len(content) if size is None else size
        sent, in_round, window, waiting, acked = 0, 0, INITIAL_WINDOW, 0, at
        while left:
            length = self._segment_size(left)
            left -= length
            body = content[sent : sent + length]
            body += self._opening(length - len(body))
            self._emit(at, sender, Flag.ACK if left else Flag.ACK | Flag.PSH, body, length)
            sent, in_round, waiting = sent + length, in_round + 1, waiting + 1
            self._received[receiver] = self._next[sender]
            if waiting == 2 or (not left and last_ack):
                lone = DELAYED_ACK_S if waiting == 1 else 0.0
                acked = max(acked + 1e-6, self._passes(at, receiver) + lone)
                self._emit(acked, receiver, Flag.ACK)
                waiting = 0
            if left:
                at += (length + 54) * 8 / rate_bps * self._stage.dice.uniform(1.0, 1.2)
                if in_round >= window:
                    at = max(at, round_began + self.remote.round_trip_s + WIFI_ROUND_TRIP_S)
                    round_began, in_round, window = at, 0, min(2 * window, LARGEST_WINDOW)
        self.now = max(at + self._delay(receiver), acked)
        return self.now

    def _segment_size(self, left: int) -> int:
        if self._mss < left < self._mss + self._shortest:
            return self._mss - self._shortest
        return min(left, self._mss)

    def _delay(self, side: int) -> float:
        return WIFI_ROUND_TRIP_S if side == GUEST else self.remote.round_trip_s

    def _passes(self, at: float, side: int) -> float:
        """When the answer of `side` to something seen at `at` passes the gateway."""
        return at + self._delay(side) * self._stage.dice.uniform(1.0, 1.05)

    def _emit(
        self, at: float, side: int, flags: int, body: bytes = b"", size: int = 0, *, retransmission: bool = False
    ) -> None:
        syn = bool(flags & Flag.SYN)
        # Linux answers a SYN with identification 0; all else counts up, connection by connection.
        identification = 0 if syn and side == REMOTE else self._ids[side]
        self._ids[side] = (self._ids[side] + 1) & 0xFFFF
        frame = frames.tcp(
            self._ends[side],
            self._ends[1 - side],
            self._ports if side == GUEST else self._ports[::-1],
            (self._next[side], self._received[side] if flags & Flag.ACK else 0),
            flags,
            0 if flags & Flag.RST else OFFERED_SYN if syn else OFFERED,
            options=_syn_options(self._mss) if syn else b"",
            body=body,
            size=size,
            identification=identification,
        )
        if not retransmission:
            taken = size + (1 if flags & (Flag.SYN | Flag.FIN) else 0)
            self._next[side] = (self._next[side] + taken) & 0xFFFFFFFF
        self._stage.tape.record(at, frame, self.flow)


def _syn_options(mss: int) -> bytes:
    """MSS, NOP, window scale, NOP, NOP, SACK permitted: Windows' choice, which has no timestamps."""
    return struct.pack(">BBH", 2, 4, mss) + bytes([1, 3, 3, WINDOW_SHIFT, 1, 1, 4, 2])
