"""A Tox world: people with friends and groups, and one guest who goes away and comes back.

    python -m tests.lab.arena.players.tox_world WORLD.json

Says what it does on its output. When the guest is away and things have been written, it says "away" and waits for a
line; then the guest comes back (or comes for the first time), stays, and what was reached is told as JSON.
"""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.lab.arena.namespaces import enter_for_good
from tests.lab.arena.players.tox import Node, Tox, load

BEAT_S = 0.05  # toxcore asks to be called this often
RELAY_PORT = 33445
OWN_PORT_SHARE = 0.35  # people who have chosen a port of their own, or whose provider has
WRITE_EVERY_S = 2.0
# Until the others have given the guest up (toxcore: a group's member after 58 s, a friend after 32 s): before that
# they would not answer, since they believe to be connected.
AWAY_S = 62.0
LEAST_PRESENT = 0.8  # of friends or members: enough to go on


@dataclass(frozen=True, slots=True)
class World:
    """What the scene asks for. `peers` are (namespace, address) of people; the first `nodes` are only DHT nodes."""

    library: str
    guest: str
    home: str  # where the guest was before: elsewhere, so that no gateway remembers anything
    peers: tuple[tuple[str, str], ...]
    nodes: int
    groups: int
    members: int
    kind: str  # "groups" or "conferences"
    friends: int  # whom the guest still knows when back; the rest are members of groups alone
    gone: float  # share of people who are away when the guest is back
    first_time: bool  # the guest has never been there: no state, and joins public groups by their names
    patience_s: float  # for the world to come together
    stay_s: float
    seed: int


class Play:
    """The world, and what happens in it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._library = load(world.library)
        self._random = Random(world.seed)
        self._here: dict[str, Tox] = {}
        self._people: list[str] = []
        self._groups: list[int] = []
        self._starts: list[Node] = []

    def _start(self, name: str, namespace: str, **options: object) -> Tox:
        tox = Tox(self._library, namespace, **options)  # type: ignore[arg-type]
        self._here[name] = tox
        return tox

    def _beat(self) -> None:
        began = time.monotonic()
        for tox in self._here.values():
            enter_for_good(tox.namespace)
            tox.iterate()
        time.sleep(max(BEAT_S - (time.monotonic() - began), 0.002))

    def _until(self, seconds: float, *, enough: object = None) -> None:
        """Let time pass, at most so much, until `enough()`."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not (callable(enough) and enough()):
            self._beat()

    def populate(self) -> None:
        """DHT nodes that relay, then people, whose way in are some of these."""
        world = self._world
        for number, (namespace, address) in enumerate(world.peers[: world.nodes]):
            tox = self._start(f"node{number}", namespace, start_port=RELAY_PORT, relay_port=RELAY_PORT)
            self._starts.append(tox.node(address, RELAY_PORT))
            for other in self._starts[:-1]:
                tox.start_from(other)
        for number, (namespace, _) in enumerate(world.peers[world.nodes :]):
            own = self._random.random() < OWN_PORT_SHARE
            port = self._random.randrange(10_000, 60_000) if own else 0
            person = self._start(f"person{number}", namespace, start_port=port)
            for node in self._random.sample(self._starts, min(3, len(self._starts))):
                person.start_from(node)
            self._people.append(f"person{number}")

    def meet(self) -> bytes:
        """The guest meets everybody and gathers them in groups; the state the guest leaves with."""
        world = self._world
        guest = self._start("guest", world.home)
        for node in self._starts:
            guest.start_from(node)
        number_of = {}
        for name in self._people:
            number_of[name] = guest.befriend(self._here[name].key())
            self._here[name].befriend(guest.key())
        wanted = LEAST_PRESENT * len(self._people)
        self._until(world.patience_s, enough=lambda: len(guest.counts.friends) >= wanted)
        print(f"{len(guest.counts.friends)} of {len(self._people)} friends on line", flush=True)
        present = [name for name in self._people if number_of[name] in guest.counts.friends]
        invited = 0
        for number in range(world.groups):
            conference = world.kind == "conferences"
            group = guest.new_conference() if conference else guest.new_group(f"group {number}")
            self._groups.append(group)
            ask = guest.invite_to_conference if conference else guest.invite
            for name in self._random.sample(present, min(world.members - 1, len(present))):
                invited += ask(number_of[name], group)
                self._until(0.1)
        self._until(world.patience_s, enough=lambda: self._joined() >= LEAST_PRESENT * invited)
        self._until(5)
        self._until(world.patience_s, enough=lambda: len(guest.counts.members) >= LEAST_PRESENT * invited)
        print(f"{self._joined()} of {invited} invitations taken, {len(guest.counts.members)} members met", flush=True)
        for name in self._people[world.friends :]:
            guest.forget(number_of[name])
        self._until(2)
        state = guest.state()
        enter_for_good(guest.namespace)
        self._here.pop("guest").kill()
        for name in self._people[: world.friends]:
            self._here[name].waiting[0] = [b"what you have missed, part %d" % part + b"." * 300 for part in range(4)]
        return state

    def _joined(self) -> int:
        return sum(self._here[name].counts.groups for name in self._people if name in self._here)

    def leave(self) -> None:
        """Some people go off line without a word; the others write."""
        for name in self._random.sample(self._people, int(self._world.gone * len(self._people))):
            tox = self._here.pop(name)
            enter_for_good(tox.namespace)
            tox.kill()

    def _write(self) -> None:
        """Somebody who is here says something in the first group they are in."""
        name = self._random.choice([name for name in self._people if name in self._here])
        person = self._here[name]
        if person.counts.groups:
            person.write(0, b"has anybody seen it? " * 4, conference=self._world.kind == "conferences")

    def come_back(self, state: bytes, chat_ids: list[bytes]) -> dict[str, int]:
        """The guest's login, and a stay."""
        guest = self._start("guest", self._world.guest, state=state)
        for node in self._random.sample(self._starts, min(4, len(self._starts))):
            guest.start_from(node)
        for chat_id in chat_ids:
            guest.join_group(chat_id)
        until = time.monotonic() + self._world.stay_s
        while time.monotonic() < until:
            self._until(WRITE_EVERY_S)
            self._write()
            print(f"{len(guest.counts.friends)} friends on line, {len(guest.counts.members)} members met", flush=True)
        return {"friends on line": len(guest.counts.friends), "members met": len(guest.counts.members)}

    def found_groups(self) -> list[bytes]:
        """Public groups of people who do not know the guest: their names in the DHT."""
        names = []
        for number in range(self._world.groups):
            host = self._here[self._people[number]]
            names.append(host.chat_id(host.new_group(f"group {number}")))
        self._until(8)
        for chat_id, number in zip(names, range(self._world.groups), strict=True):
            others = [name for name in self._people if name != self._people[number]]
            for name in self._random.sample(others, self._world.members - 2):
                self._here[name].join_group(chat_id)
                self._until(0.1)
        self._until(self._world.patience_s)
        met = sum(len(self._here[name].counts.members) for name in self._people)
        print(f"{met} pairs of members have met", flush=True)
        return names


def main(path: str) -> None:
    """Play it."""
    given = json.loads(Path(path).read_text())
    world = World(**{**given, "peers": tuple((ns, address) for ns, address in given["peers"])})
    play = Play(world)
    play.populate()
    state, chat_ids = (b"", play.found_groups()) if world.first_time else (play.meet(), [])
    play.leave()
    play._until(6 if world.first_time else AWAY_S)
    print("away", flush=True)
    sys.stdin.readline()
    print("back", json.dumps(play.come_back(state, chat_ids)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
