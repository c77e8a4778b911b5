"""Recordings that lack something: filters for flags, snaplens that cut headers."""

from pathlib import Path

import pytest

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.settings import Settings
from peerburst.opening import analyse
from peerburst.render import sentences
from peerburst.render.json_document import document
from tests.support.making import Tape, local, ns, remote
from tests.support.packets_by_hand import ACK, FIN, PSH, RST, SYN, enhanced, interface, section

CASES = Path(__file__).parents[1] / "cases"
FLAGS_AT = 14 + 20 + 13


def filtered(tape: Tape, wanted: int) -> Tape:
    """What a filter for any of these flags leaves."""
    tape.frames = [(at_s, frame) for at_s, frame in tape.frames if frame[23] != 6 or frame[FLAGS_AT] & wanted]
    return tape


def browsing(count: int = 30) -> Tape:
    tape = Tape()
    for i in range(count):
        tape.connection(i, local(4000 + i), remote(i))
        tape.exchange(i + 0.5, local(5000 + i), remote(i, 53))
    return tape


def test_a_recording_of_syn_fin_and_rst_alone() -> None:
    analysis = analyse([str(CASES / "syn-fin-rst-filter.pcap")], Settings())
    (note,) = sentences.recording(analysis)
    assert note.startswith("Of TCP only packets with SYN or FIN were recorded, as by a capture filter.")
    assert "peaks are lower bounds; naive, which needs no more, counts all." in note
    assert "held at least 61 connections" in next(sentences.headline(analysis, analysis.hosts[0]))
    assert document(analysis)["capture"]["notes"] == [note]


@pytest.mark.parametrize(
    ("wanted", "named"),
    [(SYN | FIN | RST, "SYN or FIN or RST"), (SYN | FIN, "SYN or FIN"), (SYN, "SYN"), (SYN | RST, "SYN or RST")],
)
def test_filters_for_flags_beside_whole_udp(wanted: int, named: str, tmp_path: Path) -> None:
    tape = browsing()
    tape.refused(40, local(9000), remote(9))
    (note,) = sentences.recording(filtered(tape, wanted).analysis(tmp_path))
    assert f"only packets with {named} were recorded" in note


def test_fins_that_carry_data(tmp_path: Path) -> None:
    tape = browsing()
    tape.tcp(50, local(4000), remote(0), FIN | ACK | PSH, 100)
    assert list(sentences.recording(filtered(tape, SYN | FIN).analysis(tmp_path)))


def test_whole_recordings_and_scans_have_no_such_note(tmp_path: Path) -> None:
    assert list(sentences.recording(browsing().analysis(tmp_path))) == []
    scan = Tape()
    for i in range(100):
        scan.tcp(i * 0.01, local(4000 + i), remote(i), SYN)
        if i % 3 == 0:
            scan.tcp(i * 0.01 + 0.005, remote(i), local(4000 + i), RST | ACK)
    assert list(sentences.recording(scan.analysis(tmp_path))) == []
    assert list(sentences.recording(filtered(browsing(5), SYN | FIN).analysis(tmp_path))) == []
    for again in (False, True):  # SYN+ACKs that are answered with RST, or never, so that they are sent again
        half = Tape()
        for i in range(100):
            half.tcp(i * 0.01, local(4000 + i), remote(i), SYN)
            half.tcp(i * 0.01 + 0.005, remote(i), local(4000 + i), SYN | ACK)
            if again:
                half.tcp(i * 0.01 + 1, remote(i), local(4000 + i), SYN | ACK)
            else:
                half.tcp(i * 0.01 + 0.006, local(4000 + i), remote(i), RST)
        assert list(sentences.recording(half.analysis(tmp_path))) == []
    flood = Tape()
    for i in range(100):
        flood.open(i * 0.01, local(4000 + i), remote(i))
    assert list(sentences.recording(flood.analysis(tmp_path))) == []


# --- snaplens --------------------------------------------------------------------------------------------------------


def cut(tape: Tape, snaplen: int, path: Path) -> Analysis:
    """The capture as it is with so many bytes of each packet."""
    data = section() + interface(snaplen=snaplen, options=bytes.fromhex("0900010009000000"))
    for at_s, frame in sorted(tape.frames, key=lambda packet: packet[0]):
        data += enhanced(frame[:snaplen], ns(at_s), wire=len(frame))
    path.write_bytes(data)
    return analyse([str(path)], Settings())


def notes(analysis: Analysis) -> str:
    return " ".join([*sentences.warnings(analysis), *sentences.recording(analysis)])


@pytest.mark.parametrize("snaplen", [16, 30, 40, 45])
def test_headers_that_were_cut(snaplen: int, tmp_path: Path) -> None:
    text = notes(cut(browsing(), snaplen, tmp_path / "cut.pcapng"))
    assert "Cut within their headers (snaplen): " in text
    assert "which are in no count" in text
    assert f"no more than {snaplen} bytes are kept" in text


@pytest.mark.parametrize("snaplen", [54, 60, 68])
def test_options_that_were_cut(snaplen: int, tmp_path: Path) -> None:
    text = notes(cut(browsing(), snaplen, tmp_path / "cut.pcapng"))
    assert "Cut within their headers" not in text
    assert f"no more than {snaplen} bytes are kept of a packet that was cut (snaplen), without TCP's options" in text


@pytest.mark.parametrize("snaplen", [74, 96, 1500])
def test_snaplens_that_are_enough(snaplen: int, tmp_path: Path) -> None:
    assert notes(cut(browsing(), snaplen, tmp_path / "cut.pcapng")) == ""
