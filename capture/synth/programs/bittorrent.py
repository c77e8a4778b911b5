"""Joining a BitTorrent swarm: tracker, DHT, dozens of peers of which a few carry nearly all bytes.

BEP 3 (peers and tracker), BEP 5 (DHT). The pace is libtorrent 2's: 30 connection attempts a second at most and a
timeout of 15 s (`connection_speed`, `peer_connect_timeout`). A quarter of the peers fail and three connections carry
over nine tenths of the bytes, as measured on a transfer.
"""

import struct
from dataclasses import dataclass

from peerburst.capture.synth import dns
from peerburst.capture.synth.dice import Dice
from peerburst.capture.synth.settings import setting
from peerburst.capture.synth.stage import Stage
from peerburst.capture.synth.tcp import TcpConversation
from peerburst.capture.synth.udp import UdpConversation
from peerburst.capture.vocabulary import FlowKind

TRACKER = "tracker.example"
TRACKER_PORT = 6969
HANDSHAKE = b"\x13BitTorrent protocol"
HANDSHAKE_SIZE = 68
# BEP 3 messages: length, kind, and for a request piece, offset and size.
INTERESTED, HAVE, BITFIELD, REQUEST, PIECE = 2, 4, 5, 6, 7
BLOCK = 16_384
BLOCKS_PER_PIECE = 16
BLOCKS_ASKED = 8
LAST_PIECE = 1599
BLOCKS = (LAST_PIECE + 1) * BLOCKS_PER_PIECE
KEEPALIVE_S = 120.0
TIMEOUT_S = 15.0
ID_SIZE = 20
NODE_SIZE = 26  # BEP 5 compact node: id, address, port
NODES_RETURNED = 8
COMPACT_PEER = 6  # BEP 23: address, port


@dataclass(frozen=True, slots=True)
class Settings:
    """The swarm's size and how fast the few that give, give."""

    dht_nodes: int = setting(100, least=0, most=5000)
    peers: int = setting(40, least=1, most=2000)
    attempts_per_s: float = setting(2.0, least=0.01, most=30)
    failing_share: float = setting(0.25, least=0, most=1)
    giving_peers: int = setting(3, least=0, most=50)
    rate_kbps: int = setting(800, least=8)  # of all giving peers together
    megabytes: float = setting(10.0, least=0)
    local_port: int = setting(6881, least=1024, most=65535)


def play(settings: Settings, stage: Stage) -> None:
    dice = stage.dice
    torrent, own_id = dice.random_bytes(ID_SIZE), dice.random_bytes(ID_SIZE)
    begun = _announce(settings, stage, torrent)
    _walk_dht(settings, stage, torrent, own_id)
    at = begun
    giving = 0
    for _ in range(settings.peers):
        at += dice.exponential(1.0 / settings.attempts_per_s)
        if at >= stage.end_s:
            return
        talk = TcpConversation(stage, stage.peer(), dice.integer(1025, 65535), FlowKind.ORDINARY)
        if dice.happens(settings.failing_share):
            _fail(talk, at, dice)
            continue
        greeted = _greet(talk, at, torrent, own_id, dice.random_bytes(ID_SIZE))
        if giving < settings.giving_peers:
            giving += 1
            _take_pieces(settings, stage, talk, greeted)
        else:
            _keep(stage, talk, greeted)


def _announce(settings: Settings, stage: Stage, torrent: bytes) -> float:
    """The tracker is asked over HTTP and tells peers in compact form, 6 bytes each (BEP 23)."""
    server = stage.server()
    at = dns.lookup(stage, stage.start_s, TRACKER, [server])
    talk = TcpConversation(stage, server, TRACKER_PORT, FlowKind.SERVICE)
    escaped = "".join(f"%{byte:02x}" for byte in torrent)
    target = f"/announce?info_hash={escaped}&port={settings.local_port}&compact=1"
    request = f"GET {target} HTTP/1.1\r\nHost: {TRACKER}\r\n\r\n"
    size = COMPACT_PEER * settings.peers
    body = f"d8:intervali1800e5:peers{size}:".encode()
    header = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body) + size + 1}\r\n\r\n".encode() + body
    header += stage.dice.random_bytes(size) + b"e"
    at = talk.exchange(talk.connect(at), (request.encode(), len(request)), (header, len(header)), think_s=0.03)
    return talk.close(at + 0.01)


def _walk_dht(settings: Settings, stage: Stage, torrent: bytes, own_id: bytes) -> None:
    """get_peers to ever nearer nodes, five at a time (libtorrent's `search_branching`)."""
    dice = stage.dice
    at = stage.start_s + 0.5
    for number in range(settings.dht_nodes):
        talk = UdpConversation(
            stage, stage.peer(), dice.integer(1025, 65535), FlowKind.PROBE, local_port=settings.local_port
        )
        mark = dice.random_bytes(2)
        query = b"d1:ad2:id20:" + own_id + b"9:info_hash20:" + torrent + b"e1:q9:get_peers1:t2:" + mark + b"1:y1:qe"
        if dice.happens(settings.failing_share):
            talk.send(at, query)
        else:
            nodes = dice.random_bytes(NODE_SIZE * NODES_RETURNED)
            head = b"d1:rd2:id20:" + dice.random_bytes(ID_SIZE) + b"5:nodes%d:" % len(nodes) + nodes
            reply = head + b"5:token8:" + dice.random_bytes(8) + b"e1:t2:" + mark + b"1:y1:re"
            talk.exchange(at, (query, len(query)), (reply, len(reply)))
        at += 0.001 if number % 5 else dice.exponential(1.0)


def _fail(talk: TcpConversation, at: float, dice: Dice) -> None:
    """Most that fail are silent, behind a NAT of their own; the others have left and refuse."""
    talk.flow.kind = FlowKind.PROBE
    if dice.happens(0.7):
        talk.connect_unanswered(at, patience_s=TIMEOUT_S)
    else:
        talk.connect_refused(at)


def _greet(talk: TcpConversation, at: float, torrent: bytes, own_id: bytes, their_id: bytes) -> float:
    hello = HANDSHAKE + bytes(8) + torrent
    at = talk.exchange(
        talk.connect(at), (hello + own_id, HANDSHAKE_SIZE), (hello + their_id, HANDSHAKE_SIZE), think_s=0.01
    )
    bitfield = struct.pack(">IB", 1 + (LAST_PIECE + 1) // 8, BITFIELD)
    return talk.exchange(at, (struct.pack(">IB", 1, INTERESTED), 5), (bitfield, 205), think_s=0.01)


def _take_pieces(settings: Settings, stage: Stage, talk: TcpConversation, at: float) -> None:
    """Blocks asked for eight at a time, until this peer has given its part."""
    talk.flow.kind = FlowKind.HEAVY
    left = settings.megabytes * 1e6 / settings.giving_peers
    rate_bps = settings.rate_kbps * 1000 / settings.giving_peers
    first = BLOCKS_PER_PIECE * stage.dice.integer(0, LAST_PIECE)
    while left > 0 and at < stage.end_s:
        asked = [divmod(number % BLOCKS, BLOCKS_PER_PIECE) for number in range(first, first + BLOCKS_ASKED)]
        requests = b"".join(struct.pack(">IBIII", 13, REQUEST, piece, block * BLOCK, BLOCK) for piece, block in asked)
        blocks = b"".join(
            struct.pack(">IBII", BLOCK + 9, PIECE, piece, block * BLOCK) + bytes(BLOCK) for piece, block in asked
        )
        at = talk.exchange(at, (requests, len(requests)), (blocks, len(blocks)), rate_bps=rate_bps)
        first += BLOCKS_ASKED
        left -= BLOCKS_ASKED * BLOCK
    _keep(stage, talk, at)


def _keep(stage: Stage, talk: TcpConversation, at: float) -> None:
    """A peer that has nothing for us tells of its new pieces; silence is broken every two minutes."""
    while at < stage.end_s:
        silence = stage.dice.exponential(60.0)
        if silence < KEEPALIVE_S:
            at = talk.download(at + silence, struct.pack(">IBI", 5, HAVE, stage.dice.integer(0, LAST_PIECE)))
        else:
            at = talk.upload(at + KEEPALIVE_S, bytes(4))
