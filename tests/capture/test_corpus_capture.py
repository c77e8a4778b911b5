"""The capture layer on real captures: counts, the reference, hostile files. Skipped where the captures are absent."""

import csv
from pathlib import Path

import numpy as np
import pytest

from peerburst.capture.errors import CaptureError
from peerburst.capture.flows.table import FlowTable
from peerburst.capture.packets.status import Status
from tests.support import reference
from tests.support.bytes_through_kernels import (
    as_packets,
    flow_facts,
    read_all,
    reference_flow_facts,
    reference_segment_facts,
    segment_facts,
    table_of,
)
from tests.support.kernels import COMPILED
from tests.support.paths import CORPUS

pytestmark = pytest.mark.corpus

# Of pcap version 2.3, whose writers did not agree on the order of the two lengths; libpcap guesses, we do not.
SWAPPED_LENGTHS = {"tcpdump/history__hoobr_bfd_print@374cd825.pcap"}
FOREIGN = {"formats/PcapPlusPlus__solaris.snoop", "formats/libtrace__100_packets.erf"}
MOST_PACKETS = 100_000 if COMPILED else 3_500  # the reference, and uncompiled kernels, take their time
HOSTILE_FILES = None if COMPILED else 150


def listed(index: str) -> dict[str, set[int]]:
    """The packet counts that an index gives for each file; two captures of one name are told twice."""
    counts: dict[str, set[int]] = {}
    if (CORPUS / index).is_file():
        with (CORPUS / index).open(newline="") as rows:
            for row in csv.DictReader(rows):
                counts.setdefault(row["file"], set()).add(int(row["packets"]))
    return counts


CAPTURES = {**listed("labels.csv"), **listed("formats.csv")}
ABSENT = pytest.param("", marks=pytest.mark.skip(reason="the captures of ../shared/corpus are not here"))
SMALL = sorted(name for name, counts in CAPTURES.items() if name not in FOREIGN and min(counts) < MOST_PACKETS)


@pytest.mark.parametrize("name", sorted(CAPTURES.keys() - FOREIGN) or [ABSENT])
def test_every_packet_is_read(name: str, corpus: Path) -> None:
    if not COMPILED and name not in SMALL:
        pytest.skip("too many packets for uncompiled kernels")
    rows, source = read_all(corpus / name)
    # One capture ends within its last packet, which others count.
    cut = len(source.warnings)
    assert rows.size + cut in CAPTURES[name]
    assert cut == (name == "traffic/kakaotalk-chat.pcap")


@pytest.mark.parametrize("name", sorted(FOREIGN))
def test_captures_of_other_formats_are_refused_by_name(name: str, corpus: Path) -> None:
    with pytest.raises(CaptureError, match="convert it with editcap"):
        read_all(corpus / name)


@pytest.mark.parametrize("follow_tunnels", [False, True], ids=["outer", "inner"])
@pytest.mark.parametrize("name", SMALL or [ABSENT])
def test_kernels_and_reference_agree(name: str, follow_tunnels: bool, corpus: Path) -> None:
    if follow_tunnels and name.startswith("traffic/"):
        pytest.skip("nothing is tunnelled here")
    rows, _source = read_all(corpus / name, follow_tunnels=follow_tunnels)
    packets = [reference.decode(frame, follow_tunnels) for frame in reference.read_capture(corpus / name)]
    assert as_packets(rows) == packets
    slow = reference.Table()
    slow.add_all(packets)
    slow.settle()
    fast = table_of(rows)
    assert flow_facts(fast) == reference_flow_facts(slow)
    assert segment_facts(fast) == reference_segment_facts(slow)
    flows = fast.flows()
    assert flows.row["a_pkts"].sum() + flows.row["b_pkts"].sum() == fast.statuses[Status.DECODED]


def test_one_capture_in_two_formats_gives_the_same_flows(corpus: Path) -> None:
    tables = [
        table_of(read_all(corpus / "formats" / name)[0])
        for name in ("libtrace__100_packets.pcapng", "libtrace__100_packetsns.pcap")
    ]
    assert segment_starts_us(tables[0]) == segment_starts_us(tables[1])
    # All but the instants, which one of them has to the microsecond alone.
    untimed = [[facts[:6] + facts[7:10] + facts[13:] for facts in flow_facts(table)] for table in tables]
    assert untimed[0] == untimed[1]
    assert len(untimed[0]) >= 43


def segment_starts_us(table: FlowTable) -> list[int]:
    starts = table.flows().segments["start"]
    return [int(start) // 1000 for start in starts]


def test_a_compressed_capture_gives_the_same_packets(corpus: Path) -> None:
    plain, _source = read_all(corpus / "formats" / "PcapPlusPlus__pcapng-example.pcapng")
    packed, _source = read_all(corpus / "formats" / "PcapPlusPlus__pcapng-example.pcapng.zst")
    assert as_packets(plain) == as_packets(packed)


def test_hostile_files_end_in_an_answer_or_a_sentence(corpus: Path) -> None:
    files = sorted(path for path in (corpus / "hostile").rglob("*") if path.is_file() and path.suffix != ".csv")
    if HOSTILE_FILES is not None:
        files = [files[i] for i in np.linspace(0, len(files) - 1, HOSTILE_FILES).astype(int)]
    read, sentences = 0, []
    for path in files:
        try:
            rows, source = read_all(path, follow_tunnels=True)
        except CaptureError as error:
            sentences.append(str(error))
            continue
        table = table_of(rows)
        flows = table.flows()
        assert table.statuses.sum() == rows.size
        assert flows.row["a_pkts"].sum() + flows.row["b_pkts"].sum() == table.statuses[Status.DECODED]
        assert (flows.segments["start"] <= flows.segments["last"]).all()
        assert len(source.warnings) <= 2
        read += 1
    assert all(": " in sentence for sentence in sentences)
    assert read > 10 * len(sentences) > 0


def test_hostile_files_are_read_as_far_as_others_read_them(corpus: Path) -> None:
    """tcpdump and tshark reached the end of these without complaint: so do we, with as many packets."""
    index = corpus / "hostile" / "index.csv"
    with index.open(newline="") as rows:
        sound = [row for row in csv.DictReader(rows) if row["tcpdump_exit"] == row["tshark_exit"] == "0"]
    if HOSTILE_FILES is not None:
        sound = sound[:: max(1, len(sound) // HOSTILE_FILES)]
    different = {}
    for row in sound:
        packets, _source = read_all(corpus / "hostile" / row["file"])
        if packets.size != int(row["packets"] or 0):
            different[row["file"]] = (packets.size, row["packets"])
    assert different.keys() <= SWAPPED_LENGTHS, different
