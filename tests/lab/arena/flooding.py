"""Floods by many tools, bounded in count and time, against targets inside the arena alone."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.lab.arena.abuse import SILENT_TARGET, TARGET
from tests.lab.arena.addresses import PEER_ADDRESSES
from tests.lab.arena.programs import module_version, needs_module, packaged, version
from tests.lab.arena.scanning import target
from tests.lab.arena.stage import Cast, Scene, Stage
from tests.lab.arena.topology import Door

PYTHON = sys.executable
SLOWLORIS = Path(PYTHON).with_name("slowloris")


def _cast(program: str, package: str, source: str | None = None) -> Cast:
    return Cast("flood", program, source or program, lambda: packaged(package))


UDP_SCRIPT = Cast("flood", "udp flood script", "udp-flood", lambda: version(PYTHON, "--version"))
SCAPY = Cast("flood", "scapy send", "scapy", lambda: module_version("scapy"))
SLOWLORIS_CAST = Cast("flood", "slowloris", "slowloris", lambda: module_version("slowloris"))


def _play(stage: Stage, *command: str, silent: bool = False, for_s: float = 30) -> None:
    """A tool runs; `{}` in its command is the target, `{me}` the guest."""
    address = target(stage, SILENT_TARGET, Door.OFFERING) if silent else target(stage, TARGET)
    with stage.recorded():
        stage.run(*(word.format(address, me=stage.address) for word in command), for_s=for_s)


def _web(stage: Stage, *command: str, for_s: float = 30) -> None:
    """A tool runs against the web server."""
    address = stage.services.web()
    with stage.recorded():
        stage.run(*(word.format(address) for word in command), for_s=for_s)


def _mausezahn(stage: Stage, options: Sequence[str], *packet: str, silent: bool = False) -> None:
    """Each packet once, the source port counting up."""
    _play(stage, "mausezahn", "eth0", "-q", "-B", "{}", "-c", "1", *options, "-t", *packet, silent=silent)


def _sipp(stage: Stage) -> None:
    """Calls that nobody takes, a socket each: the target has no telephone."""
    stage.peer(SILENT_TARGET, "true", door=Door.OFFERING)
    options = ("-sn", "uac", "-t", "un", "-r", "80", "-m", "1000", "-l", "1000", "-max_socket", "1100", "-nostdin")
    with stage.recorded():
        where = (PEER_ADDRESSES[SILENT_TARGET], "-i", stage.address, "-timeout", "18s", "-trace_err")
        stage.run("sipp", *where, *options, for_s=22, environment={"TERM": "dumb"})


def _scene(name: str, cast: Cast, what: str, needs: tuple[str, ...], play: Callable[[Stage], None]) -> Scene:
    return Scene(name, cast, what, needs, 30, play)


SCENES = (
    _scene(
        "flood-t50",
        _cast("t50", "t50"),
        "2000 SYNs to port 443 of one host, as fast as they go",
        ("t50",),
        lambda s: _play(
            s, "t50", "{}", "--protocol", "TCP", "-S", "--dport", "443", "-s", "{me}", "--threshold", "2000"
        ),
    ),
    _scene(
        "flood-nping",
        _cast("nping --tcp-connect", "nmap", "nping"),
        "700 whole connections to port 80 of one host, 120 a second",
        ("nping",),
        lambda s: _play(s, "nping", "--tcp-connect", "-q", "-p", "80", "-c", "700", "--rate", "120", "{}"),
    ),
    _scene(
        "flood-mausezahn",
        _cast("mausezahn", "netsniff-ng", "netsniff-ng"),
        "2500 SYNs to port 22 of one host that answers, from ascending ports",
        ("mausezahn",),
        lambda s: _mausezahn(s, ("-d", "2500"), "tcp", "sp=30000-32499,dp=22,flags=syn"),
    ),
    _scene(
        "flood-mausezahn-udp",
        _cast("mausezahn", "netsniff-ng", "netsniff-ng"),
        "2000 datagrams of 200 bytes to port 53 of one host that swallows them",
        ("mausezahn",),
        lambda s: _mausezahn(s, ("-d", "4000", "-p", "200"), "udp", "sp=40000-41999,dp=53", silent=True),
    ),
    _scene(
        "flood-udp-script",
        UDP_SCRIPT,
        "2000 datagrams of up to 1 kB to random ports of one host that swallows them, from three sockets",
        (),
        lambda s: _play(s, PYTHON, "-m", "tests.lab.arena.players.udp_flood", "{}", "2000", "3", "0.004", silent=True),
    ),
    _scene(
        "flood-scapy",
        SCAPY,
        "1500 SYNs to port 443 of one host that answers, from random ports",
        (needs_module("scapy"),),
        lambda s: _play(s, PYTHON, "-m", "tests.lab.arena.players.scapy_flood", "{}", "443", "1500", "0.004"),
    ),
    _scene(
        "flood-slowhttptest",
        _cast("slowhttptest", "slowhttptest"),
        "400 connections to one web server, opened within 8 s, headers dripping into each",
        ("slowhttptest", "nginx"),
        lambda s: _web(s, "slowhttptest", "-H", "-c", "400", "-r", "50", "-i", "6", "-l", "25", "-u", "http://{}/"),
    ),
    _scene(
        "flood-slowloris",
        SLOWLORIS_CAST,
        "200 connections to one web server, headers dripping into each",
        (str(SLOWLORIS), "nginx"),
        lambda s: _web(s, str(SLOWLORIS), "-s", "200", "--sleeptime", "8", "{}", for_s=32),
    ),
    _scene(
        "flood-ab",
        _cast("ab", "apache2-utils"),
        "500 requests for one small page, a connection each, 50 at once",
        ("ab", "nginx"),
        lambda s: _web(s, "ab", "-q", "-n", "500", "-c", "50", "http://{}/o/400"),
    ),
    _scene(
        "flood-siege",
        _cast("siege", "siege"),
        "15 users ask for one page without pause, a connection each, for 4 s",
        ("siege", "nginx"),
        lambda s: _web(s, "siege", "-q", "-b", "-c", "15", "-t", "4S", "http://{}/o/1800", for_s=20),
    ),
    _scene(
        "flood-sipp",
        _cast("sipp", "sip-tester"),
        "80 calls a second to a host without a telephone, a socket each",
        ("sipp",),
        _sipp,
    ),
)
