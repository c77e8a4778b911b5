"""Sentences for what was seen of a set of flows, the words of evidence: each puts some of its features into words."""

from peerburst.analysis.bursts.features import Features
from peerburst.analysis.humanize import counted, share, size


def few_bytes(f: Features) -> str:
    return f"half of the connections carried {size(f.median_bytes)} or less"


def peers(f: Features) -> str:
    whence = "from" if f.inbound_share > 0.5 else "with"
    return f"{counted(f.connection_count, 'connection')} {whence} {counted(f.peer_count, 'peer')}"


def per_peer(f: Features) -> str:
    return f"{f.flows_per_peer:.1f} connections per peer"


def answered(f: Features) -> str:
    return f"{share(f.answered_share, 1)} of them were answered"


def one_direction(_: Features) -> str:
    return "one direction alone was captured: who was answered and who was not cannot be told, nor what rests on it"


def unanswered(f: Features) -> str:
    refused = f", {share(f.refused_share, 1)} refused" if f.refused_share else ""
    return f"{share(1 - f.answered_share, 1)} got no answer{refused}"


def mute(f: Features) -> str:
    return f"in {share(f.mute_share, 1)} the other end said nothing: no answer, or a handshake without a word after it"


def ports(f: Features) -> str:
    if f.port_count != 1:
        return f"{f.port_count} different ports at the other end"
    return f"all to port {f.busiest_port}" if f.busiest_port else "none of them has a port, as pings have none"


def ports_of_one_host(f: Features) -> str:
    return f"{f.busiest_peer_port_count} ports of one host were tried"


def one_local_port(f: Features) -> str:
    return f"{share(f.one_local_port_share, 1)} left from one local UDP port"


def one_target(f: Features) -> str:
    if f.busiest_target_share < 0.5:
        per_packet = f"{f.bytes_per_packet:.0f} bytes in a packet on average"
        return f"{share(f.busiest_peer_share, 1)} went to one address, {per_packet}"
    port = f" and port ({f.busiest_port})" if f.busiest_port else ", without a port, as pings do"
    return f"{share(f.busiest_target_share, 1)} went to one address{port}"


def new_per_second(f: Features) -> str:
    return f"up to {f.most_new_per_s} new connections in one second"


def one_port(f: Features) -> str:
    if not f.busiest_port:
        return f"{share(f.busiest_port_share, 1)} have no port, as pings have none"
    return f"{share(f.busiest_port_share, 1)} went to port {f.busiest_port}"


def weight(f: Features) -> str:
    if f.heavy_bytes_share < 0.5:
        return full_packets(f)
    return f"{size(f.total_bytes)} in all, {share(f.top3_bytes_share, 1)} of it in three connections"


def full_packets(f: Features) -> str:
    return f"{size(f.total_bytes)} in all, {f.bytes_per_packet:.0f} bytes in a packet on average"


def received(f: Features) -> str:
    return f"{share(f.received_bytes_share, 1)} of {size(f.total_bytes)} was received"


def spread(f: Features) -> str:
    return f"spread {f.prefixes_per_peer:.2f} over /16 networks"


def tiny(f: Features) -> str:
    return f"{share(f.tiny_share, 1)} had two packets or fewer"


def unknown_ports(f: Features) -> str:
    return f"{share(f.unknown_port_share, 1)} went to ports that no known service has"


def web_ports(f: Features) -> str:
    return f"{share(f.web_port_share, 1)} went to web ports"


def mail_ports(f: Features) -> str:
    return f"{share(f.mail_port_share, 1)} went to mail servers' ports"


def one_peer(f: Features) -> str:
    return f"{share(f.top_peer_bytes_share, 1)} of the bytes were exchanged with one peer"


def questions(f: Features) -> str:
    if f.service_share >= 0.5:
        asked = counted(f.service_peer_count, "server")
        return f"{share(f.service_share, 1)} of {f.flow_count} were questions to {asked} (names, time, ping)"
    return f"{share(f.tiny_share, 1)} were a question or a question and its answer, {share(f.udp_share, 1)} by UDP"


def largest(f: Features) -> str:
    return f"the largest connection carried {size(f.largest_bytes)}"


def heavy_rate(f: Features) -> str:
    return f"{size(f.heavy_bytes_per_s)} a second while they lasted"


def segmented(f: Features) -> str:
    if f.segmented_bytes_share < 0.5:
        return f"{share(f.streaming_port_share, 1)} went to ports of streaming servers"
    return f"{share(f.segmented_bytes_share, 1)} of the bytes came in connections that rest and go on, or by the clock"


def periodic(f: Features) -> str:
    return f"{share(f.periodic_share, 1)} of the heavy connections came at equal distances"


def together(f: Features) -> str:
    opened = f"{f.simultaneous_count:.0f} opened together as a rule"
    return f"{opened}, from {counted(f.peer_count, 'host')}; {size(f.total_bytes)} in all"


def voice(f: Features) -> str:
    steady = "steady UDP exchanges, with one peer, that both fill"
    return f"{share(f.voice_bytes_share, 1)} of the bytes are {steady}"
