"""What each panel of the screen says about a view."""

import textwrap
from collections.abc import Sequence
from enum import Enum

from rich.cells import cell_len
from textual.content import Content

from peerburst.analysis.humanize import clock, counted, number, one_line, share, size, span
from peerburst.live.alerts import CLOSE_TO_LIMIT
from peerburst.live.view import BurstLine, LiveView
from peerburst.screen.plot import gauge
from peerburst.screen.terminals import Terminal
from peerburst.screen.text import cut, fitted, heading, justified

_ROOMY = 110  # columns from which sentences and gaps are long
_WIDE_PROGRAMS = 24
NO_NAME = "(unknown)"


class SessionState(Enum):
    """Whether the session goes on; the title shows the value."""

    RUNNING = "running"
    PAUSED = "PAUSED"
    ENDED = "ENDED"


def title(view: LiveView, state: SessionState, width: int, terminal: Terminal) -> Content:
    """Where, as which gateway counts, and since when."""
    right = Content(f"{state.value}  {clock(view.now_s)} ")
    where = one_line(", ".join(view.interfaces)) or "no interface"
    model = f"as {one_line(view.model)} counts"
    room = width - right.cell_length - cell_len(f" peerburst    {model} ")
    return justified(
        Content.assemble((" peerburst", "bold"), f"  {fitted(where, min(room, cell_len(where)), terminal)}  {model}"),
        right,
        width,
    )


def headline(view: LiveView, width: int, terminal: Terminal) -> list[Content]:
    """The answer: how many connections the host holds, and how far the limit is. Sentence, gauge, numbers."""
    if view.host is None:
        return [
            Content.styled("No connection through the gateway yet.", "bold"),
            gauge(0, 0, view.limit, width, terminal.glyphs),
            Content.styled(f"The limit is {number(view.limit)}. Everything that is seen from now on counts.", "$quiet"),
        ]
    return [
        _sentence(view, width, terminal),
        gauge(view.count, view.talking, view.limit, width, terminal.glyphs),
        _numbers(view, width, terminal),
    ]


def _sentence(view: LiveView, width: int, terminal: Terminal) -> Content:
    at_least = "at least " if view.drops else ""
    line = next((host for host in view.hosts if host.name == view.host), None)
    verb = "is sent" if line is not None and line.is_server else "holds"
    left = view.limit - view.count
    held = f"{verb} {at_least}{counted(view.count, 'connection')}"
    if left < 0:
        rest, style = f"{number(-left)} OVER the limit of {number(view.limit)}", "bold $over"
    elif view.count >= CLOSE_TO_LIMIT * view.limit:
        rest, style = f"CLOSE to the limit of {number(view.limit)}, {number(left)} left", "bold $warn"
    else:
        rest, style = f"{number(left)} left to the limit of {number(view.limit)}", "bold"
    host = fitted(view.host or "", min(cell_len(view.host or ""), width - len(held) - len(rest) - 3), terminal)
    return Content.assemble((f"{host} {held}: ", "bold"), (rest, style))


def _numbers(view: LiveView, width: int, terminal: Terminal) -> Content:
    glyphs = terminal.glyphs
    gap = "   " if width < _ROOMY else "      "
    parts: list[str | Content | tuple[str, str]] = [
        (f"{glyphs.talking} ", "$talking"),
        f"{number(view.talking)} talking{gap}",
        (f"{glyphs.lingering} ", "$lingering"),
        f"{number(view.lingering)} lingering{gap}",
        f"{number(view.new_per_s)} new/s",
    ]
    if view.peak_at_s is not None:
        parts.append(f"{gap}peak {number(view.peak)} {clock(view.peak_at_s)}")
    if view.crossed_at_s is not None:
        parts.append((f"{gap}first over {clock(view.crossed_at_s)}", "$over"))
    return Content.assemble(*parts).truncate(width)


def programs_table(view: LiveView, width: int, height: int, terminal: Terminal) -> list[Content]:
    """A heading and the programs with the most connections alive."""
    wide = width >= _WIDE_PROGRAMS
    lines = [heading(("Programs", -(width - 14 if wide else width - 6)), ("held", 6), *([("ever", 8)] if wide else []))]
    for program in view.programs[: height - 1]:
        name = fitted(program.name or NO_NAME, width - (14 if wide else 6), terminal)
        numbers = number(program.alive).rjust(6) + (number(program.flows).rjust(8) if wide else "")
        lines.append(Content(name + numbers))
    if not view.programs:
        lines.append(Content.styled(fitted("not known", width, terminal), "$quiet"))
    return lines


def kinds_table(view: LiveView, width: int, height: int, terminal: Terminal) -> list[Content]:
    """A heading and how many connections of each kind the chosen host holds, as bars where there is room."""
    lines = [heading(("Kinds", 5 - width), ("held", 5))]
    largest = max((alive for _, alive in view.kinds), default=0)
    bar_cells = width - 16
    for kind, alive in view.kinds[: height - 1]:
        bar = ""
        if bar_cells >= 4:
            filled = -(-alive * bar_cells // largest) if largest else 0
            bar = " " + (terminal.glyphs.bar * filled).ljust(bar_cells)
        style = "" if alive else "$quiet"
        name = fitted(kind, 10 if bar else width - 5, terminal)
        lines.append(Content.assemble((name, style), (bar, "$lingering"), (number(alive).rjust(5), style)))
    return lines


def burst_lines(view: LiveView, width: int, height: int, terminal: Terminal) -> list[Content]:
    """The latest burst: what it is, how sure, and why, on at most `height` lines."""
    burst = view.burst
    if burst is None:
        none = "none: the host opens connections no faster than usual"
        return [Content.assemble(("Burst", "$heading"), (" " + none, "$quiet"))]
    sure = f", {share(burst.confidence, 1)} sure" if burst.confidence else ""
    head = Content.assemble(
        ("Burst", "$heading"),
        f" {clock(burst.started_s)}  ",
        (burst.label, "bold"),
        f"{', PROVISIONAL' if burst.provisional else ''}{sure}  {_extent(burst, width)}",
    )
    says = Content(cut(burst.says, width, terminal))
    both = head + ": " + says
    lines = [both] if both.cell_length <= width else [head, says]
    lines += _because(burst.evidence, width, height - len(lines), terminal)
    return [line.truncate(width) for line in lines[:height]]


def _extent(burst: BurstLine, width: int) -> str:
    how_many = number(burst.connections) if width < _ROOMY else counted(burst.connections, "connection")
    return f"{how_many} {'sent to it' if burst.inbound else 'opened'} in {span(burst.seconds)}"


def _because(reasons: Sequence[str], width: int, most: int, terminal: Terminal) -> list[Content]:
    """The reasons that fit whole on at most `most` lines, and how many more there are."""
    for shown in range(len(reasons), 0, -1):
        left = len(reasons) - shown
        text = "; ".join(one_line(reason) for reason in reasons[:shown]) + (f"; {left} more" if left else "")
        lines = textwrap.wrap(terminal.words(f"because {text}"), width, break_on_hyphens=False)
        if len(lines) <= most:
            return [Content.styled(line, "$quiet") for line in lines]
    return []


def counters(view: LiveView, width: int, terminal: Terminal) -> Content:
    """Packets, drops and the file, the most important first, as far as they fit."""
    seen = (f"{number(view.packets_per_s)} packets/s, {number(view.packets)} in all", "")
    parts: list[tuple[str, str]] = [seen, ("none lost", "")]
    if view.drops:
        parts = [(f"LOST {counted(view.drops, 'packet')}: counts are at least", "bold $warn")]
    if view.saved_to is not None:
        written = f", {size(view.bytes_written)}"
        room = width // 3 - len(written)
        path = one_line(view.saved_to)
        parts.append((f"saved {fitted(path, min(cell_len(path), room), terminal)}{written}", ""))
    else:
        parts.append(("not saved", "$quiet"))
    if view.drops:
        parts.append(seen)
    retired = f" + {number(view.retired_flows)} on disk" if view.retired_flows else ""
    parts.append((f"{counted(view.live_flows, 'flow')}{retired}, {number(view.memory_mb)} MB", "$quiet"))
    line = Content.assemble(parts[0])
    for part in parts[1:]:
        if line.cell_length + 3 + cell_len(part[0]) <= width:
            line += Content.assemble(("   ", ""), part)
    return line


def news(view: LiveView, width: int, terminal: Terminal) -> Content:
    """The newest of what the person should know: a warning, or the last alert."""
    if view.warnings:
        more = f" (and {number(len(view.warnings) - 1)} more)" if len(view.warnings) > 1 else ""
        return Content.styled(cut(f"! {view.warnings[-1]}", width - len(more), terminal) + more, "$warn")
    if view.alerts:
        alert = view.alerts[-1]
        held = counted(alert.count, "connection")
        says = f"! {clock(alert.at_s)} alert at {number(alert.threshold)}: {alert.host} rose to {held}"
        return Content.styled(cut(says, width, terminal), "$warn")
    return Content()
