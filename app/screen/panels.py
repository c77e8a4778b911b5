"""What each part of the screen says about a view. Everything from outside is text here, never markup."""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from rich.cells import cell_len, set_cell_size
from textual.content import Content

from peerburst.analysis.humanize import clock, counted, number, one_line, share, size, span
from peerburst.live.view import BurstLine, HostLine, LiveView
from peerburst.screen.plot import gauge
from peerburst.screen.terminals import Terminal

CLOSE_TO_LIMIT = 0.8  # of the limit: where the first alert is set, too
_ROOMY = 110  # columns from which tables show all they have
_WIDE_TABLE = 54
_WIDE_PROGRAMS = 24
NO_NAME = "(unknown)"


class Order(Enum):
    """What the list of hosts is sorted by."""

    COUNT = "now"
    PEAK = "peak"
    NEW = "new/s"
    NAME = "name"

    @property
    def words(self) -> str:
        """What it means."""
        return {"now": "connections now", "new/s": "new connections a second"}.get(self.value, self.value)

    def following(self) -> "Order":
        """The next one, round and round."""
        orders = list(Order)
        return orders[(orders.index(self) + 1) % len(orders)]


_BY: dict[Order, Callable[[HostLine], tuple[int | str, ...]]] = {
    Order.COUNT: lambda host: (-host.count, host.name),
    Order.PEAK: lambda host: (-host.peak, host.name),
    Order.NEW: lambda host: (-host.new_per_s, -host.count, host.name),
    Order.NAME: lambda host: (host.name,),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """What the person chose to look at; the session knows nothing of it."""

    order: Order = Order.COUNT
    wanted: str = ""  # part of a host's name
    step_s: int | None = None  # of the timeline


class Standing(Enum):
    """How the session is doing."""

    RUNNING = "running"
    PAUSED = "PAUSED"
    ENDED = "ENDED"


def chosen_hosts(view: LiveView, choice: Choice) -> list[HostLine]:
    """The hosts that are wanted, in order."""
    wanted = choice.wanted.casefold()
    return sorted((host for host in view.hosts if wanted in host.name.casefold()), key=_BY[choice.order])


def fitted(text: str, width: int, terminal: Terminal) -> str:
    """One line of exactly `width` cells; a name too long loses its middle, as addresses differ at both ends."""
    clean = terminal.words(one_line(text))
    length = cell_len(clean)
    if length <= width:
        return clean + " " * (width - length)
    head = (width - 1) // 2
    tail = clean[::-1]
    end = set_cell_size(tail, width - 1 - head)[::-1] if width > 1 else ""
    return set_cell_size(set_cell_size(clean, head) + terminal.glyphs.cut + end, width)


def _ends(left: Content, right: Content, width: int) -> Content:
    """Two texts at the ends of one line; the left one gives way."""
    room = width - right.cell_length
    return left.truncate(max(room - 1, 0)).pad_right(max(room - left.cell_length, 1)) + right


def title(view: LiveView, standing: Standing, width: int, terminal: Terminal) -> Content:
    """Where, as which gateway counts, and since when."""
    right = Content(f"{standing.value}  {clock(view.now_s)} ")
    where = one_line(", ".join(view.interfaces)) or "no interface"
    model = f"as {one_line(view.model)} counts"
    room = width - right.cell_length - cell_len(f" peerburst    {model} ")
    return _ends(
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


@dataclass(frozen=True, slots=True)
class _Column:
    """One column of the hosts: its heading, width, what it says, and what it sorts by."""

    label: str
    cells: int
    says: Callable[[HostLine], str]
    order: Order | None = None


_NOW = _Column("now", 6, lambda host: number(host.count), Order.COUNT)
_TALKING = _Column("talking", 9, lambda host: number(host.talking))
_PEAK = _Column("peak", 6, lambda host: number(host.peak), Order.PEAK)
_AT = _Column("at", 8, lambda host: clock(host.peak_at_s) if host.peak_at_s is not None else "-")
_NEW = _Column("new/s", 6, lambda host: number(host.new_per_s), Order.NEW)


def hosts_table(view: LiveView, choice: Choice, width: int, height: int, terminal: Terminal) -> list[Content]:
    """A heading and the hosts, those around the chosen one if not all fit."""
    columns = (_NOW, _TALKING, _PEAK, _AT, _NEW) if width >= _WIDE_TABLE else (_NOW, _PEAK, _AT, _NEW)
    name_cells = width - 2 - sum(column.cells for column in columns)
    found = chosen_hosts(view, choice)
    if found:
        names = [host.name for host in found]
        chosen = names.index(view.host) if view.host in names else -1
        first = min(max(chosen - (height - 1) // 2, 0), max(len(found) - height + 1, 0))
        rows = [
            _host_row(host, host.name == view.host, name_cells, columns, terminal)
            for host in found[first : first + height - 1]
        ]
    else:
        says = "no host's name has that (/)" if choice.wanted else "none yet"
        rows = [Content.styled("  " + says, "$quiet")]
    what = f"Hosts {number(len(view.hosts))}"
    if choice.wanted:
        what = f'Hosts {number(len(found))}/{number(len(view.hosts))} "{choice.wanted}"'
    what = cut(what, name_cells + 1, terminal)
    heading = [(what, "$heading"), (" " * (name_cells + 2 - cell_len(what)), "")]
    for column in columns:
        sorting = column.order is not None and column.order is choice.order
        heading.append((" " * (column.cells - len(column.label)), ""))
        heading.append((column.label, "$heading underline" if sorting else "$heading"))
    return [Content.assemble(*heading), *rows]


def _host_row(host: HostLine, chosen: bool, name_cells: int, columns: Sequence[_Column], terminal: Terminal) -> Content:
    name = host.name + (" (server)" if host.is_server else "")
    if cell_len(name) > name_cells:
        name = host.name
    text = (terminal.glyphs.chosen if chosen else " ") + " " + fitted(name, name_cells, terminal)
    numbers = "".join(column.says(host).rjust(column.cells) for column in columns)
    return Content.styled(text + numbers, "bold $chosen" if chosen else "")


def _heading(*labels: tuple[str, int]) -> Content:
    """Labels, each with the cells it takes; negative ones stand to the left."""
    parts: list[Content | str] = []
    for label, cells in labels:
        blank = " " * (abs(cells) - len(label))
        styled = Content.styled(label, "$heading")
        parts += [styled, blank] if cells < 0 else [blank, styled]
    return Content.assemble(*parts)


def programs_table(view: LiveView, width: int, height: int, terminal: Terminal) -> list[Content]:
    """A heading and the programs with the most connections alive."""
    wide = width >= _WIDE_PROGRAMS
    lines = [
        _heading(("Programs", -(width - 14 if wide else width - 6)), ("held", 6), *([("ever", 8)] if wide else []))
    ]
    for program in view.programs[: height - 1]:
        name = fitted(program.name or NO_NAME, width - (14 if wide else 6), terminal)
        numbers = number(program.alive).rjust(6) + (number(program.flows).rjust(8) if wide else "")
        lines.append(Content(name + numbers))
    if not view.programs:
        lines.append(Content.styled(fitted("not known", width, terminal), "$quiet"))
    return lines


def kinds_table(view: LiveView, width: int, height: int, terminal: Terminal) -> list[Content]:
    """A heading and how many connections of each kind the chosen host holds, as bars where there is room."""
    lines = [_heading(("Kinds", 5 - width), ("held", 5))]
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


def cut(text: str, width: int, terminal: Terminal) -> str:
    """A sentence in at most `width` cells; one too long loses its end."""
    clean = terminal.words(one_line(text))
    return clean if cell_len(clean) <= width else set_cell_size(clean, width - 1) + terminal.glyphs.cut
