"""What rare packets say of the link: ARP, neighbour discovery, router advertisements, DHCP."""

import ipaddress
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peerburst.capture.files.source import PacketSource
from peerburst.capture.packets.link_facts import LinkFacts
from tests.support import packets_by_hand
from tests.support.packets_by_hand import ICMPV6, IPV6, cooked2, ethernet, ipv6, vlan

ARP = 0x0806
MAC, ROUTER = "02:00:00:00:00:0a", "02:00:00:00:00:fe"
MAC_NUMBER, ROUTER_NUMBER = 0x02_00_00_00_00_0A, 0x02_00_00_00_00_FE


def words(address: str) -> tuple[int, int]:
    number = int(ipaddress.ip_address(address))
    return (number >> 64, number & (1 << 64) - 1) if ":" in address else (0, 0xFFFF << 32 | number)


def facts_of(tmp_path: Path, frames: list[bytes], link: int = 1) -> LinkFacts:
    path = tmp_path / "made.pcap"
    path.write_bytes(packets_by_hand.pcap([(1 + i, 0, frame) for i, frame in enumerate(frames)], link=link))
    source = PacketSource(str(path))
    for _batch in source.batches():
        pass
    return source.link_facts.facts()


def discovery(kind: int, target: str, options: bytes, source: str = "fe80::9", sender: str = MAC) -> bytes:
    message = struct.pack(">BBHI", kind, 0, 0, 0) + ipaddress.IPv6Address(target).packed + options
    return ethernet(ipv6(message, ICMPV6, source, "ff02::1"), IPV6, source=sender)


def test_arp_says_who_is_where(tmp_path: Path) -> None:
    message = packets_by_hand.arp(MAC, "192.168.1.10")
    assert facts_of(tmp_path, [ethernet(message, ARP)]).neighbours == {(MAC_NUMBER, *words("192.168.1.10"))}
    assert facts_of(tmp_path, [ethernet(vlan(message, ARP), packets_by_hand.VLAN)]).neighbours
    assert facts_of(tmp_path, [cooked2(message, ARP)], link=276).neighbours
    probe = packets_by_hand.arp(MAC, "0.0.0.0")
    assert not facts_of(tmp_path, [ethernet(probe, ARP)]).neighbours


def test_neighbour_discovery_says_who_is_where(tmp_path: Path) -> None:
    option = bytes([2, 1]) + packets_by_hand.mac(MAC)
    advertised = facts_of(tmp_path, [discovery(136, "2001:db8::5", option, sender=ROUTER)])
    assert advertised.neighbours == {(MAC_NUMBER, *words("2001:db8::5"))}
    asked = facts_of(tmp_path, [discovery(135, "2001:db8::6", b"", source="2001:db8::5")])
    assert asked.neighbours == {(MAC_NUMBER, *words("2001:db8::5"))}  # by the frame, where the message does not say
    assert not facts_of(tmp_path, [discovery(135, "2001:db8::6", b"", source="::")]).neighbours


def test_a_router_advertisement_names_router_and_prefix(tmp_path: Path) -> None:
    packet = packets_by_hand.router_advertisement("fe80::1", "2001:db8:77:1::", 64)
    facts = facts_of(tmp_path, [ethernet(packet, IPV6, source=ROUTER)])
    assert facts.routers == {(ROUTER_NUMBER, *words("fe80::1"))}
    assert facts.prefixes == {(*words("2001:db8:77:1::"), 64)}


def test_dhcp_names_router_mask_and_name_server(tmp_path: Path) -> None:
    packet = packets_by_hand.dhcp_reply(
        "192.168.7.2", "192.168.7.9", mask="255.255.252.0", router="192.168.7.1", names="192.168.7.53"
    )
    facts = facts_of(tmp_path, [ethernet(packet)])
    assert facts.dhcp_routers == {words("192.168.7.1")}
    assert facts.name_servers == {words("192.168.7.53")}
    assert facts.prefixes == {(*words("192.168.7.9"), 96 + 22)}


def test_ordinary_packets_say_nothing(tmp_path: Path) -> None:
    packets = [packets_by_hand.ipv4(packets_by_hand.udp(5353, 5353)), packets_by_hand.ipv4(packets_by_hand.icmp(8))]
    assert facts_of(tmp_path, [ethernet(packet) for packet in packets]) == LinkFacts()


GOOD = [
    ethernet(packets_by_hand.arp(MAC, "192.168.1.10"), ARP),
    ethernet(packets_by_hand.router_advertisement("fe80::1", "2001:db8:77:1::"), IPV6, source=ROUTER),
    ethernet(packets_by_hand.dhcp_reply("192.168.7.2", "192.168.7.9", router="192.168.7.1")),
    discovery(136, "2001:db8::5", bytes([2, 1]) + packets_by_hand.mac(MAC)),
]


@pytest.mark.parametrize("frame", GOOD)
def test_what_is_cut_short_says_no_more_than_the_whole(tmp_path: Path, frame: bytes) -> None:
    whole = facts_of(tmp_path, [frame])
    for length in range(len(frame)):
        cut = facts_of(tmp_path, [frame[:length]])
        assert cut.routers <= whole.routers
        assert cut.dhcp_routers <= whole.dhcp_routers
        assert cut.prefixes <= whole.prefixes


@settings(max_examples=50)
@given(st.sampled_from(GOOD), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6))
def test_no_bytes_do_harm(
    tmp_path_factory: pytest.TempPathFactory, frame: bytes, changes: list[tuple[int, int]]
) -> None:
    changed = bytearray(frame)
    for at, value in changes:
        changed[at % len(changed)] = value
    facts_of(tmp_path_factory.mktemp("bytes"), [bytes(changed)])
