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

from peerburst.analysis.bursts.features import ALL, Features, Unit
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
    whence = "from" if f.inbound_share > 0.5 else "with"
    return f"{counted(f.connection_count, 'connection')} {whence} {counted(f.peer_count, 'peer')}"


def _per_peer(f: Features) -> str:
    return f"{f.flows_per_peer:.1f} connections per peer"


def _answered(f: Features) -> str:
    return f"{share(f.answered_share, 1)} of them were answered"


def _unanswered(f: Features) -> str:
    refused = f", {share(f.refused_share, 1)} refused" if f.refused_share else ""
    return f"{share(1 - f.answered_share, 1)} got no answer{refused}"


def _mute(f: Features) -> str:
    return f"in {share(f.mute_share, 1)} the other end said nothing: no answer, or a handshake without a word after it"


def _ports(f: Features) -> str:
    return f"{f.port_count} different ports at the other end" if f.port_count != 1 else f"all to port {f.busiest_port}"


def _one_local_port(f: Features) -> str:
    return f"{share(f.one_local_port_share, 1)} left from one local UDP port"


def _one_target(f: Features) -> str:
    if f.busiest_target_share < 0.5:
        per_packet = f"{f.bytes_per_packet:.0f} bytes in a packet on average"
        return f"{share(f.busiest_peer_share, 1)} went to one address, {per_packet}"
    return f"{share(f.busiest_target_share, 1)} went to one address and port ({f.busiest_port})"


def _rate(f: Features) -> str:
    return f"up to {f.most_new_per_s} new connections in one second"


def _one_port(f: Features) -> str:
    return f"{share(f.busiest_port_share, 1)} went to port {f.busiest_port}"


def _weight(f: Features) -> str:
    if f.heavy_bytes_share < 0.5:
        return _full_packets(f)
    return f"{size(f.total_bytes)} in all, {share(f.top3_bytes_share, 1)} of it in three connections"


def _full_packets(f: Features) -> str:
    return f"{size(f.total_bytes)} in all, {f.bytes_per_packet:.0f} bytes in a packet on average"


def _received(f: Features) -> str:
    return f"{share(f.received_bytes_share, 1)} of {size(f.total_bytes)} was received"


def _spread(f: Features) -> str:
    return f"spread {f.prefixes_per_peer:.2f} over /16 networks"


def _tiny(f: Features) -> str:
    return f"{share(f.tiny_share, 1)} had two packets or fewer"


def _unknown_ports(f: Features) -> str:
    return f"{share(f.unknown_port_share, 1)} went to ports that no known service has"


def _web_ports(f: Features) -> str:
    return f"{share(f.web_port_share, 1)} went to web ports"


def _one_peer(f: Features) -> str:
    return f"{share(f.top_peer_bytes_share, 1)} of the bytes were exchanged with one peer"


def _asks(f: Features) -> str:
    if f.service_share >= 0.5:
        asked = counted(f.service_peer_count, "server")
        return f"{share(f.service_share, 1)} of {f.flow_count} were questions to {asked} (names, time, ping)"
    return f"{share(f.tiny_share, 1)} were a question or a question and its answer, {share(f.udp_share, 1)} by UDP"


def _largest(f: Features) -> str:
    return f"the largest connection carried {size(f.largest_bytes)}"


def _heavy_rate(f: Features) -> str:
    return f"{size(f.heavy_bytes_per_s)} a second while they lasted"


def _paced(f: Features) -> str:
    if f.segmented_bytes_share < 0.5:
        return f"{share(f.streaming_port_share, 1)} went to ports of streaming servers"
    return f"{share(f.segmented_bytes_share, 1)} of the bytes came in connections that rest and go on, or by the clock"


def _together(f: Features) -> str:
    together = f"{f.simultaneous_count:.0f} opened together as a rule"
    return f"{together}, from {counted(f.peer_count, 'host')}; {size(f.total_bytes)} in all"


def _voice(f: Features) -> str:
    steady = "steady UDP exchanges, with one peer, that both fill"
    return f"{share(f.voice_bytes_share, 1)} of the bytes are {steady}"


FEW_BYTES = 20_000  # a host of few connections and less than this has done nothing that has a name
FEW_FLOWS = 10  # as many as the smallest burst has
LEAST_OUTCOMES = 15  # fewer outcomes accuse nobody (TRW misjudges a login after 4: docs/classes.md)

# Those who come to a host may be peers, or the clients of a server.
_MANY_PEERS = _of(_peers, least("peer_count", 5), below("inbound_share", 0.6))
_FEW_PER_PEER = _of(_per_peer, below("flows_per_peer", 5))
# Each peer has a port of its own choosing, unless the program keeps one port everywhere.
_OWN_PORTS = _of(_ports, least("port_entropy", 0.45))
_UNKNOWN_PORTS = _of(_unknown_ports, least("unknown_port_share", 0.4))
_SOME_ANSWER = _of(_answered, least("answered_share", 0.1))
_MOST_ANSWER = _of(_answered, least("answered_share", 0.5))
# What weighs is what the peers give: who syncs may download something from a server meanwhile.
_FULL_PACKETS = _of(
    _full_packets,
    least("bytes_per_packet", 400),
    least("largest_bytes", 64_000),
    least("unknown_port_bytes_share", 0.5),
)
# Somebody gave something: more than the packet or two with which a node answers a question.
_FETCHED_SOMETHING = _of(_largest, least("largest_bytes", 6000))
_FETCHED_NOTHING = _of(_largest, below("largest_bytes", 6000))
_SMALL = _of(_few_bytes, below("median_bytes", 64_000))
_FETCHED = _of(_received, least("received_bytes_share", 0.75), least("total_bytes", 1_000_000))
_TO_WEB_PORTS = _of(_web_ports, least("web_port_share", 0.5))

RULES = (
    # A flood hits one address and port, fast, and no word ever comes back: the target may well answer each SYN, accept
    # each connection, even wait for a request that never ends. Or all ports of an address, with more in each packet
    # than a scan has a use for.
    Rule(
        TrafficClass.FLOOD,
        (
            _either(
                _one_target,
                (least("busiest_target_share", 0.8),),
                (least("busiest_peer_share", 0.8), least("bytes_per_packet", 200)),
            ),
            _of(_mute, least("mute_share", 0.85)),
            # Who asks a resolver that is down, or counts something by UDP, gets no word back either.
            _either(
                _rate,
                (least("most_new_per_s", 50), least("connection_count", 100)),
                (least("most_new_per_s", 10), below("udp_share", 0.5), least("connection_count", 100)),
            ),
        ),
        (_of(_tiny, least("tiny_share", 0.8)),),
    ),
    # The same sprayed over a victim's ports from many addresses: a scan comes from few.
    Rule(
        TrafficClass.FLOOD,
        (
            _of(_peers, least("inbound_share", 0.9), least("peer_count", 50), least("connection_count", 100)),
            _of(_unanswered, below("answered_share", 0.05)),
            _of(_rate, least("most_new_per_s", 200)),
        ),
        (_of(_tiny, least("tiny_share", 0.8)),),
    ),
    # Zeek's scan.zeek: more than 15 ports on a host, or more than 25 hosts on a port, of failed connections.
    Rule(
        TrafficClass.SCAN,
        (
            _of(_unanswered, below("answered_share", 0.5), least("connection_count", LEAST_OUTCOMES)),
            _of(_mute, least("mute_share", 0.7)),
            _of(
                lambda f: f"{f.busiest_peer_port_count} ports of one host were tried",
                least("busiest_peer_port_count", 16),
                least("busiest_peer_share", 0.5),
            ),
        ),
        (_of(_tiny, least("tiny_share", 0.8)),),
    ),
    # Many hosts in vain: on one port, or neighbours, or none of whom is there. A program that has met its peers before
    # does that too, but from one UDP socket; and of its peers some are there.
    Rule(
        TrafficClass.SCAN,
        (
            _of(_peers, least("peer_count", 26), below("inbound_share", 0.5)),
            _of(_mute, least("mute_share", 0.8), below("answered_share", 0.4)),
            _either(
                _one_port,
                (least("busiest_port_share", 0.8), least("mute_share", 0.9), below("one_local_port_share", 0.5)),
                (least("busiest_port_share", 0.8), below("answered_share", 0.05)),
                (below("prefixes_per_peer", 0.1), below("one_local_port_share", 0.5)),
                (below("answered_share", 0.05), least("connection_count", 100), below("one_local_port_share", 0.5)),
            ),
        ),
        (_FEW_PER_PEER,),
    ),
    Rule(
        TrafficClass.SPAM,
        (
            _of(lambda f: f"{share(f.mail_port_share, 1)} went to mail servers' ports", least("mail_port_share", 0.5)),
            _of(_peers, least("peer_count", 10)),
        ),
        (_FEW_PER_PEER,),
    ),
    # A call's own bytes name it, however many peers its set-up tried.
    Rule(
        TrafficClass.CALL,
        (
            _of(
                _voice,
                least("voice_bytes_share", 0.35),
            ),
        ),
        (_of(_one_peer, least("top_peer_bytes_share", 0.5)),),
    ),
    # Peers that share nothing but the program: one connection each, to ports that no service has.
    Rule(
        TrafficClass.P2P_BULK,
        (_MANY_PEERS, _FEW_PER_PEER, _UNKNOWN_PORTS, _SOME_ANSWER, _FULL_PACKETS),
        (_OWN_PORTS, _of(_spread, least("prefixes_per_peer", 0.8))),
    ),
    Rule(
        TrafficClass.P2P_SYNC,
        (_MANY_PEERS, _FEW_PER_PEER, _UNKNOWN_PORTS, _SOME_ANSWER, _FETCHED_SOMETHING),
        (
            _SMALL,
            _OWN_PORTS,
            _of(_one_local_port, least("one_local_port_share", 0.4)),
            _of(_full_packets, below("bytes_per_packet", 300)),
        ),
    ),
    # The same shape, and nothing but questions and answers: a node that looks something up among its peers.
    Rule(
        TrafficClass.DISCOVERY,
        (_MANY_PEERS, _FEW_PER_PEER, _UNKNOWN_PORTS, _SOME_ANSWER, _FETCHED_NOTHING),
        (_OWN_PORTS, _of(_one_local_port, least("one_local_port_share", 0.4))),
    ),
    # A resolver that asks the world itself, where a guest asks one or two; or servers of any kind asked in turn.
    Rule(
        TrafficClass.DISCOVERY,
        (
            _MOST_ANSWER,
            _either(
                _asks,
                (least("service_share", 0.5), least("service_peer_count", 10)),
                (least("tiny_share", 0.5), least("udp_share", 0.5), least("peer_count", 10)),
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
                (
                    least("segmented_bytes_share", 0.5),
                    least("top_peer_bytes_share", 0.5),
                    least("heavy_bytes_per_s", 18_000),
                ),
                (least("streaming_port_share", 0.5),),
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
                lambda f: f"{share(f.periodic_share, 1)} of the heavy connections came at equal distances",
                least("periodic_share", 0.6),
            ),
        ),
        (_TO_WEB_PORTS, _of(_one_peer, least("top_peer_bytes_share", 0.6))),
    ),
    # Download managers fetch one file over several connections, so one peer it is all the same; a tree of small files
    # comes in full packets, though no connection carries weight. A chat that goes on for hours carries weight as well,
    # but never fast.
    Rule(
        TrafficClass.BULK_TRANSFER,
        (
            _of(_one_peer, least("top_peer_bytes_share", 0.6), least("total_bytes", 1_000_000)),
            _either(
                _weight,
                (least("heavy_bytes_share", 0.7), least("heavy_bytes_per_s", 18_000)),
                (least("bytes_per_packet", 400), below("web_port_share", 0.5)),
            ),
        ),
        (_of(_heavy_rate, least("heavy_bytes_per_s", 18_000)),),
    ),
    # A page opens several connections at once, and something in it has weight; or it comes from several hosts.
    Rule(
        TrafficClass.WEB,
        (
            _TO_WEB_PORTS,
            _MOST_ANSWER,
            _either(
                _together,
                (least("simultaneous_count", 4), below("tiny_share", 0.5)),
                (least("received_bytes_share", 0.75), least("peer_count", 3)),
            ),
        ),
        (_of(_received, least("received_bytes_share", 0.75)),),
    ),
    # What remains, where most answer: a server or a few, or servers of known services.
    Rule(
        TrafficClass.CLIENT_SERVER,
        (
            _MOST_ANSWER,
            _either(
                _peers,
                (least("busiest_peer_share", 0.4),),
                (below("peer_count", 4),),
                (below("unknown_port_share", 0.4),),
            ),
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
    size = min(1.0, 0.5 + 0.5 * features.flow_count / SURE_FROM)
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
        says = f"provisional: judged on its first {max(features.duration_s, 1):.0f} s"
        evidence += (Evidence("duration_s", round(features.duration_s, 4), says),)
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


def _just_below(bound: Bound) -> float:
    """The nearest value below: of what comes in whole numbers one less."""
    feature = ALL[bound.feature]
    return (
        bound.value - 1
        if feature.is_whole and feature.unit is not Unit.BYTES
        else math.nextafter(bound.value, -math.inf)
    )


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
            side, feature = "below" if is_above else "from", ALL[bound.feature]
            text = f"{feature.words} {feature.text(seen)}; {side} {feature.text(bound.value)} it would be {other.value}"
            found.append((bound.feature not in decided, _distance(seen, wanted), bound.feature, text))
    told: dict[str, str] = {}
    for _aside, _far, name, text in sorted(found):
        told.setdefault(name, text)
    return tuple(told.values())[:NAMED]
