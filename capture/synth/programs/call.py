"""A voice call: candidates gathered and checked with STUN, then RTP both ways.

RFC 8489 (STUN), RFC 8445 (ICE), RFC 3550 (RTP). Calls of this kind send 33 to 50 packets a second of 60 to 200 bytes
(Chen et al. 2006; Bonfiglio et al. 2007): Opus or SILK in frames of 20 or 30 ms.
"""

import struct
from dataclasses import dataclass

from peerburst.capture.synth import dns
from peerburst.capture.synth.dice import Dice
from peerburst.capture.synth.settings import setting
from peerburst.capture.synth.site import Remote
from peerburst.capture.synth.stage import Stage
from peerburst.capture.synth.udp import UdpConversation
from peerburst.capture.vocabulary import FlowKind

STUN_PORT = 3478
BINDING_REQUEST, BINDING_SUCCESS = 0x0001, 0x0101
MAGIC_COOKIE = 0x2112A442
XOR_MAPPED_ADDRESS = 0x0020
RTP_VERSION_2, DYNAMIC_PAYLOAD_TYPE = 0x80, 111
SAMPLES_PER_S = 48_000
JITTER_S = 0.002
# RFC 7675: consent to send is asked for again every 5 s or so.
CONSENT_S = 5.0


@dataclass(frozen=True, slots=True)
class Settings:
    """Packets per second and their payloads, headers of RTP included."""

    packets_per_s: int = setting(50, least=1, most=200)
    smallest: int = setting(60, least=12)
    largest: int = setting(160, least=12, most=1400)
    stun_servers: int = setting(2, least=0, most=10)

    def __post_init__(self) -> None:
        if self.largest < self.smallest:
            raise ValueError(f"largest {self.largest} must not be less than smallest {self.smallest}")


def play(settings: Settings, stage: Stage) -> None:
    dice = stage.dice
    local_port = stage.guest.ephemeral_port(dice)
    at = stage.start_s
    for number in range(settings.stun_servers):
        server = stage.server()
        found = dns.lookup(stage, at, f"stun{number}.call.example", [server])
        talk = UdpConversation(stage, server, STUN_PORT, FlowKind.SERVICE, local_port=local_port)
        _bind(found, talk, dice)
    at += 0.5
    # The other side's second candidate, its address on a LAN far away, is never heard of again.
    dead = UdpConversation(stage, stage.peer(), dice.integer(1025, 65535), FlowKind.PROBE, local_port=local_port)
    for wait in (0.0, 0.5, 1.5):
        dead.send(at + wait, _stun(BINDING_REQUEST, dice.random_bytes(12), b""))
    partner = UdpConversation(stage, stage.peer(), dice.integer(1025, 65535), FlowKind.MEDIA, local_port=local_port)
    begun = _bind(at + 0.05, partner, dice)
    _speak(settings, stage, partner, begun + 0.3)
    at = begun + CONSENT_S
    while at < stage.end_s:
        _bind(at, partner, dice)
        at += CONSENT_S * dice.uniform(0.8, 1.2)


def _bind(at: float, talk: UdpConversation, dice: Dice) -> float:
    transaction = dice.random_bytes(12)
    request = _stun(BINDING_REQUEST, transaction, b"")
    response = _stun(BINDING_SUCCESS, transaction, _mapped_address(talk.remote, dice))
    return talk.exchange(at, (request, len(request)), (response, len(response)))


def _speak(settings: Settings, stage: Stage, talk: UdpConversation, at: float) -> None:
    """Both sides talk all the time: voice detection is off by default in most clients."""
    dice = stage.dice
    frame_s = 1.0 / settings.packets_per_s
    sources = (dice.random_bytes(4), dice.random_bytes(4))
    first = (dice.integer(0, 0xFFFF), dice.integer(0, 0xFFFF))
    number = 0
    while at + number * frame_s < stage.end_s:
        moment = at + number * frame_s
        for side in (0, 1):
            size = dice.integer(settings.smallest, settings.largest)
            header = _rtp(first[side] + number, round(number * frame_s * SAMPLES_PER_S), sources[side])
            if side == 0:
                talk.send(moment + dice.uniform(0, JITTER_S), header, size)
            else:
                talk.receive(moment + frame_s / 2 + dice.uniform(0, 3 * JITTER_S), header, size)
        number += 1


def _stun(kind: int, transaction: bytes, attributes: bytes) -> bytes:
    return struct.pack(">HHI", kind, len(attributes), MAGIC_COOKIE) + transaction + attributes


def _mapped_address(remote: Remote, dice: Dice) -> bytes:
    """What the server sees of us is behind the camera, on the far side of the gateway: a port and address of chance."""
    family = 1 if len(remote.endpoint.address) == 4 else 2
    value = dice.random_bytes(2 + len(remote.endpoint.address))
    return struct.pack(">HHBB", XOR_MAPPED_ADDRESS, 2 + len(value), 0, family) + value


def _rtp(number: int, timestamp: int, source: bytes) -> bytes:
    return struct.pack(">BBHI", RTP_VERSION_2, DYNAMIC_PAYLOAD_TYPE, number & 0xFFFF, timestamp & 0xFFFFFFFF) + source
