"""Matrices, precision and recall with intervals, macro-F1, and what errors cost."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from .cases import CLASSES

ATTACKS = ("scan", "flood", "spam")
UNKNOWN = "unknown"
INTERVAL_Z = 1.959964  # 95 %

# What a wrong answer costs. To accuse somebody who syncs is the worst, to let a scan pass for one the next; to say
# nothing beats any error.
SYNC_ACCUSED = 20.0
ATTACK_AS_SYNC = 15.0
OTHER_ACCUSED = 10.0
ATTACK_MISSED = 4.0
WRONG = 3.0
NOTHING_SAID = 1.0

Pair = tuple[str, str]  # what it was, what was said


def cost(truth: str, said: str) -> float:
    if said == truth:
        return 0.0
    if said == UNKNOWN:
        return NOTHING_SAID
    if said in ATTACKS and truth not in ATTACKS:
        return SYNC_ACCUSED if truth.startswith("p2p") else OTHER_ACCUSED
    if truth in ATTACKS:
        return ATTACK_AS_SYNC if said == "p2p-sync" else ATTACK_MISSED
    return WRONG


def is_costly(truth: str, said: str) -> bool:
    return cost(truth, said) >= OTHER_ACCUSED


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `of`, with Wilson's interval (E. B. Wilson, JASA 1927) at 95 %."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        return self.hits / self.of if self.of else 0.0

    def interval(self) -> tuple[float, float]:
        if not self.of:
            return 0.0, 1.0
        n, p, z = self.of, self.value, INTERVAL_Z
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)


def f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@dataclass(frozen=True, slots=True)
class Scores:
    """Of (truth, said) pairs."""

    counts: Counter[Pair]

    @classmethod
    def of(cls, pairs: Sequence[Pair]) -> "Scores":
        return cls(Counter(pairs))

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def classes(self) -> list[str]:
        """The classes that occur in truth, in the order of the design."""
        there = {truth for truth, _said in self.counts}
        return [label for label in CLASSES if label in there]

    def recall(self, label: str) -> Share:
        of = sum(count for (truth, _said), count in self.counts.items() if truth == label)
        return Share(self.counts[label, label], of)

    def precision(self, label: str) -> Share:
        of = sum(count for (_truth, said), count in self.counts.items() if said == label)
        return Share(self.counts[label, label], of)

    def right(self) -> Share:
        return Share(sum(count for (truth, said), count in self.counts.items() if truth == said), self.total)

    def macro_f1(self) -> float:
        """The mean of F1 over the classes that occur, each as heavy as another."""
        each = [f1(self.precision(label).value, self.recall(label).value) for label in self.classes()]
        return sum(each) / len(each) if each else 0.0

    def cost(self) -> float:
        """Mean cost of an answer."""
        return sum(cost(*pair) * count for pair, count in self.counts.items()) / max(self.total, 1)

    def costly(self) -> int:
        return sum(count for pair, count in self.counts.items() if is_costly(*pair))
