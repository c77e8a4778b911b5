"""docs/accuracy.md, written from the numbers of the last runs."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from . import rules

TALLIES = {
    "counts": "packets in a capture",
    "frames": "what a packet is: addresses, ports, protocol, IP length, TCP flags and data",
    "instants": "a packet's instant, to the nanosecond",
    "pairs": "packets and bytes of a 5-tuple, each direction",
    "conversations": "flows of a 5-tuple against tshark's conversations",
    "directions": "who began a TCP flow",
    "flags": "which end of a TCP flow sent SYN, SYN+ACK, FIN, RST",
}
REASONS: Mapping[str, str] = {
    **{rule.name: rule.reason for rule in rules.FRAME_RULES},
    **rules.INSTANT_REASONS,
    **rules.COUNT_REASONS,
    **rules.CONVERSATION_REASONS,
    **rules.DIRECTION_REASONS,
}
FOLDERS = {
    "traffic": "captures of known kinds of traffic",
    "formats": "captures of many link types, tunnels and file formats",
    "hostile": "captures made to break parsers",
}
FOLDER_COLUMNS = ("files", "refused", "packets")
NOT_RUN = "Not run yet."


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; numbers with thousands separated, and to the right."""
    text = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    numeric = [all(row[i].replace(",", "").replace(".", "").isdigit() for row in text) for i in range(len(head))]
    rule = [" ---: " if right and text else " --- " for right in numeric]
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join(rule) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in text])


def _prose(*parts: str) -> str:
    """One paragraph, wrapped as the other pages are."""
    return textwrap.fill(" ".join(parts), 118, break_long_words=False, break_on_hyphens=False)


def _paragraphs(*texts: str) -> str:
    return "\n\n".join(texts)


def _known_differences(tallies: Mapping[str, Any]) -> str:
    rows = [
        (words.split(":")[0], one["rule"], one["times"], one["captures"], REASONS.get(one["rule"], "not explained"))
        for tally, words in TALLIES.items()
        for one in tallies[tally]["differ"]
    ]
    return _table(("in", "kind", "times", "captures", "why"), rows)


def _agreement(tallies: Mapping[str, Any]) -> str:
    rows = []
    for tally, words in TALLIES.items():
        numbers = tallies[tally]
        times = {one["rule"]: one["times"] for one in numbers["differ"]}
        unexplained = times.get(rules.OTHER, 0)
        rows.append((words, numbers["compared"], numbers["equal"], sum(times.values()) - unexplained, unexplained))
    return _table(("compared", "number", "equal", "differ by a known rule", "unexplained"), rows)


def _against_tshark(numbers: Mapping[str, Any] | None) -> str:
    if numbers is None:
        return NOT_RUN
    folders = [(words, *(numbers["folders"][name][k] for k in FOLDER_COLUMNS)) for name, words in FOLDERS.items()]
    return _paragraphs(
        _prose(
            f"Run on {numbers['date']}: peerburst {numbers['peerburst']}, tshark {numbers['tshark']}. Both read each",
            "capture, and every packet is compared; of a packet in a tunnel the outermost IP header counts. Lengths",
            "are those of the IP header, not of the frame. tshark's reassembly of fragments is off, so that both see",
            "ports where they are: in the first fragment.",
        ),
        _table(("captures", "files", "refused by design", "packets"), folders),
        _agreement(numbers["tallies"]),
        "Every difference is recognised by code as one of these kinds; nothing is put under one by hand.",
        _known_differences(numbers["tallies"]),
    )


def _against_gateway(numbers: Mapping[str, Any] | None) -> str:
    """From what tests/lab/gateway/accuracy.py writes."""
    if numbers is None:
        return NOT_RUN
    counts, peaks, crossings = [], [], []
    for name, capture in numbers["captures"].items():
        for model, score in capture["counts"].items():
            share = 100 * score["equal"] / score["host_seconds"] if score["host_seconds"] else 100.0
            cells = (score["host_seconds"], score["equal"], f"{share:.2f} %", score["near_an_event"], score["worst"])
            counts.append((name, model, *cells))
            kernel, product = capture["peaks"]["kernel_when_listed"][model], capture["peaks"]["product"][model]
            peaks.append((name, model, kernel, product))
        for limit, crossed in capture["crossed_s"].items():
            crossings.append((name, int(limit), _instant(crossed["kernel"]), _instant(crossed["product"])))
    return _paragraphs(
        _prose(
            f"Linux {numbers['kernel'].split('-')[0]}. Each capture is replayed at its recorded times through a",
            "gateway made of network namespaces, and its connection table is listed every second; entries that have",
            "expired but are not swept yet are left out. A host-second is one host at one listing. Where a packet or a",
            "timeout falls within 50 ms of a listing, the counts on both sides of it are accepted (`near an event`).",
        ),
        _table(("capture", "model", "host-seconds", "equal", "share", "near an event", "worst difference"), counts),
        "The most entries of the busiest host; between two listings the table may have held more than either showed.",
        _table(("capture", "model", "gateway, when listed", "peerburst, at any instant"), peaks),
        "Seconds after the first packet at which a rule `ct count over` a limit first matched, and peerburst's answer.",
        _table(("capture", "limit", "gateway", "peerburst"), crossings),
    )


def _instant(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.3f}"


def _hostile(numbers: Mapping[str, Any] | None) -> str:
    """From what tests/lab/hostile/sweep.py tells."""
    if numbers is None:
        return NOT_RUN
    return _prose(
        f"Run on {numbers['date']}: `peerburst analyze --inner --format json` on {numbers['files']:,} malformed,",
        "truncated and adversarial files that broke other tools, one after the other in one process.",
        f"{numbers.get('answered', 0):,} were answered (exit code 0), {numbers.get('refused', 0):,} refused with a",
        f"sentence (exit code 1), {len(numbers['faults']):,} went wrong in any way. All took",
        f"{numbers['seconds']:.1f} s, the slowest {numbers['slowest_s'] * 1000:.0f} ms; the process never held more",
        f"than {numbers['peak_mib']:,} MiB.",
    )


def _fuzz(runs: Sequence[Mapping[str, Any]] | None) -> str:
    """From the runs that tests/lab/hostile/mutation.py and fuzz.py add up."""
    if not runs:
        return "Fuzzing: not run yet."
    rows = []
    for what, chosen in FUZZED.items():
        some = [run for run in runs if (run["fuzzer"], run.get("way")) == chosen]
        executions, seconds = sum(run["executions"] for run in some), sum(run["seconds"] for run in some)
        rows.append((what, f"{executions:,}", f"{seconds:,.0f} s", sum(len(run["crashes"]) for run in some)))
    return _paragraphs(
        _prose(
            "Fuzzed: small captures of every container, link type, header and tunnel, changed at random. Nothing but a",
            "sentence may come of it, and the sums must agree. The kernels alone take most of the runs, because a run",
            "through the whole reader costs some thirty times as much.",
        ),
        _table(("what was run", "captures made", "time", "failures"), rows),
    )


# What the fuzzers ran, by their own names: (fuzzer, way).
FUZZED = {
    "compiled, the whole reader and the flow table": ("mutation", "reader"),
    "compiled, the kernels on an image in memory": ("mutation", "kernels"),
    "uncompiled, the whole reader, guided by coverage (atheris)": ("atheris", None),
}


def page(
    tshark: Mapping[str, Any] | None,
    gateway: Mapping[str, Any] | None,
    hostile: Mapping[str, Any] | None,
    fuzz: Sequence[Mapping[str, Any]] | None,
) -> str:
    """The whole page; None for a run whose numbers are not there."""
    text = _paragraphs(
        "# Accuracy",
        _prose(
            "What peerburst says, held against tools and machines that were not written with it. `make accuracy` runs",
            "it all again and rewrites this page; the captures are other people's and not part of the project.",
        ),
        "## Packets and flows against tshark",
        _against_tshark(tshark),
        "## Connection counts against a real Linux gateway",
        _against_gateway(gateway),
        "## Files that break parsers",
        _hostile(hostile),
        _fuzz(fuzz),
    )
    return text + "\n"
