"""Calls by telephones of several families: SIP and RTP, WebRTC from a browser and from Node.js, bare RTP."""

import time
from pathlib import Path

from tests.lab.arena.addresses import PEER_ADDRESSES, SERVER_ADDRESSES, WAN
from tests.lab.arena.call import answering
from tests.lab.arena.programs import needs_module, node_program, npm_version, packaged, version
from tests.lab.arena.stage import Cast, Scene, Stage, node_player
from tests.lab.arena.topology import Door
from tests.lab.arena.web import FIREFOX_PREFERENCES

PHONES = 116  # the first of the peers that have telephones: one for each scene
STUN_SERVER = 126

BARESIP = Cast("call", "baresip", "baresip", lambda: packaged("baresip-core"))
SIPP = Cast("call", "sipp rtp", "sipp", lambda: packaged("sip-tester"))
GSTREAMER = Cast("call", "gstreamer rtp", "gstreamer", lambda: packaged("gstreamer1.0-tools"))
FIREFOX = Cast("call", "firefox webrtc", "firefox", lambda: version("firefox-esr", "--version"))
WERIFT = Cast("call", "werift", "werift", lambda: npm_version("werift"))

BARESIP_SETTINGS = """sip_listen 0.0.0.0:{port}
audio_player aubridge,nowhere
audio_source {source}
audio_alert aubridge,nowhere
video_source fakevideo,nil
video_display fakevideo,nil
video_size 320x240
video_bitrate 300000
video_fps 12
rtp_ports {rtp}
module_path /usr/lib/baresip/modules
module {codec}
module ausine.so
module aufile.so
module aubridge.so
module fakevideo.so
module stun.so
module_app account.so
module_app menu.so
{more}
"""


def speech(stage: Stage, rate: int) -> Path:
    """A minute of sound that comes and goes."""
    path = stage.folder / f"speech{rate}.wav"
    if not path.exists():
        source = ("-f", "lavfi", "-i", f"aevalsrc=0.4*random(0)*sin(3*t)*sin(300*t):s={rate}:d=60")
        stage.processes.start(["ffmpeg", "-v", "error", *source, "-ac", "1", str(path)], log="ffmpeg.log").wait(20)
    return path


def _telephone(stage: Stage, name: str, account: str, port: int, rtp: str, *, picture: bool) -> Path:
    """Settings of a baresip."""
    folder = stage.folder / name
    folder.mkdir()
    codec, more = ("opus.so", "module vp8.so") if picture else ("g711.so", "")
    source = "ausine,440" if picture else f"aufile,{speech(stage, 8000)}"
    settings = BARESIP_SETTINGS.format(port=port, source=source, rtp=rtp, codec=codec, more=more)
    (folder / "config").write_text(settings)
    (folder / "accounts").write_text(account + "\n")
    (folder / "contacts").write_text("")
    return folder


def _baresip(stage: Stage, phone: int, seconds: float, *, picture: bool) -> None:
    """From behind a gateway, whose address a STUN server tells."""
    address, stun = PEER_ADDRESSES[PHONES + phone], SERVER_ADDRESSES[STUN_SERVER]
    port = str(3478 + stage.number)
    stage.server("turnserver", "-S", "-n", "-L", stun, "-p", port, "--no-tls", "--no-dtls", "--log-file", "stdout")
    called = _telephone(
        stage, "called", f"<sip:called@{address}>;regint=0;answermode=auto", 5060, "20000-20100", picture=picture
    )
    through = f'medianat=stun;stunserver="stun:{stun}:{port}"'
    caller = _telephone(
        stage, "caller", f"<sip:guest@{stage.address}>;regint=0;{through}", 5060, "30000-30100", picture=picture
    )
    stage.peer(PHONES + phone, "baresip", "-f", str(called), door=Door.OPEN)
    time.sleep(3)
    with stage.recorded():
        dial = ("-e", f"/dial sip:called@{address}")
        stage.run("baresip", "-f", str(caller), *dial, "-t", str(int(seconds)), for_s=seconds + 5)


def _firefox(stage: Stage, kind: str, seconds: float) -> None:
    address, port = answering(stage, kind)
    profile = stage.folder / "firefox"
    profile.mkdir()
    own = ("media.navigator.streams.fake", "media.navigator.permission.disabled", "media.devices.insecure.enabled")
    own = (*own, "media.getusermedia.insecure.enabled")
    # Without it, its own address goes by a multicast name, which nobody knows on the other side of a gateway.
    preferences = 'user_pref("media.peerconnection.ice.obfuscate_host_addresses", false);\n'
    preferences += f'user_pref("dom.securecontext.allowlist", "{address}");\n'
    preferences += "".join(f'user_pref("{name}", true);\n' for name in own)
    (profile / "user.js").write_text(FIREFOX_PREFERENCES + preferences)
    with stage.recorded():
        page = f"http://{address}:{port}/"
        stage.run("firefox-esr", "--headless", "--profile", str(profile), page, for_s=seconds)


def _werift(stage: Stage, kind: str, seconds: int) -> None:
    address, port = answering(stage, kind)
    player = node_player(stage, "werift.mjs")
    sound = ("-re", "-f", "lavfi", "-i", "aevalsrc=0.4*random(0)*sin(300*t):s=48000", "-c:a", "libopus", "-b:a", "32k")
    picture = ("-re", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=12", "-c:v", "libvpx", "-b:v", "300k")
    picture = (*picture, "-deadline", "realtime", "-cpu-used", "8", "-g", "48")
    with stage.recorded():
        for words, at in ((sound, "5004"), (picture, "5006")):
            if at == "5004" or kind == "video":
                stage.start("ffmpeg", "-v", "error", *words, "-f", "rtp", f"rtp://127.0.0.1:{at}?pkt_size=1100")
        stage.run("node", player, f"http://{address}:{port}/", kind, "5004", "5006", str(seconds), for_s=seconds + 10)


def _gstreamer(stage: Stage, phone: int, seconds: float) -> None:
    """Two who agreed on addresses and ports by other means; the gateway keeps the port."""
    peer, port = PEER_ADDRESSES[PHONES + phone], 21_000 + 10 * stage.number
    stage.peer(PHONES + phone, "gst-launch-1.0", "-q", *_both_ways(WAN, port), door=Door.OPEN)
    with stage.recorded():
        stage.run("gst-launch-1.0", "-q", *_both_ways(peer, port), for_s=seconds)


SIPP_SCENARIO = """<?xml version="1.0" encoding="ISO-8859-1"?>
<scenario name="a call">
  <send retrans="500"><![CDATA[
INVITE sip:called@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport
From: guest <sip:guest@[local_ip]:[local_port]>;tag=[call_number]
To: called <sip:called@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: sip:guest@[local_ip]:[local_port]
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: [len]

v=0
o=guest 1 1 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [rtpstream_audio_port] RTP/AVP 8
a=rtpmap:8 PCMA/8000
]]></send>
  <recv response="100" optional="true"></recv>
  <recv response="180" optional="true"></recv>
  <recv response="200" rtd="true"></recv>
  <send><![CDATA[
ACK sip:called@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport
From: guest <sip:guest@[local_ip]:[local_port]>;tag=[call_number]
To: called <sip:called@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
  <nop><action><exec rtp_stream="{sound},-1,8"/></action></nop>
  <pause milliseconds="{milliseconds}"/>
  <send retrans="500"><![CDATA[
BYE sip:called@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport
From: guest <sip:guest@[local_ip]:[local_port]>;tag=[call_number]
To: called <sip:called@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 2 BYE
Max-Forwards: 70
Content-Length: 0

]]></send>
  <recv response="200"></recv>
</scenario>
"""


def _sipp(stage: Stage, phone: int, seconds: int) -> None:
    """To one who says again what he hears."""
    address = PEER_ADDRESSES[PHONES + phone]
    scenario = stage.folder / "call.xml"
    scenario.write_text(SIPP_SCENARIO.format(sound=speech(stage, 8000), milliseconds=seconds * 1000))
    quiet = {"TERM": "dumb"}
    echo = ("sipp", "-sn", "uas", "-i", address, "-mi", address, "-mp", "16000", "-rtp_echo", "-nostdin")
    stage.peer(PHONES + phone, *echo, door=Door.OPEN)
    time.sleep(2)
    with stage.recorded():
        here = ("-i", stage.address, "-mi", stage.address, "-m", "1", "-nostdin")
        stage.run("sipp", address, "-sf", str(scenario), *here, for_s=seconds + 10, environment=quiet)


def _both_ways(other: str, port: int) -> tuple[str, ...]:
    """What is said and shown here goes there, and what comes from there is heard; each way over one port."""
    sound = "audiotestsrc is-live=true wave=pink-noise ! opusenc bitrate=24000 ! rtpopuspay pt=96"
    picture = "videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=15/1"
    picture += " ! vp8enc target-bitrate=256000 deadline=1 ! rtpvp8pay pt=97"
    legs = []
    for number, leg in enumerate((sound, picture)):
        at = port + 2 * number
        legs.append(f"udpsrc port={at} name=heard{number} ! fakesink")
        legs.append(f"{leg} ! udpsink host={other} port={at} bind-port={at} sync=false async=false")
    return tuple(" ".join(legs).split())


SCENES = (
    Scene(
        "call-baresip-voice",
        BARESIP,
        "voice by SIP, G.711, 30 s",
        ("baresip", "turnserver", "ffmpeg"),
        40,
        lambda s: _baresip(s, 0, 30, picture=False),
    ),
    Scene(
        "call-baresip-video",
        BARESIP,
        "voice and picture by SIP, Opus and VP8, 25 s",
        ("baresip", "turnserver"),
        40,
        lambda s: _baresip(s, 1, 25, picture=True),
    ),
    Scene(
        "call-firefox-voice",
        FIREFOX,
        "voice from a browser, both ways, 30 s",
        ("firefox-esr", needs_module("aiortc")),
        40,
        lambda s: _firefox(s, "audio", 34),
    ),
    Scene(
        "call-firefox-video",
        FIREFOX,
        "voice and picture from a browser, both ways, 22 s",
        ("firefox-esr", needs_module("aiortc")),
        40,
        lambda s: _firefox(s, "video", 26),
    ),
    Scene(
        "call-werift-voice",
        WERIFT,
        "voice, both ways, 30 s",
        (*node_program("werift"), "ffmpeg", needs_module("aiortc")),
        40,
        lambda s: _werift(s, "audio", 30),
    ),
    Scene(
        "call-werift-video",
        WERIFT,
        "voice and picture, both ways, 25 s",
        (*node_program("werift"), "ffmpeg", needs_module("aiortc")),
        40,
        lambda s: _werift(s, "video", 25),
    ),
    Scene("call-sipp", SIPP, "voice by SIP, G.711, 25 s, echoed", ("sipp", "ffmpeg"), 40, lambda s: _sipp(s, 4, 25)),
    Scene(
        "call-gstreamer",
        GSTREAMER,
        "voice and picture by bare RTP, both ways, 25 s",
        ("gst-launch-1.0",),
        30,
        lambda s: _gstreamer(s, 3, 25),
    ),
)
