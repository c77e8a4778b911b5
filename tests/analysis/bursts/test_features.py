"""Features of a set of flows, worked out by hand."""

import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from peerburst.analysis.bursts import features, page
from peerburst.analysis.bursts.classes import RULES
from peerburst.analysis.bursts.features import ALL, FEATURES, Features
from tests.support.making import HOST, Tape, local, remote
from tests.support.packets_by_hand import SYN
from tests.support.paths import ROOT

BURSTS = ROOT / "analysis/bursts"
CLASSES_PAGE = ROOT / "docs/classes.md"


def features_of(tape: Tape, folder: Path) -> Features:
    analysis = tape.analysis(folder)
    flows = analysis.index.of(analysis.host_number(HOST))
    return features.measure(flows, analysis.facts, analysis.kinds)


def test_a_handful_of_flows(tmp_path: Path) -> None:
    tape = Tape()
    tape.udp(0, local(6000), ("20.1.0.1", 40001), size=72)  # 100 bytes
    tape.udp(0.1, ("20.1.0.1", 40001), local(6000), size=172)  # 200
    tape.udp(0.5, local(6000), ("20.1.0.2", 40002), size=72)  # the same /16
    tape.udp(0.9, local(6001), ("30.2.0.1", 40002), size=72)
    tape.tcp(3, local(7000), ("30.2.0.1", 443), SYN)  # 40
    found = features_of(tape, tmp_path)
    assert (found.flow_count, found.peer_count, found.duration_s, found.most_new_per_s) == (4, 3, 3.0, 3)
    assert (found.flows_per_peer, found.prefixes_per_peer) == (4 / 3, 2 / 3)
    assert (found.port_count, found.busiest_port, found.busiest_port_share) == (3, 40002, 0.5)
    # Three ports, seen 1, 2 and 1 times: -(2 * 1/4 ln 1/4 + 1/2 ln 1/2) / ln 4
    assert found.port_entropy == pytest.approx((0.5 * math.log(4) + 0.5 * math.log(2)) / math.log(4))
    assert (found.unknown_port_share, found.unknown_port_bytes_share) == (0.75, 500 / 540)
    assert found.one_local_port_share == 0.5
    assert (found.busiest_peer_share, found.busiest_peer_port_count) == (0.5, 2)
    assert found.busiest_target_share == 0.25
    assert (found.udp_share, found.answered_share, found.refused_share, found.inbound_share, found.tiny_share) == (
        0.75,
        0.25,
        0,
        0,
        1,
    )
    assert (found.median_bytes, found.total_bytes, found.largest_bytes) == (100, 540, 300)
    assert found.top3_bytes_share == 500 / 540
    assert found.received_bytes_share == 200 / 540
    assert (found.heavy_bytes_share, found.mail_port_share, found.service_share) == (0, 0, 0)
    assert found.web_port_share == 0.25


def test_what_others_open_goes_by_the_port_here(tmp_path: Path) -> None:
    tape = Tape()
    for i in range(4):
        tape.refused(i, remote(i, 50_000 + i), local(80))
    found = features_of(tape, tmp_path)
    assert (found.inbound_share, found.port_count, found.busiest_port, found.busiest_target_share) == (1, 1, 80, 1)
    assert (found.refused_share, found.answered_share, found.peer_count) == (1, 0, 4)


def test_shares_of_mail_heavy_and_services(tmp_path: Path) -> None:
    tape = Tape()
    tape.connection(0, local(5000), remote(0, 25))
    tape.connection(2, local(5001), remote(1, 443), received=600_000)
    tape.exchange(5, local(5002), remote(2, 53))
    tape.exchange(5, local(5003), remote(3, 53))
    found = features_of(tape, tmp_path)
    assert (found.service_share, found.service_peer_count) == (0.5, 2)
    # Of the rest:
    assert (found.flow_count, found.connection_count, found.mail_port_share, found.web_port_share) == (4, 2, 0.5, 0.5)
    assert found.heavy_bytes_share > 0.99
    assert found.received_bytes_share > 0.9
    assert found.one_local_port_share == 0
    assert found.total_bytes == 2 * found.median_bytes + 2 * 96  # the two connections and the questions


def test_a_set_of_questions_alone_is_measured_by_them(tmp_path: Path) -> None:
    tape = Tape()
    for i in range(4):
        tape.exchange(i, local(5000 + i), remote(i // 2, 53))
    found = features_of(tape, tmp_path)
    assert (
        found.flow_count,
        found.connection_count,
        found.peer_count,
        found.service_share,
        found.service_peer_count,
    ) == (4, 4, 2, 1.0, 2)
    assert (found.busiest_port, found.answered_share, found.tiny_share) == (53, 1.0, 1.0)


def test_how_fast_heavy_flows_are(tmp_path: Path) -> None:
    tape = Tape()
    tape.connection(0, local(5001), remote(1, 443), received=600_000)
    tape.connection(9, local(5002), remote(1, 443))  # light: it does not count
    analysis = tape.analysis(tmp_path)
    found = features_of(tape, tmp_path)
    lasted = (analysis.facts.last_ns - analysis.facts.start_ns)[0] / 1e9
    assert found.heavy_bytes_per_s == pytest.approx(found.largest_bytes / max(lasted, 1.0))


def test_a_second_is_a_sliding_one(tmp_path: Path) -> None:
    tape = Tape()
    for i, at in enumerate((0.0, 0.6, 0.9, 1.3, 1.599999, 1.6)):
        tape.udp(at, local(5000 + i), remote(i))
    assert features_of(tape, tmp_path).most_new_per_s == 4  # 0.6 up to, not including, 1.6


def test_ipv6_spreads_over_32_bits(tmp_path: Path) -> None:
    tape = Tape()
    for i, peer in enumerate(("2001:db8::1", "2001:db8:1::1", "2001:db9::1", "2001:db8::2")):
        tape.udp(i, ("fd00::5", 5000), (peer, 40000))
    analysis = tape.analysis(tmp_path)
    found = features.measure(analysis.index.of(0), analysis.facts, analysis.kinds)
    assert (found.peer_count, found.prefixes_per_peer) == (4, 0.5)


def test_of_nothing_everything_is_zero(tmp_path: Path) -> None:
    tape = Tape()
    tape.udp(0, local(5000), remote(0))
    analysis = tape.analysis(tmp_path)
    nothing = analysis.index.of(0).take(np.zeros(1, np.bool_))
    assert set(asdict(features.measure(nothing, analysis.facts, analysis.kinds)).values()) == {0}


# --- the registry ----------------------------------------------------------------------------------------------------


def lacking() -> Iterator[str]:
    """What each feature of the registry lacks, and where it goes."""
    kernels = "".join(path.read_text() for path in sorted((BURSTS / "features").glob("*.py")))
    sentences = "".join((BURSTS / name).read_text() for name in ("explain.py", "classify.py"))
    of_rules = {bound.feature for rule in RULES for one in (*rule.required, *rule.supporting) for bound in one.bounds()}
    for name, feature in ALL.items():
        if not name.endswith(feature.unit.value):
            yield f"{name} does not end in its unit, {feature.unit.value}: analysis/bursts/features/record.py, Features"
        if not feature.words:
            yield f"{name} has no words: analysis/bursts/features/record.py, Features"
        if f'["{name}"] = ' not in kernels:
            yield f"nothing measures {name}: a kernel in analysis/bursts/features/"
        if name not in of_rules and f".{name}" not in sentences:
            yield f"nothing reads {name}: a rule in analysis/bursts/classes.py or a sentence in explain.py beside it"
        if f"| `{name}` |" not in CLASSES_PAGE.read_text():
            yield f"{name} has no row: docs/classes.md, by python -m peerburst.analysis.bursts.page docs/classes.md"


def test_every_feature_has_all_its_parts() -> None:
    missing = list(lacking())
    assert not missing, "\n".join(missing)


def test_rows_have_a_column_for_each_feature_in_order() -> None:
    assert tuple(ALL) == Features.__slots__ == FEATURES.names
    assert len({feature.words for feature in ALL.values()}) == len(ALL)


def test_the_page_has_the_table_of_the_registry(tmp_path: Path) -> None:
    assert page.main(["--check", str(CLASSES_PAGE)]) == 0
    old = tmp_path / "classes.md"
    old.write_text("before\n<!-- begin features -->\nold\n<!-- end features -->\nafter\n")
    assert page.main(["--check", str(old)]) == 1
    assert page.main([str(old)]) == 0
    assert "| `median_bytes` | bytes | median size of a connection |" in old.read_text()
    assert page.main(["--check", str(old)]) == 0
    with pytest.raises(ValueError, match="0 places"):
        page.render("no table")
