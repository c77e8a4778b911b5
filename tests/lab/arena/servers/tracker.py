"""A BitTorrent tracker (BEP 3 and 23), and some peers of the past that it still tells of.

python -m tests.lab.arena.servers.tracker ADDRESS PORT [GONE_ADDRESS:PORT...]
"""

import socket
import struct
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from urllib.parse import parse_qs, urlsplit

INTERVAL_S = 1800
USUAL_COUNT = 50

GONE: list[bytes] = []
SWARMS: dict[bytes, set[bytes]] = {}


def compact(address: str, port: int) -> bytes:
    """Four bytes of address and two of port (BEP 23)."""
    return socket.inet_aton(address) + struct.pack("!H", port)


class Tracker(BaseHTTPRequestHandler):
    """Answers GET /announce."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Note the peer and tell it of others."""
        asked = parse_qs(urlsplit(self.path).query, encoding="latin-1")
        swarm = SWARMS.setdefault(asked.get("info_hash", [""])[0].encode("latin-1"), set(GONE))
        me = compact(self.client_address[0], int(asked["port"][0]))
        others = sorted(swarm - {me})
        Random(me).shuffle(others)
        if asked.get("event", [""])[0] == "stopped":
            swarm.discard(me)
        else:
            swarm.add(me)
        peers = b"".join(others[: int(asked.get("numwant", [str(USUAL_COUNT)])[0])])
        body = b"d8:intervali%de5:peers%d:%se" % (INTERVAL_S, len(peers), peers)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: it would fill the log."""


if __name__ == "__main__":
    for word in sys.argv[3:]:
        gone, _, port = word.partition(":")
        GONE.append(compact(gone, int(port)))
    server = ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Tracker)
    print("ready", flush=True)
    server.serve_forever()
