"""Bursts are found where they were planted, and nowhere else."""

import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerburst.analysis.bursts import detect as bursts
from peerburst.analysis.bursts.detect import FASTEST_BASE_PER_S, SLOWEST_BASE_PER_S
from tests.support.making import EPOCH_NS, HOST, Tape, local, remote

HOUR = (EPOCH_NS, EPOCH_NS + 3600 * 10**9)


def instants(seconds: npt.ArrayLike) -> npt.NDArray[np.int64]:
    return EPOCH_NS + np.sort(np.asarray(seconds, np.float64) * 1e9).astype(np.int64)


def background(per_s: float, seed: int = 1) -> npt.NDArray[np.float64]:
    """An hour of independent arrivals."""
    dice = np.random.default_rng(seed)
    return dice.uniform(0, 3600, dice.poisson(3600 * per_s))


@given(
    gaps=st.lists(st.sampled_from((0.0, 0.01, 0.3, 1.0, 2.0, 7.0, 40.0)), min_size=1, max_size=9),
    base=st.sampled_from((0.05, 0.5)),
    rise=st.sampled_from((0.0, 1.0, 2.5)),
)
def test_no_sequence_of_states_is_cheaper(gaps: list[float], base: float, rise: float) -> None:
    burst = 5 * base + 1

    def cost(states: tuple[int, ...]) -> float:
        rates = [burst if state else base for state in states]
        waiting = sum(-np.log(rate) + rate * gap for rate, gap in zip(rates, gaps, strict=True))
        return float(waiting + rise * sum(after > before for before, after in itertools.pairwise((0, *states))))

    found = np.zeros(len(gaps), np.uint8)
    bursts.two_states(np.array(gaps), base, burst, rise, found)
    cheapest = min(cost(states) for states in itertools.product((0, 1), repeat=len(gaps)))
    assert cost(tuple(found.tolist())) == pytest.approx(cheapest)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("per_s", [0.02, 0.1, 0.3])
def test_a_planted_burst_is_found_whole(seed: int, per_s: float) -> None:
    dice = np.random.default_rng(seed + 100)
    planted = np.sort(dice.uniform(1800, 1830, 150))  # five a second for half a minute
    starts = instants(np.concatenate([background(per_s, seed), planted]))
    spells = bursts.find(starts, HOUR)
    spell = max(spells, key=lambda spell: spell.stop - spell.first)
    first, last = ((int(starts[i]) - EPOCH_NS) / 1e9 for i in (spell.first, spell.stop - 1))
    assert first == pytest.approx(planted[0], abs=25)  # a few that came shortly before or after may join
    assert last == pytest.approx(planted[-1], abs=25)
    assert 150 <= spell.stop - spell.first <= 190


@pytest.mark.parametrize(("per_s", "most"), [(0.02, 0), (0.05, 0), (0.1, 2), (0.2, 10), (0.4, 15)])
def test_steady_traffic_has_hardly_a_burst(per_s: float, most: int) -> None:
    """In twenty hours: chance alone now and then brings ten connections within some seconds."""
    found = [spell for seed in range(20) for spell in bursts.find(instants(background(per_s, seed)), HOUR)]
    assert len(found) <= most
    assert all(spell.stop - spell.first <= 30 for spell in found)


def test_like_clockwork_has_no_bursts() -> None:
    assert bursts.find(instants(np.arange(0, 3600, 2)), HOUR) == []


def test_a_capture_that_is_all_burst_is_one() -> None:
    starts = instants(np.arange(1000) / 500)
    spells = bursts.find(starts, (EPOCH_NS, EPOCH_NS + 2 * 10**9))
    assert [(spell.first, spell.stop, spell.base_per_s) for spell in spells] == [(0, 1000, FASTEST_BASE_PER_S)]


def test_two_bursts_apart_are_two_and_close_by_are_one() -> None:
    one = np.arange(50) / 10
    apart = bursts.find(instants(np.concatenate([one + 100, one + 200])), HOUR)
    assert [(spell.first, spell.stop) for spell in apart] == [(0, 50), (50, 100)]
    close = bursts.find(instants(np.concatenate([one + 100, one + 112])), HOUR)
    assert [(spell.first, spell.stop) for spell in close] == [(0, 100)]


@pytest.mark.parametrize(("many", "found"), [(9, 0), (10, 1)])
def test_ten_connections_are_the_fewest(many: int, found: int) -> None:
    assert len(bursts.find(instants(100 + np.arange(many) / 100), HOUR)) == found
    assert bursts.find(instants([]), HOUR) == []


def test_all_at_one_instant_are_a_burst() -> None:
    assert [(s.first, s.stop) for s in bursts.find(instants(np.full(20, 7.0)), HOUR)] == [(0, 20)]
    assert len(bursts.find(instants(np.zeros(20)), (EPOCH_NS, EPOCH_NS))) == 1  # in a capture of no length


def test_the_base_rate_is_the_hosts_own_within_bounds() -> None:
    assert bursts.base_rate(instants([5]), HOUR) == SLOWEST_BASE_PER_S
    # Two in each ten seconds: a Poisson count whose lower quartile is 2 has a mean of 2 + 0.6745 * sqrt(2).
    assert bursts.base_rate(instants(np.arange(0.5, 3600, 5)), HOUR) == pytest.approx(0.29539, abs=1e-5)
    assert bursts.base_rate(instants(background(0.4)), HOUR) == pytest.approx(0.4, rel=0.15)
    assert bursts.base_rate(instants(np.arange(0, 3600, 0.1)), HOUR) == FASTEST_BASE_PER_S


def test_a_burst_knows_its_shares(tmp_path: Path) -> None:
    tape = Tape()
    tape.connection(0, local(4000), remote(90), received=50_000)  # long before: not in the burst
    for i in range(30):
        tape.exchange(100 + i * 0.2, local(5000), remote(i, 40_000 + i))
    for i in range(12):  # sent to it meanwhile
        tape.exchange(103 + i * 0.05, remote(50 + i, 6881), local(7000))
    analysis = tape.analysis(tmp_path)
    found = {burst.inbound: burst for burst in analysis.bursts}
    assert len(analysis.bursts) == 2
    out, sent = found[False], found[True]
    assert (out.host, out.features.flows, sent.features.flows) == (HOST, 30, 12)
    assert (out.start_s, out.end_s) == pytest.approx((100, 105.8))
    assert out.share_of_connections == pytest.approx(30 / 43)
    total = int(analysis.facts.ip_bytes.sum())
    assert out.share_of_bytes == pytest.approx(30 * 2 * 48 / total)
    assert [burst.start_s for burst in analysis.bursts] == sorted(burst.start_s for burst in analysis.bursts)


def test_flows_met_midstream_have_no_beginning(tmp_path: Path) -> None:
    tape = Tape()
    for i in range(40):
        tape.tcp(i * 0.01, local(5000 + i), remote(i), 16, 100)
    assert tape.analysis(tmp_path).bursts == []
