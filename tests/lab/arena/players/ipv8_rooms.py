"""People on IPv8, the overlay of Tribler: they walk through rooms, and read each other's log when they meet.

    python -m tests.lab.arena.players.ipv8_rooms SETTINGS.json

With `people` there is one for each address, in a namespace of its own; without, there is a guest with all rooms.
"""

import asyncio
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from ipv8.bootstrapping.dispersy.bootstrapper import DispersyBootstrapper
from ipv8.community import Community, CommunitySettings
from ipv8.keyvault.crypto import default_eccrypto
from ipv8.lazy_community import lazy_wrapper
from ipv8.messaging.interfaces.udp.endpoint import UDPEndpoint
from ipv8.messaging.payload_dataclass import DataClassPayload
from ipv8.peer import Peer
from ipv8.peerdiscovery.discovery import RandomWalk
from ipv8.peerdiscovery.network import Network

from tests.lab.arena.namespaces import inside

STEP_S = 0.5  # the walker's pace, as in IPv8's own settings
MOST_PEERS = 20


@dataclass
class Ask(DataClassPayload[1]):
    """What have you got from this message on?"""

    first: int


@dataclass
class Message(DataClassPayload[2]):
    """One of a log."""

    number: int
    text: str


def room_class(name: str, messages: int) -> type[Community]:
    """A room is a community of its own."""

    class Room(Community):
        community_id = hashlib.sha1(name.encode()).digest()

        def __init__(self, settings: CommunitySettings) -> None:
            super().__init__(settings)
            self.read = 0
            self.asked: set[bytes] = set()
            self.add_message_handler(Ask, self.on_ask)
            self.add_message_handler(Message, self.on_message)

        def ask_all(self) -> None:
            """Ask whom one has met since."""
            for peer in self.get_peers():
                if peer.mid not in self.asked:
                    self.asked.add(peer.mid)
                    self.ez_send(peer, Ask(0))

        @lazy_wrapper(Ask)
        def on_ask(self, peer: Peer, asked: Ask) -> None:
            """Everything from there on."""
            for number in range(asked.first, messages):
                self.ez_send(peer, Message(number, "x" * (40 + number * 37 % 300)))

        @lazy_wrapper(Message)
        def on_message(self, peer: Peer, message: Message) -> None:
            """Count it."""
            self.read += 1

    return Room


async def _person(address: str, port: int, rooms: list[type[Community]], entries: list[tuple[str, int]]) -> list[Any]:
    endpoint = UDPEndpoint(port, address)
    await endpoint.open()
    key = default_eccrypto.generate_key("curve25519")
    joined = []
    for room in rooms:
        network = Network()
        settings = CommunitySettings(my_peer=Peer(key), endpoint=endpoint, network=network, max_peers=MOST_PEERS)
        overlay = room(settings)
        overlay.bootstrappers.append(DispersyBootstrapper(ip_addresses=entries, dns_addresses=[]))
        joined.append((overlay, RandomWalk(overlay)))
    return joined


async def main(path: str) -> None:
    """Until killed."""
    given = json.loads(Path(path).read_text())
    random = Random(given["name"])
    rooms = [room_class(f"{given['name']} {number}", given["messages"]) for number in range(given["rooms"])]
    entries = [tuple(entry) for entry in given["entries"]]
    overlays: list[Any] = []
    if given["people"]:
        for number, (namespace, address, port) in enumerate(given["addresses"]):
            some = rooms if number < len(entries) else random.sample(rooms, max(len(rooms) // 3, 1))
            with inside(namespace):
                overlays += await _person(address, port, some, entries)
    else:
        overlays = await _person("0.0.0.0", given["port"], rooms, entries)
    steps = 0
    while True:
        for overlay, walk in overlays:
            walk.take_step()
            if not given["people"]:
                overlay.ask_all()
        steps += 1
        if steps == 20:
            print("ready", flush=True)
        if not given["people"] and steps % 10 == 0:
            met = {peer.mid for overlay, _ in overlays for peer in overlay.get_peers()}
            print(f"{len(met)} people met, {sum(o.read for o, _ in overlays)} messages read", flush=True)
        await asyncio.sleep(STEP_S)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
