"""What a live session needs of its packet source and of its socket watcher."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from peerburst.capture.packets.link_facts import LinkFacts
from peerburst.capture.sockets.observations import SocketObservations


class Source(Protocol):
    """Where packets come from; `capture.live.source.LiveSource` is one."""

    def batches(self, timeout_s: float) -> Iterator[npt.NDArray[np.void] | None]:
        """PACKET rows as they come, None each time that nothing came for `timeout_s`."""

    def stop(self) -> None:
        """End the capture, from any thread."""

    @property
    def drops(self) -> int:
        """Packets that the interface or the system lost."""

    @property
    def warnings(self) -> Sequence[str]:
        """What went wrong so far, in sentences."""

    @property
    def addresses(self) -> Sequence[str]:
        """Addresses of the interfaces captured on."""

    @property
    def link_facts(self) -> LinkFacts:
        """What rare packets have said of the link so far."""

    @property
    def bytes_kept(self) -> int:
        """Bytes written to the kept files."""

    @property
    def ended(self) -> str | None:
        """Why the capture ended; None while it goes on."""


class Sockets(Protocol):
    """Who watches which program owns which socket; `capture.sockets.poller.SocketPoller` is one."""

    def noticed(self, ports: npt.ArrayLike) -> bool:
        """Ports of new flows: look at the sockets soon. Whether any port was unknown."""

    def observations(self) -> SocketObservations:
        """The sockets seen so far."""

    def limits(self) -> Sequence[str]:
        """What it cannot see, in sentences."""

    def stop(self) -> None:
        """Watch no longer."""
