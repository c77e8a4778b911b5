"""One short dialogue for each rule of connection tracking, and dialogues made by chance, as captures.

Every dialogue has a client (10.0.0.0/8) and a server (198.18.0.0/15) of its own. Packets are sent near full seconds,
far from the half seconds at which tables are listed. Sequence numbers count from each end's SYN.
"""

import ipaddress
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.packets_by_hand import NANOSECOND_MAGIC

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
TCP, UDP, ICMP, ICMPV6, ESP = 6, 17, 1, 58, 50
LINKTYPE_RAW = 101
EPOCH_S = 1_700_000_000
CLIENT_ISN, SERVER_ISN = 4_294_967_000, 70_000  # the client's numbers wrap
CLIENT_PORT, SERVER_PORT = 40000, 80

SCALE_7 = bytes([1, 3, 3, 7])
MAY_SACK = bytes([1, 1, 4, 2])


@dataclass(frozen=True, slots=True)
class Sent:
    """One IP packet and the second it is sent at."""

    at_s: float
    packet: bytes


class Dialogue:
    """Packets between one client and one server; times are absolute, numbers relative to each end's first."""

    def __init__(self, number: int, *, v6: bool = False) -> None:
        self.sent: list[Sent] = []
        low = number.to_bytes(2, "big")
        if v6:
            self._ends = (
                ipaddress.ip_address(b"\xfd" + bytes(13) + low),
                ipaddress.ip_address(b"\x20\x01" + bytes(12) + low),
            )
        else:
            self._ends = ipaddress.ip_address(b"\x0a\x00" + low), ipaddress.ip_address(b"\xc6\x12" + low)

    def _send(self, at_s: float, proto: int, body: bytes, *, by_client: bool) -> None:
        source, destination = self._ends if by_client else self._ends[::-1]
        addresses = source.packed + destination.packed
        if source.version == 6:
            header = struct.pack(">IHBB", 6 << 28, len(body), proto, 64) + addresses
        else:
            header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, proto, 0) + addresses
        self.sent.append(Sent(at_s, header + body))

    def _tcp(
        self, by_client: bool, at_s: float, flags: int, seq: int, ack: int, data: int, window: int, options: bytes
    ) -> None:
        mine, yours = (CLIENT_ISN, SERVER_ISN) if by_client else (SERVER_ISN, CLIENT_ISN)
        ports = (CLIENT_PORT, SERVER_PORT) if by_client else (SERVER_PORT, CLIENT_PORT)
        numbers = (seq + mine) % 2**32, ((ack + yours) % 2**32 if flags & ACK else 0)
        words = (*ports, *numbers, (20 + len(options)) << 2, flags, window, 0, 0)
        self._send(at_s, TCP, struct.pack(">HHIIBBHHH", *words) + options + bytes(data), by_client=by_client)

    def client(
        self,
        at_s: float,
        flags: int,
        seq: int = 0,
        ack: int = 0,
        data: int = 0,
        window: int = 8192,
        options: bytes = b"",
    ) -> None:
        """A TCP packet of the client."""
        self._tcp(True, at_s, flags, seq, ack, data, window, options)

    def server(
        self,
        at_s: float,
        flags: int,
        seq: int = 0,
        ack: int = 0,
        data: int = 0,
        window: int = 8192,
        options: bytes = b"",
    ) -> None:
        """A TCP packet of the server."""
        self._tcp(False, at_s, flags, seq, ack, data, window, options)

    def handshake(self, at_s: float = 0, options: bytes = b"", answer: bytes = b"", window: int = 8192) -> None:
        """SYN, SYN+ACK, ACK within 0.2 s."""
        self.client(at_s, SYN, options=options, window=window)
        self.server(at_s + 0.1, SYN | ACK, 0, 1, options=answer, window=window)
        self.client(at_s + 0.2, ACK, 1, 1, window=window)

    def close(self, at_s: float) -> None:
        """The client closes first, a packet a second."""
        self.client(at_s, FIN | ACK, 1, 1)
        self.server(at_s + 1, ACK, 1, 2)
        self.server(at_s + 2, FIN | ACK, 1, 2)
        self.client(at_s + 3, ACK, 2, 2)

    def datagram(self, at_s: float, *, by_client: bool = True, sport: int = CLIENT_PORT, dport: int = 5000) -> None:
        """A UDP packet; ports as the client sees them."""
        ports = (sport, dport) if by_client else (dport, sport)
        self._send(at_s, UDP, struct.pack(">HHHH", *ports, 12, 0) + b"peer", by_client=by_client)

    def icmp(self, at_s: float, kind: int, code: int = 0, rest: bytes = b"\0\7\0\1", *, by_client: bool = True) -> None:
        """An ICMP message; an identifier of 7 unless `rest` says otherwise."""
        proto = ICMPV6 if self._ends[0].version == 6 else ICMP
        self._send(at_s, proto, struct.pack(">BBH", kind, code, 0) + rest, by_client=by_client)

    def other(self, at_s: float, proto: int, *, by_client: bool = True) -> None:
        """A packet of some other protocol."""
        self._send(at_s, proto, bytes(16), by_client=by_client)


RULES: dict[str, Callable[[Dialogue], None]] = {}


def _rule(made: Callable[[Dialogue], None]) -> Callable[[Dialogue], None]:
    RULES[made.__name__] = made
    return made


@_rule
def refused(d: Dialogue) -> None:
    d.client(0, SYN)
    d.server(1, RST | ACK, -SERVER_ISN, 1)


@_rule
def refused_at_the_second_attempt(d: Dialogue) -> None:
    d.client(0, SYN)
    d.client(2, SYN)
    d.server(4, RST | ACK, -SERVER_ISN, 1)


@_rule
def half_open(d: Dialogue) -> None:
    for at in (0, 1, 3, 7):
        d.client(at, SYN)


@_rule
def half_open_answered(d: Dialogue) -> None:
    d.client(0, SYN)
    d.server(1, SYN | ACK, 0, 1)
    d.server(4, SYN | ACK, 0, 1)


@_rule
def syn_with_new_number(d: Dialogue) -> None:
    d.client(0, SYN)
    d.client(3, SYN, seq=5000)
    d.server(5, SYN | ACK, 0, 5001)
    d.client(6, ACK, 5001, 1)


@_rule
def syn_with_old_number(d: Dialogue) -> None:
    d.client(0, SYN, seq=5000)
    d.client(3, SYN, seq=0)
    d.server(5, SYN | ACK, 0, 1)
    d.client(6, ACK, 1, 1)


@_rule
def established(d: Dialogue) -> None:
    d.handshake()
    d.client(2, ACK | PSH, 1, 1, 100)
    d.server(3, ACK, 1, 101)
    d.server(4, ACK | PSH, 1, 101, 500)
    d.client(5, ACK, 101, 501)


@_rule
def closed_by_client(d: Dialogue) -> None:
    d.handshake()
    d.close(2)


@_rule
def closed_by_server(d: Dialogue) -> None:
    d.handshake()
    d.server(2, FIN | ACK, 1, 1)
    d.client(3, ACK, 1, 2)
    d.client(4, FIN | ACK, 1, 2)
    d.server(5, ACK, 2, 2)


@_rule
def closed_with_three_packets(d: Dialogue) -> None:
    d.handshake()
    d.client(2, FIN | ACK, 1, 1)
    d.server(3, FIN | ACK, 1, 2)
    d.client(4, ACK, 2, 2)


@_rule
def closed_half(d: Dialogue) -> None:
    d.handshake()
    d.client(2, FIN | ACK, 1, 1)
    d.server(3, ACK, 1, 2)
    d.server(5, ACK | PSH, 1, 2, 700)
    d.client(6, ACK, 2, 701)


@_rule
def closed_without_the_last_ack(d: Dialogue) -> None:
    d.handshake()
    d.client(2, FIN | ACK, 1, 1)
    d.server(3, FIN | ACK, 1, 2)  # held for 30 s, and gone within this capture


@_rule
def simultaneous_open(d: Dialogue) -> None:
    d.client(0, SYN)
    d.server(1, SYN)
    d.client(2, SYN | ACK, 0, 1)
    d.server(3, SYN | ACK, 0, 1)
    d.client(4, ACK, 1, 1)
    d.server(5, ACK, 1, 1)


@_rule
def simultaneous_open_by_ack(d: Dialogue) -> None:
    d.client(0, SYN)
    d.server(1, SYN)
    d.client(2, SYN | ACK, 0, 1)
    d.server(3, ACK, 1, 1)


@_rule
def simultaneous_close(d: Dialogue) -> None:
    d.handshake()
    d.client(2, FIN | ACK, 1, 1)
    d.server(3, FIN | ACK, 1, 1)
    d.client(4, ACK, 2, 2)
    d.server(5, ACK, 2, 2)


@_rule
def reopened_by_client(d: Dialogue) -> None:
    d.handshake()
    d.close(2)
    d.client(7, SYN, seq=9000)
    d.server(8, SYN | ACK, 9000, 9001)
    d.client(9, ACK, 9001, 9001)


@_rule
def reopened_by_server(d: Dialogue) -> None:
    d.handshake()
    d.close(2)
    d.server(7, SYN, seq=9000)
    d.client(8, SYN | ACK, 9000, 9001)


@_rule
def reset_by_client(d: Dialogue) -> None:
    d.handshake()
    d.client(2, ACK | PSH, 1, 1, 100)
    d.server(3, ACK, 1, 101)
    d.client(4, RST | ACK, 101, 1)  # held for 10 s


@_rule
def reset_after_own_data(d: Dialogue) -> None:
    d.handshake()
    d.client(2, ACK | PSH, 1, 1, 100)
    d.client(4, RST | ACK, 101, 1)


@_rule
def reset_not_exact(d: Dialogue) -> None:
    d.handshake()
    d.server(2, ACK, 1, 1)
    d.client(4, RST, 50)
    d.client(16, ACK, 1, 1)


@_rule
def reset_too_low(d: Dialogue) -> None:
    d.handshake()
    d.client(2, ACK | PSH, 1, 1, 100)
    d.server(3, ACK, 1, 101)
    d.client(4, RST, 20)


@_rule
def reset_too_high(d: Dialogue) -> None:
    d.handshake()
    d.client(2, RST, 1_000_000)


@_rule
def reset_then_syn_by_the_same(d: Dialogue) -> None:
    d.handshake()
    d.client(2, RST, 1)
    d.client(4, SYN, seq=9000)


@_rule
def reset_then_syn_by_the_other(d: Dialogue) -> None:
    d.handshake()
    d.server(2, RST, 1)
    d.client(4, SYN, seq=9000)
    d.client(5, SYN, seq=9000)
    d.server(6, SYN | ACK, 9000, 9001)
    d.client(7, ACK, 9001, 9001)


@_rule
def reset_then_syn_never_answered(d: Dialogue) -> None:
    d.handshake()
    d.server(2, RST, 1)
    d.client(4, SYN, seq=9000)
    d.client(7, SYN, seq=9000)
    d.client(14, SYN, seq=9000)


@_rule
def retransmitted(d: Dialogue) -> None:
    d.handshake()
    for at in (2, 3, 4, 5, 6):
        d.client(at, ACK | PSH, 1, 1, 100)


@_rule
def retransmitted_then_acknowledged(d: Dialogue) -> None:
    d.handshake()
    for at in (2, 3, 4, 5, 6):
        d.client(at, ACK | PSH, 1, 1, 100)
    d.server(8, ACK, 1, 101)


@_rule
def unacknowledged(d: Dialogue) -> None:
    d.handshake()
    d.client(2, ACK | PSH, 1, 1, 100)
    d.server(3, ACK, 1, 51)


@_rule
def window_closed(d: Dialogue) -> None:
    d.handshake()
    d.server(2, ACK, 1, 1, window=0)
    d.client(4, ACK, 1, 1)
    d.server(6, ACK, 1, 1)


@_rule
def picked_up(d: Dialogue) -> None:
    d.client(0, ACK | PSH, 1000, 1000, 100)
    d.client(2, ACK | PSH, 1100, 1000, 100)


@_rule
def picked_up_and_answered(d: Dialogue) -> None:
    d.client(0, ACK | PSH, 1000, 1000, 100)
    d.server(2, ACK, 1000, 1100)
    d.client(3, ACK | PSH, 1100, 1000, 100)
    d.server(4, ACK, 1000, 1200)
    d.client(5, ACK, 500_000, 1000)


@_rule
def picked_up_and_reset(d: Dialogue) -> None:
    d.client(0, ACK, 1000, 1000)
    d.client(2, RST, 1000)


@_rule
def picked_up_and_refused(d: Dialogue) -> None:
    d.client(0, ACK, 1000, 1000)
    d.server(2, RST, 1000)


@_rule
def picked_up_at_the_close(d: Dialogue) -> None:
    d.client(0, FIN | ACK, 1000, 1000)
    d.server(1, ACK, 1000, 1001)
    d.server(2, FIN | ACK, 1000, 1001)
    d.client(3, ACK, 1001, 1001)


@_rule
def picked_up_keep_alive(d: Dialogue) -> None:
    d.client(0, ACK, 999, 1000)
    d.server(1, ACK, 1000, 1000)
    d.client(3, ACK, 999, 1000)
    d.server(4, ACK, 1000, 1000)


@_rule
def never_began(d: Dialogue) -> None:
    d.server(0, SYN | ACK, 0, 1)
    d.server(1, RST, 1)
    d.server(2, FIN | ACK, 1, 1)
    d.client(3, 0, 1)
    d.client(4, FIN | PSH | URG, 1)


@_rule
def beyond_the_window(d: Dialogue) -> None:
    d.handshake()
    d.client(2, ACK | PSH, 1_000_000, 1, 100)
    d.server(4, ACK, 1, 1)


@_rule
def a_little_beyond_the_window(d: Dialogue) -> None:
    d.handshake(window=1000)
    d.client(2, ACK | PSH, 1, 1, 1400)
    d.client(3, ACK | PSH, 1401, 1, 1400)
    d.server(4, ACK, 1, 2801)


@_rule
def before_the_window(d: Dialogue) -> None:
    d.handshake(window=1000)
    for at in range(2, 8, 2):
        d.client(at, ACK | PSH, 1 + 500 * at, 1, 1000)
        d.server(at + 1, ACK, 1, 1 + 500 * at + 1000, window=1000)
    d.client(9, ACK | PSH, 1, 1, 10)


@_rule
def acknowledges_what_nobody_sent(d: Dialogue) -> None:
    d.handshake()
    d.client(2, ACK, 1, 5000)


@_rule
def fin_outside_from_both(d: Dialogue) -> None:
    d.handshake()
    d.client(2, FIN | ACK, 1_000_000, 1)
    d.server(3, FIN | ACK, 1_000_000, 1)
    d.server(5, ACK, 1, 1)


@_rule
def fin_outside_again(d: Dialogue) -> None:
    d.handshake()
    d.client(2, ACK | PSH, 1, 1, 100)
    d.server(2.1, ACK, 1, 101)
    d.client(3, FIN | ACK, 1_000_000, 1)
    d.client(4, FIN | ACK, 1_000_000, 1)
    d.server(6, FIN | ACK, 1_000_000, 1)


@_rule
def syn_ignored_then_in_step(d: Dialogue) -> None:
    d.handshake()
    d.client(2, SYN, seq=90_000, options=SCALE_7)
    d.server(3, SYN | ACK, 90_000, 90_001, options=SCALE_7)
    d.client(4, ACK, 90_001, 90_001)


@_rule
def syn_ignored_then_challenged(d: Dialogue) -> None:
    d.handshake()
    d.client(2, SYN, seq=90_000)
    d.server(3, ACK, 1, 1)
    d.client(4, RST, 1)


@_rule
def syn_ignored_then_refused(d: Dialogue) -> None:
    d.handshake()
    d.client(2, SYN, seq=90_000)
    d.server(3, RST | ACK, -SERVER_ISN, 90_001)


@_rule
def syn_while_waiting_for_the_last_ack(d: Dialogue) -> None:
    d.handshake()
    d.client(2, FIN | ACK, 1, 1)
    d.server(3, FIN | ACK, 1, 2)
    d.client(4, SYN, seq=90_000)
    d.server(5, ACK, 2, 2)
    d.server(6, ACK, 2, 2)


@_rule
def half_open_met_by_ack(d: Dialogue) -> None:
    d.client(0, SYN)
    d.server(1, ACK, 7000, 3000)
    d.client(2, RST, 3000)


@_rule
def half_open_met_by_another_ack(d: Dialogue) -> None:
    d.client(0, SYN)
    d.server(1, ACK, 7000, 3000)
    d.client(2, RST, 5)


@_rule
def syn_ack_by_client(d: Dialogue) -> None:
    d.handshake()
    d.client(2, SYN | ACK, 1, 1)
    d.server(4, SYN | ACK, 0, 1)


@_rule
def scaled(d: Dialogue) -> None:
    d.handshake(options=SCALE_7, answer=SCALE_7)
    d.server(2, ACK, 1, 1, window=1000)
    for at in range(3, 8):
        d.client(at, ACK | PSH, 1 + 20_000 * (at - 3), 1, 20_000)


@_rule
def scaled_by_one_end_only(d: Dialogue) -> None:
    d.handshake(options=SCALE_7, window=1000)
    d.server(2, ACK, 1, 1, window=1000)
    for at in range(3, 8):
        d.client(at, ACK | PSH, 1 + 20_000 * (at - 3), 1, 20_000)


@_rule
def selectively_acknowledged(d: Dialogue) -> None:
    d.handshake(options=MAY_SACK, answer=MAY_SACK, window=2000)
    d.client(2, ACK | PSH, 1, 1, 500)
    d.client(2.1, ACK | PSH, 501, 1, 500)
    edges = [(CLIENT_ISN + edge) % 2**32 for edge in (501, 1001)]
    d.server(3, ACK, 1, 1, window=1000, options=bytes([1, 1, 5, 10]) + struct.pack(">II", *edges))
    d.client(4, ACK | PSH, 1900, 1, 500)
    d.server(5, ACK, 1, 2400)


@_rule
def datagram_alone(d: Dialogue) -> None:
    d.datagram(0)
    d.datagram(3)


@_rule
def datagram_answered(d: Dialogue) -> None:
    d.datagram(0)
    d.datagram(1, by_client=False)


@_rule
def datagrams_within_two_seconds(d: Dialogue) -> None:
    d.datagram(0)
    d.datagram(0.2, by_client=False)
    d.datagram(1.8)


@_rule
def datagrams_after_two_seconds(d: Dialogue) -> None:
    d.datagram(0)
    d.datagram(1, by_client=False)
    d.datagram(3)
    d.datagram(4, by_client=False)


@_rule
def datagram_answered_late(d: Dialogue) -> None:
    d.datagram(0)
    d.datagram(5, by_client=False)
    d.datagram(7, by_client=False)


@_rule
def datagram_answered_too_late(d: Dialogue) -> None:
    d.datagram(0)
    d.datagram(31, by_client=False)


@_rule
def datagrams_from_one_port(d: Dialogue) -> None:
    for port in range(5000, 5020):
        d.datagram(1, dport=port)


@_rule
def ping(d: Dialogue) -> None:
    d.icmp(0, 8)
    d.icmp(0.2, 0, by_client=False)
    d.icmp(3, 8)


@_rule
def ping_alone(d: Dialogue) -> None:
    d.icmp(0, 8)


@_rule
def pong_alone(d: Dialogue) -> None:
    d.icmp(0, 0, by_client=False)


@_rule
def unreachable(d: Dialogue) -> None:
    d.datagram(0)
    d.icmp(3, 3, 3, bytes(4) + d.sent[0].packet, by_client=False)


@_rule
def unreachable_of_nothing(d: Dialogue) -> None:
    d.datagram(0)
    quoted = d.sent.pop().packet
    d.icmp(3, 3, 3, bytes(4) + quoted, by_client=False)


@_rule
def another_protocol(d: Dialogue) -> None:
    d.other(0, ESP)
    d.other(3, ESP, by_client=False)


def by_chance(d: Dialogue, dice: random.Random, length: int) -> None:
    """A dialogue whose every packet is likely or unlikely by chance, about one a second."""
    options = [b"", SCALE_7, MAY_SACK, MAY_SACK + SCALE_7]
    top = {True: 1, False: 1}
    kinds = [SYN, SYN | ACK, ACK, ACK | PSH, FIN | ACK, RST, RST | ACK]
    if dice.random() < 0.7:
        d.handshake(0, dice.choice(options), dice.choice(options), dice.choice([1, 500, 8192, 65535]))
    for at in range(1, length):
        by_client = dice.random() < 0.55
        flags = dice.choices(kinds, [3, 2, 6, 8, 3, 2, 1])[0]
        seq = top[by_client] + dice.choices([0, -1, 1, -300, 700, 70_000, 3_000_000], [14, 2, 2, 2, 2, 1, 1])[0]
        ack = top[not by_client] + dice.choices([0, -1, 1, -300, 700, -70_000], [16, 2, 1, 2, 1, 1])[0]
        if flags & SYN:
            seq = dice.choice([0, seq, 40_000 + 1000 * at])
        data = dice.choice([0, 1, 300, 1400]) if flags & PSH else 0
        window = dice.choices([8192, 65535, 500, 0], [6, 2, 2, 1])[0]
        said = (at + 0.25 * dice.random(), flags, seq, ack, data, window, dice.choice(options) if flags & SYN else b"")
        (d.client if by_client else d.server)(*said)
        if flags in (ACK | PSH, FIN | ACK) or (flags & SYN and dice.random() < 0.5):
            top[by_client] = max(top[by_client], seq + data + bool(flags & (FIN | SYN)))


def crafted(chance_dialogues: int = 0, length: int = 30, seed: int = 7) -> tuple[dict[str, str], list[Sent]]:
    """(rule by client address, all packets in order of time) of every rule and of dialogues by chance."""
    names, sent = {}, []
    for number, (name, rule) in enumerate(RULES.items(), start=1):
        dialogue = Dialogue(number)
        rule(dialogue)
        names[str(ipaddress.ip_address(b"\x0a\x00" + number.to_bytes(2, "big")))] = name
        sent += dialogue.sent
    for number in range(chance_dialogues):
        dialogue = Dialogue(0x1000 + number, v6=number % 10 == 9)
        by_chance(dialogue, random.Random(seed * 1_000_003 + number), length)
        sent += dialogue.sent
    return names, sorted(sent, key=lambda packet: packet.at_s)


def write(path: Path, sent: list[Sent]) -> None:
    """Write packets as a pcap file of raw IP with nanoseconds."""
    data = [struct.pack("<IHHiIII", NANOSECOND_MAGIC, 2, 4, 0, 0, 262144, LINKTYPE_RAW)]
    for packet in sent:
        at_ns = round(packet.at_s * 1_000_000_000)
        length = len(packet.packet)
        data.append(struct.pack("<IIII", EPOCH_S + at_ns // 10**9, at_ns % 10**9, length, length) + packet.packet)
    path.write_bytes(b"".join(data))
