"""What a burst, or a host, is doing: readable rules on features, each answer with its evidence. No payload is read.

A class has conditions that must all hold and others that support it. The first class whose conditions hold is taken,
in an order that tries the most specific first; without one, the class is `unknown`. Every number stands in the rules
below; where each comes from, and how well they do on captures they were not set on, is in docs/classes.md.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import numpy.typing as npt

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
    """A class, how sure (0 to 1), and why.

    `provisional`: of a beginning, more may come and change it. Without features (`None`) nothing was looked at.
    """

    label: BurstClass
    confidence: float
    evidence: tuple[Evidence, ...]
    provisional: bool = False
    features: Features | None = field(default=None, repr=False, compare=False)

    @property
    def would_change(self) -> tuple[str, ...]:
        """What would have given another class: a feature, its value, the threshold, that class.

        First what the class was decided on, then the rest; of each the nearest first.

        Worked out when asked for: it tries some sixty changes.
        """
        return _nearest_changes(self.features) if self.features is not None else ()


@dataclass(frozen=True, slots=True)
class Bound:
    """Where one feature must lie: at `value` or above, or else below it."""

    feature: str
    value: float
    at_least: bool

    def holds(self, features: Features) -> bool:
        seen: float = getattr(features, self.feature)
        return seen >= self.value if self.at_least else seen < self.value


def least(feature: str, value: float) -> Bound:
    return Bound(feature, value, at_least=True)


def below(feature: str, value: float) -> Bound:
    return Bound(feature, value, at_least=False)


@dataclass(frozen=True, slots=True)
class Condition:
    """Bounds that must all hold, in one of several ways; `says` puts into words what was seen."""

    ways: tuple[tuple[Bound, ...], ...]
    says: Callable[[Features], str]

    @property
    def feature(self) -> str:
        """The feature that its evidence names."""
        return self.ways[0][0].feature

    def holds(self, features: Features) -> bool:
        return any(all(bound.holds(features) for bound in way) for way in self.ways)

    def bounds(self) -> Iterable[Bound]:
        return (bound for way in self.ways for bound in way)


@dataclass(frozen=True, slots=True)
class Rule:
    """A class, what must hold for it, and what speaks for it besides."""

    label: BurstClass
    needs: tuple[Condition, ...]
    supports: tuple[Condition, ...] = ()

    def holds(self, features: Features) -> bool:
        return all(condition.holds(features) for condition in self.needs)


def _of(says: Callable[[Features], str], *bounds: Bound) -> Condition:
    return Condition((bounds,), says)


def _either(says: Callable[[Features], str], *ways: tuple[Bound, ...]) -> Condition:
    return Condition(ways, says)


def _few_bytes(f: Features) -> str:
    return f"half of the connections carried {size(f.median_bytes)} or less"


def _peers(f: Features) -> str:
    return f"{counted(f.flows, 'connection')} {'from' if f.inbound > 0.5 else 'with'} {counted(f.peers, 'peer')}"


def _per_peer(f: Features) -> str:
    return f"{f.flows_per_peer:.1f} connections per peer"


def _answered(f: Features) -> str:
    return f"{share(f.answered, 1)} of them were answered"


def _unanswered(f: Features) -> str:
    refused = f", {share(f.refused, 1)} refused" if f.refused else ""
    return f"{share(1 - f.answered, 1)} got no answer{refused}"


def _mute(f: Features) -> str:
    return f"in {share(f.mute, 1)} nothing was said: no answer, or a handshake without a word after it"


def _ports(f: Features) -> str:
    return f"{f.ports} different ports at the other end" if f.ports != 1 else f"all to port {f.busiest_port}"


def _one_local_port(f: Features) -> str:
    return f"{share(f.one_local_port, 1)} left from one local UDP port"


def _not_one_socket(f: Features) -> str:
    return f"{share(1 - f.one_local_port, 1)} did not share one local UDP port, as a program that knows peers does"


def _one_target(f: Features) -> str:
    return f"{share(f.target_share, 1)} went to one address and port ({f.busiest_port})"


def _rate(f: Features) -> str:
    return f"up to {f.per_second} new connections in one second"


def _one_port(f: Features) -> str:
    return f"{share(f.busiest_port_share, 1)} went to port {f.busiest_port}"


def _weight(f: Features) -> str:
    return f"{size(f.total_bytes)} in all, {share(f.top3_bytes, 1)} of it in three connections"


def _full_packets(f: Features) -> str:
    return f"{size(f.total_bytes)} in all, {f.packet_bytes:.0f} octets in a packet on average"


def _received(f: Features) -> str:
    return f"{share(f.received, 1)} of {size(f.total_bytes)} was received"


def _spread(f: Features) -> str:
    return f"spread {f.spread:.2f} over /16 networks"


def _tiny(f: Features) -> str:
    return f"{share(f.tiny, 1)} had two packets or fewer"


def _unknown_ports(f: Features) -> str:
    return f"{share(f.unknown_ports, 1)} went to ports that no known service has"


def _web_ports(f: Features) -> str:
    return f"{share(f.web, 1)} went to web ports"


def _one_peer(f: Features) -> str:
    return f"{share(f.top_peer_bytes, 1)} of the bytes were exchanged with one peer"


def _asks(f: Features) -> str:
    return f"{share(f.service, 1)} were questions to services (names, time, addresses)"


FEW_BYTES = 20_000  # a host of few connections and less than this has done nothing that has a name
LEAST_OUTCOMES = 15  # fewer outcomes say nothing (TRW misjudges a login after 4: docs/classes.md)

_MANY_PEERS = _of(_peers, least("peers", 10))
_FEW_PER_PEER = _of(_per_peer, below("flows_per_peer", 3))
# Each peer has a port of its own choosing; or, where a program keeps one port everywhere, it also talks to all of them
# through one socket, and more than a question and its answer.
_PEERS_PORTS = _either(
    _ports,
    (least("port_entropy", 0.45), least("ports", 8)),
    (least("one_local_port", 0.6), below("tiny", 0.6)),
)
_UNKNOWN_PORTS = _of(_unknown_ports, least("unknown_ports", 0.4))
_CARRIES_WEIGHT = _either(
    _full_packets,
    (least("packet_bytes", 380), least("total_bytes", 500_000)),
    (least("largest_bytes", 500_000), least("packet_bytes", 300)),
    (least("top3_bytes", 0.9), least("total_bytes", 200_000), least("packet_bytes", 300)),
)
_SMALL = _of(_few_bytes, below("median_bytes", 64_000))
# Somebody gave something: more than the packet or two with which a node answers a question.
_FETCHED_SOMETHING = _of(
    lambda f: f"the largest connection carried {size(f.largest_bytes)}", least("largest_bytes", 3000)
)
_SOME_ANSWER = _of(_answered, least("answered", 0.1))
_FETCHED = _of(_received, least("received", 0.75), least("total_bytes", 1_000_000))
_TO_SERVICES = _of(_web_ports, least("web", 0.35), below("unknown_ports", 0.3))

RULES = (
    # A flood hits one address and port, fast, and nothing is ever said: the target may well answer each SYN, or even
    # accept each connection.
    Rule(
        BurstClass.FLOOD,
        (
            _of(_one_target, least("target_share", 0.8), least("flows", 100)),
            _of(_mute, least("mute", 0.8)),
            _of(_rate, least("per_second", 50)),
        ),
        (_of(_tiny, least("tiny", 0.8)),),
    ),
    # The same sprayed over a victim's ports from many addresses: a scan comes from few.
    Rule(
        BurstClass.FLOOD,
        (
            _of(_peers, least("inbound", 0.9), least("peers", 50), least("flows", 100)),
            _of(_unanswered, below("answered", 0.05)),
            _of(_rate, least("per_second", 200)),
        ),
        (_of(_tiny, least("tiny", 0.8)),),
    ),
    # Zeek's scan.zeek: more than 15 ports on a host, or more than 25 hosts on a port, of failed connections.
    Rule(
        BurstClass.SCAN,
        (
            _of(_unanswered, below("answered", 0.4), least("flows", LEAST_OUTCOMES)),
            _of(_mute, least("mute", 0.7)),
            _of(
                lambda f: f"{f.ports_of_busiest_peer} ports of one host were tried",
                least("ports_of_busiest_peer", 16),
                least("busiest_peer_share", 0.5),
            ),
        ),
        (_of(_tiny, least("tiny", 0.8)),),
    ),
    # A program that meets its peers at one port of all of them uses one socket; what nobody answers is no meeting.
    Rule(
        BurstClass.SCAN,
        (
            _of(_one_port, least("busiest_port_share", 0.8), least("peers", 26)),
            _of(_mute, least("mute", 0.9), below("answered", 0.4)),
            _either(_not_one_socket, (below("one_local_port", 0.5),), (below("answered", 0.05), least("mute", 0.95))),
        ),
        (_FEW_PER_PEER,),
    ),
    # Neighbouring addresses, one after another: peers live all over the world.
    Rule(
        BurstClass.SCAN,
        (
            _of(_spread, below("spread", 0.1), least("peers", 26)),
            _of(_mute, least("mute", 0.9), below("answered", 0.2)),
            _of(_not_one_socket, below("one_local_port", 0.5)),
            _of(_peers, below("inbound", 0.5)),
        ),
    ),
    # Random addresses and ports of which none answers: nothing that lives finds so little. A login behind a gateway
    # that drops all UDP does, but from one socket.
    Rule(
        BurstClass.SCAN,
        (
            _of(_unanswered, below("answered", 0.03), least("flows", 100)),
            _of(_mute, least("mute", 0.97)),
            _of(_not_one_socket, below("one_local_port", 0.5)),
            _of(_peers, below("inbound", 0.5)),
        ),
    ),
    Rule(
        BurstClass.SPAM,
        (
            _either(
                lambda f: f"{share(f.mail, 1)} went to mail servers' ports",
                (least("mail", 0.5),),
                (least("mail", 0.3), below("web", 0.1), below("unknown_ports", 0.1)),
            ),
            _of(_peers, least("peers", 10)),
        ),
        (_FEW_PER_PEER,),
    ),
    # A call's own bytes name it, however many peers its set-up tried.
    Rule(
        BurstClass.CALL,
        (
            _of(
                lambda f: f"{share(f.talk_bytes, 1)} of the bytes are steady UDP exchanges that both sides fill",
                least("talk_bytes", 0.35),
            ),
            # People talk to one another, or through one server; a program that keeps up with all its friends does not.
            _either(_one_peer, (least("top_peer_bytes", 0.25),), (below("peers", 10),)),
        ),
        (_of(_one_peer, least("top_peer_bytes", 0.5)),),
    ),
    # Peers that share nothing but the program: one connection each, ports of their own choosing.
    Rule(
        BurstClass.P2P_BULK,
        (_MANY_PEERS, _FEW_PER_PEER, _PEERS_PORTS, _UNKNOWN_PORTS, _CARRIES_WEIGHT, _SOME_ANSWER),
        (_of(_spread, least("spread", 0.8)),),
    ),
    Rule(
        BurstClass.P2P_SYNC,
        (_MANY_PEERS, _FEW_PER_PEER, _PEERS_PORTS, _UNKNOWN_PORTS, _SMALL, _FETCHED_SOMETHING, _SOME_ANSWER),
        (
            _of(_one_local_port, least("one_local_port", 0.4)),
            _of(_tiny, least("tiny", 0.4)),
            _of(_full_packets, below("packet_bytes", 300)),
        ),
    ),
    # The same shape, and nothing but questions and answers: a node that looks something up among its peers.
    Rule(
        BurstClass.DISCOVERY,
        (
            _MANY_PEERS,
            _FEW_PER_PEER,
            _PEERS_PORTS,
            _UNKNOWN_PORTS,
            _of(lambda f: f"the largest connection carried {size(f.largest_bytes)}", below("largest_bytes", 3000)),
            _SOME_ANSWER,
        ),
        (_of(_one_local_port, least("one_local_port", 0.4)),),
    ),
    # Many peers, one port: a node that looks for others, a server list, resolvers asked in turn.
    Rule(
        BurstClass.DISCOVERY,
        (
            _of(_peers, least("peers", 10)),
            _of(_ports, below("port_entropy", 0.45)),
            _of(_answered, least("answered", 0.5)),
            _either(
                _few_bytes,
                (least("udp", 0.6), least("tiny", 0.6), below("service", 0.4)),
                (least("unknown_ports", 0.6), below("median_bytes", 5000)),
            ),
        ),
        (_FEW_PER_PEER, _MANY_PEERS),
    ),
    # A resolver that asks the world itself; a guest asks one or two.
    Rule(
        BurstClass.DISCOVERY,
        (
            _of(_asks, least("service", 0.8)),
            _of(_peers, least("peers", 10), below("busiest_peer_share", 0.4)),
            _of(_answered, least("answered", 0.5)),
        ),
    ),
    # A player fetches a segment, rests, and fetches the next (DASH, ISO/IEC 23009-1); a download never rests.
    Rule(
        BurstClass.STREAMING,
        (
            _FETCHED,
            _of(
                lambda f: f"{share(f.paced_bytes, 1)} of the bytes came in connections that rest and go on",
                least("paced_bytes", 0.5),
            ),
        ),
        (_TO_SERVICES,),
    ),
    # A player that opens a connection for each segment does so by the clock of the film.
    Rule(
        BurstClass.STREAMING,
        (
            _FETCHED,
            _of(
                lambda f: f"{share(f.clocked, 1)} of the heavy connections came at equal distances",
                least("clocked", 0.6),
            ),
            _of(_one_peer, least("top_peer_bytes", 0.6)),
        ),
        (_TO_SERVICES,),
    ),
    Rule(
        BurstClass.BULK_TRANSFER,
        (
            _of(_weight, least("heavy_bytes", 0.8), least("total_bytes", 1_000_000)),
            # Download managers fetch one file over several connections, so one peer it is all the same.
            _of(_one_peer, least("top_peer_bytes", 0.6)),
        ),
    ),
    # A film through many small connections: one after another as it goes on, where a page opens its all at once (a
    # page 20 to 30 in a second, a player 5).
    Rule(
        BurstClass.STREAMING,
        (
            _FETCHED,
            _of(
                lambda f: f"they were opened one after another, {f.together:.0f} in a second as a rule",
                below("together", 11),
            ),
            _of(lambda f: f"over {f.seconds:.0f} s", least("seconds", 30)),
            _TO_SERVICES,
            _of(_few_bytes, least("median_bytes", 8000)),
        ),
    ),
    # A page comes from a few hosts, several connections at once, and something in it has weight.
    Rule(
        BurstClass.WEB,
        (
            _TO_SERVICES,
            _of(_answered, least("answered", 0.6)),
            _either(_peers, (least("peers", 3),), (least("flows", 20),)),
            _either(
                _received,
                (least("received", 0.75),),
                (least("largest_bytes", 20_000), least("together", 4)),
            ),
        ),
        (_of(_received, least("received", 0.75)),),
    ),
    Rule(
        BurstClass.CLIENT_SERVER,
        (
            _either(_peers, (least("busiest_peer_share", 0.4),), (below("peers", 4),), (below("unknown_ports", 0.3),)),
            _of(_answered, least("answered", 0.5)),
        ),
        (_of(_one_port, least("busiest_port_share", 0.5)),),
    ),
)

SURE_FROM = 50  # flows from which the number of flows no longer lowers confidence
PROVISIONAL_SHARE = 0.7  # of the confidence that a whole burst would have


def _confidence(rule: Rule, features: Features) -> float:
    """0.6 for what is needed, up to 0.95 with all support; less for few flows."""
    held = sum(condition.holds(features) for condition in rule.supports)
    support = held / len(rule.supports) if rule.supports else 0.5
    size = min(1.0, 0.5 + 0.5 * features.flows / SURE_FROM)
    return (0.6 + 0.35 * support) * size


def _rule(features: Features, rules: tuple[Rule, ...]) -> Rule | None:
    return next((rule for rule in rules if rule.holds(features)), None)


def labels(rows: npt.NDArray[np.void]) -> list[BurstClass]:
    """The class alone of each of many sets of flows, by rows of features.FEATURES: reasons take much longer."""

    def holds(condition: Condition) -> npt.NDArray[np.bool_]:
        ways = [np.logical_and.reduce([_bound_holds(bound, rows) for bound in way]) for way in condition.ways]
        found: npt.NDArray[np.bool_] = np.logical_or.reduce(ways)
        return found

    left, found = np.ones(rows.size, np.bool_), np.full(rows.size, len(RULES))
    for number, rule in enumerate(RULES):
        held = np.logical_and.reduce([left, *(holds(condition) for condition in rule.needs)])
        found[held] = number
        left &= ~held
    classes = [*(rule.label for rule in RULES), BurstClass.UNKNOWN]
    return [classes[number] for number in found.tolist()]


def _bound_holds(bound: Bound, rows: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    column = rows[bound.feature]
    held: npt.NDArray[np.bool_] = column >= bound.value if bound.at_least else column < bound.value
    return held


def classify(features: Features, *, provisional: bool = False, rules: tuple[Rule, ...] = RULES) -> Classification:
    """The class of a set of flows with these features, with the reasons for it.

    `provisional` says that they are the first of more; the class then says so too, and is less sure.
    """
    rule = _rule(features, rules)
    reasons: tuple[Condition, ...]
    if rule is None:
        found, confidence, reasons = BurstClass.UNKNOWN, 0.0, (_MANY_PEERS, _PEERS_PORTS, _SOME_ANSWER, _SMALL)
    else:
        found, confidence = rule.label, _confidence(rule, features)
        reasons = (*rule.needs, *(c for c in rule.supports if c.holds(features)))
    evidence = _evidence(features, reasons)
    if provisional:
        confidence *= PROVISIONAL_SHARE
        says = f"provisional: judged on its first {max(features.seconds, 1):.0f} s"
        evidence += (Evidence("seconds", round(features.seconds, 4), says),)
    return Classification(found, round(confidence, 2), evidence, provisional, features)


def says_something(flows: npt.NDArray[np.int64], ip_bytes: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Per host, whether one with so many flows and bytes can have a class at all."""
    enough: npt.NDArray[np.bool_] = (flows >= LEAST_OUTCOMES) | (ip_bytes >= FEW_BYTES)
    return enough


def _evidence(features: Features, reasons: tuple[Condition, ...]) -> tuple[Evidence, ...]:
    found: dict[str, Evidence] = {}
    for condition in reasons:
        says = condition.says(features)
        if all(says != earlier.says for earlier in found.values()):
            value = float(getattr(features, condition.feature))
            found.setdefault(condition.feature, Evidence(condition.feature, round(value, 4), says))
    return tuple(found.values())


# --- what would have changed it --------------------------------------------------------------------------------------

NAMED = 3  # changes that are told
_COUNTS = ("flows", "peers", "ports", "ports_of_busiest_peer", "per_second")
_SIZES = ("median_bytes", "total_bytes", "largest_bytes")
_WORDS = {
    "flows": "connections",
    "peers": "peers",
    "ports": "different ports at the other end",
    "ports_of_busiest_peer": "ports tried of one host",
    "per_second": "most new connections in a second",
    "together": "connections opened together, as a rule",
    "flows_per_peer": "connections per peer",
    "seconds": "seconds from the first connection to the last",
    "port_entropy": "entropy of the ports at the other end",
    "spread": "/16 networks per peer",
    "packet_bytes": "octets in a packet on average",
    "median_bytes": "median size of a connection",
    "total_bytes": "bytes in all",
    "largest_bytes": "bytes of the largest connection",
    "unknown_ports": "share to ports that no known service has",
    "one_local_port": "share from one local UDP port",
    "busiest_peer_share": "share of connections with one peer",
    "busiest_port_share": "share to one port",
    "target_share": "share to one address and port",
    "udp": "share of UDP",
    "answered": "share answered",
    "inbound": "share opened from outside",
    "tiny": "share of two packets or fewer",
    "top3_bytes": "byte share of the three largest connections",
    "received": "share of bytes received",
    "heavy_bytes": "byte share of heavy connections",
    "talk_bytes": "byte share of steady UDP exchanges that both sides fill",
    "paced_bytes": "byte share of connections that rest and go on",
    "top_peer_bytes": "byte share of one peer",
    "clocked": "share of heavy connections at equal distances",
    "mail": "share to mail ports",
    "web": "share to web ports",
    "service": "share to names, time and address services",
    "mute": "share in which nothing was said",
}


def _number(feature: str, value: float) -> str:
    if feature in _SIZES:
        return size(value)
    return f"{value:.0f}" if feature in _COUNTS else f"{value:.3g}"


def _just_below(bound: Bound) -> float:
    return bound.value - 1 if bound.feature in _COUNTS else math.nextafter(bound.value, -math.inf)


def _distance(seen: float, wanted: float) -> float:
    """How far apart: in shares as they are, in counts and sizes by their ratio."""
    if max(seen, wanted) <= 1:
        return abs(seen - wanted)
    return abs(math.log2(max(seen, 0.5) / max(wanted, 0.5)))


def _nearest_changes(features: Features) -> tuple[str, ...]:
    rule = _rule(features, RULES)
    label = rule.label if rule is not None else BurstClass.UNKNOWN
    bounds = dict.fromkeys(bound for each in RULES for condition in each.needs for bound in condition.bounds())
    decided = {bound.feature for condition in rule.needs for bound in condition.bounds()} if rule is not None else set()
    found: list[tuple[bool, float, str, str]] = []
    for bound in bounds:
        seen = float(getattr(features, bound.feature))
        is_above = bound.holds(features) == bound.at_least
        wanted = _just_below(bound) if is_above else bound.value
        changed = _rule(dataclasses.replace(features, **{bound.feature: wanted}), RULES)  # type: ignore[arg-type]
        other = changed.label if changed is not None else BurstClass.UNKNOWN
        if other is not label:
            side = "below" if is_above else "from"
            text = (
                f"{_WORDS[bound.feature]} {_number(bound.feature, seen)};"
                f" {side} {_number(bound.feature, bound.value)} it would be {other.value}"
            )
            found.append((bound.feature not in decided, _distance(seen, wanted), bound.feature, text))
    told: dict[str, str] = {}
    for _aside, _far, feature, text in sorted(found):
        told.setdefault(feature, text)
    return tuple(told.values())[:NAMED]
