"""Two network namespaces joined by a veth pair, with traffic of known size between them."""

import os
import socket
import struct
import subprocess
import threading
import time

from tests.support.netns import inside

NEAR, FAR = "10.77.0.1", "10.77.0.2"
NEAR_MAC, FAR_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
NEAR_V6, FAR_V6 = "fd77::1", "fd77::2"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Pair:
    """`near` holds interface `near0` with 10.77.0.1 and fd77::1; its peer is in `far`."""

    interface = "near0"

    def __init__(self, name: str) -> None:
        self.near = f"peerburst-{os.getpid()}-{name}-near"
        self.far = f"peerburst-{os.getpid()}-{name}-far"
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self) -> None:
        for namespace in (self.near, self.far):
            ip("netns", "add", namespace)
            ip("-n", namespace, "link", "set", "lo", "up")
        ip("-n", self.near, "link", "add", "near0", "type", "veth", "peer", "name", "far0", "netns", self.far)
        for namespace, device, mac, addresses, peer in (
            (self.near, "near0", NEAR_MAC, (f"{NEAR}/24", f"{NEAR_V6}/64"), (FAR_MAC, FAR, FAR_V6)),
            (self.far, "far0", FAR_MAC, (f"{FAR}/24", f"{FAR_V6}/64"), (NEAR_MAC, NEAR, NEAR_V6)),
        ):
            ip("-n", namespace, "link", "set", device, "address", mac)
            for address in addresses:
                flags = ["nodad"] if ":" in address else []
                ip("-n", namespace, "address", "add", address, "dev", device, *flags)
            ip("-n", namespace, "link", "set", device, "up")
            # Known beforehand: looking a neighbour up on a link that is new can take IPv6 a second.
            for address in peer[1:]:
                ip("-n", namespace, "neighbor", "add", address, "lladdr", peer[0], "dev", device)

    def close(self) -> None:
        for namespace in (self.near, self.far):
            subprocess.run(["ip", "netns", "delete", namespace], capture_output=True, check=False)

    def __enter__(self) -> "Pair":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def send_udp(self, count: int, *, size: int = 100, port: int = 9999, far: str = FAR, pause_s: float = 0.0) -> None:
        """Datagrams from one socket of `near` to a port of `far` on which nobody answers them."""
        family = socket.AF_INET6 if ":" in far else socket.AF_INET
        with inside(self.far):
            listener = socket.socket(family, socket.SOCK_DGRAM)
        with inside(self.near):
            sender = socket.socket(family, socket.SOCK_DGRAM)
        with listener, sender:
            listener.bind((far, port))
            for _ in range(count):
                sender.sendto(bytes(size), (far, port))
                if pause_s:
                    time.sleep(pause_s)

    def exchange_tcp(self, count: int, *, data: int = 3000) -> None:
        """Whole TCP connections, one after another: some bytes there, the same back, closed by the client."""
        with inside(self.far):
            server = socket.create_server((FAR, 8080))
        with inside(self.near):
            clients = [socket.socket() for _ in range(count)]

        def echo() -> None:
            for _ in range(count):
                talk, _address = server.accept()
                with talk:
                    while data := talk.recv(65536):
                        talk.sendall(data)

        answering = threading.Thread(target=echo)
        answering.start()
        for client in clients:
            with client:
                client.connect((FAR, 8080))
                client.sendall(bytes(data))
                client.shutdown(socket.SHUT_WR)
                while client.recv(65536):
                    pass
        answering.join()
        server.close()

    def ping(self, count: int) -> None:
        """Echo requests (RFC 792), each answered before the next."""
        with inside(self.near):
            talker = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        with talker:
            talker.settimeout(2.0)
            for number in range(count):
                checksum = ~(0x0800 + 0x1234 + number) & 0xFFFF
                talker.sendto(struct.pack(">BBHHH", 8, 0, checksum, 0x1234, number), (FAR, 0))
                talker.recv(100)
