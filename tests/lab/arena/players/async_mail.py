"""Letters to many mail servers by aiosmtplib, some at once.

python -m tests.lab.arena.players.async_mail LETTERS AT_ONCE SERVER...
"""

import asyncio
import sys
from collections.abc import Iterator
from random import Random

import aiosmtplib


async def _work(turns: Iterator[str], random: Random) -> None:
    for server in turns:
        text = "Answer today to claim your prize.\r\n" * random.randrange(5, 120)
        letter = f"From: offers@example.com\r\nSubject: you have won\r\n\r\n{text}"
        try:
            await aiosmtplib.send(
                letter,
                sender="offers@example.com",
                recipients=["someone@example.net"],
                hostname=server,
                port=25,
                timeout=5,
                start_tls=False,
            )
        except aiosmtplib.SMTPException as error:
            print(f"failed: {error}", flush=True)


async def send(letters: int, at_once: int, servers: list[str]) -> None:
    """So many in all."""
    random = Random(letters)
    turns = iter(random.choices(servers, k=letters))
    await asyncio.gather(*(_work(turns, random) for _ in range(at_once)))


if __name__ == "__main__":
    asyncio.run(send(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
