"""The options of the commands: each built once, with its help, and what they make together."""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Annotated

import typer

from peerburst.analysis.settings import DEFAULT_LIMIT, Settings
from peerburst.capture.live.options import BUFFER_MIB, HEADERS_ONLY
from peerburst.cli import timing
from peerburst.render.formats import AnalysisFormat, FlowFormat, LiveFormat, TableFormat


class When(StrEnum):
    """When to show something; `auto`: on a terminal."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


# What to read
Captures = Annotated[
    list[str] | None, typer.Argument(metavar="CAPTURE...", help="pcap or pcapng, plain or compressed; - is stdin.")
]
Read = Annotated[list[str] | None, typer.Option("-r", "--read", metavar="FILE", help="A capture to read; repeatable.")]
Inner = Annotated[
    bool, typer.Option("--inner", help="Follow tunnels: GRE, IP-in-IP, 6in4, Teredo, VXLAN, Geneve, GTP, TZSP.")
]
Count = Annotated[int | None, typer.Option("-c", "--count", metavar="N", help="Stop after N packets.")]

# How to count
LocalNet = Annotated[
    list[str] | None,
    typer.Option("--local-net", metavar="CIDR", help="Take this network as local, not the private ranges; repeatable."),
]
Gateway = Annotated[
    str | None, typer.Option("--gateway", metavar="ADDRESS|MAC", help="The gateway, where it is found wrongly.")
]


class Side(StrEnum):
    """Of a translation that is seen from both sides, which counts."""

    LAN = "lan"
    WAN = "wan"


class PerWhat(StrEnum):
    """What a limit is per."""

    ADDRESS = "address"
    PREFIX = "prefix"
    MAC = "mac"
    MACHINE = "machine"


OfSide = Annotated[
    Side | None,
    typer.Option("--side", help="On a NAT router: count machines inside (lan) or the address outside (wan)."),
]
Per = Annotated[
    PerWhat | None,
    typer.Option("--per", help="What a limit is per; prefix is an IPv6 /64. Default: as the first model says."),
]
IncludeLan = Annotated[bool, typer.Option("--include-lan", help="Count traffic between local hosts too.")]
Model = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="NAME|FILE",
        help="Count as this gateway does: a model, flat:SECONDS or a .toml file; repeatable.",
    ),
]
Limit = Annotated[
    list[int] | None,
    typer.Option(
        "--limit", metavar="N", help=f"Connections allowed per host ({DEFAULT_LIMIT}); repeatable, the first is drawn."
    ),
]

# What to write, and where
Host = Annotated[str | None, typer.Option("--host", metavar="ADDRESS", help="Report on this host, not on the busiest.")]
Output = Annotated[str | None, typer.Option("-o", "--output", metavar="FILE", help="Write here instead of stdout.")]
ReportFolder = Annotated[str, typer.Option("-o", "--output", metavar="DIR", help="The folder to write.")]
SynthOutput = Annotated[
    str, typer.Option("-o", "--output", metavar="FILE", help="Write here: a .pcap or .pcapng, or .gz or .zst of one.")
]
AnalysisAs = Annotated[AnalysisFormat, typer.Option("--format", help="Write sentences and tables, or one JSON object.")]
FlowsAs = Annotated[FlowFormat, typer.Option("--format", help="How to write them.")]
TimelineAs = Annotated[TableFormat, typer.Option("--format", help="How to write it.")]
Step = Annotated[float, typer.Option("--step", metavar="SECONDS", help="Seconds from row to row.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Write no warnings and no progress to stderr.")]
Progress = Annotated[When, typer.Option("--progress", help="Show how far reading is, on stderr.")]
Timing = Annotated[
    bool, typer.Option("--timing", callback=timing.start, help="Say on stderr how long each stage took.")
]
Version = Annotated[bool, typer.Option("-V", "--version", help="Print the version and exit.")]

# Of one command alone
Scenario = Annotated[str, typer.Argument(metavar="SCENARIO.toml", help="The hosts, and what their programs do.")]
Flow = Annotated[
    str, typer.Option("--flow", metavar="ID", help="A row of `peerburst flows`, from 1, or a Community ID.")
]
GatewayName = Annotated[str, typer.Argument(metavar="NAME|FILE", help="A model, flat:SECONDS or a file.")]

# Of `live`; the letters are those of tcpdump and dumpcap
Interface = Annotated[
    list[str] | None, typer.Option("-i", "--interface", metavar="IFACE", help="Listen here; repeatable.")
]
ListInterfaces = Annotated[bool, typer.Option("-D", "--list-interfaces", help="List interfaces and exit.")]
Filter = Annotated[str, typer.Option("-f", "--filter", metavar="BPF", help="Capture only what this filter matches.")]
Snaplen = Annotated[
    int | None,
    typer.Option("-s", "--snaplen", metavar="BYTES", help=f"Keep this much of each packet ({HEADERS_ONLY}); 0 is all."),
]
Promiscuous = Annotated[
    bool,
    typer.Option(
        "--promiscuous/-p", show_default=False, help="Capture other machines' packets too; -p: do not (the default)."
    ),
]
Buffer = Annotated[
    int | None, typer.Option("-B", "--buffer", metavar="MIB", help=f"Size of the capture buffer ({BUFFER_MIB}).")
]
Stop = Annotated[
    list[str] | None,
    typer.Option("-a", "--stop", metavar="WHEN", help="Stop after duration:S, packets:N or filesize:KB; repeatable."),
]
Follow = Annotated[
    str | None, typer.Option("-r", "--read", metavar="FILE", help="Follow a growing capture; - is stdin.")
]
Write = Annotated[
    str | None, typer.Option("-w", "--write", metavar="FILE", help="Keep packets in a .pcapng or .pcapng.zst.")
]
Ring = Annotated[
    list[str] | None,
    typer.Option(
        "-b", "--ring", metavar="WHEN", help="With -w: begin a new file at filesize:KB, keep the last files:N."
    ),
]
LiveReportFolder = Annotated[
    str | None, typer.Option("-o", "--output", metavar="DIR", help="Write a report there at the end.")
]
Alert = Annotated[
    list[int] | None,
    typer.Option(
        "--alert", metavar="N", help="Alert when a host holds N (80 % of the limit, and one above it); repeatable."
    ),
]
OnAlert = Annotated[
    str | None,
    typer.Option(
        "--on-alert", metavar="COMMAND", help="Run this at an alert, with PEERBURST_HOST and more in its environment."
    ),
]
Plain = Annotated[bool, typer.Option("--plain", help="Print a line a second instead of showing the screen.")]
LiveAs = Annotated[LiveFormat | None, typer.Option("--format", help="Print a line or, as jsonl, an object a second.")]


def paths(captures: Sequence[str] | None, read: Sequence[str] | None) -> list[str]:
    """The captures named either way, those of -r first; a usage error where there is none."""
    named = [*(read or ()), *(captures or ())]
    if not named:
        raise typer.BadParameter("name a capture to read (- is standard input)")
    return named


def settings(
    *,
    model: Sequence[str] | None = None,
    limit: Sequence[int] | None = None,
    local_net: Sequence[str] | None = None,
    include_lan: bool = False,
    inner: bool = False,
    count: int | None = None,
    gateway: str | None = None,
    side: Side | None = None,
    per: PerWhat | None = None,
) -> Settings:
    """The settings that these options ask for; one limit alone stands first among the usual ones."""
    asked = Settings(
        models=tuple(model or ()),
        local_nets=tuple(local_net) if local_net else None,
        include_lan=include_lan,
        follow_tunnels=inner,
        most_packets=count,
        gateway=gateway,
        side=None if side is None else side.value,
        per=None if per is None else per.value,
    )
    if limit is not None and len(limit) == 1:
        return asked.with_limit(limit[0])
    return replace(asked, limits=tuple(limit or ()))
