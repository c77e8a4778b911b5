"""The product's counts held against what a real gateway's table held."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.counting.host_entries import Entries
from peerburst.analysis.counting.step_function import Steps, steps
from peerburst.analysis.gateways import load
from peerburst.analysis.hosts.locality import to_text
from peerburst.analysis.settings import Settings
from peerburst.capture.conntrack.states import IPS_ASSURED, LINUX_TIMEOUTS_NS, OPENED_BY_A, Phase
from peerburst.capture.files.source import PacketSource
from peerburst.capture.flows.five_tuple import tuple_ports
from peerburst.capture.flows.table import FlowTable
from peerburst.capture.packets.ip import PROTO_TCP
from peerburst.capture.read import read
from peerburst.capture.units import SECOND_NS
from tests.lab.gateway import ctnetlink
from tests.lab.gateway.replay import Listing, Witness

MODELS = ("linux-conntrack", "linux-connlimit")
LEFT_OUT_BY_CONNLIMIT = ("TIME_WAIT", "CLOSE")
# A frame goes out a little late, a listing takes some milliseconds, a timer runs in ticks: nearer than this to an event
# the count before it and the count behind it are both right.
NEAR_NS = 50_000_000
LEFT_TOLERANCE_S = 1.2  # the kernel rounds what is left of a timeout down to seconds


@dataclass(slots=True)
class Score:
    """Host-seconds compared under one model: those in which the host held something, by either account."""

    compared: int = 0
    equal: int = 0
    near_an_event: int = 0  # equal only to a count that held within NEAR_NS
    worst: int = 0
    differences: list[str] = field(default_factory=list)

    def add(self, who: str, at_s: float, kernel: int, product: npt.NDArray[np.int64]) -> None:
        """One host at one instant; `product`: its count there, then all its counts near."""
        if not kernel and not product.any():
            return
        self.compared += 1
        if kernel == product[0]:
            self.equal += 1
            return
        if kernel in product:
            self.equal += 1
            self.near_an_event += 1
            return
        nearest = min(product.tolist(), key=lambda count: abs(count - kernel))
        self.worst = max(self.worst, abs(nearest - kernel))
        self.differences.append(f"{who} at {at_s:.2f} s: the kernel holds {kernel}, the product says {nearest}")

    @property
    def share_equal(self) -> float:
        return self.equal / self.compared if self.compared else 1.0


class Product:
    """What peerburst says of a capture, by the address that opened each entry."""

    def __init__(self, path: str) -> None:
        self.analysis = Analysis(read([path]), Settings(models=MODELS, include_lan=True))
        self.locals = frozenset(self.analysis.host_names)
        self._steps = {name: self._by_opener(self.analysis.entries(load(name))) for name in MODELS}

    def _by_opener(self, held: Entries) -> dict[str, Steps]:
        entry, row = held.entry, self.analysis.capture.flows.row[held.entry["flow"]]
        by_a = entry["by_a"] != 0
        high, low = np.where(by_a, row["a_hi"], row["b_hi"]), np.where(by_a, row["a_lo"], row["b_lo"])
        found = {}
        for words in {(int(h), int(lo)) for h, lo in zip(high, low, strict=True)}:
            mine = (high == np.uint64(words[0])) & (low == np.uint64(words[1]))
            found[to_text(*words)] = steps(entry["start"][mine], entry["end"][mine])
        return found

    def openers(self, model: str) -> set[str]:
        return set(self._steps[model])

    def counts_near(self, model: str, opener: str, at_ns: int) -> npt.NDArray[np.int64]:
        """The count at an instant, then every count within NEAR_NS of it."""
        held = self._steps[model].get(opener)
        if held is None:
            return np.zeros(1, np.int64)
        low, high = np.searchsorted(held.at, [at_ns - NEAR_NS, at_ns + NEAR_NS])
        instants = np.concatenate([[at_ns, at_ns - NEAR_NS], held.at[low:high]])
        return held.value(instants)

    def peak(self, opener: str, model: str = "linux-connlimit") -> int:
        held = self._steps[model].get(opener)
        return 0 if held is None else int(held.count.max())

    def crossed_ns(self, limit: int) -> int | None:
        """When the first of all openers exceeded a limit under linux-connlimit."""
        instants = []
        for held in self._steps["linux-connlimit"].values():
            above = np.flatnonzero(held.count > limit)
            if above.size:
                instants.append(int(held.at[above[0]]))
        return min(instants, default=None)


def _relevant(listing: Listing, product: Product) -> list[ctnetlink.Held]:
    """Entries that the product counts: one end is a local host."""
    local = product.locals
    return [
        held for held in ctnetlink.entries(listing.told) if held.key.source in local or held.key.destination in local
    ]


def compare_counts(witness: Witness, product: Product) -> dict[str, Score]:
    """Every opener at every listing, under both models."""
    listings = [(listing.at_ns, _relevant(listing, product)) for listing in witness.listings]
    scores = {}
    for model in MODELS:
        leaves_out = LEFT_OUT_BY_CONNLIMIT if model == "linux-connlimit" else ()
        score = scores[model] = Score()
        by_instant = [
            (at, Counter(held.key.source for held in table if held.state not in leaves_out)) for at, table in listings
        ]
        everyone = product.openers(model).union(*(count for _at, count in by_instant))
        for at, count in by_instant:
            for who in sorted(everyone):
                near = product.counts_near(model, who, at)
                score.add(who, (at - witness.recording.first_ns) / SECOND_NS, count[who], near)
    return scores


def kernel_peak(witness: Witness, product: Product, opener: str) -> tuple[int, int]:
    """(all, as `ct count` counts) the most entries of an opener in any listing."""
    most_all, most_counted = 0, 0
    for listing in witness.listings:
        mine = [held for held in _relevant(listing, product) if held.key.source == opener]
        most_all = max(most_all, len(mine))
        most_counted = max(most_counted, sum(held.state not in LEFT_OUT_BY_CONNLIMIT for held in mine))
    return most_all, most_counted


@dataclass(frozen=True, slots=True)
class Expected:
    """One live entry of the product's flow table: its TCP state (empty for others) and what is left of its timeout."""

    state: str
    left_s: float
    assured: bool


def live(table: FlowTable, at_ns: int, groups: Iterable[tuple[str, str]]) -> dict[ctnetlink.Key, Expected]:
    """The product's live entries at an instant behind its latest packet, but for those between `groups`."""
    row = table.flows().row
    ports = dict(zip("ab", tuple_ports(row), strict=True))
    expires = row["renewed"] + LINUX_TIMEOUTS_NS[row["phase"]]
    skipped = set(groups)
    found = {}
    for i in np.flatnonzero((row["phase"] != Phase.NONE) & (expires > at_ns) & (row["successor"] < 0)):
        ends = [(to_text(int(row[f"{end}_hi"][i]), int(row[f"{end}_lo"][i])), int(ports[end][i])) for end in "ab"]
        if not row["status"][i] & OPENED_BY_A:
            ends.reverse()
        if (ends[0][0], ends[1][0]) in skipped:
            continue
        key = ctnetlink.Key(int(row["proto"][i]), *ends[0], *ends[1])
        state = ctnetlink.TCP_STATES[row["state"][i]] if row["proto"][i] == PROTO_TCP else ""
        assured = row["status"][i] & IPS_ASSURED != 0
        found[key] = Expected(state, float(expires[i] - at_ns) / SECOND_NS, bool(assured))
    return found


@dataclass(slots=True)
class EntryScore:
    """Entries compared one by one at every listing: is it there, in which state, and for how long still."""

    compared: int = 0
    equal: int = 0
    near_a_packet: int = 0  # left out: a packet of theirs came within NEAR_NS
    differences: list[str] = field(default_factory=list)
    keys: list[ctnetlink.Key] = field(default_factory=list)  # of the differences

    @property
    def share_equal(self) -> float:
        return self.equal / self.compared if self.compared else 1.0


def _said(entry: Expected | ctnetlink.Held | None) -> str:
    if entry is None:
        return "nothing"
    return f"{entry.state or 'an entry'}{' (assured)' if entry.assured else ''} for {entry.left_s:.1f} s"


def _agree(kernel: ctnetlink.Held | None, product: Expected | None) -> bool:
    if kernel is None or product is None:
        left_s = kernel.left_s if kernel else product.left_s if product else 0
        return left_s <= NEAR_NS / SECOND_NS
    same_state = kernel.state == product.state and (not kernel.state or kernel.assured == product.assured)
    return same_state and abs(product.left_s - kernel.left_s) <= LEFT_TOLERANCE_S


def _keys(packets: npt.NDArray[np.void]) -> set[ctnetlink.Key]:
    """Whose packets these are, whichever end opened the entry."""
    found = set()
    for packet in packets:
        source = to_text(int(packet["src_hi"]), int(packet["src_lo"])), int(packet["sport"]) or int(packet["icmp_id"])
        destination = (
            to_text(int(packet["dst_hi"]), int(packet["dst_lo"])),
            int(packet["dport"]) or int(packet["icmp_id"]),
        )
        found |= {
            ctnetlink.Key(int(packet["proto"]), *source, *destination),
            ctnetlink.Key(int(packet["proto"]), *destination, *source),
        }
    return found


def compare_entries(witness: Witness, path: str) -> EntryScore:
    """Every entry at every listing, but for those with a packet near the instant."""
    packets = np.concatenate(list(PacketSource(path).batches()))
    packets = packets[np.argsort(packets["ts"], kind="stable")]
    tables, done = (FlowTable(), FlowTable()), [0, 0]
    score = EntryScore()
    for listing in witness.listings:
        edges = listing.began_ns - NEAR_NS, listing.ended_ns + NEAR_NS
        for i, table in enumerate(tables):
            upto = int(np.searchsorted(packets["ts"], edges[i]))
            table.add(packets[done[i] : upto])
            done[i] = upto
        moving = _keys(packets[done[0] : done[1]])
        before, behind = (live(table, listing.at_ns, witness.recording.groups) for table in tables)
        kernel = {held.key: held for held in ctnetlink.entries(listing.told)}
        at_s = (listing.at_ns - witness.recording.first_ns) / SECOND_NS
        for key in kernel.keys() | (before.keys() & behind.keys()):
            mine = behind.get(key)
            if _agree(kernel.get(key), mine):
                score.equal += 1
            elif key in moving:
                score.near_a_packet += 1
                continue
            else:
                told = f"the kernel holds {_said(kernel.get(key))}, the product {_said(mine)}"
                score.differences.append(f"{key} at {at_s:.2f} s: {told}")
                score.keys.append(key)
            score.compared += 1
    return score
