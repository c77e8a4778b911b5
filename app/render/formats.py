"""How answers can be written: the words that `--format` takes."""

from enum import StrEnum


class AnalysisFormat(StrEnum):
    """How an analysis is written."""

    TABLE = "table"
    JSON = "json"


class FlowFormat(StrEnum):
    """How flows are written."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"
    ZEEK = "zeek"


class TableFormat(StrEnum):
    """How a timeline is written."""

    CSV = "csv"
    JSONL = "jsonl"


class LiveFormat(StrEnum):
    """How a live session is written, where it has no screen."""

    PLAIN = "plain"
    JSONL = "jsonl"
