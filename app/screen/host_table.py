"""The list of hosts: which of them, in what order, in which columns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from rich.cells import cell_len
from textual.content import Content

from peerburst.analysis.humanize import clock, number
from peerburst.live.view import HostLine, LiveView
from peerburst.screen.terminals import Terminal
from peerburst.screen.text import cut, fitted

_WIDE_TABLE = 54  # columns from which the list says how many talk


class SortOrder(Enum):
    """What the list of hosts is sorted by."""

    COUNT = "now"
    PEAK = "peak"
    NEW = "new/s"
    NAME = "name"

    @property
    def words(self) -> str:
        """What it is called in a sentence."""
        return {"now": "connections now", "new/s": "new connections a second"}.get(self.value, self.value)

    def next(self) -> "SortOrder":
        """The one after it; after the last comes the first."""
        orders = list(SortOrder)
        return orders[(orders.index(self) + 1) % len(orders)]


_SORT_KEYS: dict[SortOrder, Callable[[HostLine], tuple[int | str, ...]]] = {
    SortOrder.COUNT: lambda host: (-host.count, host.name),
    SortOrder.PEAK: lambda host: (-host.peak, host.name),
    SortOrder.NEW: lambda host: (-host.new_per_s, -host.count, host.name),
    SortOrder.NAME: lambda host: (host.name,),
}


@dataclass(frozen=True, slots=True)
class DisplayOptions:
    """What the person chose of the screen alone; the session knows nothing of it."""

    order: SortOrder = SortOrder.COUNT
    name_filter: str = ""  # part of a host's name
    step_s: int | None = None  # of the timeline


def listed_hosts(view: LiveView, display: DisplayOptions) -> list[HostLine]:
    """The hosts whose names pass the filter, in order."""
    letters = display.name_filter.casefold()
    return sorted((host for host in view.hosts if letters in host.name.casefold()), key=_SORT_KEYS[display.order])


@dataclass(frozen=True, slots=True)
class _Column:
    """One column of the list: its heading, its width, its text of a host, and what it sorts by."""

    label: str
    cells: int
    text: Callable[[HostLine], str]
    order: SortOrder | None = None


_NOW = _Column("now", 6, lambda host: number(host.count), SortOrder.COUNT)
_TALKING = _Column("talking", 9, lambda host: number(host.talking))
_PEAK = _Column("peak", 6, lambda host: number(host.peak), SortOrder.PEAK)
_AT = _Column("at", 8, lambda host: clock(host.peak_at_s) if host.peak_at_s is not None else "-")
_NEW = _Column("new/s", 6, lambda host: number(host.new_per_s), SortOrder.NEW)


def hosts_table(view: LiveView, display: DisplayOptions, width: int, height: int, terminal: Terminal) -> list[Content]:
    """A heading and the hosts, those around the chosen one if not all fit."""
    columns = (_NOW, _TALKING, _PEAK, _AT, _NEW) if width >= _WIDE_TABLE else (_NOW, _PEAK, _AT, _NEW)
    name_cells = width - 2 - sum(column.cells for column in columns)
    found = listed_hosts(view, display)
    if found:
        names = [host.name for host in found]
        chosen = names.index(view.host) if view.host in names else -1
        first = min(max(chosen - (height - 1) // 2, 0), max(len(found) - height + 1, 0))
        rows = [
            _host_row(host, host.name == view.host, name_cells, columns, terminal)
            for host in found[first : first + height - 1]
        ]
    else:
        says = "no host's name has that (/)" if display.name_filter else "none yet"
        rows = [Content.styled("  " + says, "$quiet")]
    what = f"Hosts {number(len(view.hosts))}"
    if display.name_filter:
        what = f'Hosts {number(len(found))}/{number(len(view.hosts))} "{display.name_filter}"'
    what = cut(what, name_cells + 1, terminal)
    heading = [(what, "$heading"), (" " * (name_cells + 2 - cell_len(what)), "")]
    for column in columns:
        sorting = column.order is not None and column.order is display.order
        heading.append((" " * (column.cells - len(column.label)), ""))
        heading.append((column.label, "$heading underline" if sorting else "$heading"))
    return [Content.assemble(*heading), *rows]


def _host_row(host: HostLine, chosen: bool, name_cells: int, columns: Sequence[_Column], terminal: Terminal) -> Content:
    name = host.name + (" (server)" if host.is_server else "")
    if cell_len(name) > name_cells:
        name = host.name
    text = (terminal.glyphs.chosen if chosen else " ") + " " + fitted(name, name_cells, terminal)
    numbers = "".join(column.text(host).rjust(column.cells) for column in columns)
    return Content.styled(text + numbers, "bold $chosen" if chosen else "")
