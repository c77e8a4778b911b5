"""A live session beside a real NAT gateway, with real programs: its counts are the file's, and the kernel's own."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.gateways import DEFAULT_MODELS
from peerburst.analysis.settings import Settings
from peerburst.opening import analyse
from tests.support.kernels import COMPILED
from tests.support.live.nat_gateway import BULK, CLIENT, DNS, SCANNED, WEB, Listing, NatGateway
from tests.support.netns import missing
from tests.support.paths import ROOT

TOOLS = ("nft", "conntrack", "dumpcap", "curl", "iperf3", "nmap", "unbound", "host", "ss")
LACKING = missing(*TOOLS)
pytestmark = [
    pytest.mark.skipif(LACKING is not None, reason=f"no gateway can be made here: it {LACKING}"),
    pytest.mark.skipif(not COMPILED, reason="a process of its own would compile"),
]
HELPERS = ROOT / "tests" / "support" / "live"
PEERS = 180
NEAR_NS = 50_000_000  # a packet is dated on the client's side, and a listing takes a moment
# Who talked with whom: the remote address, and what /proc calls the program. The rest of 198.18.0.0/15 are peers.
PROGRAM_OF = {WEB: "curl", BULK: "iperf3", SCANNED: "nmap", DNS: "host or curl"}


@dataclass(frozen=True, slots=True)
class Evening:
    """What the session said, what its file says, and what the kernel said meanwhile."""

    told: Mapping[str, Any]
    saved: Analysis
    listings: list[Listing]


def _traffic(net: NatGateway) -> None:
    """What a laptop does."""
    peers = net.start(sys.executable, str(HELPERS / "login_of_peers.py"), str(PEERS), "6")
    pages = [net.start("curl", "-s", "--limit-rate", "2M", "http://large.example/large") for _ in range(4)]
    time.sleep(2.0)
    bulk = net.start("iperf3", "-c", BULK, "-t", "4", "-b", "4M", "-P", "2")
    for number in range(5):
        net.run("host", f"name{number}.example")
        net.run("curl", "-s", "-o", "/dev/null", f"http://name{number}.example/")
    net.run("nmap", "-n", "-Pn", "-sT", "--max-rate", "60", "-p", "100-219", SCANNED)
    for running in (peers, bulk, *pages):
        running.wait(40)
    time.sleep(32.0)  # UDP exchanges are forgotten after 30 s, connections closed by reset after 10
    net.run("curl", "-s", "-o", "/dev/null", "http://last.example/")


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Evening:
    folder = tmp_path_factory.mktemp("evening")
    kept, result = folder / "kept.pcapng", folder / "told.json"
    with NatGateway(folder) as net:
        script = [sys.executable, str(HELPERS / "session_beside.py"), net.interface, str(kept), str(result)]
        session = subprocess.Popen(net.command(net.client, *script), stdout=subprocess.PIPE, text=True)
        try:
            assert session.stdout is not None
            session.stdout.readline()
            with net.watched() as listings:
                _traffic(net)
            session.send_signal(signal.SIGINT)
            assert session.wait(60) == 0
        finally:
            session.kill()
            session.communicate()
    return Evening(json.loads(result.read_text()), analyse([str(kept)], Settings()), listings)


def test_nothing_was_lost_and_the_programs_did_talk(evening: Evening) -> None:
    assert evening.told["drops"] == 0
    assert evening.told["packets"] == evening.saved.capture.packets
    assert evening.told["host"] == CLIENT
    remote = set(evening.saved.flows["resp_h"])
    assert remote >= {WEB, BULK, SCANNED, DNS}
    assert len([address for address in remote if address.startswith("198.18.1.")]) == PEERS


@pytest.mark.parametrize("model", DEFAULT_MODELS)
def test_every_second_is_as_the_saved_file_says(evening: Evening, model: str) -> None:
    timeline = evening.saved.timeline(CLIENT, model)
    assert evening.told["every_second"][model] == timeline["at"].tolist()
    assert evening.told["peaks"][model] == timeline["max"].tolist()
    assert len(timeline) >= 40
    assert max(timeline["max"]) > (3 if model == "naive" else 100)  # naive: TCP alone


def test_what_was_shown_while_it_ran_was_so(evening: Evening) -> None:
    seconds, counts = evening.told["history"]
    timeline = evening.saved.timeline(CLIENT, str(evening.told["model"]))["at"].tolist()
    assert len(seconds) >= 40
    known = [(int(second), count) for second, count in zip(seconds, counts, strict=True) if second < len(timeline)]
    assert known == [(second, timeline[second]) for second, _count in known]


@pytest.mark.parametrize("model", ["linux-conntrack"])
def test_the_kernel_held_the_same_within_one(evening: Evening, model: str) -> None:
    steps = evening.saved.steps(CLIENT, model)
    assert len(evening.listings) >= 35
    for listing in evening.listings:
        instants = np.linspace(listing.began_ns - NEAR_NS, listing.ended_ns + NEAR_NS, 200).astype(np.int64)
        counts = steps.value(instants)
        assert counts.min() - 1 <= listing.held <= counts.max() + 1, listing


def test_flows_of_a_second_or_more_have_their_program(evening: Evening) -> None:
    flows = evening.saved.flows
    long = flows[flows["duration"] >= 1.0]
    expected = [PROGRAM_OF.get(address, "python") for address in long["resp_h"]]
    right = [
        bool(name) and (wanted.startswith(name) or name in wanted or name.startswith(wanted))
        for name, wanted in zip(long["process"], expected, strict=True)
    ]
    assert len(right) >= PEERS // 3
    assert sum(right) >= 0.99 * len(right), long[["resp_h", "resp_p", "process"]][~np.array(right)]
