"""Films and music, played as they come, by players of several families."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.lab.arena.addresses import PEER_ADDRESSES, SERVER_ADDRESSES
from tests.lab.arena.bulk import HLS_JS, PLAYER
from tests.lab.arena.programs import module_version, packaged, version
from tests.lab.arena.stage import Cast, Scene, Stage, as_nobody
from tests.lab.arena.topology import Door
from tests.lab.arena.web import FIREFOX_PREFERENCES

BROADCASTER, RADIO = 115, 125
STREAMLINK_TOOL = Path(sys.executable).with_name("streamlink")

MPV = Cast("streaming", "mpv", "ffmpeg", lambda: packaged("mpv"))  # HLS and HTTP are libavformat's
VLC = Cast("streaming", "vlc", "vlc", lambda: packaged("vlc-bin"))
GSTREAMER = Cast("streaming", "gstreamer playbin", "gstreamer", lambda: packaged("gstreamer1.0-tools"))
GSTREAMER_RTSP = Cast("streaming", "gstreamer rtspsrc", "gstreamer", lambda: packaged("gstreamer1.0-tools"))
MPLAYER = Cast("streaming", "mplayer", "mplayer", lambda: packaged("mplayer"))
STREAMLINK = Cast("streaming", "streamlink", "streamlink", lambda: module_version("streamlink"))
RTMPDUMP = Cast("streaming", "rtmpdump", "rtmpdump", lambda: packaged("rtmpdump"))
MPG123 = Cast("streaming", "mpg123", "mpg123", lambda: packaged("mpg123"))
FIREFOX = Cast("streaming", "firefox hls.js", "firefox", lambda: version("firefox-esr", "--version"))


def _watch(stage: Stage, film: str, command: Sequence[str], for_s: float) -> None:
    """A player plays one of the web server's films; `{}` in its command is the server."""
    address = stage.services.film(film)
    with stage.recorded():
        stage.run(*(word.replace("{}", address) for word in command), for_s=for_s)


def _gstreamer(url: str) -> tuple[str, ...]:
    sinks = ("video-sink=fakesink sync=true", "audio-sink=fakesink sync=true")
    return ("gst-launch-1.0", "-q", "playbin3", f"uri={url}", *sinks)


def _vlc(stage: Stage, film: str, url: str, for_s: float) -> None:
    """As somebody else than root: it refuses to play for root."""
    player = ("cvlc", "-q", "--no-video-title-show", "--vout=dummy", "--aout=adummy", url)
    _watch(stage, film, as_nobody(stage, *player), for_s)


def _rtsp(stage: Stage) -> None:
    """A camera's picture from a VLC that serves it, by RTP over UDP or, where that does not come through, over TCP."""
    stage.services.film("whole")
    address = PEER_ADDRESSES[BROADCASTER]
    film = str(stage.services.folder / "www" / "whole" / "index.mp4")
    served = f"#rtp{{sdp=rtsp://{address}:8554/camera}}"
    stage.peer(BROADCASTER, *as_nobody(stage, "cvlc", "-q", "--loop", film, "--sout", served), door=Door.OPEN)
    time.sleep(3)
    with stage.recorded():
        stage.run("gst-launch-1.0", "-q", *_rtsp_pipeline(f"rtsp://{address}:8554/camera"), for_s=40)


def _rtsp_pipeline(url: str) -> tuple[str, ...]:
    return ("rtspsrc", f"location={url}", "name=camera", "camera.", "!", "fakesink", "sync=true")


def _on_air(stage: Stage, port: int, *form: str) -> str:
    """Somebody broadcasts a film as it is played, to the first who comes; `{}` in the form is the place: the place."""
    stage.services.film("whole")
    place = f"{SERVER_ADDRESSES[RADIO]}:{port}"
    film = str(stage.services.folder / "www" / "whole" / "index.mp4")
    words = (word.replace("{}", place) for word in form)
    stage.server("ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", film, *words)
    time.sleep(2)
    return place


def _rtmp(stage: Stage) -> None:
    place = _on_air(stage, 1935, "-c", "copy", "-f", "flv", "-listen", "1", "rtmp://{}/live/one")
    with stage.recorded():
        stage.run("rtmpdump", "-q", "-v", "-r", f"rtmp://{place}/live/one", "-o", "/dev/null", for_s=45)


ICECAST = """<icecast>
  <limits><clients>20</clients><sources>2</sources><burst-size>65536</burst-size></limits>
  <authentication><source-password>arena</source-password><admin-password>arena</admin-password></authentication>
  <hostname>radio.example</hostname>
  <listen-socket><port>{port}</port><bind-address>{address}</bind-address></listen-socket>
  <paths><logdir>{folder}</logdir><webroot>/usr/share/icecast2/web</webroot>
    <adminroot>/usr/share/icecast2/admin</adminroot></paths>
</icecast>
"""


def _radio(stage: Stage) -> None:
    address, port = SERVER_ADDRESSES[RADIO], 8000 + stage.number
    command = as_nobody(stage, "icecast2", "-c", str(stage.folder / "icecast.xml"))
    settings = ICECAST.format(address=address, port=port, folder=stage.folder / "home")
    (stage.folder / "icecast.xml").write_text(settings)
    stage.server(*command)
    time.sleep(2)
    sound = ("-re", "-f", "lavfi", "-i", "aevalsrc=0.4*random(0)*sin(300*t):s=44100", "-c:a", "libmp3lame")
    form = ("-b:a", "128k", "-f", "mp3", "-content_type", "audio/mpeg")
    stage.server("ffmpeg", "-v", "error", *sound, *form, f"icecast://source:arena@{address}:{port}/radio")
    time.sleep(8)
    with stage.recorded():
        stage.run("mpg123", "-q", "--no-control", "-o", "dummy", f"http://{address}:{port}/radio", for_s=60)


def _live(stage: Stage) -> None:
    """A list of segments that goes on while one watches, of which only the latest are there."""
    address = stage.services.film("whole")
    www = stage.services.folder / "www"
    live = www / f"live{stage.number}"
    live.mkdir()
    source = ("-re", "-stream_loop", "-1", "-i", str(www / "whole" / "index.mp4"), "-c", "copy")
    form = ("-f", "hls", "-hls_time", "4", "-hls_list_size", "6", "-hls_flags", "delete_segments")
    stage.server("ffmpeg", "-v", "error", *source, *form, str(live / "index.m3u8"))
    time.sleep(20)
    player = ("-p", "mpv", "-a", "--really-quiet --vo=null --ao=null")
    with stage.recorded():
        stage.run(str(STREAMLINK_TOOL), *player, f"http://{address}/{live.name}/index.m3u8", "best", for_s=45)


def _firefox(stage: Stage) -> None:
    address = stage.services.film("clip")
    film = stage.services.folder / "www" / "clip"
    (film / "hls.js").write_bytes(Path(HLS_JS).read_bytes())
    (film / "player.html").write_text(PLAYER.replace("/film/", "/clip/"))
    profile = stage.folder / "firefox"
    profile.mkdir()
    (profile / "user.js").write_text(FIREFOX_PREFERENCES + 'user_pref("media.autoplay.default", 0);\n')
    with stage.recorded():
        stage.run(
            "firefox-esr", "--headless", "--profile", str(profile), f"http://{address}/clip/player.html", for_s=55
        )


_WEB = ("nginx", "ffmpeg")
SCENES = (
    Scene(
        "stream-mpv-hls",
        MPV,
        "a film of 0.6 Mbit/s in segments of 6 s, read ahead by 1 MB",
        ("mpv", *_WEB),
        60,
        lambda s: _watch(
            s,
            "clip",
            (
                "mpv",
                "--really-quiet",
                "--vo=null",
                "--ao=null",
                "--demuxer-max-bytes=1MiB",
                "http://{}/clip/index.m3u8",
            ),
            55,
        ),
    ),
    Scene(
        "stream-vlc-hls",
        VLC,
        "a film of 0.6 Mbit/s in segments of 6 s",
        ("cvlc", *_WEB),
        60,
        lambda s: _vlc(s, "clip", "http://{}/clip/index.m3u8", 55),
    ),
    Scene(
        "stream-vlc-dash",
        VLC,
        "a film of 0.9 Mbit/s, picture and sound apart, in segments of 2 s",
        ("cvlc", *_WEB),
        50,
        lambda s: _vlc(s, "show", "http://{}/show/index.mpd", 45),
    ),
    Scene(
        "stream-gstreamer-hls",
        GSTREAMER,
        "a film of 0.6 Mbit/s in segments of 6 s",
        ("gst-launch-1.0", *_WEB),
        60,
        lambda s: _watch(s, "clip", _gstreamer("http://{}/clip/index.m3u8"), 55),
    ),
    Scene(
        "stream-gstreamer-dash",
        GSTREAMER,
        "a film of 0.9 Mbit/s, picture and sound apart, in segments of 2 s",
        ("gst-launch-1.0", *_WEB),
        50,
        lambda s: _watch(s, "show", _gstreamer("http://{}/show/index.mpd"), 45),
    ),
    Scene(
        "stream-gstreamer-rtsp",
        GSTREAMER_RTSP,
        "a camera's picture by RTSP, served by VLC",
        ("gst-launch-1.0", "cvlc", *_WEB),
        50,
        _rtsp,
    ),
    Scene(
        "stream-mplayer",
        MPLAYER,
        "a film of 0.6 Mbit/s in one file, read ahead by 512 kB",
        ("mplayer", *_WEB),
        55,
        lambda s: _watch(
            s,
            "whole",
            ("mplayer", "-really-quiet", "-vo", "null", "-ao", "null", "-cache", "512", "http://{}/whole/index.mp4"),
            50,
        ),
    ),
    Scene(
        "stream-streamlink",
        STREAMLINK,
        "a live broadcast of 0.6 Mbit/s in segments of 4 s, handed to a player",
        (str(STREAMLINK_TOOL), "mpv", *_WEB),
        60,
        _live,
    ),
    Scene("stream-rtmpdump", RTMPDUMP, "a broadcast of 0.6 Mbit/s by RTMP", ("rtmpdump", *_WEB), 50, _rtmp),
    Scene("stream-mpg123", MPG123, "a minute of radio, 128 kbit/s", ("mpg123", "icecast2", "ffmpeg"), 65, _radio),
    Scene(
        "stream-firefox-hls",
        FIREFOX,
        "a film of 0.6 Mbit/s in a page with hls.js",
        ("firefox-esr", HLS_JS, *_WEB),
        60,
        _firefox,
    ),
)
