"""Every set of port numbers that this package uses, by what listens there (IANA service names).

Tuples, for kernels; the sets overlap, for each answers a question of its own.
"""

import numpy as np
import numpy.typing as npt

PORTS = 1 << 16

# Tunnels over UDP.
GTP_U_PORT = 2152
TEREDO_PORT = 3544
VXLAN_PORT = 4789
VXLAN_PORT_OF_LINUX = 8472  # Linux's default before IANA gave one
GENEVE_PORT = 6081
TZSP_PORT = 37008  # MikroTik's packet sniffer streams to it

DHCP_SERVER_PORT = 67

# UDP: a local address that answers here gives what gateways give: DNS, DHCP, NAT-PMP or PCP (RFC 6886, 6887).
GATEWAY_PORTS = (53, 67, 5351)

# DNS, DHCP, NTP, NetBIOS names, DHCPv6, mDNS, LLMNR, SSDP, NAT-PMP/PCP, WS-Discovery, DNS over TLS.
SERVICE_PORTS = (53, 67, 68, 123, 137, 138, 546, 547, 853, 1900, 3702, 5351, 5353, 5355)

MAIL_PORTS = (25, 465, 587)
WEB_PORTS = (80, 443, 8080, 8443)
STREAMING_PORTS = (554, 1755, 1935, 8554)  # rtsp, ms-streaming, macromedia-fcs (RTMP), rtsp-alt

# Ports below 1024 and the registered ones that servers of common protocols listen on: Zeek flips a flow met mid-stream
# by the ports its analyzers register, which are of this kind.
REGISTERED_SERVER_PORTS = (
    1080, 1194, 1433, 1521, 1723, 1883, 1900, 2049, 3128, 3268, 3306, 3389, 3478, 3544, 4500, 5060, 5061, 5190, 5222,
    5223, 5228, 5269, 5349, 5353, 5355, 5432, 5672, 5900, 6379, 6667, 6697, 8000, 8080, 8081, 8443, 8883, 8888, 9418,
    27017,
)  # fmt: skip
WELL_KNOWN = 1024


def server_ports() -> npt.NDArray[np.uint8]:
    """1 for each port (of 65536) that is likely a server's."""
    ports = np.zeros(PORTS, np.uint8)
    ports[1:WELL_KNOWN] = 1
    ports[list(REGISTERED_SERVER_PORTS)] = 1
    return ports
