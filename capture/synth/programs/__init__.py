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


@dataclass(frozen=True, slots=True)
class Program:
    """A kind of program: the class its traffic truly is, its settings, and how it plays on a stage."""

    kind: str
    traffic_class: str
    settings: type
    play: Callable[[Any, Stage], None]


PROGRAMS = {
    program.kind: program
    for program in (
        Program("p2p-group-chat", "p2p-sync", p2p_group_chat.Settings, p2p_group_chat.play),
        Program("one-server-im", "client-server", one_server_im.Settings, one_server_im.play),
        Program("web", "web", web.Settings, web.play),
        Program("bulk-download", "bulk-transfer", bulk_download.Settings, bulk_download.play),
        Program("bittorrent", "p2p-bulk", bittorrent.Settings, bittorrent.play),
        Program("call", "call", call.Settings, call.play),
        Program("streaming", "streaming", streaming.Settings, streaming.play),
        Program("port-scan", "scan", port_scan.Settings, port_scan.play),
        Program("syn-flood", "flood", syn_flood.Settings, syn_flood.play),
        Program("smtp-spam", "spam", smtp_spam.Settings, smtp_spam.play),
        Program("dns", "client-server", dns.Settings, dns.play),
        Program("discovery", "discovery", discovery.Settings, discovery.play),
    )
}
