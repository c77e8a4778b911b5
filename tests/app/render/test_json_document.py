"""The text of the document is what json makes of the answers asked for one by one."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.results import Host
from peerburst.analysis.settings import Settings
from peerburst.opening import analyse
from peerburst.render.json_document import document, pieces, rounded_seconds
from tests.support.paths import PCAPS

CAPTURES = PCAPS


def host_object(analysis: Analysis, host: Host) -> dict[str, Any]:
    def rounded(value: float | None) -> float | None:
        return None if value is None else round(value, 6)

    return {
        "host": host.name,
        "addresses": analysis.addresses_of(analysis.host_number(host.name)),
        "flows": host.flows,
        "peers": host.peers,
        "ip_bytes": host.ip_bytes,
        "class": host.classification.label.value,
        "at_least": analysis.at_least(analysis.host_number(host.name)),
        "is_server": host.is_server,
        "inbound_peak": host.inbound_peak,
        "models": {
            name: {
                "peak": peak.peak,
                "peak_at_s": rounded(peak.peak_at_s),
                "talking_at_peak": peak.talking,
                "lingering_at_peak": peak.lingering,
                "crossed_at_s": {str(limit): rounded(at) for limit, at in peak.crossed_at_s.items()},
                "above_s": {str(limit): rounded(length) for limit, length in peak.above_s.items()},
            }
            for name, peak in host.models.items()
        },
    }


@pytest.mark.parametrize("indent", [None, 1, 3])
@pytest.mark.parametrize(
    "settings",
    [Settings(limits=(3, 20)), Settings(models=("nat-mapping", "flat:60"), local_nets=("0.0.0.0/0",), include_lan=True),
     Settings(local_nets=("203.0.113.77/32",))],
)  # fmt: skip
def test_the_text_is_what_json_makes_of_every_host(settings: Settings, indent: int | None) -> None:
    analysis = analyse([str(CAPTURES / "chat-sync-small.pcap")], settings)
    text = "".join(pieces(analysis, indent))
    made = json.loads(text)
    assert made["hosts"] == [host_object(analysis, host) for host in analysis.hosts]
    assert text == json.dumps(made, indent=indent, allow_nan=False)
    assert document(analysis) == made


@given(ns=st.lists(st.integers(-(2**55), 2**62), max_size=50))
@example(ns=[500, 1500, 2500, 501, 499, 0, 1000, 999_999_500, 2**52 + 500, -1, -500, -501])
def test_seconds_are_rounded_as_python_rounds(ns: list[int]) -> None:
    assert rounded_seconds(np.array(ns, np.int64)).tolist() == [round(value / 1e9, 6) for value in ns]


def test_it_needs_no_host(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pcap"
    empty.write_bytes((CAPTURES / "chat-sync-small.pcap").read_bytes()[:24])
    for indent in (None, 1):
        text = "".join(pieces(analyse([str(empty)], Settings()), indent))
        assert json.loads(text)["hosts"] == []
