"""A BitTorrent swarm by libtorrent: a session for each peer, each with the sockets of its own namespace.

    python -m tests.lab.arena.players.swarm SWARM.json

With `guest` true there is one session alone, which downloads (or seeds) in the namespace it was started in.
"""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

import libtorrent

from tests.lab.arena.namespaces import inside

PIECE_BYTES = 256 * 1024
READY_S = 8
LEECHER_BYTES_S = 20_000  # so that the swarm is not all about itself


@dataclass(frozen=True, slots=True)
class Swarm:
    """`peers` are (namespace, address); the first `seeds` have everything, the rest begin with nothing."""

    torrent: str
    data: str  # folder with the whole file
    empty: str  # folder for those who begin with nothing
    peers: tuple[tuple[str, str], ...]
    seeds: int
    upload_bytes_s: int
    entry: str  # address:port of a DHT node, for the guest
    guest: bool
    magnet: bool
    idle: bool  # the guest has no torrent: a node of the DHT and no more
    seed: int


def make_torrent(folder: Path, name: str, size: int, tracker: str | None) -> Path:
    """A file of noise and its torrent."""
    data = folder / name
    data.write_bytes(Random(name).randbytes(size))
    files = libtorrent.file_storage()
    files.add_file(name, size)
    torrent = libtorrent.create_torrent(files, PIECE_BYTES, libtorrent.create_torrent.v1_only)
    if tracker is not None:
        torrent.add_tracker(tracker)
    libtorrent.set_piece_hashes(torrent, str(folder))
    path = folder / f"{name}.torrent"
    path.write_bytes(libtorrent.bencode(torrent.generate()))
    return path


def _session(port: int, entries: str, upload_bytes_s: int, download_bytes_s: int = 0) -> "libtorrent.session":
    return libtorrent.session(
        {
            "listen_interfaces": f"0.0.0.0:{port}",
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "dht_bootstrap_nodes": entries,
            "upload_rate_limit": upload_bytes_s,
            "download_rate_limit": download_bytes_s,
            "alert_mask": 0,
            "unchoke_slots_limit": 20,
            "unchoke_interval": 5,
            "aio_threads": 1,
            "hashing_threads": 1,
            "dht_restrict_routing_ips": False,
            "dht_restrict_search_ips": False,
            "dht_ignore_dark_internet": False,  # addresses here are drawn at random, from empty nets too
        }
    )


def _torrent(swarm: Swarm, *, whole: bool, folder: str) -> "libtorrent.add_torrent_params":
    info = libtorrent.torrent_info(swarm.torrent)
    if swarm.magnet and not whole:
        torrent = libtorrent.parse_magnet_uri(f"magnet:?xt=urn:btih:{info.info_hashes().v1}")
    else:
        torrent = libtorrent.add_torrent_params()
        torrent.ti = info
    torrent.save_path = folder
    if whole:
        torrent.flags |= libtorrent.torrent_flags.seed_mode
    return torrent


def main(path: str) -> None:
    """Run until killed."""
    given = json.loads(Path(path).read_text())
    swarm = Swarm(**{**given, "peers": tuple((ns, address) for ns, address in given["peers"])})
    random = Random(swarm.seed)
    if swarm.guest:
        whole = swarm.seeds > 0
        session = _session(random.randrange(10_000, 60_000), swarm.entry, swarm.upload_bytes_s)
        while swarm.idle:
            time.sleep(2)
            print(f"{session.status().dht_nodes} DHT nodes known", flush=True)
        handle = session.add_torrent(_torrent(swarm, whole=whole, folder=swarm.data if whole else swarm.empty))
        while True:
            time.sleep(2)
            status = handle.status()
            print(f"{status.num_peers} peers, {status.total_done} bytes done", flush=True)
    sessions = []
    entries: list[str] = [swarm.entry] if swarm.entry else []
    for number, (namespace, address) in enumerate(swarm.peers):
        port = random.choice((6881, 51413, random.randrange(10_000, 60_000), random.randrange(10_000, 60_000)))
        whole = number < swarm.seeds
        with inside(namespace):
            session = _session(port, ",".join(entries[:4]), swarm.upload_bytes_s, 0 if whole else LEECHER_BYTES_S)
        if len(entries) < 4:
            entries.append(f"{address}:{port}")
        folder = Path(swarm.empty, str(number))
        folder.mkdir(parents=True, exist_ok=True)
        session.add_torrent(_torrent(swarm, whole=whole, folder=swarm.data if whole else str(folder)))
        sessions.append(session)
    time.sleep(READY_S)
    print("entry", entries[0], flush=True)
    print("ready", flush=True)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main(sys.argv[1])
