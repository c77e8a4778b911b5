"""Who lives where in the made-up internet. Addresses are drawn at random and stand for nobody."""

import ipaddress
import math
from random import Random

LAN = "192.168.77.0/24"
GATEWAY = "192.168.77.1"
WAN = "100.64.7.2"
SEED = 77
SERVERS = 150
PEERS = 220
NEIGHBOURS = 0.1  # share of addresses in a /16 that another has already: some people share a provider
NAME_SERVER = 0  # numbers of the servers with a role of their own
DARK = "185.99.24.0/24"  # the net that sweeps go to: some live there, the rest is silence
DARK_ALIVE = 23

_PRIVATE = ("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12")
_RESERVED = ("192.0.0.0/16", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", DARK)
_UNUSED = tuple(ipaddress.ip_network(net) for net in (*_PRIVATE, *_RESERVED))


def _draw() -> list[str]:
    random = Random(SEED)
    drawn: list[str] = []
    while len(drawn) < SERVERS + PEERS:
        number = random.randrange(1 << 24, 224 << 24)
        if drawn and random.random() < NEIGHBOURS:
            number = int(ipaddress.ip_address(random.choice(drawn))) & 0xFFFF0000 | number & 0xFFFF
        address = ipaddress.ip_address(number)
        if number & 0xFF in (0, 255) or any(address in net for net in _UNUSED) or str(address) in drawn:
            continue
        drawn.append(str(address))
    return drawn


_DRAWN = _draw()
SERVER_ADDRESSES = tuple(_DRAWN[:SERVERS])
PEER_ADDRESSES = tuple(_DRAWN[SERVERS:])
_dark = list(ipaddress.ip_network(DARK).hosts())
DARK_ADDRESSES = tuple(str(_dark[i]) for i in sorted(Random(SEED).sample(range(len(_dark)), DARK_ALIVE)))


def one_way_s(address: str) -> float:
    """How long a packet takes to this address, in seconds: 3 to 150 ms, half of them below 20 ms."""
    return min(0.003 + 0.017 * math.exp(Random(f"{SEED} {address}").gauss(0.0, 0.7)), 0.15)
