"""A file over QUIC (RFC 9000) by aioquic: one who gives it, one who takes it, on one stream of one connection.

python -m tests.lab.arena.players.quic give ADDRESS PORT CERTIFICATE KEY
python -m tests.lab.arena.players.quic take ADDRESS PORT BYTES
"""

import asyncio
import ssl
import sys

from aioquic.asyncio import connect, serve
from aioquic.quic.configuration import QuicConfiguration

PROTOCOLS = ["hq-interop"]
PART = 20_000  # bytes handed over at a time
PAUSE_S = 0.03  # which makes 5 Mbit/s


async def _give(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    left = int((await reader.readline()).decode())
    while left > 0:
        writer.write(bytes(min(left, PART)))
        left -= PART
        await asyncio.sleep(PAUSE_S)
    writer.write_eof()


async def give(address: str, port: int, certificate: str, key: str) -> None:
    """Until killed."""
    settings = QuicConfiguration(is_client=False, alpn_protocols=PROTOCOLS)
    settings.load_cert_chain(certificate, key)
    tasks = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(_give(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    await serve(address, port, configuration=settings, stream_handler=begin)
    print("ready", flush=True)
    await asyncio.Event().wait()


async def take(address: str, port: int, data: int) -> None:
    """One file."""
    settings = QuicConfiguration(alpn_protocols=PROTOCOLS, verify_mode=ssl.CERT_NONE)
    async with connect(address, port, configuration=settings) as connection:
        reader, writer = await connection.create_stream()
        writer.write(f"{data}\n".encode())
        print(f"{len(await reader.read())} bytes", flush=True)


if __name__ == "__main__":
    what, where, at, *rest = sys.argv[1:]
    if what == "give":
        asyncio.run(give(where, int(at), rest[0], rest[1]))
    else:
        asyncio.run(take(where, int(at), int(rest[0])))
