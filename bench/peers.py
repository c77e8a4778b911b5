"""The programs peerburst is measured beside, each doing the same work: flow records from a file."""

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from measure import PYTHON, installed

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Peer:
    """A program: its command for a file, whether it is there, and the most packets it is given (the rest is scaled)."""

    name: str
    what: str
    command: Callable[[str], list[str]]
    there: Callable[[], bool]
    most_packets: int = 1 << 62


def _module(name: str) -> Callable[[], bool]:
    return lambda: importlib.util.find_spec(name) is not None


def _program(name: str) -> Callable[[], bool]:
    return lambda: installed(name)


def _script(name: str) -> Callable[[str], list[str]]:
    return lambda path: [PYTHON, str(HERE / "loops.py"), name, path]


WALK = Peer(
    "tcpdump",
    "libpcap's own walk: a filter that matches nothing",
    lambda path: ["tcpdump", "-n", "-r", path, "tcp port 9"],
    _program("tcpdump"),
)
FLOW_METERS = (
    Peer(
        "softflowd",
        "C, NetFlow records",
        lambda path: ["softflowd", "-r", path, "-d", "-n", "127.0.0.1:9995", "-m", "10000000"],
        _program("softflowd"),
    ),
    Peer("nfpcapd", "C, nfdump's flow records", lambda path: ["nfpcapd", "-r", path, "-w", "."], _program("nfpcapd")),
    Peer("argus", "C, Argus records", lambda path: ["argus", "-r", path, "-w", "flows.argus"], _program("argus")),
    Peer("tcptrace", "C, TCP connections", lambda path: ["tcptrace", "-n", path], _program("tcptrace")),
)
SLOW = (
    Peer(
        "tshark -z conv",
        "C, dissects every packet",
        lambda path: ["tshark", "-n", "-q", "-r", path, "-z", "conv,tcp", "-z", "conv,udp"],
        _program("tshark"),
        100_000,
    ),
    Peer("nfstream", "C in Python, no DPI", _script("nfstream"), _module("nfstream"), 1_000_000),
    Peer("dpkt loop", "Python, a dictionary of flows", _script("dpkt"), _module("dpkt"), 100_000),
    Peer("scapy loop", "Python, a dictionary of flows", _script("scapy"), _module("scapy"), 10_000),
)


def main() -> None:
    """Say which peers are there."""
    for peer in (WALK, *FLOW_METERS, *SLOW):
        print(f"{peer.name:16} {'there' if peer.there() else 'missing':8} {peer.what}")


if __name__ == "__main__":
    sys.exit(main())
