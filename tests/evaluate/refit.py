"""The same rules with every threshold found anew on other sources, and a plain tree beside them.

The thresholds in the product were set by people who had seen these captures. What they would be worth on unseen
programs is asked by leaving one source out, forgetting every number, finding all of them again on what is left by a
fixed procedure, and judging the one left out. What is kept is the structure: which features, on which side, in which
order.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from peerburst.analysis.classify import RULES, Bound, BurstClass, Rule, least
from peerburst.analysis.features import Features

from .cases import CLASSES, Case
from .scores import UNKNOWN, Pair, cost

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

NAMES = tuple(field.name for field in fields(Features))
SAID = (*CLASSES, UNKNOWN)
COST = np.array([[cost(truth, said) for said in SAID] for truth in CLASSES])
MOST_CANDIDATES = 16  # thresholds tried for a bound
PASSES = 2
# These two are not ours to fit: Zeek's scan.zeek, more than 15 ports of a host, more than 25 hosts of a port.
PUBLISHED = (least("ports_of_busiest_peer", 16), least("peers", 26))


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
    """Thresholds between neighbouring values: halfway in shares, at the geometric mean in what grows by factors."""
    distinct = np.unique(values)
    low, high = distinct[:-1], distinct[1:]
    between = np.where(high > 2, np.sqrt(np.maximum(low, 0.25) * high), (low + high) / 2)
    if between.size > MOST_CANDIDATES:
        between = between[np.linspace(0, between.size - 1, MOST_CANDIDATES).astype(int)]
    return between


@dataclass(slots=True)
class _List:
    """The rules over a table of cases, one mask per bound, so that one threshold can be tried without the others."""

    rules: tuple[Rule, ...]
    seen: Floats
    values: dict[Bound, float]

    def masks(self) -> dict[Bound, Bools]:
        return {bound: self.mask(bound, self.values[bound]) for bound in self.values}

    def mask(self, bound: Bound, value: float) -> Bools:
        column = self.seen[:, NAMES.index(bound.feature)]
        held: Bools = column >= value if bound.at_least else column < value
        return held

    def said(self, masks: dict[Bound, Bools]) -> npt.NDArray[np.int64]:
        """Index into SAID per case."""
        out = np.full(self.seen.shape[0], len(SAID) - 1)
        free = np.ones(self.seen.shape[0], np.bool_)
        for rule in self.rules:
            held = free.copy()
            for condition in rule.needs:
                ways = [np.logical_and.reduce([masks[bound] for bound in way]) for way in condition.ways]
                held &= np.logical_or.reduce(ways)
            out[held] = SAID.index(rule.label.value)
            free &= ~held
        return out


def bounds_of(rules: Sequence[Rule]) -> list[tuple[Bound, BurstClass]]:
    """Each bound with the class of the first rule that has it."""
    found: dict[Bound, BurstClass] = {}
    for rule in rules:
        for condition in rule.needs:
            for bound in condition.bounds():
                found.setdefault(bound, rule.label)
    return list(found.items())


def fit_rules(cases: Sequence[Case], rules: tuple[Rule, ...] = RULES) -> dict[Bound, float]:
    """A threshold for each bound: first what best tells its class from the rest alone, then, twice around, another
    wherever that makes the whole list cost less; of equally good ones the middle one."""
    seen, weight = table(cases), weights(cases)
    truth = np.array([CLASSES.index(case.truth[0]) for case in cases])
    fitted = _List(rules, seen, {})
    options: dict[Bound, Floats] = {}
    for bound, label in bounds_of(rules):
        options[bound] = candidates(seen[:, NAMES.index(bound.feature)])
        if not options[bound].size or bound in PUBLISHED:
            options[bound] = np.array([bound.value])
        mine = truth == CLASSES.index(label.value)
        apart = [_apart(fitted.mask(bound, value), mine, weight) for value in options[bound]]
        fitted.values[bound] = _middle_best(options[bound], -np.array(apart))
    for _ in range(PASSES):
        masks = fitted.masks()
        for bound in fitted.values:
            costs = []
            for value in options[bound]:
                masks[bound] = fitted.mask(bound, value)
                costs.append(float((COST[truth, fitted.said(masks)] * weight).sum()))
            if min(costs) < costs[int(np.argmin(np.abs(options[bound] - fitted.values[bound])))] - 1e-9:
                fitted.values[bound] = _middle_best(options[bound], np.array(costs))
            masks[bound] = fitted.mask(bound, fitted.values[bound])
    return fitted.values


def _apart(held: Bools, mine: Bools, weight: Floats) -> float:
    """Share of the class that a bound keeps, less the share of the rest."""
    others = max(float(weight[~mine].sum()), 1e-9)
    return float(weight[held & mine].sum() / max(float(weight[mine].sum()), 1e-9) - weight[held & ~mine].sum() / others)


def _middle_best(values: Floats, costs: Floats) -> float:
    """The middle of the first longest run of values with the least cost."""
    best = np.flatnonzero(costs <= costs.min() + 1e-9)
    runs = np.split(best, np.flatnonzero(np.diff(best) > 1) + 1)
    run = max(runs, key=len)
    return float(values[run[len(run) // 2]])


def judge_by_rules(values: dict[Bound, float], cases: Sequence[Case], rules: tuple[Rule, ...] = RULES) -> list[str]:
    fitted = _List(rules, table(cases), values)
    return [SAID[index] for index in fitted.said(fitted.masks())]


# --- a plain tree, for comparison ------------------------------------------------------------------------------------

DEEPEST = 8
LEAST_GAIN = 1e-3


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


def _shares(truth: npt.NDArray[np.int64], weight: Floats) -> Floats:
    return np.bincount(truth, weight, minlength=len(CLASSES))


def _impurity(shares: Floats) -> float:
    total = float(shares.sum())
    return total - float((shares**2).sum()) / total if total else 0.0


def _grow(seen: Floats, truth: npt.NDArray[np.int64], weight: Floats, deeper: int) -> Node:
    shares = _shares(truth, weight)
    said = SAID[int((shares @ COST).argmin())]
    here = _impurity(shares)
    if not deeper or here < LEAST_GAIN:
        return Node(said)
    best = (LEAST_GAIN, 0, 0.0)
    for feature in range(seen.shape[1]):
        for value in candidates(seen[:, feature]):
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
    return judge_by_rules(fit_rules(train), test)


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
