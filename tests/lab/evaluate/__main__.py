"""`python -m tests.lab.evaluate`: judge hosts, bursts and kinds, and write the evaluation into docs/classes.md.

    python -m tests.lab.evaluate                      all of it; takes a few minutes
    python -m tests.lab.evaluate --captures FOLDER    those named in FOLDER/labels.csv (file,host,class), printed
    python -m tests.lab.evaluate --first-met          judge the captures never met before, and write that down for good

Exits 1 if a costly error is among the answers on real captures, 2 if there are none to judge.
"""

import argparse
import datetime
import sys
from collections.abc import Sequence
from pathlib import Path

from peerburst.analysis.settings import Settings
from peerburst.opening import analyse

from . import early, met, page, weight
from .cases import ROOT, Case, Labelled, arena, cases_of, in_folder, made_up, public
from .refit import WIDTHS, fitted_with, leave_one_source_out, refitted_rules, tree

PAGE = ROOT / "docs" / "classes.md"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.lab.evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--no-learners", action="store_true", help="skip what is learnt anew, which takes a minute")
    parser.add_argument("--no-bytes", action="store_true", help="do not count bytes with tshark")
    parser.add_argument("--captures", metavar="FOLDER", type=Path, help="judge these, and leave the page alone")
    parser.add_argument("--first-met", action="store_true", help="write down what is said of captures never met before")
    options = parser.parse_args(arguments)
    if options.captures is not None:
        return judge_folder(options.captures)
    captures = public() + arena()
    if options.first_met:
        return meet(captures)
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
    learners: dict[str, page.Judged] = {page.REFITTED: []}
    if not options.no_learners:
        learners = {
            page.REFITTED: leave_one_source_out(judged_on, refitted_rules),
            **{
                page.known_to(width): leave_one_source_out(judged_on, fitted_with(width))
                for width in (WIDTHS[0], WIDTHS[-1])
            },
            "a tree, one source left out": leave_one_source_out(judged_on, tree),
        }
    made = page.part(
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        judged_on=judged_on,
        learners=learners,
        met=met.meetings(),
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


def judge_folder(folder: Path) -> int:
    """Print the matrices and every error on the captures that a folder's labels.csv names."""
    cases = judged(in_folder(folder))
    if not cases:
        print(f"evaluate: {folder / 'labels.csv'} names no capture", file=sys.stderr)
        return 2
    print(page.of_given(cases))
    with_class = [case for case in cases if case.has_class and not case.is_mixed]
    return 1 if any(page.fixed(with_class, unit).costly() for unit in page.UNITS) else 0


def meet(captures: Sequence[Labelled]) -> int:
    """Judge the captures that were never met before, and write down what was said of them."""
    new = met.unmet(captures)
    known = {labelled.source for labelled in captures if labelled not in new}
    known |= {meeting.source for meeting in met.meetings()}
    judged_each = [(labelled, judged([labelled])) for labelled in new]
    for meeting in met.write_down(judged_each, known, met.rules_commit()):
        said = "right" if meeting.is_right else f"WRONG, {meeting.labelled}"
        print(f"{meeting.where}: {meeting.found} ({said}), because {meeting.evidence or 'too little to judge'}")
    return 0


def judged(captures: Sequence[Labelled]) -> list[Case]:
    return [case for labelled in captures for case in cases_of(labelled, analyse([str(labelled.path)], Settings()))]


if __name__ == "__main__":
    sys.exit(main())
