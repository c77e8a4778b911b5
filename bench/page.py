"""The benchmark page: what was measured, as Markdown, and a plot of time against packets."""

import textwrap
from pathlib import Path
from typing import Any

Found = dict[str, Any]

OURS, TABLE, WALK = "peerburst analyze", "flow table", "tcpdump"
NAMES = {TABLE: "**peerburst, flow table alone**", OURS: "**peerburst analyze**", WALK: "tcpdump, filter only"}
# Okabe and Ito's colours, which colour-blind readers can tell apart; ours are the thick ones.
STYLES = {
    "peerburst, flow table": ("#0072B2", 2.6, "o"),
    "peerburst analyze": ("#D55E00", 2.6, "s"),
    "tcpdump": ("#000000", 1.4, "v"),
    "softflowd": ("#009E73", 1.4, "^"),
    "nfpcapd": ("#CC79A7", 1.4, "D"),
    "argus": ("#E69F00", 1.4, "P"),
    "tcptrace": ("#56B4E9", 1.4, "X"),
}


def write_page(results: Found, docs: Path) -> None:
    """Write benchmarks.md, and its plot where it was measured, into the folder of the docs."""
    parts = [_head(results)]
    if "peers" in results:
        parts += [_targets(results), _peers(results["peers"])]
    if results.get("plot"):
        _plot(results["plot"], docs / "img" / "benchmarks.png")
        parts.append(
            "## Time against packets\n\n![Seconds against packets, both axes logarithmic](img/benchmarks.png)\n\n"
            "One run each of the first packets of 10M-500k. Start-up is what bends the lower ends.\n"
        )
    for name, make in (("real", _real), ("kinds", _kinds), ("packed", _packed), ("long", _long), ("flood", _flood)):
        if results.get(name):
            parts.append(make(results[name]))
    if "stages" in results:
        parts.append(_stages(results["stages"]))
    notes = Path(__file__).parent / "notes.md"
    if notes.exists():
        parts.append(notes.read_text(encoding="utf-8"))
    (docs / "benchmarks.md").write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")


def _fill(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 118, break_long_words=False, break_on_hyphens=False)


def _head(results: Found) -> str:
    machine = results["machine"]
    lines = [
        "# Benchmarks",
        "",
        _fill(
            f"Made by `make bench` on {machine['made']}: {machine['system']}, Python {machine['python']}. Each number"
            f" is the median of {machine['runs']} runs in which the programs took turns, three times as many of what"
            " takes less than a second, but one of the plot's points, of the stages and of what goes through a pipe;"
            " files are in the page cache, memory is the most a process held. Compare within this page, not across"
            " machines. `python bench/quick.py` gives the one ratio to watch while changing code, in half a minute."
        ),
        "",
        "Versions: " + "; ".join(f"{name}: {text}" for name, text in machine["programs"].items()) + ".",
    ]
    missing = results.get("peers", {}).get("missing")
    if missing:
        lines += ["", f"Not installed, so not measured: {', '.join(missing)}."]
    return "\n".join(lines) + "\n"


def _row(name: str, cost: Found, packets: int, table_s: float, scaled: bool) -> str:
    memory = f"{cost['peak_mb']:,.0f} MB" if cost["peak_mb"] else ""
    return (
        f"| {NAMES.get(name, name)}{' (scaled)' if scaled else ''} | {cost['seconds']:.3f} |"
        f" {packets / cost['seconds']:,.0f} | {memory} | {cost['seconds'] / table_s:.1f} |"
    )


def _table(costs: Found, packets: int, scaled: list[str]) -> str:
    head = ["| program | seconds | packets/s | peak memory | times the flow table |", "|---|---:|---:|---:|---:|"]
    table_s = costs[TABLE]["seconds"]
    ordered = sorted(costs.items(), key=lambda item: float(item[1]["seconds"]))
    return "\n".join(head + [_row(name, cost, packets, table_s, name in scaled) for name, cost in ordered]) + "\n"


def _peers(found: Found) -> str:
    parts = []
    for name, flows in (("1M-50k", "50,000"), ("10M-500k", "500,000")):
        part = found[name]
        parts.append(f"## {part['packets']:,} packets, {flows} flows\n")
        parts.append(_table(part["costs"], part["packets"], part["scaled"]))
        if part["scaled"]:
            parts.append("Scaled: measured on the first packets, and multiplied up.\n")
    return "\n".join(parts)


def _fastest(costs: Found) -> tuple[str, float]:
    meters = {name: costs[name]["seconds"] for name in ("softflowd", "nfpcapd", "argus", "tcptrace") if name in costs}
    name = min(meters, key=lambda meter: float(meters[meter]))
    return name, meters[name]


def _targets(results: Found) -> str:
    """The ratios this project set itself, and what they are."""
    rows: list[tuple[str, str, str, bool]] = []
    for name, times, walks in (("1M-50k", 12, 1.5), ("10M-500k", 20, 2.0)):
        costs = results["peers"][name]["costs"]
        table = costs[TABLE]["seconds"]
        if {"softflowd", "nfpcapd", "argus", "tcptrace"} & set(costs):
            meter, seconds = _fastest(costs)
            ratio = seconds / table
            rows.append(
                (f"{name}: flow table against {meter}", f"{times} times faster", f"{ratio:.1f}", ratio >= times)
            )
        if WALK in costs:
            ratio = table / costs[WALK]["seconds"]
            rows.append((f"{name}: flow table, of tcpdump's walk", f"{walks} times", f"{ratio:.2f}", ratio <= walks))
    small, large = results["peers"]["1M-50k"]["costs"], results["peers"]["10M-500k"]["costs"]
    if "nfstream" in small:
        ratio = small["nfstream"]["seconds"] / small[TABLE]["seconds"]
        rows.append(("1M-50k: flow table against nfstream", "100 times faster", f"{ratio:.0f}", ratio >= 100))
    if OURS in large:
        if {"softflowd", "nfpcapd", "argus", "tcptrace"} & set(large):
            meter, seconds = _fastest(large)
            ratio = seconds / large[OURS]["seconds"]
            rows.append((f"10M-500k: whole analyze against {meter}", "10 times faster", f"{ratio:.1f}", ratio >= 10))
        peak = large[OURS]["peak_mb"]
        rows.append(("10M-500k: peak memory of analyze", "400 MB", f"{peak:.0f} MB", peak <= 400))
        if "peerburst report" in large:
            ratio = large["peerburst report"]["seconds"] / large[OURS]["seconds"]
            rows.append(("10M-500k: report, of analyze", "3 times", f"{ratio:.2f}", ratio <= 3))
    rows += _other_targets(results)
    lines = ["## What was aimed at", "", "| what | target | measured | |", "|---|---|---:|---|"]
    lines += [f"| {what} | {target} | {got} | {'met' if met else '**missed**'} |" for what, target, got, met in rows]
    return "\n".join(lines) + "\n"


def _other_targets(results: Found) -> list[tuple[str, str, str, bool]]:
    rows = []
    if results.get("kinds"):
        for name, ratio in _kind_ratios(results["kinds"]).items():
            rows.append((f"{name}: per packet, of the plain case", "1.4 times", f"{ratio:.2f}", ratio <= 1.4))
    for name in ("gzip", "zstd"):
        costs = results.get("packed", {}).get("costs", {})
        if f"flow table of {name}" in costs:
            ratio = costs[f"flow table of {name}"]["seconds"] / costs[f"{name} -dc"]["seconds"]
            rows.append((f"{name}: of `{name} -dc` to nowhere", "1.2 times", f"{ratio:.2f}", ratio <= 1.2))
    long = results.get("long", {})
    if {"10M-500k", "100M-500k"} <= set(long) and all(part["cost"] for part in long.values()):
        short, whole = long["10M-500k"]["cost"], long["100M-500k"]["cost"]
        ratio = whole["peak_mb"] / short["peak_mb"]
        rows.append(("100 M against 10 M packets: memory", "1.1 times", f"{ratio:.2f}", ratio <= 1.1))
        ratio = whole["processor_s"] / short["processor_s"] / 10
        rows.append(("100 M against 10 M packets: cost per packet", "1.15 times", f"{ratio:.2f}", ratio <= 1.15))
    if results.get("flood"):
        peak = results["flood"]["costs"]["analyze"]["peak_mb"]
        rows.append(("5 M flows of one SYN: peak memory", "1,200 MB", f"{peak:,.0f} MB", peak <= 1200))
    limits = {"--help": 0.25, "analyze of 700 kB": 1.3}
    for name, cost in results.get("start", {}).get("costs", {}).items():
        got = cost["seconds"]
        rows.append((f"`{name}`, everything compiled", f"{limits[name]} s", f"{got:.2f} s", got <= limits[name]))
    return rows


def _real(found: Found) -> str:
    head = f"## Real captures, {found['captures']} of them over and over to ten million packets\n\n"
    return head + _table(found["costs"], 10_000_000, [])


def _kind_ratios(found: Found) -> dict[str, float]:
    """Per kind of capture, time over that of the plain one, beyond what reading the bytes takes."""
    beyond = {name: cost["seconds"] - found["reading_s"][name] for name, cost in found["costs"].items()}
    return {name: beyond[name] / beyond["1M-50k"] for name in beyond if name != "1M-50k"}


def _kinds(found: Found) -> str:
    lines = ["## Kinds of capture, flow table alone", "", "| trace | seconds | of it reading bytes | beyond that |"]
    lines.append("|---|---:|---:|---:|")
    for name, cost in found["costs"].items():
        reading = found["reading_s"][name]
        lines.append(f"| {name} | {cost['seconds']:.3f} | {reading:.3f} | {cost['seconds'] - reading:.3f} |")
    return "\n".join(lines) + "\n"


def _packed(found: Found) -> str:
    lines = ["## Compressed captures (1M-50k)", "", "| what | seconds |", "|---|---:|"]
    lines += [f"| {name} | {cost['seconds']:.3f} |" for name, cost in found["costs"].items()]
    return "\n".join(lines) + "\n"


def _long(found: Found) -> str:
    lines = ["## Through a pipe: `traces.py | peerburst analyze -`", ""]
    lines += ["| trace | seconds | processor seconds | ns/packet | peak memory |", "|---|---:|---:|---:|---:|"]
    for name, part in found.items():
        cost = part["cost"]
        if cost:
            each = cost["processor_s"] / part["packets"] * 1e9
            seconds = f"{cost['seconds']:.1f} | {cost['processor_s']:.1f}"
            lines.append(f"| {name} | {seconds} | {each:.0f} | {cost['peak_mb']:.0f} MB |")
    lines += [
        "",
        _fill(
            "The maker of the packets shares the processors, so their seconds are what counts here. In the slow trace"
            " the same flows last ten times as long and fall silent for more than five seconds ten times as often: each"
            " such silence ends a segment of 40 bytes, which is kept, for gateway models and talking are computed from"
            " them."
        ),
    ]
    return "\n".join(lines) + "\n"


def _flood(found: Found) -> str:
    cost = found["costs"]["analyze"]
    return (
        "## A flood of 5,000,000 flows of one SYN each\n\n"
        f"`analyze --format json`: {cost['seconds']:.1f} s, {cost['peak_mb']:,.0f} MB.\n"
    )


def _stages(found: Found) -> str:
    parts = ["## Where the time goes (10M-500k, `--timing`)\n"]
    parts += [f"`peerburst {command}`:\n\n```\n{text.strip()}\n```\n" for command, text in found.items()]
    return "\n".join(parts)


def _plot(found: Found, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 5.6), layout="constrained")
    for name, points in found.items():
        colour, width, marker = STYLES.get(name, ("#777777", 1.2, "."))
        packets = [int(count) for count in points]
        axes.plot(
            packets, list(points.values()), color=colour, linewidth=width, marker=marker, markersize=6, label=name
        )
    axes.set(xscale="log", yscale="log", xlabel="packets", ylabel="seconds")
    axes.set_title("Flow records from one file: seconds against packets", loc="left", fontsize=13)
    axes.grid(which="major", color="#dddddd")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
