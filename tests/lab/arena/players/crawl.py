"""Looks at pages with aiohttp as a monitor does: the page, then everything on it, so many at a time.

python -m tests.lab.arena.players.crawl AT_ONCE REST_S URL...
"""

import asyncio
import re
import sys

import aiohttp


async def look(session: aiohttp.ClientSession, url: str) -> None:
    """One page and all its objects."""
    async with session.get(url) as answer:
        text = await answer.text()

    async def fetch(part: str) -> None:
        async with session.get(part) as answer:
            await answer.read()

    parts = re.findall(r'src="([^"]+)"', text)
    done = await asyncio.gather(*(fetch(part) for part in parts), return_exceptions=True)
    print(f"{url}: {sum(not isinstance(one, Exception) for one in done)} of {len(parts)}", flush=True)


async def main(at_once: int, rest_s: float, urls: list[str]) -> None:
    """All pages, one after another."""
    connector = aiohttp.TCPConnector(limit=at_once, limit_per_host=4, ssl=False)
    async with aiohttp.ClientSession(connector=connector) as session:
        for url in urls:
            await look(session, url)
            await asyncio.sleep(rest_s)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
