"""Real captures as one long one: their Ethernet frames, over and over, each round later than the one before.

python bench/repeated.py PACKETS OUT CAPTURE...
"""

import struct
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from peerburst.capture.files.source import PacketSource

ETHERNET = 1
RECORD = 16


def _frames(path: str) -> Iterator[tuple[int, bytes, int]]:
    """(ns, bytes, wire length) of each Ethernet frame, as the reader itself finds them."""
    for piece in PacketSource(path).pieces():
        for ts, start, stop, wire, link in piece.frames.tolist():
            if link == ETHERNET:
                yield ts, piece.data[start:stop].tobytes(), wire


def _one_round(paths: Sequence[str]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], int]:
    """(all frames as pcap records one after another, where each begins, seconds they span)."""
    records, at, starts, clock = [], 0, [], 0
    for path in paths:
        frames = list(_frames(path))
        if not frames:
            continue
        first = min(ts for ts, _bytes, _wire in frames)
        for ts, data, wire in frames:
            seconds, rest = divmod(ts - first, 10**9)
            records.append(struct.pack("<IIII", clock + seconds, rest // 1000, len(data), wire) + data)
            starts.append(at)
            at += RECORD + len(data)
        clock += int((max(ts for ts, _bytes, _wire in frames) - first) // 10**9) + 1
    return np.frombuffer(b"".join(records), np.uint8).copy(), np.array(starts, np.int64), clock


def write(packets: int, out: str, paths: Sequence[str]) -> None:
    """At least this many packets, in whole rounds."""
    data, starts, span = _one_round(paths)
    seconds = data[starts[:, None] + np.arange(4)].copy().view("<u4").ravel()
    with Path(out).open("wb") as file:
        file.write(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, ETHERNET))
        for number in range(-(-packets // starts.size)):
            later = (seconds + number * span).astype("<u4")
            data[starts[:, None] + np.arange(4)] = later[:, None].view(np.uint8)
            file.write(data.tobytes())


if __name__ == "__main__":
    write(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
