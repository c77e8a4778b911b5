"""Classes of made traffic, each with the evidence for it; and never a sync for an attack, or the other way round."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.bursts import features
from peerburst.analysis.bursts.classes import RULES
from peerburst.analysis.bursts.classify import Classification, classify, says_something
from peerburst.analysis.bursts.features import Features
from peerburst.analysis.settings import Settings
from peerburst.capture.synth import write_scenario
from peerburst.capture.synth.programs import PROGRAMS
from peerburst.capture.vocabulary import TrafficClass
from peerburst.opening import analyse
from tests.support.kernels import COMPILED
from tests.support.making import HOST, Tape, local, remote

ATTACKS = {TrafficClass.SCAN, TrafficClass.FLOOD, TrafficClass.SPAM}
P2P = {TrafficClass.P2P_SYNC, TrafficClass.P2P_BULK}

SYNC = Features(
    flow_count=122, connection_count=120, peer_count=110, duration_s=40.0, most_new_per_s=9, simultaneous_count=4.0,
    flows_per_peer=1.1, prefixes_per_peer=0.95, port_count=105, port_entropy=0.98, busiest_port=40000,
    busiest_port_share=0.02, unknown_port_share=0.97, unknown_port_bytes_share=0.97, one_local_port_share=0.9,
    busiest_peer_share=0.02, busiest_peer_port_count=1, busiest_target_share=0.02, udp_share=0.95, answered_share=0.7,
    refused_share=0.01, inbound_share=0.0, tiny_share=0.6, median_bytes=150.0, total_bytes=60_000,
    largest_bytes=8_000, top3_bytes_share=0.15, received_bytes_share=0.5, heavy_bytes_share=0.0,
    segmented_bytes_share=0.0, mail_port_share=0.0, web_port_share=0.01, streaming_port_share=0.0, service_share=0.02,
    service_peer_count=1, mute_share=0.35, bytes_per_packet=120.0, top_peer_bytes_share=0.05, voice_bytes_share=0.0,
    heavy_bytes_per_s=200_000.0, periodic_share=0.0,
)  # fmt: skip


def like(**changes: float) -> Features:
    if "flow_count" in changes:
        changes.setdefault("connection_count", changes["flow_count"])
    return dataclasses.replace(SYNC, **changes)  # type: ignore[arg-type]


CRAFTED = {
    "a login": (SYNC, "p2p-sync"),
    "a login that mostly fails": (like(answered_share=0.15, tiny_share=0.9, mute_share=0.85), "p2p-sync"),
    "a login of TCP alone": (
        like(udp_share=0.0, one_local_port_share=0.0, tiny_share=0.1, median_bytes=900.0),
        "p2p-sync",
    ),
    "a login that keeps one port everywhere": (
        like(port_count=1, port_entropy=0.0, busiest_port=49737, busiest_port_share=1.0, tiny_share=0.0,
             median_bytes=18_000.0, answered_share=1.0, total_bytes=950_000, largest_bytes=28_000, mute_share=0.0),
        "p2p-sync",
    ),
    "clients of a server on a port of its own": (
        like(inbound_share=1.0, port_count=1, port_entropy=0.0, busiest_port=9000, busiest_port_share=1.0,
             answered_share=1.0, mute_share=0.0, tiny_share=0.1),
        "unknown",
    ),
    "keeping up with many friends at once": (like(voice_bytes_share=0.2, top_peer_bytes_share=0.2), "p2p-sync"),
    "a login that a gateway lets nothing of through": (like(answered_share=0.0, mute_share=1.0), "unknown"),
    "sharing files": (
        like(total_bytes=9_000_000, largest_bytes=5_000_000, top3_bytes_share=0.95, bytes_per_packet=800.0),
        "p2p-bulk",
    ),
    "a login under a download": (
        like(total_bytes=9_000_000, largest_bytes=8_000_000, top3_bytes_share=0.9, bytes_per_packet=610.0,
             unknown_port_bytes_share=0.17, heavy_bytes_share=0.83, top_peer_bytes_share=0.83,
             received_bytes_share=0.86),
        "p2p-sync",
    ),
    "sharing files, a little with everybody": (
        like(total_bytes=2_900_000, largest_bytes=150_000, bytes_per_packet=580.0),
        "p2p-bulk",
    ),
    "asking many peers, getting no more than answers": (like(largest_bytes=900), "discovery"),
    "a resolver of its own": (
        like(service_share=1.0, unknown_port_share=0.0, port_count=1, port_entropy=0.0, busiest_port=53,
             busiest_port_share=1.0, one_local_port_share=0.0, busiest_peer_share=0.1, flows_per_peer=5.0,
             answered_share=1.0, tiny_share=1.0, mute_share=0.0),
        "discovery",
    ),
    "one port of many hosts, nobody there": (
        like(port_count=1, port_entropy=0.0, busiest_port=445, busiest_port_share=1.0, unknown_port_share=0.0,
             answered_share=0.02, mute_share=1.0, udp_share=0.0, one_local_port_share=0.0, median_bytes=40.0),
        "scan",
    ),
    "many ports of one host": (
        like(peer_count=1, flows_per_peer=120.0, busiest_peer_share=1.0, busiest_peer_port_count=110,
             answered_share=0.03, refused_share=0.9, mute_share=0.97, udp_share=0.0, one_local_port_share=0.0,
             unknown_port_share=0.1),
        "scan",
    ),
    "strangers in vain": (like(answered_share=0.01, mute_share=0.99, udp_share=0.0, one_local_port_share=0.0), "scan"),
    "neighbours, a few of them there": (
        like(answered_share=0.1, mute_share=0.95, udp_share=0.0, one_local_port_share=0.0, prefixes_per_peer=0.01,
             port_count=3, port_entropy=0.2, busiest_port_share=0.5, unknown_port_share=0.0),
        "scan",
    ),
    "a flood": (
        like(flow_count=5000, peer_count=1, port_count=1, port_entropy=0.0, busiest_port=80,
             busiest_port_share=1.0, busiest_target_share=1.0, busiest_peer_share=1.0, busiest_peer_port_count=1,
             answered_share=0.0, most_new_per_s=500, tiny_share=1.0, mute_share=1.0),
        "flood",
    ),
    "a flood that is answered": (
        like(flow_count=500, peer_count=1, port_count=1, port_entropy=0.0, busiest_port=80, busiest_port_share=1.0,
             busiest_target_share=1.0, busiest_peer_share=1.0, busiest_peer_port_count=1, answered_share=1.0,
             most_new_per_s=500, mute_share=1.0),
        "flood",
    ),
    "a flood of whole connections": (
        like(flow_count=2000, peer_count=1, port_count=1, port_entropy=0.0, busiest_port=80,
             busiest_port_share=1.0, busiest_target_share=1.0, busiest_peer_share=1.0, busiest_peer_port_count=1,
             answered_share=1.0, most_new_per_s=200, mute_share=1.0, web_port_share=1.0, unknown_port_share=0.0),
        "flood",
    ),
    "a flood of datagrams over the ports of one host": (
        like(flow_count=2000, peer_count=1, port_count=1900, busiest_peer_port_count=1900, busiest_peer_share=1.0,
             busiest_target_share=0.01, answered_share=0.0, most_new_per_s=200, tiny_share=1.0, mute_share=1.0,
             bytes_per_packet=530.0, one_local_port_share=0.3),
        "flood",
    ),
    "asking a resolver that is down": (
        like(flow_count=150, service_share=1.0, peer_count=1, port_count=1, port_entropy=0.0, busiest_port=53,
             busiest_port_share=1.0, busiest_target_share=1.0, busiest_peer_share=1.0, busiest_peer_port_count=1,
             answered_share=0.0, most_new_per_s=20, mute_share=1.0, tiny_share=1.0, unknown_port_share=0.0,
             udp_share=1.0),
        "unknown",
    ),
    "requests that never end": (
        like(flow_count=200, peer_count=1, port_count=1, port_entropy=0.0, busiest_port=80, busiest_port_share=1.0,
             busiest_target_share=1.0, busiest_peer_share=1.0, busiest_peer_port_count=1, answered_share=1.0,
             most_new_per_s=14, mute_share=1.0, web_port_share=1.0, udp_share=0.0, unknown_port_share=0.0),
        "flood",
    ),
    "a flood over all ports of a victim": (
        like(flow_count=5000, peer_count=4000, inbound_share=1.0, answered_share=0.0, mute_share=1.0,
             most_new_per_s=2000, prefixes_per_peer=0.3),
        "flood",
    ),
    "many short visits to one server": (
        like(flow_count=500, peer_count=1, port_count=1, port_entropy=0.0, busiest_port=80, busiest_port_share=1.0,
             busiest_target_share=1.0, busiest_peer_share=1.0, busiest_peer_port_count=1, answered_share=1.0,
             most_new_per_s=500, unknown_port_share=0.0, mute_share=0.0),
        "client-server",
    ),
    "mail to many": (
        like(mail_port_share=0.6, service_share=0.3, port_count=2, port_entropy=0.2, unknown_port_share=0.0,
             udp_share=0.3),
        "spam",
    ),
    "a call": (like(voice_bytes_share=0.9, top_peer_bytes_share=0.9, total_bytes=2_000_000), "call"),
    "a node that looks for others": (
        like(port_count=1, port_entropy=0.0, busiest_port=30303, busiest_port_share=1.0, answered_share=0.8,
             unknown_port_share=1.0, largest_bytes=4_000),
        "discovery",
    ),
    "a page": (
        like(peer_count=14, flows_per_peer=3.0, prefixes_per_peer=0.5, port_count=2, port_entropy=0.1,
             unknown_port_share=0.0, one_local_port_share=0.0, web_port_share=0.7, service_share=0.3,
             answered_share=1.0, udp_share=0.3, median_bytes=9_000.0, total_bytes=900_000, duration_s=3.0,
             simultaneous_count=30.0, received_bytes_share=0.9, busiest_peer_share=0.3),
        "web",
    ),
    "pages for an hour": (
        like(flow_count=900, peer_count=140, flows_per_peer=6.0, prefixes_per_peer=0.4, port_count=2,
             port_entropy=0.1, unknown_port_share=0.0, one_local_port_share=0.0, web_port_share=0.7,
             service_share=0.3, answered_share=1.0, udp_share=0.3, median_bytes=12_000.0, duration_s=3600.0,
             total_bytes=30_000_000, simultaneous_count=24.0, received_bytes_share=0.9, busiest_peer_share=0.3),
        "web",
    ),
    "a film over two connections": (
        like(flow_count=5, peer_count=3, flows_per_peer=1.7, port_count=2, web_port_share=0.6, service_share=0.4,
             total_bytes=90_000_000, answered_share=1.0, largest_bytes=80_000_000, top3_bytes_share=1.0,
             heavy_bytes_share=1.0, top_peer_bytes_share=0.9, segmented_bytes_share=1.0, received_bytes_share=0.98,
             udp_share=0.4, unknown_port_share=0.0, port_entropy=0.4),
        "streaming",
    ),
    "an image of a disk": (
        like(flow_count=2, peer_count=2, flows_per_peer=1.0, port_count=2, web_port_share=0.5, service_share=0.5,
             total_bytes=90_000_000, answered_share=1.0, largest_bytes=90_000_000, top3_bytes_share=1.0,
             heavy_bytes_share=1.0, top_peer_bytes_share=1.0, received_bytes_share=0.98, udp_share=0.5,
             unknown_port_share=0.0),
        "bulk-transfer",
    ),
    "a tree of small files": (
        like(flow_count=44, peer_count=1, flows_per_peer=44.0, port_count=40, web_port_share=0.0,
             service_share=0.0, total_bytes=5_400_000, answered_share=1.0, mute_share=0.0, largest_bytes=136_000,
             heavy_bytes_share=0.0, heavy_bytes_per_s=0.0, top_peer_bytes_share=1.0, bytes_per_packet=744.0,
             received_bytes_share=0.96, udp_share=0.0, busiest_peer_share=1.0),
        "bulk-transfer",
    ),
    "a chat that has gone on for hours": (
        like(flow_count=15, peer_count=2, flows_per_peer=7.5, port_count=1, port_entropy=0.0, web_port_share=1.0,
             service_share=0.0, answered_share=1.0, mute_share=0.0, total_bytes=1_100_000, largest_bytes=671_000,
             heavy_bytes_share=0.9, heavy_bytes_per_s=10_000.0, top_peer_bytes_share=0.9, bytes_per_packet=613.0,
             received_bytes_share=0.9, udp_share=0.0, simultaneous_count=2.0, unknown_port_share=0.0),
        "client-server",
    ),
    "a film by the clock": (
        like(flow_count=13, peer_count=1, flows_per_peer=13.0, duration_s=41.0, port_count=1, port_entropy=0.0,
             unknown_port_share=0.0, web_port_share=1.0, service_share=0.0, one_local_port_share=0.0,
             total_bytes=9_600_000, largest_bytes=950_000, heavy_bytes_share=0.99, udp_share=0.0,
             received_bytes_share=0.97, periodic_share=0.9, top_peer_bytes_share=1.0, answered_share=1.0,
             mute_share=0.0),
        "streaming",
    ),
    "heavy things from many hosts at once": (
        like(flow_count=24, peer_count=7, flows_per_peer=3.4, port_count=2, port_entropy=0.2,
             unknown_port_share=0.0, web_port_share=0.5, service_share=0.5, one_local_port_share=0.0,
             total_bytes=7_600_000, largest_bytes=796_000, heavy_bytes_share=0.89, received_bytes_share=0.97,
             top_peer_bytes_share=0.3, simultaneous_count=12.0, duration_s=5.0, answered_share=1.0, udp_share=0.5),
        "web",
    ),
    "a chat through several servers": (
        like(flow_count=80, peer_count=17, flows_per_peer=4.7, port_count=2, port_entropy=0.2,
             unknown_port_share=0.0, web_port_share=0.7, service_share=0.3, one_local_port_share=0.0,
             received_bytes_share=0.58, largest_bytes=70_000, simultaneous_count=2.0, busiest_peer_share=0.3,
             udp_share=0.3, total_bytes=630_000),
        "client-server",
    ),
    "a chat through one server": (
        like(flow_count=4, peer_count=2, flows_per_peer=2.0, port_count=2, port_entropy=0.4,
             unknown_port_share=0.0, busiest_peer_share=0.75, answered_share=1.0, udp_share=0.25,
             one_local_port_share=0.0, web_port_share=0.0, service_share=0.25, median_bytes=5_000.0),
        "client-server",
    ),
    "nothing that any rule names": (
        like(peer_count=8, flows_per_peer=15.0, answered_share=0.3, unknown_port_share=0.3, busiest_peer_share=0.2,
             port_count=4, port_entropy=0.3),
        "unknown",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CRAFTED)
def test_crafted_features(case: str) -> None:
    seen, label = CRAFTED[case]
    found = classify(seen)
    assert found.label.value == label
    assert found.evidence, "no class without a reason"
    for evidence in found.evidence:
        assert evidence.value == pytest.approx(getattr(seen, evidence.feature), abs=1e-4)
        assert evidence.says.isprintable()
        assert evidence.says
    assert len({evidence.says for evidence in found.evidence}) == len(found.evidence)


def test_every_class_can_be_reached() -> None:
    assert {rule.label for rule in RULES} | {TrafficClass.UNKNOWN} == set(TrafficClass)
    assert {label for _seen, label in CRAFTED.values()} == {label.value for label in TrafficClass}


def test_confidence_grows_with_flows_and_stays_below_one() -> None:
    sure = [classify(like(flow_count=flows)).confidence for flows in (15, 30, 50, 5000)]
    assert sure == sorted(sure)
    assert sure[2:] == [0.95, 0.95]
    assert 0 < sure[0] < sure[1] < 0.95
    assert classify(CRAFTED["nothing that any rule names"][0]).confidence == 0


def test_the_evidence_is_in_words_and_numbers() -> None:
    says = {evidence.feature: evidence.says for evidence in classify(SYNC).evidence}
    assert says["peer_count"] == "120 connections with 110 peers"
    assert says["port_entropy"] == "105 different ports at the other end"
    assert says["median_bytes"] == "half of the connections carried 150 B or less"
    assert says["answered_share"] == "70 % of them were answered"
    assert says["one_local_port_share"] == "90 % left from one local UDP port"


def test_what_would_have_changed_it_names_the_nearest_threshold() -> None:
    changes = classify(like(peer_count=5)).would_change
    assert changes[0] == "peers 5; below 5 it would be unknown"
    assert changes[1] == "bytes of the largest connection 8 kB; below 6 kB it would be discovery"


@pytest.mark.parametrize("case", CRAFTED)
def test_what_would_have_changed_it_is_another_class(case: str) -> None:
    seen, label = CRAFTED[case]
    for change in classify(seen).would_change:
        other = change.rpartition("it would be ")[2]
        assert other != label
        assert other in {one.value for one in TrafficClass}


def test_of_nothing_looked_at_nothing_would_change_it() -> None:
    assert Classification(TrafficClass.UNKNOWN, 0.0, ()).would_change == ()


def test_a_provisional_class_says_so_and_is_less_sure() -> None:
    early, whole = classify(like(duration_s=8.2), provisional=True), classify(SYNC)
    assert early.provisional
    assert not whole.provisional
    assert early.label is whole.label
    assert early.confidence == pytest.approx(0.7 * whole.confidence, abs=0.01)
    assert early.evidence[-1].says == "provisional: judged on its first 8 s"


def test_a_host_of_little_has_nothing_to_say() -> None:
    assert [says_something(9, 19_999), says_something(10, 0), says_something(1, 20_000)] == [False, True, True]


# --- what the classes look at ----------------------------------------------------------------------------------------


def seen_on(tape: Tape, folder: Path) -> Features:
    analysis = tape.analysis(folder)
    return features.measure(analysis.index.of(analysis.host_number(HOST)), analysis.facts, analysis.kinds)


def test_mute_is_a_responder_that_says_nothing(tmp_path: Path) -> None:
    tape = Tape()
    tape.udp(0, local(6000), remote(0, 40_000), size=72)  # no answer
    tape.exchange(1, local(6000), remote(1, 40_001))
    tape.open(2, local(7000), remote(2, 80))  # SYN, SYN and ACK, ACK
    tape.refused(3, local(7001), remote(3, 80))
    tape.connection(4, local(7002), remote(4, 80))
    tape.connection(6, local(7003), remote(5, 80), received=0)  # a request, and nothing but acknowledgements
    found = seen_on(tape, tmp_path)
    assert found.flow_count == 6
    assert found.mute_share == pytest.approx(4 / 6)


def test_bytes_of_one_peer_and_of_a_packet(tmp_path: Path) -> None:
    tape = Tape()
    tape.udp(0, local(6000), remote(0, 40_000), size=72)  # 100 bytes
    tape.udp(1, local(6001), remote(0, 40_001), size=172)  # 200, the same peer
    tape.udp(2, local(6000), remote(1, 40_000), size=72)
    found = seen_on(tape, tmp_path)
    assert (found.bytes_per_packet, found.top_peer_bytes_share) == (pytest.approx(400 / 3), 0.75)


@pytest.mark.parametrize(("size_back", "talks"), [(160, 1), (40, 0)])
def test_a_talk_is_steady_and_filled_by_both_sides(tmp_path: Path, size_back: int, talks: int) -> None:
    tape = Tape()
    for i in range(6 * 25):
        tape.udp(i / 25, local(6000), remote(0, 40_000), size=size_back)
        tape.udp(i / 25 + 0.01, remote(0, 40_000), local(6000), size=1100)
    assert seen_on(tape, tmp_path).voice_bytes_share == talks


def test_segments_of_a_film_come_by_the_clock(tmp_path: Path) -> None:
    regular, irregular, one_by_one = Tape(), Tape(), Tape()
    for i in range(6):
        regular.connection(4 * i, local(5000 + i), remote(0, 80), received=510_000)
        irregular.connection(2 * i + i * i, local(5000 + i), remote(0, 80), received=510_000)
        one_by_one.connection(1.05 * i, local(5000 + i), remote(0, 80), received=510_000)  # a second each
    assert seen_on(regular, tmp_path).periodic_share == 1
    assert seen_on(irregular, tmp_path).periodic_share < 0.5
    assert seen_on(one_by_one, tmp_path).periodic_share == 0


def film(tape: Tape, segments: int, every_s: float, data: int = 200_000) -> None:
    """One connection that carries a segment every so many seconds."""
    tape.open(0, local(5000), remote(0, 80))
    for i in range(segments):
        tape.carry(0.5 + i * every_s, remote(0, 80), local(5000), data)


@pytest.mark.parametrize(
    ("segments", "every_s", "paced"),
    [
        (10, 2.0, 1),  # segments of two seconds
        (10, 0.9, 0),  # it never rests for a second
        (2, 4.0, 0),  # one rest may be a loss
        (6, 30.0, 0),  # somebody who reads
    ],
)
def test_a_film_rests_between_its_segments(tmp_path: Path, segments: int, every_s: float, paced: int) -> None:
    tape = Tape()
    film(tape, segments, every_s)
    assert seen_on(tape, tmp_path).segmented_bytes_share == paced


@pytest.mark.parametrize(("reports", "paced"), [(3, 1), (0, 0), (150, 0)])
def test_a_film_by_rtp_goes_one_way_and_somebody_is_there(tmp_path: Path, reports: int, paced: int) -> None:
    tape = Tape()
    tape.udp(0, local(6000), remote(0, 40_000), size=20)
    for i in range(6 * 50):
        tape.udp(0.01 + i / 50, remote(0, 40_000), local(6000), size=1300)
    for i in range(1, reports):
        tape.udp(6 * i / reports, local(6000), remote(0, 40_000), size=20)
    if not reports:
        tape.frames.pop(0)
    assert seen_on(tape, tmp_path).segmented_bytes_share == paced


def test_who_falls_silent_again_and_again_does_not_talk(tmp_path: Path) -> None:
    tape = Tape()
    for burst in range(4):
        for i in range(60):
            at_s = 2.1 * burst + i / 60
            tape.udp(at_s, local(6000), remote(0, 40_000), size=160)
            tape.udp(at_s + 0.005, remote(0, 40_000), local(6000), size=160)
    assert seen_on(tape, tmp_path).voice_bytes_share == 0


def test_what_is_at_its_least_or_worst_has_a_class() -> None:
    nothing = dataclasses.replace(SYNC, **{field.name: 0 for field in dataclasses.fields(SYNC)})
    assert classify(nothing).label not in ATTACKS | P2P


# --- the programs of our own scenarios -------------------------------------------------------------------------------

SCENARIO = """
[capture]
title = "one program"
seed = {seed}
start = 2026-03-01T10:00:00Z
duration_s = 80

[[guest]]
name = "guest"
address = "10.20.0.9"

[[guest.program]]
kind = "{kind}"
"""
SMALLER = {
    "bulk-download": ["megabytes = 3", "megabytes = 3\nconnections = 4"],
    "bittorrent": ["megabytes = 2", "dht_nodes = 15\npeers = 12\nmegabytes = 1"],
    "streaming": ["bitrate_kbps = 200", "bitrate_kbps = 300\nconnections = 1"],
    "port-scan": ["ports = 100", 'ports = 60\nmode = "connect"', 'mode = "sweep"\ntarget = "198.51.100.0/26"'],
    "syn-flood": ["packets = 500", "packets = 500\nspoofed = true"],
    "smtp-spam": ["domains = 40", "domains = 12"],
    "p2p-group-chat": ["", "group_chats = 3\none_to_one = 5", "group_chats = 8\nramp_per_s = 30\ndead_share = 0.6"],
    "one-server-im": ["message_gap_s = 4"],
    "call": ["stop_s = 40"],
}
CASES = [(kind, extra) for kind in PROGRAMS if kind not in ("dns", "discovery") for extra in SMALLER.get(kind, [""])]


def played(folder: Path, kind: str, extra: str, seed: int) -> Analysis:
    path = folder / "scenario.toml"
    path.write_text(SCENARIO.format(kind=kind, seed=seed) + extra + "\n")
    made = write_scenario(path, folder / "made.pcap")
    return analyse([str(made.capture)], Settings())


def as_a_whole(analysis: Analysis) -> Classification:
    """Of all the busiest host did, however little."""
    return classify(features.measure(analysis.index.of(analysis.ranked[0]), analysis.facts, analysis.kinds))


@pytest.mark.parametrize("seed", [1, 2] if COMPILED else [1])
@pytest.mark.parametrize(("kind", "extra"), CASES)
def test_a_programs_traffic_is_known_for_what_it_is(tmp_path: Path, kind: str, extra: str, seed: int) -> None:
    analysis = played(tmp_path, kind, extra, seed)
    truth = PROGRAMS[kind].traffic_class
    assert as_a_whole(analysis).label is truth
    for burst in analysis.bursts:
        assert burst.classification.label is truth
    bursty = truth in P2P | ATTACKS | {TrafficClass.WEB}
    assert bool(analysis.bursts) == bursty
    if kind != "one-server-im":  # two flows, hardly any bytes: nothing is said of such a host
        assert analysis.hosts[0].classification.label is truth


def test_a_host_of_few_light_flows_has_no_class(tmp_path: Path) -> None:
    tape = Tape()
    tape.exchange(0, local(5000), remote(1))
    found = tape.analysis(tmp_path).hosts[0]
    assert (found.name, found.classification) == (HOST, Classification(TrafficClass.UNKNOWN, 0.0, ()))


def test_no_part_of_a_login_is_taken_for_an_attack(tmp_path: Path) -> None:
    """A limit is judged while a login goes on: any first part of it, from 15 outcomes on, is no attack."""
    analysis = played(tmp_path, "p2p-group-chat", "group_chats = 20\ndead_share = 0.4", 5)
    flows = analysis.index.of(analysis.ranked[0])
    for count in range(15, flows.flow.size, 7):
        label = classify(features.measure(flows.take(np.arange(count)), analysis.facts, analysis.kinds)).label
        assert label not in ATTACKS, count
