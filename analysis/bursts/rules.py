"""What a rule is made of, and the thresholds that several rules share, each with its source.

Numbers without a source were set on the captures of docs/classes.md, which says what they are worth on others.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from peerburst.analysis.bursts import explain
from peerburst.analysis.bursts.features import Features
from peerburst.capture.vocabulary import TrafficClass


@dataclass(frozen=True, slots=True)
class Bound:
    """Where one feature must lie: at `value` or above (`is_minimum`), or else below it."""

    feature: str
    value: float
    is_minimum: bool

    def holds(self, features: Features) -> bool:
        return self.admits(getattr(features, self.feature))

    def admits(self, seen: float) -> bool:
        """Whether the feature may have this value."""
        return seen >= self.value if self.is_minimum else seen < self.value


def at_least(feature: str, value: float) -> Bound:
    return Bound(feature, value, is_minimum=True)


def below(feature: str, value: float) -> Bound:
    return Bound(feature, value, is_minimum=False)


@dataclass(frozen=True, slots=True)
class Condition:
    """Bounds that must all hold, in one of several ways; `describe` puts into words what was seen."""

    ways: tuple[tuple[Bound, ...], ...]
    describe: Callable[[Features], str]

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
    """A class, what is required for it, and what speaks for it besides."""

    label: TrafficClass
    required: tuple[Condition, ...]
    supporting: tuple[Condition, ...] = ()

    def holds(self, features: Features) -> bool:
        return all(condition.holds(features) for condition in self.required)


def all_of(describe: Callable[[Features], str], *bounds: Bound) -> Condition:
    return Condition((bounds,), describe)


def any_of(describe: Callable[[Features], str], *ways: tuple[Bound, ...]) -> Condition:
    """In one of these ways, in each of which all bounds must hold."""
    return Condition(ways, describe)


# --- thresholds ------------------------------------------------------------------------------------------------------

MOST = 0.5  # needs no data
SCANNED_PORTS = 16  # Zeek's scan.zeek: failed connections to more than 15 ports of a host
SCANNED_HOSTS = 26  # Zeek's scan.zeek: failed connections to more than 25 hosts
# Sequential tests of failed first contacts judge too early: with TRW's numbers (Jung et al. 2004) the first four probes
# of a real login make it a scanner. Fewer outcomes than this accuse nobody.
LEAST_OUTCOMES = 15
# TRW takes a scanner's first contacts to succeed in 20 %, anybody else's in 80 %: one half lies midway.
SCAN_ANSWERED = 0.5
HARDLY_ANSWERED = 0.05
FLOOD_CONNECTIONS = 100
PEERS_NOT_SERVERS = 5  # fewer could be anybody's servers
WEIGHTY_BYTES = 64_000  # a recorded Skype login (SkypeIRC.cap) fetches less in any one exchange but three
FETCHED_BYTES = 6000  # four full packets: more than those with which a node answers a question
# Packets of 530 to 1,010 bytes where files are shared, of 80 to 315 in every login: the gap between them.
FULL_PACKET_BYTES = 400
TRANSFER_BYTES = 1_000_000
FILM_BYTES_PER_S = 18_000  # the leanest film of Apple's HLS authoring specification has 145 kbit/s
DOWNLOADED = 0.75  # of the bytes
QUESTIONED_SERVERS = 10  # a guest asks one resolver or two; by eye

# --- conditions of several classes -----------------------------------------------------------------------------------

# Those who come to a host may be peers, or the clients of a server.
MANY_PEERS = all_of(explain.peers, at_least("peer_count", PEERS_NOT_SERVERS), below("inbound_share", 0.6))
FEW_PER_PEER = all_of(explain.per_peer, below("flows_per_peer", 5))
# Each peer has a port of its own choosing, unless the program keeps one port everywhere.
OWN_PORTS = all_of(explain.ports, at_least("port_entropy", 0.45))
UNKNOWN_PORTS = all_of(explain.unknown_ports, at_least("unknown_port_share", 0.4))
SOME_ANSWER = all_of(explain.answered, at_least("answered_share", 0.1))
MOST_ANSWER = all_of(explain.answered, at_least("answered_share", MOST))
# What weighs is what the peers give: who syncs may download something from a server meanwhile.
FULL_PACKETS = all_of(
    explain.full_packets,
    at_least("bytes_per_packet", FULL_PACKET_BYTES),
    at_least("largest_bytes", WEIGHTY_BYTES),
    at_least("unknown_port_bytes_share", MOST),
)
# Somebody gave something: more than the packet or two with which a node answers a question.
FETCHED_SOMETHING = all_of(explain.largest, at_least("largest_bytes", FETCHED_BYTES))
FETCHED_NOTHING = all_of(explain.largest, below("largest_bytes", FETCHED_BYTES))
SMALL = all_of(explain.few_bytes, below("median_bytes", WEIGHTY_BYTES))
DOWNLOAD = all_of(
    explain.received, at_least("received_bytes_share", DOWNLOADED), at_least("total_bytes", TRANSFER_BYTES)
)
TO_WEB_PORTS = all_of(explain.web_ports, at_least("web_port_share", MOST))
ONE_SOCKET = all_of(explain.one_local_port, at_least("one_local_port_share", 0.4))
MOSTLY_TINY = all_of(explain.tiny, at_least("tiny_share", 0.8))
