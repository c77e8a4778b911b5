"""The arithmetic of the evaluation, on matrices small enough to work out by hand."""

import dataclasses
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from peerburst.analysis.bursts.classes import RULES
from peerburst.analysis.bursts.classify import classify
from peerburst.analysis.bursts.rules import at_least
from tests.analysis.bursts.test_classify import CRAFTED, SYNC
from tests.lab.evaluate import page
from tests.lab.evaluate.cases import Case
from tests.lab.evaluate.refit import PUBLISHED, bounds_of, candidates, fit_rules, judge_by_rules, leave_one_source_out
from tests.lab.evaluate.scores import Scores, Share, cost, is_costly


def case(name: str, source: str, label: str | None = None) -> Case:
    seen, right = CRAFTED[name]
    return Case("public", "burst", name, source, "192.168.1.10", 0.0, (label or right,), seen, classify(seen))


def test_wilsons_interval() -> None:
    # 8 of 10 at 95 %: 0.490 to 0.943 (Newcombe, Statistics in Medicine 1998, gives the formula)
    low, high = Share(8, 10).interval()
    assert (low, high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert Share(0, 0).interval() == (0, 1)


def test_precision_recall_and_macro_f1() -> None:
    scores = Scores.of([("web", "web"), ("web", "scan"), ("scan", "scan"), ("scan", "unknown")])
    assert (scores.recall("web"), scores.precision("web")) == (Share(1, 2), Share(1, 1))
    assert (scores.recall("scan"), scores.precision("scan")) == (Share(1, 2), Share(1, 2))
    assert scores.macro_f1() == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert scores.right() == Share(2, 4)


def test_accusing_a_sync_costs_most_and_saying_nothing_least() -> None:
    assert cost("p2p-sync", "scan") > cost("scan", "p2p-sync") > cost("web", "flood") > cost("flood", "web")
    assert 0 == cost("web", "web") < cost("web", "unknown") < cost("web", "streaming")
    assert [is_costly(*pair) for pair in (("p2p-sync", "spam"), ("scan", "p2p-sync"), ("scan", "web"))] == [
        True,
        True,
        False,
    ]


def test_candidates_are_twentieths_of_a_share_and_half_octaves() -> None:
    assert {0.05, 0.5, 0.95} < set(candidates(np.array([0.0, 1.0])).round(3).tolist())
    steps = candidates(np.array([4.0, 400.0]))
    assert (steps[1:] / steps[:-1]).tolist() == pytest.approx([2**0.5] * (steps.size - 1))
    assert steps[0] < 5
    assert steps[-1] > 400


def test_refitting_tells_apart_what_it_was_given() -> None:
    names = ("a flood of whole connections", "a page", "a call", "mail to many", "a login", "a resolver of its own")
    cases = [case(name, f"{name} {i}") for name in names for i in range(2)]
    values = fit_rules(cases)
    assert all(values[bound] == bound.value for bound in PUBLISHED if bound in values)
    assert judge_by_rules(values, cases) == [one.truth[0] for one in cases]


def test_every_published_number_is_in_use() -> None:
    assert set(PUBLISHED) <= {bound for bound, _label in bounds_of(RULES)}


def test_a_threshold_keeps_its_distance_from_both_sides() -> None:
    names = ("a login", "a login of TCP alone", "sharing files", "sharing files, a little with everybody", "a page")
    cases = [case(name, name) for name in (*names, "mail to many", "neighbours, a few of them there", "a call")]
    # Who syncs fetches as much at most, in packets of 120 B; who shares files has 580 or 800.
    largest = {"p2p-sync": {"largest_bytes": 150_000}}
    cases = [
        dataclasses.replace(one, features=dataclasses.replace(one.features, **largest.get(one.truth[0], {})))
        for one in cases
    ]
    values = fit_rules(cases)
    assert judge_by_rules(values, cases) == [one.truth[0] for one in cases]
    assert 170 < values[at_least("bytes_per_packet", 400)] < 410


def test_with_its_own_thresholds_it_says_what_the_rules_say() -> None:
    cases = [case(name, name) for name in CRAFTED]
    values = {bound: bound.value for bound, _label in bounds_of(RULES)}
    assert judge_by_rules(values, cases) == [one.found_class for one in cases]


def test_no_source_is_ever_on_both_sides() -> None:
    cases = [case("a login", "tox"), case("a page", "firefox"), case("a page", "chromium"), case("a login", "tox")]

    def watch(train: Sequence[Case], test: Sequence[Case]) -> list[str]:
        assert not {one.source for one in train} & {one.source for one in test}
        assert len(train) + len(test) == len(cases)
        return ["web"] * len(test)

    judged = leave_one_source_out(cases, watch)
    assert sorted(pair for _case, pair in judged) == [("p2p-sync", "web")] * 2 + [("web", "web")] * 2


def test_one_of_several_right_answers_is_right() -> None:
    one = dataclasses.replace(case("a login", "x"), truth=("web", "p2p-sync"))
    assert (one.label, one.found_class) == ("p2p-sync", "p2p-sync")
    assert page.errors([one]) == "None."


def test_an_error_is_listed_with_its_evidence_and_what_would_change_it() -> None:
    wrong = case("a page", "x", label="p2p-sync")
    text = page.errors([wrong, case("one port of many hosts, nobody there", "y", label="p2p-sync")])
    assert text.startswith("- **costly** one port of many hosts")
    assert "p2p-sync called web, because 70 % went to web ports" in text
    assert "Nearest change:" in text


def test_a_matrix_shows_labels_down_and_answers_across() -> None:
    text = page.matrix(Scores.of([("web", "web"), ("web", "unknown"), ("scan", "scan")]))
    assert "| labelled | web | scan | unknown | recall | precision |" in text
    assert "| web | 1 | · | 1 | 1/2 (0.09 to 0.91) | 1/1 (0.21 to 1.00) |" in text


def test_the_page_keeps_what_is_not_generated() -> None:
    before = f"head\n{page.BEGIN}\nold\n{page.END}\ntail\n"
    assert page.replace(before, "new") == f"head\n{page.BEGIN}\n\nnew\n\n{page.END}\ntail\n"
    with pytest.raises(ValueError, match="no lines"):
        page.replace("head", "new")


def test_a_heavy_call_is_heavy_and_keeps_its_kind() -> None:
    seen = Counter({("heavy", True, True): 8, ("media", True, True): 2, ("probe", False, False): 90})
    text = page.weight_part(seen)
    assert "| media | 0 | 2 |" in text
    assert "flow table: F1 1.000" in text
    assert "would be 0.889" in text  # recall 0.8, precision 1


def test_the_crafted_login_is_what_the_cases_start_from() -> None:
    assert case("a login", "x").features is SYNC
