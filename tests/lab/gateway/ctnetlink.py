"""The kernel's own words: dumps of the connection tracking table, and the log lines of `ct count` rules.

Layouts: include/uapi/linux/netlink.h, netfilter/nfnetlink.h, nfnetlink_conntrack.h, nfnetlink_log.h. Messages are
gathered raw and read later: reading takes longer than the kernel's telling.
"""

import ipaddress
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 1, 4, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
SUBSYSTEM_CONNTRACK, SUBSYSTEM_LOG = 1, 4
GET_CONNTRACK = SUBSYSTEM_CONNTRACK << 8 | 1
LOG_PACKET = SUBSYSTEM_LOG << 8
LOG_CONFIG = SUBSYSTEM_LOG << 8 | 1
BIND, COPY_META = 1, 1
CONFIG_COMMAND, CONFIG_MODE = 1, 2
TYPE_BITS = 0x3FFF
LARGEST_READ = 1 << 18

TUPLE_ORIG, STATUS, PROTOINFO, TIMEOUT = 1, 3, 4, 7
TUPLE_IP, TUPLE_PROTO = 1, 2
V4_SOURCE, V4_DESTINATION, V6_SOURCE, V6_DESTINATION = 1, 2, 3, 4
PROTO_NUMBER, SOURCE_PORT, DESTINATION_PORT, ICMP_ID, ICMPV6_ID = 1, 2, 3, 4, 7
PROTOINFO_TCP, TCP_STATE = 1, 1
SEEN_REPLY, ASSURED = 2, 4

TCP_STATES = (
    "NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE",
    "SYN_SENT2",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Key:
    """The original direction of an entry; an ICMP query has its identifier in both ports."""

    proto: int
    source: str
    source_port: int
    destination: str
    destination_port: int


@dataclass(frozen=True, slots=True)
class Held:
    """One entry as the kernel lists it. `state` is empty but for TCP; `left_s` is rounded down."""

    key: Key
    state: str
    left_s: int
    replied: bool
    assured: bool


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            return
        yield kind & TYPE_BITS, data[at + 4 : at + length]
        at += (length + 3) & ~3


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, at)
        if length < 16:
            return
        yield kind, data[at + 16 : at + length]
        at += (length + 3) & ~3


def dump(netlink: socket.socket) -> list[bytes]:
    """Ask for the whole table, as it is now; what has expired is left out by the kernel."""
    header = struct.pack("=IHHII", 20, GET_CONNTRACK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0)
    netlink.send(header + struct.pack("=BBH", socket.AF_UNSPEC, 0, 0))
    told = []
    while True:
        data = netlink.recv(LARGEST_READ)
        told.append(data)
        kind = struct.unpack_from("=H", data, 4)[0]
        if kind == NLMSG_ERROR:
            raise OSError(-struct.unpack_from("=i", data, 16)[0], "the kernel refused to list its table")
        if any(kind == NLMSG_DONE for kind, _body in _messages(data)):
            return told


def _tuple(data: bytes) -> Key:
    parts = dict(_attributes(data))
    addresses, ports = dict(_attributes(parts[TUPLE_IP])), dict(_attributes(parts[TUPLE_PROTO]))
    source = addresses.get(V4_SOURCE) or addresses[V6_SOURCE]
    destination = addresses.get(V4_DESTINATION) or addresses[V6_DESTINATION]
    identifier = ports.get(ICMP_ID) or ports.get(ICMPV6_ID) or b"\0\0"
    return Key(
        ports[PROTO_NUMBER][0],
        str(ipaddress.ip_address(source)),
        int.from_bytes(ports.get(SOURCE_PORT, identifier), "big"),
        str(ipaddress.ip_address(destination)),
        int.from_bytes(ports.get(DESTINATION_PORT, identifier), "big"),
    )


def _held(data: bytes) -> Held:
    entry = dict(_attributes(data[4:]))
    status = int.from_bytes(entry[STATUS], "big")
    state = ""
    if PROTOINFO in entry:
        info = dict(_attributes(entry[PROTOINFO]))
        if PROTOINFO_TCP in info:
            state = TCP_STATES[dict(_attributes(info[PROTOINFO_TCP]))[TCP_STATE][0]]
    left = int.from_bytes(entry.get(TIMEOUT, b""), "big")
    return Held(_tuple(entry[TUPLE_ORIG]), state, left, status & SEEN_REPLY != 0, status & ASSURED != 0)


def entries(told: list[bytes]) -> list[Held]:
    """The entries of one dump."""
    return [_held(body) for data in told for kind, body in _messages(data) if kind not in (NLMSG_DONE, NLMSG_ERROR)]


def watch_groups(netlink: socket.socket, groups: int) -> None:
    """Have log groups 0 to `groups` - 1 told to this socket, without the packets themselves."""
    for group in range(groups):
        for attribute in (
            struct.pack("=HHBxxx", 5, CONFIG_COMMAND, BIND),
            struct.pack("=HHIBx", 10, CONFIG_MODE, 0, COPY_META) + b"\0\0",
        ):
            body = struct.pack("=BB", socket.AF_UNSPEC, 0) + struct.pack(">H", group) + attribute
            header = struct.pack("=IHHII", 16 + len(body), LOG_CONFIG, NLM_F_REQUEST | NLM_F_ACK, 1, 0)
            netlink.send(header + body)
            code = struct.unpack_from("=i", netlink.recv(LARGEST_READ), 16)[0]
            if code:
                raise OSError(-code, f"the kernel refused log group {group}")


def logged_groups(netlink: socket.socket) -> list[int]:
    """The groups of log lines that have come since the last call; never waits."""
    groups: list[int] = []
    while True:
        try:
            data = netlink.recv(LARGEST_READ, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return groups
        groups += [struct.unpack_from(">H", body, 2)[0] for kind, body in _messages(data) if kind == LOG_PACKET]
