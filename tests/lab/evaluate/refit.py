"""The same rules with every threshold found anew on other sources, and a plain tree beside them.

The thresholds in the product were set by people who had seen these captures. What they would be worth on unseen
programs is asked by leaving one source out, forgetting every number that is not published, finding all of them again
on what is left by a fixed procedure, and judging the one left out. What is kept is the structure: which features, on
which side, in which order.

The procedure: each feature counts as known to a tenth (shares) or to a factor of one and a half (counts, sizes), or
half as far: which of three widths, is found on the training side alone. So a bound holds to a degree, and a rule as far
as all its bounds do. The thresholds are those with the least expected cost, found one after another until none moves. A
threshold so keeps its distance from the cases on both sides. A share stays at one half unless moving it pays: "most"
needs no data.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import reduce

import numpy as np
import numpy.typing as npt

from peerburst.analysis.bursts.classes import RULES
from peerburst.analysis.bursts.features import Features
from peerburst.analysis.bursts.rules import Bound, Rule, at_least, below
from peerburst.capture.vocabulary import TrafficClass

from .cases import CLASSES, Case
from .scores import UNKNOWN, Pair, Scores, cost

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Whole = npt.NDArray[np.int64]

NAMES = tuple(field.name for field in fields(Features))
SAID = (*CLASSES, UNKNOWN)
COST = np.array([[cost(truth, said) for said in SAID] for truth in CLASSES])
# Not ours to fit. Zeek's scan.zeek: more than 15 ports of a host, more than 25 hosts of a port. TRW (Jung 2004) takes
# a scanner's first contacts to succeed in 20 %, anybody else's in 80 %: midway is one half. A recorded Skype login
# (SkypeIRC.cap) fetches less than 64 kB in any one exchange but three. The leanest film of Apple's HLS authoring
# specification has 145 kbit/s: 18 kB a second.
PUBLISHED = (
    at_least("busiest_peer_port_count", 16),
    at_least("connection_count", 15),
    at_least("peer_count", 26),
    below("answered_share", 0.5),
    at_least("largest_bytes", 64_000),
    at_least("heavy_bytes_per_s", 18_000),
)
KNOWN_TO = 0.1  # shares
KNOWN_TO_OCTAVES = 0.6  # counts and sizes, by factors of two
STAYS_AT_HALF = 0.02  # what a share pays for each whole that it leaves one half by, in mean cost
SHARES = np.array([0.02, 0.05, *np.arange(2, 19) / 20, 0.95, 0.98])
STEPS_PER_OCTAVE = 2
PASSES = 4
# Of several ways to meet a condition each has to tell the class by itself to this degree: one that never decides would
# otherwise have any threshold.
EACH_WAY = 0.2
WIDTHS = (0.5, 0.75, 1.0)
INNER_PARTS = 4


def table(cases: Sequence[Case]) -> Floats:
    return np.array([[float(getattr(case.features, name)) for name in NAMES] for case in cases])


def weights(cases: Sequence[Case]) -> Floats:
    """Each class weighs the same, in it each source, in it each case: long captures do not drown short ones."""
    labels = [case.truth[0] for case in cases]
    sources = {label: {case.source for case in cases if case.truth[0] == label} for label in set(labels)}
    sizes = {
        (label, source): sum(case.truth[0] == label and case.source == source for case in cases)
        for label in sources
        for source in sources[label]
    }
    return np.array([1.0 / len(sources[case.truth[0]]) / sizes[case.truth[0], case.source] for case in cases])


def candidates(values: Floats) -> Floats:
    """Thresholds to try: the twentieths of a share; for counts and sizes each half octave that was seen."""
    if values.max() <= 1:
        return SHARES
    lowest, highest = np.log2(max(values.min(), 1.0)), np.log2(max(values.max(), 2.0))
    steps = np.arange(np.floor(STEPS_PER_OCTAVE * lowest), np.ceil(STEPS_PER_OCTAVE * highest) + 1)
    tried: Floats = 2.0 ** ((steps + 0.5) / STEPS_PER_OCTAVE)
    return tried


def bounds_of(rules: Sequence[Rule]) -> list[tuple[Bound, TrafficClass]]:
    """Each bound with the class of the first rule that has it."""
    found: dict[Bound, TrafficClass] = {}
    for rule in rules:
        for condition in rule.required:
            for bound in condition.bounds():
                found.setdefault(bound, rule.label)
    return list(found.items())


@dataclass(slots=True)
class _Fit:
    """The rules over a table of cases, each bound holding to a degree, so that one threshold can be moved at a time.

    Degrees are by case, or by threshold tried and case.
    """

    rules: tuple[Rule, ...]
    seen: Floats
    truth: Whole
    weight: Floats
    width: float  # how well features are known, times the above
    values: dict[Bound, float] = field(default_factory=dict)
    _degrees: dict[Bound, Floats] = field(default_factory=dict)
    _held: list[Floats] = field(default_factory=list)

    def degree(self, bound: Bound, values: Floats) -> Floats:
        """How far the bound holds in each case, if its threshold is one of these."""
        column = self.seen[:, NAMES.index(bound.feature)]
        if column.max() <= 1:
            apart = (column - values[:, None]) / (KNOWN_TO * self.width)
        else:
            octaves = np.log2(np.maximum(column, 0.5)) - np.log2(np.maximum(values, 0.5))[:, None]
            apart = octaves / (KNOWN_TO_OCTAVES * self.width)
        held: Floats = 1 / (1 + np.exp(np.clip(-apart if bound.is_minimum else apart, -30, 30)))
        return held

    def leaving_half(self, bound: Bound, values: Floats) -> Floats:
        is_share = self.seen[:, NAMES.index(bound.feature)].max() <= 1
        away: Floats = STAYS_AT_HALF * np.abs(values - 0.5) * is_share
        return away

    def held(self, rule: Rule) -> Floats:
        """How far all conditions of a rule hold."""
        out: Floats = np.ones(1)
        for condition in rule.required:
            ways = [reduce(np.multiply, [self._degrees[bound] for bound in way]) for way in condition.ways]
            either = 1 - reduce(np.multiply, [1 - way for way in ways])
            if len(ways) > 1:
                either = (1 - EACH_WAY) * either + EACH_WAY * reduce(np.add, ways) / len(ways)
            out = out * either
        return out

    def expected_cost(self, held: Sequence[Floats]) -> Floats:
        """Of an answer, the first rule that holds giving it; by threshold tried."""
        free: Floats = np.ones((1, self.truth.size))
        total: Floats = np.zeros((1, self.truth.size))
        for rule, degree in zip(self.rules, held, strict=True):
            total = total + free * degree * COST[self.truth, SAID.index(rule.label.value)]
            free = free * (1 - degree)
        mean: Floats = (total + free * COST[self.truth, SAID.index(UNKNOWN)]) @ self.weight
        return mean

    def run(self) -> None:
        options = {}
        for bound, label in bounds_of(self.rules):
            tried = candidates(self.seen[:, NAMES.index(bound.feature)])
            options[bound] = np.array([bound.value]) if bound in PUBLISHED else tried
            self.values[bound] = self._apart_best(bound, label, options[bound])
            self._degrees[bound] = self.degree(bound, np.array([self.values[bound]]))
        self._held = [self.held(rule) for rule in self.rules]
        for _ in range(PASSES):
            moved = sum(self._moved(bound, tried) for bound, tried in options.items() if tried.size > 1)
            if not moved:
                break

    def _apart_best(self, bound: Bound, label: TrafficClass, tried: Floats) -> float:
        """To begin with: the threshold that alone keeps most of the class and least of the rest.

        The class counts twice: other bounds keep the rest out as well, and nothing brings back who was turned away.
        """
        mine = self.truth == CLASSES.index(label.value)
        weight = np.where(mine, 2 * self.weight, -self.weight)
        for side in (mine, ~mine):
            weight[side] /= max(float(self.weight[side].sum()), 1e-9)
        gains = self.degree(bound, tried) @ weight - self.leaving_half(bound, tried)
        return float(tried[int(np.argmax(gains))])

    def _moved(self, bound: Bound, tried: Floats) -> bool:
        """Move one threshold to where the answers cost least; answers whether it was elsewhere."""
        self._degrees[bound] = self.degree(bound, tried)
        uses = [any(bound in one.bounds() for one in rule.required) for rule in self.rules]
        held = [self.held(rule) if used else now for rule, used, now in zip(self.rules, uses, self._held, strict=True)]
        costs = self.expected_cost(held) + self.leaving_half(bound, tried)
        best = int(np.argmin(np.round(costs, 12)))
        self._degrees[bound] = self._degrees[bound][best : best + 1]
        self._held = [
            one[best : best + 1] if used and one.shape[0] > 1 else one for one, used in zip(held, uses, strict=True)
        ]
        has_moved = float(tried[best]) != self.values[bound]
        self.values[bound] = float(tried[best])
        return has_moved


def fit_rules(cases: Sequence[Case], rules: tuple[Rule, ...] = RULES, *, width: float = 1.0) -> dict[Bound, float]:
    """A threshold for each bound, by the procedure above."""
    weight = weights(cases)
    truth = np.array([CLASSES.index(case.truth[0]) for case in cases])
    fit = _Fit(rules, table(cases), truth, weight / weight.sum(), width)
    fit.run()
    return fit.values


def best_width(cases: Sequence[Case]) -> float:
    """How well features had better be taken to be known: what costs least on sources left out, of these cases alone."""
    sources = sorted({case.source for case in cases})
    costs = []
    for width in WIDTHS:
        pairs: list[Pair] = []
        for part in range(INNER_PARTS):
            out = set(sources[part::INNER_PARTS])
            test = [case for case in cases if case.source in out]
            values = fit_rules([case for case in cases if case.source not in out], width=width)
            pairs += [(case.truth[0], said) for case, said in zip(test, judge_by_rules(values, test), strict=True)]
        costs.append(Scores.of(pairs).cost())
    return WIDTHS[int(np.argmin(costs))]


def judge_by_rules(values: dict[Bound, float], cases: Sequence[Case], rules: tuple[Rule, ...] = RULES) -> list[str]:
    """What the rules say with these thresholds: a bound holds or does not."""

    def holds(bound: Bound, row: Floats) -> bool:
        seen = row[NAMES.index(bound.feature)]
        return bool(seen >= values[bound] if bound.is_minimum else seen < values[bound])

    def says(row: Floats) -> str:
        for rule in rules:
            if all(any(all(holds(bound, row) for bound in way) for way in one.ways) for one in rule.required):
                return rule.label.value
        return UNKNOWN

    return [says(row) for row in table(cases)]


# --- a plain tree, for comparison ------------------------------------------------------------------------------------

DEEPEST = 8
LEAST_GAIN = 1e-3
MOST_SPLITS = 16  # tried of a feature


@dataclass(frozen=True, slots=True)
class Node:
    """A question on one feature, or (feature None) an answer."""

    said: str
    feature: int | None = None
    value: float = 0.0
    lower: "Node | None" = None
    upper: "Node | None" = None


def fit_tree(cases: Sequence[Case]) -> Node:
    """A decision tree (Gini impurity weighted by class and source); a leaf says what costs least."""
    truth = np.array([CLASSES.index(case.truth[0]) for case in cases])
    return _grow(table(cases), truth, weights(cases), DEEPEST)


def _shares(truth: Whole, weight: Floats) -> Floats:
    return np.bincount(truth, weight, minlength=len(CLASSES)).astype(np.float64)


def _splits(values: Floats) -> Floats:
    """Thresholds between neighbouring values."""
    distinct = np.unique(values)
    between: Floats = (distinct[:-1] + distinct[1:]) / 2
    if between.size > MOST_SPLITS:
        between = between[np.linspace(0, between.size - 1, MOST_SPLITS).astype(int)]
    return between


def _impurity(shares: Floats) -> float:
    total = float(shares.sum())
    return total - float((shares**2).sum()) / total if total else 0.0


def _grow(seen: Floats, truth: Whole, weight: Floats, deeper: int) -> Node:
    shares = _shares(truth, weight)
    said = SAID[int((shares @ COST).argmin())]
    here = _impurity(shares)
    if not deeper or here < LEAST_GAIN:
        return Node(said)
    best = (LEAST_GAIN, 0, 0.0)
    for feature in range(seen.shape[1]):
        for value in _splits(seen[:, feature]):
            upper = seen[:, feature] >= value
            gain = (
                here
                - _impurity(_shares(truth[upper], weight[upper]))
                - _impurity(_shares(truth[~upper], weight[~upper]))
            )
            if gain > best[0] + 1e-12:
                best = (gain, feature, float(value))
    if best[0] <= LEAST_GAIN:
        return Node(said)
    _gain, feature, value = best
    upper = seen[:, feature] >= value
    return Node(
        said,
        feature,
        value,
        _grow(seen[~upper], truth[~upper], weight[~upper], deeper - 1),
        _grow(seen[upper], truth[upper], weight[upper], deeper - 1),
    )


def judge_by_tree(node: Node, cases: Sequence[Case]) -> list[str]:
    return [_ask(node, row) for row in table(cases)]


def _ask(node: Node, row: Floats) -> str:
    while node.feature is not None:
        further = node.upper if row[node.feature] >= node.value else node.lower
        if further is None:
            break
        node = further
    return node.said


# --- leaving one source out ------------------------------------------------------------------------------------------

Learner = Callable[[Sequence[Case], Sequence[Case]], list[str]]


def refitted_rules(train: Sequence[Case], test: Sequence[Case]) -> list[str]:
    return judge_by_rules(fit_rules(train, width=best_width(train)), test)


def fitted_with(width: float) -> Learner:
    """The same with features known so well, whatever would have been best: what the figures owe to that."""
    return lambda train, test: judge_by_rules(fit_rules(train, width=width), test)


def tree(train: Sequence[Case], test: Sequence[Case]) -> list[str]:
    return judge_by_tree(fit_tree(train), test)


def leave_one_source_out(cases: Sequence[Case], learner: Learner) -> list[tuple[Case, Pair]]:
    """Every case, judged by what was learnt without any capture of its source."""
    judged = []
    for source in sorted({case.source for case in cases}):
        test = [case for case in cases if case.source == source]
        train = [case for case in cases if case.source != source]
        for case, said in zip(test, learner(train, test), strict=True):
            judged.append((case, (said if said in case.truth else case.truth[0], said)))
    return judged
