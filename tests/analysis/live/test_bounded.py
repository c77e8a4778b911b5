"""A table that forgets flows answers in the end as one that never did."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.gateways import DEFAULT_MODELS, load
from peerburst.analysis.gateways.compiled import shortest_gaps_s
from peerburst.analysis.live import spill as retired
from peerburst.analysis.live.bounded import LiveTable
from peerburst.analysis.settings import Settings
from peerburst.capture.conntrack.states import NONE
from peerburst.capture.files.source import PacketSource
from peerburst.capture.flows.record import CLOSED, Flows
from peerburst.capture.flows.segments import segment_gaps_ns
from peerburst.capture.flows.table import FlowTable
from peerburst.capture.units import SECOND_NS
from peerburst.render.json_document import document
from tests.support.kernels import COMPILED
from tests.support.making import Tape, local, remote
from tests.support.packets_by_hand import ACK, FIN, SYN
from tests.support.paths import CORPUS, PCAPS

MODELS = [load(name) for name in DEFAULT_MODELS]
GAPS_NS = segment_gaps_ns(shortest_gaps_s(MODELS))
CAPTURES = [
    PCAPS / "chat-sync-small.pcap",
    *(PCAPS / name for name in ("bittorrent.pcap.zst", "port-scan.pcapng.gz")),
    *(
        CORPUS / "traffic" / name
        for name in ("skype-login-1.pcap", "gnutella-gtk.pcap", "nmap-connect.pcap", "viber-call.pcap")
    ),
]
needs_speed = pytest.mark.skipif(not COMPILED, reason="thousands of packets take minutes without the compiler")
# What only the kernel needs between packets, and an entry of its own begins anew.
PRIVATE = ("state", "status", "phase", "renewed", "start", "seen")


def packets_of(path: Path) -> npt.NDArray[np.void]:
    if not path.is_file():
        pytest.skip("the captures of ../shared/corpus are not here")
    return np.concatenate(list(PacketSource(str(path)).batches()))


def again_and_again(packets: npt.NDArray[np.void], pauses_s: tuple[float, ...]) -> npt.NDArray[np.void]:
    """The same packets once more after each of the pauses: every 5-tuple comes back."""
    rounds = [packets]
    for pause_s in pauses_s:
        later = packets.copy()
        later["ts"] += rounds[-1]["ts"].max() - packets["ts"].min() + round(pause_s * SECOND_NS)
        rounds.append(later)
    return np.concatenate(rounds)


def slower(packets: npt.NDArray[np.void], times: int) -> npt.NDArray[np.void]:
    """The same packets with longer silences between them."""
    stretched = packets.copy()
    first = packets["ts"].min()
    stretched["ts"] = first + (packets["ts"] - first) * times
    return stretched


def in_pieces(packets: npt.NDArray[np.void], size: int = 97) -> Iterator[npt.NDArray[np.void]]:
    for begin in range(0, packets.size, size):
        yield packets[begin : begin + size]


def undisturbed(packets: npt.NDArray[np.void]) -> FlowTable:
    table = FlowTable(GAPS_NS)
    for piece in in_pieces(packets, 4096):
        table.add(piece)
    return table


def forgetful(packets: npt.NDArray[np.void], *, size: int = 97, folder: Path | None = None) -> LiveTable:
    table = LiveTable(MODELS[0], GAPS_NS, every_ns=SECOND_NS, kept_s=0, least_share=0, folder=folder)
    for piece in in_pieces(packets, size):
        table.add(piece)
        if table.is_due():
            table.retire()
    return table


def assert_same(got: Flows, wanted: Flows) -> None:
    assert got.row.size == wanted.row.size
    for name in wanted.row.dtype.names or ():
        if name not in PRIVATE:
            np.testing.assert_array_equal(got.row[name], wanted.row[name], err_msg=name)
    np.testing.assert_array_equal(got.first_segment, wanted.first_segment)
    for name in wanted.segments.dtype.names or ():
        ours, theirs = got.segments[name], wanted.segments[name]
        if name == "renewed":  # without an entry there is nothing to renew
            tracked = wanted.segments["phase"] != NONE
            ours, theirs = ours[tracked], theirs[tracked]
        np.testing.assert_array_equal(ours, theirs, err_msg=name)


@needs_speed
@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
@pytest.mark.parametrize("shape", ["as it is", "slower", "again and again"])
def test_flows_are_those_of_a_table_that_forgot_nothing(path: Path, shape: str) -> None:
    packets = packets_of(path)
    if shape == "slower":
        packets = slower(packets, 20)
    if shape == "again and again":
        packets = again_and_again(packets, (200.0, 30.0, 900.0))
    table = forgetful(packets)
    if shape == "again and again":
        assert table.retired_flows > 0
        assert table.live_flows < table.retired_flows
    assert_same(table.all_flows(), undisturbed(packets).flows())
    table.close()


@needs_speed
def test_the_analysis_is_the_same_under_every_model() -> None:
    packets = again_and_again(packets_of(PCAPS / "chat-sync-small.pcap"), (200.0, 400.0))
    forgot, kept = forgetful(packets), unforgetting(packets)
    captures = [forgot.capture(["x"]), kept.capture(["x"])]
    assert forgot.retired_flows > 100
    ours, theirs = (Analysis(capture, Settings(), MODELS) for capture in captures)
    assert document(ours) == document(theirs)
    assert len(ours.bursts) > 0
    assert ours.flows.equals(theirs.flows)
    assert captures[0].packets == packets.size
    forgot.close()


def unforgetting(packets: npt.NDArray[np.void]) -> LiveTable:
    table = LiveTable(MODELS[0], GAPS_NS, every_ns=1 << 62)
    for piece in in_pieces(packets, 4096):
        table.add(piece)
    assert table.retired_flows == 0
    return table


def by_hand(tape: Tape, tmp_path: Path) -> npt.NDArray[np.void]:
    return packets_of(Path(tape.write(tmp_path / "by-hand.pcap")))


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_a_stray_packet_on_a_closed_flow_that_was_retired_goes_on_with_it(tmp_path: Path, size: int) -> None:
    tape = Tape()
    tape.refused(0, local(40000), remote(1))
    tape.udp(60, local(5000), remote(2), 10)  # time goes on
    tape.tcp(100, local(40000), remote(1), FIN | ACK)  # a stray: it belongs to the old flow
    tape.tcp(101, local(40000), remote(1), SYN)  # the old flow is closed: this is the next
    tape.udp(300, local(5000), remote(2), 10)
    tape.udp(500, local(5000), remote(2), 10)
    tape.tcp(501, local(40000), remote(1), SYN)  # the second flow never closed: this goes on with it
    packets = by_hand(tape, tmp_path)
    table = forgetful(packets, size=size)
    flows = table.all_flows()
    tcp = flows.row[flows.row["proto"] == 6]
    assert (tcp["a_pkts"] + tcp["b_pkts"]).tolist() == [3, 2]
    assert (tcp["flags"] & CLOSED != 0).tolist() == [True, False]
    assert_same(flows, undisturbed(packets).flows())
    if size == 1:
        assert table.retired_flows >= 3
    table.close()


def test_retired_flows_lie_in_the_folder_as_parquet(tmp_path: Path) -> None:
    import pyarrow.parquet as parquet

    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "retired-99999.parquet").write_text("of an earlier session")
    table = forgetful(again_and_again(packets_of(PCAPS / "chat-sync-small.pcap"), (300.0,)), folder=tmp_path / "out")
    files = sorted((tmp_path / "out").iterdir())
    assert [file.name for file in files] == [f"retired-{i + 1:05d}.parquet" for i in range(len(files))]
    read = [parquet.read_table(file) for file in files]
    assert sum(rows.num_rows for rows in read) == table.retired_flows
    assert {"a_lo", "b_port", "proto", "history", "segments"} <= set(read[0].column_names)
    table.close()
    assert files[0].exists()


def test_a_part_written_and_read_is_the_same(tmp_path: Path) -> None:
    flows = undisturbed(packets_of(PCAPS / "chat-sync-small.pcap")).flows()
    part = retired.Part(flows, np.arange(flows.row.size) * 3, np.arange(flows.row.size) % 2 == 0)
    retired.write(tmp_path / "part.parquet", part)
    back = retired.read(tmp_path / "part.parquet")
    for name in flows.row.dtype.names or ():
        np.testing.assert_array_equal(back.flows.row[name], flows.row[name])
    np.testing.assert_array_equal(back.flows.segments, flows.segments)
    np.testing.assert_array_equal(back.flows.first_segment, flows.first_segment)
    np.testing.assert_array_equal(back.number, part.number)
    np.testing.assert_array_equal(back.anew, part.anew)
    assert [file.name for file in tmp_path.iterdir()] == ["part.parquet"]


def test_where_nothing_can_be_written_flows_stay_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    packets = again_and_again(packets_of(PCAPS / "chat-sync-small.pcap"), (300.0,))
    table = forgetful(packets, folder=tmp_path / "file" / "out")
    assert table.retired_flows == 0
    assert len(table.warnings) == 1
    assert "old flows stay in memory" in table.warnings[0]
    assert_same(table.all_flows(), undisturbed(packets).flows())


def test_under_a_model_with_longer_timeouts_retired_flows_come_back(tmp_path: Path) -> None:
    tape = Tape()
    for i in range(20):
        tape.udp(0, local(5000 + i), remote(i), 10)
    tape.udp(100, local(4000), remote(99), 10)
    table = forgetful(by_hand(tape, tmp_path), size=1)
    assert table.retired_flows == 20
    assert table.flows().row.size == 1
    table.choose(load("cisco-asa"))  # UDP 120 s
    assert table.flows().row.size == 21
    assert table.all_flows().row.size == 21
    table.choose(load("pf-normal"))  # UDP 60 s
    assert table.flows().row.size == 1
    table.close()


@needs_speed
def test_memory_holds_live_flows_only(tmp_path: Path) -> None:
    packets = again_and_again(packets_of(PCAPS / "chat-sync-small.pcap"), tuple([120.0] * 40))
    table = forgetful(packets, size=500)
    assert table.retired_flows > 2000
    assert table.live_flows < 300
    assert_same(table.all_flows(), undisturbed(packets).flows())
    table.close()


@pytest.mark.parametrize(("apart_s", "packets_of_each"), [(200, [6, 6, 3, 3, 3]), (400, [2, 2, 1, 1, 1] * 3)])
def test_pings_and_errors_that_come_back_are_joined_by_identifier_and_by_type_and_code(
    tmp_path: Path, apart_s: int, packets_of_each: list[int]
) -> None:
    # Unless they come back so late that they are others (`record.UDP_OVER_NS`).
    tape = Tape()
    for at_s in (0, apart_s, 2 * apart_s):
        for identifier in (7, 8):
            tape.icmp(at_s, "192.168.1.10", "8.8.8.8", 8, 0, identifier)
            tape.icmp(at_s + 0.1, "8.8.8.8", "192.168.1.10", 0, 0, identifier)
        tape.icmp(at_s + 0.2, "8.8.8.8", "192.168.1.10", 3, 1)
        tape.icmp(at_s + 0.3, "8.8.8.8", "192.168.1.10", 3, 3)
        tape.icmp(at_s + 0.4, "192.168.1.10", "8.8.8.8", 3, 3)
    packets = packets_of(Path(tape.write(tmp_path / "pings.pcap")))
    table = forgetful(packets, size=1)
    assert table.retired_flows > 0
    flows = table.all_flows()
    assert_same(flows, undisturbed(packets).flows())
    assert (flows.row["a_pkts"] + flows.row["b_pkts"]).tolist() == packets_of_each
    assert flows.row["icmp_id"].tolist() == [7, 8, 0, 0, 0] * (len(packets_of_each) // 5)
    assert flows.row["icmp_code"].tolist() == [0, 0, 1, 3, 3] * (len(packets_of_each) // 5)
    table.close()
