"""Nodes of the Kademlia DHT of PyPI's `kademlia`: many who hold values, or one who comes up and asks for some.

python -m tests.lab.arena.players.kad hold PORT VALUES ADDRESS...
python -m tests.lab.arena.players.kad ask PORT VALUES ENTRY SECONDS
"""

import asyncio
import sys
from random import Random

from kademlia.network import Server  # type: ignore[import-untyped]


async def hold(port: int, values: int, addresses: list[str]) -> None:
    """A node at each address, until killed; half of them at a port of their own."""
    random = Random(port)
    nodes: list[Server] = []
    for number, address in enumerate(addresses):
        node = Server(ksize=8)
        own = port if number == 0 or random.random() < 0.5 else random.randrange(10_000, 60_000)
        await node.listen(own, interface=address)
        if nodes:
            await node.bootstrap([(addresses[0], port)])
        nodes.append(node)
    for number in range(values):
        await random.choice(nodes).set(f"value {number}", f"somewhere {number}")
    print("ready", flush=True)
    await asyncio.Event().wait()


async def ask(port: int, values: int, entry: str, seconds: float) -> None:
    """A node without a past: joins, looks values up, leaves some."""
    node = Server(ksize=8)
    await node.listen(port)
    await node.bootstrap([(entry, port)])
    random = Random(values)
    found = 0
    for number in random.sample(range(values), values // 2):
        found += await node.get(f"value {number}") is not None
        await asyncio.sleep(random.expovariate(1.0))
    await node.set("mine", "here")
    print(f"{found} of {values // 2} found", flush=True)
    await asyncio.sleep(seconds)


if __name__ == "__main__":
    what, at, count, *rest = sys.argv[1:]
    if what == "hold":
        asyncio.run(hold(int(at), int(count), rest))
    else:
        asyncio.run(ask(int(at), int(count), rest[0], float(rest[1])))
