"""A peer-to-peer program coming online, run by itself in a client's network: login_of_peers.py PEERS SECONDS."""

import contextlib
import socket
import sys
import time
from collections.abc import Sequence

ECHO_PORT = 6000  # the world answers on all UDP ports from here on


def come_online(peers: int, seconds: float) -> None:
    """As a peer-to-peer program does: one UDP socket, a small exchange with each of many peers, some asked again."""
    talker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    talker.bind(("0.0.0.0", 33445))
    talker.setblocking(False)
    for again in (1, 3):
        for number in range(0, peers, again):
            to = (f"198.18.{1 + number // 250}.{1 + number % 250}", ECHO_PORT + 1 + number * 37 % 50000)
            talker.sendto(bytes(60 + number % 40), to)
            time.sleep(seconds / peers)
            with contextlib.suppress(BlockingIOError):
                while True:
                    talker.recvfrom(2048)
    time.sleep(1.5)  # it stays open as long as answers may come


def main(words: Sequence[str]) -> None:
    come_online(int(words[0]), float(words[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
