"""Sets of ports with a meaning for hosts and bursts (IANA's registry), each used by the rules that name it.

All that the analysis knows of ports stands here, so that it can move beside the packets' port sets in one edit.
"""

# What a local address that is the gateway answers by UDP: DNS, DHCP, NAT-PMP or PCP (RFC 6886, 6887).
GATEWAY_PORTS = (53, 67, 5351)
# DNS, DHCP, NTP, NetBIOS names, DHCPv6, mDNS, LLMNR, SSDP, NAT-PMP/PCP, WS-Discovery, DNS over TLS.
SERVICE_PORTS = (53, 67, 68, 123, 137, 138, 546, 547, 853, 1900, 3702, 5351, 5353, 5355)
MAIL_PORTS = (25, 465, 587)  # smtp, submissions, submission
WEB_PORTS = (80, 443, 8080, 8443)
STREAMING_PORTS = (554, 1755, 1935, 8554)  # rtsp, ms-streaming, macromedia-fcs (RTMP), rtsp-alt
