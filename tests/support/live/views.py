"""Sample views for tests of what shows them."""

import dataclasses
from typing import Any

import numpy as np

from peerburst.live.view import AlertLine, BurstLine, History, HostLine, LiveView, ProgramLine

HOST = "192.168.1.34"


def history(seconds: int = 120, peak: int = 173) -> History:
    """A quiet start, a steep rise after a third of the time, and a slow fall."""
    t = np.arange(seconds, dtype=np.float64)
    rise = np.clip((t - seconds / 3) / 10, 0, 1)
    count = np.round(4 + (peak - 4) * rise * np.clip(1.2 - t / seconds / 2, 0, 1)).astype(np.int64)
    return History(t, count, np.minimum(count, np.round(count * np.clip(1 - rise * t / seconds, 0.1, 1)).astype(int)))


def view(**changed: Any) -> LiveView:
    """A laptop in the middle of a login burst, with these fields changed."""
    seen = history()
    sample = LiveView(
        now_s=119.0,
        packets=48_211,
        packets_per_s=412.0,
        drops=0,
        interfaces=("wlan0",),
        saved_to="login.pcapng",
        bytes_written=6_200_000,
        model="linux-connlimit",
        limit=200,
        crossed_at_s=None,
        host=HOST,
        count=int(seen.count[-1]),
        talking=int(seen.talking[-1]),
        peak=int(seen.count.max()),
        peak_at_s=float(seen.count.argmax()),
        new_per_s=12,
        hosts=(
            HostLine(HOST, int(seen.count[-1]), int(seen.talking[-1]), int(seen.count.max()), 50.0, 12, False),
            HostLine("192.168.1.20", 31, 4, 44, 17.0, 1, False),
            HostLine("2001:db8:1234:5678:9abc:def0:1234:5678", 8, 2, 9, 3.0, 0, True),
        ),
        history=seen,
        programs=(
            ProgramLine("qtox", 160, 121), ProgramLine("firefox", 60, 18), ProgramLine("", 3, 1),
        ),
        kinds=(("probe", 40), ("sync", 90), ("heavy", 1), ("media", 0), ("service", 6), ("ordinary", 4)),
        burst=BurstLine(
            label="p2p-sync",
            says="a peer-to-peer program coming online: many small exchanges",
            provisional=True,
            confidence=0.82,
            started_s=40.0,
            seconds=8.5,
            connections=160,
            inbound=False,
            evidence=("160 connections with 152 peers", "half of the connections carried 420 B or less"),
        ),
        alerts=(AlertLine(at_s=47.0, host=HOST, count=160, threshold=160),),
        live_flows=223,
        retired_flows=0,
        memory_mb=181.0,
        paused=False,
        warnings=(),
    )  # fmt: skip
    return dataclasses.replace(sample, **changed)


def empty() -> LiveView:
    """Before the first packet."""
    none = np.zeros(0, np.int64)
    return view(
        now_s=0.0, packets=0, packets_per_s=0.0, saved_to=None, bytes_written=0, host=None, count=0, talking=0,
        peak=0, peak_at_s=None, new_per_s=0, hosts=(), history=History(np.zeros(0), none, none), programs=(), kinds=(),
        burst=None, alerts=(), live_flows=0,
    )  # fmt: skip
