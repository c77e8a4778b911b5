"""The records of packets: where a frame stands in the bytes that were read, and what decoding makes of it."""

import numpy as np

# Where each frame of a batch stands in the block of bytes it was read into.
FRAME = np.dtype(
    [
        ("ts", np.int64),  # ns since the epoch
        ("start", np.int64),  # its first byte in the block; decoding moves it on to the transport header
        ("stop", np.int64),  # one past its last byte in the block
        ("wire", np.int64),  # its length as it was sent, from `start` on
        ("link", np.int64),  # its link type
    ],
    align=True,
)

# A packet as the flow table sees it. What its protocol has not is 0; what its status leaves open says nothing.
PACKET = np.dtype(
    [
        ("ts", np.int64),  # ns since the epoch
        ("src_hi", np.uint64),  # addresses: two words each, IPv4 as ::ffff:a.b.c.d
        ("src_lo", np.uint64),
        ("dst_hi", np.uint64),
        ("dst_lo", np.uint64),
        ("seq", np.uint32),  # TCP's
        ("ack", np.uint32),  # TCP's
        ("ip_bytes", np.uint32),  # by the IP length field, never the captured slice
        ("payload", np.uint32),  # bytes behind the transport header
        ("sack", np.uint32),  # the highest number that TCP acknowledges, selectively (RFC 2018) or not
        ("sport", np.uint16),
        ("dport", np.uint16),
        ("window", np.uint16),  # TCP's, as it stands in the header
        ("proto", np.uint8),  # IP protocol number
        ("flags", np.uint8),  # TCP's
        ("status", np.uint8),  # packets.status.Status
        ("offload", np.uint8),  # 1: the IP length was 0, as the card does the splitting
        ("options", np.uint8),  # what TCP's SYN offers, see below
        ("hop_limit", np.uint8),  # IPv4's time to live, IPv6's hop limit
        # Of ICMP and ICMPv6, side by side: they are cleared at once.
        ("icmp_id", np.uint16),  # the identifier of a query
        ("icmp_type", np.uint8),
        ("icmp_code", np.uint8),
        ("frame", np.uint32),  # where its frame tells who handed it to whom, see `frame_ends`
    ],
    align=True,
)

# `options` of a SYN: the window's scale (RFC 7323), and whether it has one.
SCALE_BITS = 15
HAS_SCALE = 16
MAY_SACK = 32  # RFC 2018
HAS_OPTIONS = 64  # any at all
