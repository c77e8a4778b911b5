"""`peerburst timeline`: a host's count, row by row."""

from peerburst.cli import options
from peerburst.cli.reading import read_captures
from peerburst.render.formats import TableFormat


def timeline(
    captures: options.Captures = None,
    read: options.Read = None,
    host: options.Host = None,
    model: options.Model = None,
    step: options.Step = 1.0,
    format: options.TimelineAs = TableFormat.CSV,
    output: options.Output = None,
    local_net: options.LocalNet = None,
    gateway: options.Gateway = None,
    side: options.OfSide = None,
    per: options.Per = None,
    include_lan: options.IncludeLan = False,
    inner: options.Inner = False,
    count: options.Count = None,
    quiet: options.Quiet = False,
    progress: options.Progress = options.When.AUTO,
    timing: options.Timing = False,
) -> None:
    """Write a host's count over time.

    Columns: t_s (seconds), at (the count then), max and mean (until the next
    row), talking (those with a packet in the last five seconds).
    """
    settings = options.settings(
        model=model,
        local_net=local_net,
        include_lan=include_lan,
        inner=inner,
        count=count,
        gateway=gateway,
        side=side,
        per=per,
    )
    analysis = read_captures(options.paths(captures, read), settings, quiet=quiet, progress=progress)
    from peerburst.render.files import write_timeline

    frame = analysis.timeline(host or analysis.busiest(), analysis.models[0].name, step_s=step)
    write_timeline(frame, format, output)
