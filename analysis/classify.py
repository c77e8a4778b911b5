"""What a burst, or a host, is doing: readable rules on features, each answer with its evidence. No payload is read.

A class has conditions that must all hold and others that support it. The first class whose conditions hold is taken,
in an order that tries the most specific first; without one, the class is `unknown`. Thresholds come from the papers
named beside them; those marked "corpus" were set by eye on two dozen public captures (docs/classes.md) and are
starting points.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from peerburst.analysis.features import Features
from peerburst.analysis.wording import counted, share, size


class BurstClass(Enum):
    """Classes of bursts and hosts."""

    P2P_SYNC = "p2p-sync"
    P2P_BULK = "p2p-bulk"
    CLIENT_SERVER = "client-server"
    WEB = "web"
    BULK_TRANSFER = "bulk-transfer"
    STREAMING = "streaming"
    CALL = "call"
    SCAN = "scan"
    FLOOD = "flood"
    SPAM = "spam"
    DISCOVERY = "discovery"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One reason: the feature, its value, and what it says in words."""

    feature: str
    value: float
    says: str


@dataclass(frozen=True, slots=True)
class Classification:
    """A class, how sure (0 to 1), and why."""

    label: BurstClass
    confidence: float
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """A test of one feature. `says` is a format string over all features, and `f` the features themselves."""

    feature: str
    holds: Callable[[Features], bool]
    says: Callable[[Features], str]


@dataclass(frozen=True, slots=True)
class Rule:
    """A class, what must hold for it, and what speaks for it besides."""

    label: BurstClass
    needs: tuple[Condition, ...]
    supports: tuple[Condition, ...] = ()


def _few_bytes(f: Features) -> str:
    return f"half of the connections carried {size(f.median_bytes)} or less"


def _peers(f: Features) -> str:
    return f"{counted(f.flows, 'connection')} {'from' if f.inbound > 0.5 else 'with'} {counted(f.peers, 'peer')}"


def _answered(f: Features) -> str:
    return f"{share(f.answered, 1)} of them were answered"


def _unanswered(f: Features) -> str:
    refused = f", {share(f.refused, 1)} refused" if f.refused else ""
    return f"{share(1 - f.answered, 1)} got no answer{refused}"


def _incomplete(f: Features) -> str:
    half_open = f"{share(f.half_open, 1)} never got beyond the first SYN"
    return half_open if f.half_open >= 0.9 else _unanswered(f)


def _ports(f: Features) -> str:
    return f"{f.ports} different ports at the other end" if f.ports != 1 else f"all to port {f.busiest_port}"


def _one_local_port(f: Features) -> str:
    return f"{share(f.one_local_port, 1)} left from one local UDP port"


def _one_target(f: Features) -> str:
    return f"{share(f.target_share, 1)} went to one address and port ({f.busiest_port})"


def _rate(f: Features) -> str:
    return f"up to {f.per_second} new connections in one second"


def _one_port(f: Features) -> str:
    return f"{share(f.busiest_port_share, 1)} went to port {f.busiest_port}"


def _weight(f: Features) -> str:
    return f"{size(f.total_bytes)} in all, {share(f.top3_bytes, 1)} of it in three connections"


def _largest(f: Features) -> str:
    return f"the largest connection carried {size(f.largest_bytes)}"


def _received(f: Features) -> str:
    return f"{share(f.received, 1)} of {size(f.total_bytes)} was received"


LEAST_OUTCOMES = 15  # fewer outcomes say nothing (TRW misjudges a login after 4: docs/classes.md)

_MANY_PEERS = Condition("peers", lambda f: f.peers >= 12, _peers)
_FEW_PER_PEER = Condition(
    "flows_per_peer", lambda f: f.flows_per_peer <= 2.5, lambda f: f"{f.flows_per_peer:.1f} connections per peer"
)
# Skype 1.0, gnutella 1.2, BitTorrent 1.6 ports' worth of entropy above 0.6; blockchain node starts and server lists
# below 0.3 (corpus).
_MANY_PORTS = Condition("port_entropy", lambda f: f.ports >= 8 and f.port_entropy >= 0.45, _ports)
_UNKNOWN_PORTS = Condition(
    "unknown_ports",
    lambda f: f.unknown_ports >= 0.4,
    lambda f: f"{share(f.unknown_ports, 1)} went to ports that no known service has",
)
_CARRIES_WEIGHT = Condition(
    "largest_bytes",
    lambda f: f.largest_bytes >= 500_000 or (f.top3_bytes >= 0.9 and f.total_bytes >= 200_000),
    _weight,
)
_SMALL = Condition("median_bytes", lambda f: f.median_bytes < 1500, _few_bytes)
_SOME_ANSWER = Condition("answered", lambda f: f.answered >= 0.1, _answered)
_FAILS = Condition("answered", lambda f: f.flows >= LEAST_OUTCOMES and f.answered <= 0.4, _unanswered)

RULES = (
    # A flood hits one address and port, fast, and hardly anything completes: a SYN flood's target may well answer each
    # SYN, but nobody goes on.
    Rule(
        BurstClass.FLOOD,
        (
            Condition("target_share", lambda f: f.flows >= 100 and f.target_share >= 0.8, _one_target),
            Condition("half_open", lambda f: f.answered <= 0.2 or f.half_open >= 0.9, _incomplete),
            Condition("per_second", lambda f: f.per_second >= 50, _rate),
        ),
        (Condition("tiny", lambda f: f.tiny >= 0.8, lambda f: f"{share(f.tiny, 1)} had two packets or fewer"),),
    ),
    # Zeek's scan.zeek: more than 15 ports on a host, or more than 25 hosts on a port, of failed connections.
    Rule(
        BurstClass.SCAN,
        (
            _FAILS,
            Condition(
                "ports_of_busiest_peer",
                lambda f: f.ports_of_busiest_peer > 15 and f.busiest_peer_share >= 0.5,
                lambda f: f"{f.ports_of_busiest_peer} ports of one host were tried",
            ),
        ),
        (Condition("tiny", lambda f: f.tiny >= 0.8, lambda f: f"{share(f.tiny, 1)} had two packets or fewer"),),
    ),
    Rule(
        BurstClass.SCAN,
        (
            _FAILS,
            Condition("busiest_port_share", lambda f: f.peers > 25 and f.busiest_port_share >= 0.8, _one_port),
            Condition("one_local_port", lambda f: f.one_local_port < 0.5 or f.answered < 0.05, _unanswered),
        ),
        (_FEW_PER_PEER,),
    ),
    # Random addresses and ports of which none answers: nothing that lives finds so little.
    Rule(
        BurstClass.SCAN,
        (
            Condition("answered", lambda f: f.flows >= 50 and f.answered < 0.03, _unanswered),
            Condition("inbound", lambda f: f.inbound < 0.5, _peers),
        ),
    ),
    Rule(
        BurstClass.SPAM,
        (
            Condition(
                "mail",
                lambda f: f.mail >= 0.5 or (f.mail >= 0.3 and f.mail + f.service >= 0.8),
                lambda f: f"{share(f.mail, 1)} went to mail servers' ports",
            ),
            Condition("peers", lambda f: f.peers >= 10, _peers),
        ),
        (_FEW_PER_PEER,),
    ),
    # A call's own bytes name it, however many peers its set-up tried.
    Rule(
        BurstClass.CALL,
        (
            Condition(
                "media_bytes",
                lambda f: f.media_bytes >= 0.3,
                lambda f: f"{share(f.media_bytes, 1)} of the bytes are steady small packets both ways",
            ),
        ),
    ),
    # Peers that share nothing but the program: one connection each, ports of their own choosing.
    Rule(
        BurstClass.P2P_BULK,
        (_MANY_PEERS, _FEW_PER_PEER, _MANY_PORTS, _UNKNOWN_PORTS, _CARRIES_WEIGHT, _SOME_ANSWER),
        (Condition("spread", lambda f: f.spread >= 0.8, lambda f: f"spread {f.spread:.2f} over /16 networks"),),
    ),
    Rule(
        BurstClass.P2P_SYNC,
        (_MANY_PEERS, _FEW_PER_PEER, _MANY_PORTS, _UNKNOWN_PORTS, _SMALL, _SOME_ANSWER),
        (
            Condition("one_local_port", lambda f: f.one_local_port >= 0.4, _one_local_port),
            Condition("tiny", lambda f: f.tiny >= 0.4, lambda f: f"{share(f.tiny, 1)} had two packets or fewer"),
            Condition("total_bytes", lambda f: f.total_bytes < 10_000 * f.flows, _weight),
        ),
    ),
    # Many peers, one port: a node that looks for others, a server list, resolvers asked in turn.
    Rule(
        BurstClass.DISCOVERY,
        (
            Condition("peers", lambda f: f.peers >= 10, _peers),
            Condition("port_entropy", lambda f: f.port_entropy < 0.45, _ports),
            Condition("answered", lambda f: f.answered >= 0.5, _answered),
            Condition(
                "median_bytes",
                lambda f: (
                    (f.udp - f.service >= 0.6 and f.tiny >= 0.6) or (f.unknown_ports >= 0.6 and f.median_bytes < 5000)
                ),
                _few_bytes,
            ),
        ),
        (_FEW_PER_PEER, _MANY_PEERS),
    ),
    # A player fetches a segment, rests, and fetches the next (DASH, ISO/IEC 23009-1); a download never rests.
    Rule(
        BurstClass.STREAMING,
        (
            Condition("received", lambda f: f.received >= 0.75 and f.total_bytes >= 1_000_000, _received),
            Condition(
                "paced_bytes",
                lambda f: f.paced_bytes >= 0.5,
                lambda f: f"{share(f.paced_bytes, 1)} of the bytes came in connections that rest and go on",
            ),
        ),
        (Condition("web", lambda f: f.web + f.service >= 0.7, _one_port),),
    ),
    Rule(
        BurstClass.BULK_TRANSFER,
        (
            Condition(
                "heavy_bytes",
                lambda f: f.heavy_bytes >= 0.8 and f.total_bytes >= 1_000_000,
                _weight,
            ),
            # Download managers fetch one file over several connections, so few peers will do.
            Condition("peers", lambda f: f.peers <= 8 or f.top3_bytes >= 0.95, _peers),
        ),
    ),
    # The same seen through many small connections: one after another as the film goes on, where a page opens its all
    # at once (a page 20 to 30 in a second, a player 5: corpus).
    Rule(
        BurstClass.STREAMING,
        (
            Condition("received", lambda f: f.received >= 0.75 and f.total_bytes >= 1_000_000, _received),
            Condition(
                "together",
                lambda f: f.together <= 10,
                lambda f: f"they were opened one after another, {f.together:.0f} in a second as a rule",
            ),
            Condition("seconds", lambda f: f.seconds >= 30, lambda f: f"over {f.seconds:.0f} s"),
            Condition("web", lambda f: f.web + f.service >= 0.7, _one_port),
            Condition("median_bytes", lambda f: f.median_bytes >= 8000, _largest),
        ),
    ),
    Rule(
        BurstClass.WEB,
        (
            Condition(
                "web",
                lambda f: f.web >= 0.35 and f.web + f.service >= 0.7,
                lambda f: f"{share(f.web, 1)} went to web ports",
            ),
            Condition("answered", lambda f: f.answered >= 0.6, _answered),
            Condition("peers", lambda f: f.peers >= 3 or f.flows >= 20, _peers),
        ),
        (Condition("received", lambda f: f.received >= 0.5, _received),),
    ),
    Rule(
        BurstClass.CLIENT_SERVER,
        (
            Condition("busiest_peer_share", lambda f: f.busiest_peer_share >= 0.4 or f.peers <= 3, _peers),
            Condition("answered", lambda f: f.answered >= 0.5, _answered),
        ),
        (Condition("busiest_port_share", lambda f: f.busiest_port_share >= 0.5, _one_port),),
    ),
)

SURE_FROM = 50  # flows from which the number of flows no longer lowers confidence


def _confidence(rule: Rule, features: Features) -> float:
    """0.6 for what is needed, up to 0.95 with all support; less for few flows."""
    held = sum(condition.holds(features) for condition in rule.supports)
    support = held / len(rule.supports) if rule.supports else 0.5
    size = min(1.0, 0.5 + 0.5 * features.flows / SURE_FROM)
    return round((0.6 + 0.35 * support) * size, 2)


def _rule(features: Features) -> Rule | None:
    """The first rule whose conditions hold."""
    return next((rule for rule in RULES if all(condition.holds(features) for condition in rule.needs)), None)


def label(features: Features) -> BurstClass:
    """The class alone: working out the reasons takes much longer."""
    rule = _rule(features)
    return rule.label if rule is not None else BurstClass.UNKNOWN


def classify(features: Features) -> Classification:
    """The class of a set of flows with these features, with the reasons for it."""
    rule = _rule(features)
    if rule is not None:
        reasons = (*rule.needs, *(c for c in rule.supports if c.holds(features)))
        evidence = _evidence(features, reasons)
        return Classification(rule.label, _confidence(rule, features), evidence)
    shown = (_MANY_PEERS, _MANY_PORTS, _SOME_ANSWER, _SMALL)
    return Classification(BurstClass.UNKNOWN, 0.0, _evidence(features, shown))


def _evidence(features: Features, reasons: tuple[Condition, ...]) -> tuple[Evidence, ...]:
    found: dict[str, Evidence] = {}
    for condition in reasons:
        says = condition.says(features)
        if all(says != earlier.says for earlier in found.values()):
            value = float(getattr(features, condition.feature))
            found.setdefault(condition.feature, Evidence(condition.feature, round(value, 4), says))
    return tuple(found.values())
