"""What a set of one host's flows looks like, in numbers: what classes are decided on."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from peerburst.analysis.bursts.kinds import FlowKind
from peerburst.analysis.hosts.index import (
    ANSWERED,
    HALF_OPEN,
    MUTE,
    REFUSED,
    FlowFacts,
    HostFlows,
    gather_remotes,
    most_flows,
    new_seed,
    number_peers,
    slots_for,
)
from peerburst.capture.compiled.kernel import allocating_kernel, kernel, part
from peerburst.capture.compiled.parallel import processors, side_by_side
from peerburst.capture.compiled.sorting import sort_run
from peerburst.capture.flows.record import ORIG_IS_A
from peerburst.capture.packets.ip import PROTO_TCP, PROTO_UDP
from peerburst.capture.packets.ports import MAIL_PORTS, PORTS, STREAMING_PORTS, WEB_PORTS, server_ports
from peerburst.capture.units import SECOND_NS

# A player that is ahead of the film rests between segments, of 2 to 10 s as a rule; a transfer hardly ever stalls for a
# second, and whoever reads rests longer.
PACED_RESTS = 2
PACED_LONGEST_S = 20.0  # from one rest to the next, on average
# A film by RTP: as steady as a call, and nothing goes back but a report now and then. An acknowledged transfer (QUIC)
# has at least one packet back for ten or twenty.
CAST_MOST_BACK = 0.02  # of the packets
# A codec sends 16 to 100 packets a second each way (60 to 10 ms of sound in each); a download's acknowledgements are a
# few hundredths of its bytes, a picture sent the other way a tenth or more.
TALK_SECONDS = 5.0
TALK_PACKETS_PER_S = 20.0
TALK_LEAST_SHARE = 0.08
TALK_SHORTEST_S = 5.0  # from one rest to the next, on average: who talks does not fall silent again and again
# A player without a lasting connection opens one for each segment of the film, and segments are equally long. So are
# files fetched one after another, each as soon as the one before is there.
CLOCKED_GAPS = 3
AS_SOON_AS = 0.1  # of the usual gap
CLOCKED_LEAST_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Features:
    """What a set does besides asking services (names, time, ping); of one that only does that, what it asks.

    `flows`, `total_bytes`, `service` and `service_peers` are of the whole set, all else of those connections. Shares
    are of them unless named otherwise; NaN never: an empty set has zeros.
    """

    flows: int
    connections: int  # that are no questions to services; all, where there is nothing else
    peers: int  # distinct remote addresses
    seconds: float  # from the first flow's start to the last one's
    per_second: int  # most new flows in any one second
    together: float  # flows begun within half a second of one, itself included: the median
    flows_per_peer: float
    spread: float  # distinct /16 (IPv4) or /32 (IPv6) prefixes per peer
    ports: int  # distinct responder ports
    port_entropy: float  # of responder ports; 0: all one port, 1: each another
    busiest_port: int
    busiest_port_share: float
    unknown_ports: float  # to responder ports that no known service has
    unknown_bytes: float  # share of the bytes that go to or come from those
    one_local_port: float  # UDP flows from the one local port that has most; services not counted
    busiest_peer_share: float
    ports_of_busiest_peer: int
    target_share: float  # to the one responder address and port that has most
    udp: float
    answered: float
    refused: float
    inbound: float
    tiny: float  # of two packets or fewer
    median_bytes: float
    total_bytes: int
    largest_bytes: int
    top3_bytes: float  # share of the bytes in the three largest flows
    received: float  # share of the bytes that came in
    heavy_bytes: float  # share of the bytes that heavy flows carry
    media_bytes: float
    paced_bytes: float  # share of the bytes in heavy flows that rest again and again, or in steady UDP one way
    mail: float  # to mail transfer or submission ports
    web: float  # to web ports
    film: float  # to streaming servers' ports
    service: float  # share of the flows that are questions to services
    service_peers: int  # whom they ask
    half_open: float  # TCP flows that their originator never carried beyond its SYN
    mute: float  # the responder said nothing: TCP without data from it, else unanswered
    packet_bytes: float  # IP bytes per packet, on average
    top_peer_bytes: float  # share of the bytes that go to or from the one peer that has most
    talk_bytes: float  # share of the bytes in steady UDP exchanges, with one peer, that both fill: voice, video
    heavy_rate: float  # bytes a second that heavy flows carry while they last
    clocked: float  # share of heavy flows that begin as long after the one before as heavy flows usually do


# One row per set of flows, as the kernels below fill it, each its own features. To add one: a field above, and what
# counts it in the kernel that has what it needs.
FEATURES = np.dtype([(field.name, np.int64 if field.type is int else np.float64) for field in fields(Features)])
PART_FLOWS = 1 << 14  # flows measured together: what is gathered of them lies in the processor's cache
HEAVY, MEDIA, SERVICE = int(FlowKind.HEAVY), int(FlowKind.MEDIA), int(FlowKind.SERVICE)


@part
def _median(ordered, n):  # type: ignore[no-untyped-def]
    """The middle of the first n values, at least one, which are in order."""
    return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2.0


@part
def _runs(ordered, n):  # type: ignore[no-untyped-def]
    """(how many distinct, how often the commonest) among the first n values, which are in order."""
    distinct, longest, length = 0, 0, 0
    for i in range(n):
        length = length + 1 if i and ordered[i] == ordered[i - 1] else 1
        distinct += length == 1
        longest = max(longest, length)
    return distinct, longest


@kernel
def part_services(kind, flow, outbound, begins, stops, parted, parted_outbound, middles):  # type: ignore[no-untyped-def]
    """Copy each set to `parted`, its questions to services last; they begin at `middles`."""
    for g in range(begins.size):
        at = begins[g]
        for asks in (False, True):
            middles[g] = at if asks else middles[g]
            for i in range(begins[g], stops[g]):
                if (kind[i] == SERVICE) == asks:
                    parted[at], parted_outbound[at] = flow[i], outbound[i]
                    at += 1


@allocating_kernel
def measure_services(table, size, seed, flow, outbound, begins, middles, stops, out):  # type: ignore[no-untyped-def]
    """Each set as a whole, and whom its questions ask; `table` (FLOW) is by flow, `size` in bytes."""
    most = most_flows(middles, stops)
    high, low = np.empty(most, np.uint64), np.empty(most, np.uint64)
    slots, code, chief = np.empty(slots_for(most), np.int32), np.empty(most, np.int32), np.empty(most, np.int32)
    for g in range(begins.size):
        begin, middle, stop = begins[g], middles[g], stops[g]
        total = 0
        for i in range(begin, stop):
            total += size[i]
        gather_remotes(table, flow, outbound, middle, stop, high, low)
        row = out[g]
        row["flows"] = stop - begin
        row["total_bytes"] = total
        row["service"] = (stop - middle) / max(stop - begin, 1)
        row["service_peers"] = number_peers(high, low, stop - middle, seed, slots, code, chief)


@allocating_kernel
def measure_times(start, begins, stops, out):  # type: ignore[no-untyped-def]
    """How close together the flows of each set began. They are in the order they began; `start` in ns."""
    together = np.empty(most_flows(begins, stops), np.int64)
    spare = np.empty(together.size, np.int64)
    for g in range(begins.size):
        begin, stop = begins[g], stops[g]
        n, most = stop - begin, 0
        # Flows from i on begin within a second of it up to `second`, within half a second from `low` to `high`.
        second, low, high = begin, begin, begin
        for i in range(begin, stop):
            now = start[i]
            while second < stop and start[second] < now + SECOND_NS:
                second += 1
            while start[low] < now - SECOND_NS // 2:
                low += 1
            while high < stop and start[high] <= now + SECOND_NS // 2:
                high += 1
            most = max(most, second - i)
            together[i - begin] = high - low
        row = out[g]
        row["connections"] = n
        row["per_second"] = most
        if n:
            sort_run(together, 0, n, spare)
            row["together"] = _median(together, n)
            row["seconds"] = (start[stop - 1] - start[begin]) / 1e9


@allocating_kernel
def measure_bytes(size, kind, begins, stops, out):  # type: ignore[no-untyped-def]
    """How the bytes spread over the flows of each set; `size` in bytes."""
    sizes = np.empty(most_flows(begins, stops), np.int64)
    spare = np.empty(sizes.size, np.int64)
    for g in range(begins.size):
        n = stops[g] - begins[g]
        total, heavy, media = 0, 0, 0
        for i in range(n):
            f = begins[g] + i
            sizes[i] = size[f]
            total += size[f]
            heavy += size[f] if kind[f] == HEAVY else 0
            media += size[f] if kind[f] == MEDIA else 0
        if not n:
            continue
        sort_run(sizes, 0, n, spare)
        largest3 = 0
        for i in range(max(0, n - 3), n):
            largest3 += sizes[i]
        row, whole = out[g], max(total, 1)
        row["median_bytes"] = _median(sizes, n)
        row["largest_bytes"] = sizes[n - 1]
        row["top3_bytes"] = largest3 / whole
        row["heavy_bytes"] = heavy / whole
        row["media_bytes"] = media / whole


@allocating_kernel
def measure_beat(start, last, kind, begins, stops, out):  # type: ignore[no-untyped-def]
    """How regularly the heavy flows of each set begin; `start` and `last` in ns."""
    most = most_flows(begins, stops)
    gaps, ordered = np.empty(most, np.int64), np.empty(most, np.int64)
    spare, idle = np.empty(most, np.int64), np.empty(most, np.int64)
    for g in range(begins.size):
        n, before = 0, -1
        for f in range(begins[g], stops[g]):
            if kind[f] == HEAVY:
                if before >= 0:
                    gaps[n] = ordered[n] = start[f] - start[before]
                    idle[n] = start[f] - last[before]
                    n += 1
                before = f
        if n < CLOCKED_GAPS:
            continue
        sort_run(ordered, 0, n, spare)
        usual, alike = _median(ordered, n), 0
        if usual >= CLOCKED_LEAST_NS:
            for i in range(n):
                waited = idle[i] < 0 or idle[i] >= AS_SOON_AS * usual
                alike += waited and abs(gaps[i] - usual) <= usual / 5
        out[g]["clocked"] = alike / n


@part
def _is_steady(flow, packets, seconds):  # type: ignore[no-untyped-def]
    """Whether a flow (FLOW) is UDP with as many packets as voice or picture have."""
    return flow["proto"] == PROTO_UDP and seconds >= TALK_SECONDS and packets / seconds >= TALK_PACKETS_PER_S


@part
def _talks(flow, seconds, rests):  # type: ignore[no-untyped-def]
    """Whether a steady flow (FLOW) goes on all the while and both sides fill it."""
    quieter = np.float64(min(flow["a_bytes"], flow["b_bytes"]))
    whole = np.float64(max(flow["a_bytes"] + flow["b_bytes"], np.uint64(1)))
    return rests * TALK_SHORTEST_S <= seconds and quieter / whole >= TALK_LEAST_SHARE


@part
def _is_cast(flow, packets):  # type: ignore[no-untyped-def]
    """Whether a steady flow (FLOW) goes one way, and somebody is there."""
    back = np.int64(min(flow["a_pkts"], flow["b_pkts"]))
    return 0 < back <= CAST_MOST_BACK * packets


@kernel
def measure_weight(table, start, last, packets, size, kind, rests, flow, begins, stops, talk, out):  # type: ignore[no-untyped-def]
    """How full the packets of each set are, how fast and how paced what is heavy.

    `table` (FLOW) is by flow. Fills `talk` with the bytes of those that are talk.
    """
    for g in range(begins.size):
        total, count, heavy, heavy_ns, paced = 0, 0, 0, 0, 0
        for i in range(begins[g], stops[g]):
            row = table[flow[i]]
            seconds = (last[i] - start[i]) / 1e9
            total += size[i]
            count += packets[i]
            if kind[i] == HEAVY:
                heavy += size[i]
                heavy_ns += last[i] - start[i]
                if rests[i] >= PACED_RESTS and rests[i] * PACED_LONGEST_S >= seconds:
                    paced += size[i]
            talk[i] = 0
            if _is_steady(row, packets[i], seconds):
                if _talks(row, seconds, rests[i]):
                    talk[i] = size[i]
                elif _is_cast(row, packets[i]):
                    paced += size[i]
        mine = out[g]
        mine["packet_bytes"] = total / max(count, 1)
        mine["paced_bytes"] = paced / max(total, 1)
        # Over a second at least: what came in an instant has no rate.
        mine["heavy_rate"] = heavy / max(heavy_ns / 1e9, 1.0)


@kernel
def measure_answers(packets, marks, begins, stops, out):  # type: ignore[no-untyped-def]
    """What became of the flows of each set."""
    for g in range(begins.size):
        tiny, answers, refusals, half_opens, mutes = 0, 0, 0, 0, 0
        for i in range(begins[g], stops[g]):
            tiny += packets[i] <= 2
            answers += marks[i] & ANSWERED != 0
            refusals += marks[i] & REFUSED != 0
            half_opens += marks[i] & HALF_OPEN != 0
            mutes += marks[i] & MUTE != 0
        row, share = out[g], 1.0 / max(stops[g] - begins[g], 1)
        row["tiny"] = tiny * share
        row["answered"] = answers * share
        row["refused"] = refusals * share
        row["half_open"] = half_opens * share
        row["mute"] = mutes * share


@allocating_kernel
def measure_ports(table, kind, servers, flow, outbound, begins, stops, out):  # type: ignore[no-untyped-def]
    """To which ports the flows of each set went; `table` (FLOW) is by flow, `servers` by port."""
    proto, flags = table["proto"], table["flags"]
    a_port, b_port, a_bytes, b_bytes = table["a_port"], table["b_port"], table["a_bytes"], table["b_bytes"]
    seen, seen_local = np.zeros(PORTS, np.int64), np.zeros(PORTS, np.int64)
    for g in range(begins.size):
        n = stops[g] - begins[g]
        udp, inbound, unknown, mail, web, film, from_one_port = 0, 0, 0, 0, 0, 0, 0
        received, total, unknown_bytes = np.uint64(0), np.uint64(0), np.uint64(0)
        ports, busiest, repeats = 0, 0, 0.0
        for i in range(begins[g], stops[g]):
            f = flow[i]
            orig_is_a = flags[f] & ORIG_IS_A != 0
            local_is_a = orig_is_a == outbound[i]
            port = np.int64(b_port[f] if orig_is_a else a_port[f])  # the responder's
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
            film += port in STREAMING_PORTS or np.int64(a_port[f] if orig_is_a else b_port[f]) in STREAMING_PORTS
            received += b_bytes[f] if local_is_a else a_bytes[f]
            total += a_bytes[f] + b_bytes[f]
            if is_udp and outbound[i] and kind[i] != SERVICE:
                local = a_port[f] if local_is_a else b_port[f]
                seen_local[local] += 1
                from_one_port = max(from_one_port, seen_local[local])
        # Once more: each port's count is complete, and is cleared for the next set.
        for i in range(begins[g], stops[g]):
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
            if count > busiest or (count == busiest and port < out[g]["busiest_port"]):
                busiest = count
                out[g]["busiest_port"] = port
        row, share = out[g], 1.0 / max(n, 1)
        row["udp"] = udp * share
        row["inbound"] = inbound * share
        row["unknown_ports"] = unknown * share
        row["mail"] = mail * share
        row["web"] = web * share
        row["film"] = film * share
        row["one_local_port"] = from_one_port * share
        row["received"] = np.float64(received) / np.float64(max(total, np.uint64(1)))
        row["unknown_bytes"] = np.float64(unknown_bytes) / np.float64(max(total, np.uint64(1)))
        row["ports"] = ports
        row["busiest_port_share"] = busiest * share
        # Shannon's entropy of the ports, -sum(c/n ln c/n), over that of n different ones, ln n.
        row["port_entropy"] = 1.0 - repeats / (n * np.log(n)) if n > 1 else 0.0


@part
def _prefix(high, low):  # type: ignore[no-untyped-def]
    """A number for the /16 (IPv4) or /32 (IPv6) of an address."""
    is_v4 = high == 0 and low >> np.uint64(32) == np.uint64(0xFFFF)
    return np.int64(low >> np.uint64(16) if is_v4 else high >> np.uint64(32))


@part
def _busiest_peer(code, n, chief, peers, high, low, count):  # type: ignore[no-untyped-def]
    """(number, flows) of the peer with most of the n flows; of equals, the one with the lowest address."""
    for k in range(peers):
        count[k] = 0
    for i in range(n):
        count[code[i]] += 1
    best, most = 0, 0
    for k in range(peers):
        c, b = chief[k], chief[best]
        lower = high[c] < high[b] or (high[c] == high[b] and low[c] < low[b])
        if count[k] > most or (count[k] == most and lower):
            best, most = k, count[k]
    return best, most


@part
def _most_bytes(size, begin, code, n, peers, ip_bytes):  # type: ignore[no-untyped-def]
    """(bytes of all n flows, of those with the peer that has most)."""
    for k in range(peers):
        ip_bytes[k] = 0
    total, most = 0, 0
    for i in range(n):
        ip_bytes[code[i]] += size[begin + i]
        total += size[begin + i]
        most = max(most, ip_bytes[code[i]])
    return total, most


@part
def _most_talk(talk, begin, code, n, peers, ip_bytes):  # type: ignore[no-untyped-def]
    """The bytes of talk with the peer that has most of it."""
    for k in range(peers):
        ip_bytes[k] = 0
    most = 0
    for i in range(n):
        ip_bytes[code[i]] += talk[begin + i]
        most = max(most, ip_bytes[code[i]])
    return most


@allocating_kernel
def measure_peers(table, size, talk, seed, flow, outbound, begins, stops, out):  # type: ignore[no-untyped-def]
    """With whom the flows of each set were; `table` (FLOW) is by flow, `size` and `talk` in bytes."""
    a_port, b_port, flags = table["a_port"], table["b_port"], table["flags"]
    most = most_flows(begins, stops)
    high, low = np.empty(most, np.uint64), np.empty(most, np.uint64)
    slots, code, chief = np.empty(slots_for(most), np.int32), np.empty(most, np.int32), np.empty(most, np.int32)
    values, spare, targets = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    of_busiest = np.zeros(PORTS, np.bool_)
    for g in range(begins.size):
        begin, n = begins[g], stops[g] - begins[g]
        gather_remotes(table, flow, outbound, begin, stops[g], high, low)
        peers = number_peers(high, low, n, seed, slots, code, chief)
        busiest, busiest_flows = _busiest_peer(code, n, chief, peers, high, low, values)
        total, top = _most_bytes(size, begin, code, n, peers, values)
        talked = _most_talk(talk, begin, code, n, peers, values)
        for k in range(peers):
            values[k] = _prefix(high[chief[k]], low[chief[k]])
        sort_run(values, 0, peers, spare)
        prefixes = _runs(values, peers)[0]
        ports = 0
        for i in range(n):
            f = flow[begin + i]
            port = b_port[f] if flags[f] & ORIG_IS_A else a_port[f]  # the responder's
            targets[i] = (np.int64(code[i] + 1) if outbound[begin + i] else 0) * PORTS + port
            if code[i] == busiest:
                ports += not of_busiest[port]
                of_busiest[port] = True
        for i in range(n):  # cleared for the next set
            of_busiest[targets[i] % PORTS] = False
        sort_run(targets, 0, n, spare)
        row, share = out[g], 1.0 / max(n, 1)
        row["peers"] = peers
        row["flows_per_peer"] = n / max(peers, 1)
        row["spread"] = prefixes / max(peers, 1)
        row["busiest_peer_share"] = busiest_flows * share
        row["top_peer_bytes"] = top / max(total, 1)
        row["talk_bytes"] = talked / max(total, 1)
        row["ports_of_busiest_peer"] = ports
        row["target_share"] = _runs(targets, n)[1] * share


def _parts(begins: npt.NDArray[np.int64], stops: npt.NDArray[np.int64]) -> Iterator[slice]:
    """Neighbouring sets that lie within some PART_FLOWS flows, or one set of more."""
    low = 0
    edges = list(zip(begins.tolist(), stops.tolist(), strict=True))
    for number, (begin, stop) in enumerate(edges):
        if number > low and (stop - edges[low][0] > PART_FLOWS or begin < edges[number - 1][1]):
            yield slice(low, number)
            low = number
    if edges:
        yield slice(low, len(edges))


def measure_sets(
    flow: npt.NDArray[np.int32],
    outbound: npt.NDArray[np.bool_],
    begins: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    facts: FlowFacts,
    kinds: npt.NDArray[np.uint8],
) -> npt.NDArray[np.void]:
    """FEATURES of sets of flows, each of one host: flow[begins[i]:stops[i]], in the order they began.

    `outbound` tells beside `flow` which the host opened; `facts` and `kinds` are of the whole table. Sets that lie side
    by side are measured together, in memory that is bounded by the largest.
    """
    out, servers, seed, table = np.zeros(begins.size, FEATURES), server_ports(), new_seed(), facts.row

    def measure_part(sets: slice) -> None:
        low = begins[sets.start]
        of, begin, stop = slice(low, stops[sets.stop - 1]), begins[sets] - low, stops[sets] - low
        some, outward, middle = flow[of].copy(), outbound[of].copy(), np.empty_like(begin)
        part_services(kinds[flow[of]], flow[of], outbound[of], begin, stop, some, outward, middle)
        seen, kind, rows = facts.of(some), kinds[some], out[sets]
        size, talk = seen.ip_bytes, np.empty(some.size, np.int64)
        with np.errstate(over="ignore"):
            measure_services(table, size, seed, some, outward, begin, middle, stop, rows)
        own = (begin, np.where(middle > begin, middle, stop))
        measure_times(seen.start_ns, *own, rows)
        measure_bytes(size, kind, *own, rows)
        measure_beat(seen.start_ns, seen.last_ns, kind, *own, rows)
        measure_weight(table, seen.start_ns, seen.last_ns, seen.packets, size, kind, seen.rests, some, *own, talk, rows)
        measure_answers(seen.packets, seen.marks, *own, rows)
        measure_ports(table, kind, servers, some, outward, *own, rows)
        with np.errstate(over="ignore"):
            measure_peers(table, size, talk, seed, some, outward, *own, rows)

    side_by_side(measure_part, _parts(begins, stops), most=processors())
    return out


def of_rows(rows: npt.NDArray[np.void]) -> list[Features]:
    """FEATURES rows as Features."""
    return [Features(*values) for values in rows.tolist()]


def measure(flows: HostFlows, facts: FlowFacts, kinds: npt.NDArray[np.uint8]) -> Features:
    """The features of these flows of one host; `facts` and `kinds` are of the whole table."""
    ends = np.array([0, flows.flow.size], np.int64)
    return of_rows(measure_sets(flows.flow.astype(np.int32), flows.outbound, ends[:1], ends[1:], facts, kinds))[0]
