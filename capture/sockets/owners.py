"""Which process holds a socket: on Linux by its files (/proc/PID/fd), elsewhere as psutil says.

Looking through all files of all processes is what costs (3 microseconds a file), so: only for sockets not yet known;
processes that are new, or opened sockets lately, first; no further than the last one wanted; and no file again that
was found to be a socket that is still open.
"""

import os
import sys
from collections.abc import Container
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from peerburst.capture.sockets.observations import LONGEST_NAME, LONGEST_PROGRAM, clean

LONGEST_COMM = 15  # Linux keeps no more of a process's name


@dataclass(frozen=True, slots=True)
class Process:
    """A process by name; the name is its own choice, cleaned of what must not reach a terminal."""

    pid: int
    name: str
    program: str  # path of the executable, or the first word of its command line


NOBODY = Process(0, "", "")


def describe(pid: int) -> Process:
    """A process's names; empty ones if it is gone or not ours to ask."""
    if not pid:
        return NOBODY
    return _describe_linux(pid) if sys.platform.startswith("linux") else _describe_psutil(pid)


def _describe_linux(pid: int) -> Process:
    comm = program = ""
    with suppress(OSError):
        comm = Path(f"/proc/{pid}/comm").read_text(errors="replace").rstrip("\n")
    with suppress(OSError):
        program = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0", 1)[0]
    with suppress(OSError):
        program = os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
    return _named(pid, comm, program)


def _describe_psutil(pid: int) -> Process:
    import psutil

    name = program = ""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        name = process.name()
        program = process.exe() or name
    return _named(pid, name, program)


def _named(pid: int, comm: str, program: str) -> Process:
    """A name the system cut short is made whole from the program's."""
    last = program.rsplit("/", 1)[-1]
    name = last if len(comm) >= LONGEST_COMM and last.startswith(comm) else comm
    return Process(pid, clean(name, LONGEST_NAME), clean(program, LONGEST_PROGRAM))


class Owners:
    """Finds the holders of sockets by inode, and remembers what it saw on the way."""

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self._sockets: dict[int, dict[str, int]] = {}  # per process, its files that are sockets: name to inode
        self._lately: dict[int, None] = {}  # those that gave an answer last time

    def find(self, wanted: set[int], still_open: Container[int]) -> dict[int, int]:
        """The process of each wanted inode that has one to see. `still_open`: inodes of sockets known before."""
        if not wanted:
            return {}
        found = self._search(wanted, still_open)
        if len(found) < len(wanted):
            # A server that hands a connection to a child uses the file's number again while the socket is still open.
            found |= self._search(wanted - found.keys(), ())
        self._lately = dict.fromkeys(found.values())
        return found

    def _search(self, wanted: set[int], still_open: Container[int]) -> dict[int, int]:
        found: dict[int, int] = {}
        for pid in self._by_promise():
            for inode in self._read(pid, still_open):
                if inode in wanted and inode not in found:
                    found[inode] = pid
            if len(found) == len(wanted):
                break
        return found

    def _by_promise(self) -> list[int]:
        """Processes, most promising first. The first process of all comes last: it holds what it hands to services."""
        running = [int(name) for name in os.listdir(self._proc) if name.isdigit()]
        self._sockets = {pid: self._sockets[pid] for pid in running if pid in self._sockets}
        return sorted(running, key=lambda pid: (pid == 1, pid in self._sockets and pid not in self._lately, pid))

    def _read(self, pid: int, still_open: Container[int]) -> list[int]:
        """Inodes of the sockets of a process that were not met before."""
        before, now, new = self._sockets.get(pid, {}), {}, []
        try:
            folder = os.open(f"{self._proc}/{pid}/fd", os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return []  # another user's, or it has ended
        try:
            for name in os.listdir(folder):
                inode = before.get(name, 0)
                if inode not in still_open:
                    inode = _socket_inode(folder, name)
                    if inode:
                        new.append(inode)
                if inode:
                    now[name] = inode
        except OSError:  # it ended meanwhile
            return new
        finally:
            os.close(folder)
        self._sockets[pid] = now
        return new


def _socket_inode(folder: int, name: str) -> int:
    """The inode of a file that is a socket (`socket:[4711]`), else 0."""
    try:
        target = os.readlink(name, dir_fd=folder)
    except OSError:
        return 0
    return int(target[8:-1]) if target.startswith("socket:[") else 0


def elsewhere() -> int:
    """How many processes live in another network namespace (containers); their sockets are not in our tables."""
    here, others = _namespace("self"), 0
    for name in os.listdir("/proc"):
        if name.isdigit() and _namespace(name) not in (here, ""):
            others += 1
    return others


def _namespace(pid: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return ""
