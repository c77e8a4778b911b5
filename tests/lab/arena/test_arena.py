"""The arena's arithmetic; that its captures and its book agree. To play it takes root (`python -m tests.lab.arena`)."""

import csv
import hashlib
import ipaddress
import statistics
import struct
from pathlib import Path

import pytest

from peerburst.capture.files import zstd
from peerburst.capture.vocabulary import TrafficClass
from tests.lab.arena.addresses import PEER_ADDRESSES, SERVER_ADDRESSES, one_way_s
from tests.lab.arena.ledger import Book
from tests.lab.arena.line import Line, Way
from tests.lab.arena.record import conversations, headers_end, without_payload
from tests.support.paths import PCAPS

FOLDER = PCAPS / "arena"

# 192.168.77.20.40000 > 1.2.3.4.53: UDP, length 5, "hello"
UDP_FRAME = bytes.fromhex(
    "020000000001" "020000000002" "0800"
    "45000021000040004011 0000 c0a84d14 01020304".replace(" ", "")
    + "9c400035000d0000" + "68656c6c6f"
)  # fmt: skip
# 192.168.77.20.40000 > 1.2.3.4.80: Flags [P.], with timestamps (12 bytes of options), length 2, "hi"
TCP_FRAME = bytes.fromhex(
    "020000000001" "020000000002" "0800"
    "45000036000040004006 0000 c0a84d14 01020304".replace(" ", "")
    + "9c400050 00000001 00000002 8018 0100 0000 0000".replace(" ", "")
    + "0101080a0000000100000002" + "6869"
)  # fmt: skip


def pcap(*frames: bytes) -> bytes:
    """A file with these, one second apart, from 1000.5 s."""
    records = (struct.pack("<IIII", 1000 + n, 500_000, len(f), len(f)) + f for n, f in enumerate(frames))
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 96, 1) + b"".join(records)


def test_headers_end_where_the_payload_begins() -> None:
    assert headers_end(UDP_FRAME) == 42
    assert headers_end(TCP_FRAME) == 66
    assert headers_end(TCP_FRAME[:40]) == 40  # cut before the length of the TCP header
    later_fragment = UDP_FRAME[:20] + b"\x00\x10" + UDP_FRAME[22:]
    assert headers_end(later_fragment) == 34


def test_payload_is_zero_and_all_else_stays() -> None:
    masked, times = without_payload(pcap(UDP_FRAME, TCP_FRAME))
    assert masked == pcap(UDP_FRAME[:42] + bytes(5), TCP_FRAME[:66] + bytes(2))
    assert times == [1000.5, 1001.5]


def test_a_record_cut_short_is_left_out() -> None:
    whole = pcap(UDP_FRAME, TCP_FRAME)
    masked, times = without_payload(whole[:-1])
    assert masked == without_payload(pcap(UDP_FRAME))[0]
    assert len(times) == 1


def test_both_ways_are_one_conversation() -> None:
    back = UDP_FRAME[:26] + UDP_FRAME[30:34] + UDP_FRAME[26:30] + UDP_FRAME[36:38] + UDP_FRAME[34:36] + UDP_FRAME[38:]
    assert conversations(pcap(UDP_FRAME, back, UDP_FRAME)) == 1
    assert conversations(pcap(UDP_FRAME, back, TCP_FRAME)) == 2


def test_addresses_are_public_and_live_far_apart() -> None:
    everybody = (*SERVER_ADDRESSES, *PEER_ADDRESSES)
    assert len(set(everybody)) == len(everybody)
    assert all(ipaddress.ip_address(address).is_global for address in everybody)
    networks = {ipaddress.ip_network(f"{address}/16", strict=False) for address in everybody}
    assert 0.8 < len(networks) / len(everybody) < 1


def test_delays_are_those_that_are_told() -> None:
    delays = [one_way_s(address) for address in (*SERVER_ADDRESSES, *PEER_ADDRESSES)]
    assert min(delays) >= 0.003
    assert max(delays) <= 0.15
    assert 0.015 < statistics.median(delays) < 0.025


def test_a_line_holds_packets_back_and_drops_what_its_queue_cannot_hold() -> None:
    line = Line(queue_s=0.1, loss=0.0, jitter_s=0.0)
    way = Way(0, 0, 8000.0, 16, line)  # 1000 bytes a second
    packet = TCP_FRAME[14:] + bytes(46)  # 100 bytes: 0.1 s
    delay = one_way_s("1.2.3.4")
    assert way.due(packet, 5.0) == pytest.approx(5.1 + delay)
    assert way.due(packet, 5.0) == pytest.approx(5.2 + delay)
    assert way.due(packet, 5.0) is None  # it would have to wait 0.2 s
    assert way.due(packet, 5.15) == pytest.approx(5.3 + delay)


def test_a_capture_played_again_replaces_its_rows(tmp_path: Path) -> None:
    book = Book(tmp_path, 96)
    run = ("b.pcap.zst", "program", "1", "web", "what", "command", "5", "1", "2.0", "00")
    label = ("b.pcap.zst", "192.168.77.20", "web", "program", "1", "source", "what", "0.000", "2.000")
    book.enter("b.pcap.zst", [label, label], run)
    book.enter("a.pcap.zst", [("a.pcap.zst", *label[1:])], ("a.pcap.zst", *run[1:]))
    book.enter("b.pcap.zst", [label], run)
    with (tmp_path / "labels.csv").open(newline="") as file:
        assert [row["capture"] for row in csv.DictReader(file)] == ["a.pcap.zst", "b.pcap.zst"]


def _rows(name: str) -> list[dict[str, str]]:
    path = FOLDER / name
    if not path.exists():
        pytest.skip("the arena has not been played here")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_capture_is_in_the_book_and_as_it_says() -> None:
    runs = {row["capture"]: row for row in _rows("runs.csv")}
    assert set(runs) == {path.name for path in FOLDER.glob("*.pcap.zst")}
    for name, row in runs.items():
        compressed = (FOLDER / name).read_bytes()
        assert hashlib.sha256(compressed).hexdigest() == row["sha256"], name
        raw = zstd.decompress(compressed)
        masked, times = without_payload(raw)
        assert masked == raw, f"{name} holds payload"
        assert (len(times), conversations(raw)) == (int(row["packets"]), int(row["flows"])), name


def test_every_label_is_a_class_and_lies_within_its_capture() -> None:
    runs = {row["capture"]: row for row in _rows("runs.csv")}
    labels = _rows("labels.csv")
    assert {row["capture"] for row in labels} == set(runs)
    known = {known.value for known in TrafficClass} - {"unknown"}
    for row in labels:
        assert row["class"] in known, row
        assert ipaddress.ip_address(row["host"]) in ipaddress.ip_network("192.168.77.0/24")
        assert 0 <= float(row["start_s"]) < float(row["end_s"]) <= float(runs[row["capture"]]["seconds"]) + 0.1, row


def test_a_program_has_one_source_wherever_it_plays() -> None:
    sources: dict[str, set[str]] = {}
    for row in _rows("labels.csv"):
        sources.setdefault(row["program"], set()).add(row["source_group"])
    assert {program: groups for program, groups in sources.items() if len(groups) > 1} == {}


def test_every_class_has_at_least_six_sources() -> None:
    sources: dict[str, set[str]] = {}
    for row in _rows("labels.csv"):
        sources.setdefault(row["class"], set()).add(row["source_group"])
    assert {name: len(groups) for name, groups in sources.items() if len(groups) < 6} == {}
    assert set(sources) == {known.value for known in TrafficClass} - {"unknown"}


def test_captures_are_of_scenes_that_can_be_played_again() -> None:
    pytest.importorskip("libtorrent")
    pytest.importorskip("dnslib")
    from tests.lab.arena.scenes import SCENES

    scenes = {scene.name: scene for scene in SCENES}
    assert len(scenes) == len(SCENES)
    labels = {
        (row["capture"].removesuffix(".pcap.zst"), row["class"], row["source_group"]) for row in _rows("labels.csv")
    }
    assert {capture for capture, _, _ in labels} == set(scenes)
    alone = {name for name in scenes if sum(capture == name for capture, _, _ in labels) == 1}
    for capture, name, source in labels:
        if capture in alone:
            assert (name, source) == (scenes[capture].cast.label, scenes[capture].cast.source), capture


def test_what_a_scene_lacks_is_named() -> None:
    pytest.importorskip("libtorrent")
    pytest.importorskip("dnslib")
    from tests.lab.arena.__main__ import missing
    from tests.lab.arena.programs import needs_module
    from tests.lab.arena.stage import Cast, Scene

    here = ("sh", str(FOLDER / "labels.csv"), needs_module("struct"))
    absent = ("no-such-program", "/no/such/file", needs_module("no_such_module"))
    cast = Cast("web", "program", "source", lambda: "1")
    assert missing(Scene("name", cast, "what", (*here, *absent), 1, lambda stage: None)) == list(absent)


def test_mail_goes_to_the_mail_servers() -> None:
    dnslib = pytest.importorskip("dnslib")
    from tests.lab.arena.servers.names import RESOLVER, answer
    from tests.lab.arena.services import MAIL_SERVERS

    def ask(name: str, kind: str) -> list[str]:
        reply = answer(dnslib.DNSRecord.question(name, kind).pack(), SERVER_ADDRESSES[RESOLVER], {})
        return [str(record.rdata) for record in dnslib.DNSRecord.parse(reply).rr]

    assert ask("site7.com", "MX") == ["10 mail.site7.com."]
    (address,) = ask("mail.site7.com", "A")
    assert SERVER_ADDRESSES.index(address) in MAIL_SERVERS
    (elsewhere,) = ask("www1.site7.com", "A")
    assert SERVER_ADDRESSES.index(elsewhere) not in MAIL_SERVERS
    assert ask("nobody.example", "MX") == []


def test_postfix_is_let_out_of_its_jail() -> None:
    pytest.importorskip("dnslib")
    from tests.lab.arena.spamming import without_chroot

    assert without_chroot("smtp unix - - y - - smtp").split() == ["smtp", "unix", "-", "-", "n", "-", "-", "smtp"]
    assert without_chroot("  -o syslog_name=postfix/$service_name") == "  -o syslog_name=postfix/$service_name"


def test_a_fifth_of_a_list_of_hosts_is_somebody() -> None:
    from tests.lab.arena.scanning import list_of_hosts

    hosts = list_of_hosts(7, 160)
    assert len(set(hosts)) == 160
    assert len(set(hosts) & set(SERVER_ADDRESSES)) == 32
    assert hosts == list_of_hosts(7, 160)
    assert hosts != list_of_hosts(8, 160)
