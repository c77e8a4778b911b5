"""Tables of a scenario file to settings, each key known, of the right type and within its bounds."""

import dataclasses
import datetime
import difflib
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from peerburst.capture.errors import SettingsError

Settings = TypeVar("Settings")


def setting(
    default: Any = dataclasses.MISSING,
    *,
    least: float | None = None,
    most: float | None = None,
    choices: Sequence[str] = (),
) -> Any:
    """A field of a settings class: its default (none: the key must be given) and what values make sense."""
    bounds = {"least": least, "most": most, "choices": choices}
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=bounds)
    return dataclasses.field(default=default, metadata=bounds)


def read_settings(kind: type[Settings], table: Mapping[str, object], where: str) -> Settings:
    """`table` as a `kind`; `where` begins every error, as in "evening.toml: guest 'dan'"."""
    fields = {field.name: field for field in dataclasses.fields(typing.cast(Any, kind))}
    refuse_unknown_keys(table, list(fields), where)
    hints = typing.get_type_hints(kind)
    values: dict[str, object] = {}
    for name, field in fields.items():
        if name in table:
            values[name] = _checked(table[name], hints[name], field.metadata, f"{where}: {name}")
        elif field.default is dataclasses.MISSING:
            raise SettingsError(f"{where}: the key '{name}' is missing; add it")
    try:
        return kind(**values)
    except ValueError as error:
        raise SettingsError(f"{where}: {error}") from error


def refuse_unknown_keys(table: Mapping[str, object], known: Sequence[str], where: str) -> None:
    """SettingsError that names the first key of `table` not in `known`, and the one probably meant."""
    for key in table:
        if key not in known:
            raise SettingsError(f"{where}: there is no key '{key}'; {suggestion(key, known)}")


def suggestion(word: str, known: Sequence[str]) -> str:
    """What to write in place of `word`: the nearest of `known`, or all of them."""
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known here: {', '.join(sorted(known))}"


_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text in quotes"}


def _checked(value: object, hint: Any, bounds: Mapping[str, Any], where: str) -> object:
    wanted = _plain_type(hint)
    if wanted is tuple:
        if not isinstance(value, list) or not all(type(item) is int for item in value):
            raise SettingsError(f"{where} must be a list of whole numbers, not {value!r}")
        for item in value:
            _refuse_out_of_bounds(item, bounds, where)
        return tuple(value)
    if wanted is float and type(value) is int:
        value = float(value)
    if wanted is datetime.datetime:
        return _instant(value, where)
    if type(value) is not wanted:
        raise SettingsError(f"{where} must be {_WORDS[wanted]}, not {value!r}")
    _refuse_out_of_bounds(value, bounds, where)
    return value


def _plain_type(hint: Any) -> Any:
    """`int` of `int | None`, `tuple` of `tuple[int, ...]`."""
    if typing.get_origin(hint) is tuple:
        return tuple
    options = [option for option in typing.get_args(hint) if option is not type(None)]
    return options[0] if options else hint


def _instant(value: object, where: str) -> datetime.datetime:
    if isinstance(value, str):
        try:
            value = datetime.datetime.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, datetime.datetime) or value.tzinfo is None:
        raise SettingsError(f"{where} must be a date and time with its zone, as in 2010-04-05T20:00:00Z")
    return value


def _refuse_out_of_bounds(value: Any, bounds: Mapping[str, Any], where: str) -> None:
    least, most, choices = bounds.get("least"), bounds.get("most"), bounds.get("choices")
    if least is not None and value < least:
        raise SettingsError(f"{where} must be at least {least:g}, not {value:g}")
    if most is not None and value > most:
        raise SettingsError(f"{where} must be at most {most:g}, not {value:g}")
    if choices and value not in choices:
        raise SettingsError(f"{where} must be one of {', '.join(choices)}, not '{value}'; {suggestion(value, choices)}")
