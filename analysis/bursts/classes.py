"""The rules, class by class, in the order they are tried: the most specific first, and the first that holds names it.

docs/classes.md has them as a table, and says how well they do on captures they were not set on.
"""

from peerburst.analysis.bursts import explain
from peerburst.analysis.bursts.rules import (
    DOWNLOAD,
    DOWNLOADED,
    FETCHED_NOTHING,
    FETCHED_SOMETHING,
    FEW_PER_PEER,
    FILM_BYTES_PER_S,
    FLOOD_CONNECTIONS,
    FULL_PACKET_BYTES,
    FULL_PACKETS,
    HARDLY_ANSWERED,
    LEAST_OUTCOMES,
    MANY_PEERS,
    MOST,
    MOST_ANSWER,
    MOSTLY_TINY,
    ONE_SOCKET,
    OWN_PORTS,
    QUESTIONED_SERVERS,
    SCAN_ANSWERED,
    SCANNED_HOSTS,
    SCANNED_PORTS,
    SMALL,
    SOME_ANSWER,
    TO_WEB_PORTS,
    TRANSFER_BYTES,
    UNKNOWN_PORTS,
    Rule,
    all_of,
    any_of,
    at_least,
    below,
)
from peerburst.capture.vocabulary import TrafficClass

RULES = (
    # A flood hits one address and port, fast, and no word ever comes back: the target may well answer each SYN, accept
    # each connection, even wait for a request that never ends. Or all ports of an address, with more in each packet
    # than a scan has a use for.
    Rule(
        TrafficClass.FLOOD,
        (
            any_of(
                explain.one_target,
                (at_least("busiest_target_share", 0.8),),
                (at_least("busiest_peer_share", 0.8), at_least("bytes_per_packet", 200)),
            ),
            all_of(explain.mute, at_least("mute_share", 0.85)),
            # Who asks a resolver that is down, or counts something by UDP, gets no word back either.
            any_of(
                explain.new_per_second,
                (at_least("most_new_per_s", 50), at_least("connection_count", FLOOD_CONNECTIONS)),
                (
                    at_least("most_new_per_s", 10),
                    below("udp_share", MOST),
                    at_least("connection_count", FLOOD_CONNECTIONS),
                ),
            ),
        ),
        (MOSTLY_TINY,),
    ),
    # The same sprayed over a victim's ports from many addresses: a scan comes from few.
    Rule(
        TrafficClass.FLOOD,
        (
            all_of(
                explain.peers,
                at_least("inbound_share", 0.9),
                at_least("peer_count", 50),
                at_least("connection_count", FLOOD_CONNECTIONS),
            ),
            all_of(explain.unanswered, below("answered_share", HARDLY_ANSWERED)),
            all_of(explain.new_per_second, at_least("most_new_per_s", 200)),
        ),
        (MOSTLY_TINY,),
    ),
    # Many ports of one host in vain.
    Rule(
        TrafficClass.SCAN,
        (
            all_of(
                explain.unanswered,
                below("answered_share", SCAN_ANSWERED),
                at_least("connection_count", LEAST_OUTCOMES),
            ),
            all_of(explain.mute, at_least("mute_share", 0.7)),
            all_of(
                explain.ports_of_one_host,
                at_least("busiest_peer_port_count", SCANNED_PORTS),
                at_least("busiest_peer_share", MOST),
            ),
        ),
        (MOSTLY_TINY,),
    ),
    # Many hosts in vain: on one port, or neighbours, or none of whom is there. A program that has met its peers before
    # does that too, but from one UDP socket; and of its peers some are there.
    Rule(
        TrafficClass.SCAN,
        (
            all_of(explain.peers, at_least("peer_count", SCANNED_HOSTS), below("inbound_share", MOST)),
            all_of(explain.mute, at_least("mute_share", 0.8), below("answered_share", 0.4)),
            any_of(
                explain.one_port,
                (
                    at_least("busiest_port_share", 0.8),
                    at_least("mute_share", 0.9),
                    below("one_local_port_share", MOST),
                ),
                (at_least("busiest_port_share", 0.8), below("answered_share", HARDLY_ANSWERED)),
                (below("prefixes_per_peer", 0.1), below("one_local_port_share", MOST)),
                (
                    below("answered_share", HARDLY_ANSWERED),
                    at_least("connection_count", 100),
                    below("one_local_port_share", MOST),
                ),
            ),
        ),
        (FEW_PER_PEER,),
    ),
    Rule(
        TrafficClass.SPAM,
        (
            all_of(explain.mail_ports, at_least("mail_port_share", MOST)),
            all_of(explain.peers, at_least("peer_count", 10)),
        ),
        (FEW_PER_PEER,),
    ),
    # A call's own bytes name it, however many peers its set-up tried: logins have up to 22 %, calls from 44 %.
    Rule(
        TrafficClass.CALL,
        (all_of(explain.voice, at_least("voice_bytes_share", 0.35)),),
        (all_of(explain.one_peer, at_least("top_peer_bytes_share", MOST)),),
    ),
    # Peers that share nothing but the program: one connection each, to ports that no service has.
    Rule(
        TrafficClass.P2P_BULK,
        (MANY_PEERS, FEW_PER_PEER, UNKNOWN_PORTS, SOME_ANSWER, FULL_PACKETS),
        (OWN_PORTS, all_of(explain.spread, at_least("prefixes_per_peer", 0.8))),
    ),
    Rule(
        TrafficClass.P2P_SYNC,
        (MANY_PEERS, FEW_PER_PEER, UNKNOWN_PORTS, SOME_ANSWER, FETCHED_SOMETHING),
        (SMALL, OWN_PORTS, ONE_SOCKET, all_of(explain.full_packets, below("bytes_per_packet", 300))),
    ),
    # The same shape, and nothing but questions and answers: a node that looks something up among its peers.
    Rule(
        TrafficClass.DISCOVERY,
        (MANY_PEERS, FEW_PER_PEER, UNKNOWN_PORTS, SOME_ANSWER, FETCHED_NOTHING),
        (OWN_PORTS, ONE_SOCKET),
    ),
    # A resolver that asks the world itself, where a guest asks one or two; or servers of any kind asked in turn.
    Rule(
        TrafficClass.DISCOVERY,
        (
            MOST_ANSWER,
            any_of(
                explain.questions,
                (at_least("service_share", MOST), at_least("service_peer_count", QUESTIONED_SERVERS)),
                (at_least("tiny_share", MOST), at_least("udp_share", MOST), at_least("peer_count", QUESTIONED_SERVERS)),
            ),
        ),
    ),
    # A player fetches a segment, pauses, and fetches the next (DASH, ISO/IEC 23009-1), where a download never pauses;
    # or the film comes by the clock, one way (RTP, RFC 3550), or from a port that serves nothing else.
    Rule(
        TrafficClass.STREAMING,
        (
            DOWNLOAD,
            any_of(
                explain.segmented,
                (
                    at_least("segmented_bytes_share", MOST),
                    at_least("top_peer_bytes_share", MOST),
                    at_least("heavy_bytes_per_s", FILM_BYTES_PER_S),
                ),
                (at_least("streaming_port_share", MOST),),
            ),
        ),
        (TO_WEB_PORTS,),
    ),
    # A player that opens a connection for each segment does so by the clock of the film.
    Rule(
        TrafficClass.STREAMING,
        (DOWNLOAD, all_of(explain.periodic, at_least("periodic_share", 0.6))),
        (TO_WEB_PORTS, all_of(explain.one_peer, at_least("top_peer_bytes_share", 0.6))),
    ),
    # Download managers fetch one file over several connections, so one peer it is all the same; a tree of small files
    # comes in full packets, though no connection carries weight. A chat that goes on for hours carries weight as well,
    # but never fast.
    Rule(
        TrafficClass.BULK_TRANSFER,
        (
            all_of(explain.one_peer, at_least("top_peer_bytes_share", 0.6), at_least("total_bytes", TRANSFER_BYTES)),
            any_of(
                explain.weight,
                (at_least("heavy_bytes_share", 0.7), at_least("heavy_bytes_per_s", FILM_BYTES_PER_S)),
                (at_least("bytes_per_packet", FULL_PACKET_BYTES), below("web_port_share", MOST)),
            ),
        ),
        (all_of(explain.heavy_rate, at_least("heavy_bytes_per_s", FILM_BYTES_PER_S)),),
    ),
    # A page opens several connections at once, and something in it has weight; or it comes from several hosts. Chats
    # open one or two together, pages five and more.
    Rule(
        TrafficClass.WEB,
        (
            TO_WEB_PORTS,
            MOST_ANSWER,
            any_of(
                explain.together,
                (at_least("simultaneous_count", 4), below("tiny_share", MOST)),
                (at_least("received_bytes_share", DOWNLOADED), at_least("peer_count", 3)),
            ),
        ),
        (all_of(explain.received, at_least("received_bytes_share", DOWNLOADED)),),
    ),
    # What remains, where most answer: a server or a few, or servers of known services.
    Rule(
        TrafficClass.CLIENT_SERVER,
        (
            MOST_ANSWER,
            any_of(
                explain.peers,
                (at_least("busiest_peer_share", 0.4),),
                (below("peer_count", 4),),
                (below("unknown_port_share", 0.4),),
            ),
        ),
        (all_of(explain.one_port, at_least("busiest_port_share", MOST)),),
    ),
)
# Of one direction alone: nobody's answer was seen, nor anybody's silence, and half of the bytes. What is left is
# weight, and ports where the connections went on.
ONE_WAY_RULES = (
    Rule(
        TrafficClass.BULK_TRANSFER,
        (
            all_of(explain.one_peer, at_least("top_peer_bytes_share", 0.6), at_least("total_bytes", TRANSFER_BYTES)),
            all_of(explain.weight, at_least("heavy_bytes_share", 0.7), at_least("heavy_bytes_per_s", FILM_BYTES_PER_S)),
        ),
    ),
    Rule(
        TrafficClass.WEB,
        (
            TO_WEB_PORTS,
            all_of(explain.tiny, below("tiny_share", MOST)),
            any_of(explain.together, (at_least("simultaneous_count", 4),), (at_least("peer_count", 3),)),
        ),
    ),
)
# What is told of a set that no rule names.
TOLD_OF_UNKNOWN = (MANY_PEERS, UNKNOWN_PORTS, SOME_ANSWER, SMALL)
TOLD_OF_ONE_WAY = (all_of(explain.one_direction, below("answered_share", MOST)), MANY_PEERS, UNKNOWN_PORTS, SMALL)
