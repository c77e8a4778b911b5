"""tshark and capinfos: what they read in a capture."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from subprocess import TimeoutExpired as TimeoutExpired

from .seen import FRAGMENT, HEADLESS, ICMP, ICMPV6, NO_IP, PACKET, TCP, Seen, is_icmp_query, number

MOBILITY = 135  # IPv6 mobility header
CUT_OFF = -1  # no protocol number: the capture ends within an extension header
RECORD_HEADER = 16
ORDINARY_PCAP = (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d")
PATIENCE_S = 180.0  # per capture

# Fragments are compared as they are: without reassembly the ports are on the first fragment, where peerburst has them.
PREFERENCES = (
    "ip.defragment:FALSE",
    "ipv6.defragment:FALSE",
    "tcp.desegment_tcp_streams:FALSE",
    "ipv6.tso_support:TRUE",  # as its default is for IPv4
    "frame.show_file_off:TRUE",
)
# The transport protocols that have ports or an identifier, by tshark's names: (protocol number, prefix of its ports).
TRANSPORTS = {
    "tcp": (TCP, "tcp"),
    "udp": (17, "udp"),
    "udplite": (136, "udp"),
    "sctp": (132, "sctp"),
    "dccp": (33, "dccp"),
    "icmp": (ICMP, ""),
    "icmpv6": (ICMPV6, ""),
}
NUMBERS_WITH_HEADER = {proto for proto, _ in TRANSPORTS.values()}
# IPv6 extension headers, and where each says what follows.
EXTENSIONS = {
    "ipv6.hopopts": "ipv6.hopopts.nxt",
    "ipv6.routing": "ipv6.routing.nxt",
    "ipv6.fraghdr": "ipv6.fraghdr.nxt",
    "ipv6.dstopts": "ipv6.dstopts.nxt",
    "ah": "ah.next_header",
    "mipv6": "mip6.proto",
}
FIELDS = (
    "frame.number", "frame.encap_type", "frame.time_epoch", "frame.protocols", "frame.len",
    "_ws.malformed", "_ws.short", "frame.file_off", "eth.dst",
    "ip.src", "ip.dst", "ip.proto", "ip.len", "ip.frag_offset", "ip.flags.mf",
    "ipv6.src", "ipv6.dst", "ipv6.nxt", "ipv6.plen", "ipv6.fraghdr.offset", "ipv6.fraghdr.more",
    *EXTENSIONS.values(),
    "tcp.srcport", "tcp.dstport", "tcp.flags", "tcp.len", "tcp.seq_raw", "tcp.stream", "tcp.hdr_len",
    "udp.srcport", "udp.dstport", "udp.stream", "udp.length",
    "sctp.srcport", "sctp.dstport", "dccp.srcport", "dccp.dstport",
    "icmp.type", "icmp.code", "icmp.ident", "icmpv6.type", "icmpv6.code", "icmpv6.echo.identifier",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as tshark dissected it. `fields`: every occurrence of each of FIELDS, outermost first."""

    fields: dict[str, str]
    layers: tuple[str, ...]
    seen: Seen
    is_elsewhere: bool  # its bytes are not those behind the usual record header: tshark guessed at another header

    def all(self, name: str) -> list[str]:
        """Every occurrence of a field, outermost first."""
        value = self.fields[name]
        return value.split(",") if value else []

    def first(self, name: str) -> str:
        """The outermost occurrence, or nothing."""
        return self.fields[name].partition(",")[0]

    @property
    def time_text(self) -> str:
        return self.fields["frame.time_epoch"]

    @property
    def is_damaged(self) -> bool:
        """tshark ran out of bytes, or of sense, somewhere in the frame."""
        return bool(self.fields["_ws.malformed"] or self.fields["_ws.short"])


@dataclass(frozen=True, slots=True)
class Reading:
    """A capture as tshark read it."""

    frames: tuple[Frame, ...]
    exit_code: int
    complaint: str  # what it said on stderr


@cache
def missing() -> str | None:
    """The first of the programs needed that is not installed."""
    return next((name for name in ("tshark", "capinfos") if shutil.which(name) is None), None)


@cache
def _no_settings() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="no-wireshark-settings-")


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    # Nobody's own Wireshark settings, language or time zone.
    environment = os.environ | {"LC_ALL": "C", "TZ": "UTC", "WIRESHARK_CONFIG_DIR": _no_settings().name}
    return subprocess.run(
        arguments,
        capture_output=True,
        timeout=PATIENCE_S,
        env=environment,
        check=False,
        encoding="utf-8",
        errors="replace",
    )


def _complaint(stderr: str) -> str:
    """What stderr says about the capture."""
    return " ".join(line for line in stderr.splitlines() if line and "Running as user" not in line)


@cache
def version() -> str:
    """As `tshark --version` has it, e.g. 4.0.17."""
    return _run("tshark", "--version").stdout.split("(Wireshark) ", 1)[1].split(maxsplit=1)[0].rstrip(".")


def capinfos_count(path: Path) -> int | None:
    """How many packets capinfos counts; None if it cannot read the file."""
    table = _run("capinfos", "-c", "-T", "-M", "-r", str(path)).stdout.strip()
    count = table.rpartition("\t")[2]
    return int(count) if count.isdigit() else None


def _port_pair(first: dict[str, str], token: str) -> tuple[int, int] | None:
    """Ports as peerburst's row has them; None where tshark made out none."""
    proto, prefix = TRANSPORTS[token]
    if prefix:
        source, target = first[f"{prefix}.srcport"], first[f"{prefix}.dstport"]
        return (int(source), int(target)) if source and target else None
    kind, code = first[f"{token}.type"], first[f"{token}.code"]
    if not kind or not code:
        return None
    if is_icmp_query(proto, int(kind)):
        identifier = first["icmp.ident"] if proto == ICMP else first["icmpv6.echo.identifier"]
        return (int(identifier, 0), int(identifier, 0)) if identifier else None
    return int(kind) << 8 | int(code), 0


def _behind_ip(
    fields: dict[str, str], first: dict[str, str], layers: tuple[str, ...], at: int
) -> tuple[int, str, bool]:
    """What the outermost IP header (layers[at]) carries: (protocol number, layer, whether it is a later fragment)."""
    rest = layers[at + 1 :]
    if layers[at] == "ip":
        return int(first["ip.proto"] or 0), rest[0] if rest else "", int(first["ip.frag_offset"] or 0) != 0
    proto, met = int(first["ipv6.nxt"] or 0), dict.fromkeys(EXTENSIONS, 0)
    for layer in rest:
        if layer not in EXTENSIONS or (layer == "mipv6" and proto != MOBILITY):  # tshark has an old number for it too
            break
        values = fields[EXTENSIONS[layer]].split(",")
        proto = int(values[met[layer]] or CUT_OFF) if met[layer] < len(values) else CUT_OFF
        met[layer] += 1
    position = sum(met.values())
    later = met["ipv6.fraghdr"] > 0 and int(first["ipv6.fraghdr.offset"] or 0) != 0
    return proto, rest[position] if position < len(rest) else "", later


def _outermost(fields: dict[str, str], layers: tuple[str, ...]) -> Seen:
    at = next((i for i, layer in enumerate(layers) if layer in ("ip", "ipv6")), None)
    if at is None:
        return Seen(NO_IP)
    first = {name: value.partition(",")[0] for name, value in fields.items()}
    if layers[at : at + 2] == ("ip", "ipv6") and not first["ip.src"]:  # the link said IPv4, and it is not
        at += 1
    family = layers[at]
    if not first[f"{family}.src"] or not first[f"{family}.dst"]:
        return Seen(HEADLESS)
    src, dst = number(first[f"{family}.src"]), number(first[f"{family}.dst"])
    length = int(first["ip.len"] or 0) if family == "ip" else int(first["ipv6.plen"] or 0) + 40
    proto, layer, later = _behind_ip(fields, first, layers, at)
    if later:
        return Seen(FRAGMENT, src, dst, proto, ip_bytes=length)
    if proto == CUT_OFF:
        return Seen(HEADLESS, src, dst, ip_bytes=length)
    if proto not in NUMBERS_WITH_HEADER:
        return Seen(PACKET, src, dst, proto, ip_bytes=length)
    ports = _port_pair(first, layer) if layer in TRANSPORTS and TRANSPORTS[layer][0] == proto else None
    if ports is None:
        return Seen(HEADLESS, src, dst, proto, ip_bytes=length)
    if proto != TCP:
        return Seen(PACKET, src, dst, proto, *ports, ip_bytes=length)
    if not first["tcp.flags"]:
        return Seen(HEADLESS, src, dst, proto, ip_bytes=length)
    flags = int(first["tcp.flags"], 16) & 0xFF
    return Seen(PACKET, src, dst, proto, *ports, length, flags, int(first["tcp.len"] or 0))


def _is_elsewhere(data: bytes, fields: dict[str, str]) -> bool:
    """Whether an Ethernet frame of an ordinary, uncompressed pcap file does not start where its record says."""
    address = fields["eth.dst"].partition(",")[0].replace(":", "")
    if data[:4] not in ORDINARY_PCAP or not address:
        return False
    start = int(fields["frame.file_off"]) + RECORD_HEADER
    return data[start : start + 6].hex() != address


def _frames(table: str, data: bytes) -> Iterator[Frame]:
    """Packets only: tshark also numbers pcapng's custom and unknown blocks, which have no link layer."""
    for line in table.splitlines():
        fields = dict(zip(FIELDS, line.split("\t"), strict=True))
        if not fields["frame.encap_type"]:
            continue
        layers = tuple(fields["frame.protocols"].split(":"))
        elsewhere = layers[0] == "eth" and _is_elsewhere(data, fields)
        yield Frame(fields, layers, _outermost(fields, layers), elsewhere)


def read(path: Path) -> Reading:
    """Dissect a capture. TimeoutExpired if tshark takes longer than PATIENCE_S."""
    preferences = [word for preference in PREFERENCES for word in ("-o", preference)]
    wanted = [word for name in FIELDS for word in ("-e", name)]
    done = _run("tshark", "-n", *preferences, "-r", str(path), "-T", "fields", "-E", "occurrence=a", *wanted)
    return Reading(tuple(_frames(done.stdout, path.read_bytes())), done.returncode, _complaint(done.stderr))
