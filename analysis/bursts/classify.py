"""What a burst, or a host, is doing: readable rules on features, each answer with its evidence. No payload is read.

A class has conditions that must all hold and others that support it. The first class whose conditions hold is taken,
in an order that tries the most specific first; without one, the class is `unknown`. Every number stands in the rules
below; where each comes from, and how well they do on captures they were not set on, is in docs/classes.md.
"""

import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from peerburst.analysis.bursts.features import Features
from peerburst.analysis.humanize import counted, share, size
from peerburst.capture.vocabulary import TrafficClass


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

    label: TrafficClass
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
        return self.admits(getattr(features, self.feature))

    def admits(self, seen: float) -> bool:
        """Whether the feature may have this value."""
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

    label: TrafficClass
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
    return f"{counted(f.connections, 'connection')} {'from' if f.inbound > 0.5 else 'with'} {counted(f.peers, 'peer')}"


def _per_peer(f: Features) -> str:
    return f"{f.flows_per_peer:.1f} connections per peer"


def _answered(f: Features) -> str:
    return f"{share(f.answered, 1)} of them were answered"


def _unanswered(f: Features) -> str:
    refused = f", {share(f.refused, 1)} refused" if f.refused else ""
    return f"{share(1 - f.answered, 1)} got no answer{refused}"


def _mute(f: Features) -> str:
    return f"in {share(f.mute, 1)} the other end said nothing: no answer, or a handshake without a word after it"


def _ports(f: Features) -> str:
    return f"{f.ports} different ports at the other end" if f.ports != 1 else f"all to port {f.busiest_port}"


def _one_local_port(f: Features) -> str:
    return f"{share(f.one_local_port, 1)} left from one local UDP port"


def _one_target(f: Features) -> str:
    if f.target_share < 0.5:
        return (
            f"{share(f.busiest_peer_share, 1)} went to one address, {f.packet_bytes:.0f} bytes in a packet on average"
        )
    return f"{share(f.target_share, 1)} went to one address and port ({f.busiest_port})"


def _rate(f: Features) -> str:
    return f"up to {f.per_second} new connections in one second"


def _one_port(f: Features) -> str:
    return f"{share(f.busiest_port_share, 1)} went to port {f.busiest_port}"


def _weight(f: Features) -> str:
    if f.heavy_bytes < 0.5:
        return _full_packets(f)
    return f"{size(f.total_bytes)} in all, {share(f.top3_bytes, 1)} of it in three connections"


def _full_packets(f: Features) -> str:
    return f"{size(f.total_bytes)} in all, {f.packet_bytes:.0f} bytes in a packet on average"


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
    if f.service >= 0.5:
        asked = counted(f.service_peers, "server")
        return f"{share(f.service, 1)} of {f.flows} were questions to {asked} (names, time, ping)"
    return f"{share(f.tiny, 1)} were a question or a question and its answer, {share(f.udp, 1)} by UDP"


def _largest(f: Features) -> str:
    return f"the largest connection carried {size(f.largest_bytes)}"


def _heavy_rate(f: Features) -> str:
    return f"{size(f.heavy_rate)} a second while they lasted"


def _paced(f: Features) -> str:
    if f.paced_bytes < 0.5:
        return f"{share(f.film, 1)} went to ports of streaming servers"
    return f"{share(f.paced_bytes, 1)} of the bytes came in connections that rest and go on, or by the clock"


def _together(f: Features) -> str:
    return f"{f.together:.0f} opened together as a rule, from {counted(f.peers, 'host')}; {size(f.total_bytes)} in all"


FEW_BYTES = 20_000  # a host of few connections and less than this has done nothing that has a name
FEW_FLOWS = 10  # as many as the smallest burst has
LEAST_OUTCOMES = 15  # fewer outcomes accuse nobody (TRW misjudges a login after 4: docs/classes.md)

# Those who come to a host may be peers, or the clients of a server.
_MANY_PEERS = _of(_peers, least("peers", 5), below("inbound", 0.6))
_FEW_PER_PEER = _of(_per_peer, below("flows_per_peer", 5))
# Each peer has a port of its own choosing, unless the program keeps one port everywhere.
_OWN_PORTS = _of(_ports, least("port_entropy", 0.45))
_UNKNOWN_PORTS = _of(_unknown_ports, least("unknown_ports", 0.4))
_SOME_ANSWER = _of(_answered, least("answered", 0.1))
_MOST_ANSWER = _of(_answered, least("answered", 0.5))
# What weighs is what the peers give: who syncs may download something from a server meanwhile.
_FULL_PACKETS = _of(
    _full_packets, least("packet_bytes", 400), least("largest_bytes", 64_000), least("unknown_bytes", 0.5)
)
# Somebody gave something: more than the packet or two with which a node answers a question.
_FETCHED_SOMETHING = _of(_largest, least("largest_bytes", 6000))
_FETCHED_NOTHING = _of(_largest, below("largest_bytes", 6000))
_SMALL = _of(_few_bytes, below("median_bytes", 64_000))
_FETCHED = _of(_received, least("received", 0.75), least("total_bytes", 1_000_000))
_TO_WEB_PORTS = _of(_web_ports, least("web", 0.5))

RULES = (
    # A flood hits one address and port, fast, and no word ever comes back: the target may well answer each SYN, accept
    # each connection, even wait for a request that never ends. Or all ports of an address, with more in each packet
    # than a scan has a use for.
    Rule(
        TrafficClass.FLOOD,
        (
            _either(
                _one_target,
                (least("target_share", 0.8),),
                (least("busiest_peer_share", 0.8), least("packet_bytes", 200)),
            ),
            _of(_mute, least("mute", 0.85)),
            # Who asks a resolver that is down, or counts something by UDP, gets no word back either.
            _either(
                _rate,
                (least("per_second", 50), least("connections", 100)),
                (least("per_second", 10), below("udp", 0.5), least("connections", 100)),
            ),
        ),
        (_of(_tiny, least("tiny", 0.8)),),
    ),
    # The same sprayed over a victim's ports from many addresses: a scan comes from few.
    Rule(
        TrafficClass.FLOOD,
        (
            _of(_peers, least("inbound", 0.9), least("peers", 50), least("connections", 100)),
            _of(_unanswered, below("answered", 0.05)),
            _of(_rate, least("per_second", 200)),
        ),
        (_of(_tiny, least("tiny", 0.8)),),
    ),
    # Zeek's scan.zeek: more than 15 ports on a host, or more than 25 hosts on a port, of failed connections.
    Rule(
        TrafficClass.SCAN,
        (
            _of(_unanswered, below("answered", 0.5), least("connections", LEAST_OUTCOMES)),
            _of(_mute, least("mute", 0.7)),
            _of(
                lambda f: f"{f.ports_of_busiest_peer} ports of one host were tried",
                least("ports_of_busiest_peer", 16),
                least("busiest_peer_share", 0.5),
            ),
        ),
        (_of(_tiny, least("tiny", 0.8)),),
    ),
    # Many hosts in vain: on one port, or neighbours, or none of whom is there. A program that has met its peers before
    # does that too, but from one UDP socket; and of its peers some are there.
    Rule(
        TrafficClass.SCAN,
        (
            _of(_peers, least("peers", 26), below("inbound", 0.5)),
            _of(_mute, least("mute", 0.8), below("answered", 0.4)),
            _either(
                _one_port,
                (least("busiest_port_share", 0.8), least("mute", 0.9), below("one_local_port", 0.5)),
                (least("busiest_port_share", 0.8), below("answered", 0.05)),
                (below("spread", 0.1), below("one_local_port", 0.5)),
                (below("answered", 0.05), least("connections", 100), below("one_local_port", 0.5)),
            ),
        ),
        (_FEW_PER_PEER,),
    ),
    Rule(
        TrafficClass.SPAM,
        (
            _of(lambda f: f"{share(f.mail, 1)} went to mail servers' ports", least("mail", 0.5)),
            _of(_peers, least("peers", 10)),
        ),
        (_FEW_PER_PEER,),
    ),
    # A call's own bytes name it, however many peers its set-up tried.
    Rule(
        TrafficClass.CALL,
        (
            _of(
                lambda f: (
                    f"{share(f.talk_bytes, 1)} of the bytes are steady UDP exchanges, with one peer, that both fill"
                ),
                least("talk_bytes", 0.35),
            ),
        ),
        (_of(_one_peer, least("top_peer_bytes", 0.5)),),
    ),
    # Peers that share nothing but the program: one connection each, to ports that no service has.
    Rule(
        TrafficClass.P2P_BULK,
        (_MANY_PEERS, _FEW_PER_PEER, _UNKNOWN_PORTS, _SOME_ANSWER, _FULL_PACKETS),
        (_OWN_PORTS, _of(_spread, least("spread", 0.8))),
    ),
    Rule(
        TrafficClass.P2P_SYNC,
        (_MANY_PEERS, _FEW_PER_PEER, _UNKNOWN_PORTS, _SOME_ANSWER, _FETCHED_SOMETHING),
        (
            _SMALL,
            _OWN_PORTS,
            _of(_one_local_port, least("one_local_port", 0.4)),
            _of(_full_packets, below("packet_bytes", 300)),
        ),
    ),
    # The same shape, and nothing but questions and answers: a node that looks something up among its peers.
    Rule(
        TrafficClass.DISCOVERY,
        (_MANY_PEERS, _FEW_PER_PEER, _UNKNOWN_PORTS, _SOME_ANSWER, _FETCHED_NOTHING),
        (_OWN_PORTS, _of(_one_local_port, least("one_local_port", 0.4))),
    ),
    # A resolver that asks the world itself, where a guest asks one or two; or servers of any kind asked in turn.
    Rule(
        TrafficClass.DISCOVERY,
        (
            _MOST_ANSWER,
            _either(
                _asks,
                (least("service", 0.5), least("service_peers", 10)),
                (least("tiny", 0.5), least("udp", 0.5), least("peers", 10)),
            ),
        ),
    ),
    # A player fetches a segment, rests, and fetches the next (DASH, ISO/IEC 23009-1), where a download never rests; or
    # the film comes by the clock, one way (RTP), or from a port that serves nothing else.
    Rule(
        TrafficClass.STREAMING,
        (
            _FETCHED,
            _either(
                _paced,
                (least("paced_bytes", 0.5), least("top_peer_bytes", 0.5), least("heavy_rate", 18_000)),
                (least("film", 0.5),),
            ),
        ),
        (_TO_WEB_PORTS,),
    ),
    # A player that opens a connection for each segment does so by the clock of the film.
    Rule(
        TrafficClass.STREAMING,
        (
            _FETCHED,
            _of(
                lambda f: f"{share(f.clocked, 1)} of the heavy connections came at equal distances",
                least("clocked", 0.6),
            ),
        ),
        (_TO_WEB_PORTS, _of(_one_peer, least("top_peer_bytes", 0.6))),
    ),
    # Download managers fetch one file over several connections, so one peer it is all the same; a tree of small files
    # comes in full packets, though no connection carries weight. A chat that goes on for hours carries weight as well,
    # but never fast.
    Rule(
        TrafficClass.BULK_TRANSFER,
        (
            _of(_one_peer, least("top_peer_bytes", 0.6), least("total_bytes", 1_000_000)),
            _either(
                _weight,
                (least("heavy_bytes", 0.7), least("heavy_rate", 18_000)),
                (least("packet_bytes", 400), below("web", 0.5)),
            ),
        ),
        (_of(_heavy_rate, least("heavy_rate", 18_000)),),
    ),
    # A page opens several connections at once, and something in it has weight; or it comes from several hosts.
    Rule(
        TrafficClass.WEB,
        (
            _TO_WEB_PORTS,
            _MOST_ANSWER,
            _either(
                _together,
                (least("together", 4), below("tiny", 0.5)),
                (least("received", 0.75), least("peers", 3)),
            ),
        ),
        (_of(_received, least("received", 0.75)),),
    ),
    # What remains, where most answer: a server or a few, or servers of known services.
    Rule(
        TrafficClass.CLIENT_SERVER,
        (
            _MOST_ANSWER,
            _either(_peers, (least("busiest_peer_share", 0.4),), (below("peers", 4),), (below("unknown_ports", 0.4),)),
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


def labels(rows: npt.NDArray[np.void]) -> list[TrafficClass]:
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
    classes = [*(rule.label for rule in RULES), TrafficClass.UNKNOWN]
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
        found, confidence, reasons = TrafficClass.UNKNOWN, 0.0, (_MANY_PEERS, _UNKNOWN_PORTS, _SOME_ANSWER, _SMALL)
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
    enough: npt.NDArray[np.bool_] = (flows >= FEW_FLOWS) | (ip_bytes >= FEW_BYTES)
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
_COUNTS = ("connections", "peers", "ports", "ports_of_busiest_peer", "per_second", "service_peers")
_SIZES = ("median_bytes", "total_bytes", "largest_bytes", "heavy_rate")
_WORDS = {
    "connections": "connections",
    "service_peers": "servers asked for names, time or a ping",
    "heavy_rate": "bytes a second of heavy connections",
    "peers": "peers",
    "ports": "different ports at the other end",
    "ports_of_busiest_peer": "ports tried of one host",
    "per_second": "most new connections in a second",
    "together": "connections opened together, as a rule",
    "flows_per_peer": "connections per peer",
    "seconds": "seconds from the first connection to the last",
    "port_entropy": "entropy of the ports at the other end",
    "spread": "/16 networks per peer",
    "packet_bytes": "bytes in a packet on average",
    "median_bytes": "median size of a connection",
    "total_bytes": "bytes in all",
    "largest_bytes": "bytes of the largest connection",
    "unknown_ports": "share to ports that no known service has",
    "unknown_bytes": "byte share of ports that no known service has",
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
    "paced_bytes": "byte share of connections that rest and go on, or come by the clock",
    "film": "share to ports of streaming servers",
    "top_peer_bytes": "byte share of one peer",
    "clocked": "share of heavy connections at equal distances",
    "mail": "share to mail ports",
    "web": "share to web ports",
    "service": "share to names, time and address services",
    "mute": "share in which the other end said nothing",
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


@dataclass(frozen=True, slots=True)
class _Questions:
    """What the rules ask, a bit for each bound: which of them hold is all that a class depends on."""

    bits: dict[Bound, int]
    of_feature: dict[str, tuple[Bound, ...]]
    needs: tuple[tuple[TrafficClass, tuple[tuple[int, ...], ...]], ...]  # by rule and condition, the bits of each way

    def label(self, held: int) -> TrafficClass:
        """The class where just these bounds hold."""
        for label, conditions in self.needs:
            if all(any(held & way == way for way in ways) for ways in conditions):
                return label
        return TrafficClass.UNKNOWN


@functools.cache
def _questions() -> _Questions:
    bounds = dict.fromkeys(bound for rule in RULES for condition in rule.needs for bound in condition.bounds())
    bits = {bound: 1 << i for i, bound in enumerate(bounds)}
    of_feature = {one.feature: tuple(bound for bound in bounds if bound.feature == one.feature) for one in bounds}
    needs = tuple(
        (rule.label, tuple(tuple(sum(bits[bound] for bound in way) for way in need.ways) for need in rule.needs))
        for rule in RULES
    )
    return _Questions(bits, of_feature, needs)


def _nearest_changes(features: Features) -> tuple[str, ...]:
    rule = _rule(features, RULES)
    label = rule.label if rule is not None else TrafficClass.UNKNOWN
    decided = {bound.feature for condition in rule.needs for bound in condition.bounds()} if rule is not None else set()
    questions = _questions()
    held = sum(bit for bound, bit in questions.bits.items() if bound.holds(features))
    found: list[tuple[bool, float, str, str]] = []
    for bound, bit in questions.bits.items():
        seen = float(getattr(features, bound.feature))
        is_above = (held & bit != 0) == bound.at_least
        wanted = _just_below(bound) if is_above else bound.value
        changed = held
        for same in questions.of_feature[bound.feature]:
            changed = changed | questions.bits[same] if same.admits(wanted) else changed & ~questions.bits[same]
        other = questions.label(changed)
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
