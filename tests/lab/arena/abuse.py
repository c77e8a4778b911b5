"""What limits on connections were made for, played by the usual tools, against targets inside the arena alone."""

import sys
from collections.abc import Callable
from functools import partial

from tests.lab.arena.addresses import DARK, PEER_ADDRESSES
from tests.lab.arena.programs import version
from tests.lab.arena.stage import Cast, Scene, Stage
from tests.lab.arena.topology import Door

# Peers that are scanned: one that refuses what it does not offer, one that swallows it.
TARGET, SILENT_TARGET, LOOPED = 110, 111, 112
OFFERED = "22 80 111 139 443 445 993 3306 8080"
PYTHON = sys.executable

NMAP = partial(Cast, "scan", source="nmap", version=lambda: version("nmap", "--version"))
MASSCAN = Cast("scan", "masscan", "masscan", lambda: version("masscan", "--version"))
HPING = Cast("flood", "hping3", "hping3", lambda: "3.0.0-alpha-2")
LOOP = Cast("flood", "connect-loop", "connect-loop", lambda: version(PYTHON, "--version"))
SPAM = partial(Cast, "spam", source="spam", version=lambda: version(PYTHON, "--version"))
SWAKS = Cast("spam", "swaks", "swaks", lambda: version("swaks", "--version"))


def _target(stage: Stage, number: int, door: Door) -> str:
    stage.peer(number, PYTHON, "-m", "tests.lab.arena.servers.listeners", *OFFERED.split(), door=door)
    return PEER_ADDRESSES[number]


def _scan(stage: Stage, *options: str, silent: bool = False, for_s: float = 30) -> None:
    number, door = (SILENT_TARGET, Door.OFFERING) if silent else (TARGET, Door.OPEN)
    target = _target(stage, number, door)
    with stage.recorded():
        stage.run("nmap", "-n", "-Pn", *options, target, for_s=for_s)


def _sweep(stage: Stage, *options: str) -> None:
    stage.server(PYTHON, "-m", "tests.lab.arena.servers.listeners", "22", "445")
    with stage.recorded():
        stage.run("nmap", "-n", *options, DARK, for_s=30)


def _masscan(stage: Stage) -> None:
    with stage.recorded():
        stage.run(
            "masscan",
            DARK,
            "-p",
            "22,80,445,3389",
            "--rate",
            "80",
            "--wait",
            "3",
            "--adapter-ip",
            stage.address,
            "--source-port",
            "40960-41983",
            for_s=30,
        )


def _syn_flood(stage: Stage, *options: str) -> None:
    target = _target(stage, TARGET, Door.OPEN)
    with stage.recorded():
        stage.run("hping3", "-q", "-n", "-c", "2500", "-i", "u4000", *options, target, for_s=20)


def _udp_flood(stage: Stage) -> None:
    target = _target(stage, SILENT_TARGET, Door.OFFERING)
    with stage.recorded():
        stage.run(
            "hping3", "-q", "-n", "--udp", "-p", "27015", "-d", "40", "-c", "2500", "-i", "u4000", target, for_s=20
        )


def _loop(stage: Stage, at_once: int, count: int) -> None:
    target = _target(stage, LOOPED, Door.OPEN)
    with stage.recorded():
        stage.run(
            PYTHON, "-m", "tests.lab.arena.players.connect_loop", target, "80", str(count), str(at_once), for_s=25
        )


def _spam(stage: Stage, letters: int, workers: int, dead: int) -> None:
    """Many letters to many servers; some of these are gone."""
    alive = stage.services.mail()
    gone = [address.rsplit(".", 1)[0] + ".99" for address in alive[:dead]]
    with stage.recorded():
        stage.run(PYTHON, "-m", "tests.lab.arena.players.spam", str(letters), str(workers), *alive, *gone, for_s=40)


def _swaks(stage: Stage) -> None:
    servers = stage.services.mail()
    with stage.recorded():
        for address in servers[:24]:
            stage.run(
                "swaks",
                "--server",
                address,
                "--from",
                "offers@example.com",
                "--to",
                "someone@example.net",
                "--header",
                "Subject: you have won",
                "--hide-all",
                for_s=10,
            )


def _scene(name: str, cast: Cast, what: str, needs: tuple[str, ...], play: Callable[[Stage], None]) -> Scene:
    return Scene(name, cast, what, needs, 30, play)


_NMAP = ("nmap",)
_HPING = ("hping3",)
SCENES = (
    _scene(
        "scan-nmap-connect",
        NMAP(program="nmap -sT"),
        "connect scan of 400 ports of a host that refuses",
        _NMAP,
        lambda s: _scan(s, "-sT", "-p", "1-400", "--max-rate", "60"),
    ),
    _scene(
        "scan-nmap-syn",
        NMAP(program="nmap -sS"),
        "half-open scan of 1000 ports of a host with 3 open ones, that swallows the rest",
        _NMAP,
        lambda s: _scan(s, "-sS", "--top-ports", "1000", "--max-retries", "1", "--min-rate", "100", silent=True),
    ),
    _scene(
        "scan-nmap-udp",
        NMAP(program="nmap -sU"),
        "UDP scan of 200 ports",
        _NMAP,
        lambda s: _scan(s, "-sU", "--top-ports", "200", "--max-retries", "1", "--min-rate", "15", silent=True),
    ),
    _scene(
        "scan-nmap-version",
        NMAP(program="nmap -sV"),
        "scan of the 300 likeliest ports, then asking what listens",
        _NMAP,
        lambda s: _scan(s, "-sT", "-sV", "--version-light", "--top-ports", "300"),
    ),
    _scene(
        "scan-nmap-sweep",
        NMAP(program="nmap sweep"),
        "looking for port 445 in a /24 of which a tenth lives",
        _NMAP,
        lambda s: _sweep(s, "-Pn", "-sT", "-p", "445", "--max-retries", "1", "--min-rate", "25"),
    ),
    _scene(
        "scan-nmap-ping",
        NMAP(program="nmap -sn"),
        "who is there in a /24: echo, SYN to 443, ACK to 80, timestamp",
        _NMAP,
        lambda s: _sweep(s, "-sn", "--max-retries", "1", "--min-rate", "60"),
    ),
    _scene("scan-masscan", MASSCAN, "four ports over a /24, in random order", ("masscan",), _masscan),
    _scene(
        "flood-hping-syn",
        HPING,
        "2500 SYNs to port 80 of one host that answers",
        _HPING,
        lambda s: _syn_flood(s, "-S", "-p", "80"),
    ),
    _scene(
        "flood-hping-closed",
        HPING,
        "2500 SYNs to a port that refuses",
        _HPING,
        lambda s: _syn_flood(s, "-S", "-p", "81"),
    ),
    _scene("flood-hping-udp", HPING, "2500 datagrams to one port of one host, from a port each", _HPING, _udp_flood),
    _scene(
        "flood-connect-loop",
        LOOP,
        "2000 whole connections to one web server, 40 at once, nothing asked",
        (),
        lambda s: _loop(s, 40, 2000),
    ),
    _scene(
        "spam-run",
        SPAM(program="spam-run"),
        "letters to 30 mail servers and 20 that are gone, 8 at once, for 40 s",
        (),
        lambda s: _spam(s, 300, 8, 20),
    ),
    _scene(
        "spam-slow",
        SPAM(program="spam-slow"),
        "100 letters to 30 mail servers, 2 at once",
        (),
        lambda s: _spam(s, 100, 2, 0),
    ),
    _scene("spam-swaks", SWAKS, "24 letters to 24 mail servers, one after another", ("swaks",), _swaks),
)
