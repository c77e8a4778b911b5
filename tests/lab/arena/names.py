"""Name lookups in quantity: a resolver that asks root, top-level and domain servers itself, and lists of names."""

import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from tests.lab.arena.addresses import SEED, SERVER_ADDRESSES
from tests.lab.arena.programs import packaged, version
from tests.lab.arena.servers.names import RESOLVER, ROOTS, TOP_LEVELS
from tests.lab.arena.stage import Cast, Scene, Stage

UNBOUND = Cast("discovery", "unbound", "unbound", lambda: version("unbound", "-V"))
BIND = Cast("discovery", "named", "bind", lambda: packaged("bind9"))
KNOT = Cast("discovery", "kresd", "knot-resolver", lambda: packaged("knot-resolver"))
POWERDNS = Cast("discovery", "pdns_recursor", "pdns-recursor", lambda: packaged("pdns-recursor"))
DIG = Cast("client-server", "dig -f", "bind", lambda: version("dig", "-v"))

SETTINGS = """server:
  interface: 127.0.0.1
  do-ip6: no
  do-daemonize: no
  use-syslog: no
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: "{folder}/unbound.pid"
  root-hints: "{folder}/hints"
  module-config: "iterator"
  num-threads: 1
  outgoing-range: 900
  qname-minimisation: {minimise}
"""


def _list(stage: Stage, count: int) -> str:
    """A file of names, in many domains."""
    random = Random(SEED + stage.number)
    path = stage.folder / "names"
    tops = list(TOP_LEVELS)
    names = (f"www{random.randrange(9)}.site{random.randrange(400)}.{random.choice(tops)}" for _ in range(count))
    path.write_text("\n".join(names) + "\n")
    return str(path)


NAMED = """options {{
  directory "{folder}";
  pid-file "{folder}/named.pid";
  session-keyfile "{folder}/session.key";
  listen-on port 53 {{ 127.0.0.1; }};
  listen-on-v6 {{ none; }};
  recursion yes;
  dnssec-validation no;
}};
controls {{ }};
zone "." {{ type hint; file "{folder}/hints"; }};
"""
KRESD = """net.listen('127.0.0.1', 53)
net.ipv6 = false
trust_anchors.remove('.')
modules = {{ 'hints' }}
hints.root_file('{folder}/hints')
cache.open(10 * MB, 'lmdb://{folder}/cache')
"""


def _hints(stage: Stage) -> None:
    """Where the root's servers are."""
    hints = (f". 3600 IN NS ns{i}.root.\nns{i}.root. 3600 IN A {SERVER_ADDRESSES[i]}\n" for i in ROOTS)
    (stage.folder / "hints").write_text("".join(hints))


def _resolver(stage: Stage, command: Sequence[str], count: int, a_second: int) -> None:
    """A resolver is asked, on its own machine, for so many names, so many a second."""
    questions = stage.folder / "questions"
    names = Path(_list(stage, count)).read_text().split()
    questions.write_text("".join(f"{name} A\n" for name in names))
    with stage.recorded():
        stage.start(*command)
        time.sleep(2)
        stage.run("dnsperf", "-d", str(questions), "-s", "127.0.0.1", "-Q", str(a_second), "-n", "1", for_s=35)
        time.sleep(2)


def _named(stage: Stage) -> None:
    _hints(stage)
    settings = stage.folder / "named.conf"
    settings.write_text(NAMED.format(folder=stage.folder))
    _resolver(stage, ("named", "-g", "-4", "-n", "1", "-c", str(settings)), 220, 12)


def _kresd(stage: Stage) -> None:
    _hints(stage)
    settings = stage.folder / "kresd.conf"
    settings.write_text(KRESD.format(folder=stage.folder))
    _resolver(stage, ("kresd", "-n", "-c", str(settings), str(stage.folder)), 90, 4)


def _powerdns(stage: Stage) -> None:
    _hints(stage)
    settings = ("--dnssec=off", "--threads=1", f"--hint-file={stage.folder}/hints", "--daemon=no")
    where = (f"--config-dir={stage.folder}", f"--socket-dir={stage.folder}", "--local-address=127.0.0.1")
    _resolver(stage, ("pdns_recursor", *settings, *where, "--quiet=yes", "--write-pid=no"), 350, 40)


def _unbound(stage: Stage, count: int, minimise: str) -> None:
    _hints(stage)
    (stage.folder / "unbound.conf").write_text(SETTINGS.format(folder=stage.folder, minimise=minimise))
    names = _list(stage, count)
    with stage.recorded():
        stage.start("unbound", "-c", str(stage.folder / "unbound.conf"))
        time.sleep(1)
        stage.run("dig", "@127.0.0.1", "+short", "+tries=1", "+time=4", "-f", names, for_s=35)


def _dig(stage: Stage) -> None:
    names = _list(stage, 250)
    with stage.recorded():
        stage.run("dig", f"@{SERVER_ADDRESSES[RESOLVER]}", "+short", "+noedns", "-f", names, for_s=35)


SCENES = (
    Scene(
        "dns-unbound",
        UNBOUND,
        "a resolver that asks root, top-level and domain servers itself for 200 names",
        ("unbound", "dig"),
        40,
        lambda s: _unbound(s, 200, "no"),
    ),
    Scene(
        "dns-unbound-minimising",
        UNBOUND,
        "the same with minimised questions, 120 names",
        ("unbound", "dig"),
        40,
        lambda s: _unbound(s, 120, "yes"),
    ),
    Scene(
        "dns-named",
        BIND,
        "a resolver that asks root, top-level and domain servers itself for 220 names, 12 a second",
        ("named", "dnsperf"),
        40,
        _named,
    ),
    Scene(
        "dns-kresd",
        KNOT,
        "a resolver that asks root, top-level and domain servers itself for 90 names, 4 a second",
        ("kresd", "dnsperf"),
        40,
        _kresd,
    ),
    Scene(
        "dns-powerdns",
        POWERDNS,
        "a resolver that asks root, top-level and domain servers itself for 350 names, 40 a second",
        ("pdns_recursor", "dnsperf"),
        40,
        _powerdns,
    ),
    Scene("dns-dig-list", DIG, "250 names asked of one resolver", ("dig",), 40, _dig),
)
