"""The truth beside a made capture: which guest and program each packet and each flow came from.

Two tables of comma-separated values. `*.labels.csv.zst` has one row per flow; `*.packets.csv.zst` gives the label of
every packet, numbered from 1 as in a packet list. Times are nanoseconds since the epoch.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from peerburst.capture.files.writer import written_whole
from peerburst.capture.synth.tape import Flow

FLOW_COLUMNS = (
    *("label", "guest", "program", "class", "kind"),
    *("proto", "orig_h", "orig_p", "resp_h", "resp_p", "first_ns", "last_ns", "packets"),
)


def label_paths(capture: Path) -> tuple[Path, Path]:
    """Where the flow labels and the packet labels of `capture` stand: beside it, its name and then some."""
    return capture.with_name(f"{capture.name}.labels.csv.zst"), capture.with_name(f"{capture.name}.packets.csv.zst")


def write_flow_labels(path: Path, flows: Sequence[Flow]) -> None:
    """One row per flow; a flow's label is its place in `flows`, counted from 0."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(FLOW_COLUMNS)
    for label, flow in enumerate(flows):
        who = (label, flow.guest, flow.program, flow.traffic_class.value, flow.kind.word, flow.protocol)
        ends = (flow.orig_h, flow.orig_p, flow.resp_h, flow.resp_p)
        table.writerow((*who, *ends, flow.first_ns, flow.last_ns, flow.packets))
    with written_whole(path) as file:
        file.write(text.getvalue().encode())


def write_packet_labels(path: Path, labels: Sequence[int]) -> None:
    """One row per packet, in the capture's order."""
    with written_whole(path) as file:
        file.write(b"packet,label\n")
        file.write("".join(f"{number},{label}\n" for number, label in enumerate(labels, 1)).encode())
