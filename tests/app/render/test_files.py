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
from peerburst.capture.errors import CaptureError
from peerburst.render.files import EXPORTED, write_flows, write_timeline
from peerburst.render.formats import FlowFormat, TableFormat
from tests.support.making import EPOCH_NS, HOST, Tape, local, remote
from tests.support.packets_by_hand import SYN


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
    assert (tmp_path / "empty.jsonl").read_text().strip() == ""
    assert len(pd.read_parquet(tmp_path / "empty.parquet")) == 0


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
