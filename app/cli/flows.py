"""`peerburst flows`: every flow as a row, for other tools."""

from peerburst.cli import options
from peerburst.cli.reading import read_captures
from peerburst.render.formats import FlowFormat


def flows(
    captures: options.Captures = None,
    read: options.Read = None,
    format: options.FlowsAs = FlowFormat.CSV,
    output: options.Output = None,
    model: options.Model = None,
    local_net: options.LocalNet = None,
    gateway: options.Gateway = None,
    side: options.OfSide = None,
    per: options.Per = None,
    inner: options.Inner = False,
    count: options.Count = None,
    quiet: options.Quiet = False,
    progress: options.Progress = options.When.AUTO,
    timing: options.Timing = False,
) -> None:
    """Write every flow, with the names of Zeek's conn.log."""
    settings = options.settings(
        model=model, local_net=local_net, inner=inner, count=count, gateway=gateway, side=side, per=per
    )
    analysis = read_captures(options.paths(captures, read), settings, quiet=quiet, progress=progress)
    from peerburst.render.files import write_flows

    write_flows(analysis, format, output)
