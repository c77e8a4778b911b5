"""Flows and timelines as files other tools read: CSV, JSON lines, Parquet, Zeek's conn.log."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pandas as pd

from peerburst.analysis.analysis import Analysis
from peerburst.capture.errors import SettingsError
from peerburst.capture.files.writer import written_whole
from peerburst.render.conn_log import conn_log, epoch_seconds
from peerburst.render.formats import FlowFormat, TableFormat

EXPORTED = (
    "ts", "duration", "proto", "orig_h", "orig_p", "resp_h", "resp_p", "orig_pkts", "resp_pkts", "orig_ip_bytes",
    "resp_ip_bytes", "conn_state", "history", "community_id", "local_orig", "local_resp", "scope", "kind", "heavy",
    "process", "established", "closing", "closed",
)  # fmt: skip


@contextmanager
def _output(path: str | None) -> Iterator[BinaryIO]:
    """A file that appears whole or not at all (compressed if its name says so), a device, or standard output."""
    if path is None or path == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with written_whole(Path(path)) as file:
        yield file


def flows_frame(analysis: Analysis) -> pd.DataFrame:
    """The flows with the columns of an export; instants that never came are empty."""
    frame = analysis.flows.copy(deep=False)
    frame["community_id"] = pd.array(analysis.community_ids(), dtype="string")
    known = frame["process"].astype("string") if "process" in frame else pd.Series(pd.NA, frame.index, "string")
    frame["process"] = known.mask(known == "")  # only where sockets were watched
    return frame[list(EXPORTED)]


def _epoch(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.copy(deep=False)
    for name in ("ts", "established", "closing", "closed"):
        frame[name] = epoch_seconds(frame[name])
    return frame


def write_flows(analysis: Analysis, shape: FlowFormat, path: str | None) -> None:
    """Write all flows to a file, or to standard output. Times are epoch seconds, in Parquet UTC timestamps."""
    frame = flows_frame(analysis)
    if shape is FlowFormat.PARQUET and path is None and sys.stdout.isatty():
        raise SettingsError("Parquet is not for a terminal; name a file with -o, or pipe it")
    with _output(path) as out:
        if shape is FlowFormat.PARQUET:
            frame.to_parquet(out, index=False)
        elif shape is FlowFormat.ZEEK:
            out.write(conn_log(frame, analysis.capture.flows.row[["icmp_type", "icmp_code"]]).encode())
        elif shape is FlowFormat.CSV:
            out.write(_epoch(frame).to_csv(index=False, lineterminator="\n").encode())
        else:
            lines = _epoch(frame)
            for name in ("ts", "established", "closing", "closed"):
                lines[name] = pd.to_numeric(lines[name])
            if len(lines):  # of no rows pandas makes an empty line
                out.write(lines.to_json(orient="records", lines=True, double_precision=9).encode())


def write_timeline(frame: pd.DataFrame, shape: TableFormat, path: str | None) -> None:
    """Write a timeline (`Analysis.timeline`) to a file or standard output."""
    rounded = frame.round({"t_s": 6, "mean": 6})
    with _output(path) as out:
        if shape is TableFormat.CSV:
            out.write(rounded.to_csv(index=False, lineterminator="\n").encode())
        else:
            out.write(rounded.to_json(orient="records", lines=True).encode())
