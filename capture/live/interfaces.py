"""The network interfaces of this machine, as an ordinary user may see them.

Linux is asked through the calling thread's own network namespace; other systems through psutil.
"""

import contextlib
import ipaddress
import socket
import struct
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from peerburst.capture.errors import CaptureError

ANY = "any"  # libpcap's name on Linux for all interfaces at once

# linux/if.h and linux/sockios.h
IFF_UP, IFF_LOOPBACK, IFF_RUNNING = 0x1, 0x8, 0x40
SIOCGIFFLAGS, SIOCGIFADDR = 0x8913, 0x8915
NAME_SIZE = 16
REQUEST_SIZE = 40  # struct ifreq

PROC_NET = Path("/proc/thread-self/net")
RTF_UP, RTF_REJECT = 0x1, 0x200  # linux/route.h
ROUTE_NOWHERE = "0" * 8
UNSPECIFIED_V6 = "0" * 32

# Never sent to: connecting a UDP socket only asks the system for a route (RFC 5737, RFC 3849).
FAR_AWAY = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface. `is_up`: switched on and with a link; `addresses`: IPv4 first, without prefix or scope."""

    name: str
    addresses: tuple[str, ...]
    is_up: bool
    is_loopback: bool
    has_default_route: bool


def list_interfaces() -> tuple[Interface, ...]:
    """All interfaces: those with a default route first, loopback last. Needs no root."""
    names = [name for _index, name in socket.if_nameindex()]
    addresses = _addresses(names)
    routed = _default_routes(addresses)
    flags = {name: _flags(name) for name in names}
    made = [
        Interface(
            name,
            tuple(sorted(addresses[name], key=_version_first)),
            bool(flags[name] & IFF_UP and flags[name] & IFF_RUNNING),
            bool(flags[name] & IFF_LOOPBACK),
            name in routed,
        )
        for name in names
    ]
    rank = {name: position for position, name in enumerate(routed)}
    return tuple(
        sorted(made, key=lambda one: (rank.get(one.name, len(rank)), one.is_loopback, not one.is_up, not one.addresses))
    )


def default_interface() -> Interface | None:
    """The one to capture on when none is named: the way out to the Internet, else any that is up; None without."""
    usable = [one for one in list_interfaces() if one.is_up and not one.is_loopback]
    return usable[0] if usable else None


def addresses_of(names: tuple[str, ...]) -> tuple[str, ...]:
    """The addresses of the named interfaces, each once; of all of them if one is `any`."""
    chosen = [one for one in list_interfaces() if one.name in names or ANY in names]
    return tuple(dict.fromkeys(address for one in chosen for address in one.addresses))


def state_of(name: str) -> bool | None:
    """Whether an interface is up; None when there is no such interface (any more)."""
    if name == ANY:
        return True
    try:
        socket.if_nametoindex(name)
    except OSError:
        return None
    return bool(_flags(name) & IFF_UP)


def _version_first(address: str) -> tuple[int, bool]:
    parsed = ipaddress.ip_address(address)
    return parsed.version, parsed.is_link_local


def _flags(name: str) -> int:
    """Linux's interface flags; elsewhere the three we look at, made from what psutil says."""
    if sys.platform != "linux":
        return _flags_by_psutil(name)
    answer = _ask(SIOCGIFFLAGS, name)
    return int(struct.unpack_from("=H", answer, NAME_SIZE)[0]) if answer else 0


def _flags_by_psutil(name: str) -> int:
    try:
        import psutil
    except ImportError:
        raise CaptureError(name, "cannot be looked at without psutil: pip install 'peerburst[live]'") from None
    state = psutil.net_if_stats().get(name)
    if state is None:
        return 0
    is_loopback = "loopback" in state.flags.split(",")
    return (IFF_UP | IFF_RUNNING if state.isup else 0) | (IFF_LOOPBACK if is_loopback else 0)


def _ask(request: int, name: str) -> bytes:
    """The answer to one interface ioctl; empty when the interface has none."""
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker, contextlib.suppress(OSError):
        return fcntl.ioctl(asker, request, struct.pack(f"={REQUEST_SIZE}s", name.encode()))
    return b""


def _addresses(names: list[str]) -> dict[str, list[str]]:
    """Addresses by interface: psutil's list; on Linux without psutil the first IPv4 and all IPv6 addresses."""
    found: dict[str, list[str]] = defaultdict(list)
    try:
        import psutil
    except ImportError:
        return _addresses_of_linux(names) if sys.platform == "linux" else found
    for name, entries in psutil.net_if_addrs().items():
        for entry in entries:
            if entry.family in (socket.AF_INET, socket.AF_INET6):
                found[name].append(entry.address.split("%")[0])
    return found


def _addresses_of_linux(names: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        answer = _ask(SIOCGIFADDR, name)
        if answer:
            found[name].append(socket.inet_ntoa(answer[NAME_SIZE + 4 : NAME_SIZE + 8]))
    for words in _lines(PROC_NET / "if_inet6"):
        found[words[5]].append(str(ipaddress.IPv6Address(bytes.fromhex(words[0]))))
    return found


def _lines(path: Path) -> list[list[str]]:
    """A table of the kernel's as words; empty when it is not there, as IPv6's is where IPv6 is off."""
    try:
        return [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return []


def _default_routes(addresses: dict[str, list[str]]) -> list[str]:
    """Interfaces with a default route, the preferred one first.

    Linux: of the main table. A VPN that routes by rules or by two half-Internets leaves the physical interface there,
    which is the one whose packets the gateway in front of us counts.
    """
    if sys.platform != "linux":
        return _routed_to(addresses)
    found: list[tuple[int, str]] = []
    for words in _lines(PROC_NET / "route")[1:]:
        if words[1] == ROUTE_NOWHERE and words[7] == ROUTE_NOWHERE and int(words[3], 16) & RTF_UP:
            found.append((int(words[6]), words[0]))
    found.sort()
    for words in _lines(PROC_NET / "ipv6_route"):
        to_all = words[0] == UNSPECIFIED_V6 and words[1] == "00"
        if to_all and int(words[8], 16) & RTF_UP and not int(words[8], 16) & RTF_REJECT:
            found.append((int(words[5], 16), words[9]))
    return list(dict.fromkeys(name for _metric, name in found))


def _routed_to(addresses: dict[str, list[str]]) -> list[str]:
    """Interfaces whose address the system would use to reach the Internet."""
    found = []
    for family, far in FAR_AWAY:
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as asker:
            asker.connect((far, 9))
            mine = asker.getsockname()[0].split("%")[0]
            found += [name for name, held in addresses.items() if mine in held]
    return list(dict.fromkeys(found))
