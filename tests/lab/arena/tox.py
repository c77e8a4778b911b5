"""P2P chat: people who use Tox, and a guest who comes on line. One connection to each friend and each group member."""

import ctypes
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.lab.arena.addresses import PEER_ADDRESSES
from tests.lab.arena.stage import Cast, Scene, Stage
from tests.lab.arena.topology import Door, usual_door

# Debian's knows conferences; groups, in which everybody is connected with everybody, came with 0.2.19.
OLDER = "/usr/lib/x86_64-linux-gnu/libtoxcore.so.2"
NEWER = "/usr/local/lib/libtoxcore-0.2.20.so"
NODES = 10
HOMES = range(101, 110)  # peers at which guests were before
HOMES_OF_PEOPLE = (*range(100), *range(120, 220))


def _version(library: str) -> str:
    tox = ctypes.CDLL(library)
    return ".".join(str(getattr(tox, f"tox_version_{part}")()) for part in ("major", "minor", "patch"))


GROUPS = Cast("p2p-sync", "tox groups", "tox", lambda: _version(NEWER))
CONFERENCES = Cast("p2p-sync", "tox conferences", "tox", lambda: _version(OLDER))
FRIENDS = Cast("p2p-sync", "tox friends", "tox", lambda: _version(OLDER))


@dataclass(frozen=True, slots=True)
class Company:
    """How many people, in what groups; the words of tox_world."""

    library: str
    people: int
    groups: int
    members: int
    kind: str = "groups"
    friends: int = 10
    gone: float = 0.25
    first_time: bool = False
    patience_s: float = 40.0
    stay_s: float = 50.0


def _peers(stage: Stage, people: int) -> list[tuple[str, str]]:
    """DHT nodes stand openly; people live where they live, another street for each scene."""
    open_ones = [n for n in HOMES_OF_PEOPLE if usual_door(n) is Door.OPEN]
    nodes = [open_ones[(stage.number * NODES + i) % len(open_ones)] for i in range(NODES)]
    start = stage.number * 13 % len(HOMES_OF_PEOPLE)
    others = HOMES_OF_PEOPLE[start:] + HOMES_OF_PEOPLE[:start]
    chosen = nodes + [n for n in others if n not in nodes][:people]
    return [(stage.topology.peer(n), PEER_ADDRESSES[n]) for n in chosen]


def wait_for(log: Path, word: str, for_s: float) -> None:
    """Until a program's output has a line that begins with the word."""
    until = time.monotonic() + for_s
    while time.monotonic() < until:
        if any(line.startswith(word) for line in log.read_text().splitlines()):
            return
        time.sleep(0.1)
    raise RuntimeError(f"no {word!r} after {for_s:.0f} s: {log.read_text().strip()[-300:]}")


@dataclass(slots=True)
class Absent:
    """A guest who is away; `come_back` starts the login."""

    stage: Stage
    log: Path
    company: Company
    process: object

    def come_back(self) -> None:
        """The login and the stay: returns when the guest has stayed."""
        self.let_in()
        self.wait()

    def let_in(self) -> None:
        """The login begins."""
        self.process.stdin.write(b"go\n")  # type: ignore[attr-defined]
        self.process.stdin.flush()  # type: ignore[attr-defined]

    def wait(self) -> None:
        """Until the guest has stayed."""
        wait_for(self.log, "back", self.company.stay_s + 30)


def send_away(stage: Stage, company: Company) -> Absent:
    """A world in which the guest has been, and is not now."""
    world = {
        "library": company.library,
        "guest": stage.guest,
        "home": stage.topology.peer(HOMES[stage.number % len(HOMES)], Door.OPEN),
        "peers": _peers(stage, company.people),
        "nodes": NODES,
        "groups": company.groups,
        "members": company.members,
        "kind": company.kind,
        "friends": company.friends,
        "gone": company.gone,
        "first_time": company.first_time,
        "patience_s": company.patience_s,
        "stay_s": company.stay_s,
        "seed": stage.number,
    }
    path = stage.folder / "world.json"
    path.write_text(json.dumps(world))
    command = [sys.executable, "-m", "tests.lab.arena.players.tox_world", str(path)]
    process = stage.processes.start(command, log="world.log", stdin=True)
    stage.commands.append(f"tox_world: {company}")
    log = stage.folder / "world.log"
    wait_for(log, "away", company.patience_s * 3 + 120)
    return Absent(stage, log, company, process)


def _login(stage: Stage, company: Company) -> None:
    absent = send_away(stage, company)
    with stage.recorded():
        absent.come_back()


def _scene(name: str, cast: Cast, what: str, company: Company) -> Scene:
    return Scene(
        name, cast, what, (company.library,), company.patience_s + company.stay_s, lambda s: _login(s, company)
    )


SCENES = (
    _scene(
        "tox-groups-huge",
        GROUPS,
        "back on line: 26 groups of 10 among 170 people, a quarter of them away, 40 friends",
        Company(NEWER, people=170, groups=26, members=10, friends=40, patience_s=60.0),
    ),
    _scene(
        "tox-groups-large",
        GROUPS,
        "back on line: 14 groups of 10 among 85 people, a quarter of them away, 30 friends",
        Company(NEWER, people=85, groups=14, members=10, friends=30),
    ),
    _scene(
        "tox-groups-small",
        GROUPS,
        "back on line: 4 groups of 8 among 30 people, a quarter away",
        Company(NEWER, people=30, groups=4, members=8, friends=6),
    ),
    _scene(
        "tox-groups-first",
        GROUPS,
        "on line for the first time, joins 4 public groups of 10",
        Company(NEWER, people=45, groups=4, members=10, friends=0, gone=0.1, first_time=True),
    ),
    _scene(
        "tox-conferences",
        CONFERENCES,
        "back on line: 8 conferences of 8 among 40 people, a quarter away",
        Company(OLDER, people=40, groups=8, members=8, kind="conferences", friends=40),
    ),
    _scene(
        "tox-friends",
        FRIENDS,
        "back on line: 50 friends and no groups, a third away",
        Company(OLDER, people=50, groups=0, members=0, kind="conferences", friends=50, gone=0.33),
    ),
)
