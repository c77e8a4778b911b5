"""Scenario files: who stays at the hotel, what each guest's machine does, and when (TOML)."""

import dataclasses
import datetime
import ipaddress
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peerburst.capture.errors import SettingsError
from peerburst.capture.synth.programs import PROGRAMS, Program
from peerburst.capture.synth.settings import read_settings, refuse_unknown_keys, setting, suggestion
from peerburst.capture.synth.site import IPAddress

# Enough for all headers and the first bytes of what they carry.
DEFAULT_SNAPLEN = 96
LONGEST_CAPTURE_S = 86_400


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """The capture as a whole."""

    title: str = setting()
    start: datetime.datetime = setting()  # noqa: RUF009 - a field, as all the others
    duration_s: float = setting(least=1, most=LONGEST_CAPTURE_S)
    seed: int = setting(1, least=0)
    snaplen: int = setting(DEFAULT_SNAPLEN, least=60, most=262_144)


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """The hotel's LAN; the resolver is the gateway unless another is named."""

    lan: str = setting("10.20.0.0/22")
    gateway: str = setting("10.20.0.1")
    gateway_mac: str = setting("02:00:5e:10:00:01")
    dns: str = setting("")


@dataclass(frozen=True, slots=True)
class GuestSettings:
    """One guest's machine."""

    name: str = setting()
    address: str = setting()
    mac: str = setting("")
    ipv6: str = setting("")


@dataclass(frozen=True, slots=True)
class Hours:
    """When a program runs, in seconds of the capture (`stop_s` None: to the end), and over which IP."""

    start_s: float = setting(0.0, least=0)
    stop_s: float | None = setting(None, least=0)
    ipv6: bool = setting(False)


@dataclass(frozen=True, slots=True)
class ProgramRun:
    """A program with its settings and hours."""

    program: Program
    settings: Any
    hours: Hours
    where: str


@dataclass(frozen=True, slots=True)
class GuestPlan:
    """A guest with all it runs."""

    name: str
    address: IPAddress
    mac: bytes | None
    v6: IPAddress | None
    programs: tuple[ProgramRun, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario file, checked."""

    capture: CaptureSettings
    lan: ipaddress.IPv4Network
    gateway_mac: bytes
    dns: IPAddress
    guests: tuple[GuestPlan, ...]


def read_scenario(path: Path) -> Scenario:
    """The scenario at `path`; SettingsError, one sentence, when it cannot be read or makes no sense."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror}); give the name of a scenario file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: this is not TOML ({error}); mend the line named") from error
    file = path.name
    refuse_unknown_keys(document, ("capture", "network", "guest"), file)
    capture = read_settings(CaptureSettings, _table(document, "capture", file), f"{file}: [capture]")
    network = read_settings(NetworkSettings, _table(document, "network", file), f"{file}: [network]")
    where = f"{file}: [network]"
    lan = _lan(network.lan, where)
    gateway = _address(network.gateway, f"{where}: gateway")
    if gateway not in lan:
        raise SettingsError(f"{where}: gateway {gateway} is not on the LAN {lan}; choose an address inside it")
    guests = tuple(_guest(table, lan, file) for table in _tables(document, "guest", file))
    if not guests:
        raise SettingsError(f"{file}: there is no guest; add a [[guest]] with a name and an address")
    _refuse_twins(guests, gateway, file)
    return Scenario(
        capture=capture,
        lan=lan,
        gateway_mac=_mac(network.gateway_mac, f"{where}: gateway_mac"),
        dns=_address(network.dns, f"{where}: dns") if network.dns else gateway,
        guests=guests,
    )


def _guest(table: Mapping[str, Any], lan: ipaddress.IPv4Network, file: str) -> GuestPlan:
    programs = _tables(table, "program", file)
    own = {key: value for key, value in table.items() if key != "program"}
    where = f"{file}: guest '{table.get('name', '?')}'"
    settings = read_settings(GuestSettings, own, where)
    address = _address(settings.address, f"{where}: address")
    if address not in lan:
        raise SettingsError(f"{where}: address {address} is not on the LAN {lan}; choose one inside it")
    v6 = _address(settings.ipv6, f"{where}: ipv6") if settings.ipv6 else None
    if v6 is not None and v6.version != 6:
        raise SettingsError(f"{where}: ipv6 must be an IPv6 address, not {v6}")
    mac = _mac(settings.mac, f"{where}: mac") if settings.mac else None
    return GuestPlan(settings.name, address, mac, v6, tuple(_program_run(program, v6, where) for program in programs))


def _program_run(table: Mapping[str, Any], v6: IPAddress | None, where: str) -> ProgramRun:
    kind = table.get("kind")
    if kind not in PROGRAMS:
        raise SettingsError(f"{where}: there is no program of kind {kind!r}; {suggestion(str(kind), list(PROGRAMS))}")
    program, where = PROGRAMS[kind], f"{where}: program '{kind}'"
    common = [field.name for field in dataclasses.fields(Hours)]
    refuse_unknown_keys(
        table, ("kind", *common, *(field.name for field in dataclasses.fields(program.settings))), where
    )
    hours = read_settings(Hours, {key: table[key] for key in common if key in table}, where)
    if hours.stop_s is not None and hours.stop_s <= hours.start_s:
        raise SettingsError(f"{where}: stop_s {hours.stop_s:g} must come after start_s {hours.start_s:g}")
    if hours.ipv6 and v6 is None:
        raise SettingsError(f'{where}: the guest has no IPv6 address; give it one with ipv6 = "..."')
    own = {key: value for key, value in table.items() if key != "kind" and key not in common}
    return ProgramRun(program, read_settings(program.settings, own, where), hours, where)


def _refuse_twins(guests: tuple[GuestPlan, ...], gateway: IPAddress, file: str) -> None:
    names: set[str] = set()
    addresses = {gateway}
    for guest in guests:
        if guest.name in names or guest.address in addresses:
            raise SettingsError(
                f"{file}: guest '{guest.name}' ({guest.address}) has a name or address already in use; change it"
            )
        names.add(guest.name)
        addresses.add(guest.address)


def _table(document: Mapping[str, Any], key: str, file: str) -> Mapping[str, Any]:
    table = document.get(key, {})
    if not isinstance(table, dict):
        raise SettingsError(f"{file}: '{key}' must be a table; write [{key}]")
    return table


def _tables(document: Mapping[str, Any], key: str, file: str) -> list[Mapping[str, Any]]:
    tables = document.get(key, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise SettingsError(f"{file}: '{key}' must be a list of tables; write [[{key}]]")
    return tables


def _address(text: str, where: str) -> IPAddress:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise SettingsError(f"{where} must be an IP address, not '{text}'") from None


def _lan(text: str, where: str) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(text)
    except ValueError:
        raise SettingsError(f"{where}: lan must be an IPv4 network as in \"10.20.0.0/22\", not '{text}'") from None


def _mac(text: str, where: str) -> bytes:
    if not re.fullmatch(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", text):
        raise SettingsError(f"{where} must be a MAC address as in 02:00:5e:10:00:01, not '{text}'")
    return bytes.fromhex(text.replace(":", ""))
