"""Gateway models: by which rules one kind of gateway opens, refreshes, expires and counts table entries.

`catalogue` reads models from TOML files; `counting` applies them to captured flows.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

# The TCP states of Linux conntrack, in the order a connection passes through them. A model of another gateway says how
# long an entry lasts while a connection is in each.
TCP_STATES: Final = (
    "syn_sent",
    "syn_sent2",
    "syn_recv",
    "established",
    "fin_wait",
    "close_wait",
    "last_ack",
    "time_wait",
    "close",
)
# The only states that `left_out` may name, and only together: a flow keeps the instant it entered either of the two.
CLOSED_STATES: Final = ("time_wait", "close")
# What an entry can be waiting in when its timeout runs, by protocol. `syn_repeated`: the SYN was sent again, still no
# answer. `udp_first`: a single packet so far. GRE and SCTP are two-way from the first packet after a reply on.
PHASES_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "tcp": ("syn_repeated", *TCP_STATES),
    "udp": ("udp_first", "udp_one_way", "udp_two_way"),
    "icmp": ("icmp",),
    "other": ("other", "gre_one_way", "gre_two_way", "sctp_one_way", "sctp_two_way"),
}
FAMILIES: Final = ("ipv4", "ipv6")
# Timers that only Linux's own engine has: three packets resent, data never acknowledged.
LINUX_PHASES: Final = ("tcp_retransmitted", "tcp_unacknowledged")
PHASES: Final = (*(phase for phases in PHASES_OF.values() for phase in phases), *LINUX_PHASES)
IDLE: Final = "idle"


class Engine(Enum):
    """Which rules move an entry from one timeout to the next."""

    LINUX = "linux"  # Linux's own: what renews, what is left alone, resent packets, UDP streams
    STATES = "states"  # each packet renews the entry with the timeout of the state it leads to
    FLAT = "flat"  # one idle timeout; FIN and RST mean nothing
    SYN_FIN = "syn-fin"  # opens at a SYN, closes at the first FIN or RST, never expires


class Unit(Enum):
    """What one table entry stands for."""

    ENTRY = "entry"  # one 5-tuple
    MAPPING = "mapping"  # one source address, source port and protocol, whatever the peer


class Begins(Enum):
    """From when an entry counts towards a limit."""

    OPEN = "open"  # from the first packet
    ESTABLISHED = "established"  # from the end of the TCP handshake


class Per(Enum):
    """What a limit is per."""

    ADDRESS = "address"
    PREFIX = "prefix"  # an IPv6 /64, an IPv4 address
    MAC = "mac"  # all addresses behind one MAC that is not the gateway's
    MACHINE = "machine"  # the same, unless that MAC has several IPv4 addresses: then it is a router, or made up


class TwoWay(Enum):
    """From when UDP gets its two-way timeout."""

    REPLY = "reply"  # the responder's first packet
    SECOND_REQUEST = "second-request"  # the originator sends again after a reply
    STREAM = "stream"  # any packet after a reply, once the entry is older than stream_age_s


class Sure(Enum):
    """How well a number or a rule is known."""

    DOCUMENTED = "documented"
    MEASURED = "measured"
    ASSUMED = "assumed"


@dataclass(frozen=True, slots=True)
class Timeout:
    """How long an entry outlives its last packet in one phase: 0 is not at all, infinity is for ever."""

    seconds: float
    source: str
    sure: Sure


@dataclass(frozen=True, slots=True)
class Basis:
    """Where a model's way of counting, or its rules, are known from."""

    source: str
    sure: Sure


@dataclass(frozen=True, slots=True)
class GatewayModel:
    """One gateway's rules, checked. `timeouts` has every phase of the counted protocols (`idle` alone if flat)."""

    name: str
    title: str
    summary: str
    engine: Engine
    unit: Unit
    protocols: frozenset[str]
    families: frozenset[str]  # of FAMILIES: a gateway that only translates IPv4 holds nothing of native IPv6
    begins: Begins
    left_out: frozenset[str]
    reset_deletes_unanswered: bool
    two_way_after: TwoWay
    stream_age_s: float
    timeouts: Mapping[str, Timeout] = field(hash=False)
    counts_basis: Basis
    rules_basis: Basis
    path: Path | None
    per: Per = Per.ADDRESS

    def timeout_s(self, phase: str) -> float:
        """Seconds an entry outlives its last packet in one of PHASES.

        0 for a protocol the model does not count; infinity for what it never expires.
        """
        if phase not in PHASES:
            raise ValueError(f"no phase is called {phase!r}")
        if phase in LINUX_PHASES and self.engine is not Engine.LINUX:
            return math.inf
        return self._held_s(phase) if self.counts(phase) else 0.0

    def counts(self, phase: str) -> bool:
        """Whether one of PHASES is of a protocol that the model counts."""
        return phase in LINUX_PHASES or any(phase in PHASES_OF[protocol] for protocol in self.protocols)

    def _held_s(self, phase: str) -> float:
        match self.engine:
            case Engine.FLAT:
                return self.timeouts[IDLE].seconds
            case Engine.SYN_FIN:
                return math.inf
            case _:
                return self.timeouts[phase].seconds if phase in self.timeouts else math.inf
