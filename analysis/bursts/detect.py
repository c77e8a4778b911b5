"""Intervals in which a host opens connections far faster than it usually does.

Kleinberg's two-state automaton (J. Kleinberg, "Bursty and hierarchical structure in streams", KDD 2002): gaps between
new connections are exponential with a base rate or a burst rate, a rise costs gamma * ln(n), and the cheapest sequence
of states says where the bursts are. The base rate is the host's own.
"""

from dataclasses import dataclass

import numpy as np

from peerburst.capture.compiled.kernel import kernel
from peerburst.capture.compiled.shapes import Float64s, Int64s, UInt8s
from peerburst.capture.units import SECOND_NS

WINDOW_NS = 10 * SECOND_NS
# The base rate is the host's own quiet rate, held between one connection in 20 s and one in 2 s: a capture may be all
# burst (a scan, a login), and then its own rate must not pass for usual. Williamson's throttle (HPL-2002-172) lets a
# normal machine contact one new host a second.
SLOWEST_BASE_PER_S = 0.05
FASTEST_BASE_PER_S = 0.5
QUIET_QUANTILE = 0.25
# The lower quartile of a Poisson count lies about this many standard deviations below its mean. Without it steady
# traffic of 0.3 a second had three false bursts an hour.
QUARTILE_BELOW_MEAN = 0.6745
BURST_FACTOR = 5.0
SLOWEST_BURST_PER_S = 1.0
GAMMA = 1.0  # Kleinberg's cost of a rise
LEAST_FLOWS = 10
# Where the slowest base and burst rates make a gap cost the same, ln(1 / 0.05) / (1 - 0.05) s: gaps longer on average
# are never a burst, and most hosts are dismissed by that.
SLOWEST_PACE_NS = round(
    np.log(SLOWEST_BURST_PER_S / SLOWEST_BASE_PER_S) / (SLOWEST_BURST_PER_S - SLOWEST_BASE_PER_S) * SECOND_NS
)
# Two bursts closer than this are one: a client that works through a list pauses for a round trip or a timer.
SAME_BURST_NS = 10 * SECOND_NS


@dataclass(frozen=True, slots=True)
class BurstInterval:
    """A burst in a host's new connections: indices [first, stop) of the starts, and the base rate it rose from."""

    first: int
    stop: int
    base_per_s: float


def candidates(starts_ns: Int64s, first: Int64s) -> Int64s:
    """The hosts that may have a burst: LEAST_FLOWS of their connections began close enough together.

    The starts of host h are starts_ns[first[h]:first[h + 1]], in order.
    """
    # All starts at once, and then those that end beyond their host's.
    close = np.flatnonzero(starts_ns[LEAST_FLOWS - 1 :] - starts_ns[: 1 - LEAST_FLOWS] <= LEAST_FLOWS * SLOWEST_PACE_NS)
    host = np.searchsorted(first, close, side="right") - 1
    return np.unique(host[close + LEAST_FLOWS <= first[host + 1]])


@kernel
def two_states(gaps_s: Float64s, base: float, burst: float, rise: float, states: UInt8s) -> None:
    """Fill the cheapest state (0 base, 1 burst) of each gap, by Viterbi.

    `base` and `burst` are rates per second, `rise` the cost of going from base to burst.
    """
    calm, busy = 0.0, rise
    for i in range(gaps_s.size):
        from_busy = busy < calm
        to_calm = min(calm, busy) - np.log(base) + base * gaps_s[i]
        from_calm = calm + rise < busy
        to_busy = min(calm + rise, busy) - np.log(burst) + burst * gaps_s[i]
        # Remember in two bits where each state came from; read backwards below.
        states[i] = (1 if from_busy else 0) | (2 if not from_calm else 0)
        calm, busy = to_calm, to_busy
    state = 1 if busy < calm else 0
    for i in range(gaps_s.size - 1, -1, -1):
        came = states[i]
        states[i] = state
        state = (came >> 1) & 1 if state == 1 else came & 1


def base_rate(starts_ns: Int64s, span_ns: tuple[int, int]) -> float:
    """The host's quiet rate of new connections per second, within the bounds above."""
    windows = max(1, int((span_ns[1] - span_ns[0]) // WINDOW_NS))
    edges = np.linspace(span_ns[0], span_ns[1], min(windows, 100_000) + 1)
    counts = np.histogram(starts_ns, edges)[0]
    width_s = (edges[1] - edges[0]) / SECOND_NS
    low = float(np.quantile(counts, QUIET_QUANTILE))
    quiet = (low + QUARTILE_BELOW_MEAN * low**0.5) / width_s if width_s > 0 else FASTEST_BASE_PER_S
    return min(max(quiet, SLOWEST_BASE_PER_S), FASTEST_BASE_PER_S)


def find(starts_ns: Int64s, span_ns: tuple[int, int]) -> list[BurstInterval]:
    """The bursts among the starts of a host's new connections (ns, in order), in a capture of this span."""
    if not candidates(starts_ns, np.array([0, starts_ns.size])).size:
        return []
    base = base_rate(starts_ns, span_ns)
    burst = max(BURST_FACTOR * base, SLOWEST_BURST_PER_S)
    gaps = np.diff(starts_ns) / SECOND_NS
    states = np.zeros(gaps.size, np.uint8)
    two_states(gaps, base, burst, GAMMA * np.log(starts_ns.size), states)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], states, [0]]).astype(np.int8)))
    return [
        burst for burst in _joined(starts_ns, edges.reshape(-1, 2), base) if burst.stop - burst.first >= LEAST_FLOWS
    ]


def _joined(starts_ns: Int64s, edges: Int64s, base: float) -> list[BurstInterval]:
    """Runs of gaps in the burst state (n by 2) as intervals of flows; those less than SAME_BURST_NS apart are one."""
    joined: list[BurstInterval] = []
    for first, last in edges.tolist():  # of gaps; the flows on both sides of a gap belong to it
        if joined and starts_ns[first] - starts_ns[joined[-1].stop - 1] < SAME_BURST_NS:
            joined[-1] = BurstInterval(joined[-1].first, last + 1, base)
        else:
            joined.append(BurstInterval(first, last + 1, base))
    return joined
