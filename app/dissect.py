"""What Wireshark calls one flow: pyshark asks tshark for the protocols of its packets.

This reads payload, which peerburst itself never does.
"""

import asyncio
import contextlib
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pandas as pd

from peerburst.analysis.analysis import Analysis
from peerburst.capture.errors import CaptureError, SettingsError

MOST_PACKETS = 200  # of a flow: its first few tell what it is
# Layers that carry a protocol and do not name it.
CARRIERS = ("ETH", "SLL", "IP", "IPV6", "TCP", "UDP", "DATA", "NULL", "VLAN")


@dataclass(frozen=True, slots=True)
class Dissection:
    """A flow in words, and how many of its first packets have each stack of layers, the most common first."""

    flow: str
    kind: str
    packets: int
    stacks: tuple[tuple[str, int], ...]

    @property
    def called(self) -> str | None:
        """The protocol that most packets carry; None if Wireshark sees none above the transport."""
        names: Counter[str] = Counter()
        for stack, packets in self.stacks:
            top = [layer for layer in stack.split(":") if layer.upper() not in CARRIERS]
            if top:
                names[top[-1]] += packets
        return names.most_common(1)[0][0] if names else None


MOST_DIGITS = 20  # of the number of a flow


def find_flow(analysis: Analysis, name: str) -> int:
    """The index of a flow, found by its row in `peerburst flows` (from 1) or by its Community ID."""
    rows = len(analysis.flows)
    if name.isdecimal() and len(name) <= MOST_DIGITS:
        if not 1 <= int(name) <= rows:
            raise SettingsError(f"there is no flow {name}; the rows of `peerburst flows` go from 1 to {rows}")
        return int(name) - 1
    ids = analysis.community_ids()
    if name not in ids:
        raise SettingsError(f"no flow has the Community ID {name!r}; `peerburst flows` lists them")
    return ids.index(name)


def display_filter(flow: "pd.Series[str]") -> str:
    """Wireshark's filter for the packets of a flow: its ends, and the time in which it lived."""
    version = "ipv6" if ":" in flow["orig_h"] else "ip"
    parts = [f"{version}.addr == {flow['orig_h']}", f"{version}.addr == {flow['resp_h']}"]
    if flow["proto"] in ("tcp", "udp"):
        parts += [f"{flow['proto']}.port == {flow['orig_p']}", f"{flow['proto']}.port == {flow['resp_p']}"]
    else:
        parts.append("icmpv6" if version == "ipv6" else "icmp" if flow["proto"] == "icmp" else version)
    first = pd.Timestamp(flow["ts"])
    last = first + pd.Timedelta(flow["duration"], unit="s")
    # A millisecond on either side: durations are kept as floats, and captures are written to the microsecond.
    begin, end = first.value - 1_000_000, last.value + 1_000_000
    parts.append(f"frame.time_epoch >= {_seconds(begin)} && frame.time_epoch <= {_seconds(end)}")
    return " && ".join(parts)


def _seconds(ns: int) -> str:
    return f"{'-' if ns < 0 else ''}{abs(ns) // 1_000_000_000}.{abs(ns) % 1_000_000_000:09d}"


def dissect(analysis: Analysis, name: str) -> Dissection:
    """What tshark sees in a flow, named as `find_flow` takes it; raises SettingsError where a program is missing."""
    flow = analysis.flows.iloc[find_flow(analysis, name)]
    path = analysis.capture.paths[0]
    if len(analysis.capture.paths) > 1 or path == "-":
        raise SettingsError("dissecting reads a file again; name one capture, not several and not standard input")
    stacks = _stacks(path, display_filter(flow))
    ends = f"{flow['orig_h']}:{flow['orig_p']} -> {flow['resp_h']}:{flow['resp_p']}"
    return Dissection(f"{flow['proto']} {ends}", str(flow["kind"]), sum(stacks.values()), tuple(stacks.most_common()))


def missing_tshark() -> bool:
    """Whether tshark is not to be found."""
    return shutil.which("tshark") is None


def _stacks(path: str, chosen: str) -> Counter[str]:
    try:
        import pyshark
        from pyshark.capture.capture import TSharkCrashException
        from pyshark.tshark.tshark import TSharkNotFoundException
    except ImportError:
        raise SettingsError("dissecting needs pyshark; install it with: pip install 'peerburst[dissect]'") from None
    # pyshark uses the thread's event loop, of which the live screen leaves none behind.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        with contextlib.closing(pyshark.FileCapture(path, display_filter=chosen, keep_packets=False)) as capture:
            return _count(capture)
    except TSharkNotFoundException:  # some versions look for it when the first packet is asked for
        raise SettingsError(
            "dissecting needs tshark; install Wireshark's command line (Debian, Ubuntu: apt install tshark)"
        ) from None
    except TSharkCrashException as error:
        raise CaptureError(path, f"tshark could not read it: {error}") from None


def _count(packets: Iterable[Any]) -> Counter[str]:
    """How many of the first packets have each stack of layers."""
    return Counter(":".join(layer.layer_name for layer in packet.layers) for packet in islice(packets, MOST_PACKETS))


def lines(found: Dissection) -> list[str]:
    """What was found, as lines for a terminal."""
    if not found.packets:
        return [f"{found.flow}: tshark finds no packet of it (a tunnel, or another clock?)"]
    called = found.called
    answer = f"Wireshark calls it {called}" if called else "Wireshark names no protocol above its transport"
    head = f"{found.flow} ({found.kind}): {answer}, going by its first {found.packets} packets"
    note = "This reads payload; peerburst's own classes do not."
    return [head, *(f"{packets:6d}  {stack}" for stack, packets in found.stacks), note]
