"""What a recording lacks, seen in its flows and packets: what a filter or a short snaplen left out."""

from dataclasses import dataclass

import numpy as np

from peerburst.capture.flows.history import (
    LETTER_ACK,
    LETTER_DATA,
    LETTER_FIN,
    LETTER_RST,
    LETTER_SYN,
    LETTER_SYNACK,
    LETTERS,
)
from peerburst.capture.flows.record import Flows
from peerburst.capture.packets.ip import PROTO_TCP
from peerburst.capture.packets.status import Status
from peerburst.capture.read import Capture

# So many connections with SYN and SYN+ACK, and not one acknowledgement among them: no network does that.
LEAST_CONNECTIONS = 10
SOME_FINS = 0.1  # of connections
NEARLY_ALL = 0.9
SOME_DATA = 0.5  # FINs may carry data, and a filter for them lets it through
MUCH_TRUNCATED = 0.01  # of packets


@dataclass(frozen=True, slots=True)
class FlagsAlone:
    """Of TCP only packets with certain flags were recorded."""

    flags: tuple[str, ...]  # SYN, FIN, RST: those that are there


def flags_alone(flows: Flows) -> FlagsAlone | None:
    """Whether of TCP only packets with SYN, FIN or RST are there: a filter for them keeps no acknowledgement.

    Neither do scans and floods that never answer a SYN+ACK but with RST. These have no FIN, and where nothing answers
    it the SYN+ACK is sent again.
    """
    row = flows.row[flows.row["proto"] == PROTO_TCP]
    history = row["history"]
    either = (history | history >> np.uint64(LETTERS)) & np.uint64((1 << LETTERS) - 1)

    def has(letter: int) -> int:
        return int(np.count_nonzero(either >> np.uint64(letter) & np.uint64(1)))

    both = np.uint64(1 << LETTER_SYN | 1 << LETTER_SYNACK)
    is_answered = either & both == both
    answered, pairs = int(is_answered.sum()), int((is_answered & (row["a_pkts"] + row["b_pkts"] == 2)).sum())
    if answered < LEAST_CONNECTIONS or has(LETTER_ACK) or has(LETTER_DATA) > SOME_DATA * answered:
        return None
    if has(LETTER_FIN) < SOME_FINS * answered and pairs < NEARLY_ALL * answered:
        return None
    named = (("SYN", LETTER_SYN), ("FIN", LETTER_FIN), ("RST", LETTER_RST))
    return FlagsAlone(tuple(name for name, letter in named if has(letter)))


def much_truncated(capture: Capture) -> int:
    """How many packets were cut within their headers, 0 if these are few."""
    truncated = capture.statuses[Status.TRUNCATED]
    return truncated if truncated > MUCH_TRUNCATED * capture.packets else 0
