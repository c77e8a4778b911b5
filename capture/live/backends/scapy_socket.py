"""Linux packet sockets as a live source, opened and filtered by scapy: for where there is no usable dumpcap.

scapy makes the socket and has libpcap compile the filter. Packets are read here, not by scapy: it would give times as
floats (coarser than a microsecond) and no original lengths.
"""

import contextlib
import ctypes.util
import errno
import logging
import select
import socket
import struct
import time
from typing import Any

from peerburst.capture.errors import CaptureError
from peerburst.capture.files import pcapng_blocks
from peerburst.capture.live import interfaces
from peerburst.capture.live.options import CaptureOptions

# linux/if_packet.h and asm-generic/socket.h
SOL_PACKET, PACKET_STATISTICS, PACKET_AUXDATA = 263, 6, 8
SO_RCVBUFFORCE, SCM_TIMESTAMPNS = 33, 35
TP_STATUS_VLAN_VALID, TP_STATUS_VLAN_TPID_VALID = 1 << 4, 1 << 6
AUXDATA = struct.Struct("=IIIHHHH")  # status, length, captured, mac, net, VLAN tag, its EtherType
STATISTICS = struct.Struct("=II")  # packets, drops; reading them sets them to zero
TIMESPEC = struct.Struct("@ll")
ETHERTYPE_VLAN = 0x8100
MAC_ADDRESSES = 12  # bytes in front of where a VLAN tag stands

# linux/if_arp.h to LINKTYPE: what libpcap does with these, too.
LINKTYPE_ETHERNET, LINKTYPE_RAW = 1, 101
ETHERNET, LOOPBACK = 1, 772
LINK_TYPES = {
    ETHERNET: LINKTYPE_ETHERNET,
    LOOPBACK: LINKTYPE_ETHERNET,
    65534: LINKTYPE_RAW,  # ARPHRD_NONE: tun
    519: LINKTYPE_RAW,  # ARPHRD_RAWIP: mobile modems
    768: LINKTYPE_RAW,  # ARPHRD_TUNNEL
    769: LINKTYPE_RAW,  # ARPHRD_TUNNEL6
    776: LINKTYPE_RAW,  # ARPHRD_SIT
    778: LINKTYPE_RAW,  # ARPHRD_IPGRE
}

AT_ONCE = 512  # packets taken before they are handed on
STATISTICS_EVERY_S = 1.0
ORDERLY_S = 1.0  # for what waits in the sockets when they are stopped, should more and more come
NETLINK_GONE = (errno.ENETDOWN, errno.ENODEV, errno.ENXIO)


def has_libpcap() -> bool:
    """Whether scapy will find libpcap, which compiles capture filters: it looks for it in the same way."""
    return ctypes.util.find_library("pcap") is not None


def trouble() -> str:
    """Why packet sockets cannot be used here, as a sentence; empty if they can."""
    if not hasattr(socket, "AF_PACKET"):
        return "packets can be read without dumpcap on Linux only"
    try:
        import scapy  # noqa: F401
    except ImportError:
        return "scapy is not installed (pip install 'peerburst[live]')"
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except OSError as error:
        return f"a packet socket is refused ({error.strerror})"
    return ""


class _InterfaceSocket:
    """One interface's socket, and what it received and lost so far."""

    def __init__(self, number: int, name: str, options: CaptureOptions) -> None:
        self.number = number
        self.name = name
        self.received = self.drops = self.drops_reported = 0
        self.was_switched_off = False
        self._scapy_socket = _open(name, options)
        self.socket: socket.socket = self._scapy_socket.ins
        self.socket.setblocking(False)
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, options.buffer_mib << 20)
        hardware = self.socket.getsockname()[3]
        if hardware not in LINK_TYPES:
            self.close()
            raise CaptureError(name, f"is of a kind (ARP type {hardware}) that needs dumpcap; install Wireshark")
        self.link_type = LINK_TYPES[hardware]
        self._is_loopback = hardware == LOOPBACK
        self._snaplen = options.bytes_per_packet
        self.count_drops()  # those of the moment before the filter stood

    def close(self) -> None:
        self._scapy_socket.close()

    def count_drops(self) -> None:
        with contextlib.suppress(OSError):
            packets, drops = STATISTICS.unpack(self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, STATISTICS.size))
            self.received += packets
            self.drops += drops

    def packets(self) -> bytes:
        """The packets that wait, as pcapng blocks. May raise OSError."""
        made = []
        for _ in range(AT_ONCE):
            try:
                data, ancillary, _flags, sender = self.socket.recvmsg(self._snaplen, 256)
            except BlockingIOError:
                break
            # Each packet on the loopback is seen twice, leaving and coming; libpcap, too, leaves out the first.
            if self._is_loopback and sender[2] == socket.PACKET_OUTGOING:
                continue
            made.append(self._block(data, ancillary))
        return b"".join(made)

    def _block(self, data: bytes, ancillary: list[tuple[int, int, bytes]]) -> bytes:
        time_ns, length = 0, len(data)
        for level, kind, control in ancillary:
            if level == SOL_PACKET and kind == PACKET_AUXDATA and len(control) >= AUXDATA.size:
                status, length, _captured, _mac, _net, tag, tag_kind = AUXDATA.unpack_from(control)
                if status & TP_STATUS_VLAN_VALID and self.link_type == LINKTYPE_ETHERNET:
                    tag_kind = tag_kind if status & TP_STATUS_VLAN_TPID_VALID else ETHERTYPE_VLAN
                    inserted = struct.pack(">HH", tag_kind, tag)  # the card or the kernel took it out
                    data = (data[:MAC_ADDRESSES] + inserted + data[MAC_ADDRESSES:])[: self._snaplen]
                    length += len(inserted)
            elif level == socket.SOL_SOCKET and kind == SCM_TIMESTAMPNS:
                seconds, rest = TIMESPEC.unpack(control)
                time_ns = seconds * 1_000_000_000 + rest
        return pcapng_blocks.enhanced_packet(self.number, time_ns or time.time_ns(), data, length)

    def statistics(self) -> bytes:
        self.drops_reported = self.drops
        return pcapng_blocks.interface_statistics(self.number, time.time_ns(), self.received, self.drops)


class ScapySource:
    """Packet sockets on one or more interfaces. Raises CaptureError if one cannot be opened."""

    name = "live capture"

    def __init__(self, options: CaptureOptions) -> None:
        self.warnings: list[str] = []
        self.why_ended = ""
        self._sockets: list[_InterfaceSocket] = []
        try:
            for number, name in enumerate(options.interfaces):
                self._sockets.append(_InterfaceSocket(number, name, options))
        except BaseException:
            for one in self._sockets:
                one.close()
            raise
        self._open = list(self._sockets)
        self._head = pcapng_blocks.section_header() + b"".join(
            pcapng_blocks.interface_description(one.name, one.link_type, options.bytes_per_packet)
            for one in self._sockets
        )
        self._count_at = 0.0
        self._stop_at: float | None = None
        self._is_over = False

    @property
    def drops(self) -> int:
        return sum(one.drops for one in self._sockets)

    def read(self, timeout_s: float) -> bytes | None:
        if self._head:
            head, self._head = self._head, b""
            return head
        if self._is_over:
            return b""
        is_stopping = self._stop_at is not None
        ready = select.select([one.socket for one in self._open], [], [], 0 if is_stopping else timeout_s)[0]
        made = b"".join(self._take(one) for one in list(self._open) if one.socket in ready) + self._new_statistics()
        self._drop_removed()
        is_late = self._stop_at is not None and time.monotonic() > self._stop_at
        if not self._open or is_late or (is_stopping and not made):
            return made + self._final_statistics()
        return made or None

    def stop(self) -> None:
        if self._stop_at is None:
            self._stop_at = time.monotonic() + ORDERLY_S

    def _take(self, one: _InterfaceSocket) -> bytes:
        try:
            return one.packets()
        except OSError as error:
            if error.errno in NETLINK_GONE:
                one.was_switched_off = True
            else:
                self._drop(one, error.strerror or str(error))
            return b""

    def _drop_removed(self) -> None:
        """A socket survives its interface being switched off and on again, not its removal.

        Linux tells of both by one error, when the interface goes down. Of the removal, a moment later, it tells only
        sockets that are still bound, which these are no more (net/packet/af_packet.c, packet_notifier): so look, until
        it is on again and they are bound. Packets say nothing of that: the error comes before those that waited.
        """
        for one in [one for one in self._open if one.was_switched_off]:
            is_up = interfaces.state_of(one.name)
            if is_up is None:
                self._drop(one, "the interface is gone; the capture ended there")
            one.was_switched_off = not is_up

    def _drop(self, one: _InterfaceSocket, why: str) -> None:
        self._open.remove(one)
        self.warnings.append(f"{one.name}: {why}")
        if not self._open:
            self.why_ended = self.warnings[-1]

    def _new_statistics(self) -> bytes:
        """Statistics blocks of the interfaces that lost packets since their last one, at most once a second."""
        now = time.monotonic()
        if now < self._count_at:
            return b""
        self._count_at = now + STATISTICS_EVERY_S
        for one in self._open:
            one.count_drops()
        return b"".join(one.statistics() for one in self._open if one.drops > one.drops_reported)

    def _final_statistics(self) -> bytes:
        self._is_over = True
        for one in self._open:
            one.count_drops()
        statistics = b"".join(one.statistics() for one in self._sockets)
        for one in self._sockets:
            one.close()
        return statistics


def _open(name: str, options: CaptureOptions) -> Any:
    """scapy's listening socket on one interface, its sentences made ours."""
    if name == interfaces.ANY or interfaces.state_of(name) is None:
        raise CaptureError(name, f"no such interface; {_interfaces_here()}")
    from scapy.arch.linux import L2ListenSocket
    from scapy.error import Scapy_Exception, log_runtime

    log_runtime.setLevel(logging.ERROR)  # it warns of interface types that it cannot dissect, which it need not
    try:
        return L2ListenSocket(iface=name, filter=options.bpf or None, promisc=options.promiscuous)
    except PermissionError:
        raise CaptureError(name, "you may not capture packets here; run it with sudo") from None
    except Scapy_Exception as error:
        if "libpcap is not available" in str(error):
            raise CaptureError(name, "a capture filter needs libpcap; install it, or leave the filter out") from error
        fault = str(error).rpartition("(")[2].rstrip(")").rpartition(": ")[2]
        raise CaptureError(
            name, f"the capture filter {options.bpf!r} is not understood ({fault}); see man pcap-filter"
        ) from error
    except OSError as error:
        raise CaptureError(name, f"cannot be listened on: {error.strerror or error}") from error


def _interfaces_here() -> str:
    names = [one.name for one in interfaces.list_interfaces()]
    return f"there are {', '.join(names)}" if names else "there is none at all"
