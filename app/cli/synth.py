"""`peerburst synth`: a capture played from a scenario."""

from peerburst.analysis.humanize import counted, size, span
from peerburst.cli import options
from peerburst.cli.messages import say


def synth(
    scenario: options.Scenario,
    output: options.SynthOutput,
    quiet: options.Quiet = False,
) -> None:
    """Write a capture from a scenario file, every packet labelled."""
    from peerburst.capture.synth import write_scenario

    made = write_scenario(scenario, output)
    if not quiet:
        say(
            f"{made.capture}: {counted(made.packets, 'packet')}, {counted(made.flows, 'flow')}, {size(made.wire_bytes)}"
            f" on the wire, {span(made.duration_s)}; labels in {made.flow_labels} and {made.packet_labels}"
        )
