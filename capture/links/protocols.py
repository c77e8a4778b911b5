"""What a link layer says of its payload: an EtherType or, where there is no network packet, an error code.

Whatever follows a header answers (one of these, offset). EtherTypes: IEEE 802 Numbers, kept by IANA.
"""

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_IPV6 = 0x86DD
ETHERTYPE_VLAN = 0x8100  # IEEE 802.1Q
ETHERTYPE_QINQ = 0x88A8  # IEEE 802.1ad
ETHERTYPE_QINQ_OLD = 0x9100  # QinQ before 802.1ad
ETHERTYPE_MPLS = 0x8847
ETHERTYPE_MPLS_UPSTREAM = 0x8848
ETHERTYPE_PPPOE = 0x8864  # RFC 2516, session stage
ETHERTYPE_PBB = 0x88E7  # IEEE 802.1ah, provider backbone bridges
ETHERTYPE_ETHERNET = 0x6558  # transparent Ethernet bridging, RFC 1701
SMALLEST_ETHERTYPE = 0x0600  # below: an IEEE 802.3 length

NOT_IP = -1
CUT = -2  # the capture kept too little of the frame
UNKNOWN = -3  # a link type that is not in the registry
ENCIPHERED = -4
BAD = -5  # a header contradicts itself
