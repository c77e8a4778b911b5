"""The report folder: pictures, the summary as text, the numbers as JSON, and one page that shows them all."""

import html
import io
import os
from pathlib import Path

from peerburst.analysis.analysis import Analysis
from peerburst.analysis.figures import registry, sheet
from peerburst.analysis.humanize import one_line
from peerburst.capture.compiled.stopwatch import stage
from peerburst.capture.errors import SettingsError
from peerburst.render import terminal
from peerburst.render.json_document import pieces

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #1f2328; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }}
pre {{ background: #f6f8fa; padding: 1rem; overflow-x: auto; font-size: 14px; line-height: 1.4; }}
img {{ max-width: 100%; height: auto; margin: 1rem 0; border: 1px solid #d0d7de; }}
</style>
</head>
<body>
<h1>{title}</h1>
{first_image}
<pre>{summary}</pre>
{images}
<p>The numbers behind this page: <a href="analysis.json">analysis.json</a>.</p>
</body>
</html>
"""


def summary_text(analysis: Analysis, host: str) -> str:
    """What `analyze` prints, as plain text."""
    out = io.StringIO()
    shown = analysis.host(analysis.host_number(host))
    terminal.print_analysis(analysis, shown, terminal.console(out))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def write(analysis: Analysis, folder: str | os.PathLike[str], host: str) -> list[Path]:
    """Write the report on a host; returns the paths of its files. Raises SettingsError if a file cannot be written."""
    place = Path(folder)
    text = summary_text(analysis, host)
    title = f"{host}: connections as a gateway sees them"
    first, *others = [f'<img src="{name}.png" alt="{html.escape(f"{name} of {host}")}">' for name in registry.FIGURES]
    page = PAGE.format(
        title=html.escape(one_line(title)), first_image=first, summary=html.escape(text), images="\n".join(others)
    )
    numbers = "".join(pieces(analysis, indent=1))
    files = []
    try:
        place.mkdir(parents=True, exist_ok=True)
        for name, content in (("verdict.txt", text), ("analysis.json", numbers + "\n"), ("index.html", page)):
            (place / name).write_text(content, encoding="utf-8")
            files.append(place / name)
    except OSError as error:
        raise SettingsError(f"{place} cannot be written: {error.strerror or error}") from error
    for name in registry.FIGURES:
        with stage("figures"):
            figure = registry.figure(analysis, name, host, model=analysis.models[0].name)
            sheet.save(figure, place / f"{name}.png")
        files.append(place / f"{name}.png")
    return files
