"""Flows and the programs they belong to: by hand, and against the same rules written out slowly."""

import ipaddress
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from peerburst.analysis.hosts.locality import locate, to_words
from peerburst.analysis.hosts.programs import attribute, observations_beside
from peerburst.capture.flows.record import FIRST_IS_A, FLOW, ORIG_IS_A, SEGMENT, Flows
from peerburst.capture.packets.ip import PROTO_TCP, PROTO_UDP
from peerburst.capture.sockets.observations import ALWAYS_NS, STILL_NS, SideFile, SocketObservation, SocketObservations

ME, ME6, OTHER = "192.168.0.10", "fd00::10", "192.168.0.99"
PEER, PEER2, PEER6 = "198.51.100.1", "198.51.100.2", "2001:db8::1"
TCP, UDP = PROTO_TCP, PROTO_UDP

# (protocol, originator, port, responder, port, first packet, last packet)
Spec = tuple[int, str, int, str, int, int, int]


def flows_of(specs: list[Spec]) -> Flows:
    """Flows of one segment each."""
    row, segments = np.zeros(len(specs), FLOW), np.zeros(len(specs), SEGMENT)
    for i, (proto, orig, orig_port, resp, resp_port, start, last) in enumerate(specs):
        one, two = (to_words(ipaddress.ip_address(orig)), orig_port), (to_words(ipaddress.ip_address(resp)), resp_port)
        (a, a_port), (b, b_port) = sorted((one, two))
        row[i]["a_hi"], row[i]["a_lo"] = a
        row[i]["b_hi"], row[i]["b_lo"] = b
        row[i]["a_port"], row[i]["b_port"], row[i]["proto"] = a_port, b_port, proto
        row[i]["flags"] = ORIG_IS_A | FIRST_IS_A if (a, a_port) == one else 0
        row[i]["a_pkts"] = row[i]["b_pkts"] = 1
        segments[i]["start"], segments[i]["last"], segments[i]["flow"] = start, last, i
    return Flows(row, segments, np.arange(len(specs) + 1))


def held(
    name: str, local: str, port: int, *, proto: int = UDP, to: str = "", to_port: int = 0, **more: int
) -> SocketObservation:
    """A observation from 100 to 200, absent at 90 and gone by 210 unless said otherwise."""
    instants = {"first_seen_ns": 100, "last_seen_ns": 200, "absent_ns": 90, "gone_ns": 210} | more
    v6_only = bool(instants.pop("v6_only", 0))
    return SocketObservation(
        id=0,
        protocol=proto,
        local=local,
        local_port=port,
        remote=to,
        remote_port=to_port,
        v6_only=v6_only,
        pid=1,
        name=name,
        program="",
        uid=0,
        **instants,
    )


def programs(specs: list[Spec], seen: list[SocketObservation], addresses: tuple[str, ...] = (ME, ME6)) -> list[str]:
    flows = flows_of(specs)
    codes, names = attribute(flows, locate(flows.row), SocketObservations(tuple(seen), addresses))
    assert codes.dtype == np.int32
    return [names[code] for code in codes]


def test_an_unconnected_socket_owns_all_its_peers() -> None:
    specs: list[Spec] = [(UDP, ME, 40000, f"198.51.100.{n}", 1000 + n, 100 + n, 110 + n) for n in range(1, 51)]
    specs += [(UDP, f"198.51.100.{n}", 7, ME, 40000, 120, 130) for n in range(1, 51)]  # and those that come to it
    assert programs(specs, [held("chat", "0.0.0.0", 40000)]) == ["chat"] * 100


def test_protocol_and_port_must_both_be_right() -> None:
    specs: list[Spec] = [(TCP, ME, 40000, PEER, 1, 100, 110), (UDP, ME, 40001, PEER, 1, 100, 110)]
    assert programs(specs, [held("chat", "0.0.0.0", 40000)]) == ["", ""]


def test_the_closest_socket_wins() -> None:
    seen = [
        held("all", "0.0.0.0", 5000),
        held("here", ME, 5000),
        held("tied", ME, 5000, to=PEER, to_port=9),
    ]
    specs: list[Spec] = [
        (UDP, ME, 5000, PEER, 9, 150, 150),
        (UDP, ME, 5000, PEER, 8, 150, 150),
        (UDP, "192.168.0.11", 5000, PEER, 9, 150, 150),
    ]
    assert programs(specs, seen, (ME, "192.168.0.11")) == ["tied", "here", "all"]


def test_a_port_connected_elsewhere_is_better_than_nothing() -> None:
    specs: list[Spec] = [(UDP, ME, 5000, PEER2, 9, 150, 150)]
    assert programs(specs, [held("call", ME, 5000, to=PEER, to_port=9)]) == ["call"]


def test_a_socket_at_two_colons_serves_both_families_unless_it_says_not() -> None:
    specs: list[Spec] = [(UDP, ME, 5000, PEER, 9, 150, 150), (UDP, ME6, 5000, PEER6, 9, 150, 150)]
    assert programs(specs, [held("both", "::", 5000)]) == ["both", "both"]
    assert programs(specs, [held("six", "::", 5000, v6_only=1)]) == ["", "six"]
    assert programs(specs, [held("four", "0.0.0.0", 5000)]) == ["four", ""]
    assert programs(specs, [held("six", "::", 5000), held("four", "0.0.0.0", 5000)]) == ["four", "six"]


def test_another_host_s_flow_from_the_same_port_is_not_ours() -> None:
    specs: list[Spec] = [(UDP, OTHER, 5353, "224.0.0.251", 5353, 150, 150), (UDP, OTHER, 5353, PEER, 5353, 150, 150)]
    assert programs(specs, [held("mdns", "0.0.0.0", 5353)]) == ["", ""]


def test_without_known_addresses_local_ends_are_taken() -> None:
    specs: list[Spec] = [(UDP, ME, 5000, PEER, 9, 150, 150), (UDP, PEER, 5000, ME, 9, 150, 150)]
    assert programs(specs, [held("chat", "0.0.0.0", 5000)], ()) == ["chat", ""]


def test_on_loopback_the_flow_is_whose_program_opened_it() -> None:
    seen = [
        held("server", "0.0.0.0", 80, proto=TCP),
        held("client", "127.0.0.1", 50000, proto=TCP, to="127.0.0.1", to_port=80),
    ]
    specs: list[Spec] = [
        (TCP, "127.0.0.1", 50000, "127.0.0.1", 80, 150, 160),
        (TCP, "127.0.0.1", 50001, "127.0.0.1", 80, 150, 160),  # a client too short-lived to be seen
    ]
    assert programs(specs, seen) == ["client", "server"]


@pytest.mark.parametrize(
    ("start", "last", "owner"),
    [
        (0, 50, ""),  # over before the poll that saw nothing
        (0, 95, "old"),
        (91, 92, "old"),  # before it was first seen, after the poll that saw nothing
        (150, 1000, "old"),
        (205, 208, "old"),  # after it was last seen, before the poll that missed it
        (220, 230, ""),
        (295, 298, "new"),
        (295, 10_000, "new"),
        (9_000, 10_000, "new"),  # still open
    ],
)
def test_the_time_of_a_port(start: int, last: int, owner: str) -> None:
    seen = [
        held("new", "0.0.0.0", 5000, first_seen_ns=300, last_seen_ns=400, absent_ns=290, gone_ns=STILL_NS),
        held("old", "0.0.0.0", 5000),
    ]
    assert programs([(UDP, ME, 5000, PEER, 9, start, last)], seen) == [owner]


def test_between_two_polls_the_port_is_the_next_owner_s() -> None:
    """At the poll of 200 one had it, at that of 250 another: the flow between began with neither known."""
    seen = [
        held("old", "0.0.0.0", 5000, gone_ns=250),
        held("new", "0.0.0.0", 5000, first_seen_ns=250, last_seen_ns=300, absent_ns=200, gone_ns=310),
    ]
    specs: list[Spec] = [(UDP, ME, 5000, PEER, 9, 210, 220), (UDP, ME, 5000, PEER, 9, 195, 220)]
    assert programs(specs, seen) == ["new", "old"]


def test_a_socket_there_from_the_start_reaches_back_for_ever() -> None:
    specs: list[Spec] = [(UDP, ME, 5000, PEER, 9, 0, 1)]
    assert programs(specs, [held("chat", "0.0.0.0", 5000, absent_ns=ALWAYS_NS)]) == ["chat"]


def test_an_owner_without_a_name_hides_no_other() -> None:
    seen = [held("", "0.0.0.0", 5000), held("chat", "0.0.0.0", 5001)]
    specs: list[Spec] = [(UDP, ME, 5000, PEER, 9, 150, 150), (UDP, ME, 5001, PEER, 9, 150, 150)]
    assert programs(specs, seen) == ["", "chat"]


def test_nothing_to_tell() -> None:
    assert programs([], [held("chat", "0.0.0.0", 5000)]) == []
    assert programs([(UDP, ME, 5000, PEER, 9, 150, 150)], []) == [""]
    assert programs([(UDP, ME, 5000, PEER, 9, 150, 150)], [held("chat", "no address", 5000)]) == [""]


def slowly(spec: Spec, seen: list[SocketObservation]) -> str:
    """The rules one by one, for observations of which no two share a key at the same time."""
    proto, orig, orig_port, resp, resp_port, start, last = spec
    for local, port, remote, remote_port in ((orig, orig_port, resp, resp_port), (resp, resp_port, orig, orig_port)):
        if local not in (ME, ME6):
            continue
        mine = [
            s
            for s in seen
            if (s.protocol, s.local_port) == (proto, port) and s.absent_ns <= last and s.gone_ns >= start
        ]
        v4 = "." in local
        closeness = (
            [s for s in mine if (s.local, s.remote, s.remote_port) == (local, remote, remote_port)],
            [s for s in mine if s.local == local and not s.remote],
            [s for s in mine if s.local == "0.0.0.0" and v4],
            [s for s in mine if s.local == "::" and not (v4 and s.v6_only)],
            [s for s in mine if s.local == local and s.remote],
        )
        for found in closeness:
            if found:
                return min(found, key=lambda s: s.gone_ns).name
    return ""


@pytest.mark.parametrize("seed", range(5))
def test_it_agrees_with_the_rules_written_out_slowly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    seen, clock = [], 0
    for number in range(300):
        clock += 10
        local = str(rng.choice(["0.0.0.0", "::", ME, ME6]))
        tied = local in (ME, ME6) and rng.random() < 0.5
        peer = (PEER6 if local == ME6 else PEER) if tied else ""
        one = held(
            f"p{number}", local, int(rng.integers(1, 6)), proto=int(rng.choice([TCP, UDP])), to=peer, to_port=9 * tied
        )
        start = clock * 10
        seen.append(
            replace(one, absent_ns=start + 1, first_seen_ns=start + 10, last_seen_ns=start + 80, gone_ns=start + 90)
        )
    specs: list[Spec] = []
    for _ in range(2000):
        v6 = rng.random() < 0.4
        mine, theirs = (ME6, PEER6) if v6 else (ME, str(rng.choice([PEER, PEER2, OTHER])))
        start, length = int(rng.integers(0, clock * 10 + 500)), int(rng.integers(0, 150))
        near, far = (mine, int(rng.integers(1, 6))), (theirs, int(rng.choice([9, 10])))
        orig, resp = (near, far) if rng.random() < 0.5 else (far, near)
        specs.append((int(rng.choice([TCP, UDP])), *orig, *resp, start, start + length))
    answers = programs(specs, seen)
    assert answers == [slowly(spec, seen) for spec in specs]
    assert len(set(answers)) > 100


def test_many_flows_are_attributed_at_once() -> None:
    """Half a million flows and 20,000 observations take about a second, not minutes."""
    count, rng = 500_000, np.random.default_rng(1)
    row, segments = np.zeros(count, FLOW), np.zeros(count, SEGMENT)
    low = to_words(ipaddress.ip_address(ME))[1]
    row["a_lo"], row["a_port"], row["proto"] = low, rng.integers(1024, 65536, count), UDP
    row["b_lo"] = np.uint64(0xFFFF << 32) | rng.integers(0xC6000000, 0xC6FFFFFF, count).astype(np.uint64)
    row["b_port"], row["flags"], row["a_pkts"] = 9, ORIG_IS_A, 1
    segments["start"] = segments["last"] = rng.integers(0, 1000, count)
    segments["flow"] = np.arange(count)
    flows = Flows(row, segments, np.arange(count + 1))
    seen = tuple(
        held(f"p{port % 7}", "0.0.0.0", port, absent_ns=ALWAYS_NS, gone_ns=STILL_NS) for port in range(1024, 21024)
    )
    ends = locate(row)
    began = time.perf_counter()
    codes, names = attribute(flows, ends, SocketObservations(seen, (ME,)))
    assert time.perf_counter() - began < 20
    has_port = row["a_port"] < 21024
    assert ((codes > 0) == has_port).all()
    expected = [f"p{port % 7}" for port in row["a_port"][has_port][:1000].tolist()]
    assert [names[code] for code in codes[has_port][:1000]] == expected


def test_side_files_are_found_beside_captures(tmp_path: Path) -> None:
    for name, port in (("one.pcapng", 1), ("two.pcapng", 2)):
        file = SideFile(tmp_path / f"{name}.sockets.jsonl")
        file.add(held("chat", "0.0.0.0", port))
        file.add_addresses([ME])
        file.flush(300)
        file.close()
    captures = ["one.pcapng.zst", "two_00001_20260101000000.pcapng", "two_00002_20260101000001.pcapng", "three.pcap"]
    found = observations_beside([*(str(tmp_path / name) for name in captures), "-"])
    assert [s.local_port for s in found.seen] == [1, 2]
    assert found.addresses == (ME,)
    assert observations_beside(["-", str(tmp_path / "three.pcap")]) == SocketObservations()
