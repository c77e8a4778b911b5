"""Nodes of distributed hash tables that come up and look things up."""

import sys
from random import Random

from tests.lab.arena.addresses import SERVER_ADDRESSES
from tests.lab.arena.mesh import HYPER_PEOPLE
from tests.lab.arena.programs import module_version, needs_module, node_program, npm_version
from tests.lab.arena.stage import Cast, Scene, Stage, node_player
from tests.lab.arena.tox import wait_for

PYTHON = sys.executable
KADEMLIA = Cast("discovery", "kademlia", "kademlia", lambda: module_version("kademlia"))
# WebTorrent's own hash table, so of its family.
MAINLINE = Cast("discovery", "bittorrent-dht", "webtorrent", lambda: npm_version("bittorrent-dht"))


def _addresses(stage: Stage, count: int) -> list[str]:
    return [SERVER_ADDRESSES[i] for i in Random(stage.number).sample(HYPER_PEOPLE, count)]


def _kademlia(stage: Stage, nodes: int, values: int, seconds: float) -> None:
    port = str(8468 + stage.number)
    addresses = _addresses(stage, nodes)
    player = (PYTHON, "-m", "tests.lab.arena.players.kad")
    stage.server(*player, "hold", port, str(values), *addresses, log="nodes.log")
    wait_for(stage.folder / "nodes.log", "ready", 60)
    with stage.recorded():
        stage.run(*player, "ask", port, str(values), addresses[0], "20", for_s=seconds)


def _mainline(stage: Stage, nodes: int, torrents: int, seconds: float) -> None:
    port = str(6881 + stage.number)
    addresses = _addresses(stage, nodes)
    player = node_player(stage, "mainline.mjs")
    stage.server("node", player, "hold", port, str(torrents), *addresses, log="nodes.log")
    wait_for(stage.folder / "nodes.log", "ready", 60)
    with stage.recorded():
        stage.run("node", player, "ask", f"{addresses[0]}:{port}", str(torrents), for_s=seconds)


SCENES = (
    Scene(
        "dht-kademlia",
        KADEMLIA,
        "a node comes up among 45 others and looks up 20 values",
        (needs_module("kademlia"),),
        50,
        lambda s: _kademlia(s, 45, 40, 40),
    ),
    Scene(
        "dht-kademlia-few",
        KADEMLIA,
        "a node comes up among 20 others and looks up 6 values",
        (needs_module("kademlia"),),
        40,
        lambda s: _kademlia(s, 20, 12, 25),
    ),
    Scene(
        "dht-mainline",
        MAINLINE,
        "a node comes up among 50 others and asks for the peers of 14 torrents",
        node_program("bittorrent-dht"),
        50,
        lambda s: _mainline(s, 50, 14, 30),
    ),
)
