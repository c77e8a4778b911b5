"""A client behind a real Linux NAT gateway, and a world that answers: three network namespaces.

client (10.20.1.37) -- lan, gateway with masquerading, wan -- world, where every address of 198.18.0.0/15 (RFC 2544)
has a web server on port 80, a name server on 53, iperf3 on 5201, and an echo on all UDP ports from 6000 on.
"""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.live.login_of_peers import ECHO_PORT
from tests.support.live.private_nets import ip
from tests.support.netns import inside

CLIENT, LAN = "10.20.1.37", "10.20.1.1"
WAN, WORLD = "203.0.113.1", "203.0.113.2"
WEB, DNS, BULK, SCANNED = "198.18.0.80", "198.18.0.53", "198.18.0.52", "198.19.0.9"

NAT = """
table ip nat {
  chain out {
    type nat hook postrouting priority 100
    oifname "wan" masquerade
  }
}
"""
ANSWERING = """
table ip answering {
  chain in {
    type nat hook prerouting priority -100
    udp dport 6000-65535 redirect to :6000
    tcp dport { 80, 5201 } redirect
    udp dport 53 redirect to :53
  }
}
"""
UNBOUND = """
server:
  interface: 0.0.0.0
  access-control: 0.0.0.0/0 allow
  do-daemonize: no
  use-syslog: no
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: ""
  local-zone: "example." redirect
  local-data: "example. A 198.18.0.80"
remote-control:
  control-enable: no
"""


@dataclass(frozen=True, slots=True)
class Listing:
    """The client's entries in the kernel's table, and when they were listed (ns since the epoch)."""

    began_ns: int
    ended_ns: int
    held: int


class NatGateway:
    """The three namespaces and the world's servers; `close` (or leaving `with`) ends and removes them."""

    interface = "eth0"

    def __init__(self, folder: Path) -> None:
        head = f"peerburst-{os.getpid()}-nat"
        self.client, self.gateway, self.world = f"{head}-client", f"{head}-gateway", f"{head}-world"
        self._resolver = Path("/etc/netns", self.client)
        self._servers: list[subprocess.Popen[bytes]] = []
        self._echo: socket.socket | None = None
        try:
            self._build()
            self._serve(folder)
        except BaseException:
            self.close()
            raise

    def _build(self) -> None:
        for name in (self.client, self.gateway, self.world):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", self.client, "link", "add", "eth0", "type", "veth", "peer", "name", "lan", "netns", self.gateway)
        ip("-n", self.world, "link", "add", "eth0", "type", "veth", "peer", "name", "wan", "netns", self.gateway)
        for name, device, address in (
            (self.client, "eth0", f"{CLIENT}/24"),
            (self.gateway, "lan", f"{LAN}/24"),
            (self.gateway, "wan", f"{WAN}/24"),
            (self.world, "eth0", f"{WORLD}/24"),
        ):
            with inside(name):
                Path(f"/proc/sys/net/ipv6/conf/{device}/disable_ipv6").write_text("1")
            ip("-n", name, "address", "add", address, "dev", device)
            ip("-n", name, "link", "set", device, "up")
        ip("-n", self.client, "route", "add", "default", "via", LAN)
        ip("-n", self.gateway, "route", "add", "default", "via", WORLD)
        ip("-n", self.world, "route", "add", "local", "198.18.0.0/15", "dev", "lo")
        with inside(self.gateway):
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        for name, rules in ((self.gateway, NAT), (self.world, ANSWERING)):
            subprocess.run(self.command(name, "nft", "-f", "-"), input=rules.encode(), check=True, capture_output=True)
        self._resolver.mkdir(parents=True)
        (self._resolver / "resolv.conf").write_text(f"nameserver {DNS}\n")

    def _serve(self, folder: Path) -> None:
        pages = folder / "pages"
        pages.mkdir()
        (pages / "large").write_bytes(bytes(16_000_000))
        settings = folder / "unbound.conf"
        settings.write_text(UNBOUND.format(folder=folder))
        for command in (
            [sys.executable, "-m", "http.server", "80", "--directory", str(pages)],
            ["unbound", "-d", "-c", str(settings)],
            ["iperf3", "-s"],
        ):
            self._servers.append(
                subprocess.Popen(
                    self.command(self.world, *command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
            )
        with inside(self.world):
            self._echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._echo.bind(("0.0.0.0", ECHO_PORT))
        threading.Thread(target=self._answer, args=(self._echo,), daemon=True).start()
        self._await("tcp", 80)
        self._await("tcp", 5201)

    def _answer(self, echo: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while (told := echo.recvfrom(2048))[1] is not None:  # no sender: it was shut
                echo.sendto(*told)

    def _await(self, protocol: str, port: int) -> None:
        for _ in range(200):
            listed = subprocess.run(
                self.command(self.world, "ss", "-Hnl", f"--{protocol}", f"sport = :{port}"),
                capture_output=True,
                check=True,
            ).stdout
            if listed:
                return
            time.sleep(0.05)
        raise RuntimeError(f"nothing listens on {protocol} port {port}")

    def command(self, namespace: str, *words: str) -> list[str]:
        return ["ip", "netns", "exec", namespace, *words]

    def run(self, *words: str, timeout_s: float = 40.0) -> str:
        """A program at the client; its output."""
        done = subprocess.run(
            self.command(self.client, *words), capture_output=True, text=True, timeout=timeout_s, check=False
        )
        return done.stdout

    def start(self, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            self.command(self.client, *words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
        )

    def list_table(self) -> Listing:
        """What `conntrack -L` says of the client. The kernel leaves out what has expired."""
        began = time.time_ns()
        listed = subprocess.run(
            self.command(self.gateway, "conntrack", "-L"), capture_output=True, text=True, check=True
        ).stdout
        return Listing(began, time.time_ns(), sum(_opener(line) == CLIENT for line in listed.splitlines()))

    @contextlib.contextmanager
    def watched(self, every_s: float = 1.0) -> Iterator[list[Listing]]:
        """The kernel's table, listed again and again from a thread beside."""
        listings: list[Listing] = []
        over = threading.Event()

        def watch() -> None:
            while not over.wait(every_s):
                listings.append(self.list_table())

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            yield listings
        finally:
            over.set()
            watching.join()

    def close(self) -> None:
        for server in self._servers:
            server.terminate()
            server.wait()
        if self._echo is not None:
            with contextlib.suppress(OSError):
                self._echo.shutdown(socket.SHUT_RDWR)
            self._echo.close()
        for name in (self.client, self.gateway, self.world):
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)
        with contextlib.suppress(OSError):
            (self._resolver / "resolv.conf").unlink()
            self._resolver.rmdir()

    def __enter__(self) -> "NatGateway":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _opener(line: str) -> str:
    """The source of the original direction: the first `src=` of a line."""
    return next((word.removeprefix("src=") for word in line.split() if word.startswith("src=")), "")
