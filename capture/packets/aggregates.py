"""Frames that hold several packets: 802.11 A-MSDUs (IEEE 802.11-2020, 9.3.2.2), taken apart before packets are decoded.

Only captures of a link type that has them come here, so that no other packet pays.
"""

import numpy as np
import numpy.typing as npt

from peerburst.capture.compiled.kernel import kernel, part
from peerburst.capture.compiled.loads import be16
from peerburst.capture.compiled.shapes import Bytes, Int, Record, Records
from peerburst.capture.links.ieee80211 import (
    LINKTYPE_IEEE802_11,
    LINKTYPE_RADIOTAP,
    SUBFRAME_HEADER,
    SUBFRAME_LENGTH,
    first_subframe,
)
from peerburst.capture.links.llc import llc
from peerburst.capture.links.protocols import ETHERTYPE_IPV4, ETHERTYPE_IPV6
from peerburst.capture.links.registry import LINKTYPE_ETHERNET, LINKTYPE_RAW, unwrapped
from peerburst.capture.packets.record import FRAME

ENVELOPES = (192, 258)  # PPI and PKTAP, which may have 802.11 inside
MAY_AGGREGATE = (LINKTYPE_IEEE802_11, LINKTYPE_RADIOTAP, *ENVELOPES)


@part
def _put(data: Bytes, frame: Record, at: Int, stop: Int, wire_stop: Int, out: Record) -> None:
    """A subframe at `at`, up to `wire_stop` on the wire, as a frame of its own: of raw IP where IP is in it.

    It looks like Ethernet with a length, but its length may be one that Ethernet has for a type.
    """
    ethertype, inner = llc(data, at + SUBFRAME_HEADER, stop)
    is_ip = ethertype == ETHERTYPE_IPV4 or ethertype == ETHERTYPE_IPV6
    begin = inner if is_ip else at
    out["ts"], out["start"], out["stop"] = frame["ts"], begin, stop
    out["wire"], out["link"] = wire_stop - begin, LINKTYPE_RAW if is_ip else LINKTYPE_ETHERNET


@kernel
def split(data: Bytes, frames: Records, out: Records, fills: bool) -> Int:
    """How many frames there are once each A-MSDU is its subframes; with `fills`, these are put into `out` (FRAME)."""
    count = 0
    for i in range(frames.size):
        frame = frames[i]
        link, at = unwrapped(data, frame["start"], frame["stop"], frame["link"])
        stop, wire_stop = frame["stop"], frame["start"] + frame["wire"]
        at = first_subframe(data, at, stop, link) if link == LINKTYPE_IEEE802_11 or link == LINKTYPE_RADIOTAP else 0
        begun = count
        while at and at + SUBFRAME_HEADER <= stop:
            length = be16(data, at + SUBFRAME_LENGTH)
            behind = at + SUBFRAME_HEADER + length
            if length == 0 or behind > wire_stop:
                break
            if fills:
                _put(data, frame, at, min(stop, behind), behind, out[count])
            count += 1
            at += (SUBFRAME_HEADER + length + 3) & ~3
        if count == begun:  # no A-MSDU, or one cut before its first packet
            if fills:
                out[count] = frame
            count += 1
    return count


def split_aggregates(data: Bytes, frames: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """The FRAME rows with each A-MSDU replaced by a frame for each packet in it, of the same time."""
    count = int(split(data, frames, frames, False))
    if count == frames.size:
        return frames
    out = np.empty(count, FRAME)
    split(data, frames, out, True)
    return out
