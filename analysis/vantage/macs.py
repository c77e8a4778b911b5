"""Which addresses lie behind which MAC, by the first packet of each flow.

Behind a router's MAC lie many, behind a machine's its own. A packet that this very machine sent (Linux cooked captures
tell) counts as sent by `OWN`, whatever MAC its interface has.
"""

import secrets
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from peerburst.analysis.hosts.locality import DEFAULT_LOCAL_NETS, GROUP_NETS, Words, parse_networks, within
from peerburst.capture.compiled.hashing import address_slot
from peerburst.capture.compiled.kernel import kernel, part
from peerburst.capture.compiled.shapes import Int, Int32s, Int64s, Records, UInt8s, UInt64s
from peerburst.capture.flows.record import FIRST_IS_A, Flows
from peerburst.capture.packets.frame_ends import OUTGOING

MOST_MACS = 1 << 12  # more is an attack; what comes later counts for none
LISTED = 64  # addresses behind one MAC that are kept one by one; a router has more
SPREAD_BITS = 1 << 12  # how many there are beyond that is estimated by as many bits (Whang 1990, linear counting)
SPREAD_SEED = np.uint64(1)  # no secret: the estimate has to be the same each time
OWN = 1 << 48  # in place of a MAC: this machine, which sent the packet
# Hop limits that systems send with, of which each router takes one off; one may stand between, as before a NAT.
FIRST_HOP_LIMITS, MOST_PASSED = (32, 64, 128, 255), 1
GROUP_BIT = 1 << 40  # of a MAC: multicast or broadcast


class Room(NamedTuple):
    """What the kernel fills; rows are MACs in the order they appear."""

    macs: Int64s
    slots: Int32s  # where a MAC's row is found, -1 before; twice as many
    listed: Int64s  # how many addresses are kept
    words: UInt64s  # MACs by LISTED by 2
    flows: Int64s  # MACs by LISTED
    beyond: UInt8s  # MACs by LISTED: 1 of an address that is not on this link, as far as its packets tell
    spread: UInt8s  # MACs by SPREAD_BITS


@part
def _number_of(mac: Int, macs: Int64s, slots: Int32s, count: Int, seed: np.uint64) -> Int:
    """The row of a MAC, which is `count` if it is new; -1 if there are too many."""
    at = address_slot(seed, np.uint64(0), np.uint64(mac), slots.size)
    while slots[at] >= 0 and macs[slots[at]] != mac:
        at = (at + 1) & (slots.size - 1)
    if slots[at] < 0:
        if count == macs.size:
            return np.int64(-1)
        slots[at], macs[count] = count, mac
    return np.int64(slots[at])


@part
def _has_all_hops(hops: Int) -> bool:
    """Whether no router, or one at most, has taken a hop from a packet; of one that does not say, yes."""
    for first in FIRST_HOP_LIMITS:
        if first - MOST_PASSED <= hops and hops <= first:
            return True
    return bool(hops == 0)


@part
def _note(which: Int, high: np.uint64, low: np.uint64, listed: Int64s, words: UInt64s, flows: Int64s) -> Int:
    """Count a flow of an address behind a MAC; answers its place in the list, -1 if that is full."""
    if listed[which] == words.shape[1]:  # a router's: whatever comes is most likely new
        return np.int64(-1)
    for k in range(listed[which]):
        if words[which, k, 0] == high and words[which, k, 1] == low:
            flows[which, k] += 1
            return np.int64(k)
    words[which, listed[which], 0], words[which, listed[which], 1] = high, low
    flows[which, listed[which]] = 1
    listed[which] += 1
    return np.int64(listed[which] - 1)


@kernel
def fill_macs(rows: Records, births: Records, room: Room, seed: np.uint64) -> Int:
    """Fill which addresses lie behind each MAC from FLOW and BIRTH rows; answers how many MACs there are.

    `seed`: see `hashing.address_slot`.
    """
    macs, slots, listed, words, flows, beyond, spread = room
    hops = births["hop_limit"]
    flags, a_hi, a_lo, b_hi, b_lo = rows["flags"], rows["a_hi"], rows["a_lo"], rows["b_hi"], rows["b_lo"]
    senders, receivers, ways = births["sender"], births["receiver"], births["way"]
    count: Int = np.int64(0)
    for i in range(flags.size):
        from_a = flags[i] & FIRST_IS_A != 0
        for side in range(2):
            mac = receivers[i] if side else senders[i]
            if side == 0 and ways[i] == OUTGOING:
                mac = np.int64(OWN)
            if mac == 0 or mac & GROUP_BIT:
                continue
            which = _number_of(mac, macs, slots, count, seed)
            if which < 0:
                continue
            count = max(count, which + 1)
            is_a = from_a == (side == 0)
            high, low = (a_hi[i], a_lo[i]) if is_a else (b_hi[i], b_lo[i])
            k = _note(which, high, low, listed, words, flows)
            # Who sends with all its hops stands on this link, whatever address it says is its own.
            if side == 1 or not _has_all_hops(hops[i]):
                spread[which, address_slot(SPREAD_SEED, high, low, spread.shape[1])] = 1
                if k >= 0:
                    beyond[which, k] = 1
    return count


@dataclass(frozen=True, slots=True)
class Behind:
    """One MAC, and what lies behind it."""

    mac: int
    addresses: dict[Words, int]  # flows by address, LISTED at most
    is_full: bool  # there may be more
    spread: int  # about how many addresses there are, if more than that
    private4: tuple[Words, ...]  # of the addresses: IPv4's local ranges
    public4: tuple[Words, ...]
    public6: tuple[Words, ...]
    beyond: int  # of the public ones: those that are not on this link, as far as their packets tell

    @property
    def remote(self) -> int:
        """About how many addresses are in no local range, and not on this link."""
        return max(self.beyond, self.spread) if self.is_full else self.beyond


def is_v4(words: Words) -> bool:
    return words[0] == 0 and words[1] >> 32 == 0xFFFF


def mac_text(mac: int) -> str:
    """A MAC as people write it."""
    return ":".join(f"{mac >> shift & 0xFF:02x}" for shift in range(40, -1, -8))


def behind_macs(flows: Flows) -> list[Behind]:
    """What lies behind each MAC; empty where frames do not tell."""
    births = flows.evidence()
    if not (births["sender"].any() or births["receiver"].any()):
        return []
    room = Room(
        np.zeros(MOST_MACS, np.int64),
        np.full(2 * MOST_MACS, -1, np.int32),
        np.zeros(MOST_MACS, np.int64),
        np.zeros((MOST_MACS, LISTED, 2), np.uint64),
        np.zeros((MOST_MACS, LISTED), np.int64),
        np.zeros((MOST_MACS, LISTED), np.uint8),
        np.zeros((MOST_MACS, SPREAD_BITS), np.uint8),
    )
    with np.errstate(over="ignore"):
        count = int(fill_macs(flows.row, births, room, np.uint64(secrets.randbits(62))))
    words = room.words[:count].reshape(-1, 2)
    local = _matrix(words, DEFAULT_LOCAL_NETS, count)
    group = _matrix(words, GROUP_NETS, count)
    return [_behind(room, which, local[which], group[which]) for which in range(count)]


def _matrix(words: UInt64s, networks: tuple[str, ...], count: int) -> npt.NDArray[np.bool_]:
    return within(words[:, 0], words[:, 1], parse_networks(networks)).reshape(count, LISTED)


def _behind(room: Room, which: int, local: npt.NDArray[np.bool_], group: npt.NDArray[np.bool_]) -> Behind:
    listed = int(room.listed[which])
    words = [(high, low) for high, low in room.words[which, :listed].tolist()]
    kept = [k for k in range(listed) if not group[k]]
    empty = SPREAD_BITS - int(room.spread[which].sum())
    return Behind(
        mac=int(room.macs[which]),
        is_full=listed == LISTED,
        beyond=sum(int(room.beyond[which, k]) for k in kept if not local[k]),
        addresses={words[k]: int(room.flows[which, k]) for k in kept},
        spread=round(SPREAD_BITS * float(np.log(SPREAD_BITS / max(empty, 1)))),
        private4=tuple(words[k] for k in kept if local[k] and is_v4(words[k]) and not _is_link_local(words[k])),
        public4=tuple(words[k] for k in kept if not local[k] and is_v4(words[k])),
        public6=tuple(words[k] for k in kept if not local[k] and not is_v4(words[k])),
    )


def _is_link_local(words: Words) -> bool:
    """169.254.0.0/16, which a machine may have besides its own, and 0.0.0.0, which is no address."""
    return words[1] >> 16 & 0xFFFF == 0xA9FE or words[1] & 0xFFFFFFFF == 0
