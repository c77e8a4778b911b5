"""Sockets as the system lists them, the poller's instants, and the file beside the capture."""

import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Container, Hashable
from pathlib import Path

import pytest

from peerburst.capture.packets.ip import PROTO_ICMP, PROTO_TCP, PROTO_UDP
from peerburst.capture.sockets import owners, tables
from peerburst.capture.sockets.observations import (
    ALWAYS_NS,
    STILL_NS,
    SideFile,
    SocketObservation,
    SocketObservations,
    clean,
    read_side_file,
    side_file,
)
from peerburst.capture.sockets.owners import Owners, describe
from peerburst.capture.sockets.poller import SocketPoller
from peerburst.capture.sockets.tables import Listed, NetlinkTable, ProcTable, Socket, SocketTable

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's socket tables")
little_endian = pytest.mark.skipif(sys.byteorder != "little", reason="/proc/net lines as x86 and ARM print them")
SECOND = 1_000_000_000


def seen(**changes: object) -> SocketObservation:
    """An observation of a UDP socket at 0.0.0.0:40000, with changes."""
    fields: dict[str, object] = {
        "id": 1,
        "protocol": PROTO_UDP,
        "local": "0.0.0.0",
        "local_port": 40000,
        "remote": "",
        "remote_port": 0,
        "v6_only": False,
        "pid": 7,
        "name": "chat",
        "program": "/usr/bin/chat",
        "uid": 1000,
        "first_seen_ns": 10,
        "last_seen_ns": 20,
        "absent_ns": ALWAYS_NS,
        "gone_ns": STILL_NS,
    }
    return SocketObservation(**(fields | changes))  # type: ignore[arg-type]


# What the tables say.


@little_endian
def test_lines_of_proc_net() -> None:
    lines = [
        "   1: 0100007F:0277 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000  0 4711 1 0 100 0 0 10 0",
        "   2: 0A00020A:D431 08080808:01BB 01 00000000:00000000 00:00000000 00000000     0  0 4712 1 0 20 4 30 10 -1",
        "   3: 0A00020A:D432 08080808:01BB 06 00000000:00000000 03:00000176 00000000     0  0 0 3 0",
    ]
    listed = [found for _key, found in tables._parsed(lines, PROTO_TCP, ())]
    assert listed == [
        Socket(PROTO_TCP, "127.0.0.1", 631, "", 0, False, 1000, 4711, 0),
        Socket(PROTO_TCP, "10.2.0.10", 54321, "8.8.8.8", 443, False, 0, 4712, 0),
    ]  # and nobody holds what is in TIME_WAIT


@little_endian
def test_ipv6_lines_of_proc_net() -> None:
    rest = "07 00000000:00000000 00:00000000 00000000 5 0 99 2 0 0"
    lines = [
        f"  9: 00000000000000000000000000000000:14E9 00000000000000000000000000000000:0000 {rest}",
        f"  9: B80D01200000000000000000020000FE:14E9 B80D0120000000000000000001000000:0035 {rest}",
        f"  9: 0000000000000000FFFF00000100007F:14E9 0000000000000000FFFF00000200007F:0035 {rest}",
    ]
    ends = [
        (found.local, found.remote, found.remote_port)
        for _key, found in tables._parsed(lines, PROTO_UDP, ())
        if found is not None
    ]
    assert ends == [
        ("::", "", 0),
        ("2001:db8::fe00:2", "2001:db8::1", 53),
        ("127.0.0.1", "127.0.0.2", 53),
    ]


def diag_message(
    family: int, local: bytes, remote: bytes, ports: tuple[int, int], inode: int, rest: bytes = b""
) -> bytes:
    """A struct inet_diag_msg (linux/inet_diag.h): 4 bytes, identity (48), 3 counters, uid and inode in host order."""
    identity = struct.pack("!HH16s16s", *ports, local, remote) + struct.pack("=III", 2, 77, 0)
    return struct.pack("=BBBB", family, 1, 0, 0) + identity + struct.pack("=IIIII", 0, 0, 0, 1000, inode) + rest


def test_a_netlink_message() -> None:
    local, remote = socket.inet_aton("192.0.2.1"), socket.inet_aton("198.51.100.7")
    message = diag_message(socket.AF_INET, local, remote, (50000, 443), 4711)
    assert len(message) == 72
    expected = Socket(PROTO_TCP, "192.0.2.1", 50000, "198.51.100.7", 443, False, 1000, 4711, 0)
    assert tables._diagnosed_socket(PROTO_TCP, message) == expected
    assert tables._diagnosed_socket(PROTO_TCP, diag_message(socket.AF_INET, local, remote, (50000, 443), 0)) is None


@pytest.mark.parametrize(("value", "v6_only"), [(0, False), (1, True)])
def test_whether_a_wildcard_serves_ipv4_too(value: int, v6_only: bool) -> None:
    attributes = struct.pack("=HHB3x", 5, 8, 0) + struct.pack("=HHB3x", 5, 11, value)  # INET_DIAG_SHUTDOWN, _SKV6ONLY
    message = diag_message(socket.AF_INET6, bytes(16), bytes(16), (5353, 0), 4711, attributes)
    assert tables._diagnosed_socket(PROTO_UDP, message) == Socket(PROTO_UDP, "::", 5353, "", 0, v6_only, 1000, 4711, 0)


def test_own_addresses_of_proc() -> None:
    fib_trie = [
        "Main:",
        "  +-- 0.0.0.0/0 3 0 5",
        "           |-- 127.0.0.0",
        "              /8 host LOCAL",
        "           |-- 127.0.0.1",
        "              /32 host LOCAL",
        "        |-- 192.0.2.255",
        "           /32 link BROADCAST",
    ]
    if_inet6 = ["fe80000000000000000000fffe000001 02 40 20 80     eth0"]
    assert tables._proc_addresses(fib_trie, if_inet6) == {"127.0.0.1", "fe80::ff:fe00:1"}


@linux
@pytest.mark.parametrize("make", [NetlinkTable, ProcTable])
def test_a_table_lists_this_process(make: type[SocketTable]) -> None:
    table = make()
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    with (
        listener,
        socket.create_connection(("127.0.0.1", port)) as client,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer,
    ):
        peer.bind(("0.0.0.0", 0))
        listed = dict(table.sockets(()))
        ends = {(s.protocol, s.local, s.local_port, s.remote, s.remote_port) for s in listed.values() if s is not None}
        inodes = {s.inode for s in listed.values() if s is not None}
        assert (PROTO_TCP, "127.0.0.1", port, "", 0) in ends
        assert (PROTO_TCP, "127.0.0.1", client.getsockname()[1], "127.0.0.1", port) in ends
        assert (PROTO_UDP, "0.0.0.0", peer.getsockname()[1], "", 0) in ends
        assert {os.fstat(listener.fileno()).st_ino, os.fstat(peer.fileno()).st_ino} <= inodes
        again = table.sockets(listed)
        assert set(listed) == {key for key, _socket in again}
        assert all(found is None for _key, found in again)
    assert "127.0.0.1" in table.addresses()


@linux
def test_both_ways_of_asking_linux_agree() -> None:
    with socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True):
        by_table = [
            {(s.protocol, s.local, s.local_port, s.remote, s.inode) for _key, s in table.sockets(()) if s is not None}
            for table in (NetlinkTable(), ProcTable())
        ]
        own = {path.stat().st_ino for path in Path("/proc/self/fd").iterdir() if path.exists()}
    mine = [{found for found in table if found[-1] in own} for table in by_table]
    assert mine[0] == mine[1] != set()
    assert NetlinkTable().addresses() == ProcTable().addresses()


# Who holds a socket.


@linux
def test_the_holder_of_a_socket() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mine:
        inode = os.fstat(mine.fileno()).st_ino
        assert Owners().find({inode, 1}, ()) == {inode: os.getpid()}
    assert describe(os.getpid()).program == os.path.realpath(sys.executable)
    assert describe(0) == owners.NOBODY


def proc_folder(root: Path, files: dict[int, dict[int, str]]) -> str:
    """A /proc in which processes have these files: {pid: {number: what it is}}."""
    for pid, held in files.items():
        folder = root / str(pid) / "fd"
        folder.mkdir(parents=True, exist_ok=True)
        for link in folder.iterdir():
            link.unlink()
        for number, target in held.items():
            (folder / str(number)).symlink_to(target)
    return str(root)


@linux
def test_a_number_used_again_while_the_socket_before_lives_on(tmp_path: Path) -> None:
    found = Owners(proc_folder(tmp_path, {50: {5: "socket:[100]", 0: "/dev/null"}}))
    assert found.find({100}, ()) == {100: 50}
    proc_folder(tmp_path, {50: {5: "socket:[101]"}, 51: {5: "socket:[100]"}})  # accepted, handed to a child, accepted
    assert found.find({101}, {100}) == {101: 50}


@linux
def test_what_systemd_hands_over_is_the_service_s(tmp_path: Path) -> None:
    found = Owners(proc_folder(tmp_path, {1: {9: "socket:[100]"}, 600: {3: "socket:[100]"}}))
    assert found.find({100}, ()) == {100: 600}


def test_a_name_cut_short_is_made_whole() -> None:
    assert owners._named(5, "transmission-gt", "/usr/bin/transmission-gtk").name == "transmission-gtk"
    assert owners._named(5, "chat", "/usr/bin/python3.11").name == "chat"


def test_names_cannot_steer_a_terminal() -> None:
    assert clean("a\x1b[31mb\n\u202ec", 64) == "a [31mb  c"
    assert clean("x" * 1000, 64) == "x" * 64


# When it was held: a table of our own making, a clock of our own.


class MadeUp:
    """A socket table that holds what the test puts there."""

    def __init__(self) -> None:
        self.open: dict[Hashable, Socket] = {}
        self.own = {"192.0.2.1"}

    def sockets(self, known: Container[Hashable]) -> Listed:
        return [(key, None if key in known else found) for key, found in self.open.items()]

    def addresses(self) -> set[str]:
        return self.own


class Clock:
    now_ns = 100 * SECOND

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def table() -> MadeUp:
    return MadeUp()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def udp(port: int, pid: int = 0, inode: int = 0) -> Socket:
    return Socket(PROTO_UDP, "0.0.0.0", port, "", 0, False, 0, inode, pid)


def at_second(clock: Clock, second: float) -> None:
    clock.now_ns = round((100 + second) * SECOND)


def test_the_instants_of_a_port_that_another_takes_over(table: MadeUp, clock: Clock) -> None:
    poller = SocketPoller(table=table, clock_ns=clock)
    table.open = {"a": udp(40000)}
    poller.poll_now()
    for second, now_open in ((1, {"a"}), (2, set()), (3, {"b"}), (4, {"b"})):
        at_second(clock, second)
        table.open = {key: udp(40000) for key in now_open}
        poller.poll_now()
    instants = [
        (s.absent_ns, s.first_seen_ns, s.last_seen_ns, s.gone_ns)
        for s in sorted(poller.observations().seen, key=lambda s: s.first_seen_ns)
    ]
    assert instants == [
        (ALWAYS_NS, 100 * SECOND, 101 * SECOND, 102 * SECOND),
        (102 * SECOND, 103 * SECOND, 104 * SECOND, STILL_NS),
    ]
    assert [s.id for s in poller.observations(since_ns=102 * SECOND).seen] == [2]


def test_old_observations_are_forgotten_and_that_is_said(table: MadeUp, clock: Clock) -> None:
    poller = SocketPoller(table=table, clock_ns=clock, most_observations=3)
    for number in range(6):
        table.open = {number: udp(40000 + number)}
        poller.poll_now()
    table.open = {}
    poller.poll_now()
    assert [s.local_port for s in poller.observations().seen] == [40003, 40004, 40005]
    assert any("oldest 3 closed sockets were forgotten" in said for said in poller.limits())


def test_only_ports_that_are_news_ask_for_a_poll(table: MadeUp, clock: Clock) -> None:
    poller = SocketPoller(table=table, clock_ns=clock)
    table.open = {"a": udp(40000)}
    poller.poll_now()
    assert not poller.noticed([40000])
    assert poller.noticed([40000, 443])
    poller.poll_now()
    assert not poller.noticed([443])  # nobody here has it: it is the other end's
    at_second(clock, 10)
    assert poller.noticed([443])
    table.open = {}
    poller.poll_now()
    assert poller.noticed([40000])


def test_a_table_that_fails_is_told_of_not_raised(table: MadeUp, clock: Clock) -> None:
    poller = SocketPoller(table=table, clock_ns=clock)

    def fail(known: Container[Hashable]) -> Listed:
        raise OSError(105, "No buffer space available")

    table.sockets = fail  # type: ignore[method-assign]
    poller.poll_now()
    assert any("could not be listed: No buffer space available" in said for said in poller.limits())


@linux
def test_a_noticed_port_is_looked_for_at_once() -> None:
    poller = SocketPoller(interval_s=60)
    poller.start()
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mine:
            mine.bind(("127.0.0.1", 0))
            port = mine.getsockname()[1]
            assert poller.noticed([port])
            deadline = time.monotonic() + 5
            while not any(s.local_port == port for s in poller.observations().seen) and time.monotonic() < deadline:
                time.sleep(0.005)
            found = [s for s in poller.observations().seen if s.local_port == port]
            assert [(s.pid, s.protocol, s.local) for s in found] == [(os.getpid(), PROTO_UDP, "127.0.0.1")]
    finally:
        poller.stop()
    assert [s.gone_ns < STILL_NS for s in poller.observations().seen if s.local_port == port] == [True]


@linux
def test_a_socket_outlives_the_process_that_opened_it() -> None:
    """A daemon: the parent opens, the child goes on. The child's observation follows the parent's."""
    code = (
        "import os, socket, sys, time\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('127.0.0.1', 0))\n"
        "child = os.fork()\n"
        "if child: print(s.getsockname()[1], child, flush=True); sys.stdin.readline(); os._exit(0)\n"
        "time.sleep(30)\n"
    )
    poller = SocketPoller()
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    port, child = map(int, parent.stdout.readline().split())
    try:
        poller.poll_now()
        parent.stdin.write("\n")
        parent.stdin.close()
        parent.wait(10)
        poller.poll_now()
        assert [s.pid for s in poller.observations().seen if s.local_port == port] == [parent.pid, child]
    finally:
        os.kill(child, 9)
        parent.stdout.close()


# The file beside the capture.


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize(
    ("capture", "beside"),
    [
        ("a/evening.pcapng", "a/evening.pcapng.sockets.jsonl"),
        ("evening.pcapng.zst", "evening.pcapng.sockets.jsonl"),
        ("evening_00012_20260131235959.pcapng", "evening.pcapng.sockets.jsonl"),
        ("evening_00012_20260131235959.pcapng.zst", "evening.pcapng.sockets.jsonl"),
    ],
)
def test_the_name_of_the_side_file(capture: str, beside: str) -> None:
    assert side_file(capture) == Path(beside)


def test_a_side_file_says_what_the_poller_saw(table: MadeUp, clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "x.sockets.jsonl"
    poller = SocketPoller(path, table=table, clock_ns=clock)
    table.open = {"a": udp(40000), "b": udp(40001)}
    poller.poll_now()
    at_second(clock, 1)
    del table.open["a"]
    poller.poll_now()
    at_second(clock, 2)
    poller.poll_now()
    assert read_side_file(path) == poller.observations()  # while it is being written: nothing waits to be flushed
    poller.stop()
    assert [line["gone_ns"] for line in lines_of(path) if line.get("local_port") == 40000] == [STILL_NS, 101 * SECOND]
    assert len(lines_of(path)) == 7  # three observations lines, one of addresses, three polls


def test_every_cut_of_a_side_file_is_readable(tmp_path: Path) -> None:
    path = tmp_path / "x.sockets.jsonl"
    file = SideFile(path)
    file.add(seen())
    file.flush(15)
    file.add(seen(id=2, last_seen_ns=30, gone_ns=31))
    file.flush(40)
    file.close()
    whole, cut = path.read_bytes(), tmp_path / "cut"
    for length in range(len(whole) + 1):
        cut.write_bytes(whole[:length])
        ids = [s.id for s in read_side_file(cut).seen]
        assert ids == [1, 2][: whole[:length].count(b'"gone_ns"')] or ids == [1, 2][: len(ids)]
        assert len(ids) >= whole[:length].count(b"}\n") // 2
    assert read_side_file(path).seen == (seen(last_seen_ns=40), seen(id=2, last_seen_ns=30, gone_ns=31))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[1, 2]",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"id": 3}',
        b'{"addresses": 5, "polled_ns": "x"}',
        b'{"addresses": [5, null]}',
        b'{"polled_ns": 1e999}',
        json.dumps({"id": 3, "local_port": 70000}).encode(),
    ],
)
def test_lines_that_make_no_sense_are_passed_over(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x"
    file = SideFile(path)
    file.add(seen())
    file.flush(20)
    file.close()
    path.write_bytes(line + b"\n" + path.read_bytes())
    assert read_side_file(path) == SocketObservations((seen(),), ())


@pytest.mark.parametrize(
    "change", [{"local_port": 70000}, {"local_port": True}, {"pid": 1.5}, {"name": None}, {"last_seen_ns": 1 << 70}]
)
def test_an_observation_out_of_bounds_is_passed_over(change: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text(json.dumps({name: getattr(seen(), name) for name in SocketObservation.__slots__} | change) + "\n")
    assert read_side_file(path).seen == ()


def test_names_from_a_file_are_cleaned(tmp_path: Path) -> None:
    path = tmp_path / "x"
    file = SideFile(path)
    file.add(seen(name="a\x1b]0;b\x07"))
    file.flush(20)
    file.close()
    assert [s.name for s in read_side_file(path).seen] == ["a ]0;b"]


def test_a_side_file_stays_bounded(table: MadeUp, clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "x.sockets.jsonl"
    poller = SocketPoller(path, table=table, clock_ns=clock, most_observations=20)
    assert poller._file is not None
    poller._file._most = 20_000
    for number in range(400):
        clock.now_ns += SECOND
        table.open = {number: udp(1000 + number)}
        poller.poll_now()
    assert path.stat().st_size < 22_000
    kept = {s.local_port for s in read_side_file(path).seen}
    assert {s.local_port for s in poller.observations().seen} <= kept
    assert read_side_file(path).addresses == ("192.0.2.1",)
    assert not list(tmp_path.glob("*.part"))


def test_a_full_disk_ends_the_file_not_the_poller(table: MadeUp, clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "x"
    poller = SocketPoller(path, table=table, clock_ns=clock)
    assert poller._file is not None
    poller._file._file.close()
    poller._file._file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
    table.open = {"a": udp(40000)}
    poller.poll_now()
    assert [s.local_port for s in poller.observations().seen] == [40000]
    assert any("no longer written to disk: No space left" in said for said in poller.limits())
    poller.stop()


# What cannot be seen.


@linux
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root, to give it up")
def test_an_ordinary_user_is_told_what_is_hidden() -> None:
    code = (
        "import os\n"
        "from peerburst.capture.sockets.poller import SocketPoller\n"
        "os.setuid(65534)\n"
        "poller = SocketPoller(); poller.poll_now(); print(*poller.limits(), sep='\\n')\n"
    )
    with socket.create_server(("127.0.0.1", 0)):
        answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "belong to other users' programs, whose names only root may see." in answer.stdout, answer.stderr


def test_icmp_sockets_are_known_by_identifier() -> None:
    line = "  1: 00000000:0007 01010101:0000 07 00000000:00000000 00:00000000 00000000  0  0 4711 2 0 0"
    found = [s for _key, s in tables._parsed([line], PROTO_ICMP, ())]
    assert [(s.protocol, s.local_port, s.remote) for s in found if s] == [(PROTO_ICMP, 7, "1.1.1.1")]


def test_psutil_where_linux_s_tables_are_not() -> None:
    pytest.importorskip("psutil")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listed = tables.PsutilTable().sockets(())
        port = listener.getsockname()[1]
        mine = [s for _key, s in listed if s is not None and s.local_port == port]
    assert [(s.protocol, s.local, s.remote, s.pid) for s in mine] == [(PROTO_TCP, "127.0.0.1", "", os.getpid())]
