"""What the options of a command line make: settings, and a help that fits."""

import pytest
import typer

from peerburst.analysis.settings import DEFAULT_LIMIT, DEFAULT_LIMITS, Settings
from peerburst.cli import options
from peerburst.cli.main import COMMANDS, main


def test_nothing_asked_for_is_the_default_settings() -> None:
    assert options.settings() == options.settings(model=[], limit=[], local_net=[]) == Settings()
    assert Settings().limit == DEFAULT_LIMIT


def test_one_limit_stands_first_among_the_usual_ones() -> None:
    assert options.settings(limit=[150]).limits == (150, *DEFAULT_LIMITS)
    assert options.settings(limit=[512]).limits[0] == 512
    assert sorted(options.settings(limit=[512]).limits) == sorted(DEFAULT_LIMITS)


def test_several_limits_stand_alone() -> None:
    assert options.settings(limit=[300, 20]).limits == (300, 20)


def test_another_limit_comes_before_those_asked_for() -> None:
    asked = Settings(models=("rfc",), limits=(300, 20))
    assert asked.with_limit(20) == Settings(models=("rfc",), limits=(20, 300))
    assert asked.with_limit(50).limits == (50, 300, 20)


def test_captures_may_be_named_both_ways() -> None:
    assert options.paths(["b"], ["a"]) == ["a", "b"]
    with pytest.raises(typer.BadParameter, match="name a capture"):
        options.paths(None, [])


@pytest.mark.parametrize("command", [[], *([command] for command in COMMANDS), ["gateways", "show"]], ids=" ".join)
def test_the_help_fits_a_terminal(
    command: list[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*command, "--help"]) == 0
    shown = capfd.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert "[default: p]" not in shown
    if command in ([], ["live"]):
        assert "Exit codes: 0 success, 1 error, 2 usage, 3 alert." in shown
