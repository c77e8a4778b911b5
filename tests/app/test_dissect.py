"""What Wireshark calls a flow: which packets are asked for, and what is made of the answer."""

import asyncio
from pathlib import Path

import pytest

from peerburst import dissect
from peerburst.capture.errors import SettingsError
from peerburst.dissect import Dissection
from tests.support.making import HOST, Tape, local, remote


def two_flows(folder: Path) -> "dissect.Analysis":
    tape = Tape()
    tape.exchange(0, local(5000), remote(0, 53))
    tape.connection(1, local(5001), remote(1, 80))
    return tape.analysis(folder)


def test_a_flow_is_found_by_row_and_by_community_id(tmp_path: Path) -> None:
    analysis = two_flows(tmp_path)
    second = analysis.community_ids()[1]
    assert second is not None
    assert [dissect.find_flow(analysis, wanted) for wanted in ("1", "2", second)] == [0, 1, 1]
    for wanted, says in (("0", "from 1 to 2"), ("3", "from 1 to 2"), ("1:abc", "no flow has the Community ID")):
        with pytest.raises(SettingsError, match=says):
            dissect.find_flow(analysis, wanted)


def test_the_filter_asks_for_the_flow_while_it_lived(tmp_path: Path) -> None:
    asked = dissect.display_filter(two_flows(tmp_path).flows.iloc[0])
    assert asked == (
        f"ip.addr == {HOST} && ip.addr == {remote(0)[0]} && udp.port == 5000 && udp.port == 53"
        " && frame.time_epoch >= 1699999999.999000000 && frame.time_epoch <= 1700000000.101000000"
    )


def test_the_protocol_above_the_transport_is_what_it_is_called() -> None:
    found = Dissection("udp a -> b", "probe", 3, (("eth:ip:udp:dns", 2), ("eth:ip:udp:DATA", 1)))
    assert found.called == "dns"
    assert dissect.lines(found)[0] == "udp a -> b (probe): Wireshark calls it dns, going by its first 3 packets"
    assert Dissection("tcp a -> b", "probe", 1, (("eth:ip:tcp", 1),)).called is None


def test_wireshark_is_asked(tmp_path: Path) -> None:
    pytest.importorskip("pyshark")
    if dissect.missing_tshark():
        pytest.skip("tshark is not installed")
    found = dissect.dissect(two_flows(tmp_path), "2")
    assert found.packets > 4
    assert dict(found.stacks)["eth:ip:tcp"] >= 3


def test_it_is_asked_too_where_another_has_used_up_the_event_loop(tmp_path: Path) -> None:
    pytest.importorskip("pyshark")
    if dissect.missing_tshark():
        pytest.skip("tshark is not installed")
    asyncio.run(asyncio.sleep(0))  # leaves the thread without one
    assert dissect.dissect(two_flows(tmp_path), "2").packets


def test_without_tshark_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyshark")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match="dissecting needs tshark; install"):
        dissect.dissect(two_flows(tmp_path), "2")
