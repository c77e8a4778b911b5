"""Interfaces as they were made, and what the doctor finds."""

import ctypes.util
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from peerburst.capture.live import doctor, interfaces
from peerburst.capture.live.backends import dumpcap, scapy_socket
from peerburst.capture.live.interfaces import Interface
from tests.support.live.private_nets import FAR, NEAR, NEAR_V6, Pair, ip
from tests.support.netns import inside, missing

LACKING = missing()
needs_nets = pytest.mark.skipif(LACKING is not None, reason=f"no private network can be made here: it {LACKING}")


@pytest.fixture
def pair() -> Iterator[Pair]:
    with Pair("faces") as made:
        yield made


@needs_nets
@pytest.mark.parametrize("with_psutil", [True, False])
def test_interfaces_are_those_of_the_network(pair: Pair, monkeypatch: pytest.MonkeyPatch, with_psutil: bool) -> None:
    if with_psutil:
        pytest.importorskip("psutil")
    else:
        monkeypatch.setitem(__import__("sys").modules, "psutil", None)
    ip("-n", pair.near, "link", "add", "off0", "type", "veth", "peer", "name", "off1", "netns", pair.far)
    with inside(pair.near):
        assert interfaces.default_interface() is not None  # up, though it leads nowhere
        assert not any(one.has_default_route for one in interfaces.list_interfaces())
        ip("-n", pair.near, "route", "add", "default", "via", FAR)
        near, off, loopback = interfaces.list_interfaces()
        assert interfaces.default_interface() == near
        assert interfaces.addresses_of(("any",)) == (*near.addresses, *loopback.addresses)
    assert (near.name, near.addresses[:2]) == ("near0", (NEAR, NEAR_V6))
    assert near.addresses[2].startswith("fe80:")
    assert (near.is_up, near.is_loopback, near.has_default_route) == (True, False, True)
    assert off == Interface("off0", (), is_up=False, is_loopback=False, has_default_route=False)
    assert loopback == Interface("lo", ("127.0.0.1", "::1"), is_up=True, is_loopback=True, has_default_route=False)


@needs_nets
def test_the_state_of_an_interface(pair: Pair) -> None:
    with inside(pair.near):
        assert interfaces.state_of("near0") is True
        ip("-n", pair.near, "link", "set", "near0", "down")
        assert interfaces.state_of("near0") is False
        ip("-n", pair.near, "link", "delete", "near0")
        assert interfaces.state_of("near0") is None


def test_dumpcaps_complaints_become_sentences() -> None:
    denied = """Capturing on 'Loopback: lo'
dumpcap: You do not have permission to capture on device "lo".
(socket: Operation not permitted)
Please check to make sure you have sufficient permissions.
"""
    assert dumpcap.complaint_in(denied) == (
        'You do not have permission to capture on device "lo". (socket: Operation not permitted)'
    )
    assert dumpcap.is_permission(dumpcap.complaint_in(denied))
    fault = """dumpcap: Invalid capture filter "bad(" for interface 'lo'.

That string isn't a valid capture filter (can't parse filter expression: syntax error).
"""
    assert dumpcap.complaint_in(fault) == "bad capture filter: can't parse filter expression: syntax error"
    assert dumpcap.complaint_in("Capturing on 'lo'\n(000) ret #262144\n") == ""


def test_the_doctor_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(dumpcap, "find", lambda: None)
    monkeypatch.setattr(scapy_socket, "trouble", lambda: "scapy is not installed (pip install 'peerburst[live]')")
    found = {finding.what: finding for finding in doctor.examine(str(tmp_path))}
    assert not found["dumpcap"].ok
    assert "install" in found["dumpcap"].advice
    assert not found["without dumpcap"].ok
    monkeypatch.setattr(scapy_socket, "trouble", lambda: "")
    found = {finding.what: finding for finding in doctor.examine(str(tmp_path))}
    assert found["dumpcap"].ok
    assert found["without dumpcap"].state == "scapy captures instead"
    assert all(finding.advice for finding in found.values() if not finding.ok)


@pytest.mark.skipif(not hasattr(socket, "AF_PACKET"), reason="the system has no packet sockets")
@pytest.mark.parametrize("has_dumpcap", [False, True])
def test_the_doctor_says_what_does_not_work_without_libpcap(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, has_dumpcap: bool
) -> None:
    monkeypatch.setattr(dumpcap, "find", lambda: sys.executable if has_dumpcap else None)
    monkeypatch.setattr(dumpcap, "trouble", lambda *_arguments: "")
    monkeypatch.setattr(scapy_socket, "trouble", lambda: "")
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None if name == "pcap" else name)
    found = {finding.what: finding for finding in doctor.examine(str(tmp_path))}
    assert found["libpcap"].ok == has_dumpcap  # dumpcap filters by itself
    assert found["libpcap"].state == "is not installed: without dumpcap, capture filters (-f) do not work"
    assert "libpcap0.8" in found["libpcap"].advice
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: f"lib{name}.so")
    assert "libpcap" not in {finding.what for finding in doctor.examine(str(tmp_path))}


def _may_run_dumpcap() -> bool:
    program = dumpcap.find()
    return program is not None and os.access(program, os.X_OK)


@pytest.mark.skipif(not _may_run_dumpcap(), reason="dumpcap is not installed, or not for this user")
def test_the_doctor_agrees_with_a_real_dumpcap(tmp_path: Path) -> None:
    found = {finding.what: finding for finding in doctor.examine(str(tmp_path))}
    program = dumpcap.find()
    assert program is not None
    asked = subprocess.run([program, "-i", "lo", "-L"], capture_output=True, text=True, check=False)
    assert found["dumpcap"].ok == (asked.returncode == 0)
    assert "GB are free" in found["disk"].state
