"""More that reads pages: browsers with engines of their own, a mirror, a monitor."""

import sys
import time
from collections.abc import Sequence

from tests.lab.arena.programs import module_version, needs_module, packaged
from tests.lab.arena.services import PAGES, READING_S
from tests.lab.arena.stage import Cast, Scene, Stage, as_nobody
from tests.lab.arena.web import page

PYTHON = sys.executable
FIRST_DISPLAY = 70
SURF = Cast("web", "surf", "webkitgtk", lambda: packaged("surf"))
NETSURF = Cast("web", "netsurf", "netsurf", lambda: packaged("netsurf-gtk"))
DILLO = Cast("web", "dillo", "dillo", lambda: packaged("dillo"))
LYNX = Cast("web", "lynx", "lynx", lambda: packaged("lynx"))
HTTRACK = Cast("web", "httrack", "httrack", lambda: packaged("httrack"))
AIOHTTP = Cast("web", "aiohttp", "aiohttp", lambda: module_version("aiohttp"))


def display(stage: Stage) -> dict[str, str]:
    """A screen that nobody sees, for programs that want one: what to tell them of it."""
    number = FIRST_DISPLAY + stage.number
    screen = ("Xvfb", f":{number}", "-screen", "0", "1024x768x24", "-nolisten", "tcp", "-ac")
    stage.processes.start(screen, log="screen.log")
    time.sleep(2)
    return {"DISPLAY": f":{number}"}


def _read(stage: Stage, urls: Sequence[str], command: Sequence[str], for_s: float, *, nobody: bool = False) -> None:
    """A browser is opened on one page after another; `{}` in the command is the page."""
    stage.services.web()
    screen = display(stage)
    with stage.recorded():
        for url in urls:
            words = [word.replace("{}", url) for word in command]
            if nobody:
                told = [f"{key}={value}" for key, value in screen.items()]
                words = list(as_nobody(stage, *told, *words))
            stage.run(*words, for_s=for_s, environment=screen)


def _pages(site: str, scheme: str) -> list[str]:
    return [page(site, scheme, number) for number in range(PAGES[site].pages)]


def _lynx(stage: Stage) -> None:
    """Text alone, so that a page is one request."""
    stage.services.web()
    with stage.recorded():
        for url in _pages("shop", "http") + _pages("blog", "http"):
            stage.run("lynx", "-dump", "-nolist", url, for_s=10)
            time.sleep(READING_S / 2)


def _httrack(stage: Stage) -> None:
    stage.services.web()
    options = ("-q", "-r3", "-n", "-c6", "-%P0", "-s0", "+*.example/*", "-O", str(stage.folder / "mirror"))
    with stage.recorded():
        stage.run("httrack", page("magazine", "http"), page("blog", "http"), *options, for_s=30)


def _aiohttp(stage: Stage) -> None:
    stage.services.web()
    urls = _pages("magazine", "https") + _pages("blog", "https")
    with stage.recorded():
        stage.run(PYTHON, "-m", "tests.lab.arena.players.crawl", "16", "4", *urls, for_s=45)


SCENES = (
    Scene(
        "web-surf",
        SURF,
        "two pages of 45 objects from 14 hosts, HTTP/1.1",
        ("surf", "Xvfb", "nginx"),
        30,
        lambda s: _read(s, _pages("magazine", "http")[:1], ("surf", "{}"), 22, nobody=True),
    ),
    Scene(
        "web-netsurf",
        NETSURF,
        "two pages of 45 objects from 14 hosts, opened one after another",
        ("netsurf-gtk", "Xvfb", "nginx"),
        30,
        lambda s: _read(s, _pages("magazine", "http"), ("netsurf-gtk", "{}"), 11),
    ),
    Scene(
        "web-dillo",
        DILLO,
        "four pages of 15 objects from 3 hosts, opened one after another",
        ("dillo", "Xvfb", "nginx"),
        35,
        lambda s: _read(s, _pages("blog", "http"), ("dillo", "{}"), 7),
    ),
    Scene("web-lynx", LYNX, "seven pages, their text alone", ("lynx", "nginx"), 40, _lynx),
    Scene("web-httrack", HTTRACK, "two pages and all their objects, six at once", ("httrack", "nginx"), 30, _httrack),
    Scene(
        "web-aiohttp",
        AIOHTTP,
        "six pages and all their objects, sixteen at once",
        (needs_module("aiohttp"), "nginx"),
        45,
        _aiohttp,
    ),
)
