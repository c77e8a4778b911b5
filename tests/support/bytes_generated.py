"""Hypothesis strategies: frames of every link type with every header, whole, cut and damaged; and packets of flows."""

from dataclasses import replace

from hypothesis import strategies as st

from peerburst.capture.packets.status import Status
from tests.support.packets_by_hand import (
    ASTRAY,
    WINDOWS,
    Numbering,
    ethernet,
    extension,
    fragment,
    icmp,
    ipv4,
    ipv6,
    mpls,
    pppoe,
    tcp,
    udp,
    vlan,
)
from tests.support.reference import (
    GRE,
    HAS_OPTIONS,
    HAS_SCALE,
    LINKS,
    MAY_SACK,
    PKTAP,
    PPI,
    SECOND,
    SYN,
    Frame,
    Packet,
    is_query,
)

LINK_TYPES = [*LINKS, PPI, PKTAP, 147]
PORTS = st.sampled_from([53, 80, 2152, 3544, 4789, 6081, 8472, 40000, 40001])
SHORT = st.binary(max_size=24)

# Filler, end, MSS, window scale (of 15 as well, more than there may be), SACK permitted, SACK blocks with edges around
# 200 and past 2^32, timestamps with their two fillers, lengths that are too small or too large.
TCP_OPTIONS = [
    bytes.fromhex(data)
    for data in (
        "01", "00", "020405b4", "030307", "03030f", "030407ff", "0402", "040300", "0502", "050a0000012c00000190",
        "05120000012c00000190000000010000012d", "050afffffff000000002", "0101080a0000000100000002", "0501", "03",
        "fe28",
    )
]  # fmt: skip

# What stands before an IPv4 packet on each link type; the IPv6 form follows where it differs.
IPV4_FRAMING: dict[int, bytes] = {
    0: b"\x02\0\0\0",
    1: bytes(12) + b"\x08\0",
    9: b"\xff\x03\0\x21",
    10: b"\x50" + bytes(12) + b"\xaa\xaa\x03\0\0\0\x08\0",
    50: b"\xff\x03\0\x21",
    51: b"\x11\0\0\1\0\x40\0\x21",
    104: b"\x0f\0\x08\0",
    105: b"\x08\x02" + bytes(22) + b"\xaa\xaa\x03\0\0\0\x08\0",
    107: b"\x18\x61\x03\xcc",
    108: b"\0\0\0\x02",
    113: bytes(14) + b"\x08\0",
    127: b"\0\0\x09\0\2\0\0\0\x10" + b"\x88\x01" + bytes(24) + b"\xaa\xaa\x03\0\0\0\x08\0",
    129: b"\1\2\0\0\xf0",
    192: b"\0\0\x08\0\x01\0\0\0" + bytes(12) + b"\x08\0",
    226: b"\1\x02" + bytes(22),
    239: b"\x02\0\0\0\6\0\1\0ab\0\0\x20\0\x09\0",
    258: b"\x0c\0\0\0\1\0\0\0\x65\0\0\0",
    276: b"\x08\0" + bytes(18),
}


@st.composite
def transports(draw: st.DrawFn) -> tuple[int, bytes]:
    """(protocol, transport header and data)."""
    kind = draw(st.sampled_from(["tcp", "udp", "icmp", "icmpv6", "gre", "raw"]))
    if kind == "tcp":
        options = b"".join(draw(st.lists(st.sampled_from(TCP_OPTIONS), max_size=4)))[:40]
        options += bytes(-len(options) % 4)
        ack = draw(st.sampled_from([200, 2**32 - 5]))
        return 6, tcp(draw(PORTS), draw(PORTS), draw(st.integers(0, 255)), draw(SHORT), options, ack=ack)
    if kind == "udp":
        return 17, udp(draw(PORTS), draw(PORTS), draw(st.one_of(SHORT, tunnelled())))
    if kind == "gre":
        return GRE, draw(st.sampled_from([b"\0\0\x08\0", b"\x20\0\x86\xdd\0\0\0\1", b"\x10\0\x88\xbe\0\0\0\1"])) + draw(
            SHORT
        )
    if kind == "raw":
        return draw(st.sampled_from([4, 41, 33, 132, 136, 59, 99])), draw(SHORT)
    message = draw(st.sampled_from([0, 3, 8, 11, 13, 18, 128, 129, 135]))
    return (1 if kind == "icmp" else 58), icmp(message, draw(st.integers(0, 3)), data=draw(SHORT))


@st.composite
def tunnelled(draw: st.DrawFn) -> bytes:
    """What may stand in a UDP tunnel: VXLAN, Geneve, GTP-U and Teredo headers, then a packet."""
    inner = ipv4(udp(draw(PORTS), draw(PORTS), draw(SHORT)), 17, "192.168.7.1", "192.168.7.2")
    return draw(
        st.sampled_from(
            [
                b"\x08\0\0\0\0\0\1\0" + ethernet(inner),
                b"\1\0\x65\x58\0\0\1\0\0\0\0\0" + ethernet(inner),
                b"\0\0\x08\0\0\0\1\0" + inner,
                b"\x30\xff\0\x20\0\0\0\1" + inner,
                b"\x34\xff\0\x20\0\0\0\1\0\0\0\x85\1\0\0\0" + inner,
                b"\0\1\0\0" + bytes(9) + b"\0\0" + bytes(6) + ipv6(udp(1, 2), 17),
            ]
        )
    )


@st.composite
def ip_packets(draw: st.DrawFn) -> tuple[int, bytes]:
    """(EtherType, packet)."""
    protocol, inner = draw(transports())
    length = draw(st.sampled_from([None, None, None, 0, 19, 30, 1500]))
    if draw(st.booleans()):
        options = bytes(4 * draw(st.sampled_from([0, 0, 1, 10])))
        piece = draw(st.sampled_from([0, 0, 0, 0x2000, 0x4000, 0x2001, 7]))
        return 0x0800, ipv4(inner, protocol, options=options, fragment=piece, length=length)
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from([0, 43, 60, 135, 51, 44]))
        if kind == 44:
            inner = fragment(protocol, inner, 8 * draw(st.integers(0, 2)), draw(st.integers(0, 1)))
        elif kind == 51:
            inner = bytes([protocol, 1]) + bytes(10) + inner
        else:
            inner = extension(protocol, inner, 8 * draw(st.integers(1, 2)))
        protocol = kind
    return 0x86DD, ipv6(inner, protocol, length=length)


@st.composite
def tagged(draw: st.DrawFn) -> tuple[int, bytes]:
    """(EtherType, packet behind some VLAN, MPLS and PPPoE headers)."""
    ethertype, packet = draw(ip_packets())
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 2, 15, 16, 17]))):
        kind = draw(st.sampled_from(["vlan", "qinq", "mpls", "pppoe", "backbone"]))
        if kind in ("vlan", "qinq"):
            ethertype, packet = (0x8100 if kind == "vlan" else 0x88A8), vlan(packet, ethertype)
        elif kind == "mpls":
            ethertype, packet = 0x8847, mpls(packet, draw(st.sampled_from([1, 2, 16, 17])))
        elif kind == "backbone":
            ethertype, packet = 0x88E7, bytes(4) + ethernet(packet, ethertype)
        else:
            ethertype, packet = 0x8864, pppoe(packet, draw(st.sampled_from([0x21, 0x57, 0x281, 0xC021])))
    return ethertype, packet


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    """A frame of any link type; now and then cut, damaged, or of a length that the capture misstates."""
    link = draw(st.sampled_from(LINK_TYPES))
    ethertype, packet = draw(tagged())
    framing = IPV4_FRAMING.get(link, b"")
    if framing.endswith(b"\x08\0"):
        framing = framing[:-2] + ethertype.to_bytes(2, "big")
    data = bytearray(framing + packet + bytes(draw(st.sampled_from([0, 0, 6]))))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 3]))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    wire = len(data) + draw(st.sampled_from([0, 0, 0, 40, 3000, -10]))
    kept = draw(st.one_of(st.just(len(data)), st.integers(0, len(data))))
    return Frame(draw(st.integers(0, 2**61)), bytes(data[:kept]), max(0, wire), link)


def random_frames() -> st.SearchStrategy[Frame]:
    """Any bytes at all, on any link type."""
    return st.builds(
        Frame,
        st.just(0),
        st.binary(max_size=120),
        st.integers(0, 2**32 - 1),
        st.one_of(st.sampled_from(LINK_TYPES), st.integers(0, 65535)),
    )


# Gaps on either side of every timeout and of the two seconds of UDP's streams, and backwards.
GAPS_S = [0, 0.000001, 0.5, 1.9, 2.1, 4.9, 5, 5.1, 9.9, 10, 29, 30, 31, 60, 100, 120, 121, 300, 601, 432_001]
BACK_S = [-0.001, -3, -500]
GAPS_NS = [int(seconds * SECOND) for seconds in GAPS_S + BACK_S]
TCP_FLAGS = [2, 2, 2, 18, 18, 16, 16, 16, 24, 24, 17, 17, 4, 20, 20, 0, 41, 1, 3, 6, 0xC2, 48]
HANDSHAKE = [((1, 40000), (2, 80), 2), ((2, 80), (1, 40000), 18), ((1, 40000), (2, 80), 16)]
SYN_OPTIONS = [
    0,
    HAS_OPTIONS,
    HAS_OPTIONS + MAY_SACK,
    HAS_OPTIONS + HAS_SCALE + 7,
    HAS_OPTIONS + MAY_SACK + HAS_SCALE + 14,
]


@st.composite
def conversations(draw: st.DrawFn) -> list[Packet]:
    """Packets among few ends, so that flows meet: replies, port reuse, simultaneous opens, refusals, expiries.

    TCP's numbers are in step but for some, or all, of which some pass 2^32.
    """
    ends = draw(st.sampled_from([[(1, 40000), (2, 80), (2, 40001), (3, 53)], [(1, 40000), (2, 80)]]))
    protocols = draw(st.sampled_from([[6, 6, 6, 17, 17, 1, 58, 132, 136, 47], [6]]))
    gaps = draw(st.sampled_from([GAPS_NS, [SECOND // 2, SECOND]]))
    astray = draw(st.sampled_from([ASTRAY, (0,)]))
    numbers = Numbering(draw(st.sampled_from([0, 2**32 - 1_000_003])))
    opening = draw(st.sampled_from([[], HANDSHAKE])) if protocols == [6] else []
    now = 10**18
    made = []
    for i in range(draw(st.integers(1, 40))):
        now += draw(st.sampled_from(gaps))
        (src, sport), (dst, dport) = draw(st.sampled_from(ends)), draw(st.sampled_from(ends))
        proto = draw(st.sampled_from(protocols))
        flags = seq = ack = sack = options = 0
        payload = draw(st.sampled_from([0, 0, 11]))
        if proto == 6:
            flags = draw(st.sampled_from(TCP_FLAGS))
            if i < len(opening):
                (src, sport), (dst, dport), flags = opening[i]
            seq, ack = numbers.of((src, sport), (dst, dport), flags, payload)
            seq = (seq + draw(st.sampled_from(astray))) % 2**32
            ack = (ack + draw(st.sampled_from(astray))) % 2**32
            sack = (ack + draw(st.sampled_from([0, 0, 0, 11, 600]))) % 2**32
            options = draw(st.sampled_from(SYN_OPTIONS)) if flags & SYN else 0
        elif proto not in (17, 136, 132):
            sport = dport = 0
        message = Packet(proto=proto)
        if proto in (1, 58):
            message = replace(
                message, icmp_type=draw(st.sampled_from([0, 3, 8, 13, 128, 129])), icmp_code=draw(st.integers(0, 1))
            )
            if is_query(message):
                message = replace(message, icmp_id=draw(st.sampled_from([0, 77])))
        made.append(
            replace(
                message,
                ts=now,
                status=draw(st.sampled_from([Status.DECODED] * 9 + [Status.FRAGMENT])),
                src=src,
                dst=dst,
                sport=sport,
                dport=dport,
                flags=flags,
                seq=seq,
                ack=ack,
                window=draw(st.sampled_from(WINDOWS)) if proto == 6 else 0,
                ip_bytes=draw(st.sampled_from([40, 1500, 2**32 - 1])),
                payload=payload,
                offload=draw(st.sampled_from([False, False, True])),
                sack=sack,
                options=options,
            )
        )
    return made
