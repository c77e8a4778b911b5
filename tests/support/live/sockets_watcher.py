"""Run inside a network namespace: capture an interface and poll its sockets, until standard input closes.

    python sockets_watcher.py INTERFACE CAPTURE INTERVAL_S

Packets come from a packet socket, as they come, so that new ports are noticed the way a live session notices them.
"""

import select
import socket
import sys
import time

from peerburst.capture.files.writer import Container, PacketWriter
from peerburst.capture.sockets.observations import side_file
from peerburst.capture.sockets.poller import SocketPoller

ETHERTYPE_ALL, SO_TIMESTAMPNS = 3, 35
TIMESTAMP_BYTES = 16


def ports(frame: bytes) -> list[int]:
    """Both ports of an IPv4 packet of TCP or UDP in Ethernet."""
    if frame[12:14] != b"\x08\x00" or frame[23] not in (6, 17):
        return []
    at = 14 + 4 * (frame[14] & 15)
    return [int.from_bytes(frame[at : at + 2]), int.from_bytes(frame[at + 2 : at + 4])]


def main() -> None:
    interface, capture, interval_s = sys.argv[1], sys.argv[2], float(sys.argv[3])
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE_ALL))
    tap.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    tap.bind((interface, 0))
    poller = SocketPoller(side_file(capture), interval_s=interval_s)
    poller.start()
    worst_s = 0.0
    with open(capture, "wb") as file:
        writer = PacketWriter(file, Container.PCAPNG)
        print("ready", flush=True)
        while True:
            readable, _, _ = select.select([tap, sys.stdin], [], [], 1)
            if tap in readable:
                frame, extra, _flags, _sender = tap.recvmsg(1 << 16, socket.CMSG_SPACE(TIMESTAMP_BYTES))
                stamp = extra[0][2]
                second, ns = int.from_bytes(stamp[:8], sys.byteorder), int.from_bytes(stamp[8:16], sys.byteorder)
                writer.write(second * 1_000_000_000 + ns, frame[:128], len(frame))
                poller.noticed(ports(frame))
                worst_s = max(worst_s, poller.poll_cost_s)
            elif sys.stdin in readable:
                break
    began = time.perf_counter()
    poller.poll_now()
    print(f"{worst_s * 1000:.1f} ms the dearest poll, {1000 * (time.perf_counter() - began):.1f} ms the last")
    poller.stop()


main()
