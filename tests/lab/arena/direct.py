"""P2P bulk that is not BitTorrent: Direct Connect, a hub where people meet and search, and files from each other."""

import base64
import json
import subprocess
import time
from pathlib import Path
from random import Random

from tests.lab.arena.addresses import SERVER_ADDRESSES
from tests.lab.arena.namespaces import command_in
from tests.lab.arena.programs import packaged
from tests.lab.arena.stage import Cast, Scene, Stage
from tests.lab.arena.topology import Door, usual_door

HUB_SERVER = 130
FILE_BYTES = 4 << 20
UPLOAD_KIB_S = 90  # of each person's line
EISKALT = Cast("p2p-bulk", "eiskaltdcpp", "eiskaltdcpp", lambda: packaged("eiskaltdcpp-daemon"))

HUB = """server_port={port}
server_bind_addr={address}
hub_name=arena
file_acl={folder}/users
"""
SETTINGS = """<?xml version="1.0" encoding="utf-8" standalone="yes"?>
<DCPlusPlus><Settings>
<Nick type="string">{nick}</Nick>
<CID type="string">{key}</CID>
<IncomingConnections type="int">{incoming}</IncomingConnections>
<TCPPort type="int">{port}</TCPPort>
<UDPPort type="int">{port}</UDPPort>
<TLSPort type="int">{secure_port}</TLSPort>
<HashingStartDelay type="int">0</HashingStartDelay>
<EnableThrottle type="int">1</EnableThrottle>
<MaxUploadSpeedMain type="int">{upload}</MaxUploadSpeedMain>
</Settings></DCPlusPlus>
"""
DIRECT, PASSIVE = 0, 3  # the program's own numbers for those who can be called, and those who cannot


def _person(stage: Stage, nick: str, random: Random, *, incoming: int) -> list[str]:
    """Settings of somebody; the command."""
    home = stage.folder / nick
    home.mkdir()
    key = base64.b32encode(random.randbytes(24)).decode().rstrip("=")
    port = random.randrange(10_000, 60_000)
    settings = SETTINGS.format(
        nick=nick, key=key, incoming=incoming, port=port, secure_port=port + 1, upload=UPLOAD_KIB_S
    )
    (home / "DCPlusPlus.xml").write_text(settings)
    return ["env", f"HOME={home}", "eiskaltdcpp-daemon", "-c", str(home), "-l", str(home)]


def _order(namespace: str, method: str, **given: object) -> object:
    """Tell a running one what to do, from its own machine."""
    order = json.dumps({"jsonrpc": "2.0", "id": "1", "method": method, "params": given})
    curl = ["curl", "-s", "-m", "5", "http://127.0.0.1:3121", "-d", order]
    done = subprocess.run(command_in(namespace, curl), capture_output=True, text=True, check=False)
    return json.loads(done.stdout).get("result") if done.stdout else None


def _direct_connect(stage: Stage, people: int, seconds: float) -> None:
    random = Random(stage.number)
    address, port = SERVER_ADDRESSES[HUB_SERVER], 1511 + stage.number
    (stage.folder / "users").write_text("")
    settings = stage.folder / "uhub.conf"
    settings.write_text(HUB.format(port=port, address=address, folder=stage.folder))
    stage.server("uhub", "-c", str(settings))
    share = stage.folder / "share"
    share.mkdir()
    (share / "film.bin").write_bytes(random.randbytes(FILE_BYTES))
    numbers = [n for n in ((stage.number * 3 + i) % 100 for i in range(100)) if usual_door(n) is Door.OPEN][:people]
    hub = f"adc://{address}:{port}"
    for number in numbers:
        stage.peer(number, *_person(stage, f"person{number}", random, incoming=DIRECT))
    time.sleep(4)
    for number in numbers:
        _order(stage.topology.peer(number), "share.add", directory=f"{share}/", virtname="share")
    time.sleep(2)
    for number in numbers:
        _order(stage.topology.peer(number), "hash.pause")  # it begins paused
    time.sleep(4)
    for number in numbers:
        _order(stage.topology.peer(number), "share.refresh")
        _order(stage.topology.peer(number), "hub.add", huburl=hub, enc="")
    time.sleep(4)
    with stage.recorded():
        _fetch(stage, hub, random, seconds)


def _fetch(stage: Stage, hub: str, random: Random, seconds: float) -> None:
    """The guest comes, looks for a film, and takes it from all who have it."""
    stage.start(*_person(stage, "guest", random, incoming=PASSIVE))
    time.sleep(3)
    until = time.monotonic() + seconds
    _order(stage.guest, "hub.add", huburl=hub, enc="")
    time.sleep(3)
    wanted = {"searchtype": 0, "sizemode": 0, "sizetype": 0, "size": 0}
    _order(stage.guest, "search.send", searchstring="film", huburls=hub, **wanted)
    time.sleep(4)
    found = _order(stage.guest, "search.getresults", huburl="")
    if not isinstance(found, list) or not found:
        raise RuntimeError("nobody has the film")
    magnet = f"magnet:?xt=urn:tree:tiger:{found[0]['TTH']}&xl={FILE_BYTES}&dn=film.bin"
    _order(stage.guest, "magnet.add", magnet=magnet, directory=f"{Path(stage.folder, 'mine')}/")
    for one in found:
        _order(stage.guest, "list.download", huburl=hub, nick=one["Nick"])
    while time.monotonic() < until:
        time.sleep(3)
        _order(stage.guest, "queue.matchlists")


SCENES = (
    Scene(
        "dc-eiskalt",
        EISKALT,
        "searches a hub of 16 people for a film of 4 MB, looks through their lists, takes it from those who have it",
        ("eiskaltdcpp-daemon", "uhub", "curl"),
        60,
        lambda s: _direct_connect(s, 16, 35),
    ),
)
