"""With whom a host's flows were: remote addresses side by side, numbered, and counted."""

import secrets
from typing import NamedTuple

import numpy as np

from peerburst.capture.compiled.hashing import address_slot
from peerburst.capture.compiled.kernel import kernel, part
from peerburst.capture.compiled.shapes import Bools, Int32s, Int64s, Records, UInt64s
from peerburst.capture.flows.record import ORIG_IS_A


class PeerRoom(NamedTuple):
    """Room to number the peers of one set of flows at a time, and what was found of the last set."""

    high: UInt64s  # by flow of the set: its remote address, as FLOW rows have it
    low: UInt64s
    code: Int32s  # by flow of the set: the number of its peer, from 0 on, in the order they appear
    first: Int32s  # by peer: the place of its first flow in the set
    slots: Int32s  # a hash table of numbers, at most half full: a power of two


def peer_room(largest: int) -> PeerRoom:
    """Room for sets of so many flows at most."""
    high, low = np.empty(largest, np.uint64), np.empty(largest, np.uint64)
    code, first = np.empty(largest, np.int32), np.empty(largest, np.int32)
    return PeerRoom(high, low, code, first, np.empty(slots_for(largest), np.int32))


def new_seed() -> np.uint64:
    """For `number_peers`, so that nobody can write a capture whose peers all fall into one slot."""
    return np.uint64(secrets.randbits(62))


def slots_for(flows: int) -> int:
    """The size of a hash table for the peers of so many flows: a power of two, at most half full."""
    size = 2
    while size < 2 * flows:
        size *= 2
    return size


# Called from Python, a part would be compiled at every start.
slots_in_kernel = part(slots_for)


class HostFlowColumns(NamedTuple):
    """Flows of hosts side by side, and the table they are of."""

    rows: Records  # FLOW, by flow
    flow: Int32s
    outbound: Bools  # beside `flow`: the host is the originator


@part
def gather_remotes(flows: HostFlowColumns, begin: int, stop: int, room: PeerRoom) -> None:
    """Copy the remote addresses of flow[begin:stop] to `room`.

    Side by side they are found many times faster: each look at the table itself is a miss of the cache.
    """
    high, low = room.high, room.low
    for i in range(begin, stop):
        row = flows.rows[flows.flow[i]]
        if flows.outbound[i] == (row["flags"] & ORIG_IS_A != 0):  # the host is end a
            high[i - begin], low[i - begin] = row["b_hi"], row["b_lo"]
        else:
            high[i - begin], low[i - begin] = row["a_hi"], row["a_lo"]


@part
def number_peers(n: int, seed: np.uint64, room: PeerRoom) -> int:
    """Number the first n addresses of `room` in the order they appear; answers how many different ones there are.

    Fills `code` and `first`.
    """
    high, low, code, first, slots = room
    size = slots_in_kernel(n)
    for slot in range(size):
        slots[slot] = -1
    count = 0
    for i in range(n):
        at = address_slot(seed, high[i], low[i], size)
        while slots[at] >= 0 and (low[first[slots[at]]] != low[i] or high[first[slots[at]]] != high[i]):
            at = (at + 1) & (size - 1)
        if slots[at] < 0:
            slots[at] = count
            first[count] = i
            count += 1
        code[i] = slots[at]
    return count


@kernel
def count_peers(
    flows: HostFlowColumns, host_first: Int64s, seed: np.uint64, room: PeerRoom, peers: Int64s, ip_bytes: Int64s
) -> None:
    """Fill how many remote addresses the flows of each host have, and add up their bytes in `ip_bytes`, zeros before.

    The flows of host h are flow[host_first[h]:host_first[h + 1]]; `room` is for the host with most of them.
    """
    a_bytes, b_bytes = flows.rows["a_bytes"], flows.rows["b_bytes"]
    for h in range(peers.size):
        begin, stop = host_first[h], host_first[h + 1]
        gather_remotes(flows, begin, stop, room)
        peers[h] = number_peers(stop - begin, seed, room)
        for i in range(begin, stop):
            ip_bytes[h] += np.int64(a_bytes[flows.flow[i]]) + np.int64(b_bytes[flows.flow[i]])
