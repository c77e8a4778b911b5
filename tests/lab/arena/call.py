"""Calls between two: voice, and voice with a picture."""

import sys

from tests.lab.arena.addresses import PEER_ADDRESSES
from tests.lab.arena.programs import version
from tests.lab.arena.stage import Cast, Scene, Stage
from tests.lab.arena.topology import Door
from tests.lab.arena.tox import wait_for
from tests.lab.arena.web import CHROMIUM_OPTIONS

PYTHON = sys.executable
CALLED = 114
PORT = 8089
AIORTC = Cast("call", "aiortc", "aiortc", lambda: version(PYTHON, "-c", "import aiortc; print(aiortc.__version__)"))
CHROMIUM = Cast("call", "chromium webrtc", "chromium", lambda: version("chromium", "--version"))
FAKE_DEVICES = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


def answering(stage: Stage, kind: str) -> tuple[str, str]:
    """Somebody who takes calls: address and port."""
    address, port = PEER_ADDRESSES[CALLED], str(PORT + stage.number)
    stage.peer(
        CALLED,
        PYTHON,
        "-m",
        "tests.lab.arena.players.call",
        "answer",
        address,
        port,
        kind,
        log="called.log",
        door=Door.OPEN,
    )
    wait_for(stage.folder / "called.log", "ready", 20)
    return address, port


def make_call(stage: Stage, where: tuple[str, str], kind: str, seconds: int) -> None:
    """The guest calls."""
    stage.run(PYTHON, "-m", "tests.lab.arena.players.call", "make", *where, kind, str(seconds), for_s=seconds + 15)


def _aiortc(stage: Stage, kind: str, seconds: int) -> None:
    where = answering(stage, kind)
    with stage.recorded():
        make_call(stage, where, kind, seconds)


def _chromium(stage: Stage, kind: str, seconds: float) -> None:
    address, port = answering(stage, kind)
    page = f"http://{address}:{port}/"
    profile = stage.folder / "chromium"
    with stage.recorded():
        stage.run(
            "chromium",
            *CHROMIUM_OPTIONS,
            *FAKE_DEVICES,
            f"--user-data-dir={profile}",
            f"--unsafely-treat-insecure-origin-as-secure=http://{address}:{port}",
            page,
            for_s=seconds,
        )


SCENES = (
    Scene("call-aiortc-voice", AIORTC, "voice, both ways, 35 s", (), 45, lambda s: _aiortc(s, "audio", 35)),
    Scene("call-aiortc-video", AIORTC, "voice and picture, both ways, 25 s", (), 35, lambda s: _aiortc(s, "video", 25)),
    Scene(
        "call-chromium-voice",
        CHROMIUM,
        "voice from a browser, both ways, 35 s",
        ("chromium",),
        45,
        lambda s: _chromium(s, "audio", 38),
    ),
    Scene(
        "call-chromium-video",
        CHROMIUM,
        "voice and picture from a browser, both ways, 25 s",
        ("chromium",),
        35,
        lambda s: _chromium(s, "video", 28),
    ),
)
