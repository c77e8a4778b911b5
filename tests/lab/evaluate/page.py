"""The generated part of docs/classes.md."""

from collections.abc import Sequence

from .cases import CLASSES, Case
from .early import Early, agreeing
from .met import Meeting
from .refit import KNOWN_TO, KNOWN_TO_OCTAVES
from .scores import UNKNOWN, Pair, Scores, Share, is_costly
from .weight import Seen, agreement, agreement_of_kinds, rows

BEGIN = "<!-- evaluation: written by `make evaluate`; do not edit between here and the end mark -->"
END = "<!-- end of evaluation -->"
UNITS = ("host", "burst")
REFITTED = "thresholds refitted, one source left out"

Judged = Sequence[tuple[Case, Pair]]


def known_to(width: float) -> str:
    """The row of thresholds refitted with features taken to be known so well."""
    factor = 2 ** (KNOWN_TO_OCTAVES * width)
    return f"the same, shares always known to {KNOWN_TO * width:g}, sizes to a factor of {factor:.2f}"


def replace(page: str, part: str) -> str:
    """The page with its generated part replaced; raises ValueError where the marks are missing."""
    head, _begin, rest = page.partition(BEGIN)
    _old, end, tail = rest.partition(END)
    if not end:
        raise ValueError(f"the page has no lines {BEGIN!r} and {END!r}")
    return f"{head}{BEGIN}\n\n{part.strip()}\n\n{END}{tail}"


def percent(share: Share) -> str:
    low, high = share.interval()
    return f"{share.hits}/{share.of} ({low:.2f} to {high:.2f})"


def matrix(scores: Scores) -> str:
    """Labels down, answers across, with precision and recall."""
    labels = scores.classes()
    said = [*labels, *sorted({said for _truth, said in scores.counts} - {*labels, UNKNOWN}), UNKNOWN]
    lines = [
        "| labelled | " + " | ".join(said) + " | recall | precision |",
        "|---" * (len(said) + 3) + "|",
    ]
    for truth in labels:
        cells = [str(scores.counts[truth, answer] or "·") for answer in said]
        recall, precision = percent(scores.recall(truth)), percent(scores.precision(truth))
        lines.append(f"| {truth} | " + " | ".join(cells) + f" | {recall} | {precision} |")
    return "\n".join(lines)


def fixed(cases: Sequence[Case], unit: str) -> Scores:
    return Scores.of([(case.label, case.found_class) for case in cases if case.unit == unit])


def learnt(judged: Judged, unit: str) -> Scores:
    return Scores.of([pair for case, pair in judged if case.unit == unit])


def comparison(cases: Sequence[Case], learners: dict[str, Judged]) -> str:
    lines = [
        "| judged by | unit | captures' cases | right | macro-F1 | mean cost | costly errors |",
        "|---|---|---|---|---|---|---|",
    ]
    for unit in UNITS:
        every = {"the rules as shipped": fixed(cases, unit)}
        every |= {name: learnt(judged, unit) for name, judged in learners.items()}
        for name, scores in every.items():
            lines.append(
                f"| {name} | {unit} | {scores.total} | {percent(scores.right())} | {scores.macro_f1():.3f} |"
                f" {scores.cost():.2f} | {scores.costly()} |"
            )
    return "\n".join(lines)


def errors(cases: Sequence[Case]) -> str:
    """Every wrong answer of the shipped rules, with its evidence; the costly ones first and marked."""
    wrong = [case for case in cases if case.found_class not in case.truth]
    wrong.sort(key=lambda case: (not is_costly(case.truth[0], case.found_class), case.capture, case.unit != "host"))
    lines = []
    for case in wrong:
        mark = "**costly** " if is_costly(case.truth[0], case.found_class) else ""
        says = "; ".join(evidence.says for evidence in case.found.evidence) or "too little to judge"
        change = f" Nearest change: {case.found.would_change[0]}." if case.found.would_change else ""
        lines.append(f"- {mark}{case.where}: {case.truth[0]} called {case.found_class}, because {says}.{change}")
    return "\n".join(lines) or "None."


def learnt_errors(judged: Judged) -> str:
    wrong = [(case, truth, said) for case, (truth, said) in judged if truth != said]
    wrong.sort(key=lambda one: (not is_costly(one[1], one[2]), one[0].capture, one[0].unit != "host"))
    return "\n".join(
        f"- {'**costly** ' if is_costly(truth, said) else ''}{case.where}: {truth} called {said}"
        for case, truth, said in wrong
    )


def one_by_one(cases: Sequence[Case]) -> str:
    lines = ["| capture | unit | right would be | found |", "|---|---|---|---|"]
    for case in cases:
        unit = case.unit if case.unit == "host" else f"burst at {case.start_s:.0f} s"
        lines.append(f"| {case.capture} | {unit} | {' or '.join(case.truth)} | {case.found_class} |")
    return "\n".join(lines)


def of_given(cases: Sequence[Case]) -> str:
    """Matrices and errors of captures that are no part of the page; of several classes any is right."""
    with_class = [case for case in cases if case.has_class]
    lines: list[str] = []
    for unit in UNITS:
        scores = fixed(with_class, unit)
        lines += [
            f"By {unit}: {percent(scores.right())} right, macro-F1 {scores.macro_f1():.3f}, {scores.costly()} costly",
            "",
            matrix(scores),
            "",
        ]
    lines += ["Errors:", "", errors(with_class)]
    nameless = [case for case in cases if not case.has_class]
    if nameless:
        lines += ["", "Without a class of ours:", "", one_by_one(nameless)]
    return "\n".join(lines)


def first_met(found: Sequence[Meeting]) -> str:
    """What was right at first sight, by unit, and every error. A recording made anew counts each time."""
    judged = [meeting for meeting in found if set(meeting.truth) <= set(CLASSES)]
    if not judged:
        return "None yet."
    lines = ["| captures | unit | first met | right | macro-F1 | costly errors |", "|---|---|---|---|---|---|"]
    for name, some in (
        ("all", judged),
        ("of programs not met before in any capture", [meeting for meeting in judged if meeting.new_source == "yes"]),
    ):
        for unit in UNITS:
            mine = [meeting for meeting in some if meeting.unit == unit]
            scores = Scores.of([(one.found if one.is_right else one.truth[0], one.found) for one in mine])
            captures = len({one.sha256 for one in mine})
            lines.append(
                f"| {name} | {unit} | {len(mine)} in {captures} captures | {percent(scores.right())} |"
                f" {scores.macro_f1():.3f} | {scores.costly()} |"
            )
    lines += ["", "By the rules of:", "", "| date | rules | hosts right | bursts right |", "|---|---|---|---|"]
    for date, rules in dict.fromkeys((one.date, one.rules) for one in judged):
        mine = [one for one in judged if (one.date, one.rules) == (date, rules)]
        shares = [
            Share(sum(one.is_right for one in mine if one.unit == unit), sum(one.unit == unit for one in mine))
            for unit in UNITS
        ]
        lines.append(f"| {date} | {rules} | {percent(shares[0])} | {percent(shares[1])} |")
    lines += ["", "Every error among them:", ""]
    wrong = [one for one in judged if not one.is_right]
    wrong.sort(key=lambda one: not is_costly(one.truth[0], one.found))
    for one in wrong:
        mark = "**costly** " if is_costly(one.truth[0], one.found) else ""
        says = one.evidence or "too little to judge"
        lines.append(f"- {mark}{one.where}: {' or '.join(one.truth)} called {one.found}, because {says}.")
    if not wrong:
        lines.append("None.")
    return "\n".join(lines)


def sources(cases: Sequence[Case]) -> str:
    lines = ["| source | realm | labelled | captures |", "|---|---|---|---|"]
    for source, realm in sorted({(case.source, case.realm) for case in cases}, key=lambda one: (one[1], one[0])):
        mine = [case for case in cases if (case.source, case.realm) == (source, realm)]
        labels = ", ".join(sorted({case.truth[0] for case in mine}))
        lines.append(f"| {source} | {realm} | {labels} | {', '.join(sorted({case.capture for case in mine}))} |")
    return "\n".join(lines)


def early_part(found: Sequence[Early]) -> str:
    agree = Share(agreeing(found), len(found))
    undecided = sum(early.then.label.value == UNKNOWN for early in found)
    accused = [
        early
        for early in found
        if is_costly(early.truth[0], early.then.label.value) and early.then.label.value not in early.truth
    ]
    differ = [early for early in found if early.then.label is not early.finally_.label]
    lines = [
        f"Of {len(found)} bursts, {percent(agree)} had their final class ten seconds after they began; {undecided} were"
        f" still unknown; {len(accused)} costly errors among the provisional classes. Those that changed:",
        "",
        "| burst | labelled | connections by then | at 10 s | in the end |",
        "|---|---|---|---|---|",
    ]
    for early in differ:
        lines.append(
            f"| {early.capture}, at {early.start_s:.0f} s | {' or '.join(early.truth)} | {early.flows} |"
            f" {early.then.label.value} | {early.finally_.label.value} |"
        )
    return "\n".join(lines)


def weight_part(seen: Seen) -> str:
    lines = ["| kind | below 500 kB by tshark | 500 kB or more by tshark |", "|---|---|---|"]
    lines += [f"| {kind} | {small:,} | {heavy:,} |" for kind, small, heavy in rows(seen)]
    lines += [
        "",
        f"Heavy against small, by the column `heavy` of the flow table: F1 {agreement(seen):.3f}. A call that carries"
        f" 500 kB is heavy and keeps its kind; if only the kind `heavy` counted, F1 would be"
        f" {agreement_of_kinds(seen):.3f}.",
    ]
    return "\n".join(lines)


def part(
    *,
    date: str,
    judged_on: Sequence[Case],
    learners: dict[str, Judged],
    met: Sequence[Meeting],
    early: Sequence[Early],
    weights: Seen | None,
    made_up: Sequence[Case],
    mixed: Sequence[Case],
    nameless: Sequence[Case],
) -> str:
    """The whole generated part."""
    realms = {realm: [case for case in judged_on if case.realm == realm] for realm in ("public", "arena")}
    captures = {realm: len({case.capture for case in cases}) for realm, cases in realms.items()}
    text = [
        f"Measured {date} on {captures['public']} captures that others recorded and {captures['arena']} of real"
        f" programs in the arena, {len({case.source for case in judged_on})} sources.",
        "### Shipped, refitted, and a tree\n",
        comparison(judged_on, learners),
        "### Captures first met after the rules were set\n",
        first_met(met),
        "### By host\n",
        matrix(fixed(judged_on, "host")),
        "### By burst\n",
        matrix(fixed(judged_on, "burst")),
        "### Each realm apart\n",
        "\n".join(
            f"- {realm}: " + "; ".join(f"{unit}s {percent(fixed(cases, unit).right())} right" for unit in UNITS)
            for realm, cases in realms.items()
        ),
        "### With every threshold that is not published found on other sources\n",
        "By host:\n",
        matrix(learnt(learners[REFITTED], "host")),
        "By burst:\n",
        matrix(learnt(learners[REFITTED], "burst")),
        "Every error among them:\n",
        learnt_errors(learners[REFITTED]),
        "### Every error of the shipped rules\n",
        errors(judged_on),
        "### Ten seconds after it began\n",
        early_part(early),
        "### Heavy against small flows\n",
        weight_part(weights) if weights is not None else "Not measured: tshark was not there.",
        "### Several programs at once\n",
        one_by_one(mixed),
        "### Captures that have no class of ours\n",
        one_by_one(nameless),
        "### Made-up scenarios, apart\n",
        "\n".join(
            f"- {unit}s: {percent(scores.right())} right, macro-F1 {scores.macro_f1():.3f}"
            for unit, scores in ((unit, fixed(made_up, unit)) for unit in UNITS)
        ),
        errors(made_up),
        "### Sources\n",
        sources(judged_on),
    ]
    return "\n\n".join(block.strip("\n") for block in text)
