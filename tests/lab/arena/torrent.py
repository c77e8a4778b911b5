"""P2P bulk: a BitTorrent swarm of real clients, and a guest who takes part with another."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.arena.addresses import PEER_ADDRESSES, SERVER_ADDRESSES
from tests.lab.arena.players.swarm import make_torrent
from tests.lab.arena.programs import node_program, npm_version, packaged, version
from tests.lab.arena.stage import Cast, Scene, Stage, node_player
from tests.lab.arena.topology import Door, usual_door
from tests.lab.arena.tox import wait_for

TRACKER_SERVER = 121
FILE_BYTES = 24 << 20


def _libtorrent() -> str:
    return version(sys.executable, "-c", "import libtorrent; print(libtorrent.version)")


LIBTORRENT = Cast("p2p-bulk", "libtorrent", "libtorrent", _libtorrent)
DHT_NODE = Cast("discovery", "libtorrent dht", "libtorrent", _libtorrent)
QBITTORRENT = Cast("p2p-bulk", "qbittorrent", "libtorrent", lambda: version("qbittorrent-nox", "--version"))
TRANSMISSION = Cast("p2p-bulk", "transmission", "transmission", lambda: version("transmission-daemon", "--version"))
RTORRENT = Cast("p2p-bulk", "rtorrent", "rtorrent", lambda: packaged("rtorrent"))
CTORRENT = Cast("p2p-bulk", "ctorrent", "ctorrent", lambda: packaged("ctorrent"))
LFTP = Cast("p2p-bulk", "lftp torrent", "lftp", lambda: packaged("lftp"))
UNWORKABLE = Cast("p2p-bulk", "unworkable", "unworkable", lambda: packaged("unworkable"))
WEBTORRENT = Cast("p2p-bulk", "webtorrent", "webtorrent", lambda: npm_version("webtorrent"))
ARIA = Cast("p2p-bulk", "aria2c bittorrent", "aria2", lambda: version("aria2c", "--version"))


@dataclass(frozen=True, slots=True)
class Size:
    """A swarm: `gone` are peers that the tracker tells of and nobody answers for."""

    peers: int
    seeds: int
    gone: int
    upload_bytes_s: int = 50_000
    tracked: bool = True
    data: int = FILE_BYTES


@dataclass(frozen=True, slots=True)
class Gathering:
    """A swarm that is up."""

    torrent: Path
    entry: str  # a DHT node, address:port
    settings: dict[str, object]


def gather(stage: Stage, size: Size, *, guest_seeds: bool = False) -> Gathering:
    """Bring a swarm up."""
    address, port = SERVER_ADDRESSES[TRACKER_SERVER], 6900 + stage.number
    log = stage.folder / "tracker.log"
    numbers = [(stage.number * 17 + i) % 100 for i in range(size.peers + size.gone)]
    # Those whom one asks first in the DHT can be asked.
    first = [n for n in numbers[: size.peers] if usual_door(n) is Door.OPEN][:4]
    numbers = first + [n for n in numbers if n not in first]
    gone = [f"{PEER_ADDRESSES[n].rsplit('.', 1)[0]}.77:{20_000 + n}" for n in numbers[size.peers :]]
    stage.server(sys.executable, "-m", "tests.lab.arena.servers.tracker", address, str(port), *gone, log=log.name)
    data = stage.folder / "whole"
    data.mkdir()
    announce = f"http://{address}:{port}/announce" if size.tracked else None
    torrent = make_torrent(data, f"film{stage.number}.bin", size.data, announce)
    settings: dict[str, object] = {
        "torrent": str(torrent),
        "data": str(data),
        "empty": str(stage.folder / "empty"),
        "peers": [(stage.topology.peer(n), PEER_ADDRESSES[n]) for n in numbers[: size.peers]],
        "seeds": 0 if guest_seeds else size.seeds,
        "upload_bytes_s": size.upload_bytes_s,
        "entry": "",
        "guest": False,
        "magnet": False,
        "idle": False,
        "seed": stage.number,
    }
    path = stage.folder / "swarm.json"
    path.write_text(json.dumps(settings))
    stage.processes.start([sys.executable, "-m", "tests.lab.arena.players.swarm", str(path)], log="swarm.log")
    swarm = stage.folder / "swarm.log"
    wait_for(swarm, "ready", 60)
    entry = next(line.split()[1] for line in swarm.read_text().splitlines() if line.startswith("entry"))
    return Gathering(torrent, entry, settings)


Client = Callable[[Stage, Gathering], Sequence[str]]


def _libtorrent_client(magnet: bool, seeds: bool = False, idle: bool = False) -> Client:
    def client(stage: Stage, swarm: Gathering) -> list[str]:
        path = stage.folder / "guest.json"
        own = {"guest": True, "magnet": magnet, "idle": idle, "entry": swarm.entry, "peers": [], "seeds": int(seeds)}
        own |= {"empty": str(stage.folder / "mine"), "upload_bytes_s": 0 if not seeds else 300_000}
        path.write_text(json.dumps({**swarm.settings, **own}))
        return [sys.executable, "-m", "tests.lab.arena.players.swarm", str(path)]

    return client


def _aria(stage: Stage, swarm: Gathering) -> list[str]:
    command = ["aria2c", "--seed-time=0", "--enable-dht=true", f"--dht-entry-point={swarm.entry}"]
    command += [f"--dht-file-path={stage.folder}/dht.dat", "--bt-enable-lpd=false", "--summary-interval=10"]
    return [*command, "-d", str(stage.folder / "mine"), str(swarm.torrent)]


def _transmission(stage: Stage, swarm: Gathering) -> list[str]:
    home = stage.folder / "transmission"
    home.mkdir()
    settings = {"lpd-enabled": False, "port-forwarding-enabled": False, "peer-port-random-on-start": True}
    settings |= {"dht-enabled": True, "rpc-enabled": False, "utp-enabled": True}
    (home / "settings.json").write_text(json.dumps(settings))
    host, _, port = swarm.entry.partition(":")
    (home / "dht.bootstrap").write_text(f"{host} {port}\n")
    watched = stage.folder / "watched"
    watched.mkdir()
    (watched / swarm.torrent.name).write_bytes(swarm.torrent.read_bytes())
    return ["transmission-daemon", "-f", "-g", str(home), "-c", str(watched), "-w", str(stage.folder / "mine")]


QBITTORRENT_SETTINGS = """[LegalNotice]
Accepted=true
[BitTorrent]
Session\\LSDEnabled=false
[Preferences]
Connection\\UPnP=false
WebUI\\Enabled=false
"""


def _qbittorrent(stage: Stage, swarm: Gathering) -> list[str]:
    settings = stage.folder / "qBittorrent" / "config"
    settings.mkdir(parents=True)
    (settings / "qBittorrent.conf").write_text(QBITTORRENT_SETTINGS)
    save = f"--save-path={stage.folder / 'mine'}"
    return ["qbittorrent-nox", f"--profile={stage.folder}", save, "--skip-dialog=true", str(swarm.torrent)]


def _rtorrent(stage: Stage, swarm: Gathering) -> list[str]:
    session = stage.folder / "session"
    session.mkdir()
    settings = ("system.daemon.set=true", f"session.path.set={session}", f"directory.default.set={stage.folder}/mine")
    settings = (*settings, "network.port_range.set=6890-6899", "dht.mode.set=on", "protocol.pex.set=yes")
    options = [word for setting in settings for word in ("-o", setting)]
    later = (f"schedule2=begin,2,0,load.start={swarm.torrent}", f"schedule2=entry,3,0,dht.add_node={swarm.entry}")
    return ["rtorrent", "-n", *options, *(word for command in later for word in ("-O", command))]


def _ctorrent(stage: Stage, swarm: Gathering) -> list[str]:
    target = str(stage.folder / "mine" / "film.bin")
    return ["ctorrent", "-s", target, "-e", "0", "-p", "6881", str(swarm.torrent)]


def _lftp(stage: Stage, swarm: Gathering) -> list[str]:
    torrent = f"torrent --dht-bootstrap={swarm.entry} -O {stage.folder}/mine {swarm.torrent}"
    # Told to end, it would go on seeding in the background.
    return ["lftp", "-c", f"set cmd:move-background no; set torrent:port-range 6890-6899; {torrent}; wait all"]


def _unworkable(stage: Stage, swarm: Gathering) -> list[str]:
    return ["sh", "-c", f"cd {stage.folder}/mine && exec unworkable -p 6881 {swarm.torrent}"]


def _webtorrent(stage: Stage, swarm: Gathering) -> list[str]:
    player = node_player(stage, "webtorrent.cjs")
    return ["node", player, str(swarm.torrent), str(stage.folder / "mine"), swarm.entry]


def take_part(stage: Stage, swarm: Gathering, client: Client, for_s: float) -> None:
    """The guest joins the swarm."""
    (stage.folder / "mine").mkdir()
    stage.run(*client(stage, swarm), for_s=for_s)


def _play(stage: Stage, size: Size, client: Client, for_s: float, guest_seeds: bool = False) -> None:
    swarm = gather(stage, size, guest_seeds=guest_seeds)
    with stage.recorded():
        take_part(stage, swarm, client, for_s)


def libtorrent_client(stage: Stage, swarm: Gathering) -> Sequence[str]:
    """A plain download with libtorrent."""
    return _libtorrent_client(magnet=False)(stage, swarm)


SMALL = 4 << 20
SCENES = (
    Scene(
        "bt-rtorrent",
        RTORRENT,
        "download of 4 MB from a swarm of 40, 25 of them seeds, with 15 who are gone",
        ("rtorrent",),
        45,
        lambda s: _play(s, Size(40, 25, 15, data=SMALL), _rtorrent, 36),
    ),
    Scene(
        "bt-ctorrent",
        CTORRENT,
        "download of 4 MB from a swarm of 30, 20 of them seeds, with 12 who are gone",
        ("ctorrent",),
        45,
        lambda s: _play(s, Size(30, 20, 12, data=SMALL), _ctorrent, 36),
    ),
    Scene(
        "bt-lftp",
        LFTP,
        "download of 4 MB from a swarm of 35, 22 of them seeds, with 10 who are gone",
        ("lftp",),
        45,
        lambda s: _play(s, Size(35, 22, 10, data=SMALL), _lftp, 36),
    ),
    Scene(
        "bt-unworkable",
        UNWORKABLE,
        "download of 4 MB from a swarm of 26, 18 of them seeds, with 6 who are gone",
        ("unworkable",),
        45,
        lambda s: _play(s, Size(26, 18, 6, data=SMALL), _unworkable, 36),
    ),
    Scene(
        "bt-webtorrent",
        WEBTORRENT,
        "download of 4 MB from a swarm of 45, 30 of them seeds, with 20 who are gone",
        node_program("webtorrent"),
        45,
        lambda s: _play(s, Size(45, 30, 20, data=SMALL), _webtorrent, 36),
    ),
    Scene(
        "dht-libtorrent",
        DHT_NODE,
        "a client without torrents comes up and looks for nodes of the DHT, of whom there are 60",
        (),
        40,
        lambda s: _play(s, Size(60, 30, 0), _libtorrent_client(magnet=False, idle=True), 32),
    ),
    Scene(
        "bt-libtorrent",
        LIBTORRENT,
        "download from a swarm of 45, 28 of them seeds, with 25 who are gone",
        (),
        45,
        lambda s: _play(s, Size(45, 28, 25), libtorrent_client, 32),
    ),
    Scene(
        "bt-magnet",
        LIBTORRENT,
        "download by magnet link, found in the DHT alone: 40 peers",
        (),
        45,
        lambda s: _play(s, Size(40, 28, 0, tracked=False), _libtorrent_client(magnet=True), 40),
    ),
    Scene(
        "bt-seeding",
        LIBTORRENT,
        "the guest is the only seed of 30 peers",
        (),
        45,
        lambda s: _play(s, Size(30, 0, 15), _libtorrent_client(magnet=False, seeds=True), 30, guest_seeds=True),
    ),
    Scene(
        "bt-transmission",
        TRANSMISSION,
        "download from a swarm of 40, 25 of them seeds, with 20 who are gone",
        ("transmission-daemon",),
        45,
        lambda s: _play(s, Size(40, 25, 20), _transmission, 36),
    ),
    Scene(
        "bt-aria2",
        ARIA,
        "download from a swarm of 35, 25 of them seeds, with 10 who are gone",
        ("aria2c",),
        45,
        lambda s: _play(s, Size(35, 25, 10), _aria, 36),
    ),
    Scene(
        "bt-qbittorrent",
        QBITTORRENT,
        "download from a swarm of 50, 30 of them seeds, with 30 who are gone",
        ("qbittorrent-nox",),
        45,
        lambda s: _play(s, Size(50, 30, 30), _qbittorrent, 36),
    ),
)
