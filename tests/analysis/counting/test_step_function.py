"""Counts, peaks and crossings are those of counting by hand at every instant."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.counting import step_function
from peerburst.analysis.counting.step_function import NEVER_CROSSED
from peerburst.analysis.gateways import load, shipped
from peerburst.capture.errors import SettingsError
from tests.support import reference_models
from tests.support.kernels import COMPILED
from tests.support.making import (
    EPOCH_NS,
    HOST,
    OTHER_HOST,
    Tape,
    analysis_of,
    local,
    ns,
    own_models,
    packet_rows,
    remote,
)
from tests.support.packets_by_hand import SYN

MODELS = [*shipped(), load("flat:10"), *own_models()]
LIMITS = (1, 2, 3)


# --- against the twin ------------------------------------------------------------------------------------------------


@settings(max_examples=100 if COMPILED else 10)
@given(rows=packet_rows(), steps=st.integers(1, 9), drawn=st.sampled_from(range(len(MODELS))))
def test_counts_are_the_twins(rows: npt.NDArray[np.void], steps: int, drawn: int) -> None:
    analysis = analysis_of(rows, MODELS, limits=LIMITS)
    flows, segments = reference_models.as_dicts(analysis.capture.flows)
    for i, model in enumerate(MODELS):
        held = reference_models.entries(model, flows, segments, analysis.ends)
        groups = reference_models.by_owner(held, analysis.ends)
        for inbound in (False, True):
            counted = analysis.concurrency(model, inbound=inbound)
            for host, name in enumerate(analysis.host_names):
                mine = groups.get((host, inbound), [])
                most, at = reference_models.peak(mine)
                assert (int(counted.peak[host]), int(counted.peak_at[host])) == (
                    most,
                    NEVER_CROSSED if at is None else at,
                )
                talking = 0 if at is None else reference_models.talking(mine, segments, at)
                assert int(counted.talking_at_peak[host]) == talking, model.name
                for k, limit in enumerate(LIMITS):
                    first = reference_models.crossed(mine, limit)
                    assert int(counted.crossed_at[host, k]) == (NEVER_CROSSED if first is None else first)
                    length = reference_models.above_ns(mine, limit, analysis.capture.last_ns)
                    assert int(counted.above_ns[host, k]) == length
                if i == drawn and inbound == analysis.is_server(host):
                    check_timeline(analysis, model.name, name, mine, segments, steps)


def check_timeline(
    analysis: Analysis,
    model: str,
    host: str,
    mine: list[reference_models.Entry],
    segments: list[reference_models.Segment],
    rows: int,
) -> None:
    length_ns = analysis.capture.last_ns - analysis.capture.first_ns
    step_ns = max(length_ns // rows, 1_000_000) // 1000 * 1000
    table = analysis.timeline(host, model, step_s=step_ns / 1e9)
    step_ns = round(step_ns / 1e9 * 1e9)
    assert len(table) == length_ns // step_ns + 1
    for i, (at, largest, mean, talking) in enumerate(table[["at", "max", "mean", "talking"]].itertuples(index=False)):
        begin = analysis.capture.first_ns + i * step_ns
        assert at == len(reference_models.alive(mine, begin))
        assert largest == reference_models.largest(mine, begin, begin + step_ns)
        assert mean == pytest.approx(float(reference_models.mean(mine, begin, begin + step_ns)), abs=1e-6)
        assert talking == reference_models.talking(mine, segments, begin), model


SPELLS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=25)


@given(spells=SPELLS, edges=st.lists(st.integers(-3, 70), min_size=2, max_size=12, unique=True).map(sorted))
def test_steps_count_what_is_alive(spells: list[tuple[int, int]], edges: list[int]) -> None:
    whole = [(start, start + length) for start, length in spells]
    starts, ends = (np.array([spell[i] for spell in whole], np.int64) for i in (0, 1))
    steps, at = step_function.steps(starts, ends), np.array(edges, np.int64)

    def count(instant: int) -> int:
        return sum(start <= instant < end for start, end in whole)

    spans = list(pairwise(edges))
    assert steps.value(at).tolist() == [count(edge) for edge in edges]
    assert steps.maximum(at).tolist() == [max(count(t) for t in range(a, b)) for a, b in spans]
    areas = steps.integral(at)
    assert np.diff(areas).tolist() == [sum(count(t) for t in range(a, b)) for a, b in spans]
    assert sorted(set(steps.at.tolist())) == steps.at.tolist()


# --- by hand ---------------------------------------------------------------------------------------------------------


def pings(times: list[float]) -> Tape:
    """A UDP packet at each of the seconds, each to another peer: under flat:10 each counts for ten seconds."""
    tape = Tape()
    for i, at in enumerate(times):
        tape.udp(at, local(5000), remote(i))
    return tape


def measured(tape: Tape, folder: Path, *limits: int) -> dict[str, object]:
    analysis = tape.analysis(folder, "flat:10", limits=limits)
    peak = analysis.peak(analysis.host_number(HOST), analysis.models[0])
    return {"peak": peak.peak, "at": peak.peak_at_s, "crossed": peak.crossed_at_s, "above": peak.above_s}


def test_a_limit_reached_is_not_crossed(tmp_path: Path) -> None:
    # As `ct count over N`: N pass, N+1 is hit.
    found = measured(pings([0, 1, 2, 3, 4]), tmp_path, 4, 5)
    assert found == {"peak": 5, "at": 4.0, "crossed": {4: 4.0, 5: None}, "above": {4: 0.0, 5: 0.0}}


def test_at_one_instant_ends_come_before_starts(tmp_path: Path) -> None:
    # The entry of second 0 ends at 10.0, when the third begins: never three at once.
    assert measured(pings([0, 5, 10]), tmp_path, 2)["peak"] == 2
    assert measured(pings([0, 5, 9.999999]), tmp_path, 2)["peak"] == 3


def test_the_peak_is_the_first_of_equal_ones(tmp_path: Path) -> None:
    found = measured(pings([0, 1, 20, 21, 40]), tmp_path, 1)
    assert (found["peak"], found["at"]) == (2, 1.0)
    # Above 1 from 1 to 10 and from 21 to 30.
    assert (found["crossed"], found["above"]) == ({1: 1.0}, {1: 18.0})


def test_time_above_stops_at_the_last_packet(tmp_path: Path) -> None:
    assert measured(pings([0, 1, 2, 3]), tmp_path, 1, 2)["above"] == {1: 2.0, 2: 1.0}


def test_the_timeline_says_at_max_mean_and_talking(tmp_path: Path) -> None:
    # Entries: [0, 10), [1, 11), [14, 24). Talking: 5 s each.
    table = pings([0, 1, 14]).analysis(tmp_path, "flat:10").timeline(HOST, "flat:10", step_s=4)
    assert table.columns.tolist() == ["t_s", "at", "max", "mean", "talking"]
    assert table["t_s"].tolist() == [0, 4, 8, 12]
    assert table["at"].tolist() == [1, 2, 2, 0]
    assert table["max"].tolist() == [2, 2, 2, 1]
    assert table["mean"].tolist() == [7 / 4, 2, 5 / 4, 2 / 4]
    assert table["talking"].tolist() == [1, 2, 0, 0]


def test_steps_too_short_or_too_many_are_refused(tmp_path: Path) -> None:
    analysis = pings([0, 100]).analysis(tmp_path, "flat:10")
    for step in (0, -1, float("nan"), 1e-10, 1e-6):
        with pytest.raises(SettingsError, match="step"):
            analysis.timeline(HOST, "flat:10", step_s=step)


def test_hosts_are_counted_apart(tmp_path: Path) -> None:
    tape = pings([0, 1, 2])
    for i in range(2):
        tape.udp(i, local(7000, OTHER_HOST), remote(50 + i))
    analysis = tape.analysis(tmp_path, "flat:10")
    peaks = {host.name: host.models["flat:10"].peak for host in analysis.hosts}
    assert peaks == {HOST: 3, OTHER_HOST: 2}
    assert list(peaks) == [HOST, OTHER_HOST]  # the busiest first
    assert analysis.busiest() == HOST


def test_what_others_open_is_counted_apart(tmp_path: Path) -> None:
    tape = pings([0])
    for i in range(3):
        tape.tcp(1 + i, remote(i), local(80), SYN)
    host = tape.analysis(tmp_path, "linux-connlimit").hosts[0]
    assert (host.models["linux-connlimit"].peak, host.inbound_peak) == (1, 3)


def test_talking_and_lingering_add_up_to_the_peak(tmp_path: Path) -> None:
    # At the peak, 9 s: those of 0 and 4 s linger (4 s is exactly five seconds ago), those of 4.5 and 9 s talk.
    analysis = pings([0, 4, 4.5, 9]).analysis(tmp_path, "flat:10")
    peak = analysis.hosts[0].models["flat:10"]
    assert (peak.peak, peak.peak_at_s, peak.talking, peak.lingering) == (4, 9.0, 2, 2)


def test_the_longest_wait_still_fits_the_clock(tmp_path: Path) -> None:
    analysis = pings([0]).analysis(tmp_path, "flat:1000000000")
    steps = analysis.steps(HOST, analysis.models[0].name)
    assert steps.at.tolist() == [EPOCH_NS, ns(1_000_000_000)]
    assert Fraction(int(steps.at[1] - steps.at[0]), 10**9) == 10**9
