"""The product held against a real Linux gateway. Runs as root where namespaces and nftables are; skips elsewhere.

All replays run side by side, so the wait is that of the longest capture: about 80 seconds.
"""

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from peerburst.capture.files.source import PacketSource
from peerburst.capture.flows.table import FlowTable
from tests.lab.gateway import accuracy, ctnetlink, frames, judge, namespaces, record, rules
from tests.support import paths

LACKING = namespaces.missing()
needs_gateway = pytest.mark.skipif(LACKING is not None, reason=f"no gateway can be built here: it {LACKING}")

CORPUS = paths.CORPUS / "traffic"
SHORT_SET = ("skype-login-2", "web-espn", "kakaotalk-chat", "nmap-connect", "bittorrent-transfer")
CHANCE_DIALOGUES = 200
LEAST_EQUAL = 0.995
# A SYN that Linux does not let reopen a reset entry begins a flow of its own; once the server answers, the flow counts
# from that SYN on, the kernel's entry only from the answer.
COUNTED_EARLY = {"reset_then_syn_by_the_other"}


def _corpus() -> dict[str, str]:
    found = {name: next(iter(sorted(CORPUS.glob(f"{name}.pcap*"))), None) for name in SHORT_SET}
    return {name: str(path) for name, path in found.items() if path is not None}


@pytest.fixture(scope="module")
def names_and_verdicts(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[dict[str, str], dict[str, accuracy.Verdict]]:
    path = tmp_path_factory.mktemp("gateway") / "crafted.pcap"
    names, sent = rules.crafted(CHANCE_DIALOGUES)
    rules.write(path, sent)
    return names, accuracy.hold_against_linux({"crafted": str(path), **_corpus()})


@pytest.fixture(scope="module")
def verdicts(names_and_verdicts: tuple[dict[str, str], dict[str, accuracy.Verdict]]) -> dict[str, accuracy.Verdict]:
    return names_and_verdicts[1]


@needs_gateway
def test_the_gateway_runs_with_the_defaults_the_models_assume() -> None:
    with namespaces.Gateway("defaults") as gateway:
        assert gateway.sysctls() == namespaces.EXPECTED_SYSCTLS


@needs_gateway
@pytest.mark.parametrize("rule", sorted(rules.RULES))
def test_each_rule_is_linux_own(
    names_and_verdicts: tuple[dict[str, str], dict[str, accuracy.Verdict]], rule: str
) -> None:
    names, verdicts = names_and_verdicts
    entries = verdicts["crafted"].entries
    clients = {address for address, name in names.items() if name == rule}
    servers = {address.replace("10.0.", "198.18.", 1) for address in clients}
    wrong = [
        told
        for key, told in zip(entries.keys, entries.differences, strict=True)
        if {key.source, key.destination} & (clients | servers)
    ]
    assert not wrong
    counted = verdicts["crafted"].counts
    miscounted = [
        told
        for model in judge.MODELS
        for told in counted[model].differences
        if told.split(" ")[0] in clients | servers and not (model == "linux-connlimit" and rule in COUNTED_EARLY)
    ]
    assert not miscounted


@needs_gateway
def test_dialogues_by_chance_are_tracked_as_linux_tracks_them(verdicts: dict[str, accuracy.Verdict]) -> None:
    verdict = verdicts["crafted"]
    assert verdict.entries.compared > 20 * CHANCE_DIALOGUES
    assert not verdict.entries.differences
    assert verdict.counts["linux-conntrack"].share_equal >= LEAST_EQUAL
    assert verdict.counts["linux-connlimit"].share_equal >= 0.98  # see COUNTED_EARLY: here it is no rare case
    assert max(score.worst for score in verdict.counts.values()) <= 1


@needs_gateway
@pytest.mark.corpus
@pytest.mark.parametrize("name", SHORT_SET)
def test_a_real_capture_is_counted_as_linux_counts_it(verdicts: dict[str, accuracy.Verdict], name: str) -> None:
    if name not in verdicts:
        pytest.skip(f"{name} is not in ../shared/corpus")
    verdict = verdicts[name]
    for score in verdict.counts.values():
        assert score.compared
        assert score.share_equal >= LEAST_EQUAL, score.differences[:5]
        assert score.worst <= 1
    assert verdict.entries.share_equal >= LEAST_EQUAL, verdict.entries.differences[:5]
    kernel, product = zip(*verdict.crossings().values(), strict=True)
    assert kernel == product


@pytest.mark.parametrize("rule", sorted(rules.RULES))
def test_each_rule_is_as_a_kernel_was_seen_to_hold_it(tmp_path: Path, rule: str) -> None:
    recorded: list[tuple[float, list[str]]] = json.loads(record.TARGET.read_text())["rules"][rule]
    number = list(rules.RULES).index(rule) + 1
    dialogue = rules.Dialogue(number)
    rules.RULES[rule](dialogue)
    rules.write(tmp_path / "rule.pcap", dialogue.sent)
    packets = np.concatenate(list(PacketSource(str(tmp_path / "rule.pcap")).batches()))
    for at_s, told in recorded:
        at_ns = rules.EPOCH_S * 10**9 + round(at_s * 1e9)
        table = FlowTable()
        table.add(packets[packets["ts"] <= at_ns])
        held = [
            ctnetlink.Held(key, entry.state, round(entry.left_s - 0.5), False, entry.assured)
            for key, entry in judge.live(table, at_ns, ()).items()
        ]
        client = f"10.0.0.{number}"
        mine = sorted(record.said(entry, client) for entry in held)
        assert [line.rsplit(",", 1)[0] for line in mine] == [line.rsplit(",", 1)[0] for line in told], at_s
        for line, kernel in zip(mine, told, strict=True):
            assert abs(int(line.rsplit(", ", 1)[1]) - int(kernel.rsplit(", ", 1)[1])) <= 1, (at_s, line, kernel)


def test_a_frame_is_mended_whole() -> None:
    # 0x4500 header of 10.0.0.1 > 198.18.0.1, length 24, TTL 1, protocol 17, cut to 20 bytes, checksum empty
    header = bytes.fromhex("45000018000000000111 0000 0a000001 c6120001".replace(" ", ""))
    whole = frames.mended_ipv4(header, wire=60)
    assert len(whole) == 24
    assert whole[8] == 64
    words = struct.unpack(">10H", whole[:20])
    total = sum(words)
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF  # RFC 1071: a good header sums to all ones


def test_a_length_of_zero_is_taken_from_the_wire() -> None:
    header = bytes.fromhex("45000000000000000106 0000 0a000001 c6120001".replace(" ", ""))
    assert len(frames.mended_ipv4(header + bytes(8), wire=3000)) == 3000


def test_no_difference_is_hidden() -> None:
    score = judge.Score()
    score.add("10.0.0.1", 1.0, 3, np.array([3]))
    score.add("10.0.0.1", 2.0, 3, np.array([5, 6]))
    score.add("10.0.0.1", 3.0, 3, np.array([4, 3]))
    score.add("10.0.0.1", 4.0, 0, np.array([0]))
    assert (score.compared, score.equal, score.near_an_event, score.worst) == (3, 2, 1, 2)
    assert len(score.differences) == 1
