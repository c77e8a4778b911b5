"""Traces for measuring: millions of packets of many flows, written by whole arrays, the same for the same seed.

python bench/traces.py 1M-50k FILE
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

CHUNK = 1 << 18  # packets made at a time
START_NS = 1_700_000_000_000_000_000


@dataclass(frozen=True, slots=True)
class Trace:
    """What a trace is like. `ipv6` and `udp` are shares of the flows; `snaplen` bytes of each packet are kept."""

    packets: int
    flows: int
    seconds: float = 60.0
    ipv6: float = 0.0
    udp: float = 0.3
    vlan: bool = False
    snaplen: int = 96
    pcapng: bool = False
    flood: bool = False  # every flow is one SYN
    seed: int = 1


TRACES = {
    "1M-50k": Trace(1_000_000, 50_000),
    "10M-500k": Trace(10_000_000, 500_000, seconds=600.0),
    "100M-500k": Trace(100_000_000, 500_000, seconds=600.0),
    "100M-500k-slow": Trace(100_000_000, 500_000, seconds=6000.0),  # its flows fall silent ten times as often
    "synflood-5M": Trace(5_000_000, 5_000_000, udp=0.0, flood=True),
}
TRACES |= {
    f"{name}-{what}": replace(trace, **change)  # type: ignore[arg-type]
    for name, trace in list(TRACES.items())[:2]
    for what, change in (
        ("ipv6", {"ipv6": 0.3}),
        ("vlan", {"vlan": True}),
        ("full", {"snaplen": 65535}),
        ("pcapng", {"pcapng": True}),
    )
}

LENGTHS = np.array([40, 52, 60, 200, 576, 1300, 1500])
LENGTH_SHARES = np.array([0.15, 0.3, 0.1, 0.1, 0.1, 0.05, 0.2])


def _big_endian(values: npt.NDArray[np.integer], data: int) -> npt.NDArray[np.uint8]:
    """Values (n) as n rows of `bytes` bytes, most significant first."""
    shifts = np.arange(data - 1, -1, -1) * 8
    return (values.astype(np.int64)[:, None] >> shifts & 0xFF).astype(np.uint8)


def _headers(
    trace: Trace, flow: npt.NDArray[np.int64], first: npt.NDArray[np.bool_], seed: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """(frames cut to 96 bytes, their lengths on the wire) of one packet of each flow given."""
    rng = np.random.default_rng((trace.seed, seed))
    n = flow.size
    mixed = (flow * 2654435761) & 0xFFFFFFFF  # a bijection of 32 bits: the same flow has the same ends
    is_six = (mixed % 1000) < trace.ipv6 * 1000
    is_udp = ((mixed >> 10) % 1000) < trace.udp * 1000
    back = rng.random(n) < 0.5 if not trace.flood else np.zeros(n, np.bool_)
    back &= ~first
    length = rng.choice(LENGTHS, n, p=LENGTH_SHARES) if not trace.flood else np.full(n, 40)
    length = np.where(is_six, np.maximum(length, 60), length)
    link = 18 if trace.vlan else 14
    frames = np.zeros((n, 96), np.uint8)
    frames[:, 0:12] = np.arange(12)
    if trace.vlan:
        frames[:, 12:16] = (0x81, 0x00, 0x00, 0x64)
    frames[:, link - 2 : link] = np.where(is_six[:, None], (0x86, 0xDD), (0x08, 0x00))
    inside, outside = 0x0A000000 | (mixed >> 20), 0x50000000 | (mixed & 0x0FFFFFFF)
    port, server = 1024 + flow % 60000, np.where(is_udp, 20000 + mixed % 30000, 443)
    ends = (np.where(back, outside, inside), np.where(back, inside, outside))
    ports = (np.where(back, server, port), np.where(back, port, server))
    four, six = np.flatnonzero(~is_six), np.flatnonzero(is_six)
    protocol = np.where(is_udp, 17, 6)
    frames[four, link] = 0x45
    frames[four, link + 2 : link + 4] = _big_endian(length[four], 2)
    frames[four, link + 8] = 64
    frames[four, link + 9] = protocol[four]
    frames[six, link] = 0x60
    frames[six, link + 4 : link + 6] = _big_endian(length[six] - 40, 2)
    frames[six, link + 6] = protocol[six]
    for which, (v4_at, v6_at) in enumerate(((12, 8), (16, 24))):
        frames[four, link + v4_at : link + v4_at + 4] = _big_endian(ends[which][four], 4)
        frames[six, link + v6_at : link + v6_at + 2] = (0x20, 0x01)
        frames[six, link + v6_at + 12 : link + v6_at + 16] = _big_endian(ends[which][six], 4)
    flags = np.where(first, 2, 16)
    for rows, transport in ((four, link + 20), (six, link + 40)):
        frames[rows, transport : transport + 2] = _big_endian(ports[0][rows], 2)
        frames[rows, transport + 2 : transport + 4] = _big_endian(ports[1][rows], 2)
        tcp, udp = rows[~is_udp[rows]], rows[is_udp[rows]]
        frames[tcp, transport + 12] = 0x50
        frames[tcp, transport + 13] = flags[tcp]
        frames[tcp, transport + 14 : transport + 16] = (0xFF, 0xFF)
        frames[udp, transport + 4 : transport + 6] = _big_endian(length[udp] - (transport - link), 2)
    return frames, length + link


def _chunks(trace: Trace) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8], npt.NDArray[np.int64]]]:
    """(instants, frames, wire lengths), CHUNK packets at a time. The flows begin one after the other, evenly."""
    rng = np.random.default_rng(trace.seed)
    step_ns = trace.seconds * 1e9 / trace.packets
    alive = max(1, trace.flows // 10)
    for number, start in enumerate(range(0, trace.packets, CHUNK)):
        position = np.arange(start, min(start + CHUNK, trace.packets), dtype=np.int64)
        newest = position * trace.flows // trace.packets
        first = np.diff(newest, prepend=(start - 1) * trace.flows // trace.packets if start else -1) > 0
        older = newest - rng.integers(0, alive, position.size)
        flow = np.where(first, newest, np.maximum(older, 0))
        frames, wire = _headers(trace, flow, first, number)
        yield START_NS + (position * step_ns).astype(np.int64), frames, wire


def _records(
    trace: Trace, instants: npt.NDArray[np.int64], frames: npt.NDArray[np.uint8], wire: npt.NDArray[np.int64]
) -> bytes:
    """The packets as records of the file, one after the other."""
    held = np.minimum(wire, trace.snaplen)
    head, tail = (28, 4) if trace.pcapng else (16, 0)
    padded = (held + 3) & ~3 if trace.pcapng else held
    sizes = head + padded + tail
    starts = np.concatenate([[0], np.cumsum(sizes)])
    out = np.zeros(int(starts[-1]), np.uint8)
    words = np.zeros((frames.shape[0], head // 4), "<u4")
    if trace.pcapng:
        micro = instants // 1000
        words[:] = np.stack(
            [np.full_like(held, 6), sizes, held * 0, micro >> 32, micro & 0xFFFFFFFF, held, wire], axis=1
        )
    else:
        words[:] = np.stack([instants // 1_000_000_000, instants % 1_000_000_000 // 1000, held, wire], axis=1)
    data = words.view(np.uint8)
    at = starts[:-1]
    out[(at[:, None] + np.arange(head)).ravel()] = data.ravel()
    kept = np.minimum(held, frames.shape[1])
    for size in np.unique(kept):
        rows = np.flatnonzero(kept == size)
        out[(at[rows, None] + head + np.arange(size)).ravel()] = frames[rows, :size].ravel()
    if trace.pcapng:
        out[(starts[1:, None] - 4 + np.arange(4)).ravel()] = sizes.astype("<u4").view(np.uint8)
    return out.tobytes()


def _file_header(trace: Trace) -> bytes:
    if not trace.pcapng:
        return np.array([0xA1B2C3D4, 0x00040002, 0, 0, max(trace.snaplen, 96), 1], "<u4").tobytes()
    section = np.array([0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0xFFFFFFFF, 0xFFFFFFFF, 28], "<u4")
    interface = np.array([1, 20, 1, max(trace.snaplen, 96), 20], "<u4")
    return section.tobytes() + interface.tobytes()


def write(trace: Trace, out: BinaryIO) -> None:
    """Write the trace as a capture file."""
    out.write(_file_header(trace))
    for instants, frames, wire in _chunks(trace):
        out.write(_records(trace, instants, frames, wire))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace", choices=sorted(TRACES))
    parser.add_argument("file", help="- is standard output")
    asked = parser.parse_args()
    if asked.file == "-":
        write(TRACES[asked.trace], sys.stdout.buffer)
    else:
        with open(asked.file, "wb") as out:
            write(TRACES[asked.trace], out)


if __name__ == "__main__":
    main()
