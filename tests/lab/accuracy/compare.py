"""One capture, read by peerburst and by tshark: what agrees, and by which rule the rest differs."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from . import product, rules, tshark
from .product import Endpoints, Flow
from .rules import OTHER
from .seen import PACKET, TCP, UDP, Seen

MOST_EXAMPLES = 5
FIN, SYN, RST, ACK = 1, 2, 4, 16


@dataclass(slots=True)
class Tally:
    """How many things were compared, how many agree, and the rest by the rule that explains it."""

    compared: int = 0
    equal: int = 0
    differ: Counter[str] = field(default_factory=Counter)

    def add(self, difference: str | None) -> None:
        """`difference`: the rule by which they differ; None if they agree."""
        self.compared += 1
        if difference is None:
            self.equal += 1
        else:
            self.differ[difference] += 1


@dataclass(slots=True)
class Comparison:
    """All that came of one capture. `unexplained`: sentences about what no rule covers."""

    capture: str
    packets: int = 0
    tshark_exit: int = 0
    refused: str = ""  # why peerburst did not read it, as a rule's name; nothing if it did
    counts: Tally = field(default_factory=Tally)  # packets in the file, one line per reader
    frames: Tally = field(default_factory=Tally)
    instants: Tally = field(default_factory=Tally)
    pairs: Tally = field(default_factory=Tally)  # counts per 5-tuple, both directions
    conversations: Tally = field(default_factory=Tally)  # tshark's streams per 5-tuple, TCP and UDP
    directions: Tally = field(default_factory=Tally)  # who began a TCP flow
    flags: Tally = field(default_factory=Tally)  # which end sent SYN, SYN+ACK, FIN, RST
    unexplained: list[str] = field(default_factory=list)

    TALLIES = ("counts", "frames", "instants", "pairs", "conversations", "directions", "flags")

    def note(self, tally: str, difference: str | None, example: str) -> None:
        """Add one comparison; keep the first examples of what no rule explains."""
        getattr(self, tally).add(difference)
        if difference == OTHER and len(self.unexplained) < MOST_EXAMPLES:
            self.unexplained.append(f"{tally}: {example}")

    @property
    def is_explained(self) -> bool:
        return not any(getattr(self, name).differ[OTHER] for name in self.TALLIES)


def _ends(seen: Seen) -> tuple[Endpoints, bool]:
    """The 5-tuple of a packet, smaller end first, and whether that end sent it."""
    source, target = (seen.src, seen.sport), (seen.dst, seen.dport)
    if source <= target:
        return (source, target, seen.proto), True
    return (target, source, seen.proto), False


def _count(packets: Iterable[Seen]) -> dict[Endpoints, tuple[int, ...]]:
    """Packets and bytes per 5-tuple: of the smaller end, then of the other."""
    counts: dict[Endpoints, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for seen in packets:
        if seen.kind != PACKET:
            continue
        ends, from_a = _ends(seen)
        at = 0 if from_a else 2
        counts[ends][at] += 1
        counts[ends][at + 1] += seen.ip_bytes
    return {ends: tuple(count) for ends, count in counts.items()}


def _compare_frames(into: Comparison, ours: product.Reading, theirs: tshark.Reading) -> list[str | None]:
    """The rule by which each frame differs, None where it does not."""
    differences = []
    for seen, frame in zip(ours.frames, theirs.frames, strict=False):
        difference = rules.between(seen, frame) if seen != frame.seen else None
        differences.append(difference)
        into.note("frames", difference, f"frame {frame.fields['frame.number']}: {seen} against {frame.seen}")
    return differences


def _compare_instants(into: Comparison, ours: product.Reading, theirs: tshark.Reading) -> None:
    for ns, frame in zip(ours.instants_ns, theirs.frames, strict=False):
        difference = rules.between_instants(ns, frame)
        into.note("instants", difference, f"frame {frame.fields['frame.number']}: {ns} ns against {frame.time_text} s")


def _compare_pairs(
    into: Comparison, ours: product.Reading, theirs: tshark.Reading, differences: list[str | None]
) -> None:
    """The flow table's counts against tshark's. A pair differs by rule if its frames do, and by no more than these."""
    held: dict[Endpoints, tuple[int, ...]] = {}
    for flow in ours.flows:
        held[flow.ends] = tuple(x + y for x, y in zip(held.get(flow.ends, (0, 0, 0, 0)), flow.counts, strict=True))
    expected = _count(frame.seen for frame in theirs.frames)
    by_rule: dict[Endpoints, str] = {}
    mended = []
    for seen, frame, difference in zip(ours.frames, theirs.frames, differences, strict=True):
        mended.append(frame.seen if difference is None else seen)
        if difference is not None:
            for either in (seen, frame.seen):
                by_rule.setdefault(_ends(either)[0], difference)
    allowed = _count(mended)
    for ends in held.keys() | expected.keys():
        count, wanted = held.get(ends), expected.get(ends)
        reason = by_rule.get(ends, OTHER) if count == allowed.get(ends) else OTHER
        into.note("pairs", None if count == wanted else reason, f"{ends}: {count} against {wanted}")


def _by_ends(theirs: Iterable[tshark.Frame]) -> dict[Endpoints, list[tuple[tshark.Frame, bool]]]:
    """tshark's packets of each 5-tuple in order, each with whether the smaller end sent it."""
    grouped: dict[Endpoints, list[tuple[tshark.Frame, bool]]] = defaultdict(list)
    for frame in theirs:
        if frame.seen.kind == PACKET:
            ends, from_a = _ends(frame.seen)
            grouped[ends].append((frame, from_a))
    return grouped


def _compare_conversations(
    into: Comparison, flows: dict[Endpoints, list[Flow]], theirs: dict[Endpoints, list[tuple[tshark.Frame, bool]]]
) -> None:
    """How many flows peerburst has of a 5-tuple against how many streams tshark has."""
    for ends, frames in theirs.items():
        name = {TCP: "tcp.stream", UDP: "udp.stream"}.get(ends[2])
        if name is None or ends not in flows:
            continue
        streams = {frame.first(name) for frame, _ in frames}
        difference = rules.between_conversations(len(flows[ends]), [frame for frame, _ in frames], len(streams))
        into.note("conversations", difference, f"{ends}: {len(flows[ends])} flows against {len(streams)} streams")


def _inner_streams(into: Comparison, frames: Iterable[tshark.Frame]) -> None:
    """Conversations that tshark has only inside tunnels and quoted headers, which peerburst does not open unasked."""
    for name, proto in (("tcp.stream", TCP), ("udp.stream", UDP)):
        outer, every = set(), set()
        for frame in frames:
            every.update(frame.all(name))
            if frame.seen.proto == proto and frame.seen.kind == PACKET:
                outer.add(frame.first(name))
        for _ in every - outer:
            into.note("conversations", rules.INNER, "")


def _compare_ends(
    into: Comparison, flows: dict[Endpoints, list[Flow]], theirs: dict[Endpoints, list[tuple[tshark.Frame, bool]]]
) -> None:
    """Who began each TCP flow and which flags either end sent, where tshark's packets tell."""
    for ends, frames in theirs.items():
        if ends[2] != TCP or ends not in flows:
            continue
        flags, from_a = frames[0][0].seen.flags, frames[0][1]
        if flags & SYN and not flags & (RST | FIN):
            began_a = from_a != bool(flags & ACK)
            difference = rules.between_directions(flows[ends][0].orig_is_a, began_a, flags)
            into.note("directions", difference, f"{ends}: smaller end began it: {began_a} by tshark's flags")
        sent = frozenset().union(*(flow.sent for flow in flows[ends])) & frozenset("SHFRshfr")
        expected = {
            letter.upper() if from_a else letter.lower()
            for frame, from_a in frames
            for letter in _flag_letters(frame.seen.flags)
        }
        into.note("flags", None if sent == expected else OTHER, f"{ends}: {sorted(sent)} against {sorted(expected)}")


def _flag_letters(flags: int) -> str:
    synchronize = ("h" if flags & ACK else "s") if flags & SYN else ""
    return synchronize + ("f" if flags & FIN else "") + ("r" if flags & RST else "")


def compare(path: Path, name: str) -> Comparison:
    """Read one capture with both and compare; `name` is what the table calls it."""
    into = Comparison(name)
    try:
        theirs = tshark.read(path)
    except tshark.TimeoutExpired:
        into.note("counts", OTHER, f"tshark took longer than {tshark.PATIENCE_S} s")
        return into
    ours = product.read(path)
    into.packets, into.tshark_exit = len(ours.frames), theirs.exit_code
    for reader, count in (("tshark", len(theirs.frames)), ("capinfos", tshark.capinfos_count(path))):
        if count is None and theirs.exit_code:  # capinfos gives no number for a file it calls damaged
            continue
        difference = rules.between_counts(ours, theirs, count)
        into.note("counts", difference, f"{len(ours.frames)} packets against {reader}'s {count}; {theirs.complaint}")
    if ours.refusal is not None:
        into.refused = rules.refusal(ours.refusal) or OTHER
        return into
    differences = _compare_frames(into, ours, theirs)
    _compare_instants(into, ours, theirs)
    if len(ours.frames) != len(theirs.frames):  # the flows are of other packets than tshark's
        return into
    _compare_pairs(into, ours, theirs, differences)
    # From here on only what both saw alike can be compared: the frames that differ are accounted for above.
    alike = [frame for frame, difference in zip(theirs.frames, differences, strict=True) if difference is None]
    flows: dict[Endpoints, list[Flow]] = defaultdict(list)
    for flow in ours.flows:
        flows[flow.ends].append(flow)
    grouped = _by_ends(alike)
    _compare_conversations(into, flows, grouped)
    _inner_streams(into, theirs.frames)
    _compare_ends(into, flows, grouped)
    return into
