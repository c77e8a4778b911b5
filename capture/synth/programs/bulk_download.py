"""One big file over one connection or a few, as fast as its share of the line allows."""

from dataclasses import dataclass

from peerburst.capture.synth import dns
from peerburst.capture.synth.settings import setting
from peerburst.capture.synth.stage import Stage
from peerburst.capture.synth.tcp import REMOTE, TcpConversation
from peerburst.capture.vocabulary import FlowKind

PORT = 80
# Downloads come in pieces this long in time, so that a connection can stop when its hour is over.
PIECE_S = 5.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How big, how fast in all, over how many connections (download managers take several)."""

    megabytes: float = setting(20.0, least=0.001)
    rate_kbps: int = setting(1500, least=8)
    connections: int = setting(1, least=1, most=32)
    server: str = setting("mirror.example")


def play(settings: Settings, stage: Stage) -> None:
    server = stage.server()
    at = dns.lookup(stage, stage.start_s, settings.server, [server])
    for part in range(settings.connections):
        _download_part(settings, stage, TcpConversation(stage, server, PORT, FlowKind.HEAVY), at + 0.05 * part)


def _download_part(settings: Settings, stage: Stage, talk: TcpConversation, at: float) -> None:
    rate_bps = settings.rate_kbps * 1000 / settings.connections
    left = round(settings.megabytes * 1e6 / settings.connections)
    request = f"GET /image.iso HTTP/1.1\r\nHost: {settings.server}\r\n\r\n".encode()
    header = f"HTTP/1.1 200 OK\r\nContent-Length: {left}\r\nConnection: close\r\n\r\n".encode()
    piece = round(rate_bps * PIECE_S / 8)
    first = min(left, piece)
    left -= first
    at = talk.exchange(talk.connect(at), (request, len(request)), (header, len(header) + first), rate_bps=rate_bps)
    while left and at < stage.end_s:
        size = min(left, piece)
        left -= size
        at = talk.download(at, b"", size, rate_bps=rate_bps)
    if left:
        talk.reset(at)
    else:
        talk.close(at, by=REMOTE)
