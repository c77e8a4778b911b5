"""A slow, obvious twin of `analysis.counting`: plain dictionaries, lists and Fractions.

Segments and flows come as dictionaries (`as_dicts`); `entries` holds them against a gateway model one by one, and the
other functions count what is alive by looking at every entry at every instant that matters.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

from peerburst.analysis.gateways import Engine, GatewayModel, TwoWay, Unit
from peerburst.analysis.hosts.locality import Endpoints, Scope
from peerburst.capture.conntrack.states import Phase
from peerburst.capture.flows import record
from peerburst.capture.flows.five_tuple import tuple_ports
from peerburst.capture.flows.record import Flows

SECOND = 10**9
TALKING = 5 * SECOND
FOREVER = 1 << 61
TCP, UDP, UDPLITE, ICMP, ICMPV6 = 6, 17, 136, 1, 58

Segment = dict[str, Any]
Flow = dict[str, Any]


def as_dicts(flows: Flows) -> tuple[list[Flow], list[Segment]]:
    """The flow table in plain words. Instants are int ns, None where something never happened."""
    never = int(record.NEVER)
    segments: list[Segment] = []
    for row in flows.segments:
        seen = int(row["seen"])
        segments.append(
            {
                "flow": int(row["flow"]),
                "start": int(row["start"]),
                "last": int(row["last"]),
                "renewed": int(row["renewed"]),
                "closed": None if row["closed"] == never else int(row["closed"]),
                "state": Phase(row["state"]),
                "phase": Phase(row["phase"]),
                "first": "a" if seen & record.FIRST_BY_A else "b",
                "sent": {side for side, bit in (("a", record.A_SENT), ("b", record.B_SENT)) if seen & bit},
                "again": bool(seen & record.AGAIN),
                "several": bool(seen & record.SEVERAL),
                "deleted": bool(seen & record.WAS_DELETED),
            }
        )
    firsts = [min(s["start"] for s in segments if s["flow"] == number) for number in range(flows.row.size)]
    made: list[Flow] = []
    a_ports, b_ports = tuple_ports(flows.row)
    for row, a_port, b_port in zip(flows.row, a_ports.tolist(), b_ports.tolist(), strict=True):
        letters = [int(row["history"]) >> (16 + 4 * i) & 15 for i in range(int(row["history"]) >> 12 & 15)]
        made.append(
            {
                "proto": int(row["proto"]),
                "family": "ipv4" if (int(row["a_hi"]), int(row["a_lo"]) >> 32) == (0, 0xFFFF) else "ipv6",
                "orig": "a" if row["flags"] & record.ORIG_IS_A else "b",
                "turned": bool(row["flags"] & record.CAME_SECOND)
                and bool(row["flags"] & record.ORIG_IS_A) != bool(row["flags"] & record.FIRST_IS_A),
                "silent": {side for side in ("a", "b") if not row[f"{side}_pkts"]},
                "ports": {"a": a_port, "b": b_port},
                "established": None if row["established"] == never else int(row["established"]),
                "closing": None if row["closing"] == never else int(row["closing"]),
                "first": firsts[len(made)],
                "taken_over": None if row["successor"] < 0 else firsts[int(row["successor"])],
                "syn": any(letter % 6 == 0 for letter in letters),  # s is the first of the letters
            }
        )
    return made, segments


@dataclass
class Entry:
    """One stay in a gateway's table."""

    flow: int
    opener: str  # a or b
    start: int
    end: int
    expiry: int
    segments: list[int]
    first_sender: str = ""
    requests: int = 0  # UDP: 0 one way, 1 answered, 2 asked again after an answer
    several: bool = False
    gone: bool = False  # deleted before it expired


class Table:
    """A gateway of one model, given the segments in the order they began."""

    def __init__(self, model: GatewayModel, flows: list[Flow]) -> None:
        self.model = model
        self.flows = flows
        self.entries: list[Entry] = []
        self._current: dict[int, Entry] = {}
        self._closed: set[int] = set()  # flows in which TCP has come to its end

    def takes(self, proto: int) -> bool:
        names = {TCP: "tcp", UDP: "udp", UDPLITE: "udp", ICMP: "icmp", ICMPV6: "icmp"}
        return names.get(proto, "other") in self.model.protocols

    def add(self, number: int, segment: Segment) -> None:
        flow = self.flows[segment["flow"]]
        flat = self.model.engine is Engine.FLAT
        if flow["family"] not in self.model.families:
            return
        if not self.takes(flow["proto"]) or (segment["phase"] is Phase.NONE and not flat):
            return
        entry = self._current.get(segment["flow"])
        if entry is None or entry.gone or segment["start"] >= entry.expiry:
            entry = self._open(segment, flow)
            if entry is None:
                return
            self._current[segment["flow"]] = entry
            self.entries.append(entry)
        else:
            entry.several = True
        entry.segments.append(number)
        self._renew(entry, segment, flow)

    def _open(self, segment: Segment, flow: Flow) -> Entry | None:
        if segment["flow"] in self._closed and self.model.engine is Engine.STATES:
            return None  # stray packets after the close
        start = segment["start"]
        if self.model.begins.value == "established":
            if flow["proto"] != TCP or flow["established"] is None or flow["established"] > segment["last"]:
                return None
            start = max(start, flow["established"])
        opener = flow["orig"]
        if self.model.engine is Engine.LINUX:
            # Linux goes by what it saw first, which a capture may have dated second, or missed.
            is_first = not any(entry.flow == segment["flow"] for entry in self.entries)
            if not flow["turned"] or (flow["orig"] not in flow["silent"] and not is_first):
                opener = segment["first"]
        return Entry(segment["flow"], opener, start, start, 0, [], segment["first"])

    def _renew(self, entry: Entry, segment: Segment, flow: Flow) -> None:
        entry.several = entry.several or segment["several"]
        entry.requests = max(entry.requests, self._requests(entry, segment))
        last = segment["last"]
        since = segment["renewed"] if self.model.engine is Engine.LINUX else last
        until = max(last, since + self._timeout(entry, segment, flow))
        if segment["deleted"] and self.model.reset_deletes_unanswered:
            until, entry.gone = last, True
        if segment["deleted"] or segment["closed"] is not None:
            self._closed.add(segment["flow"])
        entry.expiry = entry.end = until
        if flow["taken_over"] is not None:
            entry.end = min(until, max(flow["taken_over"], last))
        if self.model.left_out and segment["closed"] is not None:
            entry.end = max(entry.start, min(entry.end, segment["closed"]))

    def _requests(self, entry: Entry, segment: Segment) -> int:
        opener = entry.first_sender
        other = "b" if opener == "a" else "a"
        # Where the other end came first, the opener sent after it.
        again = segment["again"] if segment["first"] == opener else segment["sent"] == {"a", "b"}
        if again or (entry.requests > 0 and opener in segment["sent"]):
            return 2
        return 1 if other in segment["sent"] else 0

    def _timeout(self, entry: Entry, segment: Segment, flow: Flow) -> int:
        seconds = self.model.timeout_s(self._waiting_in(entry, segment, flow))
        return FOREVER if seconds * SECOND >= FOREVER else round(seconds * SECOND)

    def _waiting_in(self, entry: Entry, segment: Segment, flow: Flow) -> str:
        """The name of the phase whose timeout runs after this segment."""
        proto: int = flow["proto"]
        state: Phase = segment["state"]
        phase: Phase = segment["phase"]
        if proto in (UDP, UDPLITE):
            if self.model.two_way_after is TwoWay.STREAM and self.model.stream_age_s > 0:
                return "udp_two_way" if phase is Phase.UDP_STREAM else "udp_one_way"
            needed = 1 if self.model.two_way_after is TwoWay.REPLY else 2
            more_replies = (
                self.model.two_way_after is TwoWay.STREAM and entry.requests == 1 and phase is Phase.UDP_STREAM
            )
            if entry.requests >= needed or more_replies:
                return "udp_two_way"
            return "udp_one_way" if entry.several else "udp_first"
        if proto != TCP:
            ways = {
                Phase.GRE: "gre_one_way",
                Phase.GRE_STREAM: "gre_two_way",
                Phase.SCTP: "sctp_one_way",
                Phase.SCTP_ESTABLISHED: "sctp_two_way",
            }
            return "icmp" if phase in (Phase.ICMP, Phase.NONE) else ways.get(phase, "other")
        if self.model.engine is Engine.LINUX:
            linux = {Phase.RETRANSMITTED: "tcp_retransmitted", Phase.UNACKNOWLEDGED: "tcp_unacknowledged"}
            return linux.get(phase, phase.name.lower())
        if self.model.engine is Engine.FLAT:
            return "established"
        if segment["deleted"]:
            return "close"
        if state is Phase.SYN_SENT and entry.several:
            return "syn_repeated"
        if segment["flow"] in self._closed and state not in (Phase.TIME_WAIT, Phase.CLOSE):
            return "close"
        return state.name.lower()


def entries(model: GatewayModel, flows: list[Flow], segments: list[Segment], ends: Endpoints) -> list[Entry]:
    """All entries a gateway of this model would have held."""
    if model.engine is Engine.SYN_FIN:
        return _syn_minus_fin(model, flows, segments)
    table = Table(model, flows)
    for number in sorted(range(len(segments)), key=lambda i: (segments[i]["start"], i)):
        table.add(number, segments[number])
    if model.unit is Unit.MAPPING:
        return _united(table.entries, flows, ends)
    return table.entries


def _united(held: list[Entry], flows: list[Flow], ends: Endpoints) -> list[Entry]:
    """Of a mapping: as long as two of its flows' entries have time in common, they are one."""
    left = sorted(held, key=lambda entry: entry.start)
    made: list[Entry] = []
    while left:
        one = left.pop(0)
        key = _mapping(one, flows[one.flow], ends)
        while True:
            same = (e for e in left if _mapping(e, flows[e.flow], ends) == key)
            touching = next((e for e in same if e.start < one.end), None)
            if touching is None:
                break
            left.remove(touching)
            one.end = max(one.end, touching.end)
            one.segments += touching.segments
        made.append(one)
    return made


def _mapping(entry: Entry, flow: Flow, ends: Endpoints) -> object:
    """Local address, local port and protocol: the opener's if it is local, else those of the end that is.

    A flow that does not count never reaches the gateway, and shares a mapping with none.
    """
    if owner(entry, ends)[0] < 0:
        return entry.flow
    hosts = {"a": int(ends.host_a[entry.flow]), "b": int(ends.host_b[entry.flow])}
    side = "a" if (entry.opener == "a" and hosts["a"] >= 0) or hosts["b"] < 0 else "b"
    return hosts[side], flow["ports"][side], flow["proto"]


def _syn_minus_fin(model: GatewayModel, flows: list[Flow], segments: list[Segment]) -> list[Entry]:
    made = []
    for number, flow in enumerate(flows):
        if flow["proto"] == TCP and flow["syn"] and flow["family"] in model.families:
            stops = [at for at in (flow["closing"], flow["taken_over"]) if at is not None]
            end = min(stops, default=int(record.NEVER))
            mine = [i for i, segment in enumerate(segments) if segment["flow"] == number]
            made.append(Entry(number, flow["orig"], flow["first"], end, end, mine))
    return made


# -------------------------------------------------------------------------------------------------------- concurrency


def owner(entry: Entry, ends: Endpoints, *, include_lan: bool = False) -> tuple[int, bool]:
    """(host, whether others opened it); host -1 if the entry does not cross the gateway."""
    allowed = ("CROSSING", "GATEWAY", "LAN") if include_lan else ("CROSSING", "GATEWAY")
    hosts = {"a": int(ends.host_a[entry.flow]), "b": int(ends.host_b[entry.flow])}
    opener, other = hosts[entry.opener], hosts["b" if entry.opener == "a" else "a"]
    inbound = opener < 0
    if Scope(ends.scope[entry.flow]).name not in allowed:
        return -1, inbound
    return (other if inbound else opener), inbound


def alive(held: Iterable[Entry], instant: int) -> list[Entry]:
    return [entry for entry in held if entry.start <= instant < entry.end]


def instants(held: Iterable[Entry]) -> list[int]:
    """Every instant at which the count may change."""
    return sorted({at for entry in held for at in (entry.start, entry.end)})


def peak(held: Sequence[Entry]) -> tuple[int, int | None]:
    """(the most alive at once, the first instant of that)."""
    best: tuple[int, int | None] = (0, None)
    for at in instants(held):
        if len(alive(held, at)) > best[0]:
            best = len(alive(held, at)), at
    return best


def crossed(held: Sequence[Entry], limit: int) -> int | None:
    return next((at for at in instants(held) if len(alive(held, at)) > limit), None)


def above_ns(held: Sequence[Entry], limit: int, until: int) -> int:
    """For how long, before `until`, more than `limit` were alive."""
    changes = [at for at in instants(held) if at < until] + [until]
    return sum(after - at for at, after in pairwise(changes) if len(alive(held, at)) > limit)


def talking(held: Iterable[Entry], segments: list[Segment], instant: int) -> int:
    """Those alive that have had a packet in the five seconds before the instant, or at it."""
    return sum(
        any(segments[i]["start"] <= instant < segments[i]["last"] + TALKING for i in entry.segments)
        for entry in alive(held, instant)
    )


def largest(held: Sequence[Entry], begin: int, end: int) -> int:
    """The most alive at any instant of [begin, end)."""
    return max(len(alive(held, at)) for at in [begin, *(t for t in instants(held) if begin < t < end)])


def mean(held: Iterable[Entry], begin: int, end: int) -> Fraction:
    """Entries alive on average over [begin, end)."""
    overlaps = (max(0, min(entry.end, end) - max(entry.start, begin)) for entry in held)
    return Fraction(sum(overlaps), end - begin)


def by_owner(held: Iterable[Entry], ends: Endpoints) -> dict[tuple[int, bool], list[Entry]]:
    """The entries that count, host by host and direction."""
    groups: dict[tuple[int, bool], list[Entry]] = defaultdict(list)
    for entry in held:
        host, inbound = owner(entry, ends)
        if host >= 0 and entry.end > entry.start:
            groups[host, inbound].append(entry)
    return groups
