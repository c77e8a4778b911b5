"""IEEE 802.11 data frames, alone and behind radiotap (https://www.radiotap.org)."""

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.loads import le16, le32
from peerburst.capture.compiled.shapes import Bool, Bytes, Int, int64
from peerburst.capture.links.llc import llc
from peerburst.capture.links.protocols import CUT, ENCIPHERED, NOT_IP

# Frame control, IEEE 802.11-2020 section 9.2.4.1: type and subtype in its first byte, flags in its second.
DATA_FRAME = 2
NO_DATA, QOS = 4, 8  # bits of a data frame's subtype
TO_AND_FROM_DS, PROTECTED, HT_CONTROL = 3, 0x40, 0x80
SHORTEST_HEADER = 24
ADDRESS_4, QOS_FIELD, HT_FIELD = 6, 2, 4  # bytes

A_MSDU = 0x80  # in the first byte of the QoS field: what follows are subframes (section 9.3.2.2)
SUBFRAME_HEADER, SUBFRAME_LENGTH = 14, 12  # two addresses, then the length of what follows, padded to four bytes

LINKTYPE_IEEE802_11, LINKTYPE_RADIOTAP = 105, 127

RADIOTAP_HEADER, RADIOTAP_LENGTH, RADIOTAP_PRESENT = 8, 2, 4
MOST_PRESENT_WORDS = 32
HAS_TSFT, HAS_FLAGS = 1, 2  # bits of the first word of those that say which fields are present
PADDED = 0x20  # of the flags


@part
def _header_length(control: Int, flags: Int) -> Int:
    """Bytes of a data frame's header, by the two bytes of its frame control: 24 to 36."""
    length = SHORTEST_HEADER
    if flags & TO_AND_FROM_DS == TO_AND_FROM_DS:
        length += ADDRESS_4
    if control >> 4 & QOS:
        length += QOS_FIELD
        if flags & HT_CONTROL:
            length += HT_FIELD
    return length


@part
def _data_frame(data: Bytes, at: Int, stop: Int, is_padded: Bool) -> tuple[Int, Int]:
    """The header, perhaps padded to four bytes, then LLC: of an A-MSDU, that of the first packet in it."""
    if at >= stop:
        return CUT, at
    if data[at] >> 2 & 3 != DATA_FRAME:
        return NOT_IP, at  # a short control frame is whole
    if at + SHORTEST_HEADER > stop:
        return CUT, at
    if data[at] >> 4 & NO_DATA:
        return NOT_IP, at  # null function
    if data[at + 1] & PROTECTED:
        return ENCIPHERED, at
    length = _header_length(int64(data[at]), int64(data[at + 1]))
    is_aggregate = _is_aggregate(data, at, length, stop)
    if is_padded:
        length = (length + 3) & ~3
    return llc(data, at + length + (SUBFRAME_HEADER if is_aggregate else 0), stop)


@part
def _is_aggregate(data: Bytes, at: Int, length: Int, stop: Int) -> Bool:
    """Whether a data frame whose header is so long says that it holds an A-MSDU."""
    if not data[at] >> 4 & QOS or at + length > stop:
        return False
    qos_at = at + SHORTEST_HEADER + (ADDRESS_4 if data[at + 1] & TO_AND_FROM_DS == TO_AND_FROM_DS else 0)
    return bool(data[qos_at] & A_MSDU)


@part
def first_subframe(data: Bytes, at: Int, stop: Int, link: Int) -> Int:
    """Where the first subframe of an A-MSDU begins in a frame of these link types, 0 if it holds none."""
    is_padded: Bool = False
    if link == LINKTYPE_RADIOTAP:
        if at + RADIOTAP_HEADER > stop:
            return 0
        is_padded = _is_padded(data, at, stop)
        at += max(RADIOTAP_HEADER, le16(data, at + RADIOTAP_LENGTH))
    if at + SHORTEST_HEADER > stop or data[at] >> 2 & 3 != DATA_FRAME:
        return 0
    if data[at] >> 4 & NO_DATA or data[at + 1] & PROTECTED:
        return 0
    length = _header_length(int64(data[at]), int64(data[at + 1]))
    if not _is_aggregate(data, at, length, stop):
        return 0
    return at + ((length + 3) & ~3 if is_padded else length)


@part
def ieee802_11(data: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    return _data_frame(data, at, stop, False)


@part
def _is_padded(data: Bytes, at: Int, stop: Int) -> Bool:
    """Whether radiotap's flags field says that the 802.11 header is padded to four bytes."""
    present_at = at + RADIOTAP_PRESENT
    words = 0
    while present_at + 4 <= stop and words < MOST_PRESENT_WORDS:
        words += 1
        if not le32(data, present_at) >> 31:  # the highest bit: another word follows
            break
        present_at += 4
    present = le32(data, at + RADIOTAP_PRESENT)
    if not present & HAS_FLAGS:
        return False
    flags_at = present_at + 4
    if present & HAS_TSFT:  # the time stamp comes first, eight bytes aligned to eight
        flags_at = at + ((flags_at - at + 7) & ~7) + 8
    return flags_at < stop and bool(data[flags_at] & PADDED)


@part
def radiotap(data: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    if at + RADIOTAP_HEADER > stop:
        return CUT, at
    length = max(RADIOTAP_HEADER, le16(data, at + RADIOTAP_LENGTH))
    return _data_frame(data, at + length, stop, _is_padded(data, at, stop))
