"""The flow table as a DataFrame, in the words of Zeek's conn.log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from peerburst.analysis.bursts.kinds import HEAVY_BYTES
from peerburst.analysis.hosts.flow_facts import FlowFacts, sent_letter
from peerburst.analysis.hosts.locality import Endpoints, Scope, pair_codes, to_text
from peerburst.capture.flows.five_tuple import tuple_ports
from peerburst.capture.flows.history import (
    HISTORY_LETTERS,
    LETTER_ACK,
    LETTER_DATA,
    LETTER_FIN,
    LETTER_RST,
    LETTER_SYN,
    LETTER_SYNACK,
)
from peerburst.capture.flows.record import FIRST_IS_A, NEVER, ORIG_IS_A, Flows
from peerburst.capture.packets.ip import (
    PROTO_DCCP,
    PROTO_GRE,
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_SCTP,
    PROTO_TCP,
    PROTO_UDP,
    PROTO_UDPLITE,
)
from peerburst.capture.vocabulary import KIND_NAMES

PROTOCOL_NAMES = {
    PROTO_ICMP: "icmp",
    PROTO_TCP: "tcp",
    PROTO_UDP: "udp",
    PROTO_DCCP: "dccp",
    PROTO_GRE: "gre",
    PROTO_ICMPV6: "icmp6",
    PROTO_SCTP: "sctp",
    PROTO_UDPLITE: "udplite",
    50: "esp",
    51: "ah",
    2: "igmp",
}
CONN_STATES = ("REJ", "RSTRH", "RSTR", "RSTOS0", "RSTO", "SF", "SH", "S2", "SHR", "S3", "S0", "S1", "OTH")


def _category(codes: npt.NDArray[np.integer[Any]], names: Sequence[str]) -> pd.Categorical[str]:
    return pd.Categorical.from_codes(codes, categories=pd.Index(names, dtype=str))


def _tcp_states(flows: Flows, facts: FlowFacts) -> npt.NDArray[np.int8]:
    """Index into CONN_STATES per flow, as if it were TCP."""

    def orig(letter: int) -> npt.NDArray[np.bool_]:
        return sent_letter(flows.row, letter, facts.orig_is_a)

    def resp(letter: int) -> npt.NDArray[np.bool_]:
        return sent_letter(flows.row, letter, ~facts.orig_is_a)

    syn, synack = orig(LETTER_SYN), resp(LETTER_SYNACK)
    orig_done, resp_done = orig(LETTER_FIN), resp(LETTER_FIN)
    orig_reset, resp_reset = orig(LETTER_RST), resp(LETTER_RST)
    silent = ~(synack | resp(LETTER_ACK) | resp(LETTER_DATA) | resp_done | resp_reset)
    shook_hands = syn & synack & (orig(LETTER_ACK) | orig(LETTER_DATA))
    # Order matters: the first that holds is the flow's (Zeek, base/protocols/conn/main.zeek, conn_state).
    cases = (
        ("REJ", resp_reset & syn & ~synack),
        ("RSTRH", resp_reset & ~syn),
        ("RSTR", resp_reset),
        ("RSTOS0", orig_reset & ~synack & syn & ~orig(LETTER_ACK) & ~orig_done),
        ("OTH", orig_reset & ~synack),
        ("RSTO", orig_reset),
        ("SF", orig_done & resp_done),
        ("SH", orig_done & ~synack),
        ("S2", orig_done),
        ("SHR", resp_done & ~syn),
        ("S3", resp_done),
        ("S0", syn & silent),
        ("S1", shook_hands),
    )
    codes = [CONN_STATES.index(name) for name, _holds in cases]
    return np.select([holds for _name, holds in cases], codes, default=CONN_STATES.index("OTH")).astype(np.int8)


def conn_states(flows: Flows, facts: FlowFacts) -> pd.Categorical[str]:
    """Zeek's conn_state per flow."""
    row = flows.row
    codes = np.full(row.size, CONN_STATES.index("OTH"), np.int8)
    is_tcp = row["proto"] == PROTO_TCP
    codes[is_tcp] = _tcp_states(flows, facts)[is_tcp]
    is_udp = row["proto"] == PROTO_UDP
    orig_sent = np.where(facts.orig_is_a, row["a_pkts"], row["b_pkts"]) > 0
    resp_sent = np.where(facts.orig_is_a, row["b_pkts"], row["a_pkts"]) > 0
    codes[is_udp & orig_sent & resp_sent] = CONN_STATES.index("SF")
    codes[is_udp & orig_sent & ~resp_sent] = CONN_STATES.index("S0")
    codes[is_udp & ~orig_sent & resp_sent] = CONN_STATES.index("SHR")
    return _category(codes, CONN_STATES)


def _spell(history: int, orig_is_a: bool, flipped: bool) -> str:
    """Zeek's history string: capitals are the originator's, `^` says that the first packet was the responder's."""
    letters = []
    for i in range((history >> 12) & 15):
        letter, from_b = (history >> (16 + 4 * i) & 15) % 6, (history >> (16 + 4 * i) & 15) >= 6
        name = HISTORY_LETTERS[letter]
        letters.append(name.upper() if from_b != orig_is_a else name)
    return ("^" if flipped else "") + "".join(letters)


def histories(flows: Flows, facts: FlowFacts) -> pd.Categorical[str]:
    """Zeek's history per flow (letters s h a d f r only: nothing is known of payload or checksums)."""
    row = flows.row
    flipped = ((row["flags"] & FIRST_IS_A) != 0) != facts.orig_is_a
    values, inverse = np.unique(row["history"], return_inverse=True)
    combined = inverse * 4 + facts.orig_is_a * 2 + flipped
    kinds, codes = np.unique(combined, return_inverse=True)
    texts = [_spell(int(values[k // 4]), bool(k & 2), bool(k & 1)) for k in kinds]
    categories = sorted(set(texts))
    position = {text: i for i, text in enumerate(categories)}
    lookup = np.array([position[text] for text in texts], np.int32)
    return _category(lookup[codes] if codes.size else codes, categories)


def _addresses(high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.int64], list[str]]:
    codes, words = pair_codes(high, low)
    return codes, [to_text(int(h), int(lo)) for h, lo in words]


def _instants(ns: npt.NDArray[np.int64]) -> pd.Series[pd.Timestamp]:
    """Instants as UTC timestamps, NaT for NEVER."""
    stamps = ns.astype("datetime64[ns]")
    stamps[ns == NEVER] = np.datetime64("NaT")
    return pd.Series(stamps).dt.tz_localize("UTC")


def flows_table(
    flows: Flows,
    facts: FlowFacts,
    ends: Endpoints,
    kinds: npt.NDArray[np.uint8],
    programs: tuple[npt.NDArray[np.int32], list[str]] | None = None,
) -> pd.DataFrame:
    """One row per flow, in the order they began being seen.

    `ts` is the first packet (UTC), `duration` seconds to the last; bytes are of the IP length field. `established`,
    `closing` (first FIN or RST) and `closed` (both FINs acknowledged, or RST) are instants of TCP flows. `process` is
    there where sockets were watched: code per flow, then names.
    """
    row, orig_is_a = flows.row, facts.orig_is_a
    n = row.size

    def pick(orig_name: str, resp_name: str) -> npt.NDArray[np.int64]:
        return np.where(orig_is_a, row[orig_name], row[resp_name]).astype(np.int64)

    a_port, b_port = tuple_ports(row)
    high = np.where(orig_is_a, [row["a_hi"], row["b_hi"]], [row["b_hi"], row["a_hi"]])
    low = np.where(orig_is_a, [row["a_lo"], row["b_lo"]], [row["b_lo"], row["a_lo"]])
    codes, texts = _addresses(high.ravel(), low.ravel())
    protocols = sorted(set(row["proto"].tolist()))
    names = [PROTOCOL_NAMES.get(p, str(p)) for p in protocols]
    is_tcp = row["proto"] == PROTO_TCP
    local_a, local_b = ends.host_a >= 0, ends.host_b >= 0
    table = pd.DataFrame(
        {
            "ts": _instants(facts.start_ns),
            "duration": (facts.last_ns - facts.start_ns) / 1e9,
            "proto": _category(np.searchsorted(protocols, row["proto"]), names),
            "orig_h": _category(codes[:n], texts),
            "orig_p": np.where(orig_is_a, a_port, b_port).astype(np.int64),
            "resp_h": _category(codes[n:], texts),
            "resp_p": np.where(orig_is_a, b_port, a_port).astype(np.int64),
            "orig_pkts": pick("a_pkts", "b_pkts"),
            "resp_pkts": pick("b_pkts", "a_pkts"),
            "orig_ip_bytes": pick("a_bytes", "b_bytes"),
            "resp_ip_bytes": pick("b_bytes", "a_bytes"),
            "conn_state": conn_states(flows, facts),
            "history": histories(flows, facts),
            "local_orig": np.where(orig_is_a, local_a, local_b),
            "local_resp": np.where(orig_is_a, local_b, local_a),
            "scope": _category(ends.scope, [scope.name.lower() for scope in Scope]),
            "kind": _category(kinds, KIND_NAMES),
            "heavy": facts.ip_bytes >= HEAVY_BYTES,
            "established": _instants(np.where(is_tcp, row["established"], NEVER)),
            "closing": _instants(row["closing"]),
            "closed": _instants(row["closed"]),
        }
    )
    if programs is not None:
        table["process"] = _category(*programs)
    return table


def _requests(flows: Flows) -> list[tuple[int, int]]:
    """Per flow, type and code of its first ICMP message, or of the query where that was seen to be its reply."""
    turned = (flows.row["flags"] & FIRST_IS_A != 0) != (flows.row["flags"] & ORIG_IS_A != 0)
    kind = flows.row["icmp_type"].astype(np.int64)
    for proto, replies in ((PROTO_ICMP, {0: 8, 14: 13, 16: 15, 18: 17}), (PROTO_ICMPV6, {129: 128})):
        for reply, query in replies.items():
            kind[turned & (flows.row["proto"] == proto) & (flows.row["icmp_type"] == reply)] = query
    return list(zip(kind.tolist(), flows.row["icmp_code"].tolist(), strict=True))


def mappings_table(flows: Flows, inside: npt.NDArray[np.int64], outside: npt.NDArray[np.int64]) -> pd.DataFrame:
    """One row per connection that was seen before and after translation, by the flows' numbers on either side.

    `inside_h` and `inside_p` are the machine's, `outside_h` and `outside_p` what the router put in their place.
    """
    first, second = flows.row[inside], flows.row[outside]
    protocols = sorted(set(first["proto"].tolist()))
    columns: dict[str, Any] = {
        "proto": _category(
            np.searchsorted(protocols, first["proto"]), [PROTOCOL_NAMES.get(p, str(p)) for p in protocols]
        )
    }
    for name, one, other in (("inside", first, second), ("outside", second, first)):
        is_a = _is_near_a(one, other)
        high, low = np.where(is_a, one["a_hi"], one["b_hi"]), np.where(is_a, one["a_lo"], one["b_lo"])
        codes, texts = _addresses(high, low)
        a_port, b_port = tuple_ports(one)
        columns |= {f"{name}_h": _category(codes, texts), f"{name}_p": np.where(is_a, a_port, b_port).astype(np.int64)}
    return pd.DataFrame(columns)


def _is_near_a(one: npt.NDArray[np.void], other: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    """Whether the end that two rows do not share is the first's end a."""
    in_a = (one["a_hi"] == other["a_hi"]) & (one["a_lo"] == other["a_lo"])
    in_b = (one["a_hi"] == other["b_hi"]) & (one["a_lo"] == other["b_lo"])
    is_near: npt.NDArray[np.bool_] = ~(in_a | in_b)
    return is_near


def community_ids(flows: Flows, table: pd.DataFrame) -> list[str | None]:
    """Community ID v1 per flow, by the reference library; None for protocols it has no rule for.

    ICMP goes by type and code of the flow's first packet.
    """
    import communityid

    makers = {
        "tcp": communityid.FlowTuple.make_tcp,
        "udp": communityid.FlowTuple.make_udp,
        "sctp": communityid.FlowTuple.make_sctp,
        "icmp": communityid.FlowTuple.make_icmp,
        "icmp6": communityid.FlowTuple.make_icmp6,
    }
    calculator = communityid.CommunityID()
    icmp = _requests(flows)
    columns = ("proto", "orig_h", "resp_h", "orig_p", "resp_p")
    ids: list[str | None] = []
    for i, (proto, source, target, sport, dport) in enumerate(zip(*(table[c].tolist() for c in columns), strict=True)):
        maker = makers.get(proto)
        if maker is None:
            ids.append(None)
        elif proto.startswith("icmp"):
            ids.append(calculator.calc(maker(source, target, *icmp[i])))
        else:
            ids.append(calculator.calc(maker(source, target, sport, dport)))
    return ids
