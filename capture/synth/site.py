"""The place a scenario plays in: a hotel's LAN with its gateway and guests, and the hosts outside.

Packets are seen at the gateway's LAN port, before address translation: guests appear with their own addresses, and
everything from outside comes from the gateway's MAC address.
"""

import hashlib
import ipaddress
from dataclasses import dataclass, field

from peerburst.capture.errors import SettingsError
from peerburst.capture.synth.dice import Dice
from peerburst.capture.synth.frames import SHORTEST_ON_WIRE, Endpoint

# Windows sends with 128, everyone else with 64.
GUEST_HOP_LIMIT = 128
COMMON_HOP_LIMIT = 64
# RFC 6335: the ports an operating system hands out by itself.
FIRST_EPHEMERAL_PORT, LAST_EPHEMERAL_PORT = 49152, 65535
# Round trip over the Wi-Fi: milliseconds, with a tail when the air is busy.
WIFI_ROUND_TRIP_S = 0.003
# Round trips to servers in some data centre, and to strangers' homes anywhere in the world.
SERVER_ROUND_TRIP_S, PEER_ROUND_TRIP_S = 0.035, 0.12
SPEED_SPREAD = 0.5
# Content networks: a page's hosts share few networks, so that distinct /16s per address stay between 0.4 and 0.8 as
# measured for apps and video, where peers reach 0.98.
CONTENT_NETWORKS = 24
HOSTS_PER_NETWORK_BITS = 10

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Remote:
    """A host outside: its endpoint as the LAN sees it, and how long an answer from it takes."""

    endpoint: Endpoint
    round_trip_s: float

    @property
    def address(self) -> str:
        return str(ipaddress.ip_address(self.endpoint.address))


@dataclass(slots=True)
class Guest:
    """One guest's machine; remembers the ports it has used, so that no two of its flows share five numbers."""

    name: str
    v4: Endpoint
    v6: Endpoint | None
    used_ports: set[int] = field(default_factory=set)

    def ephemeral_port(self, dice: Dice) -> int:
        """A port not used before by this guest (RFC 6056, algorithm 1); after 16,384 of them they come again."""
        if len(self.used_ports) > LAST_EPHEMERAL_PORT - FIRST_EPHEMERAL_PORT:
            self.used_ports.clear()
        port = dice.integer(FIRST_EPHEMERAL_PORT, LAST_EPHEMERAL_PORT)
        while port in self.used_ports:
            port = FIRST_EPHEMERAL_PORT if port == LAST_EPHEMERAL_PORT else port + 1
        self.used_ports.add(port)
        return port


class Site:
    """The gateway, the resolver and the world outside; hands out each outside address once."""

    def __init__(self, seed: int, gateway_mac: bytes, dns: IPAddress, lan: ipaddress.IPv4Network) -> None:
        self._gateway_mac = gateway_mac
        self._lan = lan
        self._taken: set[bytes] = set()
        dice = Dice(seed, "content networks")
        self._content_v4 = [_outside_v4(dice) for _ in range(CONTENT_NETWORKS)]
        self._content_v6 = [_outside_v6(dice) for _ in range(CONTENT_NETWORKS)]
        inside = dns in lan
        self.resolver = Remote(
            Endpoint(gateway_mac, dns.packed, COMMON_HOP_LIMIT - (0 if inside else 9)), 0.001 if inside else 0.015
        )

    def peer(self, dice: Dice, *, v6: bool = False) -> Remote:
        """A stranger's computer, anywhere."""
        while (address := _outside_v6(dice) if v6 else _outside_v4(dice)) in self._taken:
            pass
        return self._remote(address, dice, PEER_ROUND_TRIP_S)

    def server(self, dice: Dice, *, v6: bool = False) -> Remote:
        """A server in one of the content networks."""
        networks = self._content_v6 if v6 else self._content_v4
        while True:
            network = dice.pick(networks)
            low = dice.integer(1, 2**HOSTS_PER_NETWORK_BITS - 2)
            value = int.from_bytes(network, "big") >> HOSTS_PER_NETWORK_BITS << HOSTS_PER_NETWORK_BITS | low
            address = value.to_bytes(len(network), "big")
            if address not in self._taken:
                return self._remote(address, dice, SERVER_ROUND_TRIP_S)

    def at(self, address: IPAddress, dice: Dice) -> Remote:
        """The host at a given address; SettingsError for one on the LAN, whose packets the gateway would not pass."""
        if address in self._lan:
            raise SettingsError(f"{address} is on the LAN {self._lan}, so the gateway would not see it; choose another")
        return self._remote(address.packed, dice, SERVER_ROUND_TRIP_S)

    def multicast(self, address: IPAddress) -> Endpoint:
        """A group's address with the MAC address made from it (RFC 1112, RFC 2464)."""
        packed = address.packed
        v4 = len(packed) == 4
        mac = b"\x01\x00\x5e" + bytes([packed[1] & 0x7F]) + packed[2:] if v4 else b"\x33\x33" + packed[-4:]
        return Endpoint(mac, packed, 1)

    def _remote(self, address: bytes, dice: Dice, round_trip_s: float) -> Remote:
        self._taken.add(address)
        hops = dice.integer(6, 22)
        endpoint = Endpoint(self._gateway_mac, address, COMMON_HOP_LIMIT - hops)
        return Remote(endpoint, max(0.004, dice.log_normal(round_trip_s, SPEED_SPREAD)))


def make_guest(name: str, address: IPAddress, mac: bytes | None, v6: IPAddress | None) -> Guest:
    """A guest; without a MAC address it gets a locally administered one (IEEE 802) made from its name."""
    mac = mac or b"\x02" + hashlib.sha256(name.encode()).digest()[:5]
    ends = [Endpoint(mac, ip.packed, GUEST_HOP_LIMIT, SHORTEST_ON_WIRE) if ip else None for ip in (address, v6)]
    assert ends[0] is not None
    return Guest(name, ends[0], ends[1])


def _outside_v4(dice: Dice) -> bytes:
    while True:
        address = ipaddress.IPv4Address(dice.integer(0x01000000, 0xDFFFFFFF))
        # Not .0 or .255, which a careful reader would take for a network or a broadcast.
        if address.is_global and address.packed[3] not in (0, 255):
            return address.packed


def _outside_v6(dice: Dice) -> bytes:
    while True:
        prefix = 0x2600 + dice.integer(0, 0x04FF)
        address = ipaddress.IPv6Address(prefix << 112 | int.from_bytes(dice.random_bytes(14), "big"))
        if address.is_global:
            return address.packed
