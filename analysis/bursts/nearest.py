"""What would have given another class: one feature moved just past a threshold, all else as it was."""

import functools
import math
from dataclasses import dataclass

from peerburst.analysis.bursts.classes import RULES
from peerburst.analysis.bursts.features import ALL, Features, Unit
from peerburst.analysis.bursts.rules import Bound, Rule
from peerburst.capture.vocabulary import TrafficClass

TOLD = 3  # changes


def first_rule(features: Features, rules: tuple[Rule, ...]) -> Rule | None:
    """The first rule that holds."""
    return next((rule for rule in rules if rule.holds(features)), None)


def _just_below(bound: Bound) -> float:
    """The nearest value below; of what is counted in whole numbers one less, but for bytes."""
    feature = ALL[bound.feature]
    if feature.is_whole and feature.unit is not Unit.BYTES:
        return bound.value - 1
    return math.nextafter(bound.value, -math.inf)


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
    required: tuple[tuple[TrafficClass, tuple[tuple[int, ...], ...]], ...]  # by rule, condition and way: its bits

    def label(self, held: int) -> TrafficClass:
        """The class where just these bounds hold."""
        for label, conditions in self.required:
            if all(any(held & way == way for way in ways) for ways in conditions):
                return label
        return TrafficClass.UNKNOWN

    def held(self, features: Features) -> int:
        """The bits of the bounds that hold."""
        return sum(bit for bound, bit in self.bits.items() if bound.holds(features))

    def moved(self, held: int, feature: str, value: float) -> int:
        """The bits of those that hold once a feature has this value."""
        for bound in self.of_feature[feature]:
            held = held | self.bits[bound] if bound.admits(value) else held & ~self.bits[bound]
        return held


@functools.cache
def _questions() -> _Questions:
    bounds = dict.fromkeys(bound for rule in RULES for condition in rule.required for bound in condition.bounds())
    bits = {bound: 1 << i for i, bound in enumerate(bounds)}
    of_feature = {one.feature: tuple(bound for bound in bounds if bound.feature == one.feature) for one in bounds}
    required = tuple(
        (rule.label, tuple(tuple(sum(bits[bound] for bound in way) for way in one.ways) for one in rule.required))
        for rule in RULES
    )
    return _Questions(bits, of_feature, required)


def nearest_changes(features: Features) -> tuple[str, ...]:
    """In words, those of what the class was decided on first, then the rest; of each the nearest first."""
    rule = first_rule(features, RULES)
    label = rule.label if rule is not None else TrafficClass.UNKNOWN
    decided = {bound.feature for one in rule.required for bound in one.bounds()} if rule is not None else set()
    questions = _questions()
    held = questions.held(features)
    found: list[tuple[bool, float, str, str]] = []
    for bound, bit in questions.bits.items():
        seen, is_above = float(getattr(features, bound.feature)), (held & bit != 0) == bound.is_minimum
        wanted = _just_below(bound) if is_above else bound.value
        other = questions.label(questions.moved(held, bound.feature, wanted))
        if other is not label:
            text = _sentence(bound, seen, other, is_above=is_above)
            found.append((bound.feature not in decided, _distance(seen, wanted), bound.feature, text))
    told: dict[str, str] = {}
    for _aside, _far, name, text in sorted(found):
        told.setdefault(name, text)
    return tuple(told.values())[:TOLD]


def _sentence(bound: Bound, seen: float, other: TrafficClass, *, is_above: bool) -> str:
    feature, side = ALL[bound.feature], "below" if is_above else "from"
    return f"{feature.words} {feature.text(seen)}; {side} {feature.text(bound.value)} it would be {other.value}"
