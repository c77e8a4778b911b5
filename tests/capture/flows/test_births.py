"""What a flow keeps of its first packet's frame: the same in one capture, several, live sessions and on disk."""

from pathlib import Path

import numpy as np
import pytest

from peerburst.analysis.live import spill
from peerburst.analysis.live.spill import Part
from peerburst.capture.files.source import PacketSource
from peerburst.capture.flows.record import BIRTH, FLOW, Flows
from peerburst.capture.flows.table import FlowTable
from peerburst.capture.packets.frame_ends import OUTGOING
from peerburst.capture.read import read
from tests.support import packets_by_hand
from tests.support.making import HOST, OTHER_HOST, Tape, local, remote
from tests.support.packets_by_hand import SYN, cooked2, ethernet, ipv4, tcp

PC, OTHER, ROUTER = "02:00:00:00:00:0a", "02:00:00:00:00:0b", "02:00:00:00:00:fe"
PC_NUMBER, OTHER_NUMBER, ROUTER_NUMBER = 0x0200_0000_000A, 0x0200_0000_000B, 0x0200_0000_00FE


def tape() -> Tape:
    made = Tape({HOST: PC, OTHER_HOST: OTHER}, beyond=ROUTER)
    made.connection(0, local(5000), remote(1))
    made.udp(0.5, remote(2), (OTHER_HOST, 6000), 33)
    made.exchange(1, (OTHER_HOST, 7000), remote(3))
    return made


EXPECTED = [(PC_NUMBER, ROUTER_NUMBER), (ROUTER_NUMBER, OTHER_NUMBER), (OTHER_NUMBER, ROUTER_NUMBER)]


def ends(flows: Flows) -> list[tuple[int, int]]:
    return [(int(sender), int(receiver)) for sender, receiver in flows.evidence()[["sender", "receiver"]].tolist()]


def test_the_first_packet_s_frame_is_kept(tmp_path: Path) -> None:
    flows = read([tape().write(tmp_path / "made.pcap")]).flows
    assert ends(flows) == EXPECTED
    assert flows.evidence()["hop_limit"].tolist() == [64, 64, 64]
    assert flows.evidence()["ip_bytes"].tolist()[1] == 20 + 8 + 33


def test_several_captures_say_the_same(tmp_path: Path) -> None:
    first, second = Tape({HOST: PC}, beyond=ROUTER), Tape({OTHER_HOST: OTHER}, beyond=ROUTER)
    for i in range(20):
        first.udp(i, local(5000 + i), remote(i))
        second.udp(i + 0.5, (OTHER_HOST, 5000 + i), remote(i))
    flows = read([first.write(tmp_path / "a.pcap"), second.write(tmp_path / "b.pcap")]).flows
    assert ends(flows) == [(PC_NUMBER, ROUTER_NUMBER), (OTHER_NUMBER, ROUTER_NUMBER)] * 20


def test_cooked_captures_tell_way_and_interface(tmp_path: Path) -> None:
    packet = ipv4(tcp(5000, 443, SYN), src=HOST, dst="8.8.8.8")
    frames = [(1, 0, cooked2(packet, way=4, interface=7, sender=PC))]
    (tmp_path / "made.pcap").write_bytes(packets_by_hand.pcap(frames, link=276))
    birth = read([str(tmp_path / "made.pcap")]).flows.evidence()[0]
    assert (birth["sender"], birth["receiver"]) == (PC_NUMBER, 0)
    assert (birth["way"], birth["interface"]) == (OUTGOING, 7)


def test_the_frame_inside_a_tunnel_is_the_one_that_counts(tmp_path: Path) -> None:
    inner = ethernet(ipv4(tcp(5000, 443, SYN), src=HOST, dst="8.8.8.8"), source=PC, target=ROUTER)
    outer = ipv4(packets_by_hand.udp(65000, 4789, b"\x08" + bytes(7) + inner), packets_by_hand.UDP)
    (tmp_path / "made.pcap").write_bytes(packets_by_hand.pcap([(1, 0, ethernet(outer))]))
    assert ends(read([str(tmp_path / "made.pcap")], follow_tunnels=True).flows) == [(PC_NUMBER, ROUTER_NUMBER)]


@pytest.mark.parametrize("kept", [[True, False, True], [False, True, True]])
def test_a_compacted_table_keeps_those_of_the_kept(tmp_path: Path, kept: list[bool]) -> None:
    table = FlowTable()
    for packets in PacketSource(tape().write(tmp_path / "made.pcap")).batches():
        table.add(packets)
    table.compact(np.array(kept))
    assert ends(table.flows()) == [pair for pair, stays in zip(EXPECTED, kept, strict=True) if stays]


def test_they_go_to_disk_and_come_back(tmp_path: Path) -> None:
    flows = read([tape().write(tmp_path / "made.pcap")]).flows
    part = Part(flows, np.arange(flows.row.size), np.zeros(flows.row.size, np.bool_))
    spill.write(tmp_path / "retired.parquet", part)
    back = spill.read(tmp_path / "retired.parquet")
    assert (back.flows.evidence() == flows.evidence()).all()
    assert ends(spill.join([back.take(np.array([True, False, True]))], 1).flows) == [EXPECTED[0], EXPECTED[2]]


def test_where_nothing_is_known_nothing_is_said() -> None:
    flows = Flows(np.zeros(3, FLOW), np.zeros(0), np.zeros(4, np.int64))
    assert (flows.evidence() == np.zeros(3, BIRTH)).all()
