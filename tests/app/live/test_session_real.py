"""`peerburst live` itself, on real traffic in a private network: its count is that of `analyze` on the file it kept."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from peerburst.analysis.settings import Settings
from peerburst.capture.live.backends import dumpcap, scapy_socket
from peerburst.opening import analyse
from peerburst.render.json_document import document
from tests.support.kernels import COMPILED
from tests.support.live.private_nets import FAR, NEAR, Pair, ip
from tests.support.netns import inside, missing

LACKING = missing() or (None if dumpcap.find() or not scapy_socket.trouble() else "needs dumpcap or scapy")
pytestmark = [
    pytest.mark.skipif(LACKING is not None, reason=f"no private network can be made here: it {LACKING}"),
    pytest.mark.skipif(not COMPILED, reason="a process of its own would compile"),
]
PEERS = 120
LOCAL = ["--local-net", f"{NEAR}/32"]


@pytest.fixture
def pair() -> Iterator[Pair]:
    with Pair("session") as made:
        ip("-n", made.near, "route", "add", "default", "via", FAR)
        yield made


@contextlib.contextmanager
def live(pair: Pair, *words: str) -> Iterator[subprocess.Popen[str]]:
    """`peerburst live` in the near namespace, listening; killed at the end if it still runs."""
    command = ["ip", "netns", "exec", pair.near, sys.executable, "-m", "peerburst", "live", "-i", pair.interface]
    running = subprocess.Popen(
        [*command, *LOCAL, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    try:
        yield running
    finally:
        if running.poll() is None:
            running.kill()
        running.communicate()


def first_line(out: IO[str] | None) -> str:
    """The first line that it prints: it listens by then."""
    assert out is not None
    return out.readline()


def come_online(pair: Pair, peers: int = PEERS) -> None:
    """One unconnected UDP socket sends to many peers, as peer-to-peer programs do; and some TCP."""
    with inside(pair.near):
        talker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with talker:
        for i in range(peers):
            talker.sendto(bytes(60), (f"198.51.{100 + i // 250}.{1 + i % 250}", 33445))
            time.sleep(0.005)
        pair.exchange_tcp(5)
        time.sleep(1.0)


def test_counts_programs_alerts_and_exit_code(pair: Pair, tmp_path: Path) -> None:
    kept = tmp_path / "kept.pcapng"
    told = tmp_path / "told"
    script = tmp_path / "told.py"
    script.write_text(f"import os\nopen({str(told)!r}, 'a').write(os.environ['PEERBURST_COUNT'] + '\\n')\n")
    with live(
        pair, "-w", str(kept), "--format", "jsonl", "--limit", "100", "--on-alert", f"{sys.executable} {script}",
        "-o", str(tmp_path / "report"),
    ) as running:  # fmt: skip
        lines = [first_line(running.stdout)]
        come_online(pair)
        running.send_signal(signal.SIGINT)
        rest, err = running.communicate(timeout=60)
    objects = [json.loads(text) for text in (lines[0] + rest).splitlines()]
    views, end = objects[:-1], objects[-1]
    assert running.returncode == 3, err
    assert {one["type"] for one in views} == {"view"}
    assert end["type"] == "end"
    limits = end["analysis"]["hosts"][0]["models"]["rfc"]["crossed_at_s"]
    saved = analyse([str(kept)], Settings(limits=tuple(map(int, limits)), local_nets=(f"{NEAR}/32",)))
    theirs = document(saved)
    theirs["capture"]["files"] = end["analysis"]["capture"]["files"]
    theirs["capture"]["warnings"] = end["analysis"]["capture"]["warnings"]
    assert end["analysis"] == theirs
    host = saved.host(saved.host_number(NEAR))
    assert host.models["linux-connlimit"].peak >= PEERS
    assert views[-1]["host"] == NEAR
    assert views[-1]["peak"] == host.models["linux-connlimit"].peak
    assert [alert["threshold"] for alert in views[-1]["alerts"]] == [80, 101]
    assert int(told.read_text().split()[0]) >= 80
    assert (tmp_path / "report" / "index.html").exists()
    note = json.loads((tmp_path / "kept.pcapng.session.json").read_text())
    assert (note["state"], note["packets"]) == ("interrupted", theirs["capture"]["packets"])
    programs = saved.flows_by_program()
    assert sum(count for name, count in programs.items() if name.startswith("py")) >= PEERS
    assert set(saved.flows["process"].unique()) == set(programs)


def test_plain_lines_a_verdict_and_exit_code_zero(pair: Pair) -> None:
    with live(pair, "--plain", "-a", "duration:4") as running:
        lines = [first_line(running.stdout)]
        come_online(pair, 30)
        rest, err = running.communicate(timeout=60)
    out = lines[0] + rest
    assert running.returncode == 0, err
    rows = [row for row in out.splitlines() if f" {NEAR}: " in row and " of 200, " in row]
    assert rows
    assert all(len(row) <= 80 for row in rows)
    assert f"{NEAR} held " in out
    assert "When 10.77.0.1 exceeded a limit, gateway by gateway" in out
    assert "4 s were captured" in err


def test_killed_it_leaves_a_readable_file_and_a_note_that_says_running(pair: Pair, tmp_path: Path) -> None:
    kept = tmp_path / "kept.pcapng"
    with live(pair, "--plain", "-w", str(kept)) as running:
        first_line(running.stdout)
        come_online(pair, 30)
        time.sleep(2.2)
        running.kill()
        running.wait(10)
    note = json.loads((tmp_path / "kept.pcapng.session.json").read_text())
    assert note["state"] == "running"
    assert note["packets"] >= 30
    assert analyse([str(kept)], Settings()).capture.packets >= 30
