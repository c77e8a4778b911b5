"""Every link type that is read: its number, its name, and the decoder of its header.

Numbers and names are libpcap's (LINKTYPE_, https://www.tcpdump.org/linktypes.html). To read another: a file with its
decoder, a line here, a packet in tests/capture/links/test_registry.py and its word in docs/architecture.md, "Formats
read". tests/capture/links/test_registry_complete.py names whichever of these is missing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from peerburst.capture.compiled.kernel import inlined_part, part
from peerburst.capture.compiled.shapes import Bytes, Int
from peerburst.capture.links.arcnet import arcnet
from peerburst.capture.links.bsd_loopback import bsd_loopback
from peerburst.capture.links.encapsulation import decapsulate
from peerburst.capture.links.envelopes import pktap, ppi
from peerburst.capture.links.ethernet import ethernet
from peerburst.capture.links.fddi import fddi
from peerburst.capture.links.frame_relay import frame_relay
from peerburst.capture.links.hdlc import hdlc
from peerburst.capture.links.ieee80211 import LINKTYPE_IEEE802_11, LINKTYPE_RADIOTAP, ieee802_11, radiotap
from peerburst.capture.links.ipnet import ipnet
from peerburst.capture.links.linux_cooked import linux_sll, linux_sll2
from peerburst.capture.links.nflog import nflog
from peerburst.capture.links.ppp import ppp, ppp_ether
from peerburst.capture.links.protocols import UNKNOWN
from peerburst.capture.links.raw import by_version

# (captured bytes, offset of the header, end of the captured frame) -> (EtherType or error code, offset behind it).
Decoder = Callable[[Bytes, Int, Int], tuple[Int, Int]]
# The same, with the frame's link type for what chooses a decoder by it.
Dispatcher = Callable[[Bytes, Int, Int, Int], tuple[Int, Int]]


@dataclass(frozen=True, slots=True)
class LinkType:
    """One link type. An envelope's decoder answers with the link type of the frame inside, in place of an EtherType."""

    number: int
    name: str
    decoder: Decoder
    documented_as: str  # the family's name in docs/architecture.md
    is_envelope: bool = False


LINKTYPE_ETHERNET = 1
LINKTYPE_RAW = 101

LINK_TYPES = (
    LinkType(LINKTYPE_ETHERNET, "ETHERNET", ethernet, "Ethernet"),
    LinkType(276, "LINUX_SLL2", linux_sll2, "Linux cooked"),
    LinkType(113, "LINUX_SLL", linux_sll, "Linux cooked"),
    LinkType(LINKTYPE_RAW, "RAW", by_version, "raw IP"),
    LinkType(12, "RAW_BSD", by_version, "raw IP"),  # the number that BSDs have for RAW
    LinkType(14, "RAW_OPENBSD", by_version, "raw IP"),
    LinkType(228, "IPV4", by_version, "raw IP"),
    LinkType(229, "IPV6", by_version, "raw IP"),
    LinkType(0, "NULL", bsd_loopback, "BSD loopback"),
    LinkType(108, "LOOP", bsd_loopback, "BSD loopback"),
    LinkType(9, "PPP", ppp, "PPP"),
    LinkType(50, "PPP_HDLC", hdlc, "HDLC"),
    LinkType(51, "PPP_ETHER", ppp_ether, "PPPoE"),
    LinkType(104, "C_HDLC", hdlc, "HDLC"),
    LinkType(107, "FRELAY", frame_relay, "frame relay"),
    LinkType(LINKTYPE_IEEE802_11, "IEEE802_11", ieee802_11, "802.11"),
    LinkType(LINKTYPE_RADIOTAP, "IEEE802_11_RADIOTAP", radiotap, "radiotap"),
    LinkType(10, "FDDI", fddi, "FDDI"),
    LinkType(129, "ARCNET_LINUX", arcnet, "ARCNET"),
    LinkType(226, "IPNET", ipnet, "IPNET"),
    LinkType(239, "NFLOG", nflog, "NFLOG"),
    LinkType(192, "PPI", ppi, "PPI", is_envelope=True),
    LinkType(258, "PKTAP", pktap, "PKTAP", is_envelope=True),
)


@part
def _unknown(data: Bytes, at: Int, stop: Int, link: Int) -> tuple[Int, Int]:
    return UNKNOWN, at


@part
def _not_wrapped(data: Bytes, at: Int, stop: Int, link: Int) -> tuple[Int, Int]:
    return link, at


def _dispatcher(link_types: list[LinkType], otherwise: Dispatcher) -> Dispatcher:
    """One function that compares the link type with each number and calls that decoder, or else `otherwise`.

    It is written out as text: numba has no table of functions that costs no call, and closures that call one another
    take twice as long to compile.
    """
    names: dict[str, object] = {"otherwise": otherwise}
    lines = ["def dispatch(data, at, stop, link):"]
    for one in link_types:
        names[f"decode_{one.number}"] = one.decoder
        lines.append(f"    if link == {one.number}: return decode_{one.number}(data, at, stop)")
    exec("\n".join([*lines, "    return otherwise(data, at, stop, link)"]), names)
    return inlined_part(cast(Dispatcher, names["dispatch"]))


_unwrap = _dispatcher([one for one in LINK_TYPES if one.is_envelope], _not_wrapped)
# Without envelopes: one within another, which nobody writes, is of no known link type.
_decode = _dispatcher([one for one in LINK_TYPES if not one.is_envelope], _unknown)


@part
def unwrapped(data: Bytes, at: Int, stop: Int, link: Int) -> tuple[Int, Int]:
    """Out of an envelope: (the frame's own link type or an error code, offset of its header)."""
    return _unwrap(data, at, stop, link)


@part
def network_header(data: Bytes, at: Int, stop: Int, link: Int) -> tuple[Int, Int]:
    """From the start of a captured frame to its network header: (ETHERTYPE_IPV4 or _IPV6 or an error code, offset)."""
    link, at = _unwrap(data, at, stop, link)
    if link < 0:
        return link, at
    ethertype, at = _decode(data, at, stop, link)
    return decapsulate(data, ethertype, at, stop)
