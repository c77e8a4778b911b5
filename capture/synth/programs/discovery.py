"""LAN noise: mDNS (RFC 6762), SSDP (UPnP Device Architecture 1.1, section 1.3.2) and, across the gateway, NTP."""

import ipaddress
import struct
from dataclasses import dataclass

from peerburst.capture.synth import dns, frames
from peerburst.capture.synth.frames import Endpoint
from peerburst.capture.synth.settings import setting
from peerburst.capture.synth.site import IPAddress
from peerburst.capture.synth.stage import Stage
from peerburst.capture.synth.udp import UdpConversation
from peerburst.capture.vocabulary import FlowKind

MDNS_V4, MDNS_V6, MDNS_PORT = ipaddress.ip_address("224.0.0.251"), ipaddress.ip_address("ff02::fb"), 5353
SSDP, SSDP_PORT = ipaddress.ip_address("239.255.255.250"), 1900
NTP_PORT = 123
POINTER = 12
SERVICES = ("_airplay._tcp.local", "_ipp._tcp.local", "_googlecast._tcp.local", "_spotify-connect._tcp.local")
SEARCH = (
    b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n"
    b'MAN: "ssdp:discover"\r\nMX: 1\r\nST: urn:dial-multiscreen-org:service:dial:1\r\n\r\n'
)
# RFC 6762 5.2: queries are repeated after 1 s, then ever less often.
MDNS_REPEATS_S = (0.0, 1.0, 4.0)
SSDP_REPEATS_S = (0.0, 1.0, 2.0, 3.0)
# RFC 5905: leap 0, version 4, mode 3 (client) and 4 (server); 1900 to 1970 in seconds.
NTP_CLIENT, NTP_SERVER = 0x23, 0x24
NTP_POLL_S = 64.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How often each of them speaks up; `ntp_servers` polled once a minute."""

    search_gap_s: float = setting(90.0, least=1)
    ntp_servers: int = setting(1, least=0, most=8)


def play(settings: Settings, stage: Stage) -> None:
    dice = stage.dice
    at = stage.start_s + dice.uniform(0, 5)
    searching = stage.guest.ephemeral_port(dice)
    while at < stage.end_s:
        _ask_neighbours(stage, at)
        _shout(stage, at + 0.5, SSDP, (searching, SSDP_PORT), SEARCH, SSDP_REPEATS_S)
        at += dice.exponential(settings.search_gap_s)
    _set_clock(settings, stage)


def _ask_neighbours(stage: Stage, at: float) -> None:
    body = dns.encoded_name(stage.dice.pick(SERVICES)) + struct.pack(">HH", POINTER, dns.INTERNET)
    query = struct.pack(">HHHHHH", 0, 0, 1, 0, 0, 0) + body
    ports = (MDNS_PORT, MDNS_PORT)
    _shout(stage, at, MDNS_V4, ports, query, MDNS_REPEATS_S)
    if stage.guest.v6 is not None:
        _shout(stage, at, MDNS_V6, ports, query, MDNS_REPEATS_S)


def _shout(
    stage: Stage, at: float, group: IPAddress, ports: tuple[int, int], body: bytes, repeats_s: tuple[float, ...]
) -> None:
    target = stage.site.multicast(group)
    own = stage.guest_end(target)
    # Multicast that must not leave the link: mDNS goes out with 255 (RFC 6762 section 11), SSDP with 2.
    hops = 255 if ports[1] == MDNS_PORT else 2
    source = Endpoint(own.mac, own.address, hops, own.shortest_frame)
    flow = stage.flow(source, target, ports, "udp", FlowKind.SERVICE)
    for wait in repeats_s:
        stage.tape.record(at + wait, frames.udp(source, target, ports, body, len(body)), flow)


def _set_clock(settings: Settings, stage: Stage) -> None:
    dice = stage.dice
    for number in range(settings.ntp_servers):
        server = stage.server()
        at = dns.lookup(stage, stage.start_s + dice.uniform(0, 3), f"{number}.pool.example", [server])
        while at < stage.end_s:
            talk = UdpConversation(stage, server, NTP_PORT, FlowKind.SERVICE)
            mark = dice.random_bytes(8)
            request = bytes([NTP_CLIENT, 0, 6, 0xEC]) + bytes(36) + mark
            reply = bytes([NTP_SERVER, 2, 6, 0xEC]) + bytes(20) + mark + dice.random_bytes(16)
            talk.exchange(at, (request, len(request)), (reply, len(reply)))
            at += NTP_POLL_S
