"""Large files down and up, and films in segments."""

import time
from pathlib import Path

from tests.lab.arena.addresses import PEER_ADDRESSES
from tests.lab.arena.programs import version
from tests.lab.arena.services import SEGMENT_S
from tests.lab.arena.stage import Cast, Scene, Stage
from tests.lab.arena.web import CHROMIUM_OPTIONS

CURL = Cast("bulk-transfer", "curl", "curl", lambda: version("curl", "--version"))
WGET = Cast("bulk-transfer", "wget", "wget", lambda: version("wget", "--version"))
ARIA = Cast("bulk-transfer", "aria2c http", "aria2", lambda: version("aria2c", "--version"))
RSYNC = Cast("bulk-transfer", "rsync", "rsync", lambda: version("rsync", "--version"))
FFMPEG = Cast("streaming", "ffmpeg hls", "ffmpeg", lambda: version("ffmpeg", "-version"))
CURL_FILM = Cast("streaming", "curl hls", "curl", lambda: version("curl", "--version"))
BROWSER_FILM = Cast("streaming", "chromium hls.js", "chromium", lambda: version("chromium", "--version"))
HLS_JS = "/usr/lib/node_modules/hls.js/dist/hls.min.js"


def _download(stage: Stage, url: str, for_s: float, *options: str) -> None:
    address = stage.services.web()
    with stage.recorded():
        stage.run("curl", "-s", "-k", *options, "-o", "/dev/null", url.format(address), for_s=for_s)


def _upload(stage: Stage) -> None:
    address = stage.services.web()
    letter = stage.folder / "upload.bin"
    with letter.open("wb") as file:
        file.truncate(12_000_000)
    with stage.recorded():
        stage.run(
            "curl",
            "-s",
            "-k",
            "--limit-rate",
            "500k",
            "-T",
            str(letter),
            f"http://{address}/put/{stage.number}",
            for_s=40,
        )


def _wget(stage: Stage) -> None:
    """Three files one after another, some seconds apart."""
    address = stage.services.web()
    with stage.recorded():
        for _ in range(3):
            stage.run("wget", "-q", "-O", "/dev/null", f"http://{address}/file/large", for_s=6)
            time.sleep(3)


def _aria(stage: Stage) -> None:
    address = stage.services.web()
    with stage.recorded():
        stage.run(
            "aria2c",
            "-q",
            "-x",
            "8",
            "-s",
            "8",
            "-k",
            "1M",
            "-d",
            str(stage.folder),
            "-o",
            "large.bin",
            f"http://{address}/slow/large",
            for_s=16,
        )


def _rsync(stage: Stage) -> None:
    share = stage.folder / "share"
    share.mkdir()
    for number in range(60):
        (share / f"{number}.bin").write_bytes(bytes([number]) * 250_000)
    settings = stage.folder / "rsyncd.conf"
    settings.write_text(
        f"use chroot = no\nuid = 0\ngid = 0\npid file = {stage.folder}/rsyncd.pid\n[share]\npath = {share}\n"
    )
    stage.peer(100, "rsync", "--daemon", "--no-detach", f"--config={settings}")
    time.sleep(1)
    with stage.recorded():
        stage.run(
            "rsync",
            "-a",
            "--bwlimit=700",
            f"rsync://{PEER_ADDRESSES[100]}/share/",
            str(stage.folder / "copy"),
            for_s=30,
        )


def _ffmpeg(stage: Stage, for_s: float, *options: str) -> None:
    address = stage.services.film()
    with stage.recorded():
        stage.run(
            "ffmpeg",
            "-v",
            "error",
            "-re",
            *options,
            "-i",
            f"http://{address}/film/index.m3u8",
            "-c",
            "copy",
            "-f",
            "null",
            "-",
            for_s=for_s,
        )


def fetch_film(stage: Stage, segments: int, scheme: str = "http") -> None:
    """A segment every few seconds, each by a connection of its own."""
    address = stage.services.film()
    stage.run("curl", "-s", "-k", "-o", "/dev/null", f"{scheme}://{address}/film/index.m3u8", for_s=10)
    for number in range(segments):
        began = time.monotonic()
        stage.run("curl", "-s", "-k", "-o", "/dev/null", f"{scheme}://{address}/film/index{number}.ts", for_s=10)
        time.sleep(max(SEGMENT_S - (time.monotonic() - began), 0.0))


def _curl_film(stage: Stage) -> None:
    stage.services.film()
    with stage.recorded():
        fetch_film(stage, 11)


PLAYER = """<html><body><video id="v" muted autoplay></video><script src="/film/hls.js"></script><script>
const hls = new Hls({maxBufferLength: 12, maxMaxBufferLength: 12});
hls.loadSource('/film/index.m3u8'); hls.attachMedia(document.getElementById('v'));
</script></body></html>"""


def _browser(stage: Stage) -> None:
    address = stage.services.film()
    film = stage.services.folder / "www" / "film"
    (film / "hls.js").write_bytes(Path(HLS_JS).read_bytes())
    (film / "player.html").write_text(PLAYER)
    profile = stage.folder / "chromium"
    with stage.recorded():
        stage.run(
            "chromium", *CHROMIUM_OPTIONS, f"--user-data-dir={profile}", f"https://{address}/film/player.html", for_s=50
        )


SCENES = (
    Scene(
        "stream-ffmpeg-hls",
        FFMPEG,
        "a film of 1.5 Mbit/s in segments of 4 s, over one connection kept open",
        ("ffmpeg", "nginx"),
        50,
        lambda s: _ffmpeg(s, 45),
    ),
    Scene(
        "stream-ffmpeg-new",
        FFMPEG,
        "the same, a connection for every segment",
        ("ffmpeg", "nginx"),
        50,
        lambda s: _ffmpeg(s, 45, "-http_persistent", "0"),
    ),
    Scene(
        "stream-curl-hls",
        CURL_FILM,
        "eleven segments of 4 s, each by curl",
        ("curl", "ffmpeg", "nginx"),
        50,
        _curl_film,
    ),
    Scene(
        "stream-browser-hls",
        BROWSER_FILM,
        "the film in a page with hls.js, HTTP/2",
        ("chromium", "ffmpeg", "nginx", HLS_JS),
        55,
        _browser,
    ),
    Scene(
        "bulk-curl-download",
        CURL,
        "one file by HTTP at 5.6 Mbit/s",
        ("curl", "nginx"),
        20,
        lambda s: _download(s, "http://{}/file/large", 16),
    ),
    Scene(
        "bulk-curl-https",
        CURL,
        "one file by HTTPS at 16 Mbit/s",
        ("curl", "nginx"),
        12,
        lambda s: _download(s, "https://{}/fast/large", 8),
    ),
    Scene("bulk-curl-upload", CURL, "one file of 12 MB up by HTTP PUT", ("curl", "nginx"), 30, _upload),
    Scene("bulk-wget-files", WGET, "three files one after another", ("wget", "nginx"), 30, _wget),
    Scene("bulk-aria2-http", ARIA, "one file over eight connections", ("aria2c", "nginx"), 20, _aria),
    Scene("bulk-rsync", RSYNC, "sixty files from an rsync server", ("rsync",), 30, _rsync),
)
