"""A home-made scanner: tries ports of many hosts with whole connections, so many at a time.

python -m tests.lab.arena.players.probe AT_ONCE PATIENCE_S PORTS ADDRESS...
"""

import asyncio
import contextlib
import itertools
import sys
from collections.abc import Iterator
from random import Random


async def _try(targets: Iterator[tuple[str, int]], patience_s: float) -> None:
    for address, port in targets:
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            _, writer = await asyncio.wait_for(asyncio.open_connection(address, port), patience_s)
            print(f"{address}:{port} is open", flush=True)
            writer.close()


async def probe(at_once: int, patience_s: float, ports: list[int], addresses: list[str]) -> None:
    """Each port of each host once, in an order drawn beforehand."""
    targets = list(itertools.product(addresses, ports))
    Random(at_once).shuffle(targets)
    left = iter(targets)
    await asyncio.gather(*(_try(left, patience_s) for _ in range(at_once)))


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[3].split(",")]
    asyncio.run(probe(int(sys.argv[1]), float(sys.argv[2]), numbers, sys.argv[4:]))
