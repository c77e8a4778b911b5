"""What a live session needs of its packet source and of its socket watcher."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from peerburst.capture.sockets.observations import SocketObservations


class Source(Protocol):
    """Where packets come from; `capture.live.source.LiveSource` is one."""

    def batches(self, timeout_s: float) -> Iterator[npt.NDArray[np.void] | None]:
        """PACKET rows as they come, None each time that nothing came for `timeout_s`."""

    def stop(self) -> None: ...

    @property
    def drops(self) -> int: ...

    @property
    def warnings(self) -> Sequence[str]: ...

    @property
    def addresses(self) -> Sequence[str]: ...

    @property
    def bytes_kept(self) -> int: ...

    @property
    def ended(self) -> str | None: ...


class Sockets(Protocol):
    """Who watches which program owns which socket; `capture.sockets.poller.SocketPoller` is one."""

    def noticed(self, ports: npt.ArrayLike) -> bool: ...

    def observations(self) -> SocketObservations: ...

    def limits(self) -> Sequence[str]: ...

    def stop(self) -> None: ...
