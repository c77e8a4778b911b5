"""Observations of sockets: which process held which socket when; kept beside a capture, one JSON object a line.

`FILE.sockets.jsonl` holds lines of three kinds: `{"id": ..., ...}`, an observation (the last line of an id wins);
`{"addresses": [...]}`, the machine's own addresses; and `{"polled_ns": ...}`, when every observation that
had not ended was still there. It is written by whole lines, so that a program that is killed loses no more than what
came since its last poll, and at worst leaves a line cut short, which the reader passes over.
"""

import itertools
import json
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

SUFFIX = ".sockets.jsonl"
COMPRESSED = (".zst", ".gz", ".lz4")
# What ring buffers add to a name before its ending: dumpcap's NAME_00001_20260131235959.pcapng.
RING_NUMBER = re.compile(r"_\d{5}_\d{14}(?=\.|$)")

# An observation takes about 300 bytes and is written twice, when it begins and when it ends: 64 MiB are 100,000.
MOST_BYTES = 64 << 20
MOST_OBSERVATIONS = 100_000
LONGEST_NAME, LONGEST_PROGRAM = 64, 256
ALWAYS_NS = -(1 << 62)  # before any packet
STILL_NS = 1 << 62  # after any packet


@dataclass(frozen=True, slots=True)
class SocketObservation:
    """One socket in the hands of one process. Instants are nanoseconds since the epoch, the clock of the packets.

    The socket was there from `first_seen_ns` to `last_seen_ns`, and not yet at `absent_ns` (ALWAYS_NS: at no poll
    was it absent), and no longer at `gone_ns` (STILL_NS: it was still open). Sockets of processes that cannot be seen
    have a pid of 0 and no name. An ICMP socket's identifier stands in place of its port.
    """

    id: int
    protocol: int  # IP protocol number
    local: str  # 0.0.0.0 or :: of a socket that serves all addresses
    local_port: int
    remote: str  # empty: not connected
    remote_port: int
    v6_only: bool  # a socket at :: that does not serve IPv4
    pid: int
    name: str
    program: str  # path of the executable, or the first word of the command line
    uid: int  # -1: the system does not say
    first_seen_ns: int
    last_seen_ns: int
    absent_ns: int
    gone_ns: int


@dataclass(frozen=True, slots=True)
class SocketObservations:
    """What a poller saw: observations in no order, and the machine's own addresses."""

    seen: tuple[SocketObservation, ...] = ()
    addresses: tuple[str, ...] = ()


def clean(text: str, longest: int) -> str:
    """A name that a process chose for itself, made safe to print: one line, no control characters, not endless."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:longest]).strip()


def side_file(capture: str | Path) -> Path:
    """Where the observations of a capture are kept; compression and a ring buffer's number change nothing."""
    path = Path(capture)
    name = path.name
    for ending in COMPRESSED:
        name = name.removesuffix(ending)
    return path.with_name(RING_NUMBER.sub("", name) + SUFFIX)


class SideFile:
    """A side file that is being written. Raises OSError as files do; `most_bytes` bounds its size, nearly."""

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES) -> None:
        self._path = path
        self._most = most_bytes
        self._file = path.open("wb", buffering=0)
        self._bytes = 0
        self._lines: list[bytes] = []

    def add(self, observation: SocketObservation) -> None:
        self._lines.append(_line(asdict(observation)))

    def add_addresses(self, addresses: Iterable[str]) -> None:
        self._lines.append(_line({"addresses": sorted(addresses)}))

    def flush(self, polled_ns: int) -> None:
        """Write what was added, and that all observations without an end were there at `polled_ns`."""
        self._lines.append(_line({"polled_ns": polled_ns}))
        data, self._lines = b"".join(self._lines), []
        written = self._file.write(data)
        self._bytes += len(data)
        if written != len(data):
            raise OSError(f"{written} of {len(data)} bytes were written")

    @property
    def is_full(self) -> bool:
        return self._bytes > self._most

    def rewrite(self, observations: SocketObservations, polled_ns: int) -> None:
        """Put these observations in place of all that was written: a reader sees the old file or the new one."""
        shorter = self._path.with_name(self._path.name + ".part")
        self._file.close()
        self._lines = [_line(asdict(observation)) for observation in observations.seen]
        self.add_addresses(observations.addresses)
        self._bytes = 0
        self._file = shorter.open("wb", buffering=0)
        self.flush(polled_ns)
        os.replace(shorter, self._path)
        self._most = max(self._most, 2 * self._bytes)

    def close(self) -> None:
        self._file.close()


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


# A file may come from anywhere: what is of another type or out of bounds is passed over.
_BOUNDS = {"protocol": (0, 255), "local_port": (0, 65535), "remote_port": (0, 65535), "uid": (-1, 1 << 32)}
_ANY_INSTANT = (ALWAYS_NS, STILL_NS)
_TYPES = {field.name: field.type for field in fields(SocketObservation)}


def _observation(content: dict[str, Any]) -> SocketObservation | None:
    """The observation in a line, or None if it makes no sense."""
    values: dict[str, Any] = {}
    for name, kind in _TYPES.items():
        value: Any = content.get(name)
        least, most = _BOUNDS.get(name, _ANY_INSTANT)
        if type(value) is not kind or (kind is int and not least <= value <= most):
            return None
        values[name] = value
    for name, longest in (("name", LONGEST_NAME), ("program", LONGEST_PROGRAM), ("local", 64), ("remote", 64)):
        values[name] = clean(values[name], longest)
    return SocketObservation(**values)


def _content(line: bytes) -> dict[str, Any]:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def read_side_file(path: Path) -> SocketObservations:
    """The observations of a side file; lines without sense are skipped. Raises OSError if it cannot be read."""
    by_id: dict[int, SocketObservation] = {}
    addresses: dict[str, None] = {}
    polled_ns = ALWAYS_NS
    with path.open("rb") as file:
        for line in file:
            content = _content(line)
            observation = _observation(content)
            if observation is not None:
                by_id[observation.id] = observation
            if type(content.get("polled_ns")) is int:
                polled_ns = max(polled_ns, min(content["polled_ns"], STILL_NS))
            listed = content.get("addresses")
            if isinstance(listed, list):
                addresses.update((clean(text, 64), None) for text in listed if isinstance(text, str))
    seen = tuple(lasting(observation, polled_ns) for observation in by_id.values())
    return SocketObservations(seen, tuple(addresses))


def lasting(observation: SocketObservation, polled_ns: int) -> SocketObservation:
    """An observation that has not ended was last seen at the latest poll."""
    if observation.gone_ns != STILL_NS or polled_ns <= observation.last_seen_ns:
        return observation
    return replace(observation, last_seen_ns=polled_ns)


def joined(parts: Iterable[SocketObservations]) -> SocketObservations:
    """The observations of several files as one."""
    several = list(parts)
    seen = itertools.chain.from_iterable(part.seen for part in several)
    addresses = dict.fromkeys(itertools.chain.from_iterable(part.addresses for part in several))
    return SocketObservations(tuple(seen), tuple(addresses))
