"""Errors a person can act on: each is one sentence with the facts that led to it.

A bad packet is never an error: it is a status in its row (`peerburst.capture.packets.status`). A bad file, interface or
setting is one. Only the command line turns an error into a printed sentence and an exit code.
"""


class PeerburstError(Exception):
    """Anything peerburst could not do, in one sentence that says what was wrong and what to do."""


class CaptureError(PeerburstError):
    """A capture that cannot be read: missing, unreadable, not a capture, or of a kind we do not read."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class SettingsError(PeerburstError):
    """A setting, scenario or gateway model that makes no sense as written."""
