"""Packets as they come: from interfaces, a pipe or a growing file, through the kernels that read saved captures.

Two threads: one takes bytes from the source, keeps them if asked to and passes them into a pipe; the other reads
that pipe as any capture is read (the kernels release the lock) and lets batches of packets wait. What waits is
bounded: a slow taker makes the pipes fill and the system drop packets, which it counts.
"""

import contextlib
import io
import os
import select
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from peerburst.capture.compiled.kernel import announce_first_compile, mark_compiled
from peerburst.capture.errors import CaptureError, SettingsError
from peerburst.capture.files import pcapng_blocks
from peerburst.capture.files.source import BATCH, PacketSource
from peerburst.capture.flows.table import FlowTable
from peerburst.capture.live import interfaces
from peerburst.capture.live.backends.byte_source import ByteSource
from peerburst.capture.live.backends.dumpcap import widen
from peerburst.capture.live.backends.pipe import GrowingFileSource, PipeSource
from peerburst.capture.live.backends.select import Choice, choose, open_byte_source
from peerburst.capture.live.blocks import Cutter
from peerburst.capture.live.options import CaptureOptions, StopConditions
from peerburst.capture.live.savefile import Keeper

Packets = npt.NDArray[np.void]

TICK_S = 0.2  # how often the threads look at the clock when nothing comes
MOST_WAITING = 1 << 18  # packets (22 MB) between the reading and the taker: some seconds of a busy line
LOOK_AT_INTERFACES_S = 2.0
# dumpcap writes a few packets at a time. Each small read wakes three threads, so more is awaited for a moment: a pipe
# of 1 MiB holds that of a million packets a second.
LITTLE = 1 << 15  # bytes
GATHER_S = 0.005

STOPPED = "stopped"


class LiveSource:
    """A running source of packets; made by one of the three functions below, which raise CaptureError if it cannot run.

    `batches` may be called again after it was left, as after a Ctrl-C: `stop()`, then take what was still underway.
    """

    def __init__(
        self,
        byte_source: ByteSource,
        *,
        keep: Keeper | None = None,
        stops: StopConditions | None = None,
        options: CaptureOptions | None = None,
        choice: Choice | None = None,
        follow_tunnels: bool = False,
    ) -> None:
        self.choice = choice
        self.options = options
        self._byte_source = byte_source
        self._keep = keep
        self._stops = stops or StopConditions()
        self._warnings: list[str] = []
        self._addresses = interfaces.addresses_of(options.interfaces) if options is not None else ()
        self._waiting = _Waiting()
        self._reason = ""
        self._source: PacketSource | None = None
        self._failure: CaptureError | None = None
        self._cutter = self._make_cutter()
        self._watched = dict.fromkeys(options.interfaces, True) if options is not None else {}
        ours, theirs = os.pipe()
        widen(theirs)
        os.set_blocking(theirs, False)
        self._began = time.monotonic()
        self._taking = threading.Thread(target=self._take, args=(theirs,), name="peerburst-taking", daemon=True)
        self._reading = threading.Thread(
            target=self._read, args=(ours, follow_tunnels), name="peerburst-reading", daemon=True
        )
        self._reading.start()
        self._taking.start()

    def batches(self, timeout_s: float) -> Iterator[Packets | None]:
        """PACKET rows, up to BATCH at a time, in the order they came; None each time that nothing came in `timeout_s`.

        Ends when the source has ended and all is taken. Raises CaptureError if what came is no capture at all.
        """
        while True:
            packets = self._waiting.take(timeout_s)
            if packets is not None:
                yield packets
            elif not self._waiting.is_over:
                yield None
            else:
                self._taking.join()  # the last words of the source: its drops and warnings
                if self._failure is not None:
                    raise self._failure
                return

    def stop(self) -> None:
        """End in order: what the system still holds comes through, then `batches` ends. Returns at once."""
        self._end(STOPPED)

    def close(self) -> None:
        """Stop, throw away what was not taken, and wait until tools and threads have ended."""
        self.stop()
        self._waiting.abandon()
        self._taking.join()
        self._reading.join()

    def __enter__(self) -> "LiveSource":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def ended(self) -> str | None:
        """Why it ended, once all packets have been taken; None before."""
        return self._reason if self._waiting.is_over and not self._taking.is_alive() else None

    @property
    def drops(self) -> int:
        """Packets lost by interfaces, system or tool, as far as known; dumpcap tells it at its end only."""
        return max(self._byte_source.drops, self._source.drops if self._source is not None else 0)

    @property
    def knows_drops_while_running(self) -> bool:
        return self.choice is not None and self.choice.tool.value == "scapy"

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences in the order of their parts; the list only grows."""
        kept = self._keep.warnings if self._keep is not None else []
        source = self._source.warnings if self._source is not None else []
        return tuple(dict.fromkeys([*self._warnings, *self._byte_source.warnings, *source, *kept]))

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses of the interfaces captured on; of a file or pipe as its interface descriptions give them."""
        told = self._source.addresses if self._source is not None else []
        return tuple(dict.fromkeys([*self._addresses, *told]))

    @property
    def bytes_read(self) -> int:
        return self._source.bytes_read if self._source is not None else 0

    @property
    def bytes_kept(self) -> int:
        """On disk; 0 when nothing is kept."""
        return self._keep.data if self._keep is not None else 0

    @property
    def kept_paths(self) -> tuple[str, ...]:
        return tuple(self._keep.paths) if self._keep is not None else ()

    def _make_cutter(self) -> Cutter | None:
        """None when bytes can pass as they come."""
        if self.options is not None:
            rotates = self._keep is not None and self._keep.rotates
            return Cutter(self._stops.packets, self._describe, wants_ends=rotates)
        if self._keep is not None or self._stops.packets is not None:
            return Cutter(self._stops.packets)
        return None

    def _describe(self, block: bytes, order: str) -> bytes:
        """An interface description with the addresses of the interface it is of."""
        assert self.options is not None
        names = [
            name for name in self.options.interfaces if struct.pack(order + "HH", 2, len(name)) + name.encode() in block
        ]
        addresses = interfaces.addresses_of((max(names, key=len),)) if names else ()
        return pcapng_blocks.with_addresses(block, order, addresses)

    def _end(self, reason: str) -> None:
        """Let the feed end; the first reason is the one that is told."""
        self._reason = self._reason or reason
        self._byte_source.stop()

    def _take(self, pipe: int) -> None:
        """The first thread: bytes from the feed to the file and the pipe."""
        look_at = self._began + LOOK_AT_INTERFACES_S
        try:
            while (data := self._byte_source.read(TICK_S)) != b"":
                if data:
                    self._handle(data, pipe)
                    if len(data) < LITTLE:
                        time.sleep(GATHER_S)
                if self._keep is not None:
                    self._keep.tick()
                self._look_at_the_clock()
                if time.monotonic() >= look_at:
                    self._look_at_interfaces()
                    look_at = time.monotonic() + LOOK_AT_INTERFACES_S
            if self._cutter is not None:
                self._pass_on(self._cutter.end(), pipe)
        except Exception as error:  # a thread's exception would vanish, and the capture with it
            self._warnings.append(f"{self._byte_source.name}: the capture ended by a fault of ours: {error!r}")
            self._byte_source.stop()
            while self._byte_source.read(TICK_S) != b"":
                pass
        finally:
            if self._keep is not None:
                self._keep.close()
            self._reason = self._reason or self._byte_source.why_ended or STOPPED
            os.close(pipe)

    def _handle(self, data: bytes, pipe: int) -> None:
        if self._cutter is None:
            self._pass_on(data, pipe)
            return
        for run in self._cutter.feed(data):
            if self._keep is not None:
                self._keep.write(run)
            self._pass_on(run.data, pipe)
        if self._cutter.is_full:
            self._end(f"{self._cutter.packets} packets were captured")
        if self._cutter.is_capture is False and (self._keep is not None or self._stops.packets is not None):
            self._failure = CaptureError(
                self._byte_source.name,
                "is compressed or no capture, and cannot be kept or counted so; decompress it before",
            )
            self._end("not a plain capture")

    def _pass_on(self, data: bytes, pipe: int) -> None:
        """Into the pipe, as fast as it is read; nowhere once nobody reads."""
        left = memoryview(data)
        while left and self._reading.is_alive():
            if select.select([], [pipe], [], TICK_S)[1]:
                with contextlib.suppress(BlockingIOError, BrokenPipeError):
                    left = left[os.write(pipe, left) :]

    def _look_at_the_clock(self) -> None:
        stops = self._stops
        if not self._reading.is_alive():
            self._end("the capture could not be read further")
        if stops.duration_s is not None and time.monotonic() - self._began >= stops.duration_s:
            self._end(f"{stops.duration_s:g} s were captured")
        if stops.data is not None and self.bytes_kept >= stops.data:
            self._end(f"{self.bytes_kept} bytes were kept")

    def _look_at_interfaces(self) -> None:
        """Say once when an interface is switched off: tools stay silent and wait for it to come back."""
        for name, was_up in self._watched.items():
            is_up = interfaces.state_of(name)
            if is_up is not None and is_up != was_up:
                self._watched[name] = is_up
                if not is_up:
                    self._warnings.append(
                        f"{name}: the interface was switched off; nothing is captured on it until it is on"
                    )

    def _read(self, pipe: int, follow_tunnels: bool) -> None:
        """The second thread: packets out of the pipe."""
        name = self._byte_source.name
        try:
            with os.fdopen(pipe, "rb", buffering=0) as data:
                self._source = PacketSource(name, follow_tunnels=follow_tunnels, stream=data)
                for packets in self._source.batches():
                    self._waiting.put(packets)
        except CaptureError as error:
            if self._byte_source.why_ended or error.reason != "is empty":  # stopped before anything came is no error
                self._failure = self._failure or CaptureError(name, error.reason)
        except Exception as error:  # a thread's exception would vanish, and the capture with it
            self._failure = CaptureError(name, f"reading it failed by a fault of ours: {error!r}")
        finally:
            self._waiting.end()


class _Waiting:
    """Packets on their way from the reading thread to whoever takes them, at most MOST_WAITING and one batch."""

    def __init__(self) -> None:
        self._batches: deque[Packets] = deque()
        self._count = 0
        self._has_ended = self._is_abandoned = False
        self._changed = threading.Condition()

    @property
    def is_over(self) -> bool:
        with self._changed:
            return self._has_ended and not self._batches

    def put(self, packets: Packets) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._count < MOST_WAITING or self._is_abandoned)
            if not self._is_abandoned:
                self._batches.append(packets)
                self._count += packets.size
                self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    def abandon(self) -> None:
        with self._changed:
            self._is_abandoned = True
            self._batches.clear()
            self._count = 0
            self._changed.notify_all()

    def take(self, timeout_s: float) -> Packets | None:
        """What waits, small batches made one; None if there is nothing within the time or at all any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._batches or self._has_ended, timeout_s)
            taken: list[Packets] = []
            size = 0
            while self._batches and (not taken or size + self._batches[0].size <= BATCH):
                taken.append(self._batches.popleft())
                size += taken[-1].size
            self._count -= size
            self._changed.notify_all()
        if not taken:
            return None
        return taken[0] if len(taken) == 1 else np.concatenate(taken)


def capture_interfaces(
    options: CaptureOptions,
    *,
    keep: Keeper | None = None,
    stops: StopConditions | None = None,
    follow_tunnels: bool = False,
    choice: Choice | None = None,
) -> LiveSource:
    """Listen on interfaces. Nothing is captured before the kernels are ready; `choice` overrides the choice of tool."""
    _check(keep, stops)
    chosen = choice or choose(options)
    warm_up()
    byte_source = open_byte_source(options, chosen)
    return LiveSource(
        byte_source, keep=keep, stops=stops, options=options, choice=chosen, follow_tunnels=follow_tunnels
    )


def capture_standard_input(
    *, keep: Keeper | None = None, stops: StopConditions | None = None, follow_tunnels: bool = False
) -> LiveSource:
    """Read a capture that another program pipes in."""
    _check(keep, stops)
    return LiveSource(PipeSource(), keep=keep, stops=stops, follow_tunnels=follow_tunnels)


def capture_growing_file(
    path: str, *, keep: Keeper | None = None, stops: StopConditions | None = None, follow_tunnels: bool = False
) -> LiveSource:
    """Read a file and go on as it grows, until stopped."""
    _check(keep, stops)
    return LiveSource(GrowingFileSource(path), keep=keep, stops=stops, follow_tunnels=follow_tunnels)


def _check(keep: Keeper | None, stops: StopConditions | None) -> None:
    if stops is not None and stops.data is not None and keep is None:
        raise SettingsError("-a filesize counts what is kept: add -w FILE.pcapng")


def warm_up() -> None:
    """Load the kernels, or compile them, so that no packet has to wait for them."""
    announce_first_compile()
    data = (
        pcapng_blocks.section_header()
        + pcapng_blocks.interface_description("", 1, 0)
        + pcapng_blocks.enhanced_packet(0, 1, bytes(14), 14)
    )
    table = FlowTable()
    for packets in PacketSource("warming up", stream=io.BytesIO(data)).batches():
        table.add(packets)
    mark_compiled()
