"""What a person asks of a live capture: where to capture, how much of each packet, and when to stop."""

from collections.abc import Sequence
from dataclasses import dataclass

from peerburst.capture.errors import SettingsError

# Headers only: the outermost Ethernet and IPv6 header, UDP and VXLAN (70 bytes) around Ethernet, two VLAN tags, IPv6
# and the longest TCP header (122). Hardly any content is kept, which is quicker, smaller and kinder to privacy; lengths
# are those of the IP headers, so nothing that is counted changes.
HEADERS_ONLY = 192
LARGEST_SNAPLEN = 262_144  # libpcap's MAXIMUM_SNAPLEN
BUFFER_MIB = 16  # a second of 100 Mbit/s, with dumpcap's own pipe behind it; dumpcap's default of 2 is short of that
LARGEST_BUFFER_MIB = 2047

KILOBYTE = 1000  # as dumpcap counts a file's size


@dataclass(frozen=True, slots=True)
class CaptureOptions:
    """How to capture. `snaplen`: bytes kept of each packet, 0 for all; `bpf`: a libpcap filter, empty for none."""

    interfaces: tuple[str, ...]
    bpf: str = ""
    snaplen: int = HEADERS_ONLY
    promiscuous: bool = False
    buffer_mib: int = BUFFER_MIB

    def __post_init__(self) -> None:
        if not self.interfaces:
            raise SettingsError("no interface was named; `peerburst live -D` lists them")
        for name in self.interfaces:
            if not name or name.startswith("-"):
                raise SettingsError(f"{name!r} is no interface; `peerburst live -D` lists them")
        if len(set(self.interfaces)) < len(self.interfaces):
            raise SettingsError("an interface was named twice; name each once")
        if not 0 <= self.snaplen <= LARGEST_SNAPLEN:
            raise SettingsError(f"a snapshot length of {self.snaplen} is not between 0 (all) and {LARGEST_SNAPLEN}")
        if not 1 <= self.buffer_mib <= LARGEST_BUFFER_MIB:
            raise SettingsError(f"a buffer of {self.buffer_mib} MiB is not between 1 and {LARGEST_BUFFER_MIB}")

    @property
    def bytes_per_packet(self) -> int:
        """The snapshot length as libpcap takes it, where 0 is not all."""
        return self.snaplen or LARGEST_SNAPLEN


@dataclass(frozen=True, slots=True)
class StopConditions:
    """When a live capture ends by itself; None for never. `kept_bytes` are of all files kept."""

    duration_s: float | None = None
    packets: int | None = None
    kept_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Rotation:
    """When the kept file is changed for a new one, and how many are left (None: all); `file_bytes` None: never."""

    file_bytes: int | None = None
    files: int | None = None


def parse_stops(texts: Sequence[str]) -> StopConditions:
    """`-a` as tshark takes it: duration:SECONDS, packets:NUMBER, filesize:KB (1000 bytes)."""
    values = _parse("-a", texts, ("duration", "packets", "filesize"))
    packets, kilobytes = values.get("packets"), values.get("filesize")
    return StopConditions(
        duration_s=values.get("duration"),
        packets=None if packets is None else int(packets),
        kept_bytes=None if kilobytes is None else int(kilobytes * KILOBYTE),
    )


def parse_rotation(texts: Sequence[str]) -> Rotation:
    """`-b` as tshark takes it: filesize:KB (1000 bytes), files:NUMBER."""
    values = _parse("-b", texts, ("filesize", "files"))
    if "files" in values and "filesize" not in values:
        raise SettingsError("-b files says how many to keep, not when to change: add -b filesize:KB")
    kilobytes, files = values.get("filesize"), values.get("files")
    return Rotation(
        file_bytes=None if kilobytes is None else int(kilobytes * KILOBYTE), files=None if files is None else int(files)
    )


def _parse(letter: str, texts: Sequence[str], known: tuple[str, ...]) -> dict[str, float]:
    values: dict[str, float] = {}
    for text in texts:
        word, colon, number = text.partition(":")
        if word not in known or not colon:
            raise SettingsError(f"{letter} {text}: write one of {', '.join(f'{name}:NUMBER' for name in known)}")
        try:
            value = float(number) if word == "duration" else int(number)
        except ValueError:
            raise SettingsError(f"{letter} {text}: {number!r} is not a number") from None
        if not 0 < value < float("inf"):
            raise SettingsError(f"{letter} {text}: the number must be above 0")
        if word in values:
            raise SettingsError(f"{letter} {word} was given twice; give it once")
        values[word] = value
    return values
