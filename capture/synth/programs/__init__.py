"""What a guest's machine can do: one module per program, found here by the `kind` a scenario gives."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from peerburst.capture.synth.programs import (
    bittorrent,
    bulk_download,
    call,
    discovery,
    dns,
    one_server_im,
    p2p_group_chat,
    port_scan,
    smtp_spam,
    streaming,
    syn_flood,
    web,
)
from peerburst.capture.synth.stage import Stage
from peerburst.capture.vocabulary import TrafficClass


@dataclass(frozen=True, slots=True)
class Program:
    """A kind of program: the class its traffic truly is, its settings, and how it plays on a stage."""

    kind: str
    traffic_class: TrafficClass
    settings: type
    play: Callable[[Any, Stage], None]


PROGRAMS = {
    program.kind: program
    for program in (
        Program("p2p-group-chat", TrafficClass.P2P_SYNC, p2p_group_chat.Settings, p2p_group_chat.play),
        Program("one-server-im", TrafficClass.CLIENT_SERVER, one_server_im.Settings, one_server_im.play),
        Program("web", TrafficClass.WEB, web.Settings, web.play),
        Program("bulk-download", TrafficClass.BULK_TRANSFER, bulk_download.Settings, bulk_download.play),
        Program("bittorrent", TrafficClass.P2P_BULK, bittorrent.Settings, bittorrent.play),
        Program("call", TrafficClass.CALL, call.Settings, call.play),
        Program("streaming", TrafficClass.STREAMING, streaming.Settings, streaming.play),
        Program("port-scan", TrafficClass.SCAN, port_scan.Settings, port_scan.play),
        Program("syn-flood", TrafficClass.FLOOD, syn_flood.Settings, syn_flood.play),
        Program("smtp-spam", TrafficClass.SPAM, smtp_spam.Settings, smtp_spam.play),
        Program("dns", TrafficClass.CLIENT_SERVER, dns.Settings, dns.play),
        Program("discovery", TrafficClass.DISCOVERY, discovery.Settings, discovery.play),
    )
}
