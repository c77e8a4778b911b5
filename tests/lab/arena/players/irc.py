"""People on IRC (RFC 2812): each joins channels and says something now and then.

python -m tests.lab.arena.players.irc ADDRESS PORT PREFIX USERS CHANNELS SECONDS
"""

import asyncio
import contextlib
import sys
from random import Random

TALK_S = 4.0


async def _listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        if line.startswith(b"PING"):
            writer.write(b"PONG" + line[4:])


async def chat(address: str, port: int, name: str, channels: int, seconds: float) -> None:
    """One person."""
    random = Random(name)
    reader, writer = await asyncio.open_connection(address, port)
    writer.write(f"NICK {name}\r\nUSER {name} 0 * :{name}\r\n".encode())
    listening = asyncio.create_task(_listen(reader, writer))
    await asyncio.sleep(1)
    until = asyncio.get_running_loop().time() + seconds
    for number in range(channels):
        writer.write(f"JOIN #room{number}\r\n".encode())
        await asyncio.sleep(0.05)
    with contextlib.suppress(OSError):
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(random.uniform(0.5, 2) * TALK_S)
            text = "what was it again " * random.randrange(1, 5)
            writer.write(f"PRIVMSG #room{random.randrange(channels)} :{text}\r\n".encode())
            await writer.drain()
    listening.cancel()
    writer.close()


async def everybody(address: str, port: int, prefix: str, users: int, channels: int, seconds: float) -> None:
    """All of them."""
    await asyncio.gather(*(chat(address, port, f"{prefix}{n}", channels, seconds) for n in range(users)))


if __name__ == "__main__":
    where, at, who, *numbers = sys.argv[1:7]
    asyncio.run(everybody(where, int(at), who, *(int(word) for word in numbers)))
