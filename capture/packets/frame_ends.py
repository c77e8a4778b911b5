"""Who handed a frame to whom, as far as its link layer says: addresses, the way it went, the interface.

Few ask, and only of few packets, so a packet keeps where its frame stands in the block of bytes it was read into and
what kind of frame it is (`frame_code`). Packets that leave their block are told the number of what its header says
instead, see `FrameEnds`. Linux cooked captures: https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL.html and
LINKTYPE_LINUX_SLL2.html; 802.11: IEEE 802.11-2020, table 9-30.
"""

import threading

import numpy as np
import numpy.typing as npt

from peerburst.capture.compiled.kernel import inlined_part, kernel, part
from peerburst.capture.compiled.loads import be16, be32, signed64
from peerburst.capture.compiled.shapes import Bytes, Int, Int32s, Record, Records

# What a frame says, 0 where it does not.
ENDS = np.dtype(
    [
        ("sender", np.int64),  # MAC
        ("receiver", np.int64),  # MAC
        ("way", np.int64),  # INCOMING and the like
        ("interface", np.int64),  # its index
    ]
)
# `way`: one more than the packet types of Linux cooked captures.
INCOMING, OUTGOING = 1, 5

LINKTYPE_ETHERNET, LINKTYPE_LINUX_SLL, LINKTYPE_LINUX_SLL2, LINKTYPE_IEEE_802_11 = 1, 113, 276, 105
# The lowest bits of a packet's `frame`: what it is, and so what the bits above are.
NO_FRAME, ETHERNET, SLL, SLL2, IEEE_802_11, KNOWN = range(6)
KIND_BITS, KIND_MASK = 3, 7

MAC_BITS = 48
MAC_LENGTH = 6
# Offsets in the headers, and how long they are.
ETHERNET_SENDER, ETHERNET_HEADER = 6, 14
SLL_TYPE, SLL_ADDRESS_LENGTH, SLL_ADDRESS, SLL_HEADER = 0, 4, 6, 16
SLL2_INTERFACE, SLL2_TYPE, SLL2_ADDRESS_LENGTH, SLL2_ADDRESS, SLL2_HEADER = 4, 10, 11, 12, 20
ADDRESS_1, ADDRESS_2, ADDRESS_3, SHORTEST_802_11 = 4, 10, 16, 24
TO_DS, FROM_DS = 1, 2

MOST_KINDS_OF_A_BATCH = 1 << 10
MOST_KNOWN = 1 << 16  # more is an attack, and says nothing more


@inlined_part
def ethernet_code(start: Int) -> Int:
    """The `frame` of a packet in Ethernet."""
    return start << KIND_BITS | ETHERNET


@part
def frame_code(start: Int, stop: Int, link: Int) -> Int:
    """The `frame` of a packet: NO_FRAME if its link layer does not say who handed it to whom."""
    if link == LINKTYPE_ETHERNET and start + ETHERNET_HEADER <= stop:
        return start << KIND_BITS | ETHERNET
    if link == LINKTYPE_LINUX_SLL2 and start + SLL2_HEADER <= stop:
        return start << KIND_BITS | SLL2
    if link == LINKTYPE_LINUX_SLL and start + SLL_HEADER <= stop:
        return start << KIND_BITS | SLL
    if link == LINKTYPE_IEEE_802_11 and start + SHORTEST_802_11 <= stop:
        return start << KIND_BITS | IEEE_802_11
    return np.int64(NO_FRAME)


@part
def mac_at(data: Bytes, at: Int) -> Int:
    return (be16(data, at) << 32) | be32(data, at + 2)


@part
def read_ends(data: Bytes, code: Int, known: Records, ends: Record) -> None:
    """Fill a record (of ENDS' fields) from a packet's `frame`; `known`: ENDS by number."""
    kind, at = code & KIND_MASK, code >> KIND_BITS
    ends["sender"], ends["receiver"], ends["way"], ends["interface"] = 0, 0, 0, 0
    if kind == ETHERNET:
        ends["receiver"], ends["sender"] = mac_at(data, at), mac_at(data, at + ETHERNET_SENDER)
    elif kind == SLL2:
        ends["interface"] = be32(data, at + SLL2_INTERFACE) & 0xFFFF
        ends["way"] = (signed64(data, at + SLL2_TYPE) >> 56 & 7) + 1
        if signed64(data, at + SLL2_TYPE) >> 48 & 0xFF == MAC_LENGTH:
            ends["sender"] = mac_at(data, at + SLL2_ADDRESS)
    elif kind == SLL:
        ends["way"] = (be16(data, at + SLL_TYPE) & 7) + 1
        if be16(data, at + SLL_ADDRESS_LENGTH) == MAC_LENGTH:
            ends["sender"] = mac_at(data, at + SLL_ADDRESS)
    elif kind == IEEE_802_11:
        _of_ieee80211(data, at, ends)
    elif kind == KNOWN:
        ends["sender"], ends["receiver"] = known[at]["sender"], known[at]["receiver"]
        ends["way"], ends["interface"] = known[at]["way"], known[at]["interface"]


@part
def _of_ieee80211(data: Bytes, at: Int, ends: Record) -> None:
    """To an access point, from one, or between two stations; of a bridge between two, nothing."""
    ways = be16(data, at) & (TO_DS | FROM_DS)
    if ways == TO_DS:
        ends["sender"], ends["receiver"] = mac_at(data, at + ADDRESS_2), mac_at(data, at + ADDRESS_3)
    elif ways == FROM_DS:
        ends["sender"], ends["receiver"] = mac_at(data, at + ADDRESS_3), mac_at(data, at + ADDRESS_1)
    elif ways == 0:
        ends["sender"], ends["receiver"] = mac_at(data, at + ADDRESS_2), mac_at(data, at + ADDRESS_1)


@kernel
def tell_apart(data: Bytes, packets: Records, slots: Int32s, found: Records, codes: Int32s) -> Int:
    """Fill codes[i] with which of `found` (ENDS) a packet's frame is, -1 of none; answers how many there are.

    `slots`, a power of two of them and twice as many as `found` at least, are -1 before.
    """
    count: Int = np.int64(0)
    frame = packets["frame"]
    for i in range(packets.size):
        codes[i] = -1
        if frame[i] & KIND_MASK == NO_FRAME or count == found.size:
            continue
        ends = found[count]
        read_ends(data, np.int64(frame[i]), found, ends)
        mixed = ends["sender"] ^ (ends["receiver"] << 7) ^ (ends["way"] << 3) ^ (ends["interface"] << 19)
        at = (mixed ^ mixed >> 17 ^ mixed >> 31) & (slots.size - 1)
        while slots[at] >= 0 and not _is_same(found[slots[at]], ends):
            at = (at + 1) & (slots.size - 1)
        if slots[at] < 0:
            slots[at] = count
            count += 1
        codes[i] = slots[at]
    return count


@part
def _is_same(one: Record, other: Record) -> bool:
    if one["sender"] != other["sender"] or one["receiver"] != other["receiver"]:
        return False
    return bool(one["way"] == other["way"] and one["interface"] == other["interface"])


class FrameEnds:
    """Numbers what frames say, for packets that leave the bytes they were read from. Any thread may ask it."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, int, int, int], int] = {}
        self._rows = np.zeros(64, ENDS)
        self._lock = threading.Lock()

    @property
    def rows(self) -> npt.NDArray[np.void]:
        """ENDS by number."""
        return self._rows

    def number(self, data: npt.NDArray[np.uint8], packets: npt.NDArray[np.void]) -> None:
        """Give packets (PACKET) the numbers of what their frames in `data` say."""
        found, codes = np.zeros(MOST_KINDS_OF_A_BATCH, ENDS), np.empty(packets.size, np.int32)
        slots = np.full(2 * MOST_KINDS_OF_A_BATCH, -1, np.int32)
        count = int(tell_apart(data, packets, slots, found, codes))
        told = np.array([*map(self._number_of, found[:count].tolist()), NO_FRAME], np.uint32)
        packets["frame"] = told[codes]

    def _number_of(self, ends: tuple[int, int, int, int]) -> int:
        with self._lock:
            if ends not in self._numbers:
                if len(self._numbers) == MOST_KNOWN:
                    return NO_FRAME
                if len(self._numbers) == self._rows.size:
                    self._rows = np.concatenate([self._rows, np.zeros(self._rows.size, ENDS)])
                self._rows[len(self._numbers)] = ends
                self._numbers[ends] = len(self._numbers)
            return self._numbers[ends] << KIND_BITS | KNOWN


FRAME_ENDS = FrameEnds()
NO_BYTES = np.zeros(1, np.uint8)
