"""`peerburst analyze`: the answer in sentences and tables, or as one JSON object."""

import sys
from typing import TYPE_CHECKING

from peerburst.cli import options
from peerburst.cli.reading import chosen_host, read_captures
from peerburst.render.formats import AnalysisFormat

if TYPE_CHECKING:
    from peerburst.analysis.analysis import Analysis


def analyze(
    captures: options.Captures = None,
    read: options.Read = None,
    host: options.Host = None,
    model: options.Model = None,
    limit: options.Limit = None,
    format: options.AnalysisAs = AnalysisFormat.TABLE,
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
    """Say how many connections each host held, and what they were.

    Also says what a limit would have done, under each gateway model.
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
    if format is AnalysisFormat.JSON:
        _write_json(analysis)
        return
    from peerburst.render import terminal

    terminal.print_analysis(analysis, chosen_host(analysis, host), terminal.console())


def _write_json(analysis: "Analysis") -> None:
    from peerburst.render.json_document import pieces

    for piece in pieces(analysis):
        sys.stdout.write(piece)
    sys.stdout.write("\n")
