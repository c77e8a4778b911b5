"""The figures there are. Reports, notebooks and the command line take theirs from here.

Modules are imported when a figure is asked for: the names alone cost no matplotlib.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from peerburst.capture.errors import SettingsError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from peerburst.analysis.analysis import Analysis
    from peerburst.analysis.figures.subject import Subject

# Name of the figure and of its module here, and what it shows, in a report's order.
FIGURES = {
    "timeline": "the count over time, against the limit",
    "graph": "everyone the host talked to",
    "raster": "every flow, and how long the gateway remembers it",
    "scatter": "bytes against duration, flow by flow",
    "shares": "connections beside bytes, by kind",
    "matrix": "when each limit was exceeded, gateway by gateway",
}


class FigureModule(Protocol):
    """What the module of a figure holds. The view is the module's own frozen dataclass of plain numbers."""

    def view(self, subject: "Subject") -> Any:
        """Gather what is shown."""

    def title(self, view: Any) -> str:
        """Name the picture in a line."""

    def caption(self, view: Any) -> str:
        """Say what is seen, with its numbers."""

    def draw(self, view: Any) -> "Figure":
        """Draw it on a sheet."""


def module(name: str) -> FigureModule:
    """The module of one of FIGURES; SettingsError for any other name."""
    if name not in FIGURES:
        raise SettingsError(f"no picture is called {name!r}; there are {', '.join(FIGURES)}")
    return cast("FigureModule", import_module(f"{__package__}.{name}"))


def figure(analysis: "Analysis", name: str, host: str, *, model: str | None = None) -> "Figure":
    """Draw one of FIGURES for a host, under the headline model if none is named, against the settings' limit.

    Raises SettingsError for a figure, host or gateway model that is not there.
    """
    from peerburst.analysis.analysis import HEADLINE
    from peerburst.analysis.figures.subject import Subject

    chosen = module(name)
    return chosen.draw(chosen.view(Subject(analysis, host, analysis.model(model or HEADLINE), analysis.settings.limit)))


def listed() -> str:
    """All of them in a sentence."""
    return "Pictures: " + "; ".join(f"{name} ({shows})" for name, shows in FIGURES.items()) + "."
