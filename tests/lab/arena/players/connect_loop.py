"""Opens connections to one server and drops them: a broken client, or a crude attack.

python -m tests.lab.arena.players.connect_loop ADDRESS PORT COUNT AT_ONCE
"""

import asyncio
import contextlib
import sys

HOLD_S = 0.2


async def _work(address: str, port: int, turns: int) -> None:
    for _ in range(turns):
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(address, port)
            await asyncio.sleep(HOLD_S)
            writer.close()


async def flood(address: str, port: int, count: int, at_once: int) -> None:
    """`count` connections in all."""
    await asyncio.gather(*(_work(address, port, count // at_once) for _ in range(at_once)))


if __name__ == "__main__":
    asyncio.run(flood(sys.argv[1], *(int(word) for word in sys.argv[2:5])))
