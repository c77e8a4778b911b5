"""Who handed a frame to whom, as far as its link layer says: addresses, the way it went, the interface.

Ethernet is read where packets are decoded; here stand the others: Linux cooked captures
(https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL.html, LINKTYPE_LINUX_SLL2.html) and 802.11's data frames.
"""

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.loads import be16, be32, signed64
from peerburst.capture.compiled.shapes import Bytes, Int, Record

LINUX_SLL, LINUX_SLL2, IEEE_802_11 = 113, 276, 105
# Offsets in the headers.
SLL_TYPE, SLL_ADDRESS_LENGTH, SLL_ADDRESS, SLL_HEADER = 0, 4, 6, 16
SLL2_INTERFACE, SLL2_TYPE, SLL2_ADDRESS_LENGTH, SLL2_ADDRESS, SLL2_HEADER = 4, 10, 11, 12, 20
MAC_BYTES = 6
LARGEST_TYPE = 4  # a packet that this machine sent
# 802.11: three addresses; which of them are the ends is told by two bits of the flags.
ADDRESS_1, ADDRESS_2, ADDRESS_3, SHORTEST_HEADER = 4, 10, 16, 24
TO_DS, FROM_DS = 1, 2


@part
def frame_ends(data: Bytes, at: Int, stop: Int, link: Int, packet: Record) -> None:
    """Fill what a frame that is not Ethernet says of its ends into its packet (PACKET); 0 is what it does not say."""
    packet["sender"] = packet["receiver"] = 0
    packet["way"] = packet["interface"] = 0
    if link == LINUX_SLL2 and at + SLL2_HEADER <= stop:
        packet["interface"] = be32(data, at + SLL2_INTERFACE) & 0xFFFF
        if data[at + SLL2_TYPE] <= LARGEST_TYPE:
            packet["way"] = data[at + SLL2_TYPE] + 1
        if data[at + SLL2_ADDRESS_LENGTH] == MAC_BYTES:
            packet["sender"] = signed64(data, at + SLL2_ADDRESS)
    elif link == LINUX_SLL and at + SLL_HEADER <= stop:
        way = be16(data, at + SLL_TYPE)
        if way <= LARGEST_TYPE:
            packet["way"] = way + 1
        if be16(data, at + SLL_ADDRESS_LENGTH) == MAC_BYTES:
            packet["sender"] = signed64(data, at + SLL_ADDRESS)
    elif link == IEEE_802_11 and at + SHORTEST_HEADER <= stop:
        _of_ieee80211(data, at, packet)


@part
def _of_ieee80211(data: Bytes, at: Int, packet: Record) -> None:
    """IEEE 802.11-2020, table 9-30: to an access point, from one, or between two stations."""
    ways = data[at + 1] & (TO_DS | FROM_DS)
    if ways == TO_DS:
        packet["sender"], packet["receiver"] = signed64(data, at + ADDRESS_2), signed64(data, at + ADDRESS_3)
    elif ways == FROM_DS:
        packet["sender"], packet["receiver"] = signed64(data, at + ADDRESS_3), signed64(data, at + ADDRESS_1)
    elif ways == 0:
        packet["sender"], packet["receiver"] = signed64(data, at + ADDRESS_2), signed64(data, at + ADDRESS_1)
