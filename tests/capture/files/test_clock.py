"""Times that do not stand in the order of the file: late packets, clocks that are set, several captures in one file."""

from pathlib import Path

import numpy as np
import pytest

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.settings import Settings
from peerburst.capture.files.clock import KEPT, MOST_LATE_NS, Clock
from peerburst.capture.packets.record import FRAME
from peerburst.capture.read import Capture, read
from peerburst.opening import analyse
from tests.support.kernels import COMPILED
from tests.support.making import HOST, ns, remote
from tests.support.packets_by_hand import NANOSECOND_MAGIC, UDP, ethernet, ipv4, pcap, udp

CASES = Path(__file__).parents[2] / "cases"
HOUR, DAY, YEAR = 3600, 86_400, 366 * 86_400


def mended(*seconds: float, at_once: int | None = None) -> tuple[list[float], list[str]]:
    """Times as a clock leaves them, so many frames at a time, and what it says."""
    clock, out = Clock(), []
    step = at_once or len(seconds)
    for first in range(0, len(seconds), step):
        some = seconds[first : first + step]
        frames = np.zeros(len(some), FRAME)
        frames["ts"], frames["wire"] = [ns(at) for at in some], 60
        clock.mend(frames)
        out += [round((int(ts) - ns(0)) / 1e9, 6) for ts in frames["ts"]]
    return out, list(clock.sentences())


@pytest.mark.parametrize("at_once", [1, 2, None])
def test_late_packets_keep_their_times(at_once: int | None) -> None:
    times = (0, 5, 4.5, 9, 0, 14, 4.2, 14.1)
    assert mended(*times, at_once=at_once) == (list(times), [])


def test_late_means_ten_seconds_at_most() -> None:
    most = MOST_LATE_NS / 1e9
    assert mended(0, 20, 20 - most)[0] == [0, 20, 20 - most]
    assert mended(0, 20, 19.999 - most)[0] == [0, 20, 20]


@pytest.mark.parametrize("at_once", [1, 2, None])
def test_a_clock_set_back_and_time_goes_on(at_once: int | None) -> None:
    times, said = mended(0, 1, 2, 2 - HOUR, 3 - HOUR, 4 - HOUR, at_once=at_once)
    assert times == [0, 1, 2, 2, 3, 4]
    assert said == [
        "time runs backwards by 1 h, as when a clock is set; the order of the file counts, and what follows was moved"
        " so that time goes on"
    ]


@pytest.mark.parametrize("at_once", [1, 3, None])
def test_a_clock_set_back_and_right_again(at_once: int | None) -> None:
    assert mended(0, 1, 1 - HOUR, 2 - HOUR, 3, 4, at_once=at_once)[0] == [0, 1, 1, 2, 3, 4]


def test_set_back_again_and_again() -> None:
    times, said = mended(*(step - step * HOUR for step in range(3 * KEPT)))
    assert times == [0] * (3 * KEPT)
    assert said[0].startswith(f"time runs backwards {3 * KEPT - 1} times, by up to 59 min 59 s")


@pytest.mark.parametrize("at_once", [1, 2, None])
def test_two_clocks_that_take_turns(at_once: int | None) -> None:
    times = [at - HOUR * (i % 2) for i, at in enumerate(range(20))]
    found, said = mended(*times, at_once=at_once)
    assert max(abs(at - i) for i, at in enumerate(found)) <= 1
    assert said[0].startswith("time runs backwards 10 times, by up to")


def test_one_packet_far_ahead_stays_where_it_stands_in_the_file() -> None:
    times, said = mended(0, 1, 2 + DAY, 3, 4)
    assert times == [0, 1, 1, 3, 4]
    assert said == [
        "time jumps ahead by 1 day and runs backwards again, as when a clock is set; the order of the file counts, and"
        " what follows was moved so that time goes on"
    ]


def test_one_packet_without_a_time() -> None:
    times, said = mended(0, 1, -1_700_000_000, 2, 3)
    assert times == [0, 1, 1, 2, 3]
    assert said[0].startswith("time runs backwards by 53 years 3")


def test_records_of_zeros_say_nothing_of_the_time() -> None:
    clock, frames = Clock(), np.zeros(4, FRAME)
    frames["ts"] = [0, ns(1), 0, ns(2)]
    frames["wire"] = [0, 60, 0, 60]
    clock.mend(frames)
    assert frames["ts"].tolist() == [0, ns(1), ns(1), ns(2)]
    assert list(clock.sentences()) == []


def test_silence_counts_as_silence_and_is_said_where_it_is_long() -> None:
    assert mended(0, 1, 1 + HOUR, 2 + HOUR) == ([0, 1, 1 + HOUR, 2 + HOUR], [])
    times, said = mended(0, 1, 1 + 3 * DAY)
    assert times == [0, 1, 1 + 3 * DAY]
    assert said == [
        "there is no packet for 3 days: nothing came, or captures of different times were merged, or the clock was set"
        " ahead; it counts as silence"
    ]


def test_captures_that_were_merged_stay_years_apart() -> None:
    times, said = mended(0, 1, 1 + 20 * YEAR, 2 + 20 * YEAR)
    assert times == [0, 1, 1 + 20 * YEAR, 2 + 20 * YEAR]
    assert said[0].startswith("there is no packet for 20 years 15 days: ")


def test_many_silences_take_no_time() -> None:
    times = tuple(i * 61.0 for i in range(16_384 if COMPILED else 300))
    assert mended(*times)[0][-1] == times[-1]


def test_instants_at_the_ends_of_what_can_be_written() -> None:
    clock, frames = Clock(), np.zeros(5, FRAME)
    frames["ts"], frames["wire"] = [1 << 62, -(1 << 62), 1 << 62, 0, -(1 << 62)], 60
    clock.mend(frames)
    assert np.abs(frames["ts"]).max() <= 1 << 62


# --- whole captures --------------------------------------------------------------------------------------------------


def flows_at(*seconds: float, first: int = 0) -> bytes:
    """A capture of one new flow at each of these instants, in this order."""
    return pcap(
        [
            (*divmod(ns(at), 10**9), ethernet(ipv4(udp(5000, 9000, b"x"), UDP, HOST, remote(first + i)[0])))
            for i, at in enumerate(seconds)
        ],
        magic=NANOSECOND_MAGIC,
    )


def analysed(path: Path, data: bytes) -> Analysis:
    path.write_bytes(data)
    return analyse([str(path)], Settings(models=("flat:60",)))


def test_a_clock_set_back_does_not_hide_the_peak(tmp_path: Path) -> None:
    times = [i * 0.1 for i in range(100)] + [10 + i * 0.1 - 500 for i in range(100)]
    analysis = analysed(tmp_path / "back.pcap", flows_at(*times))
    assert analysis.host(analysis.ranked[0]).models["flat:60"].peak == 200
    assert analysis.capture.duration_s < 30
    assert "time runs backwards by 8 min 20 s" in analysis.capture.warnings[0]


def test_the_clock_that_was_set_back_by_an_hour() -> None:
    analysis = analyse([str(CASES / "clock-back-one-hour.pcap")], Settings(models=("linux-connlimit",)))
    assert analysis.host(analysis.ranked[0]).models["linux-connlimit"].peak == 250
    assert len(analysis.capture.warnings) == 1
    assert "time runs backwards by 1 h, as when" in analysis.capture.warnings[0]


def test_captures_joined_in_the_wrong_order_keep_their_times(tmp_path: Path) -> None:
    early, late = flows_at(0, 1, 2), flows_at(100, 101, first=3)
    analysis = analysed(tmp_path / "joined.pcap", late + early)
    assert analysis.capture.duration_s == 101
    assert analysis.host(analysis.ranked[0]).models["flat:60"].peak == 3
    assert "begins 1 min 41 s before the end of those in front" in analysis.capture.warnings[0]
    assert read_bytes(tmp_path, early + late).warnings == ()


def read_bytes(folder: Path, data: bytes) -> Capture:
    path = folder / "some"
    path.write_bytes(data)
    return read([str(path)])
