"""The raster: what it is given, its lines and its image, its words."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.figures import raster, style
from peerburst.analysis.figures.subject import Subject
from peerburst.analysis.gateways import load
from tests.analysis.figures.examples import raster_view
from tests.analysis.figures.reading import axes_named
from tests.support.making import HOST


def test_the_raster_knows_when_the_gateway_forgets(analysis: Analysis) -> None:
    view = raster.view(Subject(analysis, HOST, load("linux-connlimit"), 200))
    assert view.start_s.size == 33
    assert view.gone_s[-2:] == pytest.approx([90.0, 130.0])  # the one packet at 60 s, the question at 100 s
    naive = raster.view(Subject(analysis, HOST, load("naive"), 200))
    assert np.isnan(naive.gone_s[1:]).all()  # UDP is never in its table


def test_raster_lines_run_from_first_packet_to_last_and_on_to_the_end() -> None:
    axes = axes_named(raster.draw(raster_view()), "flows")
    tails, lines = (
        next(c for c in axes.collections if isinstance(c, LineCollection) and c.get_label() == label)
        for label in ("remembered", "open")
    )
    assert [segment.tolist() for segment in lines.get_segments()] == [
        [[0, 0.5], [2, 0.5]],
        [[1, 1.5], [3, 1.5]],
        [[2, 2.5], [4, 2.5]],
    ]
    # Remembered for 10 s more, but the capture ends at 6 s.
    assert [segment[:, 0].tolist() for segment in tails.get_segments()] == [[2, 6], [3, 6], [4, 6]]
    # The first to start is the last of the view: its kind is 2, heavy.
    assert tuple(np.asarray(lines.get_colors())[0][:3]) == pytest.approx(to_rgb(style.KIND_LOOKS["heavy"].colour))


def test_raster_caption_says_the_numbers() -> None:
    # 3 flows: 2 s each; remembered 4, 3 and 2 s more within the capture.
    assert raster.caption(raster_view()) == (
        "3 flows. Packets span 2 s of an average flow; within the capture the gateway remembers it 3 s longer: 60 % of "
        "the time it holds connections, nothing is said on them."
    )


def test_raster_of_many_is_white_before_full_during_and_pale_after() -> None:
    count = 6000
    view = raster.RasterView(
        "10.0.0.7",
        "model",
        np.full(count, 2.0),
        np.full(count, 4.0),
        np.full(count, np.inf),
        np.full(count, style.KINDS.index("sync")),
        end_s=10.0,
    )
    (image,) = axes_named(raster.draw(view), "flows").images
    pixels = np.asarray(image.get_array())
    columns = pixels.shape[1]
    blue = style.KIND_LOOKS["sync"].colour
    assert (pixels[:, : int(columns * 0.19)] == 1).all()
    assert pixels[300, int(columns * 0.3)] == pytest.approx(to_rgb(blue))
    assert pixels[300, int(columns * 0.7)] == pytest.approx(style.pale(blue, 0.68))
    assert "Each row of the picture stands for about 10 flows." in raster.caption(view)


def test_raster_takes_flows_never_held_or_never_forgotten() -> None:
    view = replace(raster_view(), gone_s=np.array([np.nan, np.inf, 3.0]))
    axes = axes_named(raster.draw(view), "flows")
    tails = next(c for c in axes.collections if c.get_label() == "remembered")
    assert isinstance(tails, LineCollection)
    # In order of start: forgotten at 3 s, never forgotten, never held.
    assert [segment[:, 0].tolist() for segment in tails.get_segments()] == [[2, 3], [3, 6], [4, 4]]
