"""Bytes from a live source to the kept file and into a pipe, until the source ends or a stop condition is met."""

import contextlib
import os
import select
import struct
import time
from collections.abc import Callable

from peerburst.capture.errors import CaptureError
from peerburst.capture.files import pcapng_blocks
from peerburst.capture.live import interfaces
from peerburst.capture.live.backends.byte_source import ByteSource
from peerburst.capture.live.blocks import BlockSplitter
from peerburst.capture.live.options import CaptureOptions, StopConditions
from peerburst.capture.live.savefile import SavefileWriter

TICK_S = 0.2  # how often the clock is looked at when nothing comes
CHECK_INTERFACES_EVERY_S = 2.0
# dumpcap writes a few packets at a time. Each small read wakes three threads, so more is awaited for a moment: a pipe
# of 1 MiB holds that of a million packets a second.
LITTLE = 1 << 15  # bytes
GATHER_S = 0.005

STOPPED = "stopped"
IF_NAME = 2


class Forwarder:
    """What one thread does (`run`), and what it found.

    `pipe`: a descriptor to write to, closed at the end. `has_reader`: whether somebody still reads from it. `options`:
    of a capture on interfaces, None of a pipe or file.
    """

    def __init__(
        self,
        byte_source: ByteSource,
        pipe: int,
        *,
        has_reader: Callable[[], bool],
        savefile: SavefileWriter | None,
        stops: StopConditions,
        options: CaptureOptions | None,
    ) -> None:
        self.warnings: list[str] = []
        self.stop_reason = ""
        self.failure: CaptureError | None = None
        self._byte_source = byte_source
        self._pipe = pipe
        self._has_reader = has_reader
        self._savefile = savefile
        self._stops = stops
        self._options = options
        self._splitter = self._make_splitter()
        self._was_up = dict.fromkeys(options.interfaces, True) if options is not None else {}
        self._began = time.monotonic()
        self._check_interfaces_at = self._began + CHECK_INTERFACES_EVERY_S

    def stop(self, reason: str) -> None:
        """Let the byte source end; the first reason is the one that counts. From any thread."""
        self.stop_reason = self.stop_reason or reason
        self._byte_source.stop()

    def run(self) -> None:
        """Forward until the byte source ends."""
        try:
            while (data := self._byte_source.read(TICK_S)) != b"":
                if data:
                    self._handle(data)
                self._tick()
            if self._splitter is not None:
                self._forward(self._splitter.end())
        except Exception as error:  # a thread's exception would vanish, and the capture with it
            self.warnings.append(f"{self._byte_source.name}: the capture ended by a fault of ours: {error!r}")
            self._byte_source.stop()
            while self._byte_source.read(TICK_S) != b"":
                pass
        finally:
            if self._savefile is not None:
                self._savefile.close()
            self.stop_reason = self.stop_reason or self._byte_source.why_ended or STOPPED
            os.close(self._pipe)

    def _make_splitter(self) -> BlockSplitter | None:
        """None when bytes can pass as they come."""
        if self._options is not None:
            rotates = self._savefile is not None and self._savefile.rotates
            return BlockSplitter(self._stops.packets, self._with_addresses, wants_ends=rotates)
        if self._savefile is not None or self._stops.packets is not None:
            return BlockSplitter(self._stops.packets)
        return None

    def _with_addresses(self, block: bytes, order: str) -> bytes:
        """An interface description with the addresses of the interface it is of."""
        assert self._options is not None
        names = [
            name
            for name in self._options.interfaces
            if struct.pack(order + "HH", IF_NAME, len(name)) + name.encode() in block
        ]
        addresses = interfaces.addresses_of((max(names, key=len),)) if names else ()
        return pcapng_blocks.with_addresses(block, order, addresses)

    def _handle(self, data: bytes) -> None:
        if self._splitter is None:
            self._forward(data)
        else:
            self._handle_blocks(self._splitter, data)
        if len(data) < LITTLE:
            time.sleep(GATHER_S)

    def _handle_blocks(self, splitter: BlockSplitter, data: bytes) -> None:
        for run in splitter.split(data):
            if self._savefile is not None:
                self._savefile.write(run)
            self._forward(run.data)
        if splitter.is_full:
            self.stop(f"{splitter.packets} packets were captured")
        if splitter.is_capture is False and (self._savefile is not None or self._stops.packets is not None):
            self.failure = CaptureError(
                self._byte_source.name,
                "is compressed or no capture, and cannot be kept or counted so; decompress it before",
            )
            self.stop("not a plain capture")

    def _forward(self, data: bytes) -> None:
        """Into the pipe, as fast as it is read; nowhere once nobody reads."""
        left = memoryview(data)
        while left and self._has_reader():
            if select.select([], [self._pipe], [], TICK_S)[1]:
                with contextlib.suppress(BlockingIOError, BrokenPipeError):
                    left = left[os.write(self._pipe, left) :]

    def _tick(self) -> None:
        if self._savefile is not None:
            self._savefile.tick()
        self._check_stops()
        if time.monotonic() >= self._check_interfaces_at:
            self._check_interfaces()
            self._check_interfaces_at = time.monotonic() + CHECK_INTERFACES_EVERY_S

    def _check_stops(self) -> None:
        stops, kept = self._stops, self._savefile.bytes_written if self._savefile is not None else 0
        if not self._has_reader():
            self.stop("the capture could not be read further")
        if stops.duration_s is not None and time.monotonic() - self._began >= stops.duration_s:
            self.stop(f"{stops.duration_s:g} s were captured")
        if stops.kept_bytes is not None and kept >= stops.kept_bytes:
            self.stop(f"{kept} bytes were kept")

    def _check_interfaces(self) -> None:
        """Say once when an interface is switched off: tools stay silent and wait for it to come back."""
        for name, was_up in self._was_up.items():
            is_up = interfaces.state_of(name)
            if is_up is None or is_up == was_up:
                continue
            self._was_up[name] = is_up
            if not is_up:
                self.warnings.append(
                    f"{name}: the interface was switched off; nothing is captured on it until it is on"
                )
