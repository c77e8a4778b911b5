"""Network namespaces by name: making them, entering them, running programs in them."""

import contextlib
import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.support.netns import enter, inside


def run(*command: str, given: str | None = None) -> str:
    """What a command says; RuntimeError with its complaint if it fails."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def ip(namespace: str, lines: Iterable[str]) -> None:
    """Several `ip` commands at once, in a namespace."""
    run("ip", "-n", namespace, "-batch", "-", given="\n".join(lines))


def rules(namespace: str, text: str) -> None:
    """nftables rules for a namespace."""
    run("ip", "netns", "exec", namespace, "nft", "-f", "-", given=text)


def command_in(namespace: str, command: Sequence[str]) -> list[str]:
    """The command, as run in that namespace, with its /etc/netns files."""
    return ["ip", "netns", "exec", namespace, *command]


class Namespaces:
    """The namespaces of one arena: all named after this process, all gone in the end."""

    def __init__(self) -> None:
        self.prefix = f"arena{os.getpid()}-"
        self._made: list[str] = []
        self._closed = False

    def make(self, name: str, sysctls: dict[str, str] | None = None) -> str:
        """A new one with IPv4 only and its loopback up; the full name."""
        if self._closed:
            raise RuntimeError("the arena is closing")
        full = self.prefix + name
        run("ip", "netns", "add", full)
        self._made.append(full)
        with inside(full):
            settings = {"net/ipv6/conf/all/disable_ipv6": "1", "net/ipv6/conf/default/disable_ipv6": "1"}
            for key, value in {**settings, **(sysctls or {})}.items():
                Path("/proc/sys", key).write_text(value)
        ip(full, ["link set lo up"])
        return full

    def resolver(self, namespace: str, address: str) -> None:
        """Programs started there ask this name server."""
        folder = Path("/etc/netns", namespace)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "resolv.conf").write_text(f"nameserver {address}\noptions timeout:2 attempts:2\n")

    def close(self) -> None:
        """Delete them all, and their files."""
        self._closed = True
        for full in reversed(self._made):
            subprocess.run(["ip", "netns", "delete", full], capture_output=True, check=False)
            folder = Path("/etc/netns", full)
            (folder / "resolv.conf").unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                folder.rmdir()
        with contextlib.suppress(OSError):
            Path("/etc/netns").rmdir()
        self._made.clear()


_ENTERED: dict[str, int] = {}


def enter_for_good(namespace: str) -> None:
    """This thread in a named namespace until it enters another: for those who do so all the time."""
    if namespace not in _ENTERED:
        _ENTERED[namespace] = os.open(f"/run/netns/{namespace}", os.O_RDONLY | os.O_CLOEXEC)
    enter(_ENTERED[namespace], namespace)
