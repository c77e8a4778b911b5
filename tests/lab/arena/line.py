"""The line between gateway and internet: delay by address, losses, a rate each way and a queue that overflows.

Kernels without netem have no delays to offer, so packets pass through this program: from one TUN device, held back
in a heap, into another. It measures what real lines show, round trips that differ from peer to peer.

    python -m tests.lab.arena.line GATEWAY_NAMESPACE INTERNET_NAMESPACE
"""

import fcntl
import heapq
import os
import select
import socket
import struct
import sys
import time
from dataclasses import dataclass
from random import Random

from tests.lab.arena.addresses import SEED, one_way_s
from tests.lab.arena.namespaces import inside

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
WAN_DEVICE, INTERNET_DEVICE = "wan", "line"


@dataclass(frozen=True, slots=True)
class Line:
    """What an access line does to packets."""

    down_bps: float = 40e6
    up_bps: float = 10e6
    queue_s: float = 0.25  # packets that would wait longer are dropped
    loss: float = 0.003
    jitter_s: float = 0.002


def open_tun(namespace: str, device: str) -> int:
    """A descriptor of a new TUN device in a network namespace: one IP packet a read, one a write."""
    with inside(namespace):
        tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI))
    return tun


class Way:
    """One direction: packets enter by the sender's device, leave by the other's, `address_at` names the far end."""

    def __init__(self, source: int, sink: int, rate_bps: float, address_at: int, line: Line) -> None:
        self.source, self.sink, self._address_at, self._line = source, sink, address_at, line
        self._seconds_per_byte = 8 / rate_bps
        self._busy_until = 0.0
        self._delays: dict[bytes, float] = {}
        self._random = Random(SEED + address_at)

    def due(self, packet: bytes, now: float) -> float | None:
        """When the packet leaves at the other end; None if it is lost."""
        start = max(now, self._busy_until)
        if start - now > self._line.queue_s or self._random.random() < self._line.loss:
            return None
        self._busy_until = start + len(packet) * self._seconds_per_byte
        end = packet[self._address_at : self._address_at + 4]
        delay = self._delays.get(end)
        if delay is None:
            delay = self._delays[end] = one_way_s(socket.inet_ntoa(end))
        return self._busy_until + delay + self._random.random() * self._line.jitter_s


def carry(up: Way, down: Way) -> None:
    """Move packets until killed."""
    waiting: list[tuple[float, int, int, bytes]] = []
    poller = select.epoll()
    for way in (up, down):
        poller.register(way.source, select.EPOLLIN)
    ways = {way.source: way for way in (up, down)}
    count = 0
    while True:
        ready = poller.poll(max(waiting[0][0] - time.monotonic(), 0.0) if waiting else -1)
        now = time.monotonic()
        for source, _ in ready:
            way = ways[source]
            for _ in range(64):
                try:
                    packet = os.read(source, 2048)
                except BlockingIOError:
                    break
                if packet[0] >> 4 == 4 and (due := way.due(packet, now)) is not None:
                    count += 1
                    heapq.heappush(waiting, (due, count, way.sink, packet))
        while waiting and waiting[0][0] <= now:
            _, _, sink, packet = heapq.heappop(waiting)
            try:
                os.write(sink, packet)
            except OSError:  # a full queue, or a device that is going: the packet is lost
                continue


def main(gateway: str, internet: str) -> None:
    """Lay the line between two network namespaces."""
    line = Line()
    near, far = open_tun(gateway, WAN_DEVICE), open_tun(internet, INTERNET_DEVICE)
    destination, source = 16, 12  # offsets in an IPv4 header, RFC 791 section 3.1
    print("ready", flush=True)
    carry(Way(near, far, line.up_bps, destination, line), Way(far, near, line.down_bps, source, line))


if __name__ == "__main__":
    main(*sys.argv[1:3])
