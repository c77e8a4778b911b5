"""Name lookups in quantity: a resolver that asks root, top-level and domain servers itself, and lists of names."""

import time
from random import Random

from tests.arena.addresses import SEED, SERVER_ADDRESSES
from tests.arena.servers.names import RESOLVER, ROOTS, TOP_LEVELS
from tests.arena.stage import Cast, Scene, Stage, version

UNBOUND = Cast("discovery", "unbound", "unbound", lambda: version("unbound", "-V"))
DIG = Cast("client-server", "dig -f", "dig", lambda: version("dig", "-v"))

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


def _unbound(stage: Stage, count: int, minimise: str) -> None:
    hints = (f". 3600 IN NS ns{i}.root.\nns{i}.root. 3600 IN A {SERVER_ADDRESSES[i]}\n" for i in ROOTS)
    (stage.folder / "hints").write_text("".join(hints))
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
    Scene("dns-dig-list", DIG, "250 names asked of one resolver", ("dig",), 40, _dig),
)
