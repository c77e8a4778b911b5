"""Zeek's history of a flow: what either end sent, each letter once, in order of appearance.

A word of 64 bits holds it: 12 bits of letters seen, end a's first, 4 bits that count them, then 4 bits for each.
"""

import numpy as np

from peerburst.capture.compiled.kernel import inlined_part, part
from peerburst.capture.compiled.shapes import Bool, Int
from peerburst.capture.conntrack.states import TCP_ACK_SET

# The letters in the order they are coded.
HISTORY_LETTERS = "shadfr"
LETTER_SYN, LETTER_SYNACK, LETTER_ACK, LETTER_DATA, LETTER_FIN, LETTER_RST = range(6)
LETTERS = 6  # of one end; those of end b come after
SEEN_BITS = 0xFFF
COUNT_SHIFT, ORDER_SHIFT = 12, 16


@part
def remember(history: np.uint64, letter: Int, from_b: Bool) -> np.uint64:
    """Add a letter and direction to a history, unless it is there."""
    code = np.uint64(letter + (LETTERS if from_b else 0))
    bit = np.uint64(1) << code
    if history & bit:
        return history
    count = (history >> np.uint64(COUNT_SHIFT)) & np.uint64(15)
    return (history | bit | (code << (np.uint64(ORDER_SHIFT) + np.uint64(4) * count))) + np.uint64(1 << COUNT_SHIFT)


@inlined_part
def remember_tcp(history: np.uint64, index: Int, flags: Int, payload: Int, from_b: Bool) -> np.uint64:
    """Add what a TCP packet with these flags and so many bytes of data says."""
    syn, ack = np.int64(flags) >> 1 & 1, np.int64(flags) >> 4 & 1
    letters = (
        (syn & ~ack) << LETTER_SYN
        | (syn & ack) << LETTER_SYNACK
        | np.int64(payload > 0) << LETTER_DATA
        | np.int64((payload == 0) & (index == TCP_ACK_SET)) << LETTER_ACK
        | (np.int64(flags) & 1) << LETTER_FIN
        | (np.int64(flags) >> 2 & 1) << LETTER_RST
    )
    there = letters << (LETTERS if from_b else 0)
    if np.int64(history & np.uint64(SEEN_BITS)) & there == there:
        return history  # nearly every packet: nothing new
    for letter in range(LETTERS):
        if letters >> letter & 1:
            history = remember(history, letter, from_b)
    return history
