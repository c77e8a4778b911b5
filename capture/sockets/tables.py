"""The system's tables of open sockets, read as cheaply as each system allows.

Linux is asked over netlink (sock_diag(7), linux/inet_diag.h): 2,000 sockets in 2 ms, where /proc/net takes 15 ms and
never less than 8, as it walks the hash table of TCP as text. /proc/net is what is left where the kernel was built
without it, and for ICMP's sockets. Other systems are asked through psutil.

Not read: raw and packet sockets, which belong to no port, and TCP that no process holds (half-open, TIME_WAIT).
"""

import contextlib
import os
import socket
import struct
import sys
from collections.abc import Callable, Container, Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from peerburst.capture.errors import SettingsError
from peerburst.capture.packets.ip import PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP, PROTO_UDP, PROTO_UDPLITE

# linux/netlink.h, linux/sock_diag.h, linux/rtnetlink.h, linux/if_addr.h
NETLINK_ROUTE, NETLINK_SOCK_DIAG = 0, 4
NLMSG_ERROR, NLMSG_DONE = 2, 3
DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
SOCK_DIAG_BY_FAMILY, RTM_GETADDR = 20, 22
MESSAGE_HEADER = struct.Struct("=IHHII")
IFA_ADDRESS, IFA_LOCAL = 1, 2
INET_DIAG_SKV6ONLY = 11
# struct inet_diag_msg: family, then from offset 4 the identity: ports, addresses, interface and a cookie that no two
# sockets share; then four counters, uid and inode.
IDENTITY = slice(4, 52)
PORTS = struct.Struct("!HH")
OWNER = struct.Struct("=II")
OWNER_AT = 64
INODE, NO_INODE = slice(68, 72), bytes(4)
ATTRIBUTES_AT = 72
ATTRIBUTE = struct.Struct("=HH")
# TCP states, net/tcp_states.h. No process holds what is in SYN_RECV, TIME_WAIT or NEW_SYN_RECV, and a flood makes many.
HELD_STATES = 0xFFFFFFFF & ~(1 << 3 | 1 << 6 | 1 << 12)
RECEIVED_AT_ONCE = 1 << 18

MAPPED_PREFIX = bytes(10) + b"\xff\xff"
NOWHERE = ("0.0.0.0", "::")
AF_INET, AF_INET6 = int(socket.AF_INET), int(socket.AF_INET6)


@dataclass(frozen=True, slots=True)
class Socket:
    """A socket as the system lists it."""

    protocol: int
    local: str
    local_port: int
    remote: str  # empty: not connected
    remote_port: int
    v6_only: bool
    uid: int  # -1: the system does not say
    inode: int  # by which Linux names a socket among a process's files; 0 elsewhere
    pid: int  # 0: the table does not say


Entry = tuple[Hashable, Socket | None]
Listed = list[Entry]


class SocketTable(Protocol):
    """A way of listing the open sockets of this machine, or of this network namespace of it."""

    def sockets(self, known: Container[Hashable]) -> Listed:
        """All open sockets, each with a key that stays the same while it is open; None in place of what is `known`."""
        ...

    def addresses(self) -> set[str]:
        """The machine's own addresses."""
        ...


def open_table() -> SocketTable:
    """The cheapest way this system has."""
    if not sys.platform.startswith("linux"):
        return PsutilTable()
    try:
        return NetlinkTable()
    except OSError:
        return ProcTable()


def _text(family: int, data: bytes) -> str:
    """An address; IPv4 in IPv6 (::ffff:192.0.2.1) as IPv4."""
    if family == AF_INET:
        return socket.inet_ntop(AF_INET, data[:4])
    if data.startswith(MAPPED_PREFIX):
        return socket.inet_ntop(AF_INET, data[12:])
    return socket.inet_ntop(AF_INET6, data)


class NetlinkTable:
    """Linux's sockets by sock_diag. Raises OSError where the kernel does not offer it."""

    LISTED = tuple(
        (family, protocol) for family in (AF_INET, AF_INET6) for protocol in (PROTO_TCP, PROTO_UDP, PROTO_UDPLITE)
    )

    def __init__(self) -> None:
        self._buffer = bytearray(RECEIVED_AT_ONCE)
        self._link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
        self._asked = 0
        list(self._diagnosed(AF_INET, PROTO_TCP, ()))
        self._kinds = [kind for kind in self.LISTED if self._has(*kind)]

    def sockets(self, known: Container[Hashable]) -> Listed:
        found: Listed = []
        for kind in self._kinds:
            found.extend(self._diagnosed(*kind, known))
        for name, protocol in (("icmp", PROTO_ICMP), ("icmp6", PROTO_ICMPV6)):
            found.extend(_proc_sockets(name, protocol, known))
        return found

    def _has(self, family: int, protocol: int) -> bool:
        """Whether the kernel lists these: it may be without IPv6 or UDP-Lite."""
        try:
            list(self._diagnosed(family, protocol, ()))
        except OSError:
            return False
        return True

    def _diagnosed(self, family: int, protocol: int, known: Container[Hashable]) -> Iterator[Entry]:
        self._asked += 1
        request = struct.pack("=BBBxI", family, protocol, 0, HELD_STATES) + bytes(48)
        for message in _dump(self._link, self._buffer, SOCK_DIAG_BY_FAMILY, request, self._asked):
            key = (protocol, message[IDENTITY])
            if key in known:
                if message[INODE] != NO_INODE:  # else its process let go of it, and the kernel sees it off
                    yield key, None
            elif (found := _diagnosed_socket(protocol, message)) is not None:
                yield key, found

    def addresses(self) -> set[str]:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE) as link:
            request = bytes(8)  # struct ifaddrmsg: any family, any interface
            return {_interface_address(message) for message in _dump(link, self._buffer, RTM_GETADDR, request, 0)} - {
                ""
            }


def _dump(link: socket.socket, buffer: bytearray, kind: int, request: bytes, number: int) -> Iterator[bytes]:
    """The messages that answer a netlink dump request, without their headers. Raises OSError if it is refused."""
    link.send(MESSAGE_HEADER.pack(MESSAGE_HEADER.size + len(request), kind, DUMP, number, 0) + request)
    while True:
        size, at = link.recv_into(buffer), 0
        data = bytes(memoryview(buffer)[:size])
        while at + MESSAGE_HEADER.size <= size:
            length, answer, _flags, answered, _port = MESSAGE_HEADER.unpack_from(data, at)
            content = data[at + MESSAGE_HEADER.size : at + length]
            at += max((length + 3) & ~3, MESSAGE_HEADER.size)
            if answered != number:  # the rest of a dump that was broken off
                continue
            if answer == NLMSG_DONE:
                return
            if answer == NLMSG_ERROR:
                code = -struct.unpack_from("=i", content)[0]
                raise OSError(code, os.strerror(code))
            yield content


def _attributes(data: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """The (type, content) pairs that follow a netlink message's fixed part."""
    while at + ATTRIBUTE.size <= len(data):
        length, kind = ATTRIBUTE.unpack_from(data, at)
        if length < ATTRIBUTE.size:
            return
        yield kind, data[at + ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3


def _diagnosed_socket(protocol: int, message: bytes) -> Socket | None:
    """The socket in a struct inet_diag_msg; None if no process holds it or it has no port."""
    family = message[0]
    local_port, remote_port = PORTS.unpack_from(message, 4)
    uid, inode = OWNER.unpack_from(message, OWNER_AT)
    if not inode or not local_port:
        return None
    v6_only = any(
        content[:1] == b"\1" for kind, content in _attributes(message, ATTRIBUTES_AT) if kind == INET_DIAG_SKV6ONLY
    )
    local, remote = _text(family, message[8:24]), _text(family, message[24:40])
    return Socket(protocol, local, local_port, remote if remote_port else "", remote_port, v6_only, uid, inode, 0)


def _interface_address(message: bytes) -> str:
    """The own address in a struct ifaddrmsg; IFA_ADDRESS is the other end's on a point-to-point link."""
    held = dict(_attributes(message, 8))
    data = held.get(IFA_LOCAL, held.get(IFA_ADDRESS, b""))
    return _text(message[0], data) if len(data) in (4, 16) else ""


class ProcTable:
    """Linux's sockets by /proc/net. It does not say which sockets at :: leave IPv4 alone; most do not."""

    LISTED = (
        ("tcp", PROTO_TCP),
        ("tcp6", PROTO_TCP),
        ("udp", PROTO_UDP),
        ("udp6", PROTO_UDP),
        ("udplite", PROTO_UDPLITE),
        ("udplite6", PROTO_UDPLITE),
        ("icmp", PROTO_ICMP),
        ("icmp6", PROTO_ICMPV6),
    )

    def sockets(self, known: Container[Hashable]) -> Listed:
        return [listed for name, protocol in self.LISTED for listed in _proc_sockets(name, protocol, known)]

    def addresses(self) -> set[str]:
        return _proc_addresses(_lines("/proc/net/fib_trie"), _lines("/proc/net/if_inet6"))


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:  # a kernel without IPv6, ICMP sockets, UDP-Lite
        return []


def _proc_sockets(name: str, protocol: int, known: Container[Hashable]) -> Listed:
    return _parsed(_lines(f"/proc/net/{name}")[1:], protocol, known)


def _parsed(lines: list[str], protocol: int, known: Container[Hashable]) -> Listed:
    """Sockets of /proc/net lines: slot, local, remote, state, queues, timer, retransmits, uid, timeout, inode."""
    found: Listed = []
    for line in lines:
        words = line.split()
        if len(words) < 10:
            continue
        key = (protocol, words[1], words[2], words[9])
        if key in known:
            found.append((key, None))
            continue
        (local, local_port), (remote, remote_port) = _proc_end(words[1]), _proc_end(words[2])
        if int(words[9]) and local_port:
            uid, inode = int(words[7]), int(words[9])
            connected = remote not in NOWHERE
            found.append(
                (
                    key,
                    Socket(protocol, local, local_port, remote if connected else "", remote_port, False, uid, inode, 0),
                )
            )
    return found


def _proc_end(word: str) -> tuple[str, int]:
    """(address, port) of 0100007F:0035: words of 32 bits in the machine's order, the port as a number."""
    address, port = word.split(":")
    data = b"".join(struct.pack("=I", int(address[at : at + 8], 16)) for at in range(0, len(address), 8))
    return _text(AF_INET if len(data) == 4 else AF_INET6, data), int(port, 16)


def _proc_addresses(fib_trie: list[str], if_inet6: list[str]) -> set[str]:
    """Own addresses: fib_trie's leaves (|-- 192.0.2.1) that `/32 host LOCAL` follows, the first words of if_inet6."""
    found, leaf = set(), ""
    for line in fib_trie:
        if "|-- " in line:
            leaf = line.split()[-1]
        elif "/32 host LOCAL" in line:
            found.add(leaf)
    for line in if_inet6:
        found.add(_text(AF_INET6, bytes.fromhex(line.split()[0])))
    return found


class PsutilTable:
    """macOS, Windows and the BSDs by psutil, which says the process too. Raises SettingsError if it is missing."""

    def __init__(self) -> None:
        try:
            import psutil
        except ImportError:
            raise SettingsError(
                "seeing which program owns a flow needs psutil here: pip install 'peerburst[live]'"
            ) from None
        self._psutil = psutil

    def sockets(self, known: Container[Hashable]) -> Listed:
        found: Listed = []
        for connection, pid in self._connections():
            if not connection.laddr or not connection.laddr.port:
                continue
            protocol = PROTO_TCP if connection.type == socket.SOCK_STREAM else PROTO_UDP
            key = (protocol, tuple(connection.laddr), tuple(connection.raddr), pid)
            found.append((key, None if key in known else _psutil_socket(protocol, connection, pid)))
        return found

    def _connections(self) -> Iterator[tuple[Any, int]]:
        """Those of the whole machine, or where that takes root, of the processes that may be asked."""
        try:
            for connection in self._psutil.net_connections(kind="inet"):
                yield connection, connection.pid or 0
        except self._psutil.AccessDenied:
            for process in self._psutil.process_iter():
                listing: Callable[..., list[Any]] = getattr(process, "net_connections", None) or process.connections
                with contextlib.suppress(self._psutil.Error):
                    for connection in listing(kind="inet"):
                        yield connection, process.pid

    def addresses(self) -> set[str]:
        families = (socket.AF_INET, socket.AF_INET6)
        listed = self._psutil.net_if_addrs().values()
        return {entry.address.split("%")[0] for entries in listed for entry in entries if entry.family in families}


def _psutil_socket(protocol: int, connection: Any, pid: int) -> Socket:
    local, remote = connection.laddr, connection.raddr
    own = local.ip.split("%")[0].removeprefix("::ffff:")
    other, port = (remote.ip.split("%")[0].removeprefix("::ffff:"), remote.port) if remote else ("", 0)
    return Socket(protocol, own, local.port, other, port, False, -1, 0, pid)
