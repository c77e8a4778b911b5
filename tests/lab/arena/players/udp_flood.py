"""A flood as the scripts that go round do it: datagrams of random length to random ports of one host.

python -m tests.lab.arena.players.udp_flood ADDRESS COUNT SOCKETS PAUSE_S
"""

import socket
import sys
import time
from random import Random


def flood(address: str, count: int, sockets: int, pause_s: float) -> None:
    """`count` datagrams in all, from the sockets in turn; a full buffer costs a datagram and nothing else."""
    random = Random(address)
    own = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(sockets)]
    for number in range(count):
        try:
            where = (address, random.randrange(1, 65536))
            own[number % sockets].sendto(random.randbytes(random.randrange(1, 1024)), where)
        except (BlockingIOError, ConnectionRefusedError):
            continue
        time.sleep(pause_s)


if __name__ == "__main__":
    flood(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
