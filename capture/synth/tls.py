"""TLS 1.3 as it looks from outside (RFC 8446): real hellos, then records whose ciphertext is zero bytes."""

import struct

from peerburst.capture.synth.dice import Dice
from peerburst.capture.synth.site import Remote
from peerburst.capture.synth.stage import Stage
from peerburst.capture.synth.tcp import TcpConversation
from peerburst.capture.vocabulary import FlowKind

PORT = 443
HANDSHAKE, CHANGE_CIPHER_SPEC, APPLICATION_DATA = 22, 20, 23
CLIENT_HELLO, SERVER_HELLO = 1, 2
CIPHERS = (0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030)
SERVER_NAME, GROUPS, SIGNATURES, PADDING, VERSIONS, KEY_SHARE = 0, 10, 13, 21, 43, 51
X25519 = 0x001D
# Browsers pad the hello to 512 bytes (RFC 7685), 517 with the record header.
HELLO_SIZE = 512
# A chain of two or three certificates; the client's Finished, and two session tickets.
CERTIFICATES_MEDIAN, CERTIFICATES_SIGMA = 3600, 0.25
CLIENT_FINISHED, TICKETS = 80, 510
SHORTEST_RECORD = 5 + 1 + 16  # header, inner type, authentication tag
CHANGE_CIPHER_RECORD = bytes([CHANGE_CIPHER_SPEC, 3, 3, 0, 1, 1])


def record_opening(size: int) -> bytes:
    """The header of a record of `size` bytes in all: one record to a segment, as servers in a hurry send them."""
    return struct.pack(">BHH", APPLICATION_DATA, 0x0303, size - 5) if size > 5 else b""


def open_tls(
    stage: Stage, at: float, remote: Remote, name: str, kind: FlowKind, port: int = PORT, *, lost_syn: float = 0.01
) -> TcpConversation:
    """A connection to `remote` with the handshake done; ready at its `now`. `lost_syn`: how often a SYN is lost."""
    dice = stage.dice
    talk = TcpConversation(stage, remote, port, kind, opening=record_opening, shortest=SHORTEST_RECORD)
    at = talk.connect_late(at) if dice.happens(lost_syn) else talk.connect(at)
    hello = client_hello(name, dice)
    session = hello[44:76]
    certificates = max(1200, round(dice.log_normal(CERTIFICATES_MEDIAN, CERTIFICATES_SIGMA)))
    flight = server_hello(session, dice) + CHANGE_CIPHER_RECORD
    at = talk.exchange(at + 0.001, (hello, len(hello)), (flight, len(flight) + certificates), think_s=0.004)
    finished = len(CHANGE_CIPHER_RECORD) + CLIENT_FINISHED
    talk.exchange(at + 0.002, (CHANGE_CIPHER_RECORD, finished), (b"", TICKETS), think_s=0.002)
    return talk


def client_hello(name: str, dice: Dice) -> bytes:
    """A hello for TLS 1.3 with the server's name, padded to its usual size."""
    host = name.encode()
    extensions = (
        _extension(SERVER_NAME, struct.pack(">HBH", len(host) + 3, 0, len(host)) + host)
        + _extension(GROUPS, struct.pack(">HHH", 4, X25519, 0x0017))
        + _extension(SIGNATURES, struct.pack(">HHHH", 6, 0x0403, 0x0804, 0x0401))
        + _extension(VERSIONS, struct.pack(">BHH", 4, 0x0304, 0x0303))
        + _extension(KEY_SHARE, struct.pack(">HHH", 36, X25519, 32) + dice.random_bytes(32))
    )
    ciphers = b"".join(cipher.to_bytes(2, "big") for cipher in CIPHERS)
    start = struct.pack(">H", 0x0303) + dice.random_bytes(32) + b"\x20" + dice.random_bytes(32)
    start += len(ciphers).to_bytes(2, "big") + ciphers + b"\x01\x00"
    extensions += _extension(PADDING, bytes(max(0, HELLO_SIZE - 4 - len(start) - 2 - len(extensions) - 4)))
    return _handshake(CLIENT_HELLO, start + len(extensions).to_bytes(2, "big") + extensions, 0x0301)


def server_hello(session: bytes, dice: Dice) -> bytes:
    extensions = _extension(VERSIONS, b"\x03\x04")
    extensions += _extension(KEY_SHARE, struct.pack(">HH", X25519, 32) + dice.random_bytes(32))
    start = b"\x03\x03" + dice.random_bytes(32) + bytes([len(session)]) + session + struct.pack(">HB", CIPHERS[0], 0)
    return _handshake(SERVER_HELLO, start + len(extensions).to_bytes(2, "big") + extensions, 0x0303)


def _extension(kind: int, data: bytes) -> bytes:
    return struct.pack(">HH", kind, len(data)) + data


def _handshake(kind: int, body: bytes, version: int) -> bytes:
    message = bytes([kind]) + len(body).to_bytes(3, "big") + body
    return struct.pack(">BHH", HANDSHAKE, version, len(message)) + message
