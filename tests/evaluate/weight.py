"""Heavy against small flows, held against bytes counted by tshark."""

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from peerburst.analysis.kinds import HEAVY_BYTES, KIND_NAMES
from peerburst.analysis.result import Analysis

PATIENCE_S = 180.0
FIELDS = (
    "ip.src", "ip.dst", "ip.len", "ipv6.src", "ipv6.dst", "ipv6.plen",
    "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport",
)  # fmt: skip
IPV6_HEADER = 40

Flow = tuple[str, frozenset[tuple[str, str]]]
Seen = Counter[tuple[str, bool]]  # (kind, whether it is heavy by bytes)


def missing() -> str | None:
    return None if shutil.which("tshark") else "tshark"


def counted_by_tshark(path: Path) -> Counter[Flow]:
    """IP octets per TCP or UDP five-tuple, both ways together."""
    command = ["tshark", "-r", str(path), "-n", "-Tfields", "-Eoccurrence=f", "-oip.defragment:FALSE", "-Ytcp or udp"]
    for name in FIELDS:
        command += ["-e", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    octets: Counter[Flow] = Counter()
    for line in done.stdout.splitlines():
        src4, dst4, len4, src6, dst6, len6, tcp_a, tcp_b, udp_a, udp_b = line.split("\t")
        ends = frozenset({(src4 or src6, tcp_a or udp_a), (dst4 or dst6, tcp_b or udp_b)})
        length = int(len4) if len4 else int(len6 or 0) + IPV6_HEADER
        octets["tcp" if tcp_a else "udp", ends] += length
    return octets


def compare(analysis: Analysis, truth: Counter[Flow]) -> Seen:
    """How many five-tuples of each kind are heavy by tshark's bytes; one that was used again has its heaviest kind."""
    order = ("probe", "service", "sync", "ordinary", "media", "heavy")
    kinds: dict[Flow, str] = {}
    table = analysis.flows
    columns = zip(
        table["proto"].astype(str), table["orig_h"], table["orig_p"].astype(str), table["resp_h"],
        table["resp_p"].astype(str), table["kind"].astype(str), strict=True,
    )  # fmt: skip
    for proto, orig, orig_port, resp, resp_port, kind in columns:
        if proto not in ("tcp", "udp"):
            continue
        flow = (proto, frozenset({(orig, orig_port), (resp, resp_port)}))
        kinds[flow] = max(kinds.get(flow, "probe"), kind, key=order.index)
    return Counter((kind, truth[flow] >= HEAVY_BYTES) for flow, kind in kinds.items() if flow in truth)


def total(found: Iterable[Seen]) -> Seen:
    return sum(found, Counter())


def rows(seen: Seen) -> list[tuple[str, int, int]]:
    """(kind, small, heavy) by tshark's bytes."""
    return [(kind, seen[kind, False], seen[kind, True]) for kind in KIND_NAMES]
