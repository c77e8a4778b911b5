"""Hosts counted one by one are what all entries of each model, swept together, say."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.counting import host_entries, peaks, sweep
from peerburst.analysis.counting.host_entries import Entries, network_of
from peerburst.analysis.gateways import load, shipped
from peerburst.analysis.hosts.locality import MAPPED
from peerburst.capture.packets.record import PACKET
from peerburst.capture.units import SECOND_NS
from tests.support import array_engine
from tests.support.kernels import COMPILED
from tests.support.making import EPOCH_NS, analysis_of, own_models, packet_rows
from tests.support.packets_by_hand import ACK, FIN, SYN

MODELS = [*shipped(), load("flat:10"), *own_models()]


def check(analysis: Analysis, *, include_lan: bool) -> None:
    capture, ends = analysis.capture, analysis.ends
    network = network_of(analysis.index, ends, include_lan=include_lan)
    found = peaks.measure(analysis.models, capture.flows, network, capture.last_ns, analysis.limits)
    for model, both in zip(analysis.models, found, strict=True):
        held = array_engine.apply(model, capture.flows, ends, include_lan=include_lan)
        hosts = ends.host_words.shape[0]
        wanted = array_engine.measure(held, capture.flows, hosts, capture.last_ns, analysis.limits)
        for one, other in zip(both, wanted, strict=True):
            for name in peaks.Concurrency.__slots__:
                assert np.array_equal(getattr(one, name), getattr(other, name)), (model.name, name)


@settings(max_examples=200 if COMPILED else 10)
@given(rows=packet_rows(), include_lan=st.booleans())
def test_they_are_those_of_all_entries(rows: npt.NDArray[np.void], include_lan: bool) -> None:
    check(analysis_of(rows, MODELS, limits=(1, 2, 3)), include_lan=include_lan)


@settings(max_examples=100 if COMPILED else 10)
@given(rows=packet_rows())
def test_the_entries_of_one_host_are_its_own_among_all(rows: npt.NDArray[np.void]) -> None:
    analysis = analysis_of(rows, MODELS)
    for model in MODELS:
        held = analysis.entries(model)
        for number in range(len(analysis.host_names)):
            some = analysis.entries_of(number, model)
            for one, other in zip(entries_of_host(some, number), entries_of_host(held, number), strict=True):
                assert one == other, model.name


def entries_of_host(held: Entries, number: int) -> tuple[list[object], list[object]]:
    """The host's entries, and by segment the entry that it kept alive."""
    mine = held.host == number
    kept = {i: held.entry[at].tolist() for i, at in enumerate(held.of_segment.tolist()) if at >= 0 and mine[at]}
    return held.entry[mine].tolist(), sorted(kept.items())


def crowd(packets: int, hosts: int, seed: int) -> npt.NDArray[np.void]:
    """PACKET rows of so many hosts' TCP and UDP, to many peers and from them, at few different instants."""
    random = np.random.default_rng(seed)
    rows = np.zeros(packets, PACKET)
    rows["ts"] = EPOCH_NS + np.sort(random.integers(0, 4000, packets)) * SECOND_NS // 10
    host, peer = MAPPED | 10 << 24 | random.integers(1, 1 + hosts, packets), MAPPED | 9 << 24
    peer = peer | random.integers(0, 1 << 9, packets)
    inbound = random.random(packets) < 0.3
    rows["src_lo"], rows["dst_lo"] = np.where(inbound, peer, host), np.where(inbound, host, peer)
    ports = random.integers(1024, 1044, packets), np.full(packets, 40000)
    rows["sport"], rows["dport"] = np.where(inbound, ports[1], ports[0]), np.where(inbound, ports[0], ports[1])
    rows["proto"] = random.choice([6, 17], packets)
    rows["flags"] = np.where(rows["proto"] == 6, random.choice([SYN, ACK, FIN | ACK], packets), 0)
    rows["ip_bytes"] = 40
    return rows


@pytest.mark.parametrize("hosts", [1, 2, 40])
def test_hosts_larger_than_what_is_walked_at_once(hosts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    packets = 30_000 if COMPILED else 1500
    if not COMPILED:
        monkeypatch.setattr(peaks, "AT_ONCE", 64)
        monkeypatch.setattr(host_entries, "AT_ONCE", 64)
    monkeypatch.setattr(peaks, "PART_SEGMENTS", packets // 4)
    analysis = analysis_of(crowd(packets, hosts, seed=hosts), MODELS, limits=(5, 100, 1000))
    assert analysis.capture.flows.segments.size > (peaks.AT_ONCE if hosts == 1 else 0)
    check(analysis, include_lan=False)


SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 40)), min_size=1, max_size=40)


@given(spans=SPANS, stretch=st.sampled_from([1, 7, 1 << 40]), until=st.integers(0, 90))
def test_the_peak_is_that_of_counting_at_every_start(spans: list[tuple[int, int]], stretch: int, until: int) -> None:
    # A last start far off leaves all the others in one cell.
    starts = np.array(sorted(start for start, _length in spans), np.int64)
    starts[-1] *= stretch
    lengths = np.array([length for _start, length in sorted(spans)], np.int64)
    ends, n = starts + lengths, starts.size
    cells, change = np.zeros(n + 1, np.int32), np.zeros(n, np.int32)
    shift = sweep.divide(starts, n, cells)
    found = sweep.rise_and_fall(starts, ends, n, until, cells, shift, change)
    held = [
        sum(start <= at and not end <= min(at, until) for start, end in zip(starts, ends, strict=True)) for at in starts
    ]
    assert tuple(map(int, found)) == (max(held), int(starts[held.index(max(held))]))
