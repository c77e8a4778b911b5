"""`peerburst doctor`: what a live capture needs on this machine, what is missing, and what to do."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import typer

from peerburst.analysis.humanize import one_line
from peerburst.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from peerburst.capture.live.doctor import Finding


def doctor() -> None:
    """Say what live capture needs here, and how to get what is missing."""
    from peerburst.capture.live.doctor import examine

    findings = examine()
    print("\n".join(lines(findings)))
    if not is_well(findings):
        raise typer.Exit(ExitCode.ERROR)


def is_well(findings: Sequence["Finding"]) -> bool:
    """Whether nothing is missing."""
    return all(finding.ok for finding in findings)


def lines(findings: Sequence["Finding"]) -> Iterator[str]:
    """Each finding, what to do about it, and whether a live capture can begin."""
    for finding in findings:
        mark = "ok      " if finding.ok else "NOT OK  "
        yield f"{mark}{finding.what}: {one_line(finding.state)}"
        if finding.advice:
            yield f"        {one_line(finding.advice)}"
    yield ""
    if is_well(findings):
        yield "Live capture is ready: peerburst live"
    else:
        yield "What is not ok stands in the way of a live capture, or makes it worse."
