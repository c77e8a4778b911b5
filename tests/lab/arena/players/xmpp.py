"""People on XMPP (RFC 6120) in many rooms (XEP-0045), by slixmpp.

python -m tests.lab.arena.players.xmpp ADDRESS PORT PREFIX USERS ROOMS SECONDS
"""

import asyncio
import sys
from random import Random

import slixmpp

DOMAIN = "chat.example"
ROOMS = "rooms.chat.example"
TALK_S = 5.0


class Person(slixmpp.ClientXMPP):
    """Joins its rooms and talks."""

    def __init__(self, name: str, rooms: int) -> None:
        super().__init__(DOMAIN, "", sasl_mech="ANONYMOUS")
        self._name, self._rooms, self._random = name, rooms, Random(name)
        self.register_plugin("xep_0045")
        self.register_plugin("xep_0199", {"keepalive": True, "interval": 15})
        self.add_event_handler("session_start", self._start)

    async def _start(self, _event: object) -> None:
        self.send_presence()
        for number in range(self._rooms):
            await self.plugin["xep_0045"].join_muc_wait(slixmpp.JID(f"room{number}@{ROOMS}"), self._name, maxstanzas=20)
        print(f"{self._name} is in {self._rooms} rooms", flush=True)
        while True:
            await asyncio.sleep(self._random.uniform(0.5, 2) * TALK_S)
            room = slixmpp.JID(f"room{self._random.randrange(self._rooms)}@{ROOMS}")
            self.send_message(mto=room, mbody="what was it again " * self._random.randrange(1, 5), mtype="groupchat")


async def everybody(address: str, port: int, prefix: str, users: int, rooms: int, seconds: int) -> None:
    """All of them, for so long."""
    people = [Person(f"{prefix}{number}", rooms) for number in range(users)]
    for person in people:
        person.enable_plaintext = True
        person.enable_starttls = False
        person.enable_direct_tls = False
        person.connect(address, port)
        await asyncio.sleep(0.1)
    await asyncio.sleep(seconds)
    for person in people:
        await person.disconnect()


if __name__ == "__main__":
    where, at, who, *numbers = sys.argv[1:7]
    asyncio.run(everybody(where, int(at), who, *(int(word) for word in numbers)))
