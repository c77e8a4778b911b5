"""The hash of flows and addresses: its bits, in kernels and over columns alike."""

import numpy as np

from peerburst.capture.compiled.hashing import address_slot, mix, row_keys

SEED = 0x0123_4567_89AB_CDEF
MASK = (1 << 64) - 1


def mixed(value: int, word: int) -> int:
    """What mixing is, in whole numbers of Python."""
    value = ((value ^ word) * 0x9E37_79B9_7F4A_7C15) & MASK
    return value ^ value >> 29


def test_kernels_and_columns_mix_alike() -> None:
    words = [0, 1, 6, MASK, 1 << 63, 0xFFFF_0A00_0001]
    keys = row_keys(SEED, [np.array(words, np.uint64)])
    with np.errstate(over="ignore"):
        in_kernel = [int(mix(np.uint64(SEED), np.uint64(word))) for word in words]
    assert in_kernel == keys.tolist() == [mixed(SEED, word) for word in words]


def test_rows_have_one_key_where_all_columns_agree_and_the_order_of_columns_counts() -> None:
    one, other = np.array([1, 1, 2], np.uint8), np.array([2, 2, 1], np.uint16)
    keys = row_keys(SEED, [one, other])
    assert keys[0] == keys[1] != keys[2]
    assert keys[0] != row_keys(SEED, [other, one])[0]
    assert keys[0] != row_keys(SEED + 1, [one, other])[0]


def test_an_address_falls_into_a_slot_of_the_table() -> None:
    addresses = [(0, 0xFFFF_0A00_0000 + i) for i in range(1000)]
    with np.errstate(over="ignore"):
        slots = [int(address_slot(np.uint64(SEED), np.uint64(high), np.uint64(low), 256)) for high, low in addresses]
    assert min(slots) >= 0
    assert max(slots) < 256
    assert len(set(slots)) > 240  # neighbours spread over it
