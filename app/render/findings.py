"""What a live capture needs on this machine, as lines for people: what is there, what is not, what to do."""

from collections.abc import Iterator, Sequence

from peerburst.analysis.humanize import one_line
from peerburst.capture.live.doctor import Finding


def is_well(findings: Sequence[Finding]) -> bool:
    return all(finding.ok for finding in findings)


def lines(findings: Sequence[Finding]) -> Iterator[str]:
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
