"""One direction alone is found by what it acknowledges, and by nothing that scans, floods or groups send."""

from collections.abc import Callable
from pathlib import Path

import pytest

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.settings import Settings
from peerburst.analysis.vantage.direction import Seen
from peerburst.capture.vocabulary import TrafficClass
from peerburst.opening import analyse
from peerburst.render import sentences
from peerburst.render.json_document import document
from tests.support.making import HOST, Tape, local, remote
from tests.support.packets_by_hand import ACK, FIN, PSH, RST, SYN
from tests.support.paths import ROOT

CASES = ROOT / "tests" / "cases"


def case(name: str) -> Analysis:
    return analyse([str(CASES / f"{name}.pcap")], Settings())


def half(tape: Tape, *, outbound: bool) -> Tape:
    """What a mirror port gives that is set to one direction."""
    source = slice(26, 30)  # of an Ethernet frame with IPv4
    mine = bytes(map(int, HOST.split(".")))
    tape.frames = [(at_s, frame) for at_s, frame in tape.frames if (frame[source] == mine) == outbound]
    return tape


def browsing(tape: Tape, connections: int = 40) -> Tape:
    for number in range(connections):
        tape.connection(number, local(20000 + number), remote(number), sent=3000, received=9000)
    return tape


def chat(tape: Tape) -> Tape:
    """Connections that stay open, to ports nobody knows."""
    for number in range(20):
        tape.open(number, local(20000 + number), remote(number, 40000 + number))
        for turn in range(5):
            tape.carry(number + 1 + turn, local(20000 + number), remote(number, 40000 + number), 100)
            tape.carry(number + 1.5 + turn, remote(number, 40000 + number), local(20000 + number), 100)
    return tape


def test_both_directions_say_nothing() -> None:
    whole = case("both-ways")
    assert whole.direction.seen is Seen.BOTH
    assert whole.direction.acknowledging_flows == 0
    assert document(whole)["vantage"]["direction"]["peaks_are"] == {}
    assert sentences.direction_sentence(whole) is None
    assert whole.host(whole.ranked[0]).models["linux-connlimit"].peak == 34


@pytest.mark.parametrize(("name", "seen"), [("outbound-only", Seen.OUTBOUND), ("inbound-only", Seen.INBOUND)])
def test_half_of_a_capture_says_so(name: str, seen: Seen) -> None:
    analysis, whole = case(name), case("both-ways")
    assert analysis.direction.seen is seen
    assert (analysis.direction.acknowledging_flows, analysis.direction.two_way_flows) == (240, 0)
    host = analysis.host(analysis.ranked[0])
    assert not host.is_server  # who sends a SYN+ACK did not open the connection, nor who answers from port 53
    assert host.inbound_peak == 0
    assert host.classification.label in (TrafficClass.WEB, TrafficClass.UNKNOWN)
    (burst,) = analysis.bursts
    assert not burst.inbound
    assert burst.classification.label is TrafficClass.WEB
    said = " ".join(sentences.hints(analysis))
    assert f"One direction alone was captured ({seen.value}" in said
    assert "held at most 270 connections" in next(sentences.headline(analysis, host))
    # The bounds hold, but for a flow or two that began before the half that was seen.
    true = whole.host(whole.ranked[0]).models
    for model, bound in document(analysis)["vantage"]["direction"]["peaks_are"].items():
        assert f"{bound} under" in said
        slack = 2
        if bound == "at most":
            assert host.models[model].peak >= true[model].peak - slack, model
        else:
            assert host.models[model].peak <= true[model].peak + slack, model


@pytest.mark.parametrize("outbound", [True, False])
@pytest.mark.parametrize(("made", "bound"), [(browsing, "at most"), (chat, "at least")])
def test_other_halves(made: Callable[[Tape], Tape], bound: str, outbound: bool, tmp_path: Path) -> None:
    analysis = half(made(Tape()), outbound=outbound).analysis(tmp_path, "linux-connlimit")
    assert analysis.direction.seen is (Seen.OUTBOUND if outbound else Seen.INBOUND)
    assert analysis.bound(analysis.host_number(HOST)) == bound
    assert analysis.concurrency(analysis.models[0], inbound=True).peak[analysis.host_number(HOST)] == 0
    assert analysis.flows["local_orig"].all()
    label = analysis.host_classes[analysis.host_number(HOST)]
    assert label is (TrafficClass.WEB if made is browsing else TrafficClass.UNKNOWN)
    if made is chat:
        reasons = analysis.host(analysis.host_number(HOST)).classification.evidence
        assert "one direction alone was captured" in reasons[0].says


def test_a_half_met_in_its_midst(tmp_path: Path) -> None:
    tape = chat(Tape())
    tape.frames = [(at_s, frame) for at_s, frame in tape.frames if at_s > 21]
    for number in range(5):
        for turn in range(4):
            tape.tcp(30 + turn, local(30000 + number), remote(number), ACK)
            tape.tcp(30.5 + turn, local(30000 + number), remote(number), PSH | ACK, 100)
    assert half(tape, outbound=True).analysis(tmp_path).direction.seen is Seen.OUTBOUND


def scan(tape: Tape) -> None:
    for number in range(300):
        tape.tcp(number / 50, local(40000), remote(number, 22), SYN)


def flood(tape: Tape) -> None:
    for number in range(2000):
        tape.tcp(number / 500, remote(number, 2000), local(80), SYN)
        tape.udp(number / 500, remote(number, 2000), local(80), 500)


def backscatter(tape: Tape) -> None:
    for number in range(300):
        for again in range(3):
            tape.tcp(number / 50 + again, remote(1, 80), local(number + 1024), SYN | ACK)


def probes_of_acknowledgements(tape: Tape) -> None:
    for number in range(300):
        tape.tcp(number / 50, local(40000), remote(number, 22), ACK)


def fast_open(tape: Tape) -> None:
    for number in range(300):
        tape.tcp(number / 50, local(20000 + number), remote(number), SYN, 100)
        tape.tcp(number / 50 + 1, local(20000 + number), remote(number), SYN, 100)


def reset_by_hand(tape: Tape) -> None:
    for number in range(300):
        tape.tcp(number / 50, local(20000 + number), remote(number), SYN)
        tape.tcp(number / 50 + 0.1, local(20000 + number), remote(number), RST)


def groups(tape: Tape) -> None:
    for number in range(300):
        tape.udp(number / 10, local(5353), ("224.0.0.251", 5353))


SILENT = (scan, flood, backscatter, probes_of_acknowledgements, fast_open, reset_by_hand, groups)


@pytest.mark.parametrize("made", SILENT)
@pytest.mark.parametrize("beside", [0, 3])
def test_silence_alone_proves_nothing(made: Callable[[Tape], None], beside: int, tmp_path: Path) -> None:
    tape = browsing(Tape(), beside)
    made(tape)
    assert tape.analysis(tmp_path, "linux-connlimit").direction.seen is Seen.BOTH


def test_a_scan_is_a_scan_unless_answers_could_not_be_seen(tmp_path: Path) -> None:
    tape = Tape()
    scan(tape)
    analysis = tape.analysis(tmp_path, "linux-connlimit")
    assert analysis.bursts[0].classification.label is TrafficClass.SCAN
    analysis = half(browsing(tape), outbound=True).analysis(tmp_path, "linux-connlimit")
    assert analysis.direction.seen is Seen.OUTBOUND
    assert {burst.classification.label for burst in analysis.bursts} <= {TrafficClass.UNKNOWN, TrafficClass.WEB}


def test_a_few_lost_packets_are_no_direction(tmp_path: Path) -> None:
    tape = browsing(Tape(), 30)
    for number in range(3):  # of three connections the capture lost all answers
        tape.tcp(number, local(50000 + number), remote(number), SYN)
        tape.tcp(number + 0.2, local(50000 + number), remote(number), ACK)
        tape.tcp(number + 0.3, local(50000 + number), remote(number), FIN | ACK)
    found = tape.analysis(tmp_path).direction
    assert (found.seen, found.acknowledging_flows) == (Seen.BOTH, 3)
