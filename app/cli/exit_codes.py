"""What the program's exit code says."""

from enum import IntEnum


class ExitCode(IntEnum):
    """0 success, 1 error, 2 usage, 3 alert; and 130, as shells have it, after Ctrl-C."""

    SUCCESS = 0
    ERROR = 1
    USAGE = 2
    ALERT = 3
    INTERRUPTED = 130
