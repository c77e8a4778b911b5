"""Replays side by side: every capture into a gateway of its own at its recorded times, each table listed every second.

One loop sends for all gateways, another lists their tables. A send returns when the gateway has forwarded the frame
(veth works in the sender's time), so a log line found behind it is that frame's.
"""

import gc
import heapq
import socket
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tests.lab.gateway import ctnetlink
from tests.lab.gateway.frames import Frame, Recording
from tests.lab.gateway.namespaces import Gateway

SECOND_NS = 1_000_000_000
HEAD_START_NS = SECOND_NS // 2
FIRST_DUMP_NS = SECOND_NS // 2  # off the full second, where timers of round numbers run out
CLOSE_ENOUGH_NS = 150_000  # the rest is waited for awake: a sleep ends some 60 microseconds late


@dataclass(frozen=True, slots=True)
class Listing:
    """One dump: the instants before and after it as in the capture, and what the kernel told."""

    began_ns: int
    ended_ns: int
    told: list[bytes]

    @property
    def at_ns(self) -> int:
        return (self.began_ns + self.ended_ns) // 2


@dataclass(slots=True)
class Witness:
    """What one gateway did. `crossed_ns`: per limit, the capture's instant of the frame that first exceeded it."""

    recording: Recording
    listings: list[Listing] = field(default_factory=list)
    crossed_ns: dict[int, int] = field(default_factory=dict)
    late_ns: list[int] = field(default_factory=list)  # how long after its instant each frame went out


def _sends(name: str, recording: Recording) -> list[tuple[int, str, Frame]]:
    """(ns since the first packet, name, frame) in order of time."""
    made = [(frame.captured_ns - recording.first_ns, name, frame) for frame in recording.frames]
    return sorted(made, key=lambda item: item[0])


def _dumps(name: str, recording: Recording) -> list[tuple[int, str]]:
    """(ns since the first packet, name): each second until the last packet, and once behind it."""
    ends = recording.last_ns - recording.first_ns + FIRST_DUMP_NS
    return [(at, name) for at in range(FIRST_DUMP_NS, ends + SECOND_NS, SECOND_NS)]


def _wait_until(at_ns: int) -> None:
    left = at_ns - time.monotonic_ns()
    if left > CLOSE_ENOUGH_NS:
        time.sleep((left - CLOSE_ENOUGH_NS) / SECOND_NS)
    while time.monotonic_ns() < at_ns:
        pass


def replay(recordings: Mapping[str, Recording], limits: Mapping[str, Sequence[int]]) -> dict[str, Witness]:
    """Send all recordings at once, each through its own gateway; takes as long as the longest."""
    gateways: dict[str, Gateway] = {}
    try:
        for name in recordings:
            gateways[name] = Gateway(name, limits.get(name, ()))
        return _replay(recordings, gateways)
    finally:
        for gateway in gateways.values():
            gateway.close()


def _replay(recordings: Mapping[str, Recording], gateways: Mapping[str, Gateway]) -> dict[str, Witness]:
    witnesses = {name: Witness(recording) for name, recording in recordings.items()}
    tables = {name: gateway.netlink_socket() for name, gateway in gateways.items()}
    logs = {name: gateway.netlink_socket() for name, gateway in gateways.items()}
    for name, log in logs.items():
        ctnetlink.watch_groups(log, len(gateways[name].limits))
    sends = heapq.merge(*(_sends(name, recording) for name, recording in recordings.items()), key=lambda item: item[0])
    dumps = heapq.merge(*(_dumps(name, recording) for name, recording in recordings.items()), key=lambda item: item[0])
    agenda, lists = list(sends), list(dumps)
    gc.collect()
    gc.disable()
    try:
        start = time.monotonic_ns() + HEAD_START_NS
        with ThreadPoolExecutor(1) as beside:
            listed = beside.submit(_list_all, lists, start, tables, witnesses)
            for at, name, frame in agenda:
                _wait_until(start + at)
                witness, gateway = witnesses[name], gateways[name]
                witness.late_ns.append(time.monotonic_ns() - start - at)
                gateway.side[frame.side].send(frame.data)
                if len(witness.crossed_ns) < len(gateway.limits):
                    for group in ctnetlink.logged_groups(logs[name]):
                        witness.crossed_ns.setdefault(gateway.limits[group], frame.captured_ns)
            listed.result()
    finally:
        gc.enable()
    return witnesses


def _list_all(
    agenda: Sequence[tuple[int, str]],
    start: int,
    tables: Mapping[str, socket.socket],
    witnesses: Mapping[str, Witness],
) -> None:
    """List the tables when their time comes. The kernel needs milliseconds for each: a thread of its own."""
    for at, name in agenda:
        time.sleep(max(0, start + at - time.monotonic_ns()) / SECOND_NS)
        witness = witnesses[name]
        first = witness.recording.first_ns
        began = time.monotonic_ns() - start
        told = ctnetlink.dump(tables[name])
        witness.listings.append(Listing(first + began, first + time.monotonic_ns() - start, told))
