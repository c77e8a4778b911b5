"""One UDP conversation of a guest with a host outside."""

from peerburst.capture.synth import frames
from peerburst.capture.synth.site import WIFI_ROUND_TRIP_S, Remote
from peerburst.capture.synth.stage import Stage
from peerburst.capture.vocabulary import FlowKind

# Hosts that answer at once still take a moment.
ANSWERING_S = 0.002


class UdpConversation:
    """Datagrams to and fro between one port of the guest and one of a remote host."""

    def __init__(
        self, stage: Stage, remote: Remote, port: int, kind: FlowKind, *, local_port: int | None = None
    ) -> None:
        self._stage = stage
        self.remote = remote
        self._guest_end = stage.guest_end(remote.endpoint)
        self._ports = (stage.guest.ephemeral_port(stage.dice) if local_port is None else local_port, port)
        self._ids = [stage.dice.integer(1, 0xFFFF), stage.dice.integer(1, 0xFFFF)]
        self.flow = stage.flow(self._guest_end, remote.endpoint, self._ports, "udp", kind)

    def send(self, at: float, body: bytes, size: int | None = None) -> frames.Frame:
        """The guest sends `size` bytes that begin with `body`, at `at` seconds; the frame is returned."""
        frame = self._datagram(0, body, size)
        self._stage.tape.record(at, frame, self.flow)
        return frame

    def receive(self, at: float, body: bytes, size: int | None = None) -> float:
        """The remote's datagram passes the gateway at `at`; returned is when the guest can have reacted to it."""
        self._stage.tape.record(at, self._datagram(1, body, size), self.flow)
        return at + WIFI_ROUND_TRIP_S

    def exchange(self, at: float, out: tuple[bytes, int], back: tuple[bytes, int]) -> float:
        """A question and its answer, one round trip later; returned is when the guest has the answer."""
        self.send(at, *out)
        return self.receive(self.answered(at), *back)

    def answered(self, at: float) -> float:
        """When the answer to something sent at `at` comes by, with up to a tenth of a round trip of queueing."""
        return at + self.remote.round_trip_s * self._stage.dice.uniform(1.0, 1.1) + ANSWERING_S

    def refused(self, at: float, body: bytes, size: int | None = None) -> None:
        """The guest's datagram finds no listener: ICMP port unreachable comes back."""
        frame = self.send(at, body, size)
        refusal = frames.port_unreachable(self.remote.endpoint, self._guest_end, frame)
        self._stage.tape.record(self.answered(at), refusal, self.flow)

    def _datagram(self, side: int, body: bytes, size: int | None) -> frames.Frame:
        self._ids[side] = (self._ids[side] + 1) & 0xFFFF
        ends = (self._guest_end, self.remote.endpoint)
        ports = self._ports if side == 0 else self._ports[::-1]
        length = len(body) if size is None else size
        return frames.udp(ends[side], ends[1 - side], ports, body, length, self._ids[side])
