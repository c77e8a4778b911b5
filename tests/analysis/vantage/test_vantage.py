"""Who is who: the gateway, local hosts, machines, and both sides of a translation, by what frames tell."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.gateways import load
from peerburst.analysis.gateways.model import Per
from peerburst.analysis.hosts.locality import MAPPED, Scope
from peerburst.analysis.settings import Settings
from peerburst.analysis.vantage.vantage import Kind
from peerburst.capture.errors import SettingsError
from peerburst.capture.packets.record import PACKET
from peerburst.opening import analyse
from peerburst.render import vantage as said
from peerburst.render.json_document import document
from tests.support import packets_by_hand
from tests.support.making import GATEWAY, HOST, OTHER_HOST, Tape, analysis_of, local, ns, remote
from tests.support.packets_by_hand import IPV6, SYN, UDP
from tests.support.paths import CASES, ROOT

PC, OTHER_PC, SERVER, ROUTER = (f"02:00:00:00:00:{last:02x}" for last in (10, 11, 53, 254))
NAME_SERVER = "192.168.1.53"
STABLE, TEMPORARY, OF_OTHER = "2001:db8:77:1::a", "2001:db8:77:1:a:b:c:d", "2001:db8:77:1::b"
WORLD6 = [(f"2001:db8:1000:{i:x}::1", 443) for i in range(40)]
HEADLINE = "linux-connlimit"


def case(name: str, **settings: str) -> Analysis:
    return analyse([str(CASES / f"{name}.pcap")], Settings(**settings))  # type: ignore[arg-type]


def peaks(analysis: Analysis) -> dict[str, int]:
    return {host.name: host.models[HEADLINE].peak for host in analysis.hosts if host.models[HEADLINE].peak}


def lan(*more: str) -> Tape:
    """Two machines and a name server behind a router, each with its MAC."""
    macs = {HOST: PC, OTHER_HOST: OTHER_PC, NAME_SERVER: SERVER, STABLE: PC, TEMPORARY: PC, OF_OTHER: OTHER_PC}
    return Tape(macs | dict.fromkeys(more, PC), beyond=ROUTER)


# --- the gateway


def test_a_name_server_on_the_lan_is_not_the_gateway() -> None:
    analysis = case("dns-server-is-not-the-gateway")
    assert peaks(analysis)["192.168.1.34"] == 30
    assert analysis.ends.gateways == ()
    assert analysis.vantage.gateway_macs == ["02:00:00:00:00:fe"]
    assert analysis.scopes[Scope.LAN] == 280
    assert analysis.host(analysis.host_number("192.168.1.34")).models[HEADLINE].crossed_at_s[200] is None


def test_the_gateway_may_be_named_by_address_or_mac() -> None:
    named = case("dns-server-is-not-the-gateway", gateway="192.168.1.10")
    assert named.ends.gateways == ("192.168.1.10",)
    assert peaks(named)["192.168.1.34"] == 290
    by_mac = case("dns-server-is-not-the-gateway", gateway="02:00:00:00:00:fe")
    assert peaks(by_mac)["192.168.1.34"] == 30
    with pytest.raises(SettingsError, match="is no gateway"):
        case("dns-server-is-not-the-gateway", gateway="nobody").hosts  # noqa: B018


def test_a_forwarder_that_asks_the_world_itself_is_not_the_gateway(tmp_path: Path) -> None:
    tape = lan()
    for i in range(20):
        tape.exchange(i, local(5000 + i), (NAME_SERVER, 53))
        tape.exchange(i + 0.01, (NAME_SERVER, 6000 + i), ("8.8.8.8", 53), apart_s=0.02)
        tape.tcp(i + 0.2, local(7000 + i), remote(i), SYN)
    analysis = tape.analysis(tmp_path)
    assert analysis.ends.gateways == ()
    assert peaks(analysis) == {HOST: 20, NAME_SERVER: 20}


def test_where_no_frame_has_a_mac_questions_to_a_name_server_are_counted() -> None:
    rows = np.zeros(2, PACKET)  # as of raw IP: a phone's line
    rows["ts"], rows["proto"], rows["ip_bytes"] = [ns(0), ns(0.1)], UDP, 60
    phone, resolver = MAPPED | 10 << 24 | 5, MAPPED | 10 << 24 | 77
    rows["src_lo"], rows["dst_lo"] = [phone, resolver], [resolver, phone]
    rows["sport"], rows["dport"] = [5000, 53], [53, 5000]
    analysis = analysis_of(rows, [load(HEADLINE)])
    assert analysis.ends.gateways == ("10.0.0.77",)
    assert peaks(analysis) == {"10.0.0.5": 1}
    assert "because it answers DNS, and there are no MACs to tell more" in " ".join(said.sentences(analysis))


def test_a_router_that_answers_dns_is_the_gateway(tmp_path: Path) -> None:
    tape = lan()
    for i in range(20):
        tape.exchange(i, local(5000 + i), (GATEWAY, 53))
        tape.tcp(i + 0.2, local(7000 + i), remote(i), SYN)
    analysis = tape.analysis(tmp_path)
    assert analysis.ends.gateways == (GATEWAY,)
    assert peaks(analysis) == {HOST: 40}


def test_a_router_is_known_by_arp_though_it_serves_nothing(tmp_path: Path) -> None:
    tape = lan()
    tape.frame(0, packets_by_hand.arp(ROUTER, GATEWAY), ROUTER, HOST, 0x0806)
    for i in range(20):
        tape.tcp(i, local(7000 + i), remote(i), SYN)
    tape.tcp(20, local(8000), (GATEWAY, 80), SYN)
    analysis = tape.analysis(tmp_path)
    assert analysis.ends.gateways == (GATEWAY,)
    assert peaks(analysis) == {HOST: 21}


def test_dhcp_names_the_router_and_the_network(tmp_path: Path) -> None:
    tape = lan("198.51.100.20")
    offer = packets_by_hand.dhcp_reply("198.51.100.2", "198.51.100.20", router="198.51.100.1", names="198.51.100.3")
    tape.frame(0, offer, ROUTER, "198.51.100.20")
    tape.tcp(1, ("198.51.100.20", 7000), remote(1), SYN)
    tape.tcp(1, ("198.51.100.20", 7001), ("198.51.100.30", 445), SYN)
    analysis = tape.analysis(tmp_path)
    assert analysis.vantage.gateway.addresses == {(0, 0xFFFF << 32 | 198 << 24 | 51 << 16 | 100 << 8 | 1)}
    assert peaks(analysis) == {"198.51.100.20": 1}
    assert analysis.scopes[Scope.LAN] == 2  # the offer is between two of the network as well


def test_two_routers_on_one_link_are_both_gateways(tmp_path: Path) -> None:
    other = "02:00:00:00:00:fd"
    tape = Tape({HOST: PC, **{remote(i)[0]: other for i in range(0, 100, 2)}}, beyond=ROUTER)
    for i in range(100):
        tape.tcp(i / 10, local(7000 + i), remote(i), SYN)
    assert tape.analysis(tmp_path).vantage.gateway_macs == [other, ROUTER]


# --- who is on the LAN


def test_a_router_advertisement_makes_ipv6_hosts_local() -> None:
    analysis = case("dual-stack-lan")
    assert analysis.scopes[Scope.TRANSIT] == 0
    assert peaks(analysis) == {
        **{f"2001:db8:77:1:{i}:a:b:c": 100 for i in (1, 2, 3)},
        **{f"192.168.1.{30 + i}": 20 for i in range(3)},
    }
    assert analysis.vantage.gateway.addresses == {(0xFE80 << 48, 1)}


def test_without_an_advertisement_the_mac_tells(tmp_path: Path) -> None:
    tape = lan()
    for i, far in enumerate(WORLD6):
        tape.tcp(i / 10, (STABLE, 7000 + i), far, SYN)
        tape.tcp(i / 10, (OF_OTHER, 7000 + i), far, SYN)
        tape.tcp(i / 10, local(9000 + i), remote(i), SYN)
    analysis = tape.analysis(tmp_path)
    assert peaks(analysis) == {HOST: 40, STABLE: 40, OF_OTHER: 40}
    assert analysis.ends.capture_host == ()


def test_public_ipv4_on_this_side_is_local(tmp_path: Path) -> None:
    tape = Tape({"198.51.100.20": PC, "198.51.100.21": OTHER_PC}, beyond=ROUTER)
    for i in range(30):
        tape.tcp(i / 10, ("198.51.100.20", 7000 + i), remote(i), SYN)
        tape.tcp(i / 10, ("198.51.100.21", 7000 + i), remote(i), SYN)
    assert peaks(tape.analysis(tmp_path)) == {"198.51.100.20": 30, "198.51.100.21": 30}


def test_who_comes_in_through_the_gateway_is_not_local(tmp_path: Path) -> None:
    tape = lan()
    for i, far in enumerate(WORLD6):
        tape.tcp(i / 10, far, (STABLE, 443), SYN)
        tape.tcp(i / 10, remote(i), local(443), SYN)
    assert {host.name for host in tape.analysis(tmp_path).hosts} == {STABLE, HOST}


def test_who_comes_in_through_a_second_router_is_not_local(tmp_path: Path) -> None:
    """Out by one router's (virtual) MAC, in by another's: what comes in has few hops left."""
    tape = lan()
    for i in range(40):
        tape.tcp(i / 10, local(7000 + i), remote(i), SYN)
    for i in range(10):
        packet = packets_by_hand.ipv4(packets_by_hand.tcp(7000, 443, SYN), src=f"8.8.4.{i}", dst=HOST)
        tape.frame(i, packet[:8] + bytes([51]) + packet[9:], "", HOST)
    tape.frames[-10:] = [(at, frame[:6] + packets_by_hand.mac("02:00:00:00:00:fd") + frame[12:]) for at, frame in
                         tape.frames[-10:]]  # fmt: skip
    assert {host.name for host in tape.analysis(tmp_path).hosts} == {HOST}


def test_an_address_whose_packets_have_passed_a_router_is_a_nat_s(tmp_path: Path) -> None:
    tape = Tape({"198.51.100.20": PC}, beyond=ROUTER)
    for i in range(40):
        for hops in (63, 127):
            packet = packets_by_hand.ipv4(
                packets_by_hand.tcp(7000 + i + hops, 443, SYN), src="198.51.100.20", dst=remote(i)[0]
            )
            tape.frame(i / 10, packet[:8] + bytes([hops]) + packet[9:], "198.51.100.20", remote(i)[0])
    analysis = tape.analysis(tmp_path)
    assert analysis.vantage.kind is Kind.OUTSIDE_NAT
    assert peaks(analysis) == {"198.51.100.20": 80}


def test_a_flood_from_made_up_addresses_does_not_make_its_sender_the_gateway(tmp_path: Path) -> None:
    tape = lan(*(remote(i, 0)[0] for i in range(1000, 1200)))
    for i in range(200):
        tape.tcp(i / 100, remote(1000 + i), remote(500), SYN)
    for i in range(20):
        tape.exchange(i / 10, (OTHER_HOST, 5000 + i), (GATEWAY, 53))
        tape.tcp(i / 10, (OTHER_HOST, 7000 + i), remote(i), SYN)
    analysis = tape.analysis(tmp_path)
    assert analysis.vantage.gateway_macs == [ROUTER]
    assert analysis.ends.gateways == (GATEWAY,)
    assert peaks(analysis)[OTHER_HOST] == 40


def test_named_networks_replace_all_that_is_found_out() -> None:
    analysis = analyse([str(CASES / "dual-stack-lan.pcap")], Settings(local_nets=("192.168.0.0/16",)))
    assert set(peaks(analysis)) == {"192.168.1.30", "192.168.1.31", "192.168.1.32"}


# --- machines


def test_a_laptop_with_two_ipv6_addresses_is_one_machine() -> None:
    name = "laptop-two-ipv6-addresses"
    assert peaks(case(name)) == {"2001:db8:77:1:1:a:b:c": 150, "2001:db8:77:1:9:d:e:f": 100, "192.168.1.34": 40}
    assert peaks(case(name, per="prefix")) == {"2001:db8:77:1:1:a:b:c": 250, "192.168.1.34": 40}
    for per in ("mac", "machine"):
        assert peaks(case(name, per=per)) == {"192.168.1.34": 290}
    analysis = case(name)
    assert analysis.vantage.kind is Kind.LAPTOP
    assert said.scope_sentence(analysis, "2001:db8:77:1:1:a:b:c") == (
        "That is per address; its machine's 3 addresses together held 290 (--per machine)."
    )
    assert document(case(name, per="machine"))["hosts"][0]["addresses"] == [
        "192.168.1.34",
        "2001:db8:77:1:1:a:b:c",
        "2001:db8:77:1:9:d:e:f",
    ]


def test_machines_of_two_protocols_are_one_host_each(tmp_path: Path) -> None:
    tape = lan()
    tape.frame(0, packets_by_hand.router_advertisement("fe80::1", "2001:db8:77:1::"), ROUTER, "33:33:00:00:00:01", IPV6)
    for i, far in enumerate(WORLD6):
        tape.tcp(i / 10, (STABLE, 7000 + i), far, SYN)
        tape.tcp(i / 10, (OF_OTHER, 7000 + i), far, SYN)
        for host in (HOST, OTHER_HOST):
            tape.tcp(i / 10, (host, 7000 + i), remote(i), SYN)
    assert peaks(tape.analysis(tmp_path, per="machine")) == {HOST: 80, OTHER_HOST: 80}
    assert set(peaks(tape.analysis(tmp_path)).values()) == {40}
    assert tape.analysis(tmp_path).vantage.machines == 2


def test_a_mac_of_several_ipv4_addresses_is_not_one_machine(tmp_path: Path) -> None:
    tape = Tape({HOST: PC, OTHER_HOST: PC}, beyond=ROUTER)
    for i in range(30):
        tape.tcp(i / 10, local(7000 + i), remote(i), SYN)
        tape.tcp(i / 10, (OTHER_HOST, 7000 + i), remote(i), SYN)
    assert peaks(tape.analysis(tmp_path, per="machine")) == {HOST: 30, OTHER_HOST: 30}
    assert peaks(tape.analysis(tmp_path, per="mac")) == {HOST: 60}


def test_a_host_is_found_by_any_of_its_addresses() -> None:
    analysis = case("laptop-two-ipv6-addresses", per="machine")
    number = analysis.host_number("192.168.1.34")
    assert {analysis.host_number(name) for name in analysis.addresses_of(number)} == {number}
    assert analysis.host_number("2001:DB8:0077:1:9:D:E:F") == number


def test_a_model_says_what_its_limit_is_per(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        'name = "own"\ntitle = "own"\nsummary = "made up"\nengine = "flat"\n'
        '[counts]\nunit = "entry"\nper = "prefix"\nprotocols = ["tcp"]\n[timeouts.idle]\nseconds = 300\n'
    )
    analysis = analyse([str(CASES / "laptop-two-ipv6-addresses.pcap")], Settings(models=(str(path),)))
    assert analysis.per is Per.PREFIX
    assert analysis.host(analysis.ranked[0]).models["own"].peak == 250
    with pytest.raises(SettingsError, match="nothing a limit is per"):
        analyse([str(CASES / "laptop-two-ipv6-addresses.pcap")], Settings(per="person"))


# --- the router itself


class Router:
    """`tcpdump -i any` on a NAT router: each packet of the machines inside comes in and goes out."""

    def __init__(self, outside: str, interfaces: tuple[int, int] = (3, 2)) -> None:
        self.frames: list[tuple[float, bytes]] = []
        self._outside, self._interfaces = outside, interfaces

    def datagram(self, at_s: float, inside: tuple[str, int], port: int, far: tuple[str, int], size: int) -> None:
        for later, (near, way, interface) in enumerate(
            ((inside, 0, self._interfaces[0]), ((self._outside, port), 4, self._interfaces[1]))
        ):
            packet = packets_by_hand.ipv4(packets_by_hand.udp(near[1], far[1], bytes(size)), UDP, near[0], far[0])
            self.frames.append((at_s + later * 1e-5, packets_by_hand.cooked2(packet, way=way, interface=interface)))

    def own(self, at_s: float, port: int, far: tuple[str, int]) -> None:
        packet = packets_by_hand.ipv4(packets_by_hand.udp(port, far[1], bytes(9)), UDP, self._outside, far[0])
        self.frames.append((at_s, packets_by_hand.cooked2(packet, way=4, interface=self._interfaces[1])))

    def analysis(self, folder: Path, **settings: str) -> Analysis:
        records = [(*divmod(ns(at_s), 10**9), frame) for at_s, frame in sorted(self.frames)]
        path = folder / "any.pcap"
        path.write_bytes(packets_by_hand.pcap(records, magic=packets_by_hand.NANOSECOND_MAGIC, link=276))
        return analyse([str(path)], Settings(**settings))  # type: ignore[arg-type]


def test_each_connection_on_a_router_counts_once() -> None:
    analysis = case("any-on-nat-gateway")
    assert sorted(peaks(analysis).values()) == [100, 100, 100]
    assert all(name.startswith("192.168.1.") for name in peaks(analysis))
    assert analysis.vantage.kind is Kind.ROUTER
    assert analysis.vantage.outside == ["203.0.113.7"]
    assert analysis.scopes[Scope.CROSSING] == analysis.scopes[Scope.OUTSIDE] == 300
    made = analysis.mappings
    assert len(made) == 300
    assert set(made["outside_h"]) == {"203.0.113.7"}
    assert (made["inside_p"] != made["outside_p"]).all()


def test_the_side_beyond_can_be_counted_instead() -> None:
    analysis = case("any-on-nat-gateway", side="wan")
    assert peaks(analysis) == {"203.0.113.7": 300}
    assert analysis.scopes[Scope.CROSSING] == analysis.scopes[Scope.OUTSIDE] == 300


@pytest.mark.parametrize("outside", ["192.168.100.2", "203.0.113.7", "100.64.0.9"])
def test_udp_through_a_router_counts_once_whatever_its_address_outside(tmp_path: Path, outside: str) -> None:
    router = Router(outside)
    for i in range(60):
        inside = (HOST if i % 2 else OTHER_HOST, 5000 + i)
        router.datagram(i / 10, inside, 40000 + i, remote(i), 20 + i)
    for i in range(5):
        router.own(7 + i, 123, remote(100 + i, 123))
    analysis = router.analysis(tmp_path)
    assert peaks(analysis) == {HOST: 30, OTHER_HOST: 30}
    assert analysis.vantage.outside == [outside]
    assert len(analysis.mappings) == 60


def test_two_captures_of_a_router_s_two_sides_are_one(tmp_path: Path) -> None:
    inside, outside = lan(), Tape({"203.0.113.7": "02:00:00:00:01:01"}, beyond="02:00:00:00:01:02")
    for i in range(50):
        inside.udp(i / 10, local(5000 + i), remote(i), 20 + i)
        outside.udp(i / 10 + 1e-4, ("203.0.113.7", 40000 + i), remote(i), 20 + i)
    paths = [inside.write(tmp_path / "lan.pcap"), outside.write(tmp_path / "wan.pcap")]
    analysis = analyse(paths, Settings())
    assert peaks(analysis) == {HOST: 50}
    assert analysis.vantage.kind is Kind.ROUTER


def test_two_machines_that_ask_the_same_at_once_are_no_twins(tmp_path: Path) -> None:
    tape = lan()
    for i in range(50):
        tape.udp(i / 10, local(5000 + i), ("8.8.8.8", 53))
        tape.udp(i / 10 + 1e-4, (OTHER_HOST, 5000 + i), ("8.8.8.8", 53))
    analysis = tape.analysis(tmp_path)
    assert analysis.vantage.twins.outside.size == 0
    assert peaks(analysis) == {HOST: 50, OTHER_HOST: 50}


# --- other places to be


def test_a_mirror_in_vxlan_is_followed_by_itself() -> None:
    analysis = case("vxlan-mirror")
    assert peaks(analysis) == {"192.168.1.34": 100}
    assert analysis.vantage.kind is Kind.TUNNEL_MIRROR
    assert next(said.sentences(analysis)).startswith("Seen through a mirror: nearly all packets are whole in a tunnel")
    assert document(analysis)["vantage"]["tunnels_followed"]


def test_a_mirror_in_tzsp_is_followed_too(tmp_path: Path) -> None:
    inner, outer = lan(), Tape()
    for i in range(30):
        inner.tcp(i / 10, local(7000 + i), remote(i), SYN)
    head = bytes([1, 0, 0, 1, 0, 10, 1, 5, 1])  # Ethernet; padding, a field of one byte, the end
    for at_s, frame in inner.frames:
        datagram = packets_by_hand.udp(33000, 37008, head + frame)
        outer.frame(at_s, packets_by_hand.ipv4(datagram, UDP, "10.0.0.5", "10.0.0.9"), "10.0.0.5", "10.0.0.9")
    analysis = outer.analysis(tmp_path)
    assert peaks(analysis) == {HOST: 30}
    assert analysis.vantage.gateway_macs == [ROUTER]


def test_a_vpn_beside_other_traffic_is_no_mirror(tmp_path: Path) -> None:
    tape = Tape()
    for i in range(30):
        tape.udp(i / 10, local(65000), ("10.0.0.9", 4789), 60)
        tape.tcp(i / 10, local(7000 + i), remote(i), SYN)
    assert tape.analysis(tmp_path).vantage.kind is not Kind.TUNNEL_MIRROR


def test_the_command_takes_what_is_known_better() -> None:
    path = CASES / "any-on-nat-gateway.pcap"
    command = [sys.executable, "-m", "peerburst", str(path), "--format", "json", "--side", "wan", "--per", "machine"]
    made = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout)
    assert made["vantage"]["side"] == "wan"
    assert made["vantage"]["per"] == "machine"
    assert [host["host"] for host in made["hosts"]] == ["203.0.113.7"]
