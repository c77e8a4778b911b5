"""Guests who do several things at once, as guests do. Each spell has its own row in labels.csv."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import Thread

from tests.lab.arena import abuse, bulk, call, chat, mesh, torrent, tox, web
from tests.lab.arena.addresses import DARK
from tests.lab.arena.stage import Cast, Scene, Stage


class Spell(Thread):
    """One of several things done at once; an error in it comes out at the end."""

    def __init__(self, playing: AbstractContextManager[None], what: Callable[[], object], after_s: float = 0.0) -> None:
        super().__init__(daemon=True)
        self._playing, self._what, self._after_s = playing, what, after_s
        self.error: Exception | None = None

    def run(self) -> None:
        """Wait, then do it."""
        time.sleep(self._after_s)
        try:
            with self._playing:
                self._what()
        except Exception as error:
            self.error = error


def together(*spells: Spell) -> None:
    """All of them, until the last has ended."""
    for spell in spells:
        spell.start()
    for spell in spells:
        spell.join()
        if spell.error is not None:
            raise spell.error


def _tox_download(stage: Stage) -> None:
    address = stage.services.web()
    absent = tox.send_away(stage, tox.Company(tox.OLDER, 40, 0, 0, "conferences", friends=40, stay_s=40))
    url = f"http://{address}/slow/large"
    with stage.recorded():
        together(
            Spell(
                stage.playing(bulk.CURL, "one file at 1.2 Mbit/s"),
                lambda: stage.run("curl", "-s", "-o", "/dev/null", url, for_s=48),
            ),
            Spell(stage.playing(tox.FRIENDS, "back on line, 40 friends"), absent.come_back, after_s=8),
        )


def _scan_in_sync(stage: Stage) -> None:
    settings = mesh.hyper_people(stage, mesh.Rooms(40, 8, 8, 12))
    scan = ["nmap", "-n", "-Pn", "-sT", "-p", "445", "--max-retries", "0", "--max-rate", "12", DARK]
    with stage.recorded():
        together(
            Spell(stage.playing(mesh.HYPERSWARM, "joins 8 rooms of 8"), lambda: mesh.hyper_guest(stage, settings, 45)),
            Spell(
                stage.playing(abuse.NMAP(program="nmap sweep"), "a slow sweep for port 445"),
                lambda: stage.run(*scan, for_s=25, log="nmap.log"),
                after_s=12,
            ),
        )


def _chats(stage: Stage) -> None:
    settings = mesh.hyper_people(stage, mesh.Rooms(24, 5, 7, 10))
    where = chat.irc_server(stage, 20, 30)
    absent = tox.send_away(stage, tox.Company(tox.OLDER, 30, 0, 0, "conferences", friends=30, stay_s=35))
    with stage.recorded():
        together(
            Spell(stage.playing(chat.IRC, "30 rooms on IRC"), lambda: chat.irc_guest(stage, where, 30, 42)),
            Spell(stage.playing(tox.FRIENDS, "back on line, 30 friends"), absent.come_back, after_s=5),
            Spell(
                stage.playing(mesh.HYPERSWARM, "joins 5 rooms of 7"),
                lambda: mesh.hyper_guest(stage, settings, 28),
                after_s=15,
            ),
        )


def _torrent_web(stage: Stage) -> None:
    stage.services.web()
    swarm = torrent.gather(stage, torrent.Size(35, 22, 15, 30_000))
    with stage.recorded():
        together(
            Spell(
                stage.playing(torrent.LIBTORRENT, "download from a swarm of 35"),
                lambda: torrent.take_part(stage, swarm, torrent.libtorrent_client, 40),
            ),
            Spell(
                stage.playing(web.CHROMIUM, "three pages of 80 objects"),
                lambda: web.browse(stage, "shop", "https", 24),
                after_s=12,
            ),
        )


def _call_web(stage: Stage) -> None:
    stage.services.web()
    where = call.answering(stage, "audio")
    with stage.recorded():
        together(
            Spell(stage.playing(call.AIORTC, "a voice call"), lambda: call.make_call(stage, where, "audio", 38)),
            Spell(
                stage.playing(web.CHROMIUM, "four small pages"),
                lambda: web.browse(stage, "blog", "http", 28),
                after_s=8,
            ),
        )


def _scene(cast: Cast, name: str, what: str, needs: tuple[str, ...], play: Callable[[Stage], None]) -> Scene:
    return Scene(name, cast, what, needs, 60, play)


_HYPER = ("node", f"{mesh.NODE_MODULES}/hyperswarm", f"{mesh.NODE_MODULES}/hypercore")
SCENES = (
    _scene(
        tox.FRIENDS, "mix-tox-download", "a Tox login under a download", (tox.OLDER, "nginx", "curl"), _tox_download
    ),
    _scene(
        mesh.HYPERSWARM,
        "mix-scan-in-sync",
        "a slow sweep hidden in a Hyperswarm sync",
        (*_HYPER, "nmap"),
        _scan_in_sync,
    ),
    _scene(tox.FRIENDS, "mix-chats", "Tox, Hyperswarm and IRC at once", (*_HYPER, tox.OLDER, "ngircd"), _chats),
    _scene(
        torrent.LIBTORRENT,
        "mix-torrent-web",
        "pages read during a BitTorrent download",
        ("nginx", "chromium"),
        _torrent_web,
    ),
    _scene(call.AIORTC, "mix-call-web", "pages read during a voice call", ("nginx", "chromium"), _call_web),
)
