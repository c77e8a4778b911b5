"""What a real kernel held after each packet of each rule, kept as JSON: known answers for machines without a gateway.

    python -m tests.lab.gateway.record

writes linux_rules.json beside this file. Needs what the gateway needs, and 40 seconds.
"""

import json
import platform
import sys
import tempfile
from pathlib import Path

from tests.lab.gateway import ctnetlink, frames, rules
from tests.lab.gateway.namespaces import missing
from tests.lab.gateway.replay import Witness, replay

TARGET = Path(__file__).with_name("linux_rules.json")
RECORDED = list[tuple[float, list[str]]]


def said(entry: ctnetlink.Held, client: str) -> str:
    """An entry in words: who opened it, ports, state, whole seconds left."""
    key = entry.key
    opener = "client" if key.source == client else "server"
    state = entry.state or f"protocol {key.proto}"
    mark = " assured" if entry.assured and entry.state else ""
    return f"{opener} {key.source_port} {key.destination_port}: {state}{mark}, {entry.left_s}"


def _after_each_packet(client: str, witness: Witness, at_s: list[float]) -> RECORDED:
    """The first listing behind each packet, and the last of all."""
    recording = witness.recording
    instants = [(listing.at_ns - recording.first_ns) / 1e9 for listing in witness.listings]
    wanted = {min(i for i, instant in enumerate(instants) if instant > sent) for sent in at_s} | {len(instants) - 1}
    kept = []
    for i in sorted(wanted):
        everything = ctnetlink.entries(witness.listings[i].told)
        held = [entry for entry in everything if client in (entry.key.source, entry.key.destination)]
        kept.append((round(instants[i], 3), sorted(said(entry, client) for entry in held)))
    return kept


def main() -> int:
    """Record; 0 if there was a gateway to ask."""
    if (lacking := missing()) is not None:
        print(f"no gateway can be built here: it {lacking}", file=sys.stderr)
        return 1
    names, sent = rules.crafted()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "crafted.pcap"
        rules.write(path, sent)
        witness = replay({"crafted": frames.load(str(path))}, {})["crafted"]
    told = {}
    for number, (client, name) in enumerate(names.items(), start=1):
        dialogue = rules.Dialogue(number)
        rules.RULES[name](dialogue)
        told[name] = _after_each_packet(client, witness, [packet.at_s for packet in dialogue.sent])
    TARGET.write_text(json.dumps({"kernel": platform.release().split("-")[0], "rules": told}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
