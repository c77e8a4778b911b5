"""A SYN flood at one port of one host, under the guest's own address or under addresses of chance (RFC 4987)."""

import ipaddress
from dataclasses import dataclass

from peerburst.capture.errors import SettingsError
from peerburst.capture.synth import frames
from peerburst.capture.synth.frames import SHORTEST_ON_WIRE, Endpoint, Flag
from peerburst.capture.synth.settings import setting
from peerburst.capture.synth.site import GUEST_HOP_LIMIT, Remote
from peerburst.capture.synth.stage import Stage
from peerburst.capture.synth.tcp import TcpConversation
from peerburst.capture.vocabulary import FlowKind

# Flooding tools write their own packets: no options, one small window.
WINDOW = 512
# How many half-open connections a server of the time keeps before it answers no more (Linux tcp_max_syn_backlog).
BACKLOG = 256


@dataclass(frozen=True, slots=True)
class Settings:
    """Whom, how fast, how many, and whether the sender hides behind others' addresses."""

    target: str = setting("203.0.113.80")
    port: int = setting(80, least=1, most=65535)
    rate_per_s: float = setting(500.0, least=0.01, most=100_000)
    packets: int = setting(5000, least=1, most=1_000_000)
    spoofed: bool = setting(False)


def play(settings: Settings, stage: Stage) -> None:
    dice = stage.dice
    try:
        target = stage.site.at(ipaddress.IPv4Address(settings.target), dice)
    except ValueError:
        raise SettingsError(f"target must be an IPv4 address, not '{settings.target}'") from None
    at = stage.start_s
    for number in range(settings.packets):
        if at >= stage.end_s:
            return
        if settings.spoofed:
            _spoofed_syn(settings, stage, at, target)
        else:
            talk = TcpConversation(stage, target, settings.port, FlowKind.PROBE)
            if number < BACKLOG:
                # The guest's own system knows nothing of the SYN and resets the answer.
                talk.probe(at)
            else:
                talk.connect_unanswered(at, patience_s=0.5)
        at += dice.exponential(1.0 / settings.rate_per_s)


def _spoofed_syn(settings: Settings, stage: Stage, at: float, target: Remote) -> None:
    """One SYN under a stranger's address; the answer goes to the stranger and never comes by."""
    dice = stage.dice
    stranger = stage.site.peer(dice).endpoint.address
    source = Endpoint(stage.guest.v4.mac, stranger, GUEST_HOP_LIMIT, SHORTEST_ON_WIRE)
    ports = (dice.integer(1024, 65535), settings.port)
    numbers = (dice.integer(0, 2**32 - 1), 0)
    frame = frames.tcp(
        source, target.endpoint, ports, numbers, Flag.SYN, WINDOW, identification=dice.integer(0, 0xFFFF)
    )
    stage.tape.record(at, frame, stage.flow(source, target.endpoint, ports, "tcp", FlowKind.PROBE))
