"""The flow table in Zeek's words."""

from pathlib import Path

import pandas as pd
import pytest

from tests.support.making import EPOCH_NS, GATEWAY, HOST, OTHER_HOST, Tape, local, remote
from tests.support.packets_by_hand import ACK, FIN, PSH, RST, SYN

FLAGS = {"S": SYN, "H": SYN | ACK, "A": ACK, "D": PSH | ACK, "F": FIN | ACK, "R": RST}
HERE, THERE = local(5000), remote(1, 80)


def conversation(text: str) -> Tape:
    """Packets as Zeek's history letters: capitals from the client, h for SYN+ACK, d for ten bytes of data."""
    tape = Tape()
    for i, letter in enumerate(text):
        ends = (HERE, THERE) if letter.isupper() else (THERE, HERE)
        tape.tcp(i * 0.01, *ends, FLAGS[letter.upper()], 10 if letter in "Dd" else 0)
    return tape


# Each state as Zeek's documentation describes it (base/protocols/conn/main.zeek).
STATES = {
    "S0": ["S", "SS"],
    "S1": ["ShA", "ShADda"],
    "SF": ["ShADadFfA", "ShAFfA", "ShAfFa"],
    "REJ": ["Sr"],
    "S2": ["ShADFa"],
    "S3": ["ShADfA"],
    "RSTO": ["ShAR", "ShADdR"],
    "RSTR": ["ShAr", "ShADdr"],
    "RSTOS0": ["SR"],
    "RSTRH": ["hr"],
    "SH": ["SF"],
    "SHR": ["hf"],
    "OTH": ["Dd", "DdA", "A", "DR"],
}


@pytest.mark.parametrize(("state", "packets"), [(state, text) for state, texts in STATES.items() for text in texts])
def test_conn_state_and_history(tmp_path: Path, state: str, packets: str) -> None:
    table = conversation(packets).analysis(tmp_path).flows
    assert len(table) == 1
    row = table.iloc[0]
    assert row["conn_state"] == state
    # Each letter is recorded once for each direction; a flow that the responder began is marked.
    once = "".join(dict.fromkeys(packets))
    assert row["history"] == ("^" if packets[0] == "h" else "") + once
    assert (row["orig_h"], row["orig_p"], row["resp_h"], row["resp_p"]) == (HOST, 5000, THERE[0], 80)


def test_every_state_is_tried() -> None:
    from peerburst.analysis.flow_table import CONN_STATES

    assert set(STATES) == set(CONN_STATES)


@pytest.mark.parametrize(
    ("ways", "source", "target", "state", "history", "orig"),
    [
        (">", (HOST, 5000), ("8.8.8.8", 6000), "S0", "D", HOST),
        ("><", (HOST, 5000), ("8.8.8.8", 6000), "SF", "Dd", HOST),
        # Met with the answer first: turned round, as the source port is a server's.
        (">", ("8.8.8.8", 53), (HOST, 5000), "SHR", "^d", HOST),
        ("><", ("8.8.8.8", 53), (HOST, 5000), "SF", "^dD", HOST),
        (">", ("8.8.8.8", 6000), (HOST, 5000), "S0", "D", "8.8.8.8"),
        (">", (HOST, 123), ("8.8.8.8", 123), "S0", "D", HOST),
    ],
)
def test_udp_states(
    tmp_path: Path, ways: str, source: tuple[str, int], target: tuple[str, int], state: str, history: str, orig: str
) -> None:
    tape = Tape()
    for i, way in enumerate(ways):
        tape.udp(i, *((source, target) if way == ">" else (target, source)))
    row = tape.analysis(tmp_path).flows.iloc[0]
    assert (row["conn_state"], row["history"], row["orig_h"]) == (state, history, orig)


def test_a_flow_met_midstream_is_turned_by_its_ports(tmp_path: Path) -> None:
    tape = Tape()
    tape.tcp(0, THERE, HERE, ACK | PSH, 500)
    tape.tcp(0.1, HERE, THERE, ACK)
    row = tape.analysis(tmp_path).flows.iloc[0]
    assert (row["orig_h"], row["resp_p"], row["history"]) == (HOST, 80, "^dA")
    assert (row["orig_pkts"], row["resp_pkts"], row["orig_ip_bytes"], row["resp_ip_bytes"]) == (1, 1, 40, 540)


def test_columns_types_and_numbers(tmp_path: Path) -> None:
    tape = Tape()
    tape.open(0, HERE, THERE)
    tape.tcp(2, HERE, THERE, ACK | PSH, 100)
    tape.close(3, HERE, THERE)
    tape.exchange(1, local(6000), (GATEWAY, 53))
    tape.udp(4, local(5353), ("224.0.0.251", 5353))
    tape.tcp(5, local(7000), (OTHER_HOST, 445), SYN)
    table = tape.analysis(tmp_path).flows
    assert table.columns.tolist() == [
        *("ts", "duration", "proto", "orig_h", "orig_p", "resp_h", "resp_p", "orig_pkts", "resp_pkts"),
        *("orig_ip_bytes", "resp_ip_bytes", "conn_state", "history", "local_orig", "local_resp", "scope", "kind"),
        *("heavy", "established", "closing", "closed"),
    ]
    first = table.iloc[0]
    assert first["ts"] == pd.Timestamp(EPOCH_NS, tz="UTC")
    assert first["duration"] == 3.2
    assert first["established"] == pd.Timestamp(EPOCH_NS + 200_000_000, tz="UTC")
    assert first["closing"] == pd.Timestamp(EPOCH_NS + 3_000_000_000, tz="UTC")
    assert first["closed"] == pd.Timestamp(EPOCH_NS + 3_200_000_000, tz="UTC")
    assert (first["orig_pkts"], first["orig_ip_bytes"], first["resp_pkts"], first["resp_ip_bytes"]) == (5, 300, 2, 80)
    assert table["proto"].tolist() == ["tcp", "udp", "udp", "tcp"]
    assert table["scope"].tolist() == ["crossing", "gateway", "group", "lan"]
    assert table["kind"].tolist() == ["ordinary", "service", "service", "probe"]
    assert table["local_orig"].tolist() == [True] * 4
    assert table["local_resp"].tolist() == [False, False, False, True]
    assert table.loc[1:, ["established", "closing", "closed"]].isna().all(axis=None)


def test_other_protocols_have_names_or_numbers(tmp_path: Path) -> None:
    tape = Tape()
    tape.icmp(0, HOST, "8.8.8.8", 8)
    for i, proto in enumerate((47, 132, 250)):
        tape._ip(1 + i, proto, HOST, "8.8.8.8", bytes(20))
    table = tape.analysis(tmp_path).flows
    assert table["proto"].tolist() == ["icmp", "gre", "sctp", "250"]
    assert table["conn_state"].tolist() == ["OTH"] * 4


def test_of_no_packets_the_table_is_empty_and_has_its_columns(tmp_path: Path) -> None:
    table = Tape().analysis(tmp_path).flows
    assert len(table) == 0
    assert "conn_state" in table.columns


# --- community IDs ---------------------------------------------------------------------------------------------------


def test_community_ids_of_known_vectors(tmp_path: Path) -> None:
    # The first is in the reference implementation's README (github.com/corelight/pycommunityid), as are the two
    # addresses in either order; the others are of its test suite's captures (github.com/corelight/community-id-spec).
    tape = Tape()
    tape.tcp(0, ("128.232.110.120", 34855), ("66.35.250.204", 80), SYN)
    tape.tcp(1, ("66.35.250.204", 80), ("128.232.110.120", 34855), SYN | ACK)
    tape.udp(2, ("192.168.1.52", 54585), ("8.8.8.8", 53))
    analysis = tape.analysis(tmp_path)
    assert analysis.community_ids() == ["1:LQU9qZlK+B5F3KDmev6m5PMibrg=", "1:d/FP5EW3wiY1vCndhwleRRKHowQ="]


def test_community_ids_of_icmp_go_by_type_and_of_others_are_none(tmp_path: Path) -> None:
    tape = Tape()
    tape.icmp(0, "192.168.0.89", "192.168.0.1", 8)
    tape.icmp(0.1, "192.168.0.1", "192.168.0.89", 0)
    tape._ip(1, 250, HOST, "8.8.8.8", bytes(20))
    assert tape.analysis(tmp_path).community_ids() == ["1:X0snYXpgwiv9TZtqg64sgzUn6Dk=", None]
