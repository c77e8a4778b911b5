"""Small captures made packet by packet, at seconds from their start, and read the way every capture is."""

import ipaddress
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.gateways import GatewayModel, load
from peerburst.analysis.gateways.compiled import shortest_gaps_s
from peerburst.analysis.hosts.locality import to_words
from peerburst.analysis.settings import Settings
from peerburst.capture.conntrack.states import PHASES
from peerburst.capture.flows.segments import segment_gaps_ns
from peerburst.capture.flows.table import FlowTable
from peerburst.capture.packets.record import PACKET
from peerburst.capture.packets.status import Status
from peerburst.capture.read import Capture
from peerburst.opening import analyse
from tests.support import packets_by_hand
from tests.support.packets_by_hand import ACK, FIN, RST, SYN

End = tuple[str, int]  # address and port

EPOCH_NS = 1_700_000_000_000_000_000
HOST = "192.168.1.10"
OTHER_HOST = "192.168.1.11"
GATEWAY = "192.168.1.1"


def ns(seconds: float) -> int:
    """The instant in ns since the epoch, exact to the microsecond."""
    return EPOCH_NS + round(seconds * 1_000_000) * 1000


def remote(number: int, port: int = 443) -> End:
    """One of 65536 public addresses, each in a /16 of its own for the first few hundred."""
    return f"{20 + number % 100}.{number // 100 % 256}.7.{1 + number // 25600}", port


def local(port: int, address: str = HOST) -> End:
    return address, port


class Tape:
    """Packets in the order they were added; a capture once written.

    TCP segments are numbered as sound stacks would, in the order they are added.
    """

    def __init__(self, macs: Mapping[str, str] | None = None, beyond: str = "") -> None:
        """`macs`: by address; of all others `beyond`. Without them all frames have the same two."""
        self.frames: list[tuple[float, bytes]] = []
        self._macs, self._beyond = macs, beyond
        self._numbers = packets_by_hand.Numbering()

    def _ip(self, at_s: float, proto: int, source: str, target: str, inner: bytes) -> None:
        if ipaddress.ip_address(source).version == 4:
            self.frame(at_s, packets_by_hand.ipv4(inner, proto, source, target), source, target)
        else:
            packet = packets_by_hand.ipv6(inner, proto, source, target)
            self.frame(at_s, packet, source, target, packets_by_hand.IPV6)

    def frame(
        self, at_s: float, packet: bytes, source: str, target: str, ethertype: int = packets_by_hand.IPV4
    ) -> None:
        """A packet between the MACs of these addresses; a MAC may stand in an address' place."""
        if self._macs is None:
            self.frames.append((at_s, packets_by_hand.ethernet(packet, ethertype)))
            return
        sender, receiver = (self._macs.get(end, self._beyond) for end in (source, target))
        self.frames.append((at_s, packets_by_hand.ethernet(packet, ethertype, source=sender, target=receiver)))

    def udp(self, at_s: float, source: End, target: End, size: int = 20) -> None:
        """A datagram that carries `size` bytes."""
        self._ip(
            at_s, packets_by_hand.UDP, source[0], target[0], packets_by_hand.udp(source[1], target[1], bytes(size))
        )

    def tcp(self, at_s: float, source: End, target: End, flags: int, size: int = 0) -> None:
        """A segment with these flags that carries `size` bytes."""
        seq, ack = self._numbers.of(source, target, flags, size)
        segment = packets_by_hand.tcp(source[1], target[1], flags, bytes(size), seq=seq, ack=ack, window=65535)
        self._ip(at_s, packets_by_hand.TCP, source[0], target[0], segment)

    def icmp(self, at_s: float, source: str, target: str, kind: int, code: int = 0, identifier: int = 77) -> None:
        self._ip(at_s, packets_by_hand.ICMP, source, target, packets_by_hand.icmp(kind, code, identifier))

    def exchange(self, at_s: float, client: End, server: End, apart_s: float = 0.1) -> None:
        """A question and its answer over UDP."""
        self.udp(at_s, client, server)
        self.udp(at_s + apart_s, server, client)

    def open(self, at_s: float, client: End, server: End) -> None:
        """TCP's handshake: three packets in 0.2 s."""
        self.tcp(at_s, client, server, SYN)
        self.tcp(at_s + 0.1, server, client, SYN | ACK)
        self.tcp(at_s + 0.2, client, server, ACK)

    def close(self, at_s: float, client: End, server: End) -> None:
        """The client closes: FIN, FIN, ACK in 0.2 s."""
        self.tcp(at_s, client, server, FIN | ACK)
        self.tcp(at_s + 0.1, server, client, FIN | ACK)
        self.tcp(at_s + 0.2, client, server, ACK)

    def refused(self, at_s: float, client: End, server: End) -> None:
        self.tcp(at_s, client, server, SYN)
        self.tcp(at_s + 0.1, server, client, RST | ACK)

    def connection(self, at_s: float, client: End, server: End, *, sent: int = 100, received: int = 1000) -> None:
        """A whole connection in one second that carries so many bytes each way, in segments of up to 1400."""
        self.open(at_s, client, server)
        self.carry(at_s + 0.3, client, server, sent)
        self.carry(at_s + 0.4, server, client, received)
        self.close(at_s + 0.8, client, server)

    def carry(self, at_s: float, source: End, target: End, size: int) -> None:
        """Data at one instant, acknowledged before it fills the window."""
        for i in range(-(-size // 1400)):
            if i and i % 40 == 0:
                self.tcp(at_s, target, source, ACK)
            self.tcp(at_s, source, target, ACK, min(1400, size - 1400 * i))

    def write(self, path: Path) -> str:
        """The packets by time, as a capture with nanoseconds; answers the path as text."""
        in_order = sorted(self.frames, key=lambda packet: packet[0])
        records = [(*divmod(ns(at_s), 1_000_000_000), frame) for at_s, frame in in_order]
        path.write_bytes(packets_by_hand.pcap(records, magic=packets_by_hand.NANOSECOND_MAGIC))
        return str(path)

    def analysis(
        self,
        folder: Path,
        *models: str,
        limits: Sequence[int] = (),
        local_nets: Sequence[str] | None = None,
        include_lan: bool = False,
        **others: str,
    ) -> Analysis:
        """What is said of the packets, under these gateway models (the usual ones if none is named)."""
        settings = Settings(
            models=models,
            limits=tuple(limits),
            local_nets=None if local_nets is None else tuple(local_nets),
            include_lan=include_lan,
            **others,  # type: ignore[arg-type]
        )
        return analyse([self.write(folder / "made.pcap")], settings)


def entry_spells(
    analysis: Analysis, model: str, host: str = HOST, *, inbound: bool = False
) -> list[tuple[float, float]]:
    """(start, end) in seconds from the tape's start of a host's entries that count, in order."""
    held = analysis.entries(analysis.model(model))
    mine = (held.host == analysis.host_number(host)) & (held.inbound == inbound)
    spells = [
        (round((int(start) - EPOCH_NS) / 1e9, 6), round((int(end) - EPOCH_NS) / 1e9, 6))
        for start, end in held.entry[mine][["start", "end"]].tolist()
        if end > start
    ]
    return sorted(spells)


# ------------------------------------------------------------------------------------------------------ random packets

PORTS = (5000, 5001, 53, 443)
LOCALS = (HOST, OTHER_HOST, GATEWAY)
REMOTES = ("8.8.8.8", "203.0.113.9", "224.0.0.251")
KINDS_OF_TCP = (SYN, SYN | ACK, ACK, ACK | packets_by_hand.PSH, FIN | ACK, RST, RST | ACK, 0)
# Around the timeouts of the models, and the two and five seconds that matter besides.
PAUSES_S = (0, 0, 0.001, 0.5, 1, 1.999, 2, 2.5, 4.9, 5, 9.9, 10, 20, 29.9, 30, 59.9, 60, 61, 90, 119.9, 120, 180, 240,
            299.9, 300, 350, 600, 900, 3600, 7440, 86400, 432000, 500000)  # fmt: skip


@st.composite
def packet_rows(draw: st.DrawFn, most: int = 40) -> npt.NDArray[np.void]:
    """PACKET rows of a few conversations, whatever packets they are made of, in order of time."""
    end = st.tuples(st.sampled_from(LOCALS), st.sampled_from(PORTS))
    other = st.tuples(st.sampled_from(REMOTES + LOCALS), st.sampled_from(PORTS))
    protocol = st.sampled_from(
        (packets_by_hand.TCP, packets_by_hand.TCP, packets_by_hand.UDP, packets_by_hand.UDP, packets_by_hand.ICMP, 47)
    )
    talks = draw(st.lists(st.tuples(end, other, protocol), min_size=1, max_size=5))
    steps = draw(
        st.lists(
            st.tuples(
                st.sampled_from(talks),
                st.booleans(),
                st.sampled_from(KINDS_OF_TCP),
                st.sampled_from(PAUSES_S),
                st.integers(0, 2),
                st.sampled_from(packets_by_hand.ASTRAY),
                st.sampled_from(packets_by_hand.ASTRAY),
                st.sampled_from(packets_by_hand.WINDOWS),
            ),
            min_size=1,
            max_size=most,
        )
    )
    rows = np.zeros(len(steps), PACKET)
    at_s, numbers = 0.0, packets_by_hand.Numbering()
    for row, ((near, far, proto), back, flags, pause_s, payload, *astray, window) in zip(rows, steps, strict=True):
        at_s += pause_s
        source, target = (far, near) if back else (near, far)
        row["ts"] = ns(at_s)
        for name, (address, port) in (("src", source), ("dst", target)):
            row[f"{name}_hi"], row[f"{name}_lo"] = to_words(ipaddress.ip_address(address))
            if proto in (packets_by_hand.TCP, packets_by_hand.UDP):
                row["sport" if name == "src" else "dport"] = port
        row["proto"], row["flags"], row["payload"], row["ip_bytes"] = proto, flags, payload, 40 + payload
        if proto == packets_by_hand.TCP:
            seq, ack = numbers.of(source, target, flags, payload)
            row["seq"], row["ack"], row["window"] = (seq + astray[0]) % 2**32, (ack + astray[1]) % 2**32, window
            row["sack"] = row["ack"]
        if proto == packets_by_hand.ICMP:  # echo and its reply, or an error
            row["icmp_type"], row["flags"] = {0: 3}.get(flags, 0 if back else 8), 0
    return rows


def analysis_of(
    rows: npt.NDArray[np.void],
    models: Sequence[GatewayModel],
    *,
    limits: Sequence[int] = (1, 2),
    segments_apart: bool = False,
) -> Analysis:
    """What is said of PACKET rows. `segments_apart`: every packet in a segment of its own."""
    gaps = np.full(PHASES, -1) if segments_apart else segment_gaps_ns(shortest_gaps_s(models))
    table = FlowTable(gaps)
    table.add(rows)
    capture = Capture(
        paths=(),
        flows=table.flows(),
        packets=table.packets,
        statuses=dict.fromkeys(Status, 0),
        first_ns=table.first_ns or 0,
        last_ns=table.last_ns or 0,
        warnings=(),
        interface_addresses=(),
        drops=0,
    )
    return Analysis(capture, Settings(limits=tuple(limits)), models)


OWN_MODELS = {
    # Every rule that no shipped model combines so.
    "own-established": """engine = "states"
        [counts]
        unit = "entry"
        protocols = ["tcp"]
        begins = "established"
        left_out = ["time_wait", "close"]
        """,
    "own-mapping": """engine = "states"
        [counts]
        unit = "mapping"
        protocols = ["tcp", "udp"]
        [rules]
        two_way_after = "second-request"
        reset_deletes_unanswered = true
        """,
    "own-stream": """engine = "linux"
        [counts]
        unit = "entry"
        protocols = ["tcp", "udp", "icmp", "other"]
        [rules]
        two_way_after = "stream"
        stream_age_s = 0
        """,
    "own-reset": """engine = "states"
        [counts]
        unit = "entry"
        protocols = ["tcp", "udp", "icmp"]
        [rules]
        reset_deletes_unanswered = true
        two_way_after = "reply"
        """,
}
OWN_TIMEOUTS_S = {
    "syn_sent": 20, "syn_repeated": 7, "syn_sent2": 11, "syn_recv": 30, "established": 600, "fin_wait": 60,
    "close_wait": 61, "last_ack": 30, "time_wait": 10, "close": 5, "udp_first": 9, "udp_one_way": 30,
    "udp_two_way": 120, "icmp": 10, "other": 60, "tcp_retransmitted": 100, "tcp_unacknowledged": 300,
}  # fmt: skip


def own_models() -> list[GatewayModel]:
    """Models of our own, through files as a user would write them."""
    with tempfile.TemporaryDirectory() as folder:
        return [_own_model(Path(folder) / f"{name}.toml", text) for name, text in OWN_MODELS.items()]


def _own_model(path: Path, text: str) -> GatewayModel:
    linux = 'engine = "linux"' in text
    phases = [phase for phase in OWN_TIMEOUTS_S if linux or not phase.startswith("tcp_")]
    tables = "".join(f"[timeouts.{phase}]\nseconds = {OWN_TIMEOUTS_S[phase]}\nsource = 'made up'\n" for phase in phases)
    path.write_text(f'name = "{path.stem}"\ntitle = "{path.stem}"\nsummary = "made up"\n{text}\n{tables}')
    return load(path)
