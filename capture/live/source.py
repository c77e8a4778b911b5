"""Packets as they come: from interfaces, a pipe or a growing file, through the kernels that read saved captures.

Two threads: one takes bytes from the source, keeps them if asked to and passes them into a pipe (`forwarder`); the
other reads that pipe as any capture is read (the kernels release the lock) and puts batches of packets into a queue.
The queue is bounded: a slow taker makes the pipes fill and the system drop packets, which it counts.
"""

import io
import os
import threading
from collections.abc import Iterator

from peerburst.capture.compiled.kernel import announce_first_compile, mark_compiled
from peerburst.capture.errors import CaptureError, SettingsError
from peerburst.capture.files import pcapng_blocks
from peerburst.capture.files.source import PacketSource
from peerburst.capture.flows.table import FlowTable
from peerburst.capture.live import interfaces
from peerburst.capture.live.backends.byte_source import ByteSource
from peerburst.capture.live.backends.dumpcap import widen
from peerburst.capture.live.backends.pipe import GrowingFileSource, PipeSource
from peerburst.capture.live.backends.select import Choice, open_byte_source, select_backend
from peerburst.capture.live.forwarder import STOPPED, Forwarder
from peerburst.capture.live.options import CaptureOptions, StopConditions
from peerburst.capture.live.packet_queue import PacketQueue, Packets
from peerburst.capture.live.savefile import SavefileWriter
from peerburst.capture.packets.link_facts import LinkFacts

LINKTYPE_ETHERNET, ETHERNET_HEADER = 1, 14


class LiveSource:
    """A running source of packets; made by one of the three functions below, which raise CaptureError if it cannot run.

    `batches` may be called again after it was left, as after a Ctrl-C: `stop()`, then take what was still underway.
    """

    def __init__(
        self,
        byte_source: ByteSource,
        *,
        savefile: SavefileWriter | None = None,
        stops: StopConditions | None = None,
        options: CaptureOptions | None = None,
        choice: Choice | None = None,
        follow_tunnels: bool = False,
    ) -> None:
        self.choice = choice
        self.options = options
        self._byte_source = byte_source
        self._savefile = savefile
        self._addresses = interfaces.addresses_of(options.interfaces) if options is not None else ()
        self._queue = PacketQueue()
        self._source: PacketSource | None = None
        self._failure: CaptureError | None = None
        read_end, write_end = os.pipe()
        widen(write_end)
        os.set_blocking(write_end, False)
        self._reading = threading.Thread(
            target=self._read, args=(read_end, follow_tunnels), name="peerburst-reading", daemon=True
        )
        self._forwarder = Forwarder(
            byte_source,
            write_end,
            has_reader=self._reading.is_alive,
            savefile=savefile,
            stops=stops or StopConditions(),
            options=options,
        )
        self._forwarding = threading.Thread(target=self._forwarder.run, name="peerburst-forwarding", daemon=True)
        self._reading.start()
        self._forwarding.start()

    def batches(self, timeout_s: float) -> Iterator[Packets | None]:
        """PACKET rows, up to BATCH at a time, in the order they came; None each time that nothing came in `timeout_s`.

        Ends when the source has ended and all is taken. Raises CaptureError if what came is no capture at all.
        """
        while True:
            packets = self._queue.take(timeout_s)
            if packets is not None:
                yield packets
            elif not self._queue.is_over:
                yield None
            else:
                self._forwarding.join()  # what the source says at its end: its drops and warnings
                failure = self._forwarder.failure or self._failure
                if failure is not None:
                    raise failure
                return

    def stop(self) -> None:
        """End in order: what the system still holds comes through, then `batches` ends. Returns at once."""
        self._forwarder.stop(STOPPED)

    def close(self) -> None:
        """Stop, throw away what was not taken, and wait until tools and threads have ended."""
        self.stop()
        self._queue.abandon()
        self._forwarding.join()
        self._reading.join()

    def __enter__(self) -> "LiveSource":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def ended(self) -> str | None:
        """Why it ended, once all packets have been taken; None before."""
        return self._forwarder.stop_reason if self._queue.is_over and not self._forwarding.is_alive() else None

    @property
    def drops(self) -> int:
        """Packets lost by interfaces, system or tool, as far as known; dumpcap tells it at its end only."""
        return max(self._byte_source.drops, self._source.drops if self._source is not None else 0)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences in the order of their parts; the list only grows."""
        kept = self._savefile.warnings if self._savefile is not None else []
        source = self._source.warnings if self._source is not None else []
        return tuple(dict.fromkeys([*self._forwarder.warnings, *self._byte_source.warnings, *source, *kept]))

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses of the interfaces captured on; of a file or pipe as its interface descriptions give them."""
        described = self._source.addresses if self._source is not None else []
        return tuple(dict.fromkeys([*self._addresses, *described]))

    @property
    def link_facts(self) -> LinkFacts:
        """What rare packets have said of the link so far."""
        return self._source.link_facts.facts() if self._source is not None else LinkFacts()

    @property
    def bytes_read(self) -> int:
        return self._source.bytes_read if self._source is not None else 0

    @property
    def bytes_kept(self) -> int:
        """On disk; 0 when nothing is kept."""
        return self._savefile.bytes_written if self._savefile is not None else 0

    @property
    def kept_paths(self) -> tuple[str, ...]:
        return tuple(self._savefile.paths) if self._savefile is not None else ()

    def _read(self, pipe: int, follow_tunnels: bool) -> None:
        """The second thread: packets out of the pipe."""
        name = self._byte_source.name
        try:
            with os.fdopen(pipe, "rb", buffering=0) as data:
                self._source = PacketSource(name, follow_tunnels=follow_tunnels, stream=data)
                for packets in self._source.batches():
                    self._queue.put(packets)
        except CaptureError as error:
            if self._byte_source.why_ended or error.reason != "is empty":  # stopped before anything came is no error
                self._failure = CaptureError(name, error.reason)
        except Exception as error:  # a thread's exception would vanish, and the capture with it
            self._failure = CaptureError(name, f"reading it failed by a fault of ours: {error!r}")
        finally:
            self._queue.end()


def capture_interfaces(
    options: CaptureOptions,
    *,
    savefile: SavefileWriter | None = None,
    stops: StopConditions | None = None,
    follow_tunnels: bool = False,
    choice: Choice | None = None,
) -> LiveSource:
    """Capture on interfaces, once the kernels are ready; `choice` overrides the choice of tool."""
    _check(savefile, stops)
    chosen = choice or select_backend(options)
    warm_up()
    byte_source = open_byte_source(options, chosen)
    return LiveSource(
        byte_source, savefile=savefile, stops=stops, options=options, choice=chosen, follow_tunnels=follow_tunnels
    )


def capture_standard_input(
    *, savefile: SavefileWriter | None = None, stops: StopConditions | None = None, follow_tunnels: bool = False
) -> LiveSource:
    """Read a capture that another program pipes in."""
    _check(savefile, stops)
    return LiveSource(PipeSource(), savefile=savefile, stops=stops, follow_tunnels=follow_tunnels)


def capture_growing_file(
    path: str,
    *,
    savefile: SavefileWriter | None = None,
    stops: StopConditions | None = None,
    follow_tunnels: bool = False,
) -> LiveSource:
    """Read a file and go on as it grows, until stopped."""
    _check(savefile, stops)
    return LiveSource(GrowingFileSource(path), savefile=savefile, stops=stops, follow_tunnels=follow_tunnels)


def _check(savefile: SavefileWriter | None, stops: StopConditions | None) -> None:
    if stops is not None and stops.kept_bytes is not None and savefile is None:
        raise SettingsError("-a filesize counts what is kept: add -w FILE.pcapng")


def warm_up() -> None:
    """Load the kernels, or compile them, so that no packet has to wait for them."""
    announce_first_compile()
    data = (
        pcapng_blocks.section_header()
        + pcapng_blocks.interface_description("", LINKTYPE_ETHERNET, 0)
        + pcapng_blocks.enhanced_packet(0, 1, bytes(ETHERNET_HEADER), ETHERNET_HEADER)
    )
    table = FlowTable()
    for packets in PacketSource("warming up", stream=io.BytesIO(data)).batches():
        table.add(packets)
    mark_compiled()
