"""What a burst, or a host, is doing: the class of the first rule that holds, with its evidence. No payload is read.

A class has conditions that are all required and others that support it: see `classes`. Without any, the class is
`unknown`.
"""

from dataclasses import dataclass, field

import numpy as np

from peerburst.analysis.bursts.classes import ONE_WAY_RULES, RULES, TOLD_OF_ONE_WAY, TOLD_OF_UNKNOWN
from peerburst.analysis.bursts.features import Features
from peerburst.analysis.bursts.nearest import first_rule, nearest_changes
from peerburst.analysis.bursts.rules import Bound, Condition, Rule
from peerburst.capture.compiled.shapes import Bools, Int64s, Records
from peerburst.capture.vocabulary import TrafficClass

FEW_BYTES = 20_000  # a host of few connections and less than this has done nothing that has a name
FEW_FLOWS = 10  # as many as the smallest burst has
SURE_FROM = 50  # flows from which the number of flows no longer lowers confidence
REQUIRED_CONFIDENCE, SUPPORTED_CONFIDENCE = 0.6, 0.35  # what all that is required gives, and what all support adds
PROVISIONAL_SHARE = 0.7  # of the confidence that a whole burst would have


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
        return nearest_changes(self.features) if self.features is not None else ()


def classify(features: Features, *, provisional: bool = False, rules: tuple[Rule, ...] = RULES) -> Classification:
    """The class of a set of flows with these features, with the reasons for it.

    `provisional` says that they are the first of more; the class then says so too, and is less sure.
    """
    rule = first_rule(features, rules)
    reasons: tuple[Condition, ...]
    if rule is None:
        reasons = TOLD_OF_ONE_WAY if rules is ONE_WAY_RULES else TOLD_OF_UNKNOWN
        found, confidence = TrafficClass.UNKNOWN, 0.0
    else:
        found, confidence = rule.label, _confidence(rule, features)
        reasons = (*rule.required, *(one for one in rule.supporting if one.holds(features)))
    evidence = _evidence(features, reasons)
    if provisional:
        confidence *= PROVISIONAL_SHARE
        says = f"provisional: judged on its first {max(features.duration_s, 1):.0f} s"
        evidence += (Evidence("duration_s", round(features.duration_s, 4), says),)
    # What would have changed it is asked of the usual rules.
    asked = features if rules is not ONE_WAY_RULES else None
    return Classification(found, round(confidence, 2), evidence, provisional, asked)


def _confidence(rule: Rule, features: Features) -> float:
    """0.6 for what is required, up to 0.95 with all support; less for few flows."""
    held = sum(condition.holds(features) for condition in rule.supporting)
    support = held / len(rule.supporting) if rule.supporting else 0.5
    size = min(1.0, 0.5 + 0.5 * features.flow_count / SURE_FROM)
    return (REQUIRED_CONFIDENCE + SUPPORTED_CONFIDENCE * support) * size


def _evidence(features: Features, reasons: tuple[Condition, ...]) -> tuple[Evidence, ...]:
    found: dict[str, Evidence] = {}
    for condition in reasons:
        says = condition.describe(features)
        if all(says != earlier.says for earlier in found.values()):
            value = float(getattr(features, condition.feature))
            found.setdefault(condition.feature, Evidence(condition.feature, round(value, 4), says))
    return tuple(found.values())


def says_something(flows: Int64s, ip_bytes: Int64s) -> Bools:
    """Per host, whether one with so many flows and bytes can have a class at all."""
    enough: Bools = (flows >= FEW_FLOWS) | (ip_bytes >= FEW_BYTES)
    return enough


def labels(rows: Records, rules: tuple[Rule, ...] = RULES) -> list[TrafficClass]:
    """The class alone of each of many sets of flows, by rows of features.FEATURES: reasons take much longer."""
    left, found = np.ones(rows.size, np.bool_), np.full(rows.size, len(rules))
    for number, rule in enumerate(rules):
        held = np.logical_and.reduce([left, *(_where_condition(one, rows) for one in rule.required)])
        found[held] = number
        left &= ~held
    classes = [*(rule.label for rule in rules), TrafficClass.UNKNOWN]
    return [classes[number] for number in found.tolist()]


def _where_condition(condition: Condition, rows: Records) -> Bools:
    ways = [np.logical_and.reduce([_where_bound(bound, rows) for bound in way]) for way in condition.ways]
    held: Bools = np.logical_or.reduce(ways)
    return held


def _where_bound(bound: Bound, rows: Records) -> Bools:
    column = rows[bound.feature]
    held: Bools = column >= bound.value if bound.is_minimum else column < bound.value
    return held
