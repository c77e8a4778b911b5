"""Which interface `live` listens on, and the list that `live -D` prints."""

from collections.abc import Iterator

from peerburst.analysis.humanize import one_line
from peerburst.capture.errors import CaptureError
from peerburst.capture.live.interfaces import Interface, default_interface, list_interfaces


def default_name() -> str:
    """The interface to capture on where none is named; raises CaptureError without one."""
    found = default_interface()
    if found is None:
        raise CaptureError("no interface", "is up; switch one on, or name one with -i (peerburst live -D lists them)")
    return found.name


def interface_lines() -> Iterator[str]:
    """What `-D` prints: each interface, whether it is up, and its addresses."""
    default = default_interface()
    for one in list_interfaces():
        yield _interface_line(one, default is not None and one.name == default.name)


def _interface_line(one: Interface, is_default: bool) -> str:
    facts = ["up" if one.is_up else "down"]
    facts += ["loopback"] if one.is_loopback else []
    facts += ["default"] if is_default else []
    return f"{one_line(one.name)}  {', '.join(facts)}{'  ' if one.addresses else ''}{' '.join(one.addresses)}"
