"""Captured packets made fit to be sent through a gateway again: whole, with a time to live and a checksum that hold."""

import ipaddress
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from scapy.utils import RawPcapReader

from tests.lab.gateway.namespaces import GATEWAY_MAC, LAN_NETS, LAN_NETS_V6

ETHERNET, RAW_IP, LINUX_COOKED = 1, 101, 113
TO_GATEWAY = bytes.fromhex(GATEWAY_MAC.replace(":", "")) + bytes.fromhex("020000000002")
ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_VLAN = 0x0800, 0x86DD, 0x8100
IPV4_HEADER, IPV6_HEADER = 20, 40
HOPS = 64
LONGEST_IP = 65535

_LAN = [ipaddress.ip_network(net) for net in (*LAN_NETS, *LAN_NETS_V6)]


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame to send: when, in ns since the epoch as captured, by which device, and its bytes."""

    captured_ns: int
    side: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Recording:
    """What of a capture is replayed. `groups`: (source, destination) of packets to groups, which stay on their link."""

    frames: list[Frame]
    first_ns: int  # of the whole capture
    last_ns: int
    groups: frozenset[tuple[str, str]]
    left_out: int  # frames that are no IP, or to a group


def _captured_ns(told: Any, *, nanoseconds: bool) -> int:
    """The instant of a packet as scapy tells it: pcapng in ticks, pcap in seconds and a fraction."""
    if hasattr(told, "tsresol"):
        return int(((told.tshigh << 32) + told.tslow) * 1_000_000_000 // told.tsresol)
    return int(told.sec * 1_000_000_000 + told.usec * (1 if nanoseconds else 1000))


@lru_cache(maxsize=65536)
def _side(address: bytes) -> str:
    return "lan" if any(ipaddress.ip_address(address) in net for net in _LAN) else "wan"


@lru_cache(maxsize=65536)
def _is_group(address: bytes) -> bool:
    there = ipaddress.ip_address(address)
    return there.is_multicast or address == b"\xff\xff\xff\xff"


def _network(data: bytes, link: int) -> tuple[int, bytes, bool]:
    """(ethertype, network layer, whether the link layer addressed a group) of one captured frame."""
    if link == RAW_IP:
        return (ETHERTYPE_IPV6 if data[:1] and data[0] >> 4 == 6 else ETHERTYPE_IPV4), data, False
    if link == LINUX_COOKED:
        kind = struct.unpack_from(">H", data, 0)[0]
        return struct.unpack_from(">H", data, 14)[0], data[16:], kind in (1, 2)
    if link != ETHERNET:
        raise ValueError(f"link type {link} cannot be replayed")
    at = 12
    while struct.unpack_from(">H", data, at)[0] == ETHERTYPE_VLAN:
        at += 4
    return struct.unpack_from(">H", data, at)[0], data[at + 2 :], data[0] & 1 != 0


def _checksum(header: bytes) -> int:
    total: int = sum(struct.unpack(f">{len(header) // 2}H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return int(~((total & 0xFFFF) + (total >> 16)) & 0xFFFF)


def mended_ipv4(packet: bytes, wire: int) -> bytes:
    """An IPv4 packet padded with zeros to its length (`wire` bytes if the length field is 0), its header mended."""
    length = struct.unpack_from(">H", packet, 2)[0] or min(wire, LONGEST_IP)
    whole = bytearray(packet[:length].ljust(length, b"\0"))
    header = (whole[0] & 15) * 4
    struct.pack_into(">H", whole, 2, length)
    whole[8] = HOPS
    whole[10:12] = b"\0\0"
    struct.pack_into(">H", whole, 10, _checksum(bytes(whole[:header])))
    return bytes(whole)


def mended_ipv6(packet: bytes) -> bytes:
    """An IPv6 packet padded with zeros to its length."""
    length = IPV6_HEADER + struct.unpack_from(">H", packet, 4)[0]
    whole = bytearray(packet[:length].ljust(length, b"\0"))
    whole[7] = HOPS
    return bytes(whole)


def _frame(captured_ns: int, ethertype: int, packet: bytes, wire: int) -> tuple[Frame, bytes, bytes] | None:
    if ethertype == ETHERTYPE_IPV4 and len(packet) >= IPV4_HEADER:
        source, destination, mended = packet[12:16], packet[16:20], mended_ipv4(packet, wire)
    elif ethertype == ETHERTYPE_IPV6 and len(packet) >= IPV6_HEADER:
        source, destination, mended = packet[8:24], packet[24:40], mended_ipv6(packet)
    else:
        return None
    data = TO_GATEWAY + struct.pack(">H", ethertype) + mended
    return Frame(captured_ns, _side(source), data), source, destination


def load(path: str) -> Recording:
    """Read a capture (pcap or pcapng; Ethernet, raw IP or Linux cooked)."""
    frames, groups, left_out = [], set(), 0
    first, last = None, 0
    with RawPcapReader(path) as reader:
        for data, told in reader:
            at = _captured_ns(told, nanoseconds=bool(getattr(reader, "nano", False)))
            first = at if first is None else min(first, at)
            last = max(last, at)
            link = getattr(told, "linktype", None)
            ethertype, packet, to_group = _network(data, reader.linktype if link is None else link)
            made = _frame(at, ethertype, packet, told.wirelen - (len(data) - len(packet)))
            if made is None:
                left_out += 1
                continue
            frame, source, destination = made
            if to_group or _is_group(destination):
                groups.add((str(ipaddress.ip_address(source)), str(ipaddress.ip_address(destination))))
                left_out += 1
                continue
            frames.append(frame)
    return Recording(frames, first or 0, last, frozenset(groups), left_out)
