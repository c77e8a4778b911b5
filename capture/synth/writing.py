"""Playing a scenario and writing what came of it: the capture and the two label tables."""

from dataclasses import dataclass
from pathlib import Path

from peerburst.capture.errors import SettingsError
from peerburst.capture.files.writer import container_of, open_capture
from peerburst.capture.synth.dice import Dice
from peerburst.capture.synth.labels import label_paths, write_flow_labels, write_packet_labels
from peerburst.capture.synth.scenario import GuestPlan, Scenario, read_scenario
from peerburst.capture.synth.site import Site, make_guest
from peerburst.capture.synth.stage import Stage
from peerburst.capture.synth.tape import Flow, Recorded, Tape


@dataclass(frozen=True, slots=True)
class SynthResult:
    """What was written. `wire_bytes` counts whole frames as they were on the wire, kept or not."""

    title: str
    capture: Path
    flow_labels: Path
    packet_labels: Path
    guests: int
    flows: int
    packets: int
    wire_bytes: int
    start_ns: int
    duration_s: float


def write_scenario(scenario_path: str | Path, out_path: str | Path) -> SynthResult:
    """Play the scenario file and write the capture to `out_path`, whose name tells format and compression.

    The labels stand beside it (see `labels`). SettingsError for a scenario that makes no sense, CaptureError when
    something cannot be written.
    """
    out = Path(out_path)
    container_of(out)  # a name we cannot write is better refused before the work than after it
    scenario = read_scenario(Path(scenario_path))
    packets = play(scenario)
    numbers = _label_flows(packets)
    flow_labels, packet_labels = label_paths(out)
    with open_capture(out, snaplen=scenario.capture.snaplen, comment=scenario.capture.title) as capture:
        for packet in packets:
            kept = min(packet.frame.length, scenario.capture.snaplen)
            capture.write(packet.time_ns, packet.frame.head[:kept].ljust(kept, b"\0"), packet.frame.length)
    flows = list(numbers.values())
    write_flow_labels(flow_labels, [flow for _, flow in flows])
    write_packet_labels(packet_labels, [numbers[id(packet.flow)][0] for packet in packets])
    return SynthResult(
        title=scenario.capture.title,
        capture=out,
        flow_labels=flow_labels,
        packet_labels=packet_labels,
        guests=len(scenario.guests),
        flows=len(flows),
        packets=len(packets),
        wire_bytes=sum(packet.frame.length for packet in packets),
        start_ns=_start_ns(scenario),
        duration_s=scenario.capture.duration_s,
    )


def play(scenario: Scenario) -> list[Recorded]:
    """All packets of the scenario, by time."""
    capture = scenario.capture
    tape = Tape(_start_ns(scenario), capture.duration_s)
    site = Site(capture.seed, scenario.gateway_mac, scenario.dns, scenario.lan)
    for plan in scenario.guests:
        _play_guest(plan, scenario, tape, site)
    return list(tape.packets())


def _play_guest(plan: GuestPlan, scenario: Scenario, tape: Tape, site: Site) -> None:
    guest = make_guest(plan.name, plan.address, plan.mac, plan.v6)
    end_s = scenario.capture.duration_s
    for number, run in enumerate(plan.programs):
        stage = Stage(
            tape=tape,
            site=site,
            guest=guest,
            # A stream of its own for each program: changing one leaves the others' chance as it was.
            dice=Dice(scenario.capture.seed, f"{plan.name}/{number}/{run.program.kind}"),
            program=run.program.kind,
            traffic_class=run.program.traffic_class,
            start_s=run.hours.start_s,
            end_s=end_s if run.hours.stop_s is None else min(end_s, run.hours.stop_s),
            v6=run.hours.ipv6,
        )
        try:
            run.program.play(run.settings, stage)
        except SettingsError as error:
            raise SettingsError(f"{run.where}: {error}") from error


def _label_flows(packets: list[Recorded]) -> dict[int, tuple[int, Flow]]:
    """Flows numbered in the order of their first packets, by identity; fills in their times and packet counts."""
    numbers: dict[int, tuple[int, Flow]] = {}
    for packet in packets:
        flow = packet.flow
        numbers.setdefault(id(flow), (len(numbers), flow))
        if flow.first_ns is None:
            flow.first_ns = packet.time_ns
        flow.last_ns = packet.time_ns
        flow.packets += 1
    return numbers


def _start_ns(scenario: Scenario) -> int:
    """The capture's first instant, whole microseconds since the epoch, without a float in between."""
    start = scenario.capture.start
    whole_seconds = int(start.replace(microsecond=0).timestamp())
    return whole_seconds * 1_000_000_000 + start.microsecond * 1000
