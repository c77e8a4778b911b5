"""Sends many small frames at a steady rate: the system takes hundreds of them with one call (sendmmsg).

    python bench/sender.py INTERFACE PACKETS_PER_S SECONDS [FLOWS]

prints as JSON how many went out, in how many seconds, and how many were refused. UDP from 10.77.0.1 to one address
and port of 198.18.0.0/15 (RFC 2544) per flow, in turn. Needs root on Linux.
"""

import ctypes
import errno
import json
import os
import socket
import sys
import time
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

AT_ONCE = 128
SIZE = 128  # bytes of a frame: about the median of what peer-to-peer programs send on coming online
PACKET_QDISC_BYPASS = 20  # linux/if_packet.h
SOL_PACKET = 263
TOO_CLOSE_S = 0.0002  # a shorter sleep takes longer than asked
SOURCE = (10, 77, 0, 1)


@dataclass(frozen=True, slots=True)
class Sent:
    """What went out."""

    packets: int
    seconds: float
    refused: int

    @property
    def per_s(self) -> float:
        return self.packets / self.seconds


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """struct msghdr (sendmsg(2))."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_size", ctypes.c_uint32),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_size", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Header(ctypes.Structure):
    """struct mmsghdr (sendmmsg(2))."""

    _fields_ = (("message", _Message), ("sent", ctypes.c_uint))


def frames(flows: int) -> npt.NDArray[np.uint8]:
    """One Ethernet frame per flow, as rows of SIZE bytes (RFC 791, RFC 768; no UDP checksum)."""
    made = np.zeros((flows, SIZE), np.uint8)
    made[:, 0:14] = (2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 2, 8, 0)
    made[:, 14:24] = (0x45, 0, 0, SIZE - 14, 0, 0, 0x40, 0, 64, 17)
    made[:, 26:30] = SOURCE
    number = np.arange(flows)
    made[:, 30] = 198
    made[:, 31] = 18 + (number >> 16 & 1)
    made[:, 32], made[:, 33] = number >> 8 & 255, number & 255
    words = made[:, 14:34:2].astype(np.uint32) << 8 | made[:, 15:34:2]
    total = words.sum(axis=1)
    total = (total & 0xFFFF) + (total >> 16)
    check = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    made[:, 24], made[:, 25] = check >> 8, check & 255
    port, to = 20000 + number % 40, 33000 + number % 7000
    made[:, 34], made[:, 35] = port >> 8, port & 255
    made[:, 36], made[:, 37] = to >> 8, to & 255
    made[:, 38:42] = ((SIZE - 34) >> 8, (SIZE - 34) & 255, 0, 0)
    return made


class Sender:
    """Frames ready to go out of one interface."""

    def __init__(self, interface: str, flows: int) -> None:
        flows = max(AT_ONCE, flows // AT_ONCE * AT_ONCE)
        self._frames = frames(flows)
        self._vectors = (_Vector * flows)()
        self._headers = (_Header * flows)()
        for i in range(flows):
            self._vectors[i] = _Vector(self._frames.ctypes.data + i * SIZE, SIZE)
            self._headers[i].message.vectors = ctypes.addressof(self._vectors[i])
            self._headers[i].message.vector_count = 1
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
        self._socket.bind((interface, 0))
        self._send = ctypes.CDLL(None, use_errno=True).sendmmsg
        self._flows, self._at = flows, 0

    def send(self) -> int:
        """The next frames, AT_ONCE of them; answers how many went out."""
        start = ctypes.byref(self._headers, self._at * ctypes.sizeof(_Header))
        gone = int(self._send(self._socket.fileno(), start, AT_ONCE, 0))
        self._at = (self._at + AT_ONCE) % self._flows
        if gone < 0:
            number = ctypes.get_errno()
            if number not in (errno.ENOBUFS, errno.EAGAIN):
                raise OSError(number, os.strerror(number))
        return max(gone, 0)


def send(interface: str, per_s: float, seconds: float, flows: int) -> Sent:
    """Send at a rate, each call when its time has come; what comes late is caught up with."""
    sender = Sender(interface, flows)
    began = time.monotonic()
    calls = packets = refused = 0
    while (now := time.monotonic() - began) < seconds:
        due = calls * AT_ONCE / per_s
        if due > now:
            if due - now > TOO_CLOSE_S:
                time.sleep(due - now - TOO_CLOSE_S / 2)
            continue
        gone = sender.send()
        calls, packets, refused = calls + 1, packets + gone, refused + AT_ONCE - gone
    return Sent(packets, time.monotonic() - began, refused)


if __name__ == "__main__":
    words = sys.argv[1:]
    done = send(words[0], float(words[1]), float(words[2]), int(words[3]) if words[3:] else 4096)
    print(json.dumps(asdict(done)))
