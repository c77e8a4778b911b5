"""Finding a packet's flow by hash, and asking for the memory that packets to come will need.

A slot is free or holds a flow's hash, a sign that it is taken and the flow's number: two flows whose slots collide are
told apart without their records. Slots are filled and never emptied, but all at once (`rehash`).
"""

import numpy as np

from peerburst.capture.compiled.hashing import mix
from peerburst.capture.compiled.kernel import inlined_part, kernel, part
from peerburst.capture.compiled.prefetch import prefetch, prefetch_to_write
from peerburst.capture.compiled.shapes import Bool, Int, Int64s, Record
from peerburst.capture.flows.five_tuple import is_of_flow, packet_ports
from peerburst.capture.flows.record import Batch, TableMemory

FREE, TAKEN = 0, 1 << 31  # free slots are 0, as new memory is
HASH_SHIFT = 32
HASH_BITS = np.uint64(0x7FFFFFFF)
NUMBER_BITS = TAKEN - 1
SLOTS_PER_FLOW = 3  # at half as many, every third packet of a full table met a stranger first

# How many packets ahead a packet's slot, its flow's record and the flow's TCP state are asked for: each needs what the
# one before it brought. Half and twice these distances measured the same or worse.
SLOT_AHEAD, FLOW_AHEAD, TCP_STATE_AHEAD = 24, 16, 8
PLACES = 32  # a power of two above FLOW_AHEAD: where each of the next packets' flows begin to be looked for
PLACES_MASK = PLACES - 1


@part
def _hash_end(seed: np.uint64, high: np.uint64, low: np.uint64, port: Int) -> np.uint64:
    hashed: np.uint64 = mix(mix(mix(seed, low), high), np.uint64(port))
    return hashed


@part
def packet_hash(seed: np.uint64, packet: Record) -> np.int64:
    """31 bits of the hashes of both ends, whichever way round, and the protocol.

    Seeded, so that nobody can write a capture whose flows all fall into one slot.
    """
    port, other_port = packet_ports(packet)
    source = _hash_end(seed, packet["src_hi"], packet["src_lo"], port)
    target = _hash_end(seed, packet["dst_hi"], packet["dst_lo"], other_port)
    value = mix(source + target, np.uint64(packet["proto"]))
    return np.int64((value ^ (value >> np.uint64(32))) & HASH_BITS)


@inlined_part
def _place(slots: Int64s, hashed: Int) -> Int:
    """The first slot of a flow with this hash, or the free one where such a flow belongs."""
    mask = slots.size - 1
    slot = hashed & mask
    while slots[slot] != FREE and slots[slot] >> HASH_SHIFT != hashed:
        slot = (slot + 1) & mask
    return slot


@inlined_part
def prefetch_ahead(batch: Batch, memory: TableMemory, i: Int) -> None:
    """Ask for what the packets after the i-th will need. What has changed by then only costs them a wait."""
    chosen, hashes, slots, places = batch.chosen, batch.hashes, memory.slots, memory.places
    ahead = i + SLOT_AHEAD
    if ahead < chosen.size:
        prefetch_to_write(slots, hashes[ahead] >> 1 & (slots.size - 1))
        prefetch(batch.packets, chosen[ahead])
    ahead = i + FLOW_AHEAD
    if 0 <= ahead < chosen.size and hashes[ahead] >= 0:
        place = _place(slots, np.int64(hashes[ahead]) >> 1)
        places[ahead & PLACES_MASK] = place
        if slots[place] != FREE:
            number = slots[place] & NUMBER_BITS
            prefetch_to_write(memory.flow_halves, 2 * number)
            prefetch_to_write(memory.flow_halves, 2 * number + 1)
            prefetch_to_write(memory.tcp_slots, number)
    ahead = i + TCP_STATE_AHEAD
    if 0 <= ahead < chosen.size and hashes[ahead] >= 0 and slots[places[ahead & PLACES_MASK]] != FREE:
        # Never one that is not there: what lies before the first may be another thread's, and taken from it.
        number = slots[places[ahead & PLACES_MASK]] & NUMBER_BITS
        prefetch_to_write(memory.tcp_states, max(memory.tcp_slots[number], 0))


@inlined_part
def look_up(memory: TableMemory, place: Int, hashed: Int, packet: Record, from_a: Bool) -> Int:
    """The slot that holds a packet's flow, or the free one where it belongs, from where `prefetch_ahead` said on.

    What was passed by then would be passed now.
    """
    slots = memory.slots
    mask = slots.size - 1
    slot = place
    while slots[slot] != FREE:
        if slots[slot] >> HASH_SHIFT == hashed and is_of_flow(memory.flows[slots[slot] & NUMBER_BITS], packet, from_a):
            break
        slot = (slot + 1) & mask
    return slot


@kernel
def rehash(held: Int64s, slots: Int64s) -> None:
    """Put what the slots `held` hold into FREE `slots`, a power of two of them and more than are held."""
    mask = slots.size - 1
    for i in range(held.size):
        if held[i] != FREE:
            slot = held[i] >> HASH_SHIFT & mask
            while slots[slot] != FREE:
                slot = (slot + 1) & mask
            slots[slot] = held[i]
