"""The places: guests on a LAN, a gateway that translates addresses, a line, an internet of servers and peers.

    guest veths - lan bridge [gateway, nft masquerade] wan - line.py - [internet router, servers] - veth - peers

Servers share the router's namespace, an address each; peers have a namespace each, since many P2P programs answer
from whatever address their machine has. Peers stand openly, behind a firewall, or behind one that also changes ports.
"""

import subprocess
import sys
import time
from enum import Enum
from pathlib import Path
from threading import Lock

from tests.lab.arena.addresses import (
    DARK_ADDRESSES,
    GATEWAY,
    NAME_SERVER,
    PEER_ADDRESSES,
    SERVER_ADDRESSES,
    WAN,
)
from tests.lab.arena.line import INTERNET_DEVICE, WAN_DEVICE
from tests.lab.arena.namespaces import Namespaces, command_in, ip, rules, run
from tests.lab.arena.processes import Processes

FORWARDING = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv4/conf/all/send_redirects": "0",
}
MASQUERADE = """
table ip nat {
  chain out { type nat hook postrouting priority srcnat; oifname "wan" masquerade; }
}
table ip filter {
  chain forward { type filter hook forward priority filter; ct state invalid drop; iifname "wan" ct state new drop; }
  chain input { type filter hook input priority filter; iifname "wan" ct state new drop; }
}
"""
FIREWALL = """
table ip filter {
  chain input { type filter hook input priority filter; iifname "eth0" ct state { invalid, new } drop; }
}
"""
SERVER_FIREWALL = """
table ip filter {
  chain input {
    type filter hook input priority filter
    tcp dport { 22, 80, 443 } accept
    iifname "eth0" ct state { invalid, new } drop
  }
}
"""
SHUFFLE = """
table ip nat {
  chain out { type nat hook postrouting priority srcnat; oifname "eth0" meta l4proto udp masquerade random; }
}
"""


class Door(Enum):
    """How a peer can be reached from outside."""

    OPEN = "open"
    OFFERING = "offering"  # a server's firewall: ssh and web are open, all else is swallowed
    FIREWALL = "firewall"  # answers only those it has written to
    SHUFFLING = "shuffling"  # as above, and every conversation leaves from a port drawn at random


# Six in ten peers stand openly, two behind a firewall, two behind a shuffling one: set by hand.
_DOORS = (
    Door.OPEN,
    Door.FIREWALL,
    Door.OPEN,
    Door.SHUFFLING,
    *(Door.OPEN,) * 3,
    Door.SHUFFLING,
    Door.OPEN,
    Door.FIREWALL,
)


def usual_door(number: int) -> Door:
    """The door of peer `number` unless somebody wants another."""
    return _DOORS[number % len(_DOORS)]


class Topology:
    """Built on entering, gone on leaving `with`; guests and peers are made when they are first asked for."""

    def __init__(self, folder: Path) -> None:
        self._namespaces = Namespaces()
        self._processes = Processes(folder)
        self._guests: dict[int, str] = {}
        self._peers: dict[int, str] = {}
        self._lock = Lock()

    def __enter__(self) -> "Topology":
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take everything down."""
        self._processes.close()
        self._namespaces.close()

    def _build(self) -> None:
        self.gateway = self._namespaces.make("gw", FORWARDING)
        self.internet = self._namespaces.make("net", FORWARDING)
        self._namespaces.resolver(self.internet, SERVER_ADDRESSES[NAME_SERVER])
        line = self._processes.start(
            [sys.executable, "-m", "tests.lab.arena.line", self.gateway, self.internet], log="line.log"
        )
        self._await_device(self.internet, INTERNET_DEVICE, line)
        ip(
            self.gateway,
            [
                "link add lan type bridge",
                f"addr add {GATEWAY}/24 dev lan",
                "link set lan up",
                f"addr add {WAN}/32 dev {WAN_DEVICE}",
                f"link set {WAN_DEVICE} up txqueuelen 1000",
                f"route add default dev {WAN_DEVICE}",
            ],
        )
        rules(self.gateway, MASQUERADE)
        ip(
            self.internet,
            [
                *(f"addr add {address}/32 dev lo" for address in (*SERVER_ADDRESSES, *DARK_ADDRESSES)),
                f"link set {INTERNET_DEVICE} up txqueuelen 1000",
                f"route add {WAN}/32 dev {INTERNET_DEVICE} src {SERVER_ADDRESSES[NAME_SERVER]}",
                "route add blackhole default",
            ],
        )

    def _await_device(self, namespace: str, device: str, line: "subprocess.Popen[bytes]") -> None:
        for _ in range(100):
            if f" {device}:" in run("ip", "-n", namespace, "-o", "link"):
                return
            if line.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError("the line does not come up: is /dev/net/tun there?")

    def gateway_mac(self) -> str:
        """The gateway's hardware address on the LAN, for programs that write whole frames."""
        return run("ip", "-n", self.gateway, "-br", "link", "show", "lan").split()[2]

    def guest(self, number: int) -> str:
        """The namespace of guest `number` (10 to 250), whose address is that number's on the LAN."""
        with self._lock:
            if number not in self._guests:
                full = self._namespaces.make(f"guest{number}")
                ip(self.gateway, [f"link add g{number} type veth peer name eth0 netns {full}"])
                ip(self.gateway, [f"link set g{number} master lan up"])
                ip(
                    full,
                    [
                        f"addr add 192.168.77.{number}/24 dev eth0",
                        "link set eth0 up",
                        f"route add default via {GATEWAY}",
                    ],
                )
                self._plain_frames(full)
                self._namespaces.resolver(full, SERVER_ADDRESSES[NAME_SERVER])
                self._guests[number] = full
            return self._guests[number]

    def _plain_frames(self, namespace: str) -> None:
        """Without offload, frames are as long as on a cable, and their checksums are there."""
        for feature in ("tso", "gso", "gro", "tx"):
            subprocess.run(
                command_in(namespace, ["ethtool", "-K", "eth0", feature, "off"]), capture_output=True, check=False
            )

    def peer(self, number: int, door: Door | None = None) -> str:
        """The namespace of a peer, at PEER_ADDRESSES[number]; its door is decided when it is first asked for."""
        with self._lock:
            if number not in self._peers:
                full = self._namespaces.make(f"peer{number}")
                address = PEER_ADDRESSES[number]
                ip(self.internet, [f"link add p{number} type veth peer name eth0 netns {full}"])
                ip(
                    self.internet,
                    [
                        f"link set p{number} up",
                        f"route add {address}/32 dev p{number} src {SERVER_ADDRESSES[NAME_SERVER]}",
                    ],
                )
                gateway = SERVER_ADDRESSES[NAME_SERVER]
                ip(
                    full,
                    [
                        f"addr add {address}/32 dev eth0",
                        "link set eth0 up",
                        f"route add {gateway}/32 dev eth0",
                        f"route add default via {gateway} dev eth0",
                    ],
                )
                door = door or usual_door(number)
                if door is not Door.OPEN:
                    rules(full, SERVER_FIREWALL if door is Door.OFFERING else FIREWALL)
                if door is Door.SHUFFLING:
                    rules(full, SHUFFLE)
                self._namespaces.resolver(full, gateway)
                self._peers[number] = full
            return self._peers[number]
