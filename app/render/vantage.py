"""Where the capture was made, in one or two sentences and as JSON."""

from collections.abc import Iterator
from typing import Any

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.gateways.model import Per
from peerburst.analysis.hosts.locality import to_text
from peerburst.analysis.humanize import counted, number
from peerburst.analysis.vantage.vantage import Kind, Vantage

MOST_NAMED = 3
MANY = 20_000  # beyond, estimates of how many addresses there are lose themselves

SAYS = {
    Kind.LAPTOP: "Seen from one machine, or its line",
    Kind.LAN: "Seen on a network of {machines}",
    Kind.ROUTER: "Seen on the router, on both sides of its translation",
    Kind.OUTSIDE_NAT: "Seen outside a router that puts its own address in place of its machines'",
    Kind.TUNNEL_MIRROR: "Seen through a mirror: nearly all packets are whole in a tunnel, and those inside are counted"
    " (--include-lan: the tunnel itself)",
}


def _named(names: list[str]) -> str:
    more = f" and {number(len(names) - MOST_NAMED)} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def sentences(analysis: Analysis) -> Iterator[str]:
    """Where the capture was made and why that is thought; who the gateway is."""
    vantage = analysis.vantage
    if analysis.capture.flows.row.size:
        said = SAYS[vantage.kind].format(machines=counted(vantage.machines, "machine"))
        yield said + "".join(_gateway(analysis, vantage)) + "."
    if vantage.kind is Kind.ROUTER:
        yield _twins(vantage)
    only_dns = [to_text(*words) for words in sorted(vantage.gateway.only_dns)]
    if only_dns and not vantage.gateway.macs and analysis.settings.gateway is None:
        names = f"{_named(only_dns)} {'counts as a machine' if len(only_dns) == 1 else 'count as machines'}"
        yield f"Answering DNS alone makes nobody the gateway: {names} (--gateway {only_dns[0]})."


def _gateway(analysis: Analysis, vantage: Vantage) -> Iterator[str]:
    gateway = vantage.gateway
    names = list(analysis.ends.gateways) or [to_text(*words) for words in sorted(gateway.addresses)]
    if not names and not gateway.macs:
        return
    macs = _named(vantage.gateway_macs)
    who = f"{_named(names)} ({macs})" if names and macs else _named(names) or f"the one with the MAC {macs}"
    about = f"about {number(gateway.remote)}" if gateway.remote < MANY else f"more than {number(MANY)}"
    behind = f", behind which {about} remote addresses lie" if gateway.remote > 1 else ""
    why = "" if behind or not gateway.why else f", because {gateway.why}"
    yield f"; the gateway is {who}{behind}{why}"


def _twins(vantage: Vantage) -> str:
    pairs, own = counted(vantage.twins.outside.size, "connection"), _named(vantage.outside)
    if vantage.side == "wan":
        return f"{pairs} were seen before and after translation; they count once, as {own}'s (--side lan)."
    return f"{pairs} were seen before and after translation; they count once, inside: {own} is the router's own."


def scope_sentence(analysis: Analysis, name: str) -> str | None:
    """What a host's peak would be if a limit were per machine, or per address, where that makes a difference."""
    model = analysis.models[0]
    own = analysis.peak(analysis.host_number(name), model).peak
    other = Per.ADDRESS if analysis.per is not Per.ADDRESS else Per.MACHINE
    if analysis.surroundings.ends(other) is analysis.ends:
        return None
    beside = analysis.counted_per(other)
    peak = beside.peak(beside.host_number(name), model).peak
    if peak == own:
        return None
    if other is Per.MACHINE:
        what = f"its machine's {number(len(beside.addresses_of(beside.host_number(name))))} addresses together"
        return f"That is per address; {what} held {number(peak)} (--per machine)."
    return f"That is per {analysis.per.value}; the address alone held {number(peak)} (--per address)."


def document(analysis: Analysis) -> dict[str, Any]:
    """The vantage and its evidence, for JSON."""
    vantage = analysis.vantage
    gateway = vantage.gateway
    return {
        "kind": vantage.kind.value,
        "gateway": {
            "addresses": sorted(to_text(*words) for words in gateway.addresses),
            "macs": vantage.gateway_macs,
            "remote_addresses": gateway.remote,
            "outside_addresses": vantage.outside,
        },
        "machines": vantage.machines,
        "macs": vantage.macs,
        "seen_twice": int(vantage.twins.outside.size),
        "side": vantage.side,
        "per": vantage.per.value,
        "tunnels_followed": vantage.followed,
    }
