"""The tables of docs/gateways.md, made from the models so that the page cannot drift from them.

    python -m peerburst.analysis.gateways.page docs/gateways.md           rewrite the tables in the page
    python -m peerburst.analysis.gateways.page --check docs/gateways.md   only say whether they are up to date

The prose of the page is kept by hand; each table stands between `<!-- begin NAME -->` and `<!-- end NAME -->`.
"""

import argparse
import math
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from peerburst.analysis.gateways.catalogue import SAME_AS, load, names
from peerburst.analysis.gateways.model import (
    IDLE,
    PHASES,
    PHASES_OF,
    TCP_STATES,
    Engine,
    GatewayModel,
    Sure,
    TwoWay,
)

ENGINES = {
    Engine.LINUX: "Linux's own",
    Engine.STATES: "by state",
    Engine.FLAT: "idle time alone",
    Engine.SYN_FIN: "SYN, FIN and RST alone",
}
# How a number's standing is marked in the side-by-side tables.
MARKS = {Sure.DOCUMENTED: "", Sure.MEASURED: "\\*", Sure.ASSUMED: "?"}


def render(page: str) -> str:
    """The page with every table made anew."""
    models = [load(name) for name in names()]
    for name, table in TABLES.items():
        page = _replaced(page, name, table(models))
    return page


def _replaced(page: str, name: str, text: str) -> str:
    between = re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
    page, found = between.subn(lambda match: f"{match[1]}\n{text}\n\n{match[2]}", page)
    if found != 1:
        raise ValueError(f"the page has {found} places for the table {name!r}, not one")
    return page


def counting(models: Sequence[GatewayModel]) -> str:
    """One line a model: what it counts, and by which rules."""
    head = (
        "model",
        "stands for",
        "one entry is",
        "counts",
        "native IPv6",
        "from",
        "leaves out",
        "rules",
        "UDP is two-way after",
    )
    return _table(head, [_counting_row(model) for model in models])


def tcp(models: Sequence[GatewayModel]) -> str:
    """Seconds in each TCP state."""
    stateful = [model for model in models if model.engine in (Engine.LINUX, Engine.STATES)]
    phases = ("syn_sent", "syn_repeated", *(state for state in TCP_STATES if state not in ("syn_sent", "syn_sent2")))
    return _timeouts(stateful, phases)


def rest(models: Sequence[GatewayModel]) -> str:
    """Seconds for UDP, ICMP and all other protocols."""
    stateful = [model for model in models if model.engine in (Engine.LINUX, Engine.STATES)]
    return _timeouts(stateful, (*PHASES_OF["udp"], *PHASES_OF["icmp"], *PHASES_OF["other"]))


def sources(models: Sequence[GatewayModel]) -> str:
    """A section a model: every rule and number with its source."""
    return "\n\n".join(_section(model) for model in models)


TABLES: dict[str, Callable[[Sequence[GatewayModel]], str]] = {
    "counting": counting,
    "tcp": tcp,
    "rest": rest,
    "sources": sources,
}


def _counting_row(model: GatewayModel) -> tuple[str, ...]:
    return (
        f"`{model.name}`",
        model.title,
        model.unit.value,
        _in_order(model.protocols, PHASES_OF),
        "as IPv4" if "ipv6" in model.families else "not translated, so not held",
        model.begins.value,
        _in_order(model.left_out, TCP_STATES) or "nothing",
        ENGINES[model.engine],
        _two_way(model),
    )


def _two_way(model: GatewayModel) -> str:
    if "udp" not in model.protocols:
        return "-"
    if model.two_way_after is TwoWay.STREAM:
        return f"stream, {model.stream_age_s:.15g} s"
    return str(model.two_way_after.value)


def _in_order(chosen: frozenset[str], order: Iterable[str]) -> str:
    return ", ".join(word for word in order if word in chosen)


def _timeouts(models: Sequence[GatewayModel], phases: Sequence[str]) -> str:
    rows = [(f"`{model.name}`", *(_cell(model, phase) for phase in phases)) for model in models]
    return _table(("model", *phases), rows)


def _cell(model: GatewayModel, phase: str) -> str:
    if phase not in model.timeouts:
        return "-"
    timeout = model.timeouts[phase]
    return _seconds(timeout.seconds) + MARKS[timeout.sure]


def _seconds(seconds: float) -> str:
    return "never" if math.isinf(seconds) else f"{seconds:,.15g}"


def _section(model: GatewayModel) -> str:
    rows = [
        ("what counts", "", model.counts_basis.sure.value, model.counts_basis.source),
        ("rules", "", model.rules_basis.sure.value, model.rules_basis.source),
    ]
    rows += [
        (phase, _seconds(timeout.seconds), timeout.sure.value, timeout.source)
        for phase in (IDLE, *PHASES)
        if (timeout := model.timeouts.get(phase)) and timeout != model.timeouts.get(SAME_AS.get(phase, ""))
    ]
    if model.engine is Engine.SYN_FIN:
        rows = rows[:1]  # it has neither further rules nor timeouts
    return f"### {model.name}\n\n{model.summary}\n\n" + _table(("", "seconds", "how sure", "source"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrite or check the page; 0 is done or up to date, 3 is out of date."""
    parser = argparse.ArgumentParser(prog="python -m peerburst.analysis.gateways.page", description=__doc__)
    parser.add_argument("page", type=Path, help="the page, docs/gateways.md")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 3 if the page is out of date")
    options = parser.parse_args(arguments)
    old = options.page.read_text(encoding="utf-8")
    new = render(old)
    if options.check:
        if new != old:
            print(f"{options.page} is out of date; run this again without --check.", file=sys.stderr)
        return 0 if new == old else 3
    options.page.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
