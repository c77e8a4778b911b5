"""Flows seen from a host: who is remote, and what came back."""

from pathlib import Path

import pytest

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.hosts.locality import to_text
from tests.support.making import HOST, OTHER_HOST, Tape, local, remote
from tests.support.packets_by_hand import ACK, SYN

HERE, THERE = local(5000), remote(1)


def of_host(analysis: Analysis, host: str) -> list[tuple[bool, str, int, int, int, int]]:
    flows = analysis.index.of(analysis.host_number(host))
    remotes = [to_text(int(high), int(low)) for high, low in zip(flows.remote_hi, flows.remote_lo, strict=True)]
    numbers = (flows.remote_port, flows.local_port, flows.sent_bytes, flows.received_bytes)
    return list(zip(flows.outbound.tolist(), remotes, *(column.tolist() for column in numbers), strict=True))


def test_each_flow_is_seen_from_its_host(tmp_path: Path) -> None:
    tape = Tape()
    tape.udp(2, local(5000), ("8.8.8.8", 53), size=10)  # an IPv4 header of 20 and a UDP header of 8 besides
    tape.udp(2.1, ("8.8.8.8", 53), local(5000), size=100)
    tape.tcp(1, ("203.0.113.9", 999), local(80), SYN)  # from outside; the earlier
    tape.tcp(3, local(4000), (OTHER_HOST, 445), SYN)
    tape.udp(4, local(5353), ("224.0.0.251", 5353))
    analysis = tape.analysis(tmp_path)
    assert of_host(analysis, HOST) == [
        (False, "203.0.113.9", 999, 80, 0, 40),
        (True, "8.8.8.8", 53, 5000, 38, 128),
        (True, OTHER_HOST, 445, 4000, 40, 0),
    ]
    assert of_host(analysis, OTHER_HOST) == [(False, HOST, 4000, 445, 0, 40)]
    assert analysis.index.counts().tolist() == [3, 1]
    # Without those between local hosts, as counts are.
    assert analysis.counted_flows(analysis.host_number(HOST)).remote_port.tolist() == [999, 53]


def test_a_host_that_only_speaks_to_groups_has_no_flows(tmp_path: Path) -> None:
    tape = Tape()
    tape.udp(0, local(5353), ("224.0.0.251", 5353))
    analysis = tape.analysis(tmp_path)
    assert analysis.host_names == [HOST]
    assert analysis.hosts == []


def test_some_of_the_flows_stay_aligned(tmp_path: Path) -> None:
    tape = Tape()
    for i in range(4):
        tape.udp(i, local(5000 + i), remote(i, 6000 + i))
    flows = tape.analysis(tmp_path).index.of(0)
    some = flows.take(flows.local_port % 2 == 1)
    assert (some.local_port.tolist(), some.remote_port.tolist(), some.flow.tolist()) == (
        [5001, 5003],
        [6001, 6003],
        [1, 3],
    )


@pytest.mark.parametrize(("midstream", "at_least"), [(False, False), (True, True)])
def test_peaks_are_lower_bounds_when_connections_were_open_before(
    tmp_path: Path, midstream: bool, at_least: bool
) -> None:
    tape = Tape()
    tape.connection(1, HERE, THERE)
    if midstream:
        tape.tcp(0, local(5001), THERE, ACK)
    analysis = tape.analysis(tmp_path)
    assert analysis.at_least(analysis.host_number(HOST)) == at_least
