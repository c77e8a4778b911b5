"""The gateway models there are: reads and checks model files, one TOML file a model (docs/gateways.md)."""

import difflib
import math
import tomllib
from collections.abc import Collection
from enum import Enum
from pathlib import Path
from typing import Final, TypeVar

from peerburst.analysis.gateways.model import (
    CLOSED_STATES,
    FAMILIES,
    IDLE,
    LINUX_PHASES,
    PHASES,
    PHASES_OF,
    TCP_STATES,
    Basis,
    Begins,
    Engine,
    GatewayModel,
    Per,
    Sure,
    Timeout,
    TwoWay,
    Unit,
)
from peerburst.capture.errors import SettingsError

# A phase that may be left out of a file, and the one whose timeout it then takes.
SAME_AS: Final = {
    "syn_repeated": "syn_sent",
    "syn_sent2": "syn_sent",
    "udp_first": "udp_one_way",
    **dict.fromkeys(("gre_one_way", "gre_two_way", "sctp_one_way", "sctp_two_way"), "other"),
}

# In the order of the verdict matrix.
SHIPPED: Final = (
    "linux-connlimit",
    "linux-conntrack",
    "pf-normal",
    "pf-high-latency",
    "pf-aggressive",
    "pf-conservative",
    "cisco-asa",
    "cisco-ios-nat",
    "mikrotik",
    "fortigate",
    "juniper-srx",
    "aws-nat-gateway",
    "rfc",
    "nat-mapping",
    "zeek",
    "naive",
)
FLAT_PREFIX: Final = "flat:"
# What a verdict is given for unless asked otherwise: all shipped models, and the flow meters' usual 120 s of silence.
DEFAULT_MODELS: Final = (*SHIPPED[:-1], "flat:120", SHIPPED[-1])

FOLDER: Final = Path(__file__).parent
LARGEST_FILE: Final = 1 << 20  # bytes; the longest shipped model has under ten thousand
LONGEST_TIMEOUT_S: Final = 1e9  # 31 years; in nanoseconds, and added to a time stamp, it still fits an int64


def names() -> list[str]:
    """The shipped models, the headline model first."""
    return list(SHIPPED)


def shipped() -> list[GatewayModel]:
    """Every shipped model, in the order of `names`."""
    return [load(name) for name in SHIPPED]


def load(name_or_path: str | Path) -> GatewayModel:
    """A shipped model by its name, `flat:SECONDS`, or a model file (a path ending in .toml, or any existing file)."""
    text = str(name_or_path)
    if text in SHIPPED:
        return _read(FOLDER / f"{text}.toml")
    if text.startswith(FLAT_PREFIX):
        return _flat(text)
    path = Path(text)
    if path.suffix == ".toml" or _is_file(path):
        return _read(path)
    known = (*SHIPPED, f"{FLAT_PREFIX}SECONDS")
    raise SettingsError(
        f"{text!r} is not a gateway model{_did_you_mean(text, known)}; "
        f"give a file ending in .toml, or one of {', '.join(known)}."
    )


def _flat(text: str) -> GatewayModel:
    try:
        seconds = float(text.removeprefix(FLAT_PREFIX))
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= LONGEST_TIMEOUT_S:
        raise SettingsError(
            f"{text!r} is not a gateway model: after {FLAT_PREFIX} comes a number of seconds above 0 and at most "
            f"{LONGEST_TIMEOUT_S:.0f}, as in flat:120."
        )
    asked = Basis("as asked for by name", Sure.ASSUMED)
    return GatewayModel(
        name=f"{FLAT_PREFIX}{seconds:.15g}",
        title=f"Idle for {seconds:.15g} s, any protocol",
        summary=(
            f"Counts every 5-tuple until it has been silent for {seconds:.15g} s and takes no notice of FIN and RST, "
            "as most flow meters do."
        ),
        engine=Engine.FLAT,
        unit=Unit.ENTRY,
        protocols=frozenset(PHASES_OF),
        families=frozenset(FAMILIES),
        begins=Begins.OPEN,
        left_out=frozenset(),
        reset_deletes_unanswered=False,
        two_way_after=TwoWay.REPLY,
        stream_age_s=0.0,
        timeouts={IDLE: Timeout(seconds, asked.source, asked.sure)},
        counts_basis=asked,
        rules_basis=asked,
        path=None,
    )


def _read(path: Path) -> GatewayModel:
    values = _parse(path, _text_of(path))
    model = _model(path, values)
    if model.name in SHIPPED and path.resolve() != (FOLDER / f"{model.name}.toml").resolve():
        raise SettingsError(f"{path}: name is {model.name!r}, which is a shipped model; call yours something else.")
    return model


def _text_of(path: Path) -> str:
    """The file's text, never more than LARGEST_FILE of it in memory."""
    if not _is_file(path):
        raise SettingsError(f"{path}: there is no such gateway model file; the shipped ones are {', '.join(SHIPPED)}.")
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror}); check its permissions.") from error
    if len(data) > LARGEST_FILE:
        raise SettingsError(f"{path}: is larger than {LARGEST_FILE} bytes, so it is not a gateway model.")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8.") from error


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long to be one
        return False


def _parse(path: Path, text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or a number of thousands of digits
        raise SettingsError(f"{path}: is not valid TOML: {error}.") from error
    except RecursionError as error:
        raise SettingsError(f"{path}: is nested too deeply to be a gateway model.") from error


Choice = TypeVar("Choice", bound=Enum)


class _Table:
    """One table of a model file: hands out its keys, checked, and says where it stands when one is wrong."""

    def __init__(self, path: Path, where: str, values: object, known: Collection[str]) -> None:
        self.path = path
        self.where = where
        if not isinstance(values, dict):
            raise self.wrong(where.rstrip("."), values, "a table")
        self.values: dict[str, object] = values
        for key in self.values:
            if key not in known:
                raise SettingsError(
                    f"{path}: {where}{key} is not a known key{_did_you_mean(key, known)}; "
                    f"known here: {', '.join(known) or 'none'}."
                )

    def wrong(self, key: str, found: object, allowed: str) -> SettingsError:
        """The error for a value that will not do."""
        return SettingsError(f"{self.path}: {key} is {_shown(found)}, but must be {allowed}.")

    def need(self, key: str) -> object:
        if key not in self.values:
            raise SettingsError(f"{self.path}: {self.where}{key} is missing; add it.")
        return self.values[key]

    def table(self, key: str, known: Collection[str]) -> "_Table":
        """A table inside this one; empty if the file has none."""
        return _Table(self.path, f"{self.where}{key}.", self.values.get(key, {}), known)

    def line(self, key: str, default: str | None = None) -> str:
        """One line of printable text; control characters would reach the reader's terminal."""
        text = self.need(key) if default is None else self.values.get(key, default)
        if not isinstance(text, str) or not text.isprintable() or (default is None and not text.strip()):
            raise self.wrong(self.where + key, text, "one line of text")
        return text

    def flag(self, key: str, default: bool) -> bool:
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise self.wrong(self.where + key, value, "true or false")
        return value

    def seconds(self, key: str, *, endless: bool) -> float:
        value = self.need(key)
        allowed = f"a number of seconds from 0 to {LONGEST_TIMEOUT_S:.0f}" + (", or inf" if endless else "")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(self.where + key, value, allowed)
        if not (0 <= value <= LONGEST_TIMEOUT_S or (endless and value == math.inf)):
            raise self.wrong(self.where + key, value, allowed)
        return float(value)

    def choice(self, key: str, kind: type[Choice], default: Choice | None = None) -> Choice:
        value = self.need(key) if default is None else self.values.get(key, default.value)
        for member in kind:
            if value == member.value:
                return member
        allowed = [member.value for member in kind]
        raise self.wrong(self.where + key, value, f"one of {', '.join(allowed)}{_did_you_mean(value, allowed)}")

    def words(self, key: str, allowed: Collection[str], default: list[str] | None = None) -> frozenset[str]:
        """A set of words out of those allowed."""
        value = self.need(key) if default is None else self.values.get(key, default)
        if not isinstance(value, list):
            raise self.wrong(self.where + key, value, f"a list of {', '.join(allowed)}")
        for word in value:
            if word not in allowed:
                hint = _did_you_mean(word, allowed)
                raise self.wrong(f"an item of {self.where}{key}", word, f"one of {', '.join(allowed)}{hint}")
        return frozenset(value)

    def basis(self) -> Basis:
        return Basis(self.line("source", ""), self.choice("sure", Sure, Sure.ASSUMED))


def _model(path: Path, values: dict[str, object]) -> GatewayModel:
    top = _Table(path, "", values, ("name", "title", "summary", "engine", "counts", "rules", "timeouts"))
    engine = top.choice("engine", Engine)
    counts = top.table("counts", ("unit", "per", "protocols", "families", "begins", "left_out", "source", "sure"))
    rules = top.table("rules", ("reset_deletes_unanswered", "two_way_after", "stream_age_s", "source", "sure"))
    protocols = counts.words("protocols", tuple(PHASES_OF))
    if not protocols:
        raise counts.wrong("counts.protocols", [], f"a list of at least one of {', '.join(PHASES_OF)}")
    families = counts.words("families", FAMILIES, list(FAMILIES))
    if not families:
        raise counts.wrong("counts.families", [], f"a list of at least one of {', '.join(FAMILIES)}")
    two_way_after = rules.choice("two_way_after", TwoWay, TwoWay.REPLY)
    model = GatewayModel(
        name=_name(top),
        title=top.line("title"),
        summary=top.line("summary"),
        engine=engine,
        unit=counts.choice("unit", Unit),
        protocols=protocols,
        families=families,
        begins=counts.choice("begins", Begins, Begins.OPEN),
        left_out=counts.words("left_out", TCP_STATES, []),
        reset_deletes_unanswered=rules.flag("reset_deletes_unanswered", False),
        two_way_after=two_way_after,
        stream_age_s=_stream_age_s(rules, two_way_after),
        timeouts=_timeouts(top, engine, protocols),
        counts_basis=counts.basis(),
        rules_basis=rules.basis(),
        path=path,
        per=counts.choice("per", Per, Per.ADDRESS),
    )
    _check_together(path, model)
    return model


def _name(top: _Table) -> str:
    name = top.line("name")
    if not name.isascii() or name != name.lower() or not name.replace("-", "").replace("_", "").isalnum():
        raise top.wrong("name", name, "lower-case letters, digits and hyphens, as in my-router")
    return name


def _stream_age_s(rules: _Table, two_way_after: TwoWay) -> float:
    if two_way_after is TwoWay.STREAM:
        return rules.seconds("stream_age_s", endless=False)
    if "stream_age_s" in rules.values:
        raise SettingsError(
            f'{rules.path}: rules.stream_age_s only means something with two_way_after = "stream"; remove it.'
        )
    return 0.0


def _timeouts(top: _Table, engine: Engine, protocols: frozenset[str]) -> dict[str, Timeout]:
    """The timeouts of every phase of the counted protocols, the optional ones filled in."""
    match engine:
        case Engine.SYN_FIN:
            return _given(top.table("timeouts", ()))
        case Engine.FLAT:
            table = top.table("timeouts", (IDLE,))
            needed: list[str] = [IDLE]
        case _:
            own = LINUX_PHASES if engine is Engine.LINUX else ()
            table = top.table("timeouts", tuple(phase for phase in PHASES if phase not in LINUX_PHASES or phase in own))
            needed = [phase for protocol in PHASES_OF if protocol in protocols for phase in PHASES_OF[protocol]]
            needed += own if "tcp" in protocols else ()
    given = _given(table)
    for phase in needed:
        if phase not in given and SAME_AS.get(phase) in given:
            given[phase] = given[SAME_AS[phase]]
        if phase not in given:
            raise SettingsError(f"{top.path}: timeouts.{SAME_AS.get(phase, phase)} is missing; add it.")
    return given


def _given(table: _Table) -> dict[str, Timeout]:
    given = {}
    for phase in table.values:
        entry = table.table(phase, ("seconds", "source", "sure"))
        basis = entry.basis()
        given[phase] = Timeout(entry.seconds("seconds", endless=True), basis.source, basis.sure)
    return given


def _check_together(path: Path, model: GatewayModel) -> None:
    """Refuse settings that are fine each on its own but mean nothing together."""
    stateless = model.engine in (Engine.FLAT, Engine.SYN_FIN)
    only_tcp = model.protocols == {"tcp"}
    if stateless and (model.left_out or model.begins is not Begins.OPEN):
        raise SettingsError(
            f"{path}: the {model.engine.value} engine knows no TCP states, so counts.left_out must be empty and "
            'counts.begins "open".'
        )
    if model.left_out and model.left_out != set(CLOSED_STATES):
        raise SettingsError(f"{path}: {_wrong_with_left_out(model.left_out)}.")
    if model.begins is Begins.ESTABLISHED and not only_tcp:
        raise SettingsError(
            f'{path}: counts.begins is "established", which only TCP can be, so counts.protocols must be ["tcp"].'
        )
    if model.engine is Engine.SYN_FIN and not only_tcp:
        raise SettingsError(f'{path}: the syn-fin engine sees only TCP, so counts.protocols must be ["tcp"].')
    if model.engine is Engine.FLAT and model.timeouts[IDLE].seconds == 0:
        raise SettingsError(f"{path}: timeouts.idle.seconds is 0, so nothing would ever count; give a longer one.")


def _wrong_with_left_out(states: frozenset[str]) -> str:
    """Why these states cannot be left out: a captured flow does not tell when TCP was in each of them."""
    allowed = 'counts.left_out must be [] or ["time_wait", "close"]'
    other = next((state for state in TCP_STATES if state in states and state not in CLOSED_STATES), None)
    if other is None:
        (named,) = states
        (missing,) = set(CLOSED_STATES) - states
        return f"counts.left_out names {named} without {missing}, but the two are left out together; {allowed}"
    hint = ', and counts.begins = "established" counts from the end of the handshake' if other.startswith("syn") else ""
    return f"counts.left_out names {other}, whose time a captured flow does not tell; {allowed}{hint}"


def _did_you_mean(word: object, known: Collection[str]) -> str:
    near = difflib.get_close_matches(str(word)[:100], known, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _shown(value: object) -> str:
    """A value from a file, short enough for a sentence."""
    if isinstance(value, int) and abs(value) > 10**18:  # Python refuses to write out the longest ones
        return "a huge number"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
