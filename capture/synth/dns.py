"""Names looked up at the site's resolver: DNS messages (RFC 1035) over UDP, questions and answers complete."""

import struct
from collections.abc import Sequence

from peerburst.capture.synth.dice import Dice
from peerburst.capture.synth.site import Remote
from peerburst.capture.synth.stage import Stage
from peerburst.capture.synth.udp import UdpConversation
from peerburst.capture.vocabulary import FlowKind

PORT = 53
A, MX, AAAA = 1, 15, 28
INTERNET = 1
QUERY, RESPONSE, NO_SUCH_NAME = 0x0100, 0x8180, 0x8183
# A label that is only a pointer to the name in the question, which begins behind the header (RFC 1035 4.1.4).
SAME_NAME = b"\xc0\x0c"
TIME_TO_LIVE_S = 300
# The resolver knows popular names; others it has to ask for.
KNOWN_SHARE, ASKING_S = 0.6, 0.03


def encoded_name(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def question(identifier: int, name: str, record_type: int) -> bytes:
    header = struct.pack(">HHHHHH", identifier, QUERY, 1, 0, 0, 0)
    return header + encoded_name(name) + struct.pack(">HH", record_type, INTERNET)


def answer(query: bytes, records: Sequence[tuple[int, bytes]], code: int = RESPONSE) -> bytes:
    """The response to `query`: each record, (type, data), for the name asked for."""
    header = query[:2] + struct.pack(">HHHHH", code, 1, len(records), 0, 0)
    body = b"".join(
        SAME_NAME + struct.pack(">HHIH", kind, INTERNET, TIME_TO_LIVE_S, len(data)) + data for kind, data in records
    )
    return header + query[12:] + body


def lookup(stage: Stage, at: float, name: str, remotes: Sequence[Remote]) -> float:
    """The guest asks for `name` and gets the addresses of `remotes`; returned is when it has them."""
    packed = [remote.endpoint.address for remote in remotes]
    record_type = AAAA if packed and len(packed[0]) == 16 else A
    return ask(stage, at, name, record_type, [(record_type, address) for address in packed])


def ask(
    stage: Stage, at: float, name: str, record_type: int, records: Sequence[tuple[int, bytes]], code: int = RESPONSE
) -> float:
    """One question from a port of its own (RFC 5452) and its answer."""
    talk = UdpConversation(stage, stage.site.resolver, PORT, FlowKind.SERVICE)
    query = question(stage.dice.integer(0, 0xFFFF), name, record_type)
    talk.send(at, query)
    return talk.receive(talk.answered(at) + _search_s(stage.dice), answer(query, records, code))


def _search_s(dice: Dice) -> float:
    return 0.0 if dice.happens(KNOWN_SHARE) else dice.exponential(ASKING_S)
