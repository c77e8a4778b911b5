"""More P2P programs that keep little things in step with many: libp2p, IPv8, Syncthing."""

import json
import sys
import time
from dataclasses import dataclass
from random import Random

from tests.lab.arena.addresses import PEER_ADDRESSES, SERVER_ADDRESSES
from tests.lab.arena.mesh import BOOTSTRAP_PORT, HYPER_PEOPLE, Rooms
from tests.lab.arena.namespaces import command_in
from tests.lab.arena.programs import module_version, needs_module, node_program, npm_version, packaged
from tests.lab.arena.stage import Cast, Scene, Stage, node_player
from tests.lab.arena.topology import Door, usual_door
from tests.lab.arena.tox import wait_for

PYTHON = sys.executable
LIBP2P_PORT = 4001  # libp2p's own
IPV8_PORT = 7759  # Tribler's
LIBP2P = Cast("p2p-sync", "libp2p gossipsub", "libp2p", lambda: npm_version("libp2p"))
LIBP2P_DHT = Cast("discovery", "libp2p kad-dht", "libp2p", lambda: npm_version("libp2p"))
GUN = Cast("p2p-sync", "gun", "gun", lambda: npm_version("gun"))
LITECOIN = Cast("p2p-sync", "litecoind", "litecoin", lambda: packaged("litecoind"))
IPV8 = Cast("p2p-sync", "ipv8", "ipv8", lambda: module_version("pyipv8"))
HYPER_BULK = Cast("p2p-bulk", "hypercore", "hyperswarm", lambda: npm_version("hyperswarm"))
SYNCTHING = Cast("p2p-sync", "syncthing", "syncthing", lambda: packaged("syncthing"))


def _libp2p(stage: Stage, size: Rooms, seconds: float, *, lookup: bool = False) -> None:
    random = Random(stage.number)
    settings: dict[str, object] = {
        "people": True,
        "name": stage.folder.name,
        "addresses": [SERVER_ADDRESSES[i] for i in random.sample(HYPER_PEOPLE, size.people)],
        "ports": [
            LIBP2P_PORT + stage.number if random.random() < 0.6 else random.randrange(10_000, 60_000)
            for _ in range(size.people)
        ],
        "rooms": list(range(size.rooms)),
        "members": [random.sample(range(size.people), size.members - 1) for _ in range(size.rooms)],
        "messages": size.messages,
        "lookup": lookup,
    }
    player = node_player(stage, "libp2p.mjs")
    path = stage.folder / "people.json"
    path.write_text(json.dumps(settings))
    stage.server("node", player, str(path), log="people.log")
    log = stage.folder / "people.log"
    wait_for(log, "ready", 90)
    entry = next(line.split()[1] for line in log.read_text().splitlines() if line.startswith("entry"))
    mine = stage.folder / "guest.json"
    mine.write_text(json.dumps({**settings, "people": False, "entry": entry}))
    with stage.recorded():
        stage.run("node", player, str(mine), for_s=seconds)


def _ipv8(stage: Stage, size: Rooms, seconds: float) -> None:
    random = Random(stage.number)
    numbers = [(stage.number * 13 + i) % 100 for i in range(size.people)]
    first = [n for n in numbers if usual_door(n) is Door.OPEN][:3]
    numbers = first + [n for n in numbers if n not in first]
    ports = [IPV8_PORT if random.random() < 0.6 else random.randrange(10_000, 60_000) for _ in numbers]
    everybody = [
        (stage.topology.peer(n), PEER_ADDRESSES[n], port + stage.number) for n, port in zip(numbers, ports, strict=True)
    ]
    settings: dict[str, object] = {
        "people": True,
        "name": stage.folder.name,
        "addresses": everybody,
        "entries": [(address, port) for _, address, port in everybody[:3]],
        "rooms": size.rooms,
        "messages": size.messages,
        "port": IPV8_PORT,
    }
    player = ("-m", "tests.lab.arena.players.ipv8_rooms")
    path = stage.folder / "people.json"
    path.write_text(json.dumps(settings))
    stage.processes.start([PYTHON, *player, str(path)], log="people.log")
    wait_for(stage.folder / "people.log", "ready", 60)
    mine = stage.folder / "guest.json"
    mine.write_text(json.dumps({**settings, "people": False}))
    with stage.recorded():
        stage.run(PYTHON, *player, str(mine), for_s=seconds)


def _hyper_file(stage: Stage, people: int, data: int, seconds: float) -> None:
    settings: dict[str, object] = {
        "people": True,
        "name": stage.folder.name,
        "addresses": [SERVER_ADDRESSES[i] for i in Random(stage.number).sample(HYPER_PEOPLE, people + 1)],
        "port": BOOTSTRAP_PORT + stage.number,
        "bytes": data,
    }
    player = node_player(stage, "hyperfile.cjs")
    path = stage.folder / "people.json"
    path.write_text(json.dumps(settings))
    stage.server("node", player, str(path), log="people.log")
    log = stage.folder / "people.log"
    wait_for(log, "ready", 60)
    key = next(line.split()[1] for line in log.read_text().splitlines() if line.startswith("key"))
    mine = stage.folder / "guest.json"
    mine.write_text(json.dumps({**settings, "people": False, "key": key}))
    with stage.recorded():
        stage.run("node", player, str(mine), for_s=seconds)


def _gun(stage: Stage, people: int, known: int, seconds: float) -> None:
    random = Random(stage.number)
    settings: dict[str, object] = {
        "people": True,
        "addresses": [SERVER_ADDRESSES[i] for i in random.sample(HYPER_PEOPLE, people)],
        "ports": [random.choice((8765, random.randrange(10_000, 60_000))) + stage.number for _ in range(people)],
        "boards": 8,
        "notes": 12,
        "known": list(range(known)),
    }
    player = node_player(stage, "gun.cjs")
    path = stage.folder / "people.json"
    path.write_text(json.dumps(settings))
    stage.server("node", player, str(path), log="people.log")
    wait_for(stage.folder / "people.log", "ready", 60)
    mine = stage.folder / "guest.json"
    mine.write_text(json.dumps({**settings, "people": False}))
    with stage.recorded():
        stage.run("node", player, str(mine), for_s=seconds)


LITECOIN_RPC = ("-rpcuser=arena", "-rpcpassword=arena")


def _litecoin(stage: Stage, nodes: int, blocks: int, seconds: float) -> None:
    """A chain of its own kind, whose blocks are empty; the guest was away while the latest were found."""
    numbers = [(stage.number * 5 + i) % 100 for i in range(3 * nodes)]
    numbers = [n for n in numbers if usual_door(n) is Door.OPEN][:nodes]
    places = [f"{PEER_ADDRESSES[n]}:19444" for n in numbers]
    common = ("-regtest", "-listenonion=0", "-dnsseed=0", "-discover=0", "-dbcache=4", "-maxmempool=5", *LITECOIN_RPC)
    common = (*common, "-par=1", "-fallbackfee=0.001", "-printtoconsole=0", "-upnp=0")
    for index, number in enumerate(numbers):
        home = stage.folder / f"node{index}"
        home.mkdir()
        friends = [f"-addnode={places[(index + step) % nodes]}" for step in (1, 3)]
        stage.peer(number, "litecoind", f"-datadir={home}", f"-bind={places[index]}", *friends, *common)
    time.sleep(6)
    ask = ("litecoin-cli", "-regtest", f"-datadir={stage.folder}/node0", *LITECOIN_RPC, "-rpcwait")
    for words in (("createwallet", "w"), ("-generate", str(blocks))):
        stage.processes.start(command_in(stage.topology.peer(numbers[0]), [*ask, *words]), log="rpc.log").wait(60)
    time.sleep(4)
    home = stage.folder / "mine"
    home.mkdir()
    with stage.recorded():
        friends = [f"-addnode={place}" for place in places]
        stage.start("litecoind", f"-datadir={home}", "-listen=0", *friends, *common)
        for _ in range(int(seconds / 5)):
            time.sleep(5)
            words = [*ask, "-generate", "1"]
            stage.processes.start(command_in(stage.topology.peer(numbers[0]), words), log="rpc.log").wait(20)


SYNCTHING_SETTINGS = """<configuration version="36">
{folders}
{devices}
<gui enabled="false"></gui>
<options>
<listenAddress>tcp://{listen}</listenAddress><listenAddress>quic://{listen}</listenAddress>
<globalAnnounceEnabled>false</globalAnnounceEnabled><localAnnounceEnabled>false</localAnnounceEnabled>
<relaysEnabled>false</relaysEnabled><natEnabled>false</natEnabled><urAccepted>-1</urAccepted>
<crashReportingEnabled>false</crashReportingEnabled><autoUpgradeIntervalH>0</autoUpgradeIntervalH>
<reconnectionIntervalS>10</reconnectionIntervalS><startBrowser>false</startBrowser>
<stunKeepaliveStartS>0</stunKeepaliveStartS>
</options>
</configuration>
"""


@dataclass(frozen=True, slots=True)
class Folders:
    """How many devices there are, how many folders of notes, and how many devices have each."""

    devices: int
    count: int
    members: int


def _syncthing(stage: Stage, size: Folders, seconds: float) -> None:
    """The guest has none of what is in the folders yet."""
    devices = size.devices
    random = Random(stage.number)
    numbers = [(stage.number * 7 + i) % 100 for i in range(devices)]
    ports = [22000 if random.random() < 0.6 else random.randrange(10_000, 60_000) for _ in numbers]
    homes = [stage.folder / f"device{n}" for n in range(devices)] + [stage.folder / "mine"]
    names = []
    for home in homes:
        home.mkdir()
        log = f"{home.name}-key.log"
        stage.processes.start(["syncthing", "generate", f"--home={home}"], log=log).wait(20)
        words = (stage.folder / log).read_text().split()
        names.append(next(word for word in words if word.count("-") == 7))
    places = [f"{PEER_ADDRESSES[n]}:{port}" for n, port in zip(numbers, ports, strict=True)]
    shared = [sorted({*random.sample(range(devices), size.members), devices}) for _ in range(size.count)]
    for own, home in enumerate(homes):
        parts = []
        for folder, members in enumerate(shared):
            if own not in members:
                continue
            notes = home / f"notes{folder}"
            (notes / ".stfolder").mkdir(parents=True)
            for note in range(6 if own != devices else 0):
                (notes / f"{note}.txt").write_text(f"note {note} of {folder} " * (20 + note * 40))
            who = "".join(f'<device id="{names[member]}"></device>' for member in members)
            parts.append(
                f'<folder id="notes{folder}" path="{notes}" type="sendreceive" fsWatcherEnabled="false">{who}</folder>'
            )
        known = [
            member for member in range(devices + 1) if member == own or any({own, member} <= set(m) for m in shared)
        ]
        people = []
        for member in known:
            # People do not know where the guest is; the guest knows where they are.
            where = f"tcp://{places[member]}" if member < devices else "dynamic"
            people.append(f'<device id="{names[member]}" name="d{member}"><address>{where}</address></device>')
        listen = places[own] if own < devices else "0.0.0.0:22000"
        settings = SYNCTHING_SETTINGS.format(folders="\n".join(parts), devices="\n".join(people), listen=listen)
        (home / "config.xml").write_text(settings)
    options = ("--no-browser", "--no-restart", "--no-upgrade", "--no-default-folder")
    for number, home in zip(numbers, homes, strict=False):
        stage.peer(number, "syncthing", "serve", f"--home={home}", *options)
    time.sleep(12)
    with stage.recorded():
        stage.run("syncthing", "serve", f"--home={homes[-1]}", *options, for_s=seconds)


_LIBP2P_NEEDS = node_program(
    "libp2p",
    "multiformats",
    *(f"@libp2p/{part}" for part in ("tcp", "noise", "yamux", "kad-dht", "gossipsub", "identify", "ping")),
    "@multiformats/multiaddr",
)
SCENES = (
    Scene(
        "libp2p-rooms",
        LIBP2P,
        "joins 3 rooms of 6 among 15 people, found by hash table, reads 20 messages of each",
        _LIBP2P_NEEDS,
        60,
        lambda s: _libp2p(s, Rooms(15, 3, 6, 20), 25),
    ),
    Scene(
        "dht-libp2p",
        LIBP2P_DHT,
        "looks up who has 4 things among 20 nodes of a hash table, calls on nobody",
        _LIBP2P_NEEDS,
        60,
        lambda s: _libp2p(s, Rooms(20, 4, 6, 1), 20, lookup=True),
    ),
    Scene(
        "ipv8-rooms",
        IPV8,
        "joins 6 rooms among 60 people, reads 10 messages of whom it meets",
        (needs_module("ipv8"),),
        60,
        lambda s: _ipv8(s, Rooms(60, 6, 20, 10), 40),
    ),
    Scene(
        "ipv8-rooms-few",
        IPV8,
        "joins 2 rooms among 25 people, reads 25 messages of whom it meets",
        (needs_module("ipv8"),),
        50,
        lambda s: _ipv8(s, Rooms(25, 2, 12, 25), 30),
    ),
    Scene(
        "gun-boards",
        GUN,
        "reads and writes 8 boards that 24 people keep, 14 of whom it knows",
        node_program("gun"),
        50,
        lambda s: _gun(s, 24, 14, 35),
    ),
    Scene(
        "gun-boards-few",
        GUN,
        "reads and writes 8 boards that 12 people keep, 5 of whom it knows",
        node_program("gun"),
        40,
        lambda s: _gun(s, 12, 5, 22),
    ),
    Scene(
        "syncthing-few",
        SYNCTHING,
        "comes on line with 3 folders of notes shared with 7 devices, some behind firewalls",
        ("syncthing",),
        60,
        lambda s: _syncthing(s, Folders(7, 3, 4), 30),
    ),
    Scene(
        "litecoin-chain",
        LITECOIN,
        "comes on line and catches up on a chain of 120 empty blocks that 12 nodes keep",
        ("litecoind", "litecoin-cli"),
        60,
        lambda s: _litecoin(s, 12, 120, 35),
    ),
    Scene(
        "hyper-file",
        HYPER_BULK,
        "fetches a file of 4 MB that 20 people have",
        node_program("hyperswarm", "hypercore"),
        50,
        lambda s: _hyper_file(s, 20, 4 << 20, 30),
    ),
    Scene(
        "syncthing-notes",
        SYNCTHING,
        "comes on line with 10 folders of notes shared with 18 devices, some behind firewalls",
        ("syncthing",),
        70,
        lambda s: _syncthing(s, Folders(18, 10, 6), 40),
    ),
)
