"""The made-up internet's names: a resolver, and root, top-level and domain servers for those who resolve themselves.

    python -m tests.lab.arena.servers.names HOSTS.json

HOSTS.json maps names to addresses. Any name under a domain `site<number>.<top level>` exists besides; its address and
its domain's servers follow from the name, and `mail.` before it is where its mail goes. The first server is the
resolver, the next two are the root's.
"""

import json
import selectors
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from dnslib import MX, NS, QTYPE, RCODE, RR, A, DNSRecord  # type: ignore[import-untyped]

from tests.lab.arena.addresses import SERVER_ADDRESSES

RESOLVER = 0
ROOTS = (1, 2)
TOP_LEVELS = {"com": (3, 4), "net": (3, 4), "org": (5, 6), "io": (7, 8), "de": (9, 10), "fr": (11, 12)}
DOMAIN_SERVERS = range(13, 60)
TTL_S = 300
TTL_REFERRAL_S = 3600


def _pick(what: str, numbers: Sequence[int], count: int) -> list[str]:
    return [SERVER_ADDRESSES[i] for i in Random(what).sample(numbers, count)]


def domain_of(name: str) -> str | None:
    """The registered domain of a name, if it is one of ours."""
    labels = name.split(".")
    known = len(labels) >= 2 and labels[-1] in TOP_LEVELS and labels[-2].startswith("site") and labels[-2][4:].isdigit()
    return ".".join(labels[-2:]) if known else None


def addresses_of(name: str, hosts: Mapping[str, str]) -> list[str]:
    """Where a name leads; nowhere if it does not exist."""
    if name in hosts:
        return [hosts[name]]
    if domain_of(name) is None:
        return []
    return _pick(name, range(120, 150) if name.startswith("mail.") else range(60, 120), 1)


def _refer(reply: DNSRecord, zone: str, servers: Sequence[str]) -> None:
    for number, address in enumerate(servers):
        server = f"ns{number}.{zone or 'root'}."
        reply.add_auth(RR(f"{zone}.", QTYPE.NS, ttl=TTL_REFERRAL_S, rdata=NS(server)))
        reply.add_ar(RR(server, QTYPE.A, ttl=TTL_REFERRAL_S, rdata=A(address)))


def answer(asked: bytes, here: str, hosts: Mapping[str, str]) -> bytes:
    """What the server at this address says to a question."""
    question = DNSRecord.parse(asked)
    reply = question.reply()
    name, kind = str(question.q.qname).rstrip(".").lower(), QTYPE[question.q.qtype]
    server, domain = SERVER_ADDRESSES.index(here), domain_of(name)
    top = name.rsplit(".", 1)[-1]
    reply.header.ra = int(server == RESOLVER)
    if server in ROOTS and top in TOP_LEVELS:
        reply.header.aa = 0
        _refer(reply, top, [SERVER_ADDRESSES[i] for i in TOP_LEVELS[top]])
    elif server in ROOTS and not name and kind == "NS":
        for number in ROOTS:
            reply.add_answer(RR(".", QTYPE.NS, ttl=TTL_REFERRAL_S, rdata=NS(f"ns{number}.root.")))
            reply.add_ar(RR(f"ns{number}.root.", QTYPE.A, ttl=TTL_REFERRAL_S, rdata=A(SERVER_ADDRESSES[number])))
    elif domain is not None and server in TOP_LEVELS[top]:
        reply.header.aa = 0
        _refer(reply, domain, _pick(domain, DOMAIN_SERVERS, 2))
    else:
        found = addresses_of(name, hosts)
        if not found:
            reply.header.rcode = RCODE.NXDOMAIN
        elif kind == "MX" and domain is not None:
            reply.add_answer(RR(str(question.q.qname), QTYPE.MX, ttl=TTL_S, rdata=MX(f"mail.{domain}.", 10)))
        elif kind == "A":
            for address in found:
                reply.add_answer(RR(str(question.q.qname), QTYPE.A, ttl=TTL_S, rdata=A(address)))
    return bytes(reply.pack())


def main(hosts_file: str) -> None:
    """Answer until killed."""
    hosts: dict[str, str] = json.loads(Path(hosts_file).read_text())
    selector = selectors.DefaultSelector()
    for number in (RESOLVER, *ROOTS, *range(3, 13), *DOMAIN_SERVERS):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind((SERVER_ADDRESSES[number], 53))
        selector.register(server, selectors.EVENT_READ, SERVER_ADDRESSES[number])
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            listener = key.fileobj
            assert isinstance(listener, socket.socket)
            asked, client = listener.recvfrom(4096)
            try:
                listener.sendto(answer(asked, key.data, hosts), client)
            except Exception as error:  # a resolver must outlive whatever a guest sends it
                print(f"no answer: {error}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
