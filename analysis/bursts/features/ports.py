"""To which ports the flows of each set went, and which way their bytes."""

import numpy as np

from peerburst.analysis.bursts.features.sets import Measured, PortScratch, Sets
from peerburst.capture.compiled.kernel import kernel
from peerburst.capture.compiled.shapes import Records, UInt8s
from peerburst.capture.flows.record import ORIG_IS_A
from peerburst.capture.packets.ip import PROTO_TCP, PROTO_UDP
from peerburst.capture.packets.ports import MAIL_PORTS, STREAMING_PORTS, WEB_PORTS
from peerburst.capture.vocabulary import FlowKind

SERVICE = int(FlowKind.SERVICE)


@kernel
def measure_ports(measured: Measured, servers: UInt8s, sets: Sets, room: PortScratch, features: Records) -> None:
    """`servers` says by port whether a known service has it. Ports are the responder's, but for the local one."""
    table, flow, outbound = measured.flows
    seen, seen_local = room.counts, room.local_counts
    proto, flags = table["proto"], table["flags"]
    a_port, b_port, a_bytes, b_bytes = table["a_port"], table["b_port"], table["a_bytes"], table["b_bytes"]
    for g in range(sets.begins.size):
        n = sets.stops[g] - sets.begins[g]
        udp, inbound, unknown, mail, web, streaming, from_one_port = 0, 0, 0, 0, 0, 0, 0
        received, total, unknown_bytes = np.uint64(0), np.uint64(0), np.uint64(0)
        ports, busiest, repeats = 0, 0, 0.0
        for i in range(sets.begins[g], sets.stops[g]):
            f = flow[i]
            orig_is_a = flags[f] & ORIG_IS_A != 0
            local_is_a = orig_is_a == outbound[i]
            port = np.int64(b_port[f] if orig_is_a else a_port[f])
            is_tcp, is_udp = proto[f] == PROTO_TCP, proto[f] == PROTO_UDP
            seen[port] += 1
            udp += is_udp
            inbound += not outbound[i]
            if (is_tcp or is_udp) and servers[port] == 0:
                unknown += 1
                unknown_bytes += a_bytes[f] + b_bytes[f]
            mail += is_tcp and port in MAIL_PORTS
            web += port in WEB_PORTS
            # Of a connection met in its middle nobody knows which end began it.
            streaming += port in STREAMING_PORTS or np.int64(a_port[f] if orig_is_a else b_port[f]) in STREAMING_PORTS
            received += b_bytes[f] if local_is_a else a_bytes[f]
            total += a_bytes[f] + b_bytes[f]
            if is_udp and outbound[i] and measured.kind[i] != SERVICE:
                local = a_port[f] if local_is_a else b_port[f]
                seen_local[local] += 1
                from_one_port = max(from_one_port, seen_local[local])
        # Once more: each port's count is complete, and is cleared for the next set.
        for i in range(sets.begins[g], sets.stops[g]):
            f = flow[i]
            orig_is_a = flags[f] & ORIG_IS_A != 0
            port, other = (b_port[f], a_port[f]) if orig_is_a else (a_port[f], b_port[f])
            count = seen[port]
            seen_local[port] = seen_local[other] = 0
            if not count:
                continue
            seen[port] = 0
            ports += 1
            repeats += count * np.log(count)
            # Of equals, the lowest port.
            if count > busiest or (count == busiest and port < features[g]["busiest_port"]):
                busiest = count
                features[g]["busiest_port"] = port
        row, share = features[g], 1.0 / max(n, 1)
        row["udp_share"] = udp * share
        row["inbound_share"] = inbound * share
        row["unknown_port_share"] = unknown * share
        row["mail_port_share"] = mail * share
        row["web_port_share"] = web * share
        row["streaming_port_share"] = streaming * share
        row["one_local_port_share"] = from_one_port * share
        row["received_bytes_share"] = np.float64(received) / np.float64(max(total, np.uint64(1)))
        row["unknown_port_bytes_share"] = np.float64(unknown_bytes) / np.float64(max(total, np.uint64(1)))
        row["port_count"] = ports
        row["busiest_port_share"] = busiest * share
        # Shannon's entropy of the ports, -sum(c/n ln c/n), over that of n different ones, ln n.
        row["port_entropy"] = 1.0 - repeats / (n * np.log(n)) if n > 1 else 0.0
