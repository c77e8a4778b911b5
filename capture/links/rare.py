"""Link layers that few captures have: 802.11, HDLC, frame relay, FDDI, ARCNET, NFLOG, and the PPI and PKTAP envelopes.

They have a kernel of their own, so that only who meets one pays for compiling it: `strip` follows them up to what
`link` knows, and rewrites the frames.
"""

from peerburst.capture.compiled.kernel import kernel, part
from peerburst.capture.compiled.loads import be16, le16, le32
from peerburst.capture.links.registry import (
    BAD,
    CUT,
    ENCIPHERED,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    NOT_IP,
    STRIPPED,
    UNKNOWN,
    address_family,
    llc,
    ppp,
)

LINKTYPE_FDDI = 10
LINKTYPE_PPP_HDLC = 50
LINKTYPE_C_HDLC = 104
LINKTYPE_IEEE802_11 = 105
LINKTYPE_FRELAY = 107
LINKTYPE_IEEE802_11_RADIOTAP = 127
LINKTYPE_ARCNET_LINUX = 129
LINKTYPE_PPI = 192
LINKTYPE_IPNET = 226
LINKTYPE_NFLOG = 239
LINKTYPE_PKTAP = 258
LARGEST_LINKTYPE = 0xFFFF

RARE = (
    LINKTYPE_FDDI,
    LINKTYPE_PPP_HDLC,
    LINKTYPE_C_HDLC,
    LINKTYPE_IEEE802_11,
    LINKTYPE_FRELAY,
    LINKTYPE_IEEE802_11_RADIOTAP,
    LINKTYPE_ARCNET_LINUX,
    LINKTYPE_PPI,
    LINKTYPE_IPNET,
    LINKTYPE_NFLOG,
    LINKTYPE_PKTAP,
)


@part
def _hdlc(data, at, stop):  # type: ignore[no-untyped-def]
    """Cisco HDLC: address (unicast 0x0F, broadcast 0x8F), control, EtherType; else PPP in HDLC framing, RFC 1662."""
    if at + 4 > stop:
        return CUT, at
    if data[at] == 0x0F or data[at] == 0x8F:
        return be16(data, at + 2), at + 4
    return ppp(data, at, stop)


@part
def _frame_relay(data, at, stop):  # type: ignore[no-untyped-def]
    """Q.922 address of two bytes, then control 0x03 and an NLPID (RFC 2427) or, as Cisco has it, an EtherType."""
    if at + 4 > stop:
        return CUT, at
    if data[at + 2] != 3:
        return be16(data, at + 2), at + 4
    nlpid_at = at + 3
    if data[nlpid_at] == 0:  # one padding byte
        nlpid_at += 1
        if nlpid_at >= stop:
            return CUT, at
    if data[nlpid_at] == 0xCC:
        return ETHERTYPE_IPV4, nlpid_at + 1
    if data[nlpid_at] == 0x8E:
        return ETHERTYPE_IPV6, nlpid_at + 1
    if data[nlpid_at] == 0x80:
        if nlpid_at + 6 > stop:
            return CUT, at
        return be16(data, nlpid_at + 4), nlpid_at + 6
    return NOT_IP, at


@part
def _radiotap_padded(data, at, stop):  # type: ignore[no-untyped-def]
    """Whether radiotap's flags field says that the 802.11 header is padded to four bytes."""
    present_at = at + 4
    words = 0
    while present_at + 4 <= stop and words < 32:
        words += 1
        if not le32(data, present_at) >> 31:
            break
        present_at += 4
    present = le32(data, at + 4)
    if not present & 2:
        return False
    flags_at = present_at + 4
    if present & 1:  # the time stamp (TSFT) comes first, eight bytes aligned to eight
        flags_at = at + ((flags_at - at + 7) & ~7) + 8
    return flags_at < stop and bool(data[flags_at] & 0x20)


@part
def _ieee802_11(data, at, stop, padded):  # type: ignore[no-untyped-def]
    """IEEE 802.11 data frames: a header of 24 to 36 bytes, then LLC."""
    if at + 24 > stop:
        if at < stop and (data[at] >> 2) & 3 != 2:
            return NOT_IP, at  # a short control frame is whole
        return CUT, at
    if (data[at] >> 2) & 3 != 2:
        return NOT_IP, at
    subtype = data[at] >> 4
    if subtype & 4:
        return NOT_IP, at  # null function: no data
    flags = data[at + 1]
    if flags & 0x40:
        return ENCIPHERED, at
    length = 24
    if flags & 3 == 3:
        length += 6
    if subtype & 8:
        length += 2
        if flags & 0x80:
            length += 4
    if padded:
        length = (length + 3) & ~3
    return llc(data, at + length, stop)


@part
def _nflog(data, at, stop):  # type: ignore[no-untyped-def]
    """NFLOG: four bytes, then type-length-values in host order; the packet is type 9 (NFULA_PAYLOAD)."""
    if at + 4 > stop:
        return CUT, at
    family = data[at]
    at += 4
    while at + 4 <= stop:
        length = le16(data, at)
        if length < 4:
            return BAD, at
        if le16(data, at + 2) & 0x7FFF == 9:
            return address_family(family, at + 4)
        at += (length + 3) & ~3
    return CUT, at


@part
def _arcnet(data, at, stop):  # type: ignore[no-untyped-def]
    """ARCNET as Linux shows it: source, destination, two bytes of offset, system code (RFC 1051, RFC 1201)."""
    if at + 8 > stop:
        return CUT, at
    system = data[at + 4]
    if system == 0xF0:  # RFC 1051 IP
        return ETHERTYPE_IPV4, at + 5
    if system == 0xD4:  # RFC 1201 IP: split flag and sequence number
        if data[at + 5] == 0xFF:
            return (ETHERTYPE_IPV4, at + 12) if at + 12 <= stop else (CUT, at)
        return ETHERTYPE_IPV4, at + 8
    return NOT_IP, at


@part
def _ipnet(data, at, stop):  # type: ignore[no-untyped-def]
    """Solaris IPNET: 24 bytes, the second names the family (2 IPv4, 26 IPv6)."""
    if at + 24 > stop:
        return CUT, at
    if data[at + 1] == 2:
        return ETHERTYPE_IPV4, at + 24
    if data[at + 1] == 26:
        return ETHERTYPE_IPV6, at + 24
    return NOT_IP, at


@part
def _fddi(data, at, stop):  # type: ignore[no-untyped-def]
    """Frame control, two addresses; LLC frames have the control's upper half 0x5."""
    if at + 13 > stop:
        return CUT, at
    return llc(data, at + 13, stop) if data[at] & 0xF0 == 0x50 else (NOT_IP, at)


@part
def _radiotap(data, at, stop):  # type: ignore[no-untyped-def]
    if at + 8 > stop:
        return CUT, at
    return _ieee802_11(data, at + max(8, le16(data, at + 2)), stop, _radiotap_padded(data, at, stop))


@part
def _framed(data, at, stop, link):  # type: ignore[no-untyped-def]
    if link == LINKTYPE_IEEE802_11_RADIOTAP:
        return _radiotap(data, at, stop)
    if link == LINKTYPE_IEEE802_11:
        return _ieee802_11(data, at, stop, False)
    if link == LINKTYPE_PPP_HDLC or link == LINKTYPE_C_HDLC:
        return _hdlc(data, at, stop)
    if link == LINKTYPE_FDDI:
        return _fddi(data, at, stop)
    if link == LINKTYPE_FRELAY:
        return _frame_relay(data, at, stop)
    if link == LINKTYPE_NFLOG:
        return _nflog(data, at, stop)
    if link == LINKTYPE_ARCNET_LINUX:
        return _arcnet(data, at, stop)
    return _ipnet(data, at, stop)


@part
def _is_rare(link):  # type: ignore[no-untyped-def]
    for rare in RARE:  # noqa: SIM110 (a kernel has no generators)
        if link == rare:
            return True
    return False


@part
def _envelope(data, at, stop, link):  # type: ignore[no-untyped-def]
    """PPI and PKTAP carry a frame of another link type: (that type or a verdict, its offset)."""
    if at + (8 if link == LINKTYPE_PPI else 12) > stop:
        return CUT, at
    if link == LINKTYPE_PPI:
        inner, length = le32(data, at + 4), max(8, le16(data, at + 2))
    else:
        inner, length = le32(data, at + 8), max(12, le32(data, at))
    if at + length > stop:
        return CUT, at
    if inner > LARGEST_LINKTYPE or inner == LINKTYPE_PPI or inner == LINKTYPE_PKTAP:
        return UNKNOWN, at  # no such type, or an envelope in an envelope, which nobody writes
    return inner, at + length


@kernel
def strip(data, frames, count):  # type: ignore[no-untyped-def]
    """Rewrite those of frames[:count] (FRAME) that are of a rare link type: where the rest starts, and what it is."""
    for i in range(count):
        frame = frames[i]
        link, at, stop = frame["link"], frame["start"], frame["stop"]
        wire_stop = at + frame["wire"]
        if link == LINKTYPE_PPI or link == LINKTYPE_PKTAP:
            link, at = _envelope(data, at, stop, link)
            if link < 0:
                link += STRIPPED
        if _is_rare(link):
            ethertype, at = _framed(data, at, stop, link)
            link = STRIPPED + ethertype
        frame["link"] = link
        frame["start"] = at
        frame["wire"] = wire_stop - at
