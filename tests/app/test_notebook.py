"""The handful of names a notebook uses, as the README shows them."""

from pathlib import Path

import pytest

import peerburst
from peerburst.analysis.gateways import DEFAULT_MODELS, names
from peerburst.capture.errors import SettingsError
from tests.support.making import HOST, Tape, local, remote


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    tape = Tape()
    tape.connection(0, local(4000), remote(90), received=8000)
    for i in range(30):
        tape.exchange(100 + i * 0.2, local(5000), remote(i, 40_000 + i))
    return Path(tape.write(tmp_path / "login.pcap"))


def test_open_gives_tables(capture: Path) -> None:
    evening = peerburst.open(capture)
    assert evening.host == HOST
    hosts = evening.hosts
    assert hosts.index.tolist() == [HOST]
    assert hosts.columns.tolist() == ["flows", "peers", "ip_bytes", "class", *DEFAULT_MODELS]
    assert list(hosts.loc[HOST, ["flows", "peers", "class", "linux-connlimit", "rfc"]]) == [
        31,
        31,
        "p2p-sync",
        30,
        31,
    ]
    assert len(evening.flows) == 31
    assert evening.flows.groupby("kind", observed=True).size().to_dict() == {"probe": 30, "ordinary": 1}
    burst = evening.bursts.iloc[0]
    assert (burst["host"], burst["flow_count"], burst["class"], burst["inbound"]) == (HOST, 30, "discovery", False)
    assert "30 connections with 30 peers" in burst["evidence"]
    assert evening.warnings == ()
    assert evening.statuses["decoded"] == 73


def test_timeline_and_matrix(capture: Path) -> None:
    evening = peerburst.open(str(capture), limits=[20, 100])
    assert evening.timeline(step_s=10)["max"].max() == 30
    assert evening.timeline(model="flat:1000")["max"].max() == 31
    assert evening.timeline(HOST, model="nat-mapping")["max"].max() == 2
    table = evening.matrix()
    assert table.shape == (len(DEFAULT_MODELS), 2)
    assert table.loc["linux-connlimit", 20] == pytest.approx(104.0)
    assert table[100].isna()["linux-connlimit"]


def test_settings_are_those_of_the_command_line(capture: Path) -> None:
    evening = peerburst.open(capture, models=["naive", "flat:60"], local_nets=["20.0.0.0/8"], limits=[7])
    assert evening.host == remote(0)[0]
    assert evening.hosts.columns.tolist()[-2:] == ["naive", "flat:60"]
    assert evening.settings.limit == 7


def test_pictures_and_report(capture: Path, tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    evening = peerburst.open(capture)
    figure = evening.plot("timeline")
    assert isinstance(figure, Figure)
    figure.savefig(tmp_path / "timeline.png")
    assert isinstance(evening.plot("matrix", HOST, model="rfc"), Figure)
    files = evening.report(tmp_path / "report")
    assert {path.suffix for path in files} == {".txt", ".json", ".html", ".png"}


def test_gateways_are_a_table() -> None:
    table = peerburst.gateways()
    assert table.index.tolist() == names()
    assert table.loc["linux-connlimit", "udp_two_way"] == 120
    assert table.loc["pf-normal", "syn_repeated"] == 30


def test_several_captures_are_one(capture: Path, tmp_path: Path) -> None:
    tape = Tape()
    tape.udp(300, local(9000), remote(5))
    both = peerburst.open(capture, tape.write(tmp_path / "later.pcap"))
    assert both.hosts.loc[HOST, "flows"] == 32


def test_errors_are_ours(tmp_path: Path) -> None:
    with pytest.raises(peerburst.CaptureError):
        peerburst.open(tmp_path / "missing.pcap")
    with pytest.raises(peerburst.SettingsError):
        peerburst.open(tmp_path / "missing.pcap", models=["unheard-of"])
    assert issubclass(peerburst.CaptureError, peerburst.PeerburstError)
    with pytest.raises(AttributeError):
        _ = peerburst.nothing


def test_of_an_empty_capture_tables_are_empty(tmp_path: Path) -> None:
    nothing = peerburst.open(Tape().write(tmp_path / "none.pcap"))
    assert (len(nothing.hosts), len(nothing.flows), len(nothing.bursts)) == (0, 0, 0)
    assert nothing.host is None
    with pytest.raises(peerburst.SettingsError, match="no local host"):
        nothing.report(tmp_path / "report")


def test_every_name_that_is_promised_is_there() -> None:
    for name in peerburst.__all__:
        assert hasattr(peerburst, name)


CASES = Path(__file__).parents[1] / "cases"


def lines_of_the_readme() -> list[str]:
    """The notebook's lines but the one that opens a capture, without their comments."""
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    block = text.split("## In a notebook")[1].split("```python")[1].split("```")[0]
    lines = [line.split("  #")[0].strip() for line in block.splitlines()]
    return [line for line in lines if line.startswith("evening.")]


@pytest.mark.parametrize("name", ["quiet-three-connections", "arp-only", "header-only"])
def test_the_readme_works_where_there_is_nothing_to_see(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    evening = peerburst.open(CASES / f"{name}.pcap", limits=[200, 512])
    lines = lines_of_the_readme()
    assert len(lines) > 6
    for line in lines:
        eval(line, {"evening": evening})
    assert (tmp_path / "evening.png").stat().st_size > 0


def test_tables_without_rows_have_their_columns(capture: Path) -> None:
    full, empty = peerburst.open(capture), peerburst.open(CASES / "arp-only.pcap")
    assert empty.host is None
    for name in ("flows", "hosts", "bursts"):
        assert len(getattr(empty, name)) == 0
        assert getattr(empty, name).columns.tolist() == getattr(full, name).columns.tolist()
        assert [kind.kind for kind in getattr(empty, name).dtypes] == [kind.kind for kind in getattr(full, name).dtypes]
    for made in ("timeline", "matrix"):
        assert len(getattr(empty, made)()) == 0
        assert getattr(empty, made)().columns.tolist() == getattr(full, made)().columns.tolist()
        assert getattr(empty, made)().dtypes.tolist() == getattr(full, made)().dtypes.tolist()


def test_a_picture_of_nothing_still_needs_a_name_that_there_is() -> None:
    with pytest.raises(SettingsError, match="no picture is called"):
        peerburst.open(CASES / "header-only.pcap").plot("no such")
