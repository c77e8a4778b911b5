"""Several captures as one stream in time order, as mergecap would make it."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from peerburst.capture.files.source import PacketSource, Piece

Packets = npt.NDArray[np.void]


class _Head:
    """One source and the packets it has read but not yet given.

    Within a file packets keep their order even where their times go backwards, so what is compared is the latest time
    so far (`due`), which never falls.
    """

    def __init__(self, source: PacketSource) -> None:
        self.source = source
        self._batches = source.batches()
        self._latest = np.iinfo(np.int64).min
        self.packets: Packets = np.empty(0, np.uint8)
        self.due: npt.NDArray[np.int64] = np.empty(0, np.int64)

    def fill(self) -> bool:
        """Hold at least one packet; False when there are none left."""
        if not self.due.size:
            packets = next(self._batches, None)
            if packets is None:
                return False
            self.packets = packets
            self.due = np.maximum(np.maximum.accumulate(packets["ts"]), self._latest)
            self._latest = self.due[-1]
        return True

    def take(self, until: int) -> tuple[Packets, npt.NDArray[np.int64]]:
        """The held packets that are due by an instant."""
        count = int(np.searchsorted(self.due, until, side="right"))
        taken = self.packets[:count], self.due[:count]
        self.packets, self.due = self.packets[count:], self.due[count:]
        return taken


def in_time_order(paths: Sequence[str], open_source: Callable[[str], PacketSource]) -> Iterator[Piece | Packets]:
    """All packets of all captures in time order: of one capture as pieces yet to be decoded, of several as PACKET rows.

    Every capture is opened once to see its first packets; one that begins after the others' end costs nothing until
    it is due.
    """
    heads = [_Head(open_source(path)) for path in paths]
    if len(heads) == 1:
        yield from heads[0].source.pieces()
        return
    alive = [head for head in heads if head.fill()]
    while alive:
        # What is due before the earliest of the last packets held can no longer be overtaken by anything unread.
        until = min(int(head.due[-1]) for head in alive)
        parts = [head.take(until) for head in alive if head.due[0] <= until]
        due = np.concatenate([part[1] for part in parts])
        packets = np.concatenate([part[0] for part in parts])
        yield packets[np.argsort(due, kind="stable")]
        alive = [head for head in alive if head.fill()]
