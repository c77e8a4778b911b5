"""What holds for every figure: it has all its parts, its words are legible, and it takes the extremes."""

import io
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from PIL import Image

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.bursts.kinds import HEAVY_BYTES
from peerburst.analysis.figures import registry, scatter, style
from peerburst.analysis.figures.sheet import DPI, Picture, png, save
from peerburst.capture.errors import SettingsError
from peerburst.capture.vocabulary import KIND_NAMES
from tests.analysis.figures.examples import EXAMPLES, EXTREMES
from tests.analysis.figures.reading import shown_texts, words_of
from tests.support.making import HOST

MODULES = Path(registry.__file__).parent
TESTS = Path(__file__).parent
PARTS = {
    "view": "view(subject), which gathers what is shown",
    "title": "title(view), which names the picture in a line",
    "caption": "caption(view), which says what is seen, with its numbers",
    "draw": "draw(view), which returns the matplotlib Figure",
}


def drawn(name: str, example: str) -> Figure:
    return registry.module(name).draw(EXAMPLES[name][example]())


EVERY = [
    pytest.param(lambda name=name, example=example: drawn(name, example), id=f"{name}, {example}")
    for name, examples in EXAMPLES.items()
    for example in examples
]


# --- parts -----------------------------------------------------------------------------------------------------------


def lacking(name: str, module: ModuleType | SimpleNamespace, words: str, examples: dict[str, Any]) -> list[str]:
    """What a figure lacks, and where it goes."""
    lacks = [
        f"{what}: into analysis/figures/{name}.py"
        for part, what in PARTS.items()
        if not callable(vars(module).get(part))
    ]
    if not words:
        lacks.append("what it shows, in words: beside its name in FIGURES, analysis/figures/registry.py")
    for extreme in EXTREMES:
        if extreme not in examples:
            lacks.append(f"an example {extreme!r}: into EXAMPLES, tests/analysis/figures/examples.py")
    if not (TESTS / f"test_{name}.py").is_file():
        lacks.append(f"tests of its numbers and words: tests/analysis/figures/test_{name}.py")
    return lacks


@pytest.mark.parametrize("name", registry.FIGURES)
def test_a_figure_has_all_its_parts(name: str) -> None:
    module: Any = registry.module(name)
    lacks = lacking(name, module, registry.FIGURES[name], EXAMPLES.get(name, {}))
    assert not lacks, f"the figure {name} lacks\n- " + "\n- ".join(lacks)


def test_a_part_that_lacks_is_named_with_its_place() -> None:
    bare = SimpleNamespace(view=print, title=print, caption=print)
    assert lacking("timeline", bare, "", {extreme: None for extreme in EXTREMES if extreme != "empty"}) == [
        "draw(view), which returns the matplotlib Figure: into analysis/figures/timeline.py",
        "what it shows, in words: beside its name in FIGURES, analysis/figures/registry.py",
        "an example 'empty': into EXAMPLES, tests/analysis/figures/examples.py",
    ]
    whole: Any = registry.module("timeline")
    assert lacking("cake", whole, "slices", EXAMPLES["timeline"]) == [
        "tests of its numbers and words: tests/analysis/figures/test_cake.py"
    ]


def test_a_module_that_views_is_registered() -> None:
    views = {path.stem for path in MODULES.glob("*.py") if "\ndef view(subject" in path.read_text(encoding="utf-8")}
    assert views == set(registry.FIGURES), "add a line to FIGURES in analysis/figures/registry.py"


@pytest.mark.parametrize("name", registry.FIGURES)
def test_every_figure_is_drawn_of_an_analysis(analysis: Analysis, name: str) -> None:
    assert registry.figure(analysis, name, HOST, model="linux-connlimit").axes


def test_a_figure_of_another_name_is_refused(analysis: Analysis) -> None:
    with pytest.raises(SettingsError, match="there are timeline, graph"):
        registry.figure(analysis, "cake", HOST, model="linux-connlimit")
    with pytest.raises(SettingsError, match="no local host"):
        registry.figure(analysis, "timeline", "10.9.9.9", model="linux-connlimit")


def test_figures_are_listed_with_what_they_show() -> None:
    assert registry.listed().startswith("Pictures: timeline (the count over time, against the limit); graph (")


# --- looks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", EVERY)
def test_every_word_is_on_the_sheet_legible_and_clear_of_every_other(draw: Callable[[], Figure]) -> None:
    figure = draw()
    png(figure)
    sheet = figure.bbox
    places: list[tuple[str, Bbox]] = []
    for text in shown_texts(figure):
        place = text.get_window_extent()
        words = text.get_text()
        assert float(text.get_fontsize()) >= style.SMALL_PT, words
        assert place.x0 >= 0.15 * DPI, words
        assert place.x1 <= sheet.x1 - 0.15 * DPI, words
        assert place.y0 >= 0, words
        assert place.y1 <= sheet.y1, words
        places.append((words, place))
    for (words, place), (others, other) in combinations(places, 2):
        across = min(place.x1, other.x1) - max(place.x0, other.x0)
        along = min(place.y1, other.y1) - max(place.y0, other.y0)
        assert across <= 1 or along <= 3, f"{words!r} lies on {others!r}"


@pytest.mark.parametrize("draw", EVERY)
def test_the_same_view_gives_the_same_bytes(draw: Callable[[], Figure]) -> None:
    first = png(draw())
    assert first == png(draw())
    with Image.open(io.BytesIO(first)) as image:
        assert image.width == 1760
        assert "Software" not in image.info


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_empty_picture_says_so(name: str) -> None:
    assert any(words.startswith("Nothing to draw: ") for words in words_of(drawn(name, "empty")))


def test_dollars_are_not_formulas() -> None:
    figure = drawn("matrix", "crowded")
    assert not any(text.get_parse_math() for text in shown_texts(figure))
    assert any("$50 \\frac" in words for words in words_of(figure))


def test_the_callers_matplotlib_is_neither_used_nor_changed() -> None:
    plain = png(drawn("timeline", "plain"))
    with mpl.rc_context({"font.size": 31, "axes.facecolor": "black", "lines.linewidth": 9}):
        before = dict(mpl.rcParams)
        assert png(drawn("timeline", "plain")) == plain
        assert dict(mpl.rcParams) == before


def test_pictures_show_themselves_in_a_notebook() -> None:
    picture = drawn("shares", "plain")
    assert isinstance(picture, Picture)
    assert picture._repr_png_() == png(picture)


def test_save_writes_the_png_or_says_why_not(tmp_path: Path) -> None:
    figure = drawn("shares", "plain")
    save(figure, tmp_path / "shares.png")
    assert (tmp_path / "shares.png").read_bytes() == png(figure)
    with pytest.raises(SettingsError, match=r"nowhere.*cannot write the picture \(No such file or directory\)"):
        save(figure, tmp_path / "nowhere" / "shares.png")


def test_kinds_have_colours_markers_and_hatches_of_their_own() -> None:
    looks = style.KIND_LOOKS.values()
    assert style.KINDS == ("probe", "sync", "heavy", "media", "service", "ordinary") == KIND_NAMES
    assert scatter.ELEPHANT_BYTES == HEAVY_BYTES
    for what in ("colour", "marker", "hatch"):
        assert len({getattr(look, what) for look in looks}) == len(style.KINDS)
