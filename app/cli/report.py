"""`peerburst report`: a folder with pictures, sentences and numbers."""

from pathlib import Path

from peerburst.cli import options
from peerburst.cli.reading import read_captures


def report(
    captures: options.Captures = None,
    read: options.Read = None,
    output: options.ReportFolder = "peerburst-report",
    host: options.Host = None,
    model: options.Model = None,
    limit: options.Limit = None,
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
    """Write a folder with pictures, the verdict and the numbers.

    Prints the verdict, and where the folder is.
    """
    settings = options.settings(
        model=model,
        limit=limit,
        local_net=local_net,
        include_lan=include_lan,
        inner=inner,
        count=count,
        gateway=gateway,
        side=side,
        per=per,
    )
    analysis = read_captures(options.paths(captures, read), settings, quiet=quiet, progress=progress)
    from peerburst.render import report as report_folder
    from peerburst.render import terminal

    shown = analysis.host(analysis.host_number(host or analysis.busiest()))
    name = shown.name
    terminal.print_analysis(analysis, shown, terminal.console())
    files = report_folder.write(analysis, output, name)
    print(f"\nThe report is in {Path(output).resolve()}: {', '.join(path.name for path in files)}")
