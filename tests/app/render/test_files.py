"""Flows and timelines as other tools read them."""

import csv
import gzip
import io
import json
import os
from pathlib import Path

import pandas as pd
import pytest

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.settings import Settings
from peerburst.capture.errors import CaptureError
from peerburst.opening import analyse
from peerburst.render.conn_log import epoch_seconds
from peerburst.render.files import EXPORTED, write_flows, write_timeline
from peerburst.render.formats import FlowFormat, TableFormat
from tests.support.making import EPOCH_NS, HOST, Tape, local, remote
from tests.support.packets_by_hand import ICMPV6, IPV6, SYN, ethernet, icmp, ipv6


@pytest.fixture
def analysis(tmp_path: Path) -> Analysis:
    tape = Tape()
    tape.connection(0, local(5000), remote(1))
    tape.exchange(2.000001, local(6000), remote(2, 40_000))
    tape.tcp(3, local(7000), remote(3, 80), SYN)
    tape._ip(4, 250, HOST, "8.8.8.8", bytes(20))
    tape.connection(5, local(5000), remote(1))  # the same 5-tuple again
    return tape.analysis(tmp_path)


def test_csv(analysis: Analysis, tmp_path: Path) -> None:
    write_flows(analysis, FlowFormat.CSV, str(tmp_path / "flows.csv"))
    rows = list(csv.DictReader((tmp_path / "flows.csv").open()))
    assert list(rows[0]) == list(EXPORTED)
    assert [row["proto"] for row in rows] == ["tcp", "udp", "tcp", "250", "tcp"]
    assert rows[0]["ts"] == "1700000000.000000000"
    assert rows[1]["ts"] == "1700000002.000001000"
    assert (rows[0]["closing"], rows[1]["closing"]) == ("1700000000.800000000", "")
    assert rows[0]["community_id"].startswith("1:")
    assert (rows[3]["community_id"], rows[3]["process"]) == ("", "")
    assert [row["conn_state"] for row in rows] == ["SF", "SF", "S0", "OTH", "SF"]


def test_jsonl(analysis: Analysis, tmp_path: Path) -> None:
    write_flows(analysis, FlowFormat.JSONL, str(tmp_path / "flows.jsonl"))
    rows = [json.loads(line) for line in (tmp_path / "flows.jsonl").read_text().splitlines()]
    assert len(rows) == 5
    assert list(rows[0]) == list(EXPORTED)
    assert rows[0]["ts"] == EPOCH_NS / 1e9
    assert rows[1]["duration"] == pytest.approx(0.1)
    assert (rows[1]["closing"], rows[3]["community_id"], rows[0]["local_orig"]) == (None, None, True)


def test_parquet(analysis: Analysis, tmp_path: Path) -> None:
    write_flows(analysis, FlowFormat.PARQUET, str(tmp_path / "flows.parquet"))
    table = pd.read_parquet(tmp_path / "flows.parquet")
    assert table.columns.tolist() == list(EXPORTED)
    assert table["ts"].iloc[1] == pd.Timestamp(EPOCH_NS + 2_000_001_000, tz="UTC")
    assert table["orig_h"].astype(str).tolist() == analysis.flows["orig_h"].astype(str).tolist()
    assert table["closing"].isna().tolist() == [False, True, True, True, False]


def test_zeek(analysis: Analysis, tmp_path: Path) -> None:
    write_flows(analysis, FlowFormat.ZEEK, str(tmp_path / "conn.log"))
    lines = (tmp_path / "conn.log").read_text().splitlines()
    heads = {line.split("\t")[0]: line.split("\t")[1:] for line in lines if line.startswith("#")}
    assert lines[0] == r"#separator \x09"
    assert heads["#path"] == ["conn"]
    assert heads["#unset_field"] == ["-"]
    names, types = heads["#fields"], heads["#types"]
    assert names[:6] == ["ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p"]
    assert types[:6] == ["time", "string", "addr", "port", "addr", "port"]
    rows = [dict(zip(names, line.split("\t"), strict=True)) for line in lines if not line.startswith("#")]
    assert len(rows) == 5
    assert len(names) == len(types)
    assert rows[0]["ts"] == "1700000000.000000"
    assert (rows[0]["id.orig_h"], rows[0]["id.resp_p"], rows[0]["conn_state"]) == (HOST, "443", "SF")
    assert (rows[0]["duration"], rows[0]["local_orig"], rows[0]["local_resp"]) == ("1.000000", "T", "F")
    assert rows[0]["history"] == "ShADdFf"
    assert rows[3]["community_id"] == "-"
    assert len({row["uid"] for row in rows}) == 5  # one for each connection, even of one 5-tuple
    assert rows[0]["community_id"] == rows[4]["community_id"]
    assert not any("nan" in line.lower() for line in lines)


def test_timeline_csv_and_jsonl(analysis: Analysis, tmp_path: Path) -> None:
    frame = analysis.timeline(HOST, "flat:120", step_s=0.1)
    write_timeline(frame, TableFormat.CSV, str(tmp_path / "a.csv"))
    text = (tmp_path / "a.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert text.splitlines()[0] == "t_s,at,max,mean,talking"
    assert rows[3]["t_s"] == "0.3"
    assert len(rows) == 61
    write_timeline(frame, TableFormat.JSONL, str(tmp_path / "a.jsonl"))
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [line["max"] for line in lines] == frame["max"].tolist()


def test_nothing_to_write_still_has_columns(tmp_path: Path) -> None:
    empty = Tape().analysis(tmp_path)
    for shape in FlowFormat:
        write_flows(empty, shape, str(tmp_path / f"empty.{shape.value}"))
    assert (tmp_path / "empty.csv").read_text().splitlines() == [",".join(EXPORTED)]
    assert (tmp_path / "empty.jsonl").read_text() == ""
    table = pd.read_parquet(tmp_path / "empty.parquet")
    assert (len(table), table.columns.tolist()) == (0, list(EXPORTED))
    assert [line.split("\t")[0] for line in (tmp_path / "empty.zeek").read_text().splitlines()][-2:] == [
        "#fields",
        "#types",
    ]


def test_a_file_that_cannot_be_written_is_refused_and_nothing_left(analysis: Analysis, tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="the folder does not exist"):
        write_flows(analysis, FlowFormat.CSV, str(tmp_path / "no" / "such" / "folder.csv"))
    (tmp_path / "out").mkdir()
    with pytest.raises(CaptureError, match="this is a folder"):
        write_flows(analysis, FlowFormat.CSV, str(tmp_path / "out"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made.pcap", "out"]


def test_a_device_is_written_to_and_stays_a_device(analysis: Analysis) -> None:
    write_flows(analysis, FlowFormat.CSV, os.devnull)
    assert Path(os.devnull).is_char_device()
    assert not Path(os.devnull + ".part").exists()


def test_a_name_that_ends_in_gz_is_compressed(analysis: Analysis, tmp_path: Path) -> None:
    write_flows(analysis, FlowFormat.CSV, str(tmp_path / "flows.csv.gz"))
    assert gzip.decompress((tmp_path / "flows.csv.gz").read_bytes()).startswith(b"ts,duration,proto")


# --- before 1970, and what Zeek calls it -----------------------------------------------------------------------------


def zeek_rows(analysis: Analysis, folder: Path) -> list[dict[str, str]]:
    write_flows(analysis, FlowFormat.ZEEK, str(folder / "conn.log"))
    lines = (folder / "conn.log").read_text().splitlines()
    names = next(line.split("\t")[1:] for line in lines if line.startswith("#fields"))
    return [dict(zip(names, line.split("\t"), strict=True)) for line in lines if not line.startswith("#")]


def test_instants_before_1970_are_the_same_in_every_format(tmp_path: Path) -> None:
    path = Path(__file__).parents[2] / "cases" / "before-1970-tsoffset.pcapng"
    analysis = analyse([str(path)], Settings())
    for shape in FlowFormat:
        write_flows(analysis, shape, str(tmp_path / f"flows.{shape.value}"))
    table = pd.read_parquet(tmp_path / "flows.parquet")
    exact = [stamp.value / 1e9 for stamp in table["ts"]]
    assert exact[0] == -99.75
    assert exact == sorted(exact)
    rows = list(csv.DictReader((tmp_path / "flows.csv").open()))
    assert [float(row["ts"]) for row in rows] == exact
    assert [float(row["closed"]) for row in rows if row["closed"]] == [
        stamp.value / 1e9 for stamp in table["closed"].dropna()
    ]
    assert [json.loads(line)["ts"] for line in (tmp_path / "flows.jsonl").read_text().splitlines()] == exact
    assert [float(row["ts"]) for row in zeek_rows(analysis, tmp_path)] == exact
    assert all(row["uid"].isalnum() for row in zeek_rows(analysis, tmp_path))


@pytest.mark.parametrize(
    ("ns", "nine", "six"),
    [
        (0, "0.000000000", "0.000000"),
        (-1, "-0.000000001", "0.000000"),
        (-1000, "-0.000001000", "-0.000001"),
        (-999_999_999, "-0.999999999", "-0.999999"),
        (-1_000_000_000, "-1.000000000", "-1.000000"),
        (-99_750_000_000, "-99.750000000", "-99.750000"),
        (1_700_000_000_123_456_789, "1700000000.123456789", "1700000000.123456"),
    ],
)
def test_epoch_seconds(ns: int, nine: str, six: str) -> None:
    stamps = pd.Series([pd.Timestamp(ns, tz="UTC"), pd.NaT]).astype("datetime64[ns, UTC]")
    assert epoch_seconds(stamps).tolist() == [nine, ""]
    assert epoch_seconds(stamps, digits=6).tolist() == [six, ""]


def test_icmp_as_zeek_writes_it(tmp_path: Path) -> None:
    tape = Tape()
    tape.icmp(0, HOST, "8.8.8.8", 8)
    tape.icmp(0.1, "8.8.8.8", HOST, 0)
    tape.icmp(1, HOST, "8.8.4.4", 13)
    tape.icmp(2, "9.9.9.9", HOST, 3, 13)
    tape.icmp(3, "9.9.9.8", HOST, 11, 0)
    for kind, code, peer in ((128, 0, "1"), (135, 0, "2"), (1, 4, "3"), (130, 0, "4")):
        inner = icmp(kind, code)
        tape.frames.append((4 + kind, ethernet(ipv6(inner, ICMPV6, "2001:db8::9", f"2001:db8:1::{peer}"), IPV6)))
    rows = zeek_rows(tape.analysis(tmp_path), tmp_path)
    assert {row["proto"] for row in rows} == {"icmp"}
    found = {(row["id.orig_p"], row["id.resp_p"]) for row in rows}
    assert found == {
        ("8", "0"), ("13", "14"), ("3", "13"), ("11", "0"),
        ("128", "129"), ("135", "136"), ("1", "4"), ("130", "131"),
    }  # fmt: skip


def test_protocols_as_zeek_names_them(tmp_path: Path) -> None:
    tape = Tape()
    tape.tcp(0, local(1), remote(1), SYN)
    tape.udp(1, local(1), remote(1))
    for second, protocol in enumerate((47, 50, 132, 250)):
        tape._ip(2 + second, protocol, HOST, "8.8.8.8", bytes(20))
    rows = zeek_rows(tape.analysis(tmp_path), tmp_path)
    assert [row["proto"] for row in rows] == ["tcp", "udp", *["unknown_transport"] * 4]
