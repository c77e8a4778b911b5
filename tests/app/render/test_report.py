"""The report folder: all of its files, sound and harmless whatever the capture's names are."""

import json
import struct
from html.parser import HTMLParser
from pathlib import Path

import pytest

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.figures import registry
from peerburst.analysis.figures.registry import FIGURES
from peerburst.analysis.settings import Settings
from peerburst.capture.errors import SettingsError
from peerburst.cli.main import main
from peerburst.opening import analyse
from peerburst.render import report
from tests.support.making import HOST, Tape, local, remote

HOSTILE_MODEL = """
name = "hostile"
title = "<script>alert(1)</script> & \\"quoted\\""
summary = "made up"
engine = "flat"
[counts]
unit = "entry"
protocols = ["tcp", "udp"]
[timeouts.idle]
seconds = 60
source = "made up"
"""


def login(folder: Path, name: str = "login.pcap") -> str:
    tape = Tape()
    tape.connection(0, local(4000), remote(90), received=5000)
    for i in range(30):
        tape.exchange(100 + i * 0.2, local(5000), remote(i, 40_000 + i))
    return tape.write(folder / name)


class Page(HTMLParser):
    """What a browser would make of the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.images: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        if tag == "img":
            self.images.append(values["src"] or "")
            assert values["alt"]
        if tag == "a":
            self.links.append(values["href"] or "")

    def handle_data(self, data: str) -> None:
        self.text += data


def png_size(path: Path) -> tuple[int, int]:
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert data[-8:-4] == b"IEND"
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def test_all_files_are_there_and_sound(tmp_path: Path) -> None:
    analysis = analyse([login(tmp_path)], Settings(limits=(20, 100)))
    folder = tmp_path / "new" / "report"
    files = report.write(analysis, folder, HOST)
    names = ["verdict.txt", "analysis.json", "index.html", *(f"{name}.png" for name in FIGURES)]
    assert [file.name for file in files] == names
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    for name in FIGURES:
        width, height = png_size(folder / f"{name}.png")
        assert 1000 <= width <= 4000
        assert 500 <= height <= 4000
    made = json.loads((folder / "analysis.json").read_text())
    assert made["hosts"][0]["host"] == HOST
    verdict = (folder / "verdict.txt").read_text()
    assert f"{HOST} held 30 connections at once" in verdict
    assert "A limit of 20 would have been crossed" in verdict
    page = Page((folder / "index.html").read_text())
    assert page.images == [f"{name}.png" for name in FIGURES]
    assert page.links == ["analysis.json"]
    assert verdict.strip() in page.text


def test_the_page_says_hostile_names_and_obeys_none(tmp_path: Path) -> None:
    model = tmp_path / "hostile.toml"
    model.write_text(HOSTILE_MODEL)
    path = login(tmp_path, "<img src=x onerror=alert(2)>&.pcap")
    Path(path).write_bytes(Path(path).read_bytes()[:-3])  # so that its name stands in a warning
    analysis = analyse([path], Settings(models=(str(model),)))
    report.write(analysis, tmp_path / "report", HOST)
    text = (tmp_path / "report" / "index.html").read_text()
    page = Page(text)
    assert set(page.tags) == {"html", "head", "meta", "title", "style", "body", "h1", "pre", "img", "p", "a"}
    assert page.images == [f"{name}.png" for name in FIGURES]
    assert "onerror" not in text.replace("onerror=alert(2)&gt;", "")
    assert "<script" not in text


def test_a_hostile_host_name_is_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # No capture can give one, as addresses are printed from numbers; the page must not depend on that.
    name = "<b>\"'&\x1b[31m"
    monkeypatch.setattr(Analysis, "host_names", [name])
    analysis = analyse([login(tmp_path)], Settings())
    report.write(analysis, tmp_path / "report", name)
    page = Page((tmp_path / "report" / "index.html").read_text())
    assert "b" not in page.tags
    assert len(page.images) == len(FIGURES)


@pytest.mark.parametrize(("limits", "limit"), [((20, 100), 20), ((100, 20), 100), ((), 200)])
def test_the_first_limit_is_spoken_of_and_drawn(tmp_path: Path, limits: tuple[int, ...], limit: int) -> None:
    analysis = analyse([login(tmp_path)], Settings(limits=limits))
    assert f"A limit of {limit} would " in report.summary_text(analysis, HOST)
    drawn = registry.figure(analysis, "timeline", HOST)
    texts = [text.get_text().split()[-2:] for axes in drawn.axes for text in axes.texts]
    assert ["limit", str(limit)] in texts


def test_writing_again_gives_the_same_bytes(tmp_path: Path) -> None:
    written = []
    for _ in range(2):
        files = report.write(analyse([login(tmp_path)], Settings()), tmp_path / "report", HOST)
        written.append([file.read_bytes() for file in files])
    assert written[0] == written[1]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    analysis = analyse([login(tmp_path)], Settings())
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SettingsError, match="cannot be written"):
        report.write(analysis, tmp_path / "file", HOST)
    with pytest.raises(SettingsError, match="no local host"):
        report.write(analysis, tmp_path / "report", "10.9.9.9")
    assert not (tmp_path / "report").exists()


def test_the_command_says_where_the_folder_is(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "out"
    assert main(["report", login(tmp_path), "-o", str(folder), "--limit", "25"]) == 0
    out = capfd.readouterr().out
    assert str(folder) in out
    assert "timeline.png" in out
    assert "A limit of 25 would have been crossed" in (folder / "verdict.txt").read_text()
