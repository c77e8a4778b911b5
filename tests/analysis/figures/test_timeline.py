"""The timeline: what it is given, the numbers on its axes, its words."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.axes import Axes

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.figures import limitline, timeline
from peerburst.analysis.figures.lanes import BurstBar
from peerburst.analysis.figures.sampling import MOST_INSTANTS
from peerburst.analysis.figures.subject import Subject
from peerburst.analysis.gateways import load
from tests.analysis.figures.examples import timeline_view
from tests.analysis.figures.reading import axes_named, line_named, words_of
from tests.support.making import HOST, Tape, local, remote


def test_the_timeline_adds_up_to_the_count(analysis: Analysis) -> None:
    view = timeline.view(Subject(analysis, HOST, load("linux-connlimit"), 20))
    steps = analysis.steps(HOST, "linux-connlimit")
    instants = np.round(view.counts.index.to_numpy() * 1e9).astype(np.int64) + analysis.capture.first_ns
    assert view.counts.sum(axis=1).tolist() == steps.value(instants).tolist()
    assert (view.counts >= 0).all(axis=None)
    talking = view.counts.xs("talking", axis=1, level=1).to_numpy().sum(axis=1)
    assert talking.tolist() == analysis.talking_steps(HOST, "linux-connlimit").value(instants).tolist()
    peak = analysis.peak(analysis.host_number(HOST), load("linux-connlimit"))
    assert (view.peak, view.peak_at_s) == (peak.peak, peak.peak_at_s) == (31, 60.0)
    assert int(view.counts.sum(axis=1).max()) == 31
    assert [label for *_span, label, _flows in view.bursts] == ["discovery"]
    assert view.limit == 20
    # Above 20: from the 21st at 54 s until those of before 54 s have been silent for 30 s.
    ((begin, end),) = view.above
    assert (begin, end) == pytest.approx((54.0, 80.15 + 10 * 0.2))


def test_an_interval_above_ends_with_the_capture(analysis: Analysis) -> None:
    steps = analysis.steps(HOST, "flat:1000")
    last = analysis.capture.last_ns
    assert [end for _begin, end in limitline.intervals_above(steps, 5, last)] == [last]
    assert limitline.intervals_above(steps, 1000, last) == []


def test_very_many_steps_are_drawn_by_their_peaks(tmp_path: Path) -> None:
    tape = Tape()
    for i in range(3000):
        tape.udp(i * 0.1, local(5000), remote(i))
    analysis = tape.analysis(tmp_path, "flat:10")
    view = timeline.view(Subject(analysis, HOST, load("flat:10"), 200))
    assert len(view.counts) <= 1.6 * MOST_INSTANTS
    assert int(view.counts.sum(axis=1).max()) == view.peak == analysis.hosts[0].models["flat:10"].peak


def test_of_a_server_what_others_open_is_drawn(tmp_path: Path) -> None:
    tape = Tape()
    for i in range(20):
        tape.open(i, remote(i, 50_000), local(80))
    analysis = tape.analysis(tmp_path)
    view = timeline.view(Subject(analysis, HOST, load("linux-connlimit"), 200))
    assert view.peak == 20
    assert "opened to the host" in view.model_title


def area_of(axes: Axes, label: str) -> float:
    """Area of a filled layer in count-seconds, by the shoelace formula."""
    layer = next(collection for collection in axes.collections if collection.get_label() == label)
    vertices: npt.NDArray[np.float64] = np.asarray(layer.get_paths()[0].vertices)
    x, y = vertices[:, 0], vertices[:, 1]
    return abs(float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))) / 2


def test_timeline_stacks_talking_then_lingering_to_the_total() -> None:
    axes = axes_named(timeline.draw(timeline_view()), "counts")
    assert list(np.asarray(line_named(axes, "talking").get_ydata())) == [5, 7, 0, 0]
    assert list(np.asarray(line_named(axes, "lingering").get_ydata())) == [5, 13, 4, 4]
    assert line_named(axes, "lingering").get_drawstyle() == "steps-post"
    assert area_of(axes, "sync talking") == pytest.approx(3 * 10 + 7 * 10)
    assert area_of(axes, "probe talking") == pytest.approx(2 * 10)
    assert area_of(axes, "sync lingering") == pytest.approx(4 * 10 + 4 * 10)
    assert area_of(axes, "probe lingering") == pytest.approx(2 * 10)


def test_timeline_draws_the_limit_the_spell_and_the_peak_where_they_are() -> None:
    axes = axes_named(timeline.draw(timeline_view()), "counts")
    assert list(np.asarray(line_named(axes, "limit").get_ydata())) == [8, 8]
    shaded = next(collection for collection in axes.collections if collection.get_label() == "above")
    across = np.asarray(shaded.get_paths()[0].vertices)[:, 0]
    assert (across.min(), across.max()) == (10, 20)
    peak = line_named(axes, "peak")
    assert (list(np.asarray(peak.get_xdata())), list(np.asarray(peak.get_ydata()))) == ([10], [13])
    assert axes.get_xlim() == (0, 30)
    assert axes.get_ylim()[1] > 13
    assert axes.get_xlabel() == "seconds since the first packet (2010-04-05 19:12:44 UTC)"


def test_timeline_caption_and_labels_say_the_numbers() -> None:
    assert timeline.caption(timeline_view()) == (
        "Peak: 13 connections 10 s after the first packet; 7 had a packet in the last 5 s (talking), 6 the gateway "
        "only remembered (lingering). Above the limit of 8 for 10 s, first 10 s after the first packet. One burst, "
        "marked above the curve: p2p-sync, 11 new connections in 12 s."
    )
    words = words_of(timeline.draw(timeline_view()))
    assert {"peak 13 at 10 s", "limit\n8", "p2p-sync +11", "At the peak"} <= set(words)


def test_timeline_says_at_least_when_the_peak_is_a_lower_bound() -> None:
    view = replace(timeline_view(), at_least=True)
    assert timeline.caption(view).startswith("Peak: at least 13 connections")
    assert "peak ≥ 13 at 10 s" in words_of(timeline.draw(view))


def test_timeline_names_a_limit_that_is_off_the_scale() -> None:
    view = replace(timeline_view(), limit=200, above=[])
    figure = timeline.draw(view)
    axes = axes_named(figure, "counts")
    assert axes.get_ylim()[1] < 20
    assert "↑ limit\n200" in words_of(figure)
    assert "Never above the limit of 200, which is off the scale." in timeline.caption(view)


def test_timeline_whose_rows_miss_the_peak_admits_it() -> None:
    view = replace(timeline_view(), peak=15, peak_at_s=9.9)
    words = words_of(timeline.draw(view))
    assert "Near the peak" in words
    assert "peak 15 at 9.9 s" in words
    assert "about 7 had a packet in the last 5 s (talking), about 8 the gateway only" in timeline.caption(view)


def test_timeline_counts_bursts_it_could_not_name() -> None:
    crammed = replace(timeline_view(), bursts=[BurstBar(1.0, 1.1, "client-server", 10 + n) for n in range(40)])
    figure = timeline.draw(crammed)
    named = [words for words in words_of(figure) if words.startswith("client-server +")]
    assert "client-server +49" in named
    assert f"40 bursts are marked above the curve ({40 - len(named)} without room for a name)" in timeline.caption(
        crammed
    )
