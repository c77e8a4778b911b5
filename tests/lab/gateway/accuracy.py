"""Replays captures through real Linux gateways, side by side, and writes how the product's counts compare, as JSON.

    python -m tests.lab.gateway.accuracy RESULT.json CAPTURE...

Takes as long as the longest capture, needs root, and asks for nothing but network namespaces of its own.
"""

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.gateway import frames, judge
from tests.lab.gateway.namespaces import missing
from tests.lab.gateway.replay import Witness, replay


@dataclass(frozen=True, slots=True)
class Verdict:
    """One capture's comparison."""

    witness: Witness
    product: judge.Product
    counts: dict[str, judge.Score]
    entries: judge.EntryScore
    limits: tuple[int, ...]

    def crossings(self) -> dict[int, tuple[int | None, int | None]]:
        """Per limit, when `ct count` first exceeded it: (kernel, product), in ns since the epoch."""
        return {limit: (self.witness.crossed_ns.get(limit), self.product.crossed_ns(limit)) for limit in self.limits}


USUAL_LIMITS = (50, 100, 150)


def limits_to_watch(product: judge.Product) -> tuple[int, ...]:
    """Limits that gateways have, and those that the busiest opener crosses early, late, at its very peak, and never."""
    peak = max((product.peak(opener) for opener in product.openers("linux-connlimit")), default=0)
    return tuple(sorted({peak // 4, peak // 2, peak * 3 // 4, peak - 1, peak, *USUAL_LIMITS} - {-1, 0}))


def hold_against_linux(paths: Mapping[str, str]) -> dict[str, Verdict]:
    """Replay all captures at once and compare each."""
    products = {name: judge.Product(path) for name, path in paths.items()}
    limits = {name: limits_to_watch(product) for name, product in products.items()}
    witnesses = replay({name: frames.load(path) for name, path in paths.items()}, limits)
    return {
        name: Verdict(
            witness,
            products[name],
            judge.compare_counts(witness, products[name]),
            judge.compare_entries(witness, paths[name]),
            limits[name],
        )
        for name, witness in witnesses.items()
    }


def _seconds(verdict: Verdict, instant: int | None) -> float | None:
    return None if instant is None else round((instant - verdict.witness.recording.first_ns) / 1e9, 6)


def summary(verdict: Verdict) -> dict[str, Any]:
    """A verdict in numbers."""
    recording, late = verdict.witness.recording, sorted(verdict.witness.late_ns) or [0]
    busiest = max(
        verdict.product.openers("linux-conntrack"),
        key=lambda opener: verdict.product.peak(opener, "linux-conntrack"),
        default="",
    )
    kernel_all, kernel_counted = judge.kernel_peak(verdict.witness, verdict.product, busiest)
    return {
        "seconds": round((recording.last_ns - recording.first_ns) / 1e9, 3),
        "frames": len(recording.frames),
        "left_out": recording.left_out,
        "late_ms": {
            "median": late[len(late) // 2] / 1e6,
            "p99": late[int(len(late) * 0.99)] / 1e6,
            "most": late[-1] / 1e6,
        },
        "counts": {
            model: {
                "host_seconds": score.compared,
                "equal": score.equal,
                "near_an_event": score.near_an_event,
                "worst": score.worst,
                "differences": score.differences[:20],
            }
            for model, score in verdict.counts.items()
        },
        "entries": {
            "compared": verdict.entries.compared,
            "equal": verdict.entries.equal,
            "near_a_packet": verdict.entries.near_a_packet,
            "differences": verdict.entries.differences[:20],
        },
        "peaks": {
            "kernel_when_listed": {"linux-conntrack": kernel_all, "linux-connlimit": kernel_counted},
            "product": {model: verdict.product.peak(busiest, model) for model in judge.MODELS},
        },
        "crossed_s": {
            str(limit): {"kernel": _seconds(verdict, kernel), "product": _seconds(verdict, product)}
            for limit, (kernel, product) in verdict.crossings().items()
        },
    }


def main(arguments: Sequence[str]) -> int:
    """Write the comparison of captures to a file; 0 if it could be made."""
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    if (lacking := missing()) is not None:
        print(f"no gateway can be built here: it {lacking}", file=sys.stderr)
        return 1
    target, *captures = arguments
    verdicts = hold_against_linux({Path(path).name.split(".")[0]: path for path in captures})
    told = {"kernel": platform.release(), "captures": {name: summary(verdict) for name, verdict in verdicts.items()}}
    Path(target).write_text(json.dumps(told, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
