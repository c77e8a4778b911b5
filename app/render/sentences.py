"""The summary in sentences: what a capture says about its hosts."""

from collections.abc import Iterator

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.gateways.model import Engine
from peerburst.analysis.hosts.locality import Scope
from peerburst.analysis.humanize import clock, counted, number, one_line, share, size, span
from peerburst.analysis.recording import much_truncated
from peerburst.analysis.results import Burst, Host, ModelPeak
from peerburst.analysis.vantage import direction
from peerburst.analysis.vantage.direction import Seen
from peerburst.capture.packets.status import LABELS, Status
from peerburst.render import vantage

MOST_PROGRAMS = 8


def headline(analysis: Analysis, host: Host) -> Iterator[str]:
    """The answer for one host: its peak under the headline model, and what the limit would have meant."""
    model, limit = analysis.models[0], analysis.settings.limit
    peak = host.models[model.name]
    bound = analysis.bound(analysis.host_number(host.name))
    at_least = f"{bound} " if bound else ""
    if not peak.peak:
        yield f"{host.name} held no connection through the gateway."
        return
    held, at = "was sent" if host.is_server else "held", clock(peak.peak_at_s or 0)
    yield (
        f"{host.name} {held} {at_least}{counted(peak.peak, 'connection')} at once, {at} after the first packet, as"
        f" {model.name} counts them: {number(peak.talking)} talking, {number(peak.lingering)} only remembered by the"
        " gateway."
    )
    if (per := vantage.scope_sentence(analysis, host.name)) is not None:
        yield per
    yield _limit_sentence(peak, limit)
    if host.is_server:
        yield "It opened none itself; the counts are of connections that others opened to it."
    elif host.inbound_peak:
        yield f"Others held up to {counted(host.inbound_peak, 'connection')} to it."


def _limit_sentence(peak: ModelPeak, limit: int) -> str:
    crossed_at_s = peak.crossed_at_s[limit]
    if crossed_at_s is None:
        left = number(limit - peak.peak)
        return f"A limit of {number(limit)} would not have been crossed: {left} were left at the peak."
    return (
        f"A limit of {number(limit)} would have been crossed at {clock(crossed_at_s)}, and the host stayed above it for"
        f" {span(peak.above_s[limit])}."
    )


def family_sentence(analysis: Analysis, host: Host) -> str | None:
    """Which models hold none of a host's IPv6 flows, because they are of gateways that translate IPv4 alone."""
    names = [one_line(model.name) for model in analysis.models if "ipv6" not in model.families]
    flows = analysis.ipv6_flows(analysis.host_number(host.name))
    if not names or not flows:
        return None
    does, holds = ("does", "holds") if len(names) == 1 else ("do", "hold")
    return (
        f"{', '.join(names)} {does} not translate IPv6, and so {holds} none of"
        f" {host.name}'s {counted(flows, 'IPv6 flow')}."
    )


def burst_sentence(burst: Burst) -> str:
    """What a burst was, and its shares of connections and bytes."""
    seen, found = burst.features, burst.classification
    length = span(burst.end_s - burst.start_s) if burst.end_s > burst.start_s else "an instant"
    verb = "was sent" if burst.inbound else "opened"
    return (
        f"{clock(burst.start_s)}: {burst.host} {verb} {counted(seen.flow_count, 'connection')} in {length}"
        f" ({found.label.value}, {share(found.confidence, 1)} sure): {found.label.says}."
        f" They are {share(burst.share_of_connections, 1)} of its connections and"
        f" {share(burst.share_of_bytes, 1)} of its {size(_all_bytes(burst))}."
    )


def _all_bytes(burst: Burst) -> float:
    return burst.features.total_bytes / burst.share_of_bytes if burst.share_of_bytes else 0.0


def evidence_sentence(burst: Burst) -> str:
    """Why the burst has its class, and what would have changed it."""
    reasons = "; ".join(evidence.says for evidence in burst.classification.evidence)
    changes = burst.classification.would_change
    nearest = f" Nearest change: {changes[0]}." if changes else ""
    return f"Because {reasons}.{nearest}" if reasons else "There is no evidence for any class."


def packets_sentence(analysis: Analysis) -> str:
    """How many packets were read and what became of them."""
    capture = analysis.capture
    others = [
        f"{number(count)} {LABELS[status]}"
        for status, count in capture.statuses.items()
        if count and status is not Status.DECODED
    ]
    files = counted(len(capture.paths), "capture")
    rest = f"; not part of a flow: {', '.join(others)}" if others else ""
    return (
        f"{counted(capture.packets, 'packet')} in {span(capture.duration_s)} from {files},"
        f" {counted(capture.flows.row.size, 'flow')}{rest}."
    )


def left_out_sentence(analysis: Analysis) -> str | None:
    """Which flows no gateway in front of the hosts would have seen."""
    words = {
        Scope.LAN: "between local hosts",
        Scope.GROUP: "to multicast or broadcast addresses",
        Scope.TRANSIT: "between addresses that are not local",
        Scope.OUTSIDE: f"on the {'inside' if analysis.settings.side == 'wan' else 'outside'} of the translation",
    }
    left = [
        f"{number(analysis.scopes[scope])} {text}"
        for scope, text in words.items()
        if analysis.scopes[scope] and not (scope is Scope.LAN and analysis.settings.include_lan)
    ]
    return f"Left out of the counts: {', '.join(left)}." if left else None


def programs_sentence(analysis: Analysis) -> str | None:
    """Which programs the flows belong to, where sockets were watched."""
    flows = analysis.flows_by_program()
    if not flows:
        return None
    named = [f"{one_line(name)} {counted(count, 'flow')}" for name, count in flows.items() if name]
    more = f", {counted(len(named) - MOST_PROGRAMS, 'more program')}" if len(named) > MOST_PROGRAMS else ""
    unknown = f"; {counted(flows[''], 'flow')} of no known program" if flows.get("") else ""
    return f"Programs: {', '.join(named[:MOST_PROGRAMS]) or 'none is known'}{more}{unknown}."


def warnings(analysis: Analysis) -> Iterator[str]:
    """What went wrong while reading, and what that means for the answer."""
    for warning in analysis.capture.warnings:
        yield f"Warning: {one_line(warning)}."
    if damaged := analysis.capture.damaged:
        of = "" if len(analysis.capture.paths) == 1 else f" of {one_line(damaged[0])}"
        more = f" and {counted(len(damaged) - 1, 'more capture')}" if len(damaged) > 1 else ""
        yield f"The answer is of what came before the damage{of}{more} alone."


def recording(analysis: Analysis) -> Iterator[str]:
    """What the recording lacks, and what that does to the counts."""
    if analysis.flags_alone is not None:
        flags = analysis.flags_alone.flags
        whole = [model.name for model in analysis.models if model.engine is Engine.SYN_FIN]
        but = f"; {' and '.join(whole)}, which needs no more, counts all" if whole else ""
        yield (
            f"Of TCP only packets with {' or '.join(flags)} were recorded, as by a capture"
            " filter. Without acknowledgements and data a gateway model sees no handshake end and nothing that keeps a"
            f" connection alive, and forgets it after the timeout of a half-open one: peaks are lower bounds{but}."
            " Bytes and classes say little."
        )
    if truncated := much_truncated(analysis.capture):
        yield (
            f"Cut within their headers (snaplen): {counted(truncated, 'packet')}"
            f" ({share(truncated, analysis.capture.packets)}), which are in no count; 96 bytes of each are enough"
            " (tcpdump -s 96)."
        )


def direction_sentence(analysis: Analysis) -> str | None:
    """Which direction the capture holds, where it is one alone, and what that does to the answers."""
    found = analysis.direction
    if not found.is_one_way:
        return None
    whose = {
        Seen.OUTBOUND: "outbound, what local hosts sent",
        Seen.INBOUND: "inbound, what was sent to local hosts",
        Seen.ONE_WAY: "of each connection that of one end",
    }[found.seen]
    all_flows = found.one_way_flows + found.two_way_flows
    return (
        f"One direction alone was captured ({whose}): {number(found.one_way_flows)} of"
        f" {counted(all_flows, 'TCP or UDP flow')} have packets of one end, and"
        f" {number(found.acknowledging_flows)} of them acknowledge answers that are not there."
        f" {_bounds(analysis)} Answers and silence say nothing here, so no class rests on them."
    )


def _bounds(analysis: Analysis) -> str:
    """What the peaks of one direction are, model by model."""
    bounds = {model.name: direction.bound(analysis.direction, model) for model in analysis.models}
    why = {
        "at most": "where a connection whose close is seen of one end alone is held too long",
        "at least": "where an entry without replies times out too soon (UDP in Linux: 30 s, not 120)",
    }
    parts = [
        f"{bound} under {', '.join(one_line(name) for name in names)}, {reason}"
        for bound, reason in why.items()
        if (names := [name for name, found in bounds.items() if found == bound])
    ]
    return f"Peaks are {'; '.join(parts)}."


def hints(analysis: Analysis) -> Iterator[str]:
    """What was assumed about the hosts, and which options would change it."""
    if (one_way := direction_sentence(analysis)) is not None:
        yield one_way
    if analysis.ends.capture_host:
        own = ", ".join(analysis.ends.capture_host)
        yield f"Taken as local because nearly all packets are its own: {own} (--local-net)."
    counted_flows = analysis.scopes[Scope.CROSSING] + analysis.scopes[Scope.GATEWAY]
    if not counted_flows and analysis.scopes[Scope.LAN] and not analysis.settings.include_lan:
        yield "All traffic is between local hosts; count it as if it had crossed the gateway with --include-lan."
    if not counted_flows and analysis.scopes[Scope.TRANSIT] and not analysis.scopes[Scope.LAN]:
        yield "No address is local; say which networks are with --local-net."
    yield from recording(analysis)
    if analysis.capture.drops:
        yield f"The capture lost {counted(analysis.capture.drops, 'packet')}: peaks are lower bounds."
