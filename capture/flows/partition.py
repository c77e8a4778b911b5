"""Which packets are whose: each flow's always fall to the same shard of a table, by the first bits of its hash."""

import secrets
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from peerburst.capture.compiled.kernel import kernel, part
from peerburst.capture.compiled.pool import BufferPool
from peerburst.capture.compiled.shapes import Int, Int32s, Int64s, Records
from peerburst.capture.flows.five_tuple import source_is_a
from peerburst.capture.flows.lookup import packet_hash
from peerburst.capture.packets.status import Status

DECODED = int(Status.DECODED)
HASH_AND_DIRECTION_BITS = 32
AT_ONCE = 1 << 14  # packets for which there is room that is used again
KEPT = 8


@kernel
def partition(packets: Records, seed: np.uint64, found: Int64s, hashes: Int64s, chosen: Int32s, begins: Int64s) -> None:
    """Give every packet (PACKET) to the shard of its flow.

    Shard s gets packets[chosen[begins[s]:begins[s + 1]]], in their order; `hashes` are aligned with `chosen`: the hash
    and, in the lowest bit, whether end a sent the packet; -1 of one that is no flow's, which the first shard gets.
    `begins` has one more than shards, a power of two of them; `found` (one per packet) is room to work in.
    """
    shards = begins.size - 1
    begins[:] = 0
    for i in range(packets.size):
        packet = packets[i]
        found[i] = -1
        if packet["status"] == DECODED:
            found[i] = packet_hash(seed, packet) << 1 | source_is_a(packet)
        begins[_shard_of(found[i], shards) + 1] += 1
    for s in range(shards):
        begins[s + 1] += begins[s]
    for i in range(packets.size):
        shard = _shard_of(found[i], shards)
        hashes[begins[shard]] = found[i]
        chosen[begins[shard]] = i
        begins[shard] += 1
    for s in range(shards, 0, -1):
        begins[s] = begins[s - 1]
    begins[0] = 0


@part
def _shard_of(hashed: Int, shards: Int) -> Int:
    """The shard that a hash, with the direction in its lowest bit, falls to."""
    return hashed * shards >> HASH_AND_DIRECTION_BITS if hashed >= 0 else np.int64(0)


@dataclass(frozen=True, slots=True)
class Partition:
    """What `partition` says of one batch of packets; made before they are entered, by any thread."""

    chosen: npt.NDArray[np.int32]
    hashes: npt.NDArray[np.int64]
    begins: npt.NDArray[np.int64]

    def of(self, shard: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """(chosen, hashes) of one shard."""
        own = slice(self.begins[shard], self.begins[shard + 1])
        return self.chosen[own], self.hashes[own]


class Partitioner:
    """Gives packets to shards, a power of two of them, that share a seed. Any thread may ask it at any time."""

    def __init__(self, seed: int, shards: int) -> None:
        self._seed, self._shards = np.uint64(seed), shards
        self._chosen = BufferPool(np.int32, AT_ONCE, KEPT)
        self._hashes = BufferPool(np.int64, AT_ONCE, 2 * KEPT)

    def partition(self, packets: npt.NDArray[np.void]) -> Partition:
        """Give PACKET rows to the shards of their flows."""
        size = packets.size
        if size <= AT_ONCE:
            chosen, hashes, found = self._chosen.take()[:size], self._hashes.take()[:size], self._hashes.take()[:size]
        else:
            chosen, hashes, found = np.empty(size, np.int32), np.empty(size, np.int64), np.empty(size, np.int64)
        begins = np.empty(self._shards + 1, np.int64)
        with np.errstate(over="ignore"):
            partition(packets, self._seed, found, hashes, chosen, begins)
        return Partition(chosen, hashes, begins)


def new_seed() -> int:
    """For the hashes of one reading, so that nobody can foresee them."""
    return secrets.randbits(62)
