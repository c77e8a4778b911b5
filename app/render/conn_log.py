"""Flows as Zeek's conn.log."""

import numpy as np
import numpy.typing as npt
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


# Zeek knows these; what else goes over IP is of an unknown transport to it.
ZEEK_PROTOCOLS = {"tcp": "tcp", "udp": "udp", "icmp": "icmp", "icmp6": "icmp"}
UNKNOWN_TRANSPORT = "unknown_transport"
# Types of ICMP that answer one another, either way: Zeek has the answer's in place of the responder's port, and of all
# other types the code (ICMP.cc, ICMP4_counterpart and ICMP6_counterpart).
ICMP_COUNTERPARTS = {8: 0, 13: 14, 15: 16, 17: 18, 10: 9}
ICMP6_COUNTERPARTS = {128: 129, 133: 134, 135: 136, 130: 131, 139: 140, 144: 145}


def epoch_seconds(stamps: "pd.Series[pd.Timestamp]", digits: int = 9) -> "pd.Series[str]":
    """Epoch seconds with so many digits of their fraction, the rest cut off; empty for NaT. Before 1970 negative."""
    ns = stamps.astype("int64").to_numpy()
    size = np.abs(ns).astype(np.uint64)
    sign = pd.Series(np.where((ns < 0) & (size >= 10 ** (9 - digits)), "-", ""), stamps.index, dtype=str)
    whole = pd.Series(size // np.uint64(1_000_000_000), stamps.index).astype(str)
    rest = pd.Series(size % np.uint64(1_000_000_000), stamps.index).astype(str).str.zfill(9).str[:digits]
    return (sign + whole + "." + rest).where(stamps.notna(), "")


def _answers_to(counterparts: dict[int, int]) -> npt.NDArray[np.int64]:
    """By type, the type that answers it, -1 where there is none."""
    answers = np.full(256, -1, np.int64)
    for kind, answer in counterparts.items():
        answers[kind], answers[answer] = answer, kind
    return answers


def _ports(frame: pd.DataFrame, icmp: npt.NDArray[np.void]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """What Zeek has for ports: of ICMP the type of the first message, and the answer's type or else the code."""
    kind, code = icmp["icmp_type"].astype(np.int64), icmp["icmp_code"].astype(np.int64)
    orig, resp = frame["orig_p"].to_numpy(), frame["resp_p"].to_numpy()
    for name, counterparts in (("icmp", ICMP_COUNTERPARTS), ("icmp6", ICMP6_COUNTERPARTS)):
        is_one, answer = (frame["proto"] == name).to_numpy(), _answers_to(counterparts)[kind]
        orig = np.where(is_one, kind, orig)
        resp = np.where(is_one, np.where(answer >= 0, answer, code), resp)
    return orig, resp


def conn_log(frame: pd.DataFrame, icmp: npt.NDArray[np.void]) -> str:
    """The frame of an export as Zeek's ASCII writer would log it; `icmp`: icmp_type and icmp_code by flow."""
    orig_p, resp_p = _ports(frame, icmp)
    table = pd.DataFrame(
        {
            "ts": epoch_seconds(frame["ts"], digits=6),
            "uid": [f"C{ns % 2**64:x}{number:x}" for number, ns in enumerate(frame["ts"].astype("int64").tolist())],
            "id.orig_h": frame["orig_h"],
            "id.orig_p": orig_p,
            "id.resp_h": frame["resp_h"],
            "id.resp_p": resp_p,
            "proto": frame["proto"].astype(str).map(ZEEK_PROTOCOLS).fillna(UNKNOWN_TRANSPORT),
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
