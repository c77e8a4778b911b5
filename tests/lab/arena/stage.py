"""Scenes and where they are played: one guest, its programs, what was recorded and what that was."""

import contextlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.arena.namespaces import command_in
from tests.lab.arena.processes import Processes
from tests.lab.arena.programs import NODE_MODULES
from tests.lab.arena.record import Kept, Recorder, keep
from tests.lab.arena.services import Services
from tests.lab.arena.topology import Door, Topology


@dataclass(frozen=True, slots=True)
class Cast:
    """A program and what it is known to do. `source` is its family: what a leave-one-source-out test leaves out."""

    label: str  # a class of peerburst's
    program: str
    source: str
    version: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Span:
    """When a program was doing something, in seconds since the epoch; `until_s` None: to the end."""

    cast: Cast
    what: str
    start_s: float
    until_s: float | None


@dataclass(slots=True)
class Stage:
    """Where one scene is played. `guest` is the namespace, `address` the guest's, `folder` for files of the scene."""

    number: int
    topology: Topology
    services: Services
    processes: Processes
    folder: Path
    target: Path
    guest: str = ""
    spans: list[Span] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    kept: Kept | None = None

    def __post_init__(self) -> None:
        self.guest = self.topology.guest(self.number)

    @property
    def address(self) -> str:
        """The guest's."""
        return f"192.168.77.{self.number}"

    def start(
        self, *command: str, log: str = "guest.log", environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a program on the guest."""
        self.commands.append(self._told(command))
        return self.processes.start(command_in(self.guest, command), log=log, environment=environment)

    def run(
        self, *command: str, for_s: float, log: str = "guest.log", environment: Mapping[str, str] | None = None
    ) -> int:
        """Run a program on the guest for so long at most; its return code."""
        process = self.start(*command, log=log, environment=environment)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(for_s)
        return self.processes.stop(process)

    def peer(
        self, number: int, *command: str, log: str = "peers.log", door: Door | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a program at a peer of the internet."""
        return self.processes.start(command_in(self.topology.peer(number, door), command), log=log)

    def server(self, *command: str, log: str = "server.log") -> subprocess.Popen[bytes]:
        """Start a program in the servers' namespace."""
        return self.processes.start(command_in(self.topology.internet, command), log=log)

    def stop(self, process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> None:
        """End a program."""
        self.processes.stop(process, how)

    def _told(self, command: Sequence[str]) -> str:
        words = [
            "python" if word == sys.executable else word.replace(str(self.folder), "~").replace(f"{Path.cwd()}/", "")
            for word in command
        ]
        return " ".join(words)

    @contextlib.contextmanager
    def recorded(self) -> Iterator[None]:
        """Record the guest meanwhile."""
        recorder = Recorder(self.guest, self.processes, self.folder)
        try:
            yield
        finally:
            recorder.stop()
        self.kept = keep(recorder.raw, self.target)

    @contextlib.contextmanager
    def playing(self, cast: Cast, what: str) -> Iterator[None]:
        """What happens meanwhile is this program's: for scenes with several."""
        start = time.time()
        try:
            yield
        finally:
            self.spans.append(Span(cast, what, start, time.time()))


@dataclass(frozen=True, slots=True)
class Scene:
    """One capture: who plays, what happens, which programs it takes, how long it lasts about."""

    name: str
    cast: Cast
    what: str
    needs: tuple[str, ...]
    seconds: float
    play: Callable[[Stage], None]


def node_player(stage: Stage, name: str) -> str:
    """A copy of a player beside a link to what npm has installed: modules are looked for there and nowhere else."""
    beside = stage.folder / "node_modules"
    if not beside.exists():
        beside.symlink_to(NODE_MODULES)
    player = stage.folder / name
    player.write_bytes((Path(__file__).parent / "players" / name).read_bytes())
    return str(player)


def as_nobody(stage: Stage, *command: str) -> tuple[str, ...]:
    """The command, run by a user without rights, who has a home in the scene's folder: some programs refuse root."""
    home = stage.folder / "home"
    home.mkdir(exist_ok=True)
    shutil.chown(home, "nobody")
    return ("runuser", "-u", "nobody", "--", "env", f"HOME={home}", *command)
