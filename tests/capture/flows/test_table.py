"""The flow table against the reference, and what it must never lose."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerburst.capture.conntrack.states import Phase
from peerburst.capture.flows import table
from peerburst.capture.flows.five_tuple import tuple_ports
from peerburst.capture.flows.originator import settle
from peerburst.capture.flows.partition import Partitioner
from peerburst.capture.flows.record import FIRST_IS_A, FLOW, ORIG_IS_A
from peerburst.capture.flows.segments import segment_gaps_ns
from peerburst.capture.flows.table import FIRST_CAPACITY, FlowTable
from peerburst.capture.packets.record import PACKET
from peerburst.capture.packets.status import Status
from tests.support.bytes_generated import conversations
from tests.support.bytes_through_kernels import agree, as_rows, flow_facts, history, segment_facts, table_of
from tests.support.kernels import COMPILED
from tests.support.reference import ACK, FIN, PSH, RST, SECOND, SYN, Packet

CLIENT, SERVER = 0xFFFF_0A000009, 0xFFFF_0A000001  # the client's address is the larger


def tcp(
    seconds: float, sport: int, dport: int, flags: int, payload: int = 0, src: int = CLIENT, dst: int = SERVER
) -> Packet:
    ts = round(seconds * SECOND)
    return Packet(
        ts=ts, src=src, dst=dst, proto=6, sport=sport, dport=dport, flags=flags, payload=payload, ip_bytes=40 + payload
    )


def answer(seconds: float, sport: int, dport: int, flags: int, payload: int = 0) -> Packet:
    return tcp(seconds, sport, dport, flags, payload, SERVER, CLIENT)


def udp(seconds: float, sport: int, dport: int, src: int = CLIENT, dst: int = SERVER) -> Packet:
    return Packet(
        ts=round(seconds * SECOND), src=src, dst=dst, proto=17, sport=sport, dport=dport, ip_bytes=60, payload=32
    )


@given(conversations(), st.sampled_from([{}, {Phase.UDP: 1.0, Phase.SYN_SENT: 0.4}]), st.sampled_from([1, 7, 4096]))
def test_the_table_is_the_references(packets: list[Packet], gaps_s: dict[Phase, float], batch: int) -> None:
    agree(packets, gaps_s, batch)


@given(conversations())
def test_nothing_is_lost_and_time_goes_on(packets: list[Packet]) -> None:
    table = table_of(as_rows(packets))
    flows = table.flows()
    decoded = [packet for packet in packets if packet.status is Status.DECODED]
    assert table.packets == table.statuses.sum() == len(packets)
    assert table.statuses[Status.DECODED] == len(decoded)
    assert flows.row["a_pkts"].sum() + flows.row["b_pkts"].sum() == len(decoded)
    data = int(flows.row["a_bytes"].sum()) + int(flows.row["b_bytes"].sum())
    assert data == sum(packet.ip_bytes for packet in decoded)
    assert (table.first_ns, table.last_ns) == (min(p.ts for p in packets), max(p.ts for p in packets))
    assert (flows.segments["start"] <= flows.segments["last"]).all()
    for flow in range(flows.row.size):
        own = flows.segments[flows.first_segment[flow] : flows.first_segment[flow + 1]]
        assert own.size
        assert (own["flow"] == flow).all()
        assert (own["start"][1:] >= own["last"][:-1]).all()
        assert own["last"][-1] == flows.row["last"][flow]


def test_a_connection_told_in_full() -> None:
    table = agree(
        [
            tcp(0, 40000, 443, SYN),
            answer(0.1, 443, 40000, SYN | ACK),
            tcp(0.2, 40000, 443, ACK),
            tcp(0.3, 40000, 443, PSH | ACK, 100),
            answer(0.4, 443, 40000, PSH | ACK, 900),
            tcp(0.5, 40000, 443, FIN | ACK),
            answer(0.6, 443, 40000, FIN | ACK),
            tcp(0.7, 40000, 443, ACK),
        ]
    )
    (row,) = table.flows().row
    assert (int(row["a_lo"]), int(row["a_port"]), int(row["b_lo"]), int(row["b_port"])) == (SERVER, 443, CLIENT, 40000)
    assert not row["flags"] & ORIG_IS_A
    assert (row["a_pkts"], row["b_pkts"], row["a_bytes"], row["b_bytes"]) == (3, 5, 40 + 940 + 40, 4 * 40 + 140)
    # Zeek would write ShADadFf; here capitals are the end called a, which is the server.
    assert history(int(row["history"])) == "sHadDfF"


# first packet seen: whether its sender is the originator
ORIGINS = {
    "a SYN, even from a server's port": (tcp(0, 443, 40000, SYN), True),
    "a SYN+ACK": (tcp(0, 40000, 443, SYN | ACK), False),
    "mid-stream, towards a server": (tcp(0, 40000, 443, ACK), True),
    "mid-stream, from a server": (tcp(0, 443, 40000, ACK), False),
    "mid-stream, neither a server's": (tcp(0, 40000, 40001, ACK), True),
    "mid-stream, both servers'": (tcp(0, 443, 80, ACK), True),
    "a reset from a server": (tcp(0, 443, 40000, RST), False),
    "UDP towards a server": (udp(0, 40000, 53), True),
    "UDP from a server": (udp(0, 53, 40000), False),
    "UDP between servers": (udp(0, 53, 53), True),
    "UDP of port 0": (udp(0, 0, 40000), True),
}


@pytest.mark.parametrize("name", ORIGINS)
def test_who_began(name: str) -> None:
    packet, sender_began = ORIGINS[name]
    (row,) = agree([packet]).flows().row
    sender_is_a = (packet.src, packet.sport) <= (packet.dst, packet.dport)
    assert bool(row["flags"] & ORIG_IS_A) == (sender_is_a == sender_began)


EARLY = udp(0, 1, 2)  # the capture begins here


def first_sender_began(table: FlowTable) -> list[bool]:
    """Per flow but the first, whether who sent the first packet seen began it."""
    flags = table.flows().row["flags"][1:]
    return [bool(flag & ORIG_IS_A) == bool(flag & FIRST_IS_A) for flag in flags.tolist()]


@pytest.mark.parametrize(("at_s", "began"), [(1, False), (29.999, False), (30, True), (3000, True)])
def test_ports_tell_who_began_only_while_a_flow_may_be_older_than_the_capture(at_s: float, began: bool) -> None:
    assert first_sender_began(agree([EARLY, udp(at_s, 443, 40000)])) == [began]
    assert first_sender_began(agree([EARLY, udp(at_s, 40000, 443)])) == [True]
    # TCP without a SYN was met in its midst, however late.
    assert first_sender_began(agree([EARLY, tcp(at_s, 443, 40000, ACK)])) == [False]


@pytest.mark.parametrize("late_ms", [1, 20, 50])
def test_an_answer_dated_before_its_question_turns_nothing_round(late_ms: int) -> None:
    at = 60 + late_ms / 1000
    dns = [EARLY, udp(60, 53, 40000, SERVER, CLIENT), udp(at, 40000, 53)]
    handshake = [tcp(60.2, 443, 50000, SYN | ACK, 0, SERVER, CLIENT), tcp(at + 0.2, 50000, 443, SYN)]
    data_first = [tcp(60.4, 7000, 50001, ACK, 9, SERVER, CLIENT), tcp(at + 0.4, 50001, 7000, SYN)]
    ping = [icmp(0, 0, 7, SERVER, CLIENT), icmp(8, 0, 7)]
    assert first_sender_began(agree([*dns, *handshake, *data_first, *ping])) == [False] * 4
    assert first_sender_began(agree([EARLY, udp(60, 53, 40000), answer_to(60.051, 53, 40000)])) == [True]


def answer_to(seconds: float, sport: int, dport: int) -> Packet:
    """The datagram back to the client."""
    return udp(seconds, dport, sport, SERVER, CLIENT)


@pytest.mark.parametrize("port", [443, 53, 4500])
def test_who_speaks_first_to_others_from_a_servers_port_began_them_all(port: int) -> None:
    peers = [0xFFFF_08080800 + number for number in range(20)]
    first = [udp(number * 2, port, 40000 + number, CLIENT, peer) for number, peer in enumerate(peers)]
    back = [udp(number * 2 + 0.01, 40000 + number, port, peers[number], CLIENT) for number in range(0, 20, 2)]
    later = [udp(100, port, 50000, CLIENT, 0xFFFF_09090909)]  # beyond doubt
    packets = sorted([*first, *back, *later], key=lambda packet: packet.ts)
    flags = agree(packets).flows().row["flags"]
    assert [bool(flag & ORIG_IS_A) == bool(flag & FIRST_IS_A) for flag in flags.tolist()] == [True] * 21
    # The same socket, asked more often than it speaks first: a server.
    asked = [udp(101 + number, 50000, port, 0xFFFF_07070700 + number, CLIENT) for number in range(30)]
    flags = agree([*packets, *asked]).flows().row["flags"][: len(first)]
    turned = [bool(flag & ORIG_IS_A) != bool(flag & FIRST_IS_A) for flag in flags.tolist()]
    assert turned == [packet.ts < 30 * SECOND or number % 2 == 0 for number, packet in enumerate(first)]


def test_one_direction_may_turn_out_to_be_two() -> None:
    table = agree([EARLY, udp(60, 443, 40000), udp(5, 53, 40001)])
    flows = table.flows()
    for one_way, began in ((False, [True, False]), (True, [False, False]), (False, [True, False])):
        settle(flows, 0, one_way=one_way)
        assert [bool(f & ORIG_IS_A) == bool(f & FIRST_IS_A) for f in flows.row["flags"][1:].tolist()] == began


def test_a_login_of_a_few_seconds_from_a_servers_port_is_no_server() -> None:
    peers = [udp(number / 2, 443, 40000 + number, CLIENT, 0xFFFF_08080800 + number) for number in range(30)]
    flags = agree(peers).flows().row["flags"]
    assert all(bool(flag & ORIG_IS_A) == bool(flag & FIRST_IS_A) for flag in flags.tolist())


def test_a_flood_from_all_ports_is_no_answer_where_a_port_is_a_servers() -> None:
    packets = [udp(port / 1000, port, 50000) for port in range(1000, 1100)]
    assert first_sender_began(agree([EARLY, *packets])) == [True] * 100
    assert first_sender_began(agree([EARLY, *packets[-20:], udp(3, 80, 50000)])) == [True] * 21
    assert first_sender_began(agree([EARLY, *packets[-20:], udp(3, 80, 50001)])) == [True] * 20 + [False]


OVER_S = {17: 350, 136: 350, 1: 350, 47: 86400, 6: 432000}


@pytest.mark.parametrize("proto", OVER_S)
def test_a_flow_silent_for_as_long_as_no_gateway_remembers_has_ended(proto: int) -> None:
    def packet(at_s: float) -> Packet:
        kind = {"icmp_type": 8, "icmp_id": 7} if proto == 1 else {"flags": ACK} if proto == 6 else {}
        return Packet(ts=round(at_s * SECOND), src=CLIENT, dst=SERVER, proto=proto, ip_bytes=60, **kind)

    over = OVER_S[proto]
    assert agree([packet(0), packet(over - 0.001)]).flows().row.size == 1
    flows = agree([packet(0), packet(over), packet(over + 1)]).flows().row
    assert flows["successor"].tolist() == [1, -1]
    assert (flows["a_pkts"] + flows["b_pkts"]).tolist() == [1, 2]


def test_silence_ends_a_segment_and_a_shorter_gap_may_be_asked_for() -> None:
    packets = [udp(seconds, 40000, 40001) for seconds in (0, 3, 8, 13.1, 14)]
    assert table_of(as_rows(packets)).flows().segments["start"].tolist() == [0, 13_100_000_000]
    finer = agree(packets, {Phase.UDP: 2.0})
    assert (finer.flows().segments["start"] // SECOND).tolist() == [0, 3, 8, 13]


def test_a_second_of_silence_is_a_pause_whoever_breaks_it() -> None:
    at_s = (0, 0.999, 1.999, 2.5, 9, 9.9)  # one second, then six and a half
    talk = [udp(at, 1, 2) if i % 2 else udp(at, 2, 1, SERVER, CLIENT) for i, at in enumerate(at_s)]
    pings = [Packet(ts=one.ts, src=CLIENT, dst=SERVER, proto=1, icmp_type=8, ip_bytes=60) for one in talk]
    assert agree(talk + pings).flows().row["pauses"].tolist() == [2, 0]  # of ICMP they are not counted


def icmp(icmp_type: int, code: int = 0, identifier: int = 0, src: int = CLIENT, dst: int = SERVER) -> Packet:
    return Packet(src=src, dst=dst, proto=1, icmp_type=icmp_type, icmp_code=code, icmp_id=identifier, ip_bytes=60)


def test_icmp_queries_are_told_apart_by_identifier_and_errors_by_type_code_and_way() -> None:
    flows = agree(
        [
            icmp(8, 0, 7),
            icmp(0, 0, 7, SERVER, CLIENT),  # the reply to it
            icmp(13, 0, 7),  # another query of that identifier
            icmp(8, 0, 8),
            icmp(3, 3),
            icmp(3, 1),
            icmp(3, 3, 0, SERVER, CLIENT),
            icmp(3, 3),
        ]
    ).flows()
    assert (flows.row["a_pkts"] + flows.row["b_pkts"]).tolist() == [3, 1, 2, 1, 1]
    assert flows.row["icmp_type"].tolist() == [8, 8, 3, 3, 3]
    assert flows.row["icmp_code"].tolist() == [0, 0, 3, 1, 3]
    assert not flows.row["a_port"].any()
    assert not flows.row["b_port"].any()
    a_port, b_port = tuple_ports(flows.row)  # the client is end b
    assert a_port.tolist() == [7, 8, 0, 0, 0x0303]
    assert b_port.tolist() == [7, 8, 0x0303, 0x0301, 0]


def test_what_only_one_protocol_has_shares_its_room() -> None:
    (tcp_row, udp_row, ping) = agree([tcp(0, 1, 2, ACK), udp(1, 1, 2), icmp(8, 0, 7)]).flows().row
    assert tcp_row["established"] == 0
    assert udp_row["stream_ts"] == 3 * SECOND
    assert (ping["icmp_type"], ping["icmp_id"]) == (8, 7)
    assert FLOW.itemsize == 128


def test_gaps_are_never_longer_than_talking() -> None:
    gaps = segment_gaps_ns({Phase.UDP: 2.5, Phase.ICMP: 60})
    assert gaps[Phase.UDP] == 2_500_000_000 - 1
    assert gaps[Phase.ICMP] == gaps[Phase.NONE] == 5 * SECOND


def test_a_silence_of_just_a_timeout_ends_a_segment() -> None:
    # An entry that lives for two seconds from a packet at 3 s is gone at 5 s, not just after.
    packets = [udp(seconds, 40000, 40001) for seconds in (0, 1.999, 3, 5)]
    assert (agree(packets, {Phase.UDP: 2.0}).flows().segments["start"] // SECOND).tolist() == [0, 5]


def test_a_packet_dated_before_its_flow_counts_as_of_the_flows_latest() -> None:
    # Captures merged without sorting, and cards with several queues, date packets backwards.
    table = agree([udp(100, 1, 2), udp(50, 2, 1, SERVER, CLIENT), udp(106, 1, 2), udp(40, 1, 2)])
    assert (table.flows().segments["start"] // SECOND).tolist() == [100, 106]
    assert (table.flows().segments["last"] // SECOND).tolist() == [100, 106]
    assert (table.first_ns, table.last_ns) == (40 * SECOND, 106 * SECOND)


def test_a_flow_to_oneself() -> None:
    looped = tcp(0, 5000, 5000, SYN, 0, SERVER, SERVER)
    (row,) = agree([looped, looped]).flows().row
    assert (row["a_pkts"], row["b_pkts"]) == (2, 0)


def test_protocols_and_families_keep_apart() -> None:
    mapped = udp(0, 1, 2)
    native = Packet(proto=17, src=0x20010DB8 << 96 | CLIENT, dst=0x20010DB8 << 96 | SERVER, sport=1, dport=2)
    assert agree([mapped, native, tcp(0, 1, 2, SYN)]).flows().row.size == 3


def test_the_table_grows() -> None:
    count = 3 * FIRST_CAPACITY if COMPILED else FIRST_CAPACITY + 300
    rows = np.zeros(2 * count, PACKET)
    rows["src_lo"], rows["dst_lo"], rows["proto"], rows["ip_bytes"] = CLIENT, SERVER, 17, 100
    rows["sport"], rows["ts"] = np.arange(2 * count) % count, np.arange(2 * count) // count * SECOND
    table = table_of(rows)
    flows = table.flows()
    assert flows.row.size == count
    assert (flows.row["b_pkts"] == 2).all()
    assert flows.row["b_port"].tolist() == list(range(count))
    assert flows.segments.size == count


def to_many(targets: list[int]) -> "np.ndarray[tuple[int], np.dtype[np.void]]":
    """A UDP packet to each of these addresses, a millisecond apart."""
    rows = np.zeros(len(targets), PACKET)
    rows["src_lo"], rows["dst_lo"], rows["proto"], rows["sport"], rows["dport"] = 1, targets, 17, 7, 9
    rows["ts"] = np.arange(len(targets)) * 1_000_000
    return rows


@pytest.mark.parametrize("batch", [1, 64, 1000])
def test_slots_grow_and_hold_what_they_held(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    packets = to_many([*range(2, 1000), *range(2, 1500), *range(900, 2000)])
    wide = FlowTable()
    wide.add(packets)
    monkeypatch.setattr(table, "LEAST_SLOTS", 8)
    narrow = FlowTable()
    for first in range(0, packets.size, batch):
        narrow.add(packets[first : first + batch])
    left, right = narrow.flows(), wide.flows()
    assert left.row.size == len(range(2, 2000))
    assert (left.row == right.row).all()


@pytest.mark.parametrize("between", [0, 40])
def test_flows_of_one_hash_are_told_apart(between: int) -> None:
    # Whether the second one's place is looked up before the first one is there, or after.
    one, other = 32932, 147962
    pair = to_many([one, *range(2, 2 + between), other, one, other, other])
    table = FlowTable(seed=5)
    hashes = (Partitioner(5, 1).partition(pair).hashes >> 1).tolist()
    assert hashes[0] == hashes[-1]
    table.add(pair)
    flows = table.flows().row
    counts = {int(row["b_lo"]): int(row["a_pkts"] + row["b_pkts"]) for row in flows}
    assert flows.size == between + 2
    assert (counts[one], counts[other]) == (2, 3)


def test_many_segments_of_one_flow_grow_too() -> None:
    count = 2 * FIRST_CAPACITY if COMPILED else FIRST_CAPACITY + 300
    rows = np.zeros(count, PACKET)
    rows["src_lo"], rows["dst_lo"], rows["proto"] = CLIENT, SERVER, 17
    rows["ts"] = np.arange(count) * 10 * SECOND
    assert (table_of(rows, batch=500).flows().segments["start"] == rows["ts"]).all()


def test_asking_does_not_change_what_is_asked_for() -> None:
    first, second = [udp(0, 1, 2), tcp(0, 3, 4, SYN)], [udp(20, 1, 2), tcp(1, 3, 4, SYN)]
    table = FlowTable()
    table.add(as_rows(first))
    table.flows()
    table.add(as_rows(second))
    assert segment_facts(table) == segment_facts(agree(first + second))
    assert flow_facts(table) == flow_facts(table)


def test_an_empty_table_and_an_empty_batch() -> None:
    table = FlowTable()
    table.add(np.zeros(0, PACKET))
    flows = table.flows()
    assert (flows.row.size, flows.segments.size, flows.first_segment.tolist()) == (0, 0, [0])
    assert (table.packets, table.first_ns, table.last_ns) == (0, None, None)


def test_what_is_not_decoded_is_counted_and_opens_nothing() -> None:
    table = table_of(as_rows([Packet(status=status) for status in Status if status is not Status.DECODED]))
    assert table.flows().row.size == 0
    assert table.statuses.tolist() == [0] + [1] * (len(Status) - 1)
