"""The summary on a terminal or in a pipe: sentences, then tables. Colour and width only where there is a terminal."""

import os
import sys
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.gateways import GatewayModel
from peerburst.analysis.humanize import clock, number, one_line, size
from peerburst.analysis.results import Burst, Host
from peerburst.render import sentences, vantage

PIPE_WIDTH = 132  # columns where nobody says how wide it is; wide enough for the matrix
MOST_HOSTS = 10
MOST_OWN_BURSTS = 10
MOST_OTHER_BURSTS = 5


def console(stream: TextIO | None = None) -> Console:
    """A console on standard output; off a terminal plain text that is never cut."""
    out = stream or sys.stdout
    width = None if out.isatty() or os.environ.get("COLUMNS") else PIPE_WIDTH
    return Console(file=out, width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)


def _table(*columns: str) -> Table:
    """The first column to the left, the others to the right."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for position, column in enumerate(columns):
        table.add_column(column, justify="right" if position else "left", no_wrap=True)
    return table


def _matrix(analysis: Analysis, host: Host) -> Table:
    table = _table("gateway model", "peak", *(f"> {number(limit)}" for limit in analysis.limits))
    number_of = analysis.host_number(host.name)
    all_ipv6 = analysis.ipv6_flows(number_of) == analysis.counted_flows(number_of).flow.size > 0
    for model in analysis.models:
        peak = host.models[model.name]
        if all_ipv6 and "ipv6" not in model.families:  # no word of a limit: nothing of the host passes its table
            table.add_row(Text(one_line(model.name)), *(Text("-") for _ in table.columns[1:]))
            continue
        cells = [Text(clock(at), "red") if at is not None else Text("ok", "green") for at in peak.crossed_at_s.values()]
        table.add_row(Text(one_line(model.name)), Text(number(peak.peak)), *cells)
    return table


def _hosts(analysis: Analysis) -> Table:
    model = analysis.models[0].name
    table = _table("host", "peak", "at", "talking", "lingering", "flows", "peers", "bytes", "class")
    for host in map(analysis.host, analysis.ranked[:MOST_HOSTS]):
        peak = host.models[model]
        at = clock(peak.peak_at_s) if peak.peak_at_s is not None else "-"
        numbers = (peak.peak, peak.talking, peak.lingering, host.flows, host.peers)
        cells = [number(value) for value in numbers]
        kind = host.classification.label.value
        table.add_row(
            host.name + (" (server)" if host.is_server else ""), cells[0], at, *cells[1:], size(host.ip_bytes), kind
        )
    return table


def _print_bursts(out: Console, found: list[Burst], host: str) -> None:
    """The largest bursts, in the order they began: those of `host` before those of the others."""
    largest = sorted(found, key=lambda burst: -burst.features.flow_count)
    own = [burst for burst in largest if burst.host == host][:MOST_OWN_BURSTS]
    others = [burst for burst in largest if burst.host != host][:MOST_OTHER_BURSTS]
    for burst in (*sorted(own, key=lambda burst: burst.start_s), *sorted(others, key=lambda burst: burst.start_s)):
        out.print(Text(sentences.burst_sentence(burst)))
        out.print(Text("  " + sentences.evidence_sentence(burst), "dim"))
    if left := len(found) - len(own) - len(others):
        out.print(Text(f"({number(left)} smaller ones are in --format json.)", "dim"))


def print_analysis(analysis: Analysis, host: Host | None, out: Console) -> None:
    """Everything `analyze` prints; `host`: the one to speak of, None where there is none."""
    _print_capture(analysis, out)
    if host is None:
        out.print(Text("No local host sent or received anything."))
        return
    out.print()
    for sentence in sentences.headline(analysis, host):
        out.print(Text(sentence, "bold"))
    what = f"connections to {host.name}" if host.is_server else host.name
    _print_part(f"When {what} exceeded a limit, gateway by gateway", _matrix(analysis, host), out)
    if (untranslated := sentences.family_sentence(analysis, host)) is not None:
        out.print(Text(untranslated))
    more = f", {number(MOST_HOSTS)} of {number(len(analysis.ranked))}" if len(analysis.ranked) > MOST_HOSTS else ""
    _print_part(f"Hosts, as {analysis.models[0].name} counts them{more}", _hosts(analysis), out)
    _print_part("Bursts of new connections", None, out)
    if analysis.bursts:
        _print_bursts(out, analysis.bursts, host.name)
    else:
        out.print(Text("None: no host opened connections far faster than usual."))


def _print_capture(analysis: Analysis, out: Console) -> None:
    """What was read, what of it is not counted, and what was assumed."""
    out.print(Text(sentences.packets_sentence(analysis)))
    for sentence in (sentences.left_out_sentence(analysis), sentences.programs_sentence(analysis)):
        if sentence is not None:
            out.print(Text(sentence))
    for said in vantage.sentences(analysis):
        out.print(Text(said))
    for warning in sentences.warnings(analysis):
        out.print(Text(warning, "bold red"))
    for hint in sentences.hints(analysis):
        out.print(Text(hint, "yellow"))


def _print_part(title: str, table: Table | None, out: Console) -> None:
    out.print()
    out.print(Text(title, "underline"))
    if table is not None:
        out.print(table)


def print_gateways(models: list[GatewayModel], out: Console) -> None:
    """The gateway models, one a row."""
    table = _table("model")
    table.add_column("counts", no_wrap=True)
    table.add_column("what it is")
    for model in models:
        table.add_row(Text(model.name), Text(model.unit.value), Text(one_line(model.title)))
    out.print(table)


def print_gateway(model: GatewayModel, out: Console) -> None:
    """One model: what it counts, and each timeout with its source."""
    out.print(Text(f"{model.name}: {one_line(model.title)}", "bold"))
    out.print(Text(one_line(model.summary)))
    out.print(
        Text(
            f"Counts {'mappings' if model.unit.value == 'mapping' else 'connections'} of"
            f" {', '.join(sorted(model.protocols))}, from when they are {model.begins.value}"
            + (f", except TCP in {', '.join(sorted(model.left_out))}" if model.left_out else "")
            + "."
        )
    )
    table = _table("timeout", "seconds")
    table.add_column("sure", no_wrap=True)
    table.add_column("source")
    for phase, timeout in model.timeouts.items():
        seconds = f"{timeout.seconds:g}"
        table.add_row(Text(phase), Text(seconds), Text(timeout.sure.value), Text(one_line(timeout.source)))
    if model.timeouts:
        out.print()
        out.print(table)
