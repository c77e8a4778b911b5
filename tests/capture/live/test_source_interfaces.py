"""Live capture of real traffic between two namespaces, through each of the two tools."""

import contextlib
import io
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from ctypes.util import find_library
from pathlib import Path

import numpy as np
import pytest

from peerburst.capture.errors import CaptureError
from peerburst.capture.files.source import PacketSource
from peerburst.capture.live import forwarder
from peerburst.capture.live.backends import dumpcap, scapy_socket
from peerburst.capture.live.backends.select import Choice, Tool, select_backend
from peerburst.capture.live.options import CaptureOptions, StopConditions
from peerburst.capture.live.savefile import SavefileWriter
from peerburst.capture.live.source import LiveSource, Packets, capture_interfaces, warm_up
from peerburst.capture.packets.record import PACKET
from peerburst.capture.packets.status import Status
from tests.support.live.private_nets import FAR_V6, NEAR, NEAR_V6, Pair, ip
from tests.support.netns import inside, missing

LACKING = missing()
pytestmark = pytest.mark.skipif(LACKING is not None, reason=f"no private network can be made here: it {LACKING}")

UDP, TCP, ICMP = 17, 6, 1
SETTLE_S = 0.3  # more than dumpcap holds a packet back


def _choices() -> list[Choice]:
    program = dumpcap.find()
    found = [] if program is None else [Choice(Tool.DUMPCAP, program, "")]
    return found if scapy_socket.trouble() else [*found, Choice(Tool.SCAPY, "", "")]


TOOLS = pytest.mark.parametrize("choice", _choices() if LACKING is None else [], ids=lambda choice: choice.tool.value)
needs_dumpcap = pytest.mark.skipif(dumpcap.find() is None, reason="dumpcap is not installed")
needs_scapy = pytest.mark.skipif(
    bool(scapy_socket.trouble()), reason=f"scapy cannot capture here: {scapy_socket.trouble()}"
)


@pytest.fixture
def pair() -> Iterator[Pair]:
    with Pair("live") as made:
        yield made


def listen(pair: Pair, choice: Choice | None, keep: Path | None = None, **options: object) -> LiveSource:
    stops = options.pop("stops", None)
    if options.get("bpf") and choice is not None and choice.tool is Tool.SCAPY and find_library("pcap") is None:
        pytest.skip("libpcap is not here: scapy cannot compile a capture filter without it")
    with inside(pair.near):
        return capture_interfaces(
            CaptureOptions((pair.interface,), **options),  # type: ignore[arg-type]
            savefile=SavefileWriter(str(keep)) if keep is not None else None,
            stops=stops,  # type: ignore[arg-type]
            choice=choice,
        )


def rows(source: LiveSource, during: Callable[[], None] | None = None) -> Packets:
    """All packets until the source ends; it is stopped once `during` is done and what it sent has come through."""

    def act() -> None:
        assert during is not None
        try:
            during()
            time.sleep(SETTLE_S)
        finally:
            source.stop()

    acting = threading.Thread(target=act)
    if during is not None:
        acting.start()
    taken = [packets for packets in source.batches(0.25) if packets is not None]
    if during is not None:
        acting.join()
    source.close()
    return np.concatenate(taken) if taken else np.empty(0, PACKET)


def saved(path: Path | str) -> Packets:
    batches = list(PacketSource(str(path)).batches())
    return np.concatenate(batches) if batches else np.empty(0, PACKET)


def assert_same(first: Packets, second: Packets) -> None:
    """Row by row; of packets that are not IP only time and status are written."""
    assert np.array_equal(first[["ts", "status"]], second[["ts", "status"]])
    is_ok = (first["status"] != Status.NOT_IP) & (first["status"] != Status.UNKNOWN_LINK)
    assert np.count_nonzero(is_ok) > 0
    names = [name for name in PACKET.names or () if name != "frame"]  # a place in memory, or a number of this process
    assert [name for name in names if not np.array_equal(first[name][is_ok], second[name][is_ok])] == []


@TOOLS
@pytest.mark.parametrize("name", ["kept.pcapng", "kept.pcapng.zst"])
def test_live_rows_are_those_of_the_kept_file(pair: Pair, choice: Choice, name: str, tmp_path: Path) -> None:
    def traffic() -> None:
        pair.exchange_tcp(20)
        pair.send_udp(30, size=1200)
        pair.send_udp(10, far=FAR_V6)
        pair.ping(3)

    source = listen(pair, choice, tmp_path / name)
    live = rows(source, traffic)
    assert_same(live, saved(tmp_path / name))
    udp = live[(live["proto"] == UDP) & (live["dport"] == 9999)]
    # Headers of 20 + 8 and 40 + 8 bytes around the datagram.
    assert sorted(udp["ip_bytes"]) == [148] * 10 + [1228] * 30
    tcp = live[live["proto"] == TCP]
    assert np.count_nonzero(tcp["flags"] & 0x12 == 0x02) == 20
    assert len(np.unique(tcp["sport"][tcp["dport"] == 8080])) == 20
    assert np.count_nonzero(live["proto"] == ICMP) == 6
    assert source.ended == "stopped"
    assert source.warnings == ()
    assert source.drops == 0
    assert {NEAR, NEAR_V6} <= set(source.addresses)
    told = PacketSource(str(tmp_path / name))
    list(told.batches())
    assert set(told.addresses) == set(source.addresses)  # the file knows whose it is
    assert (tmp_path / name).stat().st_size == source.bytes_kept
    assert (tmp_path / name).stat().st_mode & 0o077 == 0


@needs_dumpcap
@needs_scapy
def test_both_tools_see_the_same_packets(pair: Pair) -> None:
    sources = [listen(pair, choice, bpf="tcp or udp port 9999") for choice in _choices()]

    def traffic() -> None:
        pair.exchange_tcp(10)
        pair.send_udp(10, size=1200)
        time.sleep(SETTLE_S)
        for source in sources:
            source.stop()

    acting = threading.Thread(target=traffic)
    acting.start()
    first, second = (rows(source) for source in sources)
    acting.join()
    assert first.size > 100
    assert np.abs(first["ts"] - second["ts"]).max() < 1_000_000  # each socket has the kernel look at the clock anew
    second["ts"] = first["ts"]
    assert_same(first, second)


@TOOLS
def test_a_packet_is_handed_on_within_300_ms(pair: Pair, choice: Choice) -> None:
    source = listen(pair, choice, bpf="udp port 9999")
    late = []
    sending = threading.Thread(target=pair.send_udp, args=(12,), kwargs={"pause_s": 0.11})
    sending.start()
    for packets in source.batches(2.0):
        if packets is None:
            break
        late += [time.time() - ts / 1e9 for ts in packets["ts"]]
        if len(late) == 12:
            break
    sending.join()
    source.close()
    assert len(late) == 12
    assert max(late) < 0.35, late


@TOOLS
def test_stop_conditions(pair: Pair, choice: Choice, tmp_path: Path) -> None:
    source = listen(pair, choice, tmp_path / "n.pcapng", bpf="udp port 9999", stops=StopConditions(packets=7))
    sending = threading.Thread(target=pair.send_udp, args=(50,))
    sending.start()
    assert rows(source).size == 7
    sending.join()
    assert source.ended == "7 packets were captured"
    assert saved(tmp_path / "n.pcapng").size == 7
    began = time.monotonic()
    source = listen(pair, choice, stops=StopConditions(duration_s=0.4))
    rows(source)
    assert source.ended == "0.4 s were captured"
    assert 0.3 < time.monotonic() - began < 3


@TOOLS
def test_an_interface_that_vanishes_ends_it_with_a_sentence(pair: Pair, choice: Choice, tmp_path: Path) -> None:
    source = listen(pair, choice, tmp_path / "gone.pcapng", bpf="udp port 9999")

    def traffic() -> None:
        pair.send_udp(20)
        time.sleep(SETTLE_S)
        ip("-n", pair.near, "link", "delete", "near0")

    acting = threading.Thread(target=traffic)
    acting.start()
    assert rows(source).size == 20
    acting.join()
    assert source.ended == "near0: the interface is gone; the capture ended there"
    assert source.warnings == (source.ended,)
    assert saved(tmp_path / "gone.pcapng").size == 20


@needs_scapy
def test_an_interface_that_vanishes_after_its_error_was_read_ends_it_too(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux tells of a removal once, when the interface goes down: read at that moment, it is there still."""
    source = listen(pair, Choice(Tool.SCAPY, "", ""))
    asked: list[str] = []
    state_of = scapy_socket.interfaces.state_of

    def down_at_first(name: str) -> bool | None:
        asked.append(name)
        return False if len(asked) == 1 else state_of(name)

    monkeypatch.setattr(scapy_socket.interfaces, "state_of", down_at_first)
    acting = threading.Thread(target=ip, args=("-n", pair.near, "link", "delete", "near0"))
    acting.start()
    rows(source)
    acting.join()
    assert len(asked) >= 2
    assert source.ended == "near0: the interface is gone; the capture ended there"


@needs_scapy
def test_packets_that_waited_when_an_interface_vanished_are_read_and_it_ends(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error comes before the packets: those say nothing of whether the interface is on again."""
    with inside(pair.near):
        source = scapy_socket.ScapySource(CaptureOptions((pair.interface,)))
    pair.send_udp(3)
    ip("-n", pair.near, "link", "delete", "near0")
    states = iter([False, False])
    monkeypatch.setattr(scapy_socket.interfaces, "state_of", lambda _name: next(states, None))
    made, until = [], time.monotonic() + 5
    while (data := source.read(0.1)) != b"":
        made.append(data or b"")
        assert time.monotonic() < until, "it never ended"
    captured = PacketSource("waiting", stream=io.BytesIO(b"".join(made)))
    assert sum(int((packets["dport"] == 9999).sum()) for packets in captured.batches()) == 3
    assert source.why_ended == "near0: the interface is gone; the capture ended there"


@TOOLS
def test_an_interface_switched_off_and_on_goes_on(pair: Pair, choice: Choice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarder, "CHECK_INTERFACES_EVERY_S", 0.1)
    source = listen(pair, choice, bpf="udp port 9999")

    def traffic() -> None:
        pair.send_udp(5)
        ip("-n", pair.near, "link", "set", "near0", "down")
        time.sleep(0.5)
        ip("-n", pair.near, "link", "set", "near0", "up")
        time.sleep(0.1)
        pair.send_udp(5)

    assert rows(source, traffic).size == 10
    assert source.warnings == ("near0: the interface was switched off; nothing is captured on it until it is on",)


@TOOLS
def test_bad_filters_and_names_are_refused_in_a_sentence(pair: Pair, choice: Choice) -> None:
    def begin(name: str, bpf: str) -> None:
        with inside(pair.near):
            if choice.tool is Tool.DUMPCAP:
                select_backend(CaptureOptions((name,), bpf=bpf))
            else:
                scapy_socket.ScapySource(CaptureOptions((name,), bpf=bpf))

    with pytest.raises(CaptureError, match=r"near0: the capture filter 'bad \(' is not understood \(.*syntax error\)"):
        begin("near0", "bad (")
    with pytest.raises(CaptureError, match="nosuch0: no such interface; there are near0, lo"):
        begin("nosuch0", "")


@needs_dumpcap
def test_a_killed_dumpcap_leaves_what_it_gave(pair: Pair) -> None:
    source = listen(pair, _choices()[0], bpf="udp port 9999")
    byte_source = source._byte_source
    assert isinstance(byte_source, dumpcap.DumpcapSource)
    assert os.getsid(byte_source.pid) != os.getsid(0)  # a Ctrl-C at the terminal does not reach it

    def traffic() -> None:
        pair.send_udp(20)
        time.sleep(SETTLE_S)
        os.kill(byte_source.pid, signal.SIGKILL)

    acting = threading.Thread(target=traffic)
    acting.start()
    assert rows(source).size == 20
    acting.join()
    assert source.ended == "dumpcap was ended by signal 9; the capture ended there"


@TOOLS
def test_drops_are_told(pair: Pair, choice: Choice, tmp_path: Path) -> None:
    """What was received and what was dropped make up what was sent."""
    options = CaptureOptions((pair.interface,), bpf="udp port 9999", buffer_mib=1)
    with inside(pair.near):
        if choice.tool is Tool.SCAPY:
            byte_source: dumpcap.DumpcapSource | scapy_socket.ScapySource = scapy_socket.ScapySource(options)
        else:
            byte_source = dumpcap.DumpcapSource(choice.program, options)
    data = byte_source.read(5.0) or b""
    if isinstance(byte_source, dumpcap.DumpcapSource):
        os.kill(byte_source.pid, signal.SIGSTOP)
    pair.send_udp(8000, size=1000)
    if isinstance(byte_source, dumpcap.DumpcapSource):
        os.kill(byte_source.pid, signal.SIGCONT)
        time.sleep(SETTLE_S)
    byte_source.stop()
    while (more := byte_source.read(1.0)) != b"":
        data += more or b""
    path = tmp_path / "all.pcapng"
    path.write_bytes(data)
    source = PacketSource(str(path))
    received = sum(packets.size for packets in source.batches())
    assert byte_source.drops == source.drops > 0
    assert received + byte_source.drops == 8000


@TOOLS
@pytest.mark.parametrize("name", ["kept.pcapng", "kept.pcapng.zst"])
def test_kill_9_at_any_moment_leaves_a_readable_file(pair: Pair, choice: Choice, name: str, tmp_path: Path) -> None:
    warm_up()
    path = tmp_path / name
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            for _packets in listen(pair, choice, path, bpf="udp port 9999").batches(0.2):
                pass
        os._exit(1)
    sending = threading.Thread(target=pair.send_udp, args=(2200,), kwargs={"pause_s": 0.001})
    time.sleep(0.4)
    sending.start()
    time.sleep(random.Random(f"{name} {choice.tool}").uniform(1.4, 2.2))
    os.kill(child, signal.SIGKILL)
    killed = time.time()
    os.waitpid(child, 0)
    sending.join()
    packets = saved(path)
    assert packets.size > 100
    assert killed - packets["ts"][-1] / 1e9 < 1.5


def test_an_ordinary_user_is_told_what_to_do(pair: Pair) -> None:
    code = (
        "from peerburst.capture.live.backends.select import select_backend\n"
        "from peerburst.capture.live.options import CaptureOptions\n"
        "try:\n    print(select_backend(CaptureOptions(('near0',))))\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
    )
    command = ["ip", "netns", "exec", pair.near, "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    done = subprocess.run(
        [*command, sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd="/", env={}
    )
    if "No module named" in done.stderr or "cannot open" in done.stderr:
        pytest.skip("the ordinary user cannot read the installation")
    if "Tool.DUMPCAP" in done.stdout:
        pytest.skip("dumpcap may capture for everybody here")
    assert done.stdout.startswith("CaptureError near0: "), done
    assert "sudo" in done.stdout
