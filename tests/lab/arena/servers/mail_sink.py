"""Mail servers that take everything and keep nothing, one on each of many addresses.

python -m tests.lab.arena.servers.mail_sink PORT ADDRESS...
"""

import asyncio
import sys

from aiosmtpd.smtp import SMTP, Envelope, Session


class Sink:
    """Says yes to every letter."""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """After the letter's last line."""
        return "250 Message accepted for delivery"


async def serve(port: int, addresses: list[str]) -> None:
    """Listen on all addresses until killed."""
    loop = asyncio.get_running_loop()
    for address in addresses:
        await loop.create_server(lambda: SMTP(Sink(), hostname="mx.example"), address, port)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2:]))
