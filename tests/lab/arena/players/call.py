"""One who takes calls, and one who makes them: WebRTC by aiortc, signalled by one HTTP request.

    python -m tests.lab.arena.players.call answer ADDRESS PORT KIND
    python -m tests.lab.arena.players.call make ADDRESS PORT KIND SECONDS

KIND is `audio` or `video`. At `/` the answering side has a page with which a browser makes the call.
"""

import asyncio
import json
import sys
import urllib.request

from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaBlackhole, MediaPlayer

PAGE = """<html><body><script>
(async () => {
  const media = await navigator.mediaDevices.getUserMedia({audio: true, video: VIDEO});
  const call = new RTCPeerConnection();
  media.getTracks().forEach((track) => call.addTrack(track, media));
  await call.setLocalDescription(await call.createOffer());
  await new Promise((done) => {
    call.onicegatheringstatechange = () => { if (call.iceGatheringState === 'complete') done() };
    setTimeout(done, 3000);
  });
  const answer = await fetch('/offer', {method: 'POST', body: JSON.stringify(call.localDescription)});
  await call.setRemoteDescription(await answer.json());
})();
</script></body></html>"""
TLS_HANDSHAKE = b"\x16"  # RFC 8446 section 5.1
KEPT: list[object] = []


def _add(call: RTCPeerConnection, track: MediaStreamTrack | None) -> None:
    if track is None:
        raise RuntimeError("the made-up microphone or camera gives nothing")
    call.addTrack(track)


def _connection(kind: str) -> RTCPeerConnection:
    call = RTCPeerConnection()
    sound = MediaPlayer("aevalsrc=0.4*random(0)*sin(300*t):s=48000", format="lavfi")
    KEPT.append(sound)
    _add(call, sound.audio)
    if kind == "video":
        picture = MediaPlayer("testsrc2=size=320x240:rate=15", format="lavfi")
        KEPT.append(picture)
        _add(call, picture.video)
    hole = MediaBlackhole()
    KEPT.append(hole)

    @call.on("track")
    async def take(track: MediaStreamTrack) -> None:
        hole.addTrack(track)
        await hole.start()

    @call.on("connectionstatechange")
    async def tell() -> None:
        print(call.connectionState, flush=True)

    return call


async def _answer(offer: dict[str, str], kind: str) -> dict[str, str]:
    call = _connection(kind)
    KEPT.append(call)
    await call.setRemoteDescription(RTCSessionDescription(offer["sdp"], offer["type"]))
    await call.setLocalDescription(await call.createAnswer())
    return {"sdp": call.localDescription.sdp, "type": call.localDescription.type}


async def answer(address: str, port: int, kind: str) -> None:
    """Take calls until killed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readexactly(1)
        if first == TLS_HANDSHAKE:  # a browser that tries the safe way first
            writer.close()
            return
        head = (first + await reader.readuntil(b"\r\n\r\n")).decode()
        if head.startswith("POST"):
            length = next(
                int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length")
            )
            body = json.dumps(await _answer(json.loads(await reader.readexactly(length)), kind)).encode()
            mime = "application/json"
        else:
            picture = "{width: 320, height: 240, frameRate: 15}" if kind == "video" else "false"
            body, mime = PAGE.replace("VIDEO", picture).encode(), "text/html"
        about = f"Content-Type: {mime}\r\nContent-Length: {len(body)}\r\nConnection: close"
        writer.write(f"HTTP/1.1 200 OK\r\n{about}\r\n\r\n".encode())
        writer.write(body)
        await writer.drain()
        writer.close()

    await asyncio.start_server(serve, address, port)
    print("ready", flush=True)
    await asyncio.Event().wait()


async def make(address: str, port: int, kind: str, seconds: float) -> None:
    """One call."""
    call = _connection(kind)
    await call.setLocalDescription(await call.createOffer())
    offer = {"sdp": call.localDescription.sdp, "type": call.localDescription.type}
    request = urllib.request.Request(f"http://{address}:{port}/offer", json.dumps(offer).encode())
    body = await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=10).read())
    reply = json.loads(body)
    await call.setRemoteDescription(RTCSessionDescription(reply["sdp"], reply["type"]))
    await asyncio.sleep(seconds)
    await call.close()


if __name__ == "__main__":
    role, where, at, what = sys.argv[1:5]
    asyncio.run(answer(where, int(at), what) if role == "answer" else make(where, int(at), what, float(sys.argv[5])))
