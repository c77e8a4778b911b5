"""Which program holds which port, watched while packets are captured.

A socket is known by (protocol, local port), connected or not: peer-to-peer programs talk to everybody from one UDP
socket that is connected to nobody. The system's tables are polled twice a second, and at once when a port is noticed
in the traffic that no table had. What was seen is kept after the socket has closed, and written beside the capture.

A socket that opens and closes between two polls is never seen. Linux can announce closing sockets (the destroy groups
of sock_diag), but says no more than their addresses and user then: the process is gone from the answer.
"""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from peerburst.capture.sockets.observations import (
    ALWAYS_NS,
    MOST_OBSERVATIONS,
    STILL_NS,
    SideFile,
    SocketObservation,
    SocketObservations,
)
from peerburst.capture.sockets.owners import NOBODY, Owners, Process, describe, elsewhere
from peerburst.capture.sockets.tables import Socket, SocketTable, open_table

INTERVAL_S = 0.5  # half the shortest life of a flow that must not go without its program
# Polls that are asked for take no more than a tenth of a core, and the first of a spell comes at once.
LEAST_PAUSE_S = 0.02
PAUSE_PER_COST = 10
ADDRESSES_EVERY_NS = 5_000_000_000
FORGET_PORTS_NS = 2_000_000_000  # for so long a port that no socket has asks for no second poll
MOST_WAITING_POLLS = 64  # between two looks for the process of a socket that none was found for


@dataclass(slots=True)
class _Open:
    """A socket that is open now."""

    id: int
    socket: Socket
    process: Process
    first_ns: int
    absent_ns: int
    waiting: int = 0  # polls until its process is looked for again
    waited: int = 0
    sure: bool = False  # its process was found

    def observation(self, last_ns: int, gone_ns: int = STILL_NS) -> SocketObservation:
        at, process = self.socket, self.process
        return SocketObservation(
            id=self.id,
            protocol=at.protocol,
            local=at.local,
            local_port=at.local_port,
            remote=at.remote,
            remote_port=at.remote_port,
            v6_only=at.v6_only,
            pid=process.pid,
            name=process.name,
            program=process.program,
            uid=at.uid,
            first_seen_ns=self.first_ns,
            last_seen_ns=max(last_ns, self.first_ns),
            absent_ns=self.absent_ns,
            gone_ns=gone_ns,
        )


class SocketPoller:
    """Watches sockets from a thread of its own, from `start` until `stop`; all methods may be called from any thread.

    `side_file` is where observations are written as they come; at most `most_observations` of
    sockets that have closed are kept. Raises SettingsError if the system's sockets cannot be listed, OSError if the
    side file cannot be made.
    """

    def __init__(
        self,
        side_file: Path | None = None,
        *,
        interval_s: float = INTERVAL_S,
        most_observations: int = MOST_OBSERVATIONS,
        table: SocketTable | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._table = open_table() if table is None else table
        self._clock_ns = clock_ns
        self._interval_s = interval_s
        self._owners = Owners() if sys.platform.startswith("linux") else None
        self._open: dict[Hashable, _Open] = {}
        self._closed: deque[SocketObservation] = deque(maxlen=most_observations)
        self._forgotten = 0
        self._next_id = 1
        self._polled_ns = ALWAYS_NS
        self._addresses: dict[str, None] = {}
        self._addresses_ns = ALWAYS_NS
        # Per port: when a poll that was asked for last found no socket, or STILL_NS while one is open.
        self._met_ns = np.full(1 << 16, ALWAYS_NS, np.int64)
        self._asked: deque[npt.NDArray[np.int64]] = deque()  # no lock: who notices must not wait for a poll
        self._file = SideFile(side_file) if side_file is not None else None
        self._file_trouble = ""
        self._table_trouble = ""
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.poll_cost_s = 0.0  # of the latest poll, by the clock on the wall

    def start(self) -> None:
        """Take the first poll, then go on in the background."""
        self.poll_now()
        self._thread = threading.Thread(target=self._run, name="sockets", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Poll once more, end the thread and close the side file. Once stopped it stays so."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self.poll_now()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _run(self) -> None:
        while not self._stopping.is_set():
            woken = self._wake.wait(self._interval_s)
            self._wake.clear()
            if not self._stopping.is_set():
                self.poll_now()
            if woken:
                self._stopping.wait(max(LEAST_PAUSE_S, PAUSE_PER_COST * self.poll_cost_s))

    def noticed(self, ports: npt.ArrayLike) -> bool:
        """Tell of ports in new flows, of both ends if need be. Whether one was new, so that a poll follows at once.

        Cheap enough for every batch: ports that are open, or were looked for in vain lately, are passed over.
        """
        numbers = np.asarray(ports, np.int64).ravel()
        new = numbers[self._met_ns[numbers] < self._clock_ns() - FORGET_PORTS_NS]
        if not new.size:
            return False
        self._asked.append(new)
        self._wake.set()
        return True

    def poll_now(self) -> None:
        """Read the system's tables, now."""
        with self._lock:
            began, at_ns = time.perf_counter(), self._clock_ns()
            asked = [self._asked.popleft() for _ in range(len(self._asked))]
            try:
                listed = self._table.sockets(self._open)
            except OSError as trouble:
                self._table_trouble = f"The system's sockets could not be listed: {trouble.strerror or trouble}."
                return
            self._close(set(self._open).difference(key for key, _ in listed), self._clock_ns())
            for key, socket in listed:
                if socket is not None and key not in self._open:
                    self._begin(key, socket, at_ns)
            self._name(at_ns)
            self._polled_ns = at_ns
            if at_ns - self._addresses_ns >= ADDRESSES_EVERY_NS:
                self._look_at_addresses(at_ns)
            self._note_ports(asked, at_ns)
            self._write(at_ns)
            self.poll_cost_s = time.perf_counter() - began

    def _begin(self, key: Hashable, socket: Socket, at_ns: int) -> None:
        self._open[key] = _Open(self._next_id, socket, NOBODY, at_ns, self._polled_ns)
        self._next_id += 1

    def _close(self, keys: Iterable[Hashable], gone_ns: int) -> None:
        for key in keys:
            observation = self._open.pop(key).observation(self._polled_ns, gone_ns)
            self._forgotten += len(self._closed) == self._closed.maxlen
            self._closed.append(observation)
            if self._file is not None:
                self._file.add(observation)

    def _name(self, at_ns: int) -> None:
        """Find the processes of sockets that have none, or one that has ended."""
        self._hand_on(at_ns)
        nameless = [opened for opened in self._open.values() if not opened.sure]
        due = [opened for opened in nameless if opened.waiting == 0]
        for opened in nameless:
            opened.waiting = max(opened.waiting - 1, 0)
        if due:
            self._find(due)
        for opened in due:
            if self._file is not None and (opened.sure or opened.waited == 0):
                self._file.add(opened.observation(at_ns))
            if not opened.sure:
                opened.waited = min(2 * opened.waited + 1, MOST_WAITING_POLLS)
                opened.waiting = opened.waited

    def _find(self, due: list[_Open]) -> None:
        if self._owners is None:
            pids = {id(opened): opened.socket.pid for opened in due}
        else:
            sure = {opened.socket.inode for opened in self._open.values() if opened.sure}
            found = self._owners.find({opened.socket.inode for opened in due}, sure)
            pids = {id(opened): found.get(opened.socket.inode, 0) for opened in due}
        processes = {pid: describe(pid) for pid in set(pids.values())}
        for opened in due:
            opened.process = processes[pids[id(opened)]]
            opened.sure = opened.process.pid > 0

    def _hand_on(self, at_ns: int) -> None:
        """Sockets whose process has ended are another's now (a child's): an observation ends, the next begins."""
        if self._owners is None:
            return
        pids = {opened.process.pid for opened in self._open.values() if opened.sure}
        ended = {pid for pid in pids if not os.path.exists(f"/proc/{pid}")}
        if not ended:
            return
        for key in [key for key, opened in self._open.items() if opened.process.pid in ended]:
            socket = self._open[key].socket
            self._close([key], at_ns)
            self._begin(key, socket, at_ns)

    def _look_at_addresses(self, at_ns: int) -> None:
        self._addresses_ns = at_ns
        new = self._table.addresses() - self._addresses.keys()
        if new:
            self._addresses.update(dict.fromkeys(sorted(new)))
            if self._file is not None:
                self._file.add_addresses(self._addresses)

    def _note_ports(self, asked: list[npt.NDArray[np.int64]], at_ns: int) -> None:
        """Remember which ports are open, and which were asked about in vain."""
        self._met_ns[self._met_ns == STILL_NS] = ALWAYS_NS
        for ports in asked:
            self._met_ns[ports] = at_ns
        self._met_ns[[opened.socket.local_port for opened in self._open.values()]] = STILL_NS

    def _write(self, at_ns: int) -> None:
        if self._file is None:
            return
        try:
            self._file.flush(at_ns)
            if self._file.is_full:
                self._file.rewrite(self._snapshot(ALWAYS_NS), at_ns)
        except OSError as trouble:
            self._file_trouble = (
                f"Observations of programs are no longer written to disk: {trouble.strerror or trouble}."
            )
            self._file.close()
            self._file = None

    def observations(self, since_ns: int = ALWAYS_NS) -> SocketObservations:
        """What was seen so far, without sockets that were gone by `since_ns`."""
        with self._lock:
            return self._snapshot(since_ns)

    def _snapshot(self, since_ns: int) -> SocketObservations:
        seen = [observation for observation in self._closed if observation.gone_ns > since_ns]
        seen.extend(opened.observation(self._polled_ns) for opened in self._open.values())
        return SocketObservations(tuple(seen), tuple(self._addresses))

    def limits(self) -> tuple[str, ...]:
        """What cannot be seen, in whole sentences; empty where everything can."""
        with self._lock:
            nameless = [opened.socket.uid for opened in self._open.values() if not opened.sure]
            sockets = len(self._open)
        sentences = [*_nameless(nameless, sockets, is_root=_is_root())]
        if self._owners is not None and elsewhere():  # how many changes all the time, and would be told anew each time
            sentences.append("Processes in other network namespaces (containers) have sockets that are not seen.")
        if self._forgotten:
            sentences.append(f"The oldest {self._forgotten} closed sockets were forgotten, to bound memory.")
        sentences.extend(trouble for trouble in (self._table_trouble, self._file_trouble) if trouble)
        return tuple(sentences)


def _is_root() -> bool:
    return not hasattr(os, "geteuid") or os.geteuid() == 0


def _nameless(uids: list[int], sockets: int, *, is_root: bool) -> Iterable[str]:
    """Sentences for the sockets without a process, by their users."""
    if not uids:
        return
    if is_root:
        yield f"{len(uids)} of {sockets} sockets belong to no process seen from here: the kernel's, or a container's."
    else:
        yield f"{len(uids)} of {sockets} sockets belong to other users' programs, whose names only root may see."
