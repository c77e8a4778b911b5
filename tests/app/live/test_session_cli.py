"""The command lines of `live` and `doctor`: what they refuse, list and follow."""

import csv
import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from peerburst.analysis.settings import Settings
from peerburst.capture.live.backends import dumpcap
from peerburst.capture.live.backends import scapy_socket as scapysocket
from peerburst.capture.live.doctor import Finding
from peerburst.capture.sockets.observations import ALWAYS_NS, STILL_NS, SocketObservation
from peerburst.cli import doctor
from peerburst.cli import main as cli
from peerburst.opening import analyse
from tests.support.kernels import COMPILED
from tests.support.paths import PCAPS


def _nothing_may_capture() -> str:
    """Why this user may capture nothing, which is said before all that is wrong besides; empty if something may."""
    program = dumpcap.find()
    if program is not None and not dumpcap.trouble(program, "lo"):
        return ""
    without = scapysocket.trouble()
    return without and f"dumpcap {'is not installed' if program is None else 'may not capture'}, and {without}"


NOTHING_MAY_CAPTURE = _nothing_may_capture()
needs_capture = pytest.mark.skipif(bool(NOTHING_MAY_CAPTURE), reason=NOTHING_MAY_CAPTURE)
needs_speed = pytest.mark.skipif(not COMPILED, reason="a second's packets take longer without the compiler")
SYNC = PCAPS / "chat-sync-small.pcap"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param(["-i", "no-such-if0"], "no such interface", marks=needs_capture),
        (["-r", "x.pcap", "-i", "lo"], "-r reads a capture"),
        (["-r", "x.pcap", "-f", "udp"], "-r reads a capture"),
        (["-i", "lo", "-a", "hours:2"], "duration:NUMBER"),
        (["-i", "lo", "-b", "files:3"], "add -b filesize:KB"),
        pytest.param(["-i", "lo", "-w", "kept.txt"], "must end in .pcapng", marks=needs_capture),
        (["-i", "lo", "--model", "no-such"], "not a gateway model"),
        (["-i", "lo", "--limit", "0"], "at least 1 connection"),
        (["-i", "lo", "--alert", "0"], "1 connection or more"),
        (["-i", "lo", "--on-alert", "no-such-program-x"], "there is no such program"),
        (["-r", "/no/such.pcap", "-a", "filesize:3"], "add -w"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = cli.main(["live", "--plain", *words])
    out, err = capsys.readouterr()
    assert code in (1, 2)
    assert says in " ".join(err.replace("│", " ").split())
    assert "Traceback" not in err
    assert out == ""
    assert list(tmp_path.iterdir()) == []


@needs_speed
def test_a_followed_file_ends_when_told_to_and_is_what_analyze_says(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code = cli.main(["live", "-r", str(SYNC), "--format", "jsonl", "-a", "duration:1", "-o", str(tmp_path / "out")])
    objects = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert code == 0
    assert objects[-1]["type"] == "end"
    saved = analyse([str(SYNC)], Settings())
    assert objects[-1]["analysis"]["capture"]["packets"] == saved.capture.packets
    peak = objects[-1]["analysis"]["hosts"][0]["models"]["linux-connlimit"]["peak"]
    assert peak == saved.host(saved.ranked[0]).models["linux-connlimit"].peak
    assert objects[-2]["peak"] == peak
    assert (tmp_path / "out" / "verdict.txt").exists()


@needs_speed
def test_exit_code_three_after_an_alert(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["live", "-r", str(SYNC), "--plain", "-a", "duration:1", "--alert", "20"]) == 3
    out, err = capsys.readouterr()
    assert "ALERT: 10.20.1.37 holds" in out
    assert "10.20.1.37 held 99 connections at once" in out
    assert "ended: 1 s were captured" in err


def test_flows_and_the_verdict_name_programs_where_sockets_were_watched(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    capture = tmp_path / "login.pcap"
    shutil.copy(SYNC, capture)
    seen = SocketObservation(
        id=1, protocol=17, local="0.0.0.0", local_port=35990, remote="", remote_port=0, v6_only=False, pid=99,
        name="qtox", program="/usr/bin/qtox", uid=1000, first_seen_ns=0, last_seen_ns=STILL_NS, absent_ns=ALWAYS_NS,
        gone_ns=STILL_NS,
    )  # fmt: skip
    (tmp_path / "login.pcap.sockets.jsonl").write_text(f'{json.dumps(asdict(seen))}\n{{"addresses": ["10.20.1.37"]}}\n')
    assert cli.main(["flows", str(capture)]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    mine = {row["process"] for row in rows if (row["orig_h"], row["orig_p"]) == ("10.20.1.37", "35990")}
    others = {row["process"] for row in rows if "35990" not in (row["orig_p"], row["resp_p"])}
    assert (mine, others) == ({"qtox"}, {""})
    assert cli.main([str(capture)]) == 0
    count = sum("35990" in (row["orig_p"], row["resp_p"]) for row in rows)
    assert f"Programs: qtox {count} flows; {len(rows) - count} flows of no known program." in capsys.readouterr().out
    (tmp_path / "login.pcap.sockets.jsonl").unlink()
    assert cli.main([str(capture)]) == 0
    assert "Programs" not in capsys.readouterr().out


def test_interfaces_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["live", "-D"]) == 0
    assert any(row.startswith("lo") and "loopback" in row for row in capsys.readouterr().out.splitlines())


def test_doctor_says_what_is_wrong_and_what_to_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = (Finding("kernel", True, "is\x1b[2J new"), Finding("dumpcap", False, "is absent", "install it"))
    assert list(doctor.lines(findings)) == [
        "ok      kernel: is [2J new",
        "NOT OK  dumpcap: is absent",
        "        install it",
        "",
        "What is not ok stands in the way of a live capture, or makes it worse.",
    ]
    monkeypatch.setattr("peerburst.capture.live.doctor.examine", lambda: findings)
    assert cli.main(["doctor"]) == 1
    monkeypatch.setattr("peerburst.capture.live.doctor.examine", lambda: findings[:1])
    assert cli.main(["doctor"]) == 0
    assert "ready" in capsys.readouterr().out
