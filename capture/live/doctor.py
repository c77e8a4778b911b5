"""What a live capture needs, looked at one by one, each finding with what to do about it."""

import importlib.util
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from peerburst.capture.live import interfaces
from peerburst.capture.live.backends import dumpcap, scapy_socket
from peerburst.capture.live.backends.select import PERMISSION_ADVICE

CAPABILITY = "security.capability"  # the extended attribute that holds a file's capabilities
CAP_NET_ADMIN, CAP_NET_RAW = 12, 13  # linux/capability.h
CONTAINER_FILES = ("/.dockerenv", "/run/.containerenv")
LEAST_FREE = 1 << 30  # bytes: some hours of headers of a busy laptop
ASK_S = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: its `state`, and an `advice` what to do about it (empty if nothing).

    `ok` False: a live capture fails or is worse for it.
    """

    what: str
    ok: bool
    state: str
    advice: str = ""


def examine(folder: str = ".") -> tuple[Finding, ...]:
    """Everything, in the order in which one would mend it. Needs no root and changes nothing."""
    default = interfaces.default_interface()
    probe = default.name if default is not None else _any_interface()
    findings: list[Finding] = [_system(), _interface(default)]
    program = dumpcap.find()
    complaint = dumpcap.trouble(program, probe) if program is not None and probe else ""
    without_dumpcap = program is None or bool(complaint)
    fallback = scapy_socket.trouble()
    findings.append(_dumpcap(program, complaint, bool(fallback)))
    findings.append(_fallback(fallback, without_dumpcap))
    findings += _libpcap(without_dumpcap)
    findings += _container(without_dumpcap and bool(fallback))
    findings += [_tshark(), _psutil(), _disk(folder)]
    return tuple(findings)


def _system() -> Finding:
    is_known = sys.platform in ("linux", "darwin")
    text = f"{platform.system()} {platform.release()}, {platform.machine()}, Python {platform.python_version()}"
    return Finding("system", is_known, text, "" if is_known else "live capture is made for Linux and macOS")


def _any_interface() -> str:
    return next((one.name for one in interfaces.list_interfaces()), "")


def _interface(default: interfaces.Interface | None) -> Finding:
    what = "default interface"
    if default is None:
        return Finding(what, False, "no interface is up but the loopback", "join a network, then look again")
    places = ", ".join(default.addresses) or "no address"
    if not default.has_default_route:
        text = f"{default.name} ({places}) is up, but there is no way out to the Internet"
        return Finding(what, False, text, "join a network, or name the interface with -i")
    return Finding(what, True, f"{default.name} ({places}) is up and leads out")


def _dumpcap(program: str | None, complaint: str, is_needed: bool) -> Finding:
    if program is None:
        advice = "install Wireshark's dumpcap (Debian, Ubuntu: sudo apt install wireshark-common)"
        return Finding("dumpcap", not is_needed, "is not installed", advice)
    version = _first_line([program, "--version"])
    if not complaint:
        return Finding("dumpcap", True, f"{program} ({version}) may capture: {_why_it_may(program)}")
    if dumpcap.is_permission(complaint):
        return Finding("dumpcap", False, f"{program} may not capture as this user", PERMISSION_ADVICE)
    return Finding("dumpcap", False, f"{program} says: {complaint}", "mend that, or reinstall Wireshark")


def _why_it_may(program: str) -> str:
    if hasattr(os, "getxattr"):
        try:
            os.getxattr(program, CAPABILITY)
            return "it carries capabilities"
        except OSError:
            pass
    if os.geteuid() == 0:
        return "we are root"
    return "it is setuid" if Path(program).stat().st_mode & 0o4000 else "the system lets it"


def _fallback(trouble: str, is_needed: bool) -> Finding:
    if not trouble:
        return Finding("without dumpcap", True, "scapy can capture, too" if not is_needed else "scapy captures instead")
    advice = "" if not is_needed else "mend dumpcap, or run with sudo"
    return Finding("without dumpcap", not is_needed, trouble, advice)


def _libpcap(is_needed: bool) -> Iterator[Finding]:
    """Only where it is missed: scapy's sockets take packets without it, and leave none out."""
    if hasattr(socket, "AF_PACKET") and not scapy_socket.has_libpcap():
        text = "is not installed: without dumpcap, capture filters (-f) do not work"
        advice = "install libpcap (Debian, Ubuntu: sudo apt install libpcap0.8), or capture without a filter"
        yield Finding("libpcap", not is_needed, text, advice)


def _container(is_locked: bool) -> Iterator[Finding]:
    """Only where it matters: in a container, or when capturing fails although we are root."""
    kind = _container_kind()
    lacking = _lacking_capabilities() if os.geteuid() == 0 else []
    if not kind and not lacking:
        return
    where = (
        f"this is a {kind} container, which sees its own network only" if kind else "root, but not all of root's powers"
    )
    if lacking and is_locked:
        advice = (
            "start the container with --cap-add=NET_RAW --cap-add=NET_ADMIN (and --network=host for the machine's own)"
        )
        yield Finding("locked down", False, f"{where}; it lacks {', '.join(lacking)}", advice)
    else:
        yield Finding("container", True, where)


def _container_kind() -> str:
    kinds = dict(zip(CONTAINER_FILES, ("Docker", "Podman"), strict=True))
    return next((kind for file, kind in kinds.items() if Path(file).exists()), "") or os.environ.get("container", "")  # noqa: SIM112 - systemd and Podman set it so


def _lacking_capabilities() -> list[str]:
    """Those of the two that capturing needs which this process has not; none where the system has no such thing."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return []
    held = next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), -1)
    wanted = {"CAP_NET_RAW": CAP_NET_RAW, "CAP_NET_ADMIN": CAP_NET_ADMIN}
    return [name for name, bit in wanted.items() if not held >> bit & 1]


def _tshark() -> Finding:
    program = shutil.which("tshark")
    if program is None:
        return Finding("tshark", True, "is not installed; only `peerburst dissect` asks for it")
    return Finding("tshark", True, f"{program} ({_first_line([program, '--version'])})")


def _psutil() -> Finding:
    if importlib.util.find_spec("psutil") is not None:
        return Finding("psutil", True, "is installed")
    return Finding("psutil", False, "is not installed", "pip install 'peerburst[live]'")


def _disk(folder: str) -> Finding:
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding("disk", False, f"this folder cannot be looked at ({error.strerror})", "go to another folder")
    if not os.access(folder, os.W_OK):
        return Finding("disk", False, "this folder is not yours to write in", "go to another folder to keep captures")
    is_enough = free >= LEAST_FREE
    text = f"{free / 1e9:.1f} GB are free in this folder"
    return Finding("disk", is_enough, text, "" if is_enough else "free some space, or keep captures elsewhere")


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ASK_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return done.stdout.partition("\n")[0].strip().removesuffix(".")
