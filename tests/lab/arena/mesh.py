"""More P2P programs that exchange little with many: Hyperswarm with message logs, OpenDHT as Jami uses it."""

import json
import time
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path
from random import Random

from tests.lab.arena.addresses import PEER_ADDRESSES, SERVER_ADDRESSES
from tests.lab.arena.programs import NODE_MODULES, npm_version, version
from tests.lab.arena.stage import Cast, Scene, Stage
from tests.lab.arena.topology import Door, usual_door
from tests.lab.arena.tox import wait_for

HYPER = Path(__file__).parent / "players" / "hyper.cjs"
HYPER_PEOPLE = range(2, 58)  # servers' addresses lend themselves: this program binds to the one it is given
BOOTSTRAP_PORT = 49737  # hyperdht's own


HYPERSWARM = Cast("p2p-sync", "hyperswarm", "hyperswarm", lambda: npm_version("hyperswarm"))
OPENDHT_NODE = Cast("discovery", "opendht node", "opendht", lambda: version("dpkg-query", "-W", "dhtnode"))
OPENDHT = Cast("p2p-sync", "opendht", "opendht", lambda: version("dpkg-query", "-W", "dhtnode"))


@dataclass(frozen=True, slots=True)
class Rooms:
    """How many people, in how many rooms of how many."""

    people: int
    rooms: int
    members: int
    messages: int


def hyper_people(stage: Stage, size: Rooms) -> dict[str, object]:
    """Bring the others up; the settings, for the guest."""
    random = Random(stage.number)
    settings: dict[str, object] = {
        "people": True,
        "name": stage.folder.name,
        "addresses": [
            SERVER_ADDRESSES[i] for i in random.sample(HYPER_PEOPLE, min(size.people + 1, len(HYPER_PEOPLE)))
        ],
        "port": BOOTSTRAP_PORT + stage.number,
        "rooms": list(range(size.rooms)),
        "members": [random.sample(range(size.people), size.members - 1) for _ in range(size.rooms)],
        "messages": size.messages,
    }
    path = stage.folder / "people.json"
    path.write_text(json.dumps(settings))
    stage.processes.start(
        ["ip", "netns", "exec", stage.topology.internet, "node", str(HYPER), str(path)],
        log="people.log",
        environment={"NODE_PATH": NODE_MODULES},
    )
    wait_for(stage.folder / "people.log", "ready", 90)
    return settings


def hyper_guest(stage: Stage, settings: dict[str, object], for_s: float) -> None:
    """The guest joins its rooms and reads."""
    path = stage.folder / "guest.json"
    path.write_text(json.dumps({**settings, "people": False}))
    stage.run("node", str(HYPER), str(path), for_s=for_s, environment={"NODE_PATH": NODE_MODULES})


def _hyper(stage: Stage, size: Rooms) -> None:
    settings = hyper_people(stage, size)
    with stage.recorded():
        hyper_guest(stage, settings, 40)


def _opendht(stage: Stage, nodes: int, contacts: int) -> None:
    """A node that comes up, then looks up the devices of its contacts, if it has any, and listens for their news."""
    numbers = [(stage.number * 11 + i) % 100 for i in range(nodes)]
    entry = next(n for n in range(100) if usual_door(n) is Door.OPEN and n in numbers)
    random = Random(stage.number)
    keys = [sha1(f"contact {i}".encode()).hexdigest() for i in range(max(contacts, 1))]
    for number in [entry, *(n for n in numbers if n != entry)]:
        port = "4222" if random.random() < 0.5 else str(random.randrange(10_000, 60_000))
        port = "4222" if number == entry else port
        command = ["dhtnode", "-n", "0", "-p", port, "-b", f"{PEER_ADDRESSES[entry]}:4222"]
        peer = stage.processes.start(
            ["ip", "netns", "exec", stage.topology.peer(number), *command], log="peers.log", stdin=True
        )
        if peer.stdin is not None and number != entry:
            time.sleep(0.05)
            peer.stdin.write(f"p {random.choice(keys)} message{number}\n".encode() * 2)
            peer.stdin.flush()
    time.sleep(12)
    with stage.recorded():
        command = ["dhtnode", "-n", "0", "-p", "4222", "-b", f"{PEER_ADDRESSES[entry]}:4222"]
        stage.commands.append(" ".join(command))
        guest = stage.processes.start(["ip", "netns", "exec", stage.guest, *command], log="guest.log", stdin=True)
        time.sleep(3)
        for key in keys[:contacts]:
            if guest.stdin is not None:
                guest.stdin.write(f"g {key}\nl {key}\n".encode())
                guest.stdin.flush()
            time.sleep(0.3)
        time.sleep(25)
        stage.stop(guest)


_HYPER_NEEDS = ("node", f"{NODE_MODULES}/hyperswarm", f"{NODE_MODULES}/hypercore")
SCENES = (
    Scene(
        "hyper-rooms-large",
        HYPERSWARM,
        "joins 10 rooms of 9 among 50 people, reads 12 messages of each",
        _HYPER_NEEDS,
        60,
        lambda s: _hyper(s, Rooms(50, 10, 9, 12)),
    ),
    Scene(
        "hyper-rooms-small",
        HYPERSWARM,
        "joins 4 rooms of 8 among 24 people, reads 30 messages of each",
        _HYPER_NEEDS,
        60,
        lambda s: _hyper(s, Rooms(24, 4, 8, 30)),
    ),
    Scene(
        "opendht-large",
        OPENDHT,
        "a node comes up among 50 others, asks for 25 contacts and listens to them",
        ("dhtnode",),
        60,
        lambda s: _opendht(s, 50, 25),
    ),
    Scene(
        "opendht-small",
        OPENDHT,
        "a node comes up among 25 others, asks for 8 contacts and listens to them",
        ("dhtnode",),
        60,
        lambda s: _opendht(s, 25, 8),
    ),
    Scene(
        "dht-opendht",
        OPENDHT_NODE,
        "a node without contacts comes up among 60 others and looks for them",
        ("dhtnode",),
        60,
        lambda s: _opendht(s, 60, 0),
    ),
)
