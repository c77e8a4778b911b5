"""Link-layer headers: where the network packet starts and which EtherType it has.

Link types are libpcap's LINKTYPE_ numbers (https://www.tcpdump.org/linktypes.html). Every function takes the captured
bytes and the end of the captured frame, and answers (EtherType, offset of the network header); where there is no
network packet the first is NOT_IP, CUT or another negative verdict.
"""

from peerburst.capture.compiled.kernel import part
from peerburst.capture.compiled.loads import be16, be32, le32

LINKTYPE_NULL = 0
LINKTYPE_ETHERNET = 1
LINKTYPE_PPP = 9
LINKTYPE_RAW_BSD = 12
LINKTYPE_RAW_OPENBSD = 14
LINKTYPE_PPP_ETHER = 51
LINKTYPE_RAW = 101
LINKTYPE_LOOP = 108
LINKTYPE_LINUX_SLL = 113
LINKTYPE_IPV4 = 228
LINKTYPE_IPV6 = 229
LINKTYPE_LINUX_SLL2 = 276

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_IPV6 = 0x86DD
ETHERTYPE_VLAN = 0x8100  # IEEE 802.1Q
ETHERTYPE_QINQ = 0x88A8  # IEEE 802.1ad
ETHERTYPE_QINQ_OLD = 0x9100  # QinQ before 802.1ad
ETHERTYPE_MPLS = 0x8847
ETHERTYPE_MPLS_UPSTREAM = 0x8848
ETHERTYPE_PPPOE = 0x8864  # RFC 2516, session stage
ETHERTYPE_PBB = 0x88E7  # IEEE 802.1ah, provider backbone bridges
ETHERTYPE_ETHERNET = 0x6558  # transparent Ethernet bridging, RFC 1701
SMALLEST_ETHERTYPE = 0x0600  # below: an IEEE 802.3 length

NOT_IP = -1
CUT = -2
UNKNOWN = -3
ENCIPHERED = -4
BAD = -5

# A frame whose link layer `rarelink` has already followed: this plus the EtherType it found, or minus its verdict.
STRIPPED = 1 << 20

MOST_TAGS = 16  # VLAN, MPLS and PPPoE headers in a row; more is an attack on the parser


@part
def by_version(data, at, stop):  # type: ignore[no-untyped-def]
    """Raw IP: the version nibble tells IPv4 from IPv6."""
    if at >= stop:
        return CUT, at
    version = data[at] >> 4
    if version == 4:
        return ETHERTYPE_IPV4, at
    if version == 6:
        return ETHERTYPE_IPV6, at
    return NOT_IP, at


@part
def llc(data, at, stop):  # type: ignore[no-untyped-def]
    """IEEE 802.2 LLC, with SNAP (RFC 1042) or IP's own SAP (RFC 948)."""
    if at + 3 > stop:
        return CUT, at
    if data[at] == 0xAA and data[at + 1] == 0xAA and data[at + 2] == 3:
        if at + 8 > stop:
            return CUT, at
        return be16(data, at + 6), at + 8
    if data[at] == 6 and data[at + 1] == 6:
        return ETHERTYPE_IPV4, at + 3
    return NOT_IP, at


@part
def _ethernet(data, at, stop):  # type: ignore[no-untyped-def]
    if at + 14 > stop:
        return CUT, at
    ethertype = be16(data, at + 12)
    if ethertype < SMALLEST_ETHERTYPE:
        return llc(data, at + 14, stop)
    return ethertype, at + 14


@part
def ppp(data, at, stop):  # type: ignore[no-untyped-def]
    """RFC 1661, with or without address and control, protocol field of one or two bytes."""
    if at + 2 <= stop and data[at] == 0xFF and data[at + 1] == 3:
        at += 2
    if at + 2 > stop:
        return CUT, at
    if data[at] & 1:
        protocol, at = data[at] + 0, at + 1
    else:
        protocol, at = be16(data, at), at + 2
    if protocol == 0x0021:
        return ETHERTYPE_IPV4, at
    if protocol == 0x0057:
        return ETHERTYPE_IPV6, at
    if protocol == 0x0281:
        return ETHERTYPE_MPLS, at
    return NOT_IP, at


@part
def address_family(family, at):  # type: ignore[no-untyped-def]
    """AF_INET is 2 everywhere; AF_INET6 is 10 (Linux), 24 (NetBSD, OpenBSD), 28 (FreeBSD) or 30 (Darwin)."""
    if family == 2:
        return ETHERTYPE_IPV4, at
    if family == 10 or family == 24 or family == 28 or family == 30:
        return ETHERTYPE_IPV6, at
    return NOT_IP, at


@part
def _loopback(data, at, stop):  # type: ignore[no-untyped-def]
    """NULL is in the byte order of the machine that captured, LOOP in network order; families are small either way."""
    if at + 4 > stop:
        return CUT, at
    family = le32(data, at)
    if family > 0xFFFF:
        family = be32(data, at)
    return address_family(family, at + 4)


@part
def _sll_protocol(data, at, stop, protocol):  # type: ignore[no-untyped-def]
    if protocol == 4:  # LINUX_SLL_P_802_2
        return llc(data, at, stop)
    if protocol < SMALLEST_ETHERTYPE:
        return NOT_IP, at
    return protocol, at


@part
def _sll(data, at, stop):  # type: ignore[no-untyped-def]
    if at + 16 > stop:
        return CUT, at
    return _sll_protocol(data, at + 16, stop, be16(data, at + 14))


@part
def _sll2(data, at, stop):  # type: ignore[no-untyped-def]
    if at + 20 > stop:
        return CUT, at
    return _sll_protocol(data, at + 20, stop, be16(data, at))


@part
def _mpls(data, at, stop):  # type: ignore[no-untyped-def]
    """RFC 3032 label stack; below it IP, or an Ethernet pseudowire behind a control word (RFC 4448)."""
    labels, bottom = 0, 0
    while labels < MOST_TAGS:
        if at + 4 > stop:
            return CUT, at
        labels += 1
        bottom = data[at + 2] & 1
        at += 4
        if bottom:
            break
    if not bottom:
        return BAD, at
    if at >= stop:
        return CUT, at
    if data[at] >> 4 == 0:
        return ETHERTYPE_ETHERNET, at + 4
    return by_version(data, at, stop)


@part
def _pppoe(data, at, stop):  # type: ignore[no-untyped-def]
    if at + 8 > stop:
        return CUT, at
    if data[at + 1]:
        return NOT_IP, at  # a discovery code, not session data
    return ppp(data, at + 6, stop)


@part
def untag(data, ethertype, at, stop):  # type: ignore[no-untyped-def]
    """Follow VLAN tags, PPPoE, MPLS and bridged Ethernet until something else: (EtherType or verdict, offset)."""
    tags = 0
    while ethertype != ETHERTYPE_IPV4 and ethertype != ETHERTYPE_IPV6 and ethertype >= 0:
        if tags == MOST_TAGS:
            return BAD, at
        tags += 1
        if ethertype == ETHERTYPE_VLAN or ethertype == ETHERTYPE_QINQ or ethertype == ETHERTYPE_QINQ_OLD:
            if at + 4 > stop:
                return CUT, at
            ethertype, at = be16(data, at + 2), at + 4
            if ethertype < SMALLEST_ETHERTYPE:
                ethertype, at = llc(data, at, stop)
        elif ethertype == ETHERTYPE_MPLS or ethertype == ETHERTYPE_MPLS_UPSTREAM:
            ethertype, at = _mpls(data, at, stop)
        elif ethertype == ETHERTYPE_PPPOE:
            ethertype, at = _pppoe(data, at, stop)
        elif ethertype == ETHERTYPE_ETHERNET:
            ethertype, at = _ethernet(data, at, stop)
        elif ethertype == ETHERTYPE_PBB:  # the service tag, then the customer's whole frame
            ethertype, at = _ethernet(data, at + 4, stop)
        else:
            return NOT_IP, at
    return ethertype, at


@part
def _framed(data, at, stop, link):  # type: ignore[no-untyped-def]
    """One link-layer header other than Ethernet's."""
    if (
        link == LINKTYPE_RAW
        or link == LINKTYPE_RAW_BSD
        or link == LINKTYPE_RAW_OPENBSD
        or link == LINKTYPE_IPV4
        or link == LINKTYPE_IPV6
    ):
        return by_version(data, at, stop)
    if link == LINKTYPE_LINUX_SLL:
        return _sll(data, at, stop)
    if link == LINKTYPE_LINUX_SLL2:
        return _sll2(data, at, stop)
    if link == LINKTYPE_NULL or link == LINKTYPE_LOOP:
        return _loopback(data, at, stop)
    if link == LINKTYPE_PPP:
        return ppp(data, at, stop)
    if link == LINKTYPE_PPP_ETHER:
        return ETHERTYPE_PPPOE, at
    if link >= STRIPPED - 16:
        return link - STRIPPED, at
    return UNKNOWN, at


@part
def network_header(data, at, stop, link):  # type: ignore[no-untyped-def]
    """From the start of a captured frame to its network header: (ETHERTYPE_IPV4 or _IPV6 or a verdict, offset)."""
    if link == LINKTYPE_ETHERNET:
        ethertype, at = _ethernet(data, at, stop)
    else:
        ethertype, at = _framed(data, at, stop, link)
    return untag(data, ethertype, at, stop)
