"""Entering network namespaces, and whether this machine lets us make any: for tests with networks of their own."""

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator

CLONE_NEWNET = 0x40000000


def missing(*tools: str) -> str | None:
    """What this machine lacks to make network namespaces and run the tools, or None."""
    if not hasattr(socket, "AF_PACKET") or os.geteuid() != 0:
        return "needs root on Linux"
    absent = [tool for tool in ("ip", *tools) if shutil.which(tool) is None]
    if absent:
        return f"needs {', '.join(absent)}"
    name = f"peerburst-{os.getpid()}-look"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        return "may not make network namespaces"
    subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)
    return None


def enter(descriptor: int, name: str) -> None:
    """Move this thread into the network namespace of an open descriptor; `name` is for the complaint."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), f"cannot enter the network namespace {name}")


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """This thread in a named network namespace; sockets, threads and processes made there stay there."""
    with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{namespace}") as there:
        enter(there.fileno(), namespace)
        try:
            yield
        finally:
            enter(home.fileno(), "it came from")
