"""The scatter: every flow is on it, to scale."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection

from peerburst.analysis.figures import scatter
from tests.analysis.figures.examples import crowded_scatter, scatter_view
from tests.analysis.figures.reading import axes_named, line_named


def marks_of(axes: Axes) -> dict[str, PathCollection]:
    return {str(c.get_label()): c for c in axes.collections if isinstance(c, PathCollection)}


def test_scatter_puts_single_packets_in_their_strip_and_the_rest_to_scale() -> None:
    figure = scatter.draw(scatter_view())
    instant, lasting = (marks_of(axes_named(figure, label)) for label in ("instant", "lasting"))
    assert set(instant) == {"probe"}
    assert set(lasting) == {"heavy"}
    (spot,) = np.asarray(lasting["heavy"].get_offsets())
    assert tuple(spot) == pytest.approx((20, 2_000_000), rel=0.01)
    (spot,) = np.asarray(instant["probe"].get_offsets())
    assert spot[1] == pytest.approx(60, rel=0.01)
    line = line_named(axes_named(figure, "lasting"), "elephants")
    assert list(np.asarray(line.get_ydata())) == [500_000, 500_000]


def test_scatter_drops_no_flow_however_many() -> None:
    flows = crowded_scatter().flows
    spots = scatter._spots(flows)
    assert spots["flows"].sum() == len(flows)
    assert spots.groupby("kind")["flows"].sum().to_dict() == flows["kind"].value_counts().to_dict()
    assert len(spots) < len(flows)


def test_scatter_caption_says_the_numbers() -> None:
    assert scatter.caption(scatter_view()) == (
        "100 flows, 20 MB in all. 10 elephants (500 kB or more) carry over 99 % of the bytes; 90 mice (median 60 B) "
        "the rest. Over in an instant, as a single packet is: 90 (90 %)."
    )
