"""Recording one guest at its own interface: headers alone, whatever follows them set to zero, compressed."""

import hashlib
import signal
import struct
import time
from dataclasses import dataclass
from pathlib import Path

from peerburst.capture.files import zstd
from tests.lab.arena.namespaces import command_in
from tests.lab.arena.processes import Processes

SNAPLEN = 96  # bytes: Ethernet 14, IPv4 20, TCP with options 60
LEVEL = 19  # of zstd
FILE_HEADER, RECORD_HEADER = 24, 16  # bytes, draft-ietf-opsawg-pcap
ETHERNET = 14
TCP, UDP = 6, 17


class Recorder:
    """tcpdump at a guest's interface."""

    def __init__(self, namespace: str, processes: Processes, folder: Path) -> None:
        self.raw = folder / "guest.pcap"
        self._processes, self._log = processes, folder / "tcpdump.log"
        command = ["tcpdump", "-i", "eth0", "-n", "-s", str(SNAPLEN), "-B", "16384", "--immediate-mode"]
        # IPv4 without multicast: what is said on the LAN about itself does not cross the gateway.
        command += ["-Z", "root", "-w", str(self.raw), "ip and not net 224.0.0.0/4"]
        self._tcpdump = processes.start(command_in(namespace, command), log=self._log.name)
        for _ in range(100):
            if "listening on" in self._log.read_text():
                return
            time.sleep(0.05)
        raise RuntimeError(f"tcpdump does not start: {self._log.read_text().strip()}")

    def stop(self) -> None:
        """End the recording; RuntimeError if the kernel dropped packets."""
        time.sleep(0.3)
        self._processes.stop(self._tcpdump, signal.SIGINT)
        dropped = [line for line in self._log.read_text().splitlines() if "dropped by kernel" in line]
        if dropped and not dropped[0].startswith("0 "):
            raise RuntimeError(f"the recording has holes: {dropped[0]}")


def headers_end(frame: bytes) -> int:
    """Where the headers of an Ethernet frame with IPv4 end and the payload begins; fragments count as payload."""
    if len(frame) < ETHERNET + 20 or frame[12:14] != b"\x08\x00":
        return len(frame)
    transport = ETHERNET + (frame[ETHERNET] & 0x0F) * 4
    if struct.unpack_from("!H", frame, ETHERNET + 6)[0] & 0x1FFF:
        return transport
    protocol = frame[ETHERNET + 9]
    if protocol == TCP:
        return transport + (frame[transport + 12] >> 4) * 4 if len(frame) > transport + 12 else len(frame)
    return transport + 8 if protocol == UDP else len(frame)


def without_payload(raw: bytes) -> tuple[bytes, list[float]]:
    """A pcap file with zeros for payload; its packets' times, in seconds since the epoch."""
    out = bytearray(raw)
    at = FILE_HEADER
    times: list[float] = []
    while at + RECORD_HEADER <= len(raw):
        seconds, micros, caught, _ = struct.unpack_from("<IIII", raw, at)
        start = at + RECORD_HEADER
        if start + caught > len(raw):
            break
        times.append(seconds + micros / 1e6)
        payload = min(start + headers_end(raw[start : start + caught]), start + caught)
        out[payload : start + caught] = bytes(start + caught - payload)
        at = start + caught
    return bytes(out[:at]), times


def conversations(capture: bytes) -> int:
    """How many different pairs of address and port (and protocol) spoke in a pcap file: connections, near enough."""
    seen: set[tuple[int, frozenset[bytes]]] = set()
    at = FILE_HEADER
    while at + RECORD_HEADER <= len(capture):
        caught = struct.unpack_from("<I", capture, at + 8)[0]
        frame = capture[at + RECORD_HEADER : at + RECORD_HEADER + caught]
        at += RECORD_HEADER + caught
        if len(frame) < ETHERNET + 20:
            continue
        protocol, ports = frame[ETHERNET + 9], ETHERNET + (frame[ETHERNET] & 0x0F) * 4
        has_ports = protocol in (TCP, UDP)
        ends = [
            frame[ETHERNET + 12 + 4 * end : ETHERNET + 16 + 4 * end]
            + (frame[ports + 2 * end : ports + 2 * end + 2] if has_ports else b"")
            for end in (0, 1)
        ]
        seen.add((protocol, frozenset(ends)))
    return len(seen)


@dataclass(frozen=True, slots=True)
class Kept:
    """A recording where it belongs; the times of its first and last packet are seconds since the epoch."""

    path: Path
    packets: int
    flows: int
    first_s: float
    last_s: float
    sha256: str


def keep(raw: Path, target: Path) -> Kept:
    """Write a recording to its place, without payload and compressed."""
    masked, times = without_payload(raw.read_bytes())
    if not times:
        raise RuntimeError("the guest sent nothing")
    compressed = zstd.compress(masked, level=LEVEL)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(compressed)
    digest = hashlib.sha256(compressed).hexdigest()
    return Kept(target, len(times), conversations(masked), min(times), max(times), digest)
