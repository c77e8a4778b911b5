"""Flows as Zeek's conn.log."""

import numpy as np
import pandas as pd

# Zeek 6's conn.log fields that we have, with their types, and the column each comes from.
ZEEK_FIELDS = (
    ("ts", "time"),
    ("uid", "string"),
    ("id.orig_h", "addr"),
    ("id.orig_p", "port"),
    ("id.resp_h", "addr"),
    ("id.resp_p", "port"),
    ("proto", "enum"),
    ("duration", "interval"),
    ("conn_state", "string"),
    ("local_orig", "bool"),
    ("local_resp", "bool"),
    ("history", "string"),
    ("orig_pkts", "count"),
    ("orig_ip_bytes", "count"),
    ("resp_pkts", "count"),
    ("resp_ip_bytes", "count"),
    ("community_id", "string"),
)


def epoch_seconds(stamps: "pd.Series[pd.Timestamp]") -> "pd.Series[str]":
    """Epoch seconds with nanoseconds, exactly; empty for NaT."""
    ns = stamps.astype("int64")
    text = (ns // 1_000_000_000).astype(str) + "." + (ns % 1_000_000_000).astype(str).str.zfill(9)
    return text.where(stamps.notna(), "")


def conn_log(frame: pd.DataFrame) -> str:
    """The frame of an export as Zeek's ASCII writer would log it."""
    table = pd.DataFrame(
        {
            "ts": epoch_seconds(frame["ts"]).str[:-3],
            "uid": [f"C{ns:x}{number:x}" for number, ns in enumerate(frame["ts"].astype("int64"))],
            "id.orig_h": frame["orig_h"],
            "id.orig_p": frame["orig_p"],
            "id.resp_h": frame["resp_h"],
            "id.resp_p": frame["resp_p"],
            "proto": frame["proto"].astype(str).replace("icmp6", "icmp"),
            "duration": frame["duration"].map("{:.6f}".format),
            "conn_state": frame["conn_state"],
            "local_orig": np.where(frame["local_orig"], "T", "F"),
            "local_resp": np.where(frame["local_resp"], "T", "F"),
            "history": frame["history"].astype(str).replace("", "-"),
            "orig_pkts": frame["orig_pkts"],
            "orig_ip_bytes": frame["orig_ip_bytes"],
            "resp_pkts": frame["resp_pkts"],
            "resp_ip_bytes": frame["resp_ip_bytes"],
            "community_id": frame["community_id"].fillna("-"),
        }
    )
    names, types = zip(*ZEEK_FIELDS, strict=True)
    head = [
        r"#separator \x09",
        "#set_separator\t,",
        "#empty_field\t(empty)",
        "#unset_field\t-",
        "#path\tconn",
        "#fields\t" + "\t".join(names),
        "#types\t" + "\t".join(types),
    ]
    rows = table[list(names)].to_csv(sep="\t", header=False, index=False, lineterminator="\n")
    return "\n".join(head) + "\n" + rows
