"""`python -m tests.evaluate`: judge hosts, bursts and kinds, and write the evaluation into docs/classes.md.

Takes a few minutes. Exits 1 if a costly error is among the answers on real captures, 2 if there are none to judge.
"""

import argparse
import datetime
import sys
from collections.abc import Sequence

from peerburst.opening import Settings, analyse

from . import early, page, weight
from .cases import ROOT, Case, arena, cases_of, made_up, public
from .refit import leave_one_source_out, refitted_rules, tree

PAGE = ROOT / "docs" / "classes.md"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.evaluate", description=__doc__)
    parser.add_argument("--no-learners", action="store_true", help="skip what is learnt anew, which takes a minute")
    parser.add_argument("--no-bytes", action="store_true", help="do not count bytes with tshark")
    options = parser.parse_args(arguments)
    captures = public() + arena()
    if not captures:
        print("evaluate: neither ../shared/corpus nor pcaps/arena has captures with labels", file=sys.stderr)
        return 2
    cases: list[Case] = []
    beginnings: list[early.Early] = []
    weights: list[weight.Seen] = []
    for labelled in captures:
        analysis = analyse([str(labelled.path)], Settings())
        cases += cases_of(labelled, analysis)
        beginnings += early.beginnings(labelled, analysis)
        if not options.no_bytes and weight.missing() is None:
            weights.append(weight.compare(analysis, weight.counted_by_tshark(labelled.path)))
    judged_on = [case for case in cases if case.has_class and not case.is_mixed]
    learners: dict[str, page.Judged] = {"thresholds refitted, one source left out": []}
    if not options.no_learners:
        learners = {
            "thresholds refitted, one source left out": leave_one_source_out(judged_on, refitted_rules),
            "a tree, one source left out": leave_one_source_out(judged_on, tree),
        }
    made = page.part(
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        judged_on=judged_on,
        learners=learners,
        early=beginnings,
        weights=weight.total(weights) if weights else None,
        made_up=[case for case in made_up() if case.has_class],
        mixed=[case for case in cases if case.is_mixed],
        nameless=[case for case in cases if not case.has_class],
    )
    PAGE.write_text(page.replace(PAGE.read_text(encoding="utf-8"), made), encoding="utf-8")
    costly = sum(page.fixed(judged_on, unit).costly() for unit in page.UNITS)
    for unit in page.UNITS:
        scores = page.fixed(judged_on, unit)
        print(f"{unit}s: {page.percent(scores.right())} right, macro-F1 {scores.macro_f1():.3f}")
    print(f"{costly} costly errors; {PAGE} is written")
    return 1 if costly else 0


if __name__ == "__main__":
    sys.exit(main())
