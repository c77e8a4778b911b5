"""Instant messaging through one server: one TLS connection, kept alive, whatever the number of chats.

XMPP (RFC 6120) over TLS: all group chats of an account share its one connection, which is the comparison the P2P
client asks for. Keepalives follow RFC 6120 section 4.6.1: a single white space, one small record.
"""

from dataclasses import dataclass

from peerburst.capture.synth import dns, tls
from peerburst.capture.synth.settings import setting
from peerburst.capture.synth.stage import Stage
from peerburst.capture.vocabulary import FlowKind

KEEPALIVE_RECORD = tls.SHORTEST_RECORD + 1
# A stanza of one or two lines of text in its XML; the roster and presences after login.
MESSAGE_MEDIAN, MESSAGE_SIGMA = 260, 0.5
ROSTER_MEDIAN, ROSTER_SIGMA = 6000, 0.6


@dataclass(frozen=True, slots=True)
class Settings:
    """How often messages come or go, and how often silence is broken to keep the connection."""

    message_gap_s: float = setting(15.0, least=0.1)
    keepalive_s: float = setting(60.0, least=1)
    port: int = setting(5223, least=1, most=65535)
    server: str = setting("im.example")


def play(settings: Settings, stage: Stage) -> None:
    dice = stage.dice
    server = stage.server()
    at = dns.lookup(stage, stage.start_s, settings.server, [server])
    talk = tls.open_tls(stage, at, server, settings.server, FlowKind.SERVICE, settings.port)
    at = talk.exchange(talk.now, (b"", 320), (b"", round(dice.log_normal(ROSTER_MEDIAN, ROSTER_SIGMA))), think_s=0.05)
    while True:
        gap = dice.exponential(settings.message_gap_s)
        while gap > settings.keepalive_s:
            at = talk.upload(at + settings.keepalive_s, b"", KEEPALIVE_RECORD)
            gap -= settings.keepalive_s
        at += gap
        if at >= stage.end_s:
            break
        size = tls.SHORTEST_RECORD + round(dice.log_normal(MESSAGE_MEDIAN, MESSAGE_SIGMA))
        at = talk.upload(at, b"", size) if dice.happens(0.4) else talk.download(at, b"", size)
    talk.close(stage.end_s)
