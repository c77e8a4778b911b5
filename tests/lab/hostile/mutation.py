"""A mutation fuzzer of the reader, the decoding kernels, the flow table and the gateway models, compiled or not.

One execution is one file image in memory, through a reader, the decoding of every packet (tunnels followed) and the
flow table. It has two ways. `reader` takes the way of every real file, Python and kernels. `kernels` has a loop of its
own around the very same kernels, compiled too, which knows just enough of file headers to call them: many times the
images, none of the Python. Images are made from seeds by a kernel, a batch at a time, and depend on nothing but the
seeds, the number to start from and the number of the batch: whatever is found can be made again. Nothing but
`CaptureError` may be raised, and the sums must agree.
"""

import argparse
import hashlib
import io
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
from numba import njit

from peerburst.analysis.counting.entries import latest_ends_ns
from peerburst.analysis.counting.host_entries import host_entries, network_of
from peerburst.analysis.gateways import GatewayModel, Unit, shipped
from peerburst.analysis.gateways.compiled import shortest_gaps_s
from peerburst.analysis.hosts.index import HostIndex
from peerburst.analysis.hosts.locality import locate
from peerburst.capture.compiled.kernel import NUMBA_SETTINGS
from peerburst.capture.compiled.loads import read32
from peerburst.capture.errors import CaptureError
from peerburst.capture.files import source
from peerburst.capture.files.pcap import MAGICS, PcapHeader
from peerburst.capture.files.pcap import walk as walk_pcap
from peerburst.capture.files.pcapng import BYTE_ORDER_MAGIC, HEAD_BLOCK, INTERFACE_ROW, LATEST_NS, SECTION_HEADER
from peerburst.capture.files.pcapng import walk as walk_pcapng
from peerburst.capture.files.source import PacketSource
from peerburst.capture.flows.record import Flows
from peerburst.capture.flows.segments import segment_gaps_ns
from peerburst.capture.flows.table import FlowTable
from peerburst.capture.packets.decode import decode
from peerburst.capture.packets.record import FRAME, PACKET
from peerburst.capture.packets.status import Status
from peerburst.capture.packets.tunnels import follow

LONGEST_IMAGE = 2048
IMAGES = 512  # in a batch; they share a flow table
# The reader's own sizes are for real captures: with small ones its window slides and grows, and its batches fill.
WINDOW = 512
PACKETS = 16
PACKETS_AT_ONCE = 1024  # into the flow table
MODELS_EVERY = 16  # batches from one check of all gateway models to the next

Images = npt.NDArray[np.uint8]

# Numbers that sit at the edge of something, to be written over two or four bytes in either order.
EDGES = np.array(
    [
        *(0, 1, 2, 3, 4, 7, 8, 11, 12, 13, 15, 16, 19, 20, 23, 24, 27, 28, 31, 32, 33, 40, 44, 63, 64, 127, 128, 255),
        *(256, 511, 512, 513, 1024, 4095, 4096, 32767, 32768, 65535, 65536, 262144, 262145, 327680, 327684, 0x0FFFFFFC),
        *(0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFC, 0xFFFFFFFF),
        *(0x0800, 0x8100, 0x86DD, 0x8847, 0x8864, 0x88A8, 0x88E7, 0x6558, 0x880B, 0x88BE, 0x22EB, 0x2000, 0x1FFF),
        *(6, 9, 10, 50, 101, 104, 105, 107, 113, 129, 192, 226, 239, 258, 276, 2152, 3544, 4789, 6081, 5, 14),
    ],
    np.int64,
)


@njit(boundscheck=True)
def _random(state, below):  # type: ignore[no-untyped-def]
    """The next number of a xorshift64* generator, from 0 up to but not including `below`."""
    word = state[0]
    word ^= word >> np.uint64(12)
    word ^= word << np.uint64(25)
    word ^= word >> np.uint64(27)
    state[0] = word
    return np.int64(((word * np.uint64(0x2545F4914F6CDD1D)) >> np.uint64(33)) % np.uint64(below))


@njit(boundscheck=True)
def _write(image, at, size, width, value, big_endian):  # type: ignore[no-untyped-def]
    """Write a number of `width` bytes at `at`, as far as the image reaches."""
    for i in range(width):
        if at + i < size:
            shift = 8 * (width - 1 - i) if big_endian else 8 * i
            image[at + i] = (value >> shift) & 255


@njit(boundscheck=True)
def _mutate(image, size, other, other_size, state, edges):  # type: ignore[no-untyped-def]
    """One change of an image; answers its new size. `other` is another seed, to take a piece from."""
    kind = _random(state, 10)
    at = _random(state, size)
    if kind <= 1:
        image[at] ^= np.uint8(1 << _random(state, 8))
    elif kind == 2:
        image[at] = np.uint8(_random(state, 256))
    elif kind <= 5:
        value = edges[_random(state, edges.size)]
        _write(image, at, size, 4 if kind == 3 else 2, value, _random(state, 2) != 0)
    elif kind == 6:  # a length or number near to what it was
        image[at] = np.uint8((np.int64(image[at]) + _random(state, 17) - 8) & 255)
    elif kind == 7:  # cut out, or cut off
        gone = min(1 + _random(state, 64), size - at)
        if _random(state, 4) == 0:
            gone = size - at
        for i in range(at, size - gone):
            image[i] = image[i + gone]
        size -= gone
    elif kind == 8:  # double a piece
        more = min(1 + _random(state, 64), size - at, image.size - size)
        for i in range(size - 1, at - 1, -1):
            image[i + more] = image[i]
        size += more
    else:  # a piece of another seed on top, or behind the end
        taken = min(1 + _random(state, 200), other_size)
        begin = _random(state, other_size - taken + 1)
        to = size if _random(state, 4) == 0 else at
        taken = min(taken, image.size - to)
        for i in range(taken):
            image[to + i] = other[begin + i]
        size = max(size, to + taken)
    return size


@njit(boundscheck=True)
def make_images(seeds, sizes, state, edges, images, image_sizes):  # type: ignore[no-untyped-def]
    """Fill `images` (uint8, a row each) and `image_sizes` with changed seeds. `state`: uint64, one number, not 0."""
    for i in range(image_sizes.size):
        chosen = _random(state, sizes.size)
        size = sizes[chosen]
        images[i, :size] = seeds[chosen, :size]
        for _ in range(1 + _random(state, 2) * _random(state, 8)):
            if size > 0:
                other = _random(state, sizes.size)
                size = _mutate(images[i], size, seeds[other], sizes[other], state, edges)
        image_sizes[i] = size


def matrix(seeds: list[bytes]) -> tuple[Images, npt.NDArray[np.int64]]:
    """Seeds as rows of equal length, and their sizes; longer ones are cut."""
    sizes = np.array([min(len(seed), LONGEST_IMAGE) for seed in seeds], np.int64)
    rows = np.zeros((len(seeds), LONGEST_IMAGE), np.uint8)
    for row, seed, size in zip(rows, seeds, sizes, strict=True):
        row[:size] = np.frombuffer(seed, np.uint8, int(size))
    return rows, sizes


def batch_of_images(
    seeds: Images, sizes: npt.NDArray[np.int64], start: int, batch: int
) -> tuple[Images, npt.NDArray[np.int64]]:
    """The images of one batch, a row each, and their sizes."""
    state = np.array([(start * 0x9E3779B97F4A7C15 + batch * 0xBF58476D1CE4E5B9 + 1) % 2**64 or 1], np.uint64)
    images = np.zeros((IMAGES, LONGEST_IMAGE), np.uint8)
    image_sizes = np.zeros(IMAGES, np.int64)
    with np.errstate(over="ignore"):
        make_images(seeds, sizes, state, EDGES, images, image_sizes)
    return images, image_sizes


# The first word of a pcap file, little-endian, with what follows from it as `MAGICS` has it.
PCAP_HEADERS = np.array([(int.from_bytes(magic, "little"), *facts) for magic, facts in MAGICS.items()], np.int64)
MOST_ROWS = 128  # packets of one image in the way `kernels`

# Interfaces for images whose descriptions are not read: many link types, and resolutions from seconds to 2^-127.
LINKS = (1, 101, 10, 50, 104, 105, 107, 127, 129, 192, 226, 239, 258)
UNITS = (6, 9, 0, 12, 30, 127, -1, -30, -64, -94, -127, 6, 6)
INTERFACES = np.array([(link, units, 0, 0) for link, units in zip(LINKS, UNITS, strict=True)], INTERFACE_ROW)


@njit(boundscheck=True)
def _walk_pcapng(data, interfaces, frames):  # type: ignore[no-untyped-def]
    """The frames of a pcapng image, whose interfaces are taken to be `interfaces`."""
    at, count, last_ns, big_endian = np.int64(0), np.int64(0), np.int64(0), False
    while count < frames.size:
        more, at, verdict = walk_pcapng(data, at, data.size, big_endian, interfaces, last_ns, frames[count:])
        count += more
        if verdict != HEAD_BLOCK or at + 12 > data.size:
            break
        if read32(data, at, big_endian) == SECTION_HEADER:
            big_endian = read32(data, at + 8, True) == BYTE_ORDER_MAGIC
        at += max(12, read32(data, at + 4, big_endian))
    return count


@njit(boundscheck=True)
def run_kernels(images, sizes, headers, interfaces, frames, rows, spare):  # type: ignore[no-untyped-def]
    """Every image through the walking and decoding kernels; answers how many of `rows` (PACKET) they filled."""
    count = 0
    for i in range(sizes.size):
        data = images[i, : sizes[i]]
        facts = np.zeros(4, np.int64)
        for known in range(headers.shape[0]):
            if read32(data, 0, False) == headers[known, 0]:
                facts[1:] = headers[known, 1:]
                facts[0] = 1
        if facts[0]:
            link = read32(data, 20, facts[1] != 0) & 0xFFFF
            swapped = read32(data, 8, False) & 1  # as old versions have the lengths; here, by a field nobody reads
            header = PcapHeader(facts[1] != 0, facts[2], facts[3], link, np.int64(0), swapped != 0)
            found = walk_pcap(data, 24, data.size, header, frames)[0]
        else:
            found = _walk_pcapng(data, interfaces, frames)
        row = rows[count : count + found]
        decode(data, frames, found, row)
        follow(data, frames, found, row, spare)
        count += found
    return count


def read_image(image: bytes) -> npt.NDArray[np.void]:
    """All packets of a file image; none of one that is refused. Anything but CaptureError comes through."""
    with mock.patch.object(source, "open_stream", return_value=io.BytesIO(image)):
        return read_here()


def read_here() -> npt.NDArray[np.void]:
    """The packets of the image that `open_stream` answers with."""
    try:
        batches = list(PacketSource("image", follow_tunnels=True).batches())
    except CaptureError:
        return np.zeros(0, PACKET)
    if not batches:
        return np.zeros(0, PACKET)
    return batches[0] if len(batches) == 1 else np.concatenate(batches)


def check_table(table: FlowTable) -> Flows:
    """What must hold of a flow table whatever went in."""
    flows = table.flows()
    row, segments = flows.row, flows.segments
    assert table.statuses.sum() == table.packets, "statuses do not add up to packets"
    counted = int(row["a_pkts"].sum(dtype=np.uint64) + row["b_pkts"].sum(dtype=np.uint64))
    assert counted == table.statuses[Status.DECODED], "packets of flows do not add up to those decoded"
    assert (segments["start"] <= segments["last"]).all(), "a segment ends before it starts"
    assert (np.diff(flows.first_segment) > 0).all(), "a flow without a segment"
    assert flows.first_segment[-1] == segments.size, "segments of no flow"
    assert (segments["flow"] == np.repeat(np.arange(row.size), np.diff(flows.first_segment))).all(), "mixed segments"
    assert (np.abs(segments["last"]) <= LATEST_NS).all(), "a time that a timeout would take over the edge"
    return flows


def check_models(flows: Flows, models: list[GatewayModel]) -> None:
    """What must hold of the entries of every model."""
    ends = locate(flows.row, None, ())
    network = network_of(HostIndex(flows, ends), ends, include_lan=True)
    for model in models:
        held, latest = host_entries(model, flows, network), latest_ends_ns(model, flows)
        assert (held.entry["start"] < held.entry["end"]).all(), f"{model.name}: an entry ends before it starts"
        if model.unit is not Unit.MAPPING:
            assert (held.entry["end"] <= latest[held.entry["flow"]]).all(), f"{model.name}: an entry outlives its flow"
        assert (held.entry["flow"] < flows.row.size).all(), f"{model.name}: an entry of no flow"
        assert (held.of_segment < held.entry.size).all(), f"{model.name}: a segment of no entry"


@dataclass(slots=True)
class Tally:
    """What a run has done so far."""

    executions: int = 0
    packets: int = 0
    decoded: int = 0
    without_packets: int = 0
    flows: int = 0
    segments: int = 0
    model_checks: int = 0
    slowest_s: float = 0.0
    crashes: list[str] = field(default_factory=list)


class Way(StrEnum):
    """How an image is taken through the code."""

    READER = "reader"
    KERNELS = "kernels"


class Fuzzer:
    """Runs batches of images; what fails is kept in a folder, under the digest of the image (or of the whole batch)."""

    def __init__(self, seeds: list[bytes], start: int, way: Way = Way.READER, crashes: Path | None = None) -> None:
        self._seeds, self._sizes = matrix(seeds)
        self._start = start
        self._way = way
        self._crashes = crashes
        self._models = shipped()
        self._gaps = segment_gaps_ns(shortest_gaps_s(self._models))
        self._rows = np.zeros(IMAGES * MOST_ROWS, PACKET)
        self._frames = np.zeros(MOST_ROWS, FRAME)
        self._spare = np.zeros(1, PACKET)
        self.tally = Tally()

    def run(self, batches: Iterable[int], until: float) -> None:
        """Batches of these numbers, until the clock (time.monotonic) has come to an instant."""
        given = io.BytesIO()
        with (
            mock.patch.object(source, "open_stream", return_value=given),
            mock.patch.object(source, "WINDOW", WINDOW),
            mock.patch.object(source, "BATCH", PACKETS),
            np.errstate(over="ignore"),
        ):
            for batch in batches:
                if time.monotonic() >= until:
                    return
                self._run_batch(batch, given)

    def _run_batch(self, batch: int, given: io.BytesIO) -> None:
        images, sizes = batch_of_images(self._seeds, self._sizes, self._start, batch)
        self.tally.executions += sizes.size
        try:
            if self._way is Way.KERNELS:
                count = run_kernels(images, sizes, PCAP_HEADERS, INTERFACES, self._frames, self._rows, self._spare)
            else:
                count = self._read_all(
                    batch, [row[:size].tobytes() for row, size in zip(images, sizes, strict=True)], given
                )
            self._count(batch, self._rows[:count])
        except Exception as error:
            self._keep(images.tobytes(), f"batch {batch}: {type(error).__name__}: {error}")

    def _read_all(self, batch: int, images: list[bytes], given: io.BytesIO) -> int:
        """Every image through the reader into `_rows`; answers how many it filled."""
        count, tally = 0, self.tally
        for image in images:
            given.seek(0)
            given.truncate()
            given.write(image)
            given.seek(0)
            began = time.perf_counter()
            try:
                packets = read_here()
            except Exception as error:
                self._keep(image, f"batch {batch}, one image: {type(error).__name__}: {error}")
                continue
            tally.slowest_s = max(tally.slowest_s, time.perf_counter() - began)
            tally.without_packets += not packets.size
            self._rows[count : count + packets.size] = packets
            count += packets.size
        return count

    def _count(self, batch: int, packets: npt.NDArray[np.void]) -> None:
        tally, table = self.tally, FlowTable(self._gaps)
        for at in range(0, packets.size, PACKETS_AT_ONCE):
            table.add(packets[at : at + PACKETS_AT_ONCE])
        flows = check_table(table)
        tally.packets += table.packets
        tally.decoded += int(table.statuses[Status.DECODED])
        tally.flows += flows.row.size
        tally.segments += flows.segments.size
        if batch % MODELS_EVERY == 0:
            check_models(flows, self._models)
            tally.model_checks += 1

    def _keep(self, image: bytes, what: str) -> None:
        name = hashlib.sha256(image).hexdigest()[:16]
        self.tally.crashes.append(f"{name}: {what}")
        if self._crashes is not None:
            self._crashes.mkdir(parents=True, exist_ok=True)
            (self._crashes / name).write_bytes(image)


def own_seeds() -> list[bytes]:
    """The captures put together in `seeds`, and what the coverage-guided fuzzer made of them."""
    from tests.lab.hostile.seeds import plain

    found = Path(__file__).resolve().parent / "found"
    return [*plain().values(), *(path.read_bytes() for path in sorted(found.glob("*")))]


def seeds_in(folder: Path, longest: int = LONGEST_IMAGE) -> list[bytes]:
    """The small files of a folder of captures; none if it is absent."""
    if not folder.is_dir():
        return []
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".csv", ".md"))
    return [path.read_bytes() for path in files if 24 < path.stat().st_size <= longest]


def record(tally: Tally, way: Way, seconds: float, start: int, seeds: int) -> dict[str, Any]:
    """One run as it is written down."""
    import llvmlite  # type: ignore[import-untyped]
    import numba

    return {
        "fuzzer": "mutation",
        "way": way.value,
        "compiled": not NUMBA_SETTINGS.DISABLE_JIT,
        "executions": tally.executions,
        "seconds": round(seconds, 1),
        "executions_per_s": round(tally.executions / seconds),
        "packets": tally.packets,
        "decoded": tally.decoded,
        "without_packets": tally.without_packets,
        "flows": tally.flows,
        "segments": tally.segments,
        "checks_of_all_models": tally.model_checks,
        "slowest_image_s": round(tally.slowest_s, 4),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "crashes": tally.crashes,
        "seeds": seeds,
        "start": start,
        "batches": tally.executions // IMAGES,
        "versions": {
            "python": platform.python_version(),
            "numba": numba.__version__,
            "llvmlite": llvmlite.__version__,
            "numpy": np.__version__,
        },
    }


def _command_line() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--way", type=Way, choices=list(Way), default=Way.READER)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--start", type=int, default=1, help="another number makes other images")
    parser.add_argument("--seeds", type=Path, nargs="*", default=[], help="folders of small captures to change too")
    parser.add_argument("--crashes", type=Path, help="a folder for the images that fail")
    parser.add_argument("-o", "--output", type=Path, help="a JSON file that the run is added to")
    options = parser.parse_args()
    seeds = own_seeds() + [seed for folder in options.seeds for seed in seeds_in(folder)]
    fuzzer = Fuzzer(seeds, options.start, options.way, options.crashes)
    fuzzer.run(range(1), np.inf)  # compiles
    fuzzer.tally = Tally()
    began = time.monotonic()
    fuzzer.run(range(sys.maxsize), began + options.seconds)
    made = record(fuzzer.tally, options.way, time.monotonic() - began, options.start, len(seeds))
    print(json.dumps(made, indent=1))
    if options.output:
        runs = json.loads(options.output.read_text()) if options.output.exists() else []
        written = options.output.with_suffix(".tmp")
        written.write_text(json.dumps([*runs, made], indent=1) + "\n")
        os.replace(written, options.output)
    sys.exit(bool(fuzzer.tally.crashes))


if __name__ == "__main__":
    _command_line()
