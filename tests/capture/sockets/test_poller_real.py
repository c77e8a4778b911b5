"""Real programs in network namespaces of our own: does each of their flows carry the right name?

A machine of its own (10.77.0.1) talks to another with many addresses; a watcher inside the first captures and polls.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from peerburst.analysis.bursts.kinds import flow_kinds
from peerburst.analysis.flow_table import flows_table
from peerburst.analysis.hosts.flow_facts import FlowFacts
from peerburst.analysis.hosts.locality import locate
from peerburst.analysis.hosts.programs import attribute, observations_beside
from peerburst.capture.read import read
from peerburst.capture.sockets.poller import SocketPoller
from tests.support.paths import ROOT

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0 or shutil.which("ip") is None,
    reason="makes network namespaces: needs Linux, root and iproute2",
)

HERE = "10.77.0.1"
PEERS = [f"10.77.0.{n}" for n in range(2, 62)]

# The other machine: answers UDP on two ports of all its addresses, and TCP with a slow stream.
ANSWERING = """
import select, socket, sys, threading, time
def stream(connection):
    with connection:
        try:
            connection.recv(1000)
            connection.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n")
            for _ in range(14):
                connection.sendall(b"x" * 500); time.sleep(0.1)
        except OSError: pass
def accept(port):
    listener = socket.create_server(("", port), backlog=200)
    while True: threading.Thread(target=stream, args=(listener.accept()[0],), daemon=True).start()
for port in (80, 8080): threading.Thread(target=accept, args=(port,), daemon=True).start()
answering = []
for address in sys.argv[1:]:
    for port in (7000, 7001):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((address, port)); answering.append(s)
print("ready", flush=True)
while True:
    for s in select.select(answering, [], [])[0]:
        bytes, sender = s.recvfrom(2000); s.sendto(bytes, sender)
"""
# python chat.py PORT PEERS_PORT SECONDS PEER...: one UDP socket, connected to nobody, that talks to everybody.
CHAT = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", int(sys.argv[1])))
s.setblocking(False)
ends = time.monotonic() + float(sys.argv[3])
while True:
    for peer in sys.argv[4:]: s.sendto(b"hello", (peer, int(sys.argv[2])))
    if time.monotonic() > ends: break
    time.sleep(min(0.2, max(0.0, ends - time.monotonic())))
"""
# python calls.py PORT COUNT: connections one after another, twenty at a time, as a browser opens them.
CALLS = """
import socket, sys, threading
def call():
    s = socket.create_connection((sys.argv[2], int(sys.argv[1]))); s.sendall(b"GET /")
    while s.recv(1000): pass
    s.close()
calls = [threading.Thread(target=call) for _ in range(int(sys.argv[3]))]
for c in calls: c.start()
for c in calls: c.join()
"""


@dataclass(frozen=True, slots=True)
class Machine:
    """Two namespaces joined by a cable; `folder` holds the programs and the capture."""

    name: str
    folder: Path

    def argv(self, program: str, *arguments: object, inside: str = "a") -> list[str]:
        return ["ip", "netns", "exec", f"{self.name}{inside}", program, *(str(argument) for argument in arguments)]

    def start(self, program: str, *arguments: object, inside: str = "a") -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.argv(program, *arguments, inside=inside),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def python(self, name: str) -> str:
        """An interpreter that goes by this name, as a program of its own would."""
        path = self.folder / name
        if not path.exists():
            path.symlink_to(os.path.realpath(sys.executable))
        return str(path)

    def write(self, name: str, code: str) -> str:
        path = self.folder / name
        path.write_text(code)
        return str(path)

    def silence(self) -> None:
        """From now on no answer comes from the other machine, not even a refusal."""
        ip("-n", f"{self.name}b", "route", "add", "blackhole", f"{HERE}/32")


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    name = f"pbs{os.getpid() % 100_000}"
    a, b = f"{name}a", f"{name}b"
    try:
        ip("netns", "add", a)
        ip("netns", "add", b)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr.decode().strip()}")
    try:
        ip("-n", a, "link", "add", "net0", "type", "veth", "peer", "name", "net0", "netns", b)
        for side in (a, b):
            ip("-n", side, "link", "set", "lo", "up")
            ip("-n", side, "link", "set", "net0", "up")
        ip("-n", a, "address", "add", f"{HERE}/24", "dev", "net0")
        for peer in PEERS:
            ip("-n", b, "address", "add", f"{peer}/24", "dev", "net0")
        made = Machine(name, tmp_path)
        other = made.start(sys.executable, made.write("answering.py", ANSWERING), *PEERS, inside="b")
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "ready\n"
            yield made
        finally:
            other.kill()
            other.communicate()
    finally:
        ip("netns", "delete", a)
        ip("netns", "delete", b)


class Watched:
    """A capture of the machine with its sockets, while `with` lasts; then `flows` has the programs."""

    def __init__(self, machine: Machine, interval_s: float = 0.5) -> None:
        self.capture = machine.folder / "evening.pcapng"
        watcher = ROOT / "tests" / "support" / "live" / "sockets_watcher.py"
        self._watcher = machine.start(sys.executable, watcher, "net0", self.capture, interval_s)
        self.said = ""

    def __enter__(self) -> "Watched":
        assert self._watcher.stdout is not None
        assert self._watcher.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_exception: object) -> None:
        self.said = self._watcher.communicate(timeout=20)[0]
        print(self.said)

    def kill(self) -> None:
        self._watcher.kill()

    def flows(self) -> pd.DataFrame:
        capture = read([str(self.capture)])
        ends, facts = locate(capture.flows.row), FlowFacts(capture.flows)
        table = flows_table(capture.flows, facts, ends, flow_kinds(capture.flows, facts))
        codes, names = attribute(capture.flows, ends, observations_beside(capture.paths))
        table["process"] = [names[code] for code in codes]
        return table[(table.orig_h == HERE) & table.proto.isin(["tcp", "udp"])]


def share(flows: pd.DataFrame, program: str) -> float:
    return float((flows.process == program).mean())


def test_programs_at_the_same_time(machine: Machine) -> None:
    chat, calls = machine.write("chat.py", CHAT), machine.write("calls.py", CALLS)
    with Watched(machine) as watched:
        running = [
            machine.start(machine.python("p2p-chat"), chat, 40000, 7000, 3, *PEERS[:50]),
            machine.start(machine.python("other-chat"), chat, 40001, 7001, 2, *PEERS[:50]),
            machine.start(machine.python("browser"), calls, 80, PEERS[3], 100),
            machine.start(machine.python("mailer"), calls, 8080, PEERS[4], 50),
        ]
        if shutil.which("curl"):
            running.append(machine.start("curl", "-s", f"http://{PEERS[5]}:80/"))
        for program in running:
            program.communicate(timeout=30)
    flows = watched.flows()
    long = flows[flows.duration > 1]
    assert (long.resp_p == 7000).sum() == 50
    assert (long.resp_p == 7001).sum() == 50
    assert (long.resp_p == 80).sum() >= 100
    assert (long.resp_p == 8080).sum() == 50
    expected = long.resp_p.map({7000: "p2p-chat", 7001: "other-chat", 80: "browser", 8080: "mailer"})
    expected = expected.where(long.resp_h.astype(str) != PEERS[5], "curl").where(
        ~((long.resp_h.astype(str) == PEERS[5]) & (long.resp_p != 80)), expected
    )
    right = float((long.process == expected).mean())
    assert right >= 0.99, long[long.process != expected][["orig_p", "resp_h", "resp_p", "process"]]


def test_a_port_that_another_program_takes_over(machine: Machine) -> None:
    chat = machine.write("chat.py", CHAT)
    with Watched(machine) as watched:
        for name, peer in (("first", PEERS[0]), ("second", PEERS[1]), ("third", PEERS[2])):
            machine.start(machine.python(name), chat, 40000, 7000, 1.1, peer).communicate(timeout=20)
    owners = {str(peer): set(group.process) for peer, group in watched.flows().groupby("resp_h", observed=True)}
    assert owners == {PEERS[0]: {"first"}, PEERS[1]: {"second"}, PEERS[2]: {"third"}}


def test_a_program_that_ends_before_the_next_poll(machine: Machine) -> None:
    """Polls are a minute apart: what is seen, is seen because its port was noticed."""
    chat = machine.write("chat.py", CHAT)
    with Watched(machine, interval_s=60) as watched:
        for number in range(5):
            machine.start(
                machine.python(f"brief-{number}"), chat, 41000 + number, 7000, 0.3, PEERS[number]
            ).communicate(timeout=20)
    flows = watched.flows()
    assert dict(zip(flows.orig_p, flows.process, strict=True)) == {41000 + n: f"brief-{n}" for n in range(5)}


@pytest.mark.skipif(shutil.which("iperf3") is None, reason="iperf3 is not installed")
def test_iperf3(machine: Machine) -> None:
    server = machine.start("iperf3", "-s", "-1", inside="b")
    time.sleep(0.5)
    with Watched(machine) as watched:
        machine.start("iperf3", "-c", PEERS[0], "-u", "-b", "1M", "-t", "2", "-P", "3").communicate(timeout=20)
    server.communicate(timeout=20)
    flows = watched.flows()
    assert set(flows.proto) == {"tcp", "udp"}
    assert share(flows[flows.duration > 1], "iperf3") == 1


@pytest.mark.skipif(shutil.which("nmap") is None, reason="nmap is not installed")
def test_a_connect_scan(machine: Machine) -> None:
    """Ports that nothing answers at: each of its sockets lives as long as nmap waits for it, a second or so."""
    machine.silence()
    with Watched(machine) as watched:
        scan = ("-sT", "-Pn", "-n", "-p", "1000-1099", "--max-retries", "0", "--min-parallelism", "100")
        machine.start("nmap", *scan, PEERS[0]).communicate(timeout=40)
    flows = watched.flows()
    assert len(flows) >= 100
    assert share(flows, "nmap") >= 0.99


def test_a_name_lookup(machine: Machine) -> None:
    """getent waits for a name server that never answers."""
    machine.silence()
    folder = Path(f"/etc/netns/{machine.name}a")
    folder.mkdir(parents=True)
    try:
        (folder / "resolv.conf").write_text(f"nameserver {PEERS[7]}\noptions timeout:2 attempts:1\n")
        with Watched(machine) as watched:
            machine.start("getent", "ahostsv4", "peer.example").communicate(timeout=20)
    finally:
        shutil.rmtree(folder)
    flows = watched.flows()
    lookups = flows[flows.resp_p == 53]
    assert len(lookups) >= 1
    assert set(lookups.process) == {"getent"}


def test_a_watcher_that_is_killed_loses_a_second_at_most(machine: Machine) -> None:
    chat = machine.write("chat.py", CHAT)
    watched = Watched(machine)
    with watched:
        program = machine.start(machine.python("p2p-chat"), chat, 40000, 7000, 4, *PEERS[:5])
        time.sleep(2)
        killed_ns = time.time_ns()
        watched.kill()
        program.kill()
        program.communicate()
    found = [s for s in observations_beside([str(watched.capture)]).seen if s.local_port == 40000]
    assert [s.name for s in found] == ["p2p-chat"]
    assert any("in other network namespaces" in said for said in SocketPoller().limits())
    assert killed_ns - found[0].last_seen_ns < 1_200_000_000
