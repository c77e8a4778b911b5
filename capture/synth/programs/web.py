"""Browsing: pages whose parts lie on a dozen hosts, each reached over up to six TLS connections.

An average page of 2014-15 took 40 connections (HTTP Archive, quoted in http2 explained); browsers open at most six to
one host over HTTP/1.1. Object sizes are log-normal (Barford and Crovella, SIGMETRICS 1998).
"""

from dataclasses import dataclass

from peerburst.capture.synth import dns, tls
from peerburst.capture.synth.settings import setting
from peerburst.capture.synth.site import Remote
from peerburst.capture.synth.stage import Stage
from peerburst.capture.synth.tcp import REMOTE, TcpConversation
from peerburst.capture.vocabulary import FlowKind

MOST_PER_HOST = 6
OBJECT_MEDIAN, OBJECT_SIGMA = 6000, 1.1
OBJECT_SMALLEST, OBJECT_LARGEST = 200, 250_000
REQUEST_MEDIAN, REQUEST_SIGMA = 480, 0.3
# Servers keep a connection open for 5 (Apache 2.4) to 75 s (nginx), many for 15.
IDLE_CLOSES_S = (5.0, 15.0, 15.0, 30.0, 75.0)
# What the servers of a page close, others are closed by the browser when the page is left.
PROMPT_SHARE = 0.25
SITES = ("news", "mail", "maps", "shop", "travel", "bank", "forum", "wiki", "video", "blog")
HOSTS = ("www", "static", "img", "cdn", "api", "ads", "stats", "fonts", "login", "social")
# A fifth of a page's hosts were met on an earlier one: advertisers, fonts, counters.
SHARED_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Settings:
    """How much a reader reads and how heavy the pages are."""

    page_gap_s: float = setting(40.0, least=1)  # mean time from one page to the next
    connections: int = setting(24, least=1, most=256)  # per page, mean
    hosts: int = setting(14, least=1, most=100)  # per page
    rate_kbps: int = setting(6000, least=64)


def play(settings: Settings, stage: Stage) -> None:
    at = stage.start_s
    known: dict[str, Remote] = {}
    while at < stage.end_s:
        _load_page(settings, stage, at, known)
        at += 5.0 + stage.dice.exponential(max(1.0, settings.page_gap_s - 5.0))


def _load_page(settings: Settings, stage: Stage, at: float, known: dict[str, Remote]) -> None:
    """The page's own host first, then all others as the text names them."""
    dice = stage.dice
    wanted = max(1, round(settings.connections * dice.uniform(0.6, 1.4)))
    hosts = min(settings.hosts, wanted)
    name, remote, ready = _host(stage, at, known, first=True)
    first = tls.open_tls(stage, ready, remote, name, FlowKind.ORDINARY)
    _fetch(settings, stage, first, objects=1)
    text_read = first.now
    _fetch(settings, stage, first, objects=dice.integer(1, 3))
    _leave(stage, first)
    per_host = _spread(wanted - 1, hosts, stage)
    for count in per_host:
        met = text_read + dice.exponential(0.4)
        name, remote, ready = _host(stage, met, known, first=False)
        for _ in range(count):
            talk = tls.open_tls(stage, ready + dice.exponential(0.05), remote, name, FlowKind.ORDINARY)
            _fetch(settings, stage, talk, objects=dice.integer(1, 2))
            _leave(stage, talk)


def _spread(connections: int, hosts: int, stage: Stage) -> list[int]:
    """Connections per host: one each, the rest by chance, never more than six."""
    counts = [1] * min(hosts, connections)
    for _ in range(connections - len(counts)):
        free = [host for host, count in enumerate(counts) if count < MOST_PER_HOST]
        if free:
            counts[stage.dice.pick(free)] += 1
    return counts


def _host(stage: Stage, at: float, known: dict[str, Remote], *, first: bool) -> tuple[str, Remote, float]:
    """A host of the page, its address and when the address is known: an old acquaintance needs no lookup."""
    dice = stage.dice
    if known and not first and dice.happens(SHARED_SHARE):
        name = dice.pick(list(known))
        return name, known[name], at
    part = "www" if first else dice.pick(HOSTS)
    name = f"{part}.{dice.pick(SITES)}{len(known)}.example"
    remote = known[name] = stage.server()
    return name, remote, dns.lookup(stage, at, name, [remote])


def _fetch(settings: Settings, stage: Stage, talk: TcpConversation, objects: int) -> None:
    dice = stage.dice
    for _ in range(objects):
        size = min(OBJECT_LARGEST, OBJECT_SMALLEST + round(dice.log_normal(OBJECT_MEDIAN, OBJECT_SIGMA)))
        request = round(dice.log_normal(REQUEST_MEDIAN, REQUEST_SIGMA))
        think = 0.01 + dice.exponential(0.04)
        rate = settings.rate_kbps * 1000
        talk.exchange(talk.now + dice.exponential(0.05), (b"", request), (b"", size), think_s=think, rate_bps=rate)


def _leave(stage: Stage, talk: TcpConversation) -> None:
    """Some connections end with their object, most when the server has waited long enough."""
    dice = stage.dice
    if dice.happens(PROMPT_SHARE):
        talk.close(talk.now + dice.exponential(0.2))
    else:
        talk.close(talk.now + dice.pick(IDLE_CLOSES_S), by=REMOTE)
