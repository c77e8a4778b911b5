"""Scans by many tools, each with a hand of its own, against targets inside the arena alone."""

import ipaddress
import sys
from collections.abc import Callable
from random import Random

from tests.lab.arena.abuse import OFFERED, SILENT_TARGET, TARGET
from tests.lab.arena.addresses import DARK, DARK_ADDRESSES, PEER_ADDRESSES, SEED, SERVER_ADDRESSES
from tests.lab.arena.programs import module_version, needs_module, packaged, version
from tests.lab.arena.stage import Cast, Scene, Stage
from tests.lab.arena.topology import Door

PYTHON = sys.executable


def _cast(program: str, package: str | None = None, source: str | None = None) -> Cast:
    return Cast("scan", program, source or program, lambda: packaged(package or program))


ASYNCIO = Cast("scan", "asyncio connect scan", "asyncio-scan", lambda: version(PYTHON, "--version"))
SCAPY = Cast("scan", "scapy sr", "scapy", lambda: module_version("scapy"))


def target(stage: Stage, number: int = TARGET, door: Door = Door.OPEN) -> str:
    """A host with a few services, behind a door."""
    stage.peer(number, PYTHON, "-m", "tests.lab.arena.servers.listeners", *OFFERED.split(), door=door)
    return PEER_ADDRESSES[number]


def list_of_hosts(seed: int, count: int) -> list[str]:
    """Addresses from a search engine's list of long ago: a fifth is somebody's still, the others are silent."""
    random = Random(f"{SEED} {seed} hosts")
    alive = random.sample(SERVER_ADDRESSES, count // 5)
    drawn = [str(ipaddress.ip_address(random.randrange(11 << 24, 99 << 24))) for _ in range(count - len(alive))]
    hosts = [*alive, *drawn]
    random.shuffle(hosts)
    return hosts


def _list_file(stage: Stage, count: int) -> str:
    path = stage.folder / "hosts"
    path.write_text("\n".join(list_of_hosts(stage.number, count)) + "\n")
    return str(path)


def _play(stage: Stage, *command: str, listening: str = "", for_s: float = 40) -> None:
    """A tool runs; `listening` are TCP ports open on every server and on the living tenth of the dark net."""
    if listening:
        stage.server(PYTHON, "-m", "tests.lab.arena.servers.listeners", *listening.split())
    with stage.recorded():
        stage.run(*command, for_s=for_s)


def _zmap(stage: Stage, *options: str) -> None:
    stage.server(PYTHON, "-m", "tests.lab.arena.servers.listeners", "8443")
    blocked = stage.folder / "blocked"
    blocked.write_text("10.0.0.0/8\n127.0.0.0/8\n224.0.0.0/3\n")
    with stage.recorded():
        line = ("-i", "eth0", "-G", stage.topology.gateway_mac())
        output = ("-o", str(stage.folder / "found"), "-b", str(blocked), "-v", "0", "-c", "4")
        stage.run("zmap", *line, *output, *options, for_s=40)


def _knock(stage: Stage, *, silent: bool, ports: str, wait_s: str) -> None:
    """Netcat, as everybody has it: one port after another."""
    address = target(stage, SILENT_TARGET, Door.OFFERING) if silent else target(stage)
    _play(stage, "nc", "-z", "-n", "-w", wait_s, address, ports, for_s=45)


def _hping_scan(stage: Stage) -> None:
    address = target(stage)
    _play(stage, "hping3", "--scan", "1-500", "-S", "-n", address, for_s=25)


def _dmitry(stage: Stage) -> None:
    _play(stage, "dmitry", "-p", target(stage), for_s=40)


def _keyscan(stage: Stage) -> None:
    _play(stage, "ssh-keyscan", "-T", "4", "-f", _list_file(stage, 160), for_s=45)


def _asyncio(stage: Stage, ports: str, addresses: list[str], at_once: int) -> None:
    command = (PYTHON, "-m", "tests.lab.arena.players.probe", str(at_once), "1.5", ports, *addresses)
    _play(stage, *command, listening="2222", for_s=45)


def _scapy(stage: Stage) -> None:
    address = target(stage, SILENT_TARGET, Door.OFFERING)
    _play(stage, PYTHON, "-m", "tests.lab.arena.players.scapy_scan", address, "1", "300", "0.03", for_s=40)


def _braa(stage: Stage) -> None:
    nets = [f"public@{address}:161:.1.3.6.1.2.1.1.1.0" for address in list_of_hosts(stage.number, 180)]
    _play(stage, "braa", "-t", "3", "-d", "30000", "-r", "1", *nets, for_s=30)


def _svmap(stage: Stage) -> None:
    _play(stage, "svmap", "-t", "0.05", DARK, for_s=45)


def _scene(name: str, cast: Cast, what: str, needs: tuple[str, ...], play: Callable[[Stage], None]) -> Scene:
    return Scene(name, cast, what, needs, 40, play)


SCENES = (
    _scene(
        "scan-zmap-world",
        _cast("zmap"),
        "500 addresses drawn from the whole internet, port 8443, of whom hardly one lives",
        ("zmap",),
        lambda s: _zmap(s, "-p", "8443", "-r", "60", "-n", "500", "0.0.0.0/0"),
    ),
    _scene(
        "scan-zmap-net",
        _cast("zmap"),
        "a /24 asked for port 8443",
        ("zmap",),
        lambda s: _zmap(s, "-p", "8443", "-r", "25", DARK),
    ),
    _scene(
        "scan-pnscan",
        _cast("pnscan"),
        "two ports of a /24 with whole connections, ten at a time",
        ("pnscan",),
        lambda s: _play(s, "pnscan", "-n10", "-t1000", DARK, "22:23", listening="22"),
    ),
    _scene(
        "scan-doscan",
        _cast("doscan"),
        "port 25 of a /24 with whole connections, 50 at a time, for the banner",
        ("doscan",),
        lambda s: _play(s, "doscan", "-p", "25", "-c", "50", "-t", "4000", "-b", "100", DARK, listening="25"),
    ),
    _scene(
        "scan-fping",
        _cast("fping"),
        "who answers echo requests in a /24, two tries each",
        ("fping",),
        lambda s: _play(s, "fping", "-q", "-a", "-r", "1", "-i", "25", "-g", DARK),
    ),
    _scene(
        "scan-onesixtyone",
        _cast("onesixtyone"),
        "who speaks SNMP in a /24, with two community names",
        ("onesixtyone",),
        lambda s: _play(s, "onesixtyone", "-w", "20", DARK, for_s=25),
    ),
    _scene("scan-braa", _cast("braa"), "who speaks SNMP among 180 addresses of a list", ("braa",), _braa),
    _scene(
        "scan-nbtscan",
        _cast("nbtscan"),
        "who has NetBIOS names in a /24, one try more",
        ("nbtscan",),
        lambda s: _play(s, "nbtscan", "-m", "1", DARK, for_s=40),
    ),
    _scene(
        "scan-ike",
        _cast("ike-scan"),
        "who speaks IKE in a /24, two tries each",
        ("ike-scan",),
        lambda s: _play(s, "ike-scan", "--retry=2", "--interval=25", DARK, for_s=40),
    ),
    _scene("scan-svmap", _cast("svmap", "sipvicious"), "who speaks SIP in a /24", ("svmap",), _svmap),
    _scene(
        "scan-nc-silent",
        _cast("nc", "netcat-openbsd"),
        "40 ports, one after another, of a host that swallows what it does not offer",
        ("nc",),
        lambda s: _knock(s, silent=True, ports="60-99", wait_s="1"),
    ),
    _scene(
        "scan-nc-refusing",
        _cast("nc", "netcat-openbsd"),
        "300 ports, one after another, of a host that refuses what it does not offer",
        ("nc",),
        lambda s: _knock(s, silent=False, ports="1-300", wait_s="2"),
    ),
    _scene(
        "scan-hping",
        Cast("scan", "hping3 --scan", "hping3", lambda: "3.0.0-alpha-2"),
        "500 ports of a host that refuses",
        ("hping3",),
        _hping_scan,
    ),
    _scene("scan-dmitry", _cast("dmitry"), "the first 150 ports of one host", ("dmitry",), _dmitry),
    _scene(
        "scan-keyscan",
        _cast("ssh-keyscan", "openssh-client", "openssh"),
        "host keys of 160 addresses of a list",
        ("ssh-keyscan",),
        _keyscan,
    ),
    _scene(
        "scan-asyncio-net",
        ASYNCIO,
        "three ports of the living tenth and of as many dead in a /24, 30 at once, in random order",
        (),
        lambda s: _asyncio(s, "21,2222,5900", [*DARK_ADDRESSES, *(f"185.99.24.{n}" for n in range(1, 120))], 30),
    ),
    _scene(
        "scan-asyncio-ports",
        ASYNCIO,
        "700 ports of one host that refuses, 12 at once, in random order",
        (),
        lambda s: _asyncio(s, ",".join(map(str, range(1, 701))), [target(s)], 12),
    ),
    _scene(
        "scan-scapy",
        SCAPY,
        "half-open scan of 300 ports of a host that swallows most",
        (needs_module("scapy"),),
        _scapy,
    ),
)
