"""A table in shards answers as one: the same flows in the same order, the same segments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerburst.capture.flows import sharded
from peerburst.capture.flows.partition import Partitioner, new_seed
from peerburst.capture.flows.sharded import ShardedFlowTable
from peerburst.capture.flows.table import FlowTable
from peerburst.capture.packets.record import PACKET
from peerburst.capture.read import read
from tests.support.bytes_generated import conversations
from tests.support.bytes_through_kernels import as_rows
from tests.support.kernels import COMPILED
from tests.support.paths import PCAPS
from tests.support.reference import Packet


def filled(rows: "np.ndarray[tuple[int], np.dtype[np.void]]", shards: int, batch: int) -> ShardedFlowTable:
    table = ShardedFlowTable(shards=shards)
    for first in range(0, rows.size, batch):
        packets = rows[first : first + batch]
        partition = table.partition(packets)
        for shard in range(shards):
            table.enter(packets, partition, first, shard)
    return table


@given(conversations(), st.sampled_from([2, 4]), st.sampled_from([1, 7, 4096]), st.sampled_from([3, 1 << 18]))
def test_shards_answer_as_one_table(packets: list[Packet], shards: int, batch: int, placed_at_once: int) -> None:
    rows = as_rows(packets)
    alone = FlowTable()
    for first in range(0, rows.size, batch):
        alone.add(rows[first : first + batch])
    table = filled(rows, shards, batch)
    assert (table.packets, table.first_ns, table.last_ns) == (alone.packets, alone.first_ns, alone.last_ns)
    assert table.statuses.tolist() == alone.statuses.tolist()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sharded, "PLACED_AT_ONCE", placed_at_once)
        united, one = table.finish(), alone.finish()
    assert (united.row == one.row).all()
    assert united.row.size == one.row.size
    assert (united.segments == one.segments).all()
    assert united.first_segment.tolist() == one.first_segment.tolist()


def many(count: int) -> "np.ndarray[tuple[int], np.dtype[np.void]]":
    rows = np.zeros(count, PACKET)
    rows["src_lo"], rows["dst_lo"], rows["proto"] = 1, np.arange(2, count + 2), 17
    rows["sport"], rows["dport"], rows["ts"] = 7, 9, np.arange(count)
    return rows


@pytest.mark.parametrize("shards", [1, 2, 4])
def test_packets_fall_to_one_shard_each_in_order_and_evenly(shards: int) -> None:
    rows = many(4000)
    rows["status"][::10] = 1
    partition = Partitioner(new_seed(), shards).partition(rows)
    assert sorted(partition.chosen.tolist()) == list(range(rows.size))
    for shard in range(shards):
        chosen, hashes = partition.of(shard)
        assert (np.diff(chosen) > 0).all()
        assert ((hashes < 0) == (rows["status"][chosen] != 0)).all()
        assert chosen[hashes >= 0].size == pytest.approx(3600 / shards, rel=0.2)


def test_both_ways_of_a_flow_fall_to_one_shard_with_one_hash() -> None:
    there = many(500)
    back = there.copy()
    for mine, other in (("src_hi", "dst_hi"), ("src_lo", "dst_lo"), ("sport", "dport")):
        back[mine], back[other] = there[other], there[mine]
    partitioner = Partitioner(new_seed(), 2)
    first, second = partitioner.partition(there), partitioner.partition(back)
    assert first.begins.tolist() == second.begins.tolist()
    assert (first.hashes >> 1).tolist() == (second.hashes >> 1).tolist()
    assert ((first.hashes ^ second.hashes) == 1).all()  # the lowest bit tells the way


@pytest.mark.parametrize("name", ["hotel-evening.pcapng.zst", "port-scan.pcapng.gz", "bittorrent.pcap.zst"])
def test_a_capture_reads_the_same_with_one_processor_and_with_several(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(PCAPS / name)
    most = None if COMPILED else 500
    read_with = {}
    for shards in (1, 2, 4):
        monkeypatch.setattr(sharded, "shards_for_this_machine", lambda shards=shards: shards)
        read_with[shards] = read([path], most_packets=most)
    one = read_with[1]
    assert one.flows.row.size > 10
    for several in (read_with[2], read_with[4]):
        assert several.packets == one.packets
        assert several.statuses == one.statuses
        assert (several.first_ns, several.last_ns) == (one.first_ns, one.last_ns)
        assert (several.flows.row == one.flows.row).all()
        assert (several.flows.segments == one.flows.segments).all()


@pytest.mark.parametrize("other", ["src_hi", "dst_hi"])
def test_nobody_can_foresee_which_flows_meet_in_a_slot(other: str) -> None:
    # Ends that differ in address and port so that a hash which adds the one to the other says the same of all.
    rows = many(1000)
    rows["dst_lo"] = 2
    port = "sport" if other == "src_hi" else "dport"
    numbers = np.arange(rows.size, dtype=np.uint64)
    for shift in (0, 16, 32, 48):
        crafted = rows.copy()
        crafted[other], crafted[port] = np.uint64(0x2001 << 48) ^ numbers << np.uint64(shift), numbers
        hashes = Partitioner(new_seed(), 2).partition(crafted).hashes >> 1
        assert np.unique(hashes).size >= 990
