"""Every kind of flow and every class has all its parts; who adds one reads here what it lacks, and where that goes."""

from collections.abc import Iterator

from peerburst.analysis.bursts.classes import RULES
from peerburst.analysis.figures import style
from peerburst.capture.vocabulary import KIND_NAMES, FlowKind, TrafficClass
from tests.analysis.bursts.test_classify import CRAFTED
from tests.support.paths import ROOT

CLASSES_PAGE = (ROOT / "docs/classes.md").read_text()
KINDS_IN_DOCS = CLASSES_PAGE.partition("## Kinds of flow")[2].partition("\n## ")[0]
CLASSES_IN_DOCS = CLASSES_PAGE.partition("\n## Classes")[2].partition("\n## ")[0]


def lacking_of_kinds() -> Iterator[str]:
    looks = list(style.KIND_LOOKS.values())
    for kind in FlowKind:
        if not kind.says:
            yield f"{kind.word} has no words: capture/vocabulary.py, FlowKind"
        look = style.KIND_LOOKS[kind.word]
        if "" in (look.hatch, look.colour) or looks.count(look) > 1:
            yield f"{kind.word} has no colour, hatch and marker of its own: analysis/figures/style.py"
        if f"\n| {kind.word} |" not in KINDS_IN_DOCS:
            yield f"{kind.word} has no row that says when a flow is one: docs/classes.md, Kinds of flow"


def lacking_of_classes() -> Iterator[str]:
    with_rule = {rule.label for rule in RULES} | {TrafficClass.UNKNOWN}
    for label in TrafficClass:
        if label.says == label.value and label is not TrafficClass.STREAMING:  # its word says it
            yield f"{label.value} has no words: capture/vocabulary.py, TrafficClass"
        if label not in with_rule:
            yield f"{label.value} has no rule: analysis/bursts/classes.py"
        if label.value not in {named for _seen, named in CRAFTED.values()}:
            yield f"{label.value} has no example: tests/analysis/bursts/test_classify.py, CRAFTED"
        if f"\n| {label.value}" not in CLASSES_IN_DOCS:
            yield f"{label.value} has no row with its conditions: docs/classes.md, Classes"


def test_every_kind_of_flow_has_all_its_parts() -> None:
    missing = list(lacking_of_kinds())
    assert not missing, "\n".join(missing)
    assert [kind.value for kind in FlowKind] == list(range(len(KIND_NAMES)))


def test_every_class_has_all_its_parts() -> None:
    missing = list(lacking_of_classes())
    assert not missing, "\n".join(missing)


def test_every_rule_names_a_class_of_the_vocabulary() -> None:
    assert {rule.label for rule in RULES} <= set(TrafficClass)
