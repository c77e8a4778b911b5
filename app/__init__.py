"""peerburst: what a host's connections look like to the gateway in front of it.

import peerburst

capture = peerburst.open("login.pcapng")
capture.hosts                      # one row per local host, with its peak under each gateway model
capture.flows                      # one row per flow, in the words of Zeek's conn.log
capture.bursts                     # when a host opened connections far faster than usual, and what they were
capture.timeline("192.168.1.34")   # the count over time, as a named kind of gateway would have counted
capture.matrix("192.168.1.34")     # models down, limits across: when each limit was crossed
capture.plot("timeline")           # the pictures, as matplotlib figures
capture.report("report")           # all of it, as a folder
"""

from typing import TYPE_CHECKING

from peerburst._version import __version__
from peerburst.capture.errors import CaptureError, PeerburstError, SettingsError

if TYPE_CHECKING:
    from peerburst.notebook import OpenCapture, gateways, open

__all__ = ["CaptureError", "OpenCapture", "PeerburstError", "SettingsError", "__version__", "gateways", "open"]


def __getattr__(name: str) -> object:
    # Importing pandas and numba takes most of a second: only opening a capture does it.
    if name in ("OpenCapture", "gateways", "open"):
        from peerburst import notebook

        return getattr(notebook, name)
    raise AttributeError(f"module 'peerburst' has no attribute {name!r}")
