"""Looking for open ports: many on one host (half-open or by full connections) or one on many hosts.

The ways are nmap's: `syn` sends a bare SYN and resets what answers, `connect` lets the system connect and hang up,
`sweep` tries a port on every address of a network. Closed ports reset, filtered ones stay silent and are asked twice.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from peerburst.capture.errors import SettingsError
from peerburst.capture.synth.settings import setting
from peerburst.capture.synth.site import Remote
from peerburst.capture.synth.stage import Stage
from peerburst.capture.synth.tcp import TcpConversation
from peerburst.capture.vocabulary import FlowKind

# nmap asks a silent port once more.
RETRY_S = 1.0
LARGEST_SWEPT = 4096


@dataclass(frozen=True, slots=True)
class Settings:
    """`target` is a host, or for a sweep a network; `open_ports` are open on every host found."""

    target: str = setting("203.0.113.20")
    mode: str = setting("syn", choices=("syn", "connect", "sweep"))
    ports: int = setting(1000, least=1, most=65535)  # how many, from port 1; a sweep tries `sweep_port` alone
    sweep_port: int = setting(445, least=1, most=65535)
    open_ports: tuple[int, ...] = setting((22, 80, 443), least=1, most=65535)
    rate_per_s: float = setting(200.0, least=0.01, most=100_000)
    silent_share: float = setting(0.3, least=0, most=1)


def play(settings: Settings, stage: Stage) -> None:
    dice = stage.dice
    at = stage.start_s
    local_port = stage.guest.ephemeral_port(dice)
    for remote, port in _probes(settings, stage):
        if at >= stage.end_s:
            return
        # A half-open scan sends all its SYNs from one port; the other two take the system's ports.
        own_port = local_port if settings.mode == "syn" else None
        talk = TcpConversation(stage, remote, port, FlowKind.PROBE, local_port=own_port)
        if dice.happens(settings.silent_share):
            talk.connect_unanswered(at, patience_s=RETRY_S * 1.5)
        elif port not in settings.open_ports:
            talk.connect_refused(at)
        elif settings.mode == "syn":
            talk.probe(at)
        else:
            talk.reset(talk.connect(at))
        at += dice.exponential(1.0 / settings.rate_per_s)


def _probes(settings: Settings, stage: Stage) -> Iterator[tuple[Remote, int]]:
    """Host and port of each probe, in an order of chance."""
    dice = stage.dice
    if settings.mode == "sweep":
        for address in dice.shuffled(_network(settings)):
            yield stage.site.at(address, dice), settings.sweep_port
        return
    remote = stage.site.at(_host(settings), dice)
    for port in dice.shuffled(range(1, settings.ports + 1)):
        yield remote, port


def _host(settings: Settings) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(settings.target)
    except ValueError:
        raise SettingsError(
            f"target must be an IP address in mode '{settings.mode}', not '{settings.target}'"
        ) from None


def _network(settings: Settings) -> list[ipaddress.IPv4Address]:
    try:
        network = ipaddress.IPv4Network(settings.target)
    except ValueError:
        raise SettingsError(f"target must be an IPv4 network in mode 'sweep', not '{settings.target}'") from None
    if network.num_addresses > LARGEST_SWEPT:
        raise SettingsError(f"target {network} has more than {LARGEST_SWEPT} addresses; sweep a smaller network")
    return list(network.hosts())
