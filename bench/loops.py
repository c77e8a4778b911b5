"""Flow tables as Python programs usually make them, one packet at a time: what a script with a library costs.

python bench/loops.py dpkt|scapy|nfstream FILE
"""

import sys
from collections import Counter
from typing import Any


def with_dpkt(path: str) -> int:
    """Packets and bytes per bidirectional 5-tuple with dpkt."""
    import dpkt

    flows: Counter[Any] = Counter()
    with open(path, "rb") as file:
        for _time, data in dpkt.pcap.Reader(file):
            packet = dpkt.ethernet.Ethernet(data).data
            ports = (packet.data.sport, packet.data.dport)
            flows[packet.p, frozenset(((packet.src, ports[0]), (packet.dst, ports[1])))] += packet.len
    return len(flows)


def with_scapy(path: str) -> int:
    """The same with scapy."""
    from scapy.layers.inet import IP
    from scapy.utils import PcapReader

    flows: Counter[Any] = Counter()
    with PcapReader(path) as packets:
        for frame in packets:
            packet = frame[IP]
            ends = frozenset(((packet.src, packet.payload.sport), (packet.dst, packet.payload.dport)))
            flows[packet.proto, ends] += packet.len
    return len(flows)


def with_nfstream(path: str) -> int:
    """The same with nfstream, its payload inspection off."""
    from nfstream import NFStreamer

    return sum(1 for _flow in NFStreamer(source=path, n_dissections=0, statistical_analysis=False))


def main() -> None:
    name, path = sys.argv[1:3]
    print({"dpkt": with_dpkt, "scapy": with_scapy, "nfstream": with_nfstream}[name](path), "flows")


if __name__ == "__main__":
    main()
