"""Heavy against small flows, held against bytes counted by tshark."""

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.bursts.kinds import HEAVY_BYTES
from peerburst.capture.vocabulary import KIND_NAMES

from .scores import f1

PATIENCE_S = 180.0
FIELDS = (
    "ip.src", "ip.dst", "ip.len", "ipv6.src", "ipv6.dst", "ipv6.plen",
    "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport",
)  # fmt: skip
IPV6_HEADER = 40

Flow = tuple[str, frozenset[tuple[str, str]]]
Seen = Counter[tuple[str, bool, bool]]  # (kind, whether it is said to be heavy, whether it is by tshark's bytes)


def missing() -> str | None:
    return None if shutil.which("tshark") else "tshark"


def counted_by_tshark(path: Path) -> Counter[Flow]:
    """IP bytes per TCP or UDP five-tuple, both ways together."""
    command = ["tshark", "-r", str(path), "-n", "-Tfields", "-Eoccurrence=f", "-oip.defragment:FALSE", "-Ytcp or udp"]
    for name in FIELDS:
        command += ["-e", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    data: Counter[Flow] = Counter()
    for line in done.stdout.splitlines():
        src4, dst4, len4, src6, dst6, len6, tcp_a, tcp_b, udp_a, udp_b = line.split("\t")
        ends = frozenset({(src4 or src6, tcp_a or udp_a), (dst4 or dst6, tcp_b or udp_b)})
        length = int(len4) if len4 else int(len6 or 0) + IPV6_HEADER
        data["tcp" if tcp_a else "udp", ends] += length
    return data


def compare(analysis: Analysis, truth: Counter[Flow]) -> Seen:
    """How many five-tuples of each kind are heavy by tshark's bytes, and by ours.

    One that was used again has the heaviest kind that it had, and is heavy if it ever was.
    """
    order = ("probe", "service", "sync", "ordinary", "media", "heavy")
    kinds: dict[Flow, str] = {}
    said: dict[Flow, bool] = {}
    table = analysis.flows
    columns = zip(
        table["proto"].astype(str), table["orig_h"], table["orig_p"].astype(str), table["resp_h"],
        table["resp_p"].astype(str), table["kind"].astype(str), table["heavy"], strict=True,
    )  # fmt: skip
    for proto, orig, orig_port, resp, resp_port, kind, is_heavy in columns:
        if proto not in ("tcp", "udp"):
            continue
        flow = (proto, frozenset({(orig, orig_port), (resp, resp_port)}))
        kinds[flow] = max(kinds.get(flow, "probe"), kind, key=order.index)
        said[flow] = said.get(flow, False) or bool(is_heavy)
    return Counter((kind, said[flow], truth[flow] >= HEAVY_BYTES) for flow, kind in kinds.items() if flow in truth)


def total(found: Iterable[Seen]) -> Seen:
    return sum(found, Counter())


def rows(seen: Seen) -> list[tuple[str, int, int]]:
    """(kind, small, heavy) by tshark's bytes."""

    def count(kind: str, by_bytes: bool) -> int:
        return seen[kind, False, by_bytes] + seen[kind, True, by_bytes]

    return [(kind, count(kind, False), count(kind, True)) for kind in KIND_NAMES]


def agreement(seen: Seen) -> float:
    """F1 of what is said to be heavy."""
    hits = sum(count for (_kind, said, is_heavy), count in seen.items() if said and is_heavy)
    said_so = sum(count for (_kind, said, _is), count in seen.items() if said)
    there = sum(count for (_kind, _said, is_heavy), count in seen.items() if is_heavy)
    return f1(hits / said_so if said_so else 0.0, hits / there if there else 0.0)


def agreement_of_kinds(seen: Seen) -> float:
    """The same if only those count that have the kind `heavy`: a long call has a kind of its own."""
    return agreement(
        sum((Counter({(kind, kind == "heavy", by): n}) for (kind, _said, by), n in seen.items()), Counter())
    )
