"""TCP servers that accept, say nothing and hang up when asked to: what a scan finds open.

python -m tests.lab.arena.servers.listeners PORT...
"""

import asyncio
import contextlib
import sys


async def _sit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.TimeoutError):
        await asyncio.wait_for(reader.read(4096), 10)
    writer.close()


async def serve(ports: list[int]) -> None:
    """Listen until killed."""
    for port in ports:
        # Several scenes may want the same host: each brings its own, and none is gone with another's.
        await asyncio.start_server(_sit, "0.0.0.0", port, backlog=4096, reuse_port=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve([int(word) for word in sys.argv[1:]]))
