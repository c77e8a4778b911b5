"""Which ends are local, which flows cross the gateway, and how addresses are told apart."""

import ipaddress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.hosts import locality
from peerburst.analysis.hosts.locality import Scope, parse_networks, to_text, to_words, within
from peerburst.capture.errors import SettingsError
from tests.support.making import GATEWAY, HOST, OTHER_HOST, Tape, local, remote
from tests.support.packets_by_hand import ACK, SYN

PUBLIC_HOST = "198.51.100.20"


def scopes(analysis: Analysis) -> list[str]:
    return [Scope(scope).name.lower() for scope in analysis.ends.scope]


@given(st.ip_addresses())
def test_words_and_text_go_both_ways(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    high, low = to_words(address)
    text = to_text(high, low)
    mapped = getattr(address, "ipv4_mapped", None)
    assert text == str(mapped or address)


@given(st.ip_addresses(), st.ip_addresses(), st.integers(0, 128))
def test_within_is_what_ipaddress_says(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
    base: ipaddress.IPv4Address | ipaddress.IPv6Address,
    bits: int,
) -> None:
    network = ipaddress.ip_network((base, min(bits, base.max_prefixlen)), strict=False)
    high, low = to_words(address)
    found = within(np.array([high], np.uint64), np.array([low], np.uint64), [network])
    if address.version == network.version:
        assert bool(found[0]) == (address in network)
    elif network.version == 4:
        assert not found[0]  # no IPv6 address, bar ::ffff:0:0/96, which is IPv4's


@pytest.mark.parametrize(
    ("source", "target", "scope"),
    [
        (HOST, "8.8.8.8", "crossing"),
        ("8.8.8.8", HOST, "crossing"),
        ("100.64.3.4", "8.8.8.8", "crossing"),  # carrier NAT
        ("169.254.7.7", "8.8.8.8", "crossing"),
        ("172.31.255.254", "8.8.8.8", "crossing"),
        ("fd20::5", "2001:db8::9", "crossing"),
        (HOST, OTHER_HOST, "lan"),
        (HOST, "10.1.2.3", "lan"),
        ("fe80::1", "fe80::2", "lan"),
        ("127.0.0.1", "127.0.0.1", "lan"),
        (HOST, "224.0.0.251", "group"),
        (HOST, "239.255.255.250", "group"),
        (HOST, "255.255.255.255", "group"),
        (HOST, "192.168.1.255", "group"),  # the subnet's broadcast address
        ("0.0.0.0", "255.255.255.255", "group"),
        ("fe80::1", "ff02::fb", "group"),
    ],
)
def test_where_a_flow_goes(tmp_path: Path, source: str, target: str, scope: str) -> None:
    tape = Tape()
    tape.udp(0, (source, 5000), (target, 5001))
    assert scopes(tape.analysis(tmp_path)) == [scope]


def test_a_host_that_ends_in_255_and_answers_is_a_host(tmp_path: Path) -> None:
    tape = Tape()
    tape.exchange(0, local(5000), ("10.0.0.255", 6000))
    assert scopes(tape.analysis(tmp_path)) == ["lan"]


def test_groups_and_lan_are_left_out_of_counts_unless_asked_for(tmp_path: Path) -> None:
    tape = Tape()
    for i in range(5):
        tape.udp(0, local(5000 + i), ("224.0.0.251", 5353))
        tape.tcp(1, local(6000 + i), (OTHER_HOST, 445), SYN)
    tape.udp(2, local(7000), remote(1))
    without, with_lan = tape.analysis(tmp_path), tape.analysis(tmp_path, include_lan=True)
    number = without.host_number(HOST)
    assert without.peak(number, without.models[0]).peak == 1
    assert with_lan.peak(number, without.models[0]).peak == 6  # never the groups
    assert without.scopes[Scope.GROUP] == 5
    assert without.scopes[Scope.LAN] == 5
    assert without.scopes[Scope.CROSSING] == 1


def test_who_answers_dns_and_has_the_world_behind_its_mac_is_the_gateway_and_no_host(tmp_path: Path) -> None:
    tape = Tape({HOST: "02:00:00:00:00:0a"}, beyond="02:00:00:00:00:fe")
    tape.exchange(0, local(5000), (GATEWAY, 53))
    tape.exchange(1, (GATEWAY, 6000), ("8.8.8.8", 53))
    tape.tcp(2, local(5001), (GATEWAY, 80), SYN)
    analysis = tape.analysis(tmp_path)
    assert analysis.ends.gateways == (GATEWAY,)
    assert scopes(analysis) == ["gateway", "crossing", "gateway"]
    assert [host.name for host in analysis.hosts] == [HOST]
    assert analysis.hosts[0].models["linux-connlimit"].peak == 2


def test_a_question_without_an_answer_makes_no_gateway(tmp_path: Path) -> None:
    tape = Tape()
    tape.udp(0, local(5000), (OTHER_HOST, 53))
    assert tape.analysis(tmp_path).ends.gateways == ()


def test_answering_dns_alone_makes_no_gateway(tmp_path: Path) -> None:
    tape = Tape()
    tape.exchange(0, local(5000), (GATEWAY, 53))
    analysis = tape.analysis(tmp_path)
    assert analysis.ends.gateways == ()
    assert scopes(analysis) == ["lan"]


@pytest.mark.parametrize("port", [67, 5351])
def test_ports_that_gateways_answer_on(tmp_path: Path, port: int) -> None:
    tape = Tape()
    tape.exchange(0, local(5000), (GATEWAY, port))
    assert tape.analysis(tmp_path).ends.gateways == (GATEWAY,)


# --- a laptop with a public address ----------------------------------------------------------------------------------


def test_an_address_common_to_nearly_all_packets_is_the_host(tmp_path: Path) -> None:
    tape = Tape()
    for i in range(10):
        tape.exchange(i, (PUBLIC_HOST, 5000), remote(i))
    analysis = tape.analysis(tmp_path)
    assert [host.name for host in analysis.hosts] == [PUBLIC_HOST]
    assert analysis.hosts[0].peers == 10
    assert locality.locate(analysis.capture.flows.row).capture_host == (PUBLIC_HOST,)  # without any MAC


def test_of_two_addresses_seen_equally_often_the_one_that_opens_is_the_host(tmp_path: Path) -> None:
    for opener, other in ((PUBLIC_HOST, "8.8.8.8"), ("8.8.8.8", PUBLIC_HOST)):
        tape = Tape()
        tape.connection(0, (opener, 5000), (other, 443))
        assert tape.analysis(tmp_path).ends.capture_host == (opener,)


def test_traffic_between_many_has_no_hub(tmp_path: Path) -> None:
    tape = Tape()
    for i in range(10):
        tape.exchange(i, remote(i), remote(i + 50))
    analysis = tape.analysis(tmp_path)
    assert analysis.ends.capture_host == ()
    assert analysis.hosts == []
    assert set(scopes(analysis)) == {"transit"}


def test_ipv6_has_a_hub_of_its_own(tmp_path: Path) -> None:
    tape = Tape()
    tape.exchange(0, local(5000), remote(1))
    for i in range(1, 5):
        tape.exchange(i, ("2001:db8:1::5", 5000), (f"2001:db8:{i + 1:x}::9", 443))
    analysis = tape.analysis(tmp_path)
    assert locality.locate(analysis.capture.flows.row).capture_host == ("2001:db8:1::5",)
    assert {host.name for host in analysis.hosts} == {HOST, "2001:db8:1::5"}


def test_local_networks_that_are_named_replace_the_usual_ones(tmp_path: Path) -> None:
    tape = Tape()
    tape.exchange(0, (PUBLIC_HOST, 5000), remote(1))
    tape.exchange(1, local(5000), remote(2))
    analysis = tape.analysis(tmp_path, local_nets=["198.51.100.0/24"])
    assert analysis.ends.capture_host == ()
    assert scopes(analysis) == ["crossing", "transit"]
    assert [host.name for host in analysis.hosts] == [PUBLIC_HOST]


@pytest.mark.parametrize("text", ["192.168.1.0/33", "example.org", "", "1.2.3", "2001:db8::/129"])
def test_what_is_no_network_is_refused_by_name(text: str) -> None:
    with pytest.raises(SettingsError, match="is not a network"):
        parse_networks([text])


def test_a_network_may_be_one_address_or_have_host_bits() -> None:
    assert [str(network) for network in parse_networks(["10.0.0.7", "10.0.0.7/8", "fd00::1"])] == [
        "10.0.0.7/32",
        "10.0.0.0/8",
        "fd00::1/128",
    ]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=20))
def test_pair_codes_number_the_distinct(pairs: list[tuple[int, int]]) -> None:
    high, low = (np.array([pair[i] for pair in pairs], np.uint64) for i in (0, 1))
    codes, distinct = locality.pair_codes(high, low)
    assert [tuple(distinct[code].tolist()) for code in codes] == pairs
    assert [tuple(pair) for pair in distinct.tolist()] == sorted(set(pairs))


def test_a_host_of_only_inbound_connections_is_named(tmp_path: Path) -> None:
    tape = Tape()
    tape.tcp(0, remote(1), local(80), SYN)
    tape.tcp(0.1, local(80), remote(1), SYN | ACK)
    analysis = tape.analysis(tmp_path)
    assert analysis.busiest() == HOST
    assert analysis.is_server(analysis.host_number(HOST))


def test_an_unknown_host_is_refused_with_those_there_are(tmp_path: Path) -> None:
    tape = Tape()
    tape.udp(0, local(5000), remote(1))
    with pytest.raises(SettingsError, match=f"no local host 10.9.9.9 in this capture; the busiest are: {HOST}"):
        tape.analysis(tmp_path).host_number("10.9.9.9")
