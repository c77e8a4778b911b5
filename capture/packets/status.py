"""What became of each packet. Every packet ends in exactly one status; totals are shown, none is dropped silently."""

from enum import IntEnum


class Status(IntEnum):
    """How far the decoding of one packet got."""

    DECODED = 0  # addresses, protocol and (where the protocol has them) ports: part of a flow
    NOT_IP = 1  # ARP, LLDP, 802.11 management, ...: no internet packet inside
    FRAGMENT = 2  # a later IP fragment: addresses but no ports
    TRUNCATED = 3  # the capture kept too little of the packet
    MALFORMED = 4  # a header contradicts itself
    UNKNOWN_LINK = 5  # a link type we do not decode
    ENCRYPTED = 6  # 802.11 data that the capture holds only enciphered


LABELS = {
    Status.DECODED: "decoded",
    Status.NOT_IP: "not IP",
    Status.FRAGMENT: "fragment without ports",
    Status.TRUNCATED: "truncated",
    Status.MALFORMED: "malformed",
    Status.UNKNOWN_LINK: "unknown link type",
    Status.ENCRYPTED: "encrypted 802.11",
}
