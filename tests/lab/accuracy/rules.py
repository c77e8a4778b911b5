"""The kinds of difference between peerburst and tshark, each with its reason and a test that recognises it.

A rule is tried only where the two differ; the first whose test holds names the difference. What none explains is
`other`, and `other` is a failure.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

from peerburst.capture.files.pcapng import LATEST_NS
from peerburst.capture.flows.record import UDP_OVER_NS

from .product import Reading
from .seen import FRAGMENT, HEADLESS, NO_IP, PACKET, TCP, UDP, Seen
from .tshark import Frame
from .tshark import Reading as TsharkReading

OTHER = "other"
WRAP_NS = 1 << 32
MOST_EXTENSIONS = 16
# Layers between the link and IP that peerburst does not look behind: Arista's tags, MACsec, service chaining.
ONLY_TSHARK_FOLLOWS = frozenset({"avsp", "macsec", "nsh"})
RAW_OF_ONE_VERSION = ("129", "130")  # WTAP_ENCAP_RAW_IP4 and _IP6: the link type says which IP it is
FIN, SYN, RST, ACK, URG = 1, 2, 4, 16, 32


@dataclass(frozen=True, slots=True)
class FrameRule:
    """Why one frame is seen differently."""

    name: str
    reason: str
    holds: Callable[[Seen, Frame], bool]


def _only(seen: Seen, frame: Frame, *names: str) -> bool:
    """Whether the two differ in nothing but these."""
    differ = {field.name for field in fields(Seen) if getattr(seen, field.name) != getattr(frame.seen, field.name)}
    return differ <= set(names)


def _has_ip(frame: Frame) -> bool:
    return frame.seen.kind in (PACKET, FRAGMENT) or (frame.seen.kind == HEADLESS and frame.seen.src != 0)


def _is_first_fragment(frame: Frame) -> bool:
    return frame.first("ip.flags.mf") in ("1", "True") or frame.first("ipv6.fraghdr.more") in ("1", "True")


def _is_header_incomplete(seen: Seen, frame: Frame) -> bool:
    if seen.kind not in ("truncated", "malformed"):
        return False
    header = int(frame.first("tcp.hdr_len") or 0)
    return frame.is_damaged or (frame.seen.proto == TCP and 20 + header > frame.seen.ip_bytes)


GUESSED_HEADER = "record header that tshark takes for a rare variant"
GUESSED_REASON = (
    "Where records look wrong tshark tries the headers of patched and old tcpdumps; peerburst reads the one that the "
    "file's first bytes announce, and stops with a warning at an impossible length."
)

FRAME_RULES = (
    FrameRule(GUESSED_HEADER, GUESSED_REASON, lambda _seen, frame: frame.is_elsewhere),
    FrameRule(
        "encapsulation only tshark follows",
        "Arista tags, unencrypted MACsec and network service headers are not IP to peerburst.",
        lambda seen, frame: seen.kind == NO_IP and not ONLY_TSHARK_FOLLOWS.isdisjoint(frame.layers),
    ),
    FrameRule(
        "link type only tshark follows",
        "Packets of link types that peerburst does not know are counted as such; tshark finds IP in some of them "
        "(IP over InfiniBand, netlink, Juniper, classical IP over ATM, ...).",
        lambda seen, frame: seen.kind == "unknown link type" and _has_ip(frame),
    ),
    FrameRule(
        "frame relay address of more than two bytes",
        "peerburst reads the usual two-byte address only.",
        lambda seen, frame: seen.kind == NO_IP and frame.layers[0] == "fr" and _has_ip(frame),
    ),
    FrameRule(
        "more than 16 IPv6 extension headers",
        "peerburst calls such a packet malformed; tshark follows them all.",
        lambda seen, frame: (
            seen.kind == "malformed" and sum(layer.startswith("ipv6.") for layer in frame.layers) > MOST_EXTENSIONS
        ),
    ),
    FrameRule(
        "header cut short",
        "The capture or the packet ends within a header. tshark shows the fields it had; peerburst calls the packet "
        "truncated or malformed and adds it to no flow.",
        _is_header_incomplete,
    ),
    FrameRule(
        "link type names the other IP version",
        "The link type says IPv4 or IPv6 and the packet is of the other; peerburst goes by the packet.",
        lambda seen, frame: (
            seen.kind == PACKET and not _has_ip(frame) and frame.fields["frame.encap_type"] in RAW_OF_ONE_VERSION
        ),
    ),
    FrameRule(
        "EtherType names the other IP version",
        "The EtherType says IPv4 and the packet is of version 6: malformed to peerburst, IPv6 to tshark.",
        lambda seen, frame: (
            seen.kind == "malformed" and ("ip", "ipv6") in pairwise(frame.layers) and not frame.first("ip.src")
        ),
    ),
    FrameRule(
        "IPv6 payload length 0",
        "A jumbogram, or a packet the network card was still to split: peerburst takes the frame's own length, "
        "tshark's field says 0, and it may stop there.",
        lambda seen, frame: (
            frame.first("ipv6.plen") == "0" and (seen.src, seen.dst) == (frame.seen.src, frame.seen.dst)
        ),
    ),
    FrameRule(
        "data of a first fragment",
        "Without reassembly tshark counts no TCP data in the first fragment; peerburst counts what it carries.",
        lambda seen, frame: _only(seen, frame, "payload") and _is_first_fragment(frame),
    ),
    FrameRule(
        "data beyond the frame",
        "The IP length claims more than the frame's length on the wire; tshark counts TCP data up to the frame's end.",
        lambda seen, frame: (
            _only(seen, frame, "payload") and int(frame.fields["frame.len"]) < seen.ip_bytes + _link(frame)
        ),
    ),
)  # fmt: skip


def _link(frame: Frame) -> int:
    """Bytes in front of IP of the two link layers that such packets came with."""
    return 14 if frame.layers[0] == "eth" else 0


def between(seen: Seen, frame: Frame) -> str | None:
    """By which rule a frame differs; None if neither reader made out a packet, each in its own words."""
    if seen.kind not in (PACKET, FRAGMENT) and not _has_ip(frame):
        return None
    if seen.kind in ("truncated", "malformed") and frame.seen.kind == HEADLESS:
        return None
    return next((rule.name for rule in FRAME_RULES if rule.holds(seen, frame)), OTHER)


NO_TIME = "packet without a time stamp"
FAR_FUTURE = "instant beyond the year 2116"
WRAPPED = "time stamp that overflows 32 bits"
INSTANT_REASONS = {
    NO_TIME: "pcapng's simple packets have none; peerburst gives them that of the packet before, tshark leaves it out.",
    FAR_FUTURE: "peerburst's instants end there, so that adding a timeout cannot overflow.",
    GUESSED_HEADER: GUESSED_REASON,
    WRAPPED: "Seconds from 2^31 on, or a fraction beyond a second: tshark computes in 32 bits, peerburst in 64.",
}


def _instants(text: str) -> tuple[int, ...]:
    """What `frame.time_epoch` may mean, in ns: a minus may be that of the seconds, of the fraction, or of both."""
    seconds, _, fraction = text.removeprefix("-").partition(".")
    whole, part = int(seconds) * 10**9, int(fraction or 0)
    return (-whole - part, whole - part, part - whole) if text.startswith("-") else (whole + part,)


def between_instants(ns: int, frame: Frame) -> str | None:
    """By which rule an instant differs, None if it does not."""
    if not frame.time_text:
        return NO_TIME
    theirs = _instants(frame.time_text)
    if ns == theirs[0]:
        return None
    if abs(ns) == LATEST_NS:
        return FAR_FUTURE
    if any((ns - instant) % WRAP_NS == 0 for instant in theirs):
        return WRAPPED
    # Shifted by one field of four bytes: what they call seconds is the fraction here.
    return GUESSED_HEADER if theirs[0] // 10**9 == ns % 10**9 // 1000 else OTHER


FOREIGN = "format that peerburst does not read"
PCAP_VERSION = "pcap version other than 2"
UNKNOWN_LINK = "link type that tshark does not know"
OPTION_TOO_LONG = "pcapng option longer than its block"
SECTION_VERSION = "pcapng minor version"
TRAILING_LENGTH = "pcapng block with two different lengths"
COUNT_REASONS = {
    FOREIGN: "Solaris snoop and ERF files are refused with a sentence that names editcap.",
    PCAP_VERSION: "Refused, as libpcap does; tshark reads on.",
    UNKNOWN_LINK: "tshark stops at the file header; peerburst counts the packets as of an unknown link type.",
    OPTION_TOO_LONG: "tshark stops; peerburst ignores options that it cannot follow.",
    TRAILING_LENGTH: "A block says its length at both ends; tshark stops if they differ, peerburst goes by the first.",
    SECTION_VERSION: "tshark stops at minor versions that it does not know, such as 1.1; peerburst reads any 1.x.",
}  # fmt: skip


def refusal(sentence: str) -> str | None:
    """The rule by which peerburst did not read a file at all."""
    if "is a pcap file of version" in sentence or "is a pcapng file of version" in sentence:
        return PCAP_VERSION
    return FOREIGN if "convert it with editcap" in sentence else None


def between_counts(ours: Reading, theirs: TsharkReading, count: int | None) -> str | None:
    """By which rule the numbers of packets differ; `count`: tshark's or capinfos's."""
    if len(ours.frames) == count:
        return None
    if ours.refusal is not None:
        return refusal(ours.refusal) or OTHER
    for words, rule in (
        ("unknown or unsupported", UNKNOWN_LINK),
        ("Not enough data to handle option", OPTION_TOO_LONG),
        ("total block lengths", TRAILING_LENGTH),
        ("unknown SHB version 1.", SECTION_VERSION),
    ):
        if words in theirs.complaint:
            return rule
    return GUESSED_HEADER if any("impossible length" in text for text in ours.warnings) else OTHER


INNER = "conversation inside a tunnel or an ICMP error"
SPLIT_BY_TSHARK = "a new SYN on a connection that had not closed"
SPLIT_BY_PEERBURST = "the same SYN again after a refusal or an end"
FORGOTTEN = "the same ports again after every gateway had forgotten them"
CONVERSATION_REASONS = {
    FORGOTTEN: "For tshark a UDP conversation never ends; for peerburst it does after 350 s of silence, when no "
    "gateway holds it any more.",
    INNER: "tshark opens tunnels and the headers that ICMP errors quote; peerburst does not unless asked.",
    SPLIT_BY_TSHARK: "tshark begins a conversation at every SYN with another sequence number; peerburst when the "
    "connection before it had closed, as Linux does.",
    SPLIT_BY_PEERBURST: "A SYN behind an RST or behind both FINs begins a flow, though it repeat the sequence number "
    "by which tshark goes.",
}  # fmt: skip


def between_conversations(flows: int, frames: Sequence[Frame], streams: int) -> str | None:
    """By which rule the numbers of flows and streams of one 5-tuple differ."""
    if flows == streams:
        return None
    numbers = {frame.first("tcp.seq_raw") for frame in frames if frame.seen.flags & (SYN | ACK) == SYN}
    if streams > flows and len(numbers) >= streams - 1:
        return SPLIT_BY_TSHARK
    if streams < flows <= streams + _silences(frames):
        return FORGOTTEN
    return SPLIT_BY_PEERBURST if flows > streams and _reopened(frames) >= flows - 1 else OTHER


def _silences(frames: Sequence[Frame]) -> int:
    """How often one 5-tuple of UDP was silent for longer than peerburst waits."""
    if frames[0].seen.proto != UDP:
        return 0
    times = [_instants(frame.time_text) if frame.time_text else None for frame in frames]
    return sum(
        # A simple packet block has no time: peerburst gives it that of the packet before, or 1970.
        before is None or after is None or max(after) - min(before) >= UDP_OVER_NS
        for before, after in pairwise(times)
    )


def _reopened(frames: Sequence[Frame]) -> int:
    """How many SYNs of one 5-tuple come behind an RST, or behind a FIN of each end."""
    reopened, reset = 0, False
    finished: set[tuple[int, int]] = set()
    for frame in frames:
        seen = frame.seen
        if seen.flags & (SYN | ACK | RST) == SYN and (reset or len(finished) == 2):
            reopened, reset = reopened + 1, False
            finished.clear()
        reset = reset or seen.flags & RST != 0
        if seen.flags & FIN:
            finished.add((seen.src, seen.sport))
    return reopened


ODD_FLAGS = "flags that no TCP stack sends"
DIRECTION_REASONS = {
    ODD_FLAGS: "SYN+ACK together with URG: peerburst, as Linux, takes it for no handshake and goes by the ports.",
}


def between_directions(ours: bool, theirs: bool, flags: int) -> str | None:
    """By which rule they disagree on who began a TCP flow whose first packet has these flags."""
    if ours == theirs:
        return None
    return ODD_FLAGS if flags & (SYN | ACK | URG) == SYN | ACK | URG else OTHER
