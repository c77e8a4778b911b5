"""Which program each flow belongs to, from observations of sockets while it was captured.

A flow belongs to whom its local end belonged to while it had packets. The socket that names both ends is asked first,
then one at its very address, then one that serves all addresses, last one at the same port that was connected
elsewhere. An observation reaches back to the poll before it, at which the socket was not there, and forward to the poll
after it, unless the port had another owner by then.
"""

import ipaddress
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from peerburst.analysis.hosts.locality import MAPPED, Endpoints, parse_networks, to_words, within
from peerburst.capture.compiled.hashing import row_keys
from peerburst.capture.compiled.shapes import Bools, Int32s, Int64s, UInt64s
from peerburst.capture.errors import CaptureError
from peerburst.capture.flows.five_tuple import tuple_ports
from peerburst.capture.flows.record import ORIG_IS_A, Flows
from peerburst.capture.sockets.observations import STILL_NS, SocketObservations, joined, read_side_file, side_file

NO_ONE = -1
WILDCARDS = ("0.0.0.0", "::")
# How many observations of one port are tried for a flow: more overlap only where programs share a port.
MOST_TRIED = 8
KEY_SEED = secrets.randbits(64)


def observations_beside(paths: Sequence[str]) -> SocketObservations:
    """The observations kept beside captures, empty where there are none; raises CaptureError if one cannot be read."""
    files = dict.fromkeys(side_file(path) for path in paths if path != "-")
    return joined(_read(path) for path in files if path.is_file())


def _read(path: Path) -> SocketObservations:
    try:
        return read_side_file(path)
    except OSError as error:
        raise CaptureError(str(path), f"cannot be read ({error.strerror}); allow reading it or move it away") from error


def attribute(flows: Flows, ends: Endpoints, observations: SocketObservations) -> tuple[Int32s, list[str]]:
    """(code per flow, program names by code); code 0 is the empty name, of flows whose program is not known."""
    names = ["", *sorted({observation.name for observation in observations.seen} - {""})]
    codes = np.zeros(flows.row.size, np.int32)
    if flows.row.size and observations.seen:
        owner = _owners(flows, ends, _Seen.of(observations))
        code = {name: number for number, name in enumerate(names)}
        by_observation = np.array([code[observation.name] for observation in observations.seen], np.int32)
        known = owner >= 0
        codes[known] = by_observation[owner[known]]
    return codes, names


@lru_cache(1 << 16)
def _words(address: str) -> tuple[int, int]:
    """(high, low) of an address; of none and of nonsense zeros, which no flow's end is."""
    try:
        return to_words(ipaddress.ip_address(address)) if address else (0, 0)
    except ValueError:
        return 0, 0


def _address_columns(addresses: Sequence[str]) -> tuple[UInt64s, UInt64s]:
    words = np.array([_words(address) for address in addresses], np.uint64).reshape(-1, 2)
    return words[:, 0], words[:, 1]


@dataclass(frozen=True, slots=True)
class _Seen:
    """SocketObservations as columns."""

    proto: Int64s
    port: Int64s
    local_hi: UInt64s
    local_lo: UInt64s
    remote_hi: UInt64s
    remote_lo: UInt64s
    remote_port: Int64s
    connected: Bools
    wildcard: Bools
    v4: Bools  # serves IPv4
    v6: Bools
    first_ns: Int64s
    last_ns: Int64s
    absent_ns: Int64s
    gone_ns: Int64s
    own_hi: UInt64s  # the machine's addresses, as far as known
    own_lo: UInt64s

    @classmethod
    def of(cls, observations: SocketObservations) -> "_Seen":
        seen = observations.seen
        own = dict.fromkeys([*observations.addresses, *(observation.local for observation in seen)])
        local_hi, local_lo = _address_columns([observation.local for observation in seen])
        remote_hi, remote_lo = _address_columns([observation.remote for observation in seen])
        own_hi, own_lo = _address_columns([address for address in own if address not in WILDCARDS])
        wildcard = np.array([observation.local in WILDCARDS for observation in seen])
        is_v4 = np.array([":" not in observation.local for observation in seen])
        v6_only = np.array([observation.v6_only for observation in seen])
        return cls(
            proto=_column(observation.protocol for observation in seen),
            port=_column(observation.local_port for observation in seen),
            local_hi=local_hi,
            local_lo=local_lo,
            remote_hi=remote_hi,
            remote_lo=remote_lo,
            remote_port=_column(observation.remote_port for observation in seen),
            connected=np.array([observation.remote != "" for observation in seen]),
            wildcard=wildcard,
            v4=is_v4 | (wildcard & ~v6_only),
            v6=~is_v4,
            first_ns=_column(observation.first_seen_ns for observation in seen),
            last_ns=_column(observation.last_seen_ns for observation in seen),
            absent_ns=_column(observation.absent_ns for observation in seen),
            gone_ns=_column(observation.gone_ns for observation in seen),
            own_hi=own_hi,
            own_lo=own_lo,
        )


def _column(values: Iterator[int]) -> Int64s:
    return np.fromiter(values, np.int64)


@dataclass(frozen=True, slots=True)
class _Ends:
    """One end of some flows as the local one."""

    flow: Int64s
    proto: Int64s
    port: Int64s
    local_hi: UInt64s
    local_lo: UInt64s
    remote_hi: UInt64s
    remote_lo: UInt64s
    remote_port: Int64s
    start_ns: Int64s
    last_ns: Int64s

    def v4(self) -> Bools:
        is_v4: Bools = (self.local_hi == 0) & (self.local_lo >> np.uint64(32) == np.uint64(MAPPED >> 32))
        return is_v4

    def take(self, chosen: Bools) -> "_Ends":
        return _Ends(*(getattr(self, name)[chosen] for name in self.__slots__))


def _side(flows: Flows, flow: Int64s, is_a: Bools) -> _Ends:
    """The ends `a` of some flows where `is_a`, else the ends `b`."""
    row = flows.row[flow]
    a_port, b_port = tuple_ports(row)

    def pick(first: str, second: str) -> npt.NDArray[np.void]:
        return np.where(is_a, row[first], row[second])

    return _Ends(
        flow=flow,
        proto=row["proto"].astype(np.int64),
        port=np.where(is_a, a_port, b_port).astype(np.int64),
        local_hi=pick("a_hi", "b_hi").astype(np.uint64),
        local_lo=pick("a_lo", "b_lo").astype(np.uint64),
        remote_hi=pick("b_hi", "a_hi").astype(np.uint64),
        remote_lo=pick("b_lo", "a_lo").astype(np.uint64),
        remote_port=np.where(is_a, b_port, a_port).astype(np.int64),
        start_ns=flows.first_ns()[flow],
        last_ns=flows.segments["last"][flows.first_segment[1:] - 1][flow],
    )


def _owners(flows: Flows, ends: Endpoints, seen: _Seen) -> Int64s:
    """Per flow, the observation it belongs to or NO_ONE. Of two local ends, the one that opened it is asked first."""
    owner = np.full(flows.row.size, NO_ONE, np.int64)
    orig_is_a: Bools = (flows.row["flags"] & ORIG_IS_A) != 0
    for is_a in (orig_is_a, ~orig_is_a):
        left = np.flatnonzero(owner == NO_ONE)
        side = _ours(_with_port(_side(flows, left, is_a[left]), seen), is_a, ends, seen)
        owner[side.flow] = _match(side, seen)
    return owner


def _with_port(side: _Ends, seen: _Seen) -> _Ends:
    """Those whose protocol and port some socket had: few, on a gateway that sees everybody's flows."""
    had = np.zeros((256, 1 << 16), np.bool_)
    had[seen.proto, seen.port] = True
    return side.take(had[side.proto, side.port])


def _ours(side: _Ends, is_a: Bools, ends: Endpoints, seen: _Seen) -> _Ends:
    """Those at an address of this machine: another host's flow from port 5353 is not our program's."""
    if not seen.own_hi.size:
        return side.take(np.where(is_a[side.flow], ends.host_a[side.flow], ends.host_b[side.flow]) >= 0)
    loopback = parse_networks(["127.0.0.0/8", "::1/128"])
    own = np.sort(row_keys(KEY_SEED, [seen.own_hi, seen.own_lo]))
    mixed = row_keys(KEY_SEED, [side.local_hi, side.local_lo])
    at = np.minimum(np.searchsorted(own, mixed), own.size - 1)
    return side.take((own[at] == mixed) | within(side.local_hi, side.local_lo, loopback))


def _match(side: _Ends, seen: _Seen) -> Int64s:
    """Per end, the first observation by closeness, then by time, or NO_ONE."""
    v4 = side.v4()
    everyone = np.ones(side.flow.size, np.bool_)
    port, theirs = [side.proto, side.port], [seen.proto, seen.port]
    local, their_local = [*port, side.local_hi, side.local_lo], [*theirs, seen.local_hi, seen.local_lo]
    remote = [side.remote_hi, side.remote_lo, side.remote_port]
    their_remote = [seen.remote_hi, seen.remote_lo, seen.remote_port]
    is_v4_wildcard = seen.wildcard & ~seen.v6
    own_wildcard = seen.wildcard & ~seen.connected
    rounds = (
        (everyone, [*local, *remote], seen.connected, [*their_local, *their_remote]),
        (everyone, local, ~seen.connected & ~seen.wildcard, their_local),
        (v4, port, own_wildcard & is_v4_wildcard, theirs),
        (v4, port, own_wildcard & ~is_v4_wildcard & seen.v4, theirs),
        (~v4, port, own_wildcard & seen.v6, theirs),
        (everyone, local, seen.connected, their_local),
    )
    owner = np.full(side.flow.size, NO_ONE, np.int64)
    for asked, keys, answering, their_keys in rounds:
        left = np.flatnonzero(asked & (owner == NO_ONE))
        some = np.flatnonzero(answering)
        if left.size and some.size:
            mixed, their_mixed = (
                row_keys(KEY_SEED, [key[left] for key in keys]),
                row_keys(KEY_SEED, [key[some] for key in their_keys]),
            )
            found = _at_the_time(mixed, side.start_ns[left], side.last_ns[left], their_mixed, some, seen)
            owner[left] = found
    return owner


def _at_the_time(
    key: UInt64s, start_ns: Int64s, last_ns: Int64s, their_key: UInt64s, some: Int64s, seen: _Seen
) -> Int64s:
    """Per flow (key, first and last packet), the earliest of `some` observations of its key then."""
    order, begin, end = _reaches(their_key, some, seen)
    their_key, some, begin, end = their_key[order], some[order], begin[order], end[order]
    ends = np.unique(end)
    keys, group = np.unique(their_key, return_inverse=True)
    # One number for key and time: the key's rank, then that of the end among all ends.
    place = group * (ends.size + 1) + np.searchsorted(ends, end)
    rank = np.minimum(np.searchsorted(keys, key), keys.size - 1)
    is_known = keys[rank] == key
    at = np.searchsorted(place, rank * (ends.size + 1) + np.searchsorted(ends, start_ns))
    owner = np.full(key.size, NO_ONE, np.int64)
    left = np.flatnonzero(is_known)
    for step in range(MOST_TRIED):
        left = left[at[left] + step < some.size]
        left = left[their_key[at[left] + step] == key[left]]
        tried = at[left] + step
        there = begin[tried] <= last_ns[left]
        owner[left[there]] = some[tried[there]]
        left = left[~there]
    return owner


def _reaches(key: UInt64s, some: Int64s, seen: _Seen) -> tuple[npt.NDArray[np.intp], Int64s, Int64s]:
    """(order by key and end, begin, end) of observations, as far as they may be stretched: see the module.

    What happened between two polls, at the first of which one socket was there and at the second the next, is the
    next one's.
    """
    begin, end = seen.absent_ns[some].copy(), seen.gone_ns[some].copy()
    by_first = np.lexsort((seen.first_ns[some], key))
    before, after = by_first[:-1], by_first[1:]
    contested = (key[before] == key[after]) & (begin[after] <= end[before]) & (end[before] != STILL_NS)
    end[before[contested]] = seen.last_ns[some][before[contested]]
    return np.lexsort((end, key)), begin, end
