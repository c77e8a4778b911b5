"""Compare the answers of two installations on the same captures, and print what differs.

    python -m tests.lab.answers OLD_PYTHON NEW_PYTHON CAPTURE|FOLDER... [--renamed FILE] [--report] [--live]

Each Python is one in which peerburst is installed. Every capture goes through `analyze` (as sentences and as JSON),
`flows` and `timeline`; with `--report` through `report` too (pictures are compared by digest), with `--live` through
`live -r -`, whose last words are compared. FILE says what was renamed on purpose: a line "old new" for a word, "key old
new" for a value of a JSON key. They are replaced in the old answers first. Exit code 1 if anything differs.
"""

import argparse
import difflib
import hashlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

CAPTURES = (".pcap", ".pcapng", ".cap", ".gz", ".zst", ".xz", ".lz4", ".bz2", ".erf", ".snoop")
SHOWN = 12  # lines of one difference
TIMEOUT_S = 120

# Runs in the installation at hand: one process for all captures, for starting takes longer than most of them.
WORKER = r"""
import contextlib, io, json, os, sys, tempfile
try:
    from peerburst.cli.main import main
except ImportError:
    from peerburst.cli import main
os.environ.update(COLUMNS="132", NO_COLOR="1")

class Out(io.StringIO):
    def fileno(self):
        raise io.UnsupportedOperation

def answer(arguments):
    out, err = Out(), Out()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(arguments)
        except BaseException as error:
            code = f"{type(error).__name__}: {error}"
    return [code, out.getvalue(), err.getvalue()]

for line in sys.stdin:
    name, arguments = json.loads(line)
    print(json.dumps([name, *answer(arguments)]), file=sys.__stdout__, flush=True)
"""


def captures(places: Sequence[str]) -> Iterator[Path]:
    """The captures named, and those below the folders named."""
    for place in map(Path, places):
        if place.is_dir():
            yield from sorted(path for path in place.rglob("*") if path.suffix in CAPTURES and path.is_file())
        else:
            yield place


def questions(path: Path, folder: Path, *, with_report: bool) -> list[tuple[str, list[str]]]:
    """(name, arguments) of what each installation is asked about a capture."""
    text = str(path)
    asked = [
        ("analyze", ["analyze", text]),
        ("json", ["analyze", text, "--format", "json"]),
        ("flows", ["flows", text]),
        ("timeline", ["timeline", text, "--step", "1"]),
    ]
    if with_report:
        asked.append(("report", ["report", text, "-o", str(folder / path.name)]))
    return [(f"{name} {path}", arguments) for name, arguments in asked]


def answers(python: str, asked: Sequence[tuple[str, list[str]]]) -> dict[str, str]:
    """What an installation answers, by name: exit code, standard output, standard error."""
    lines = "".join(json.dumps(question) + "\n" for question in asked)
    done = subprocess.run([python, "-c", WORKER], input=lines, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{python}: {done.stderr.strip()}")
    found = {}
    for line in done.stdout.splitlines():
        name, code, out, err = json.loads(line)
        found[name] = f"exit {code}\n{out}\n{err}"
    return found


def leaves(value: object, path: str = "") -> Iterator[str]:
    """A line for each number and text of a JSON document, with the way to it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{i}]")
    else:
        yield f"{path} = {value!r}"


def lines_of(name: str, answer: str) -> list[str]:
    """An answer in pieces that can be compared: a document by its leaves, sentences however they are wrapped."""
    code, _, rest = answer.partition("\n")
    if name.startswith("json") and rest.startswith("{"):
        document, end = json.JSONDecoder().raw_decode(rest)
        return [code, *leaves(document), *rest[end:].split("\n")]
    if name.startswith(("analyze", "live")):
        return [code, *re.split(r"(?<=[.:;]) ", " ".join(rest.split()))]
    return answer.splitlines()


def digests(folder: Path) -> str:
    """The files of a report, each with the digest of what is in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return "\n".join(
        f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
        if path.suffix == ".png"
        else f"{path.relative_to(folder)}\n{path.read_text(errors='replace')}"
        for path in files
    )


def live_verdict(python: str, path: Path) -> str:
    """What `live -r -` says in the end of a capture on its standard input; lines of the clock are left out."""
    with path.open("rb") as stream:
        done = subprocess.run(
            [python, "-m", "peerburst", "live", "-r", "-", "--plain"],
            stdin=stream,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
    said, is_of_the_clock = [], False
    for line in done.stdout.splitlines():
        is_of_the_clock = line.startswith("  +") or (is_of_the_clock and line.startswith(" " * 8))
        if not is_of_the_clock:
            said.append(line)
    return f"exit {done.returncode}\n" + "\n".join(said)


class Renamed:
    """What was renamed on purpose: words anywhere, and values of JSON keys."""

    def __init__(self, path: str | None) -> None:
        lines = Path(path).read_text().splitlines() if path is not None else []
        rows = [line.split() for line in lines if line.strip() and not line.startswith("#")]
        self._words = {row[0]: row[1] for row in rows if len(row) == 2}
        self._values = {
            f".{key} = {old!r}": f".{key} = {new!r}" for key, old, new in (row for row in rows if len(row) == 3)
        }

    def words(self, text: str) -> str:
        for old, new in self._words.items():
            text = re.sub(rf"\b{re.escape(old)}\b", new, text)
        return text

    def value(self, leaf: str) -> str:
        for old, new in self._values.items():
            if leaf.endswith(old):
                return leaf.removesuffix(old) + new
        return leaf


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("captures", nargs="+")
    parser.add_argument("--renamed")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--live", action="store_true")
    wanted = parser.parse_args()
    paths = list(captures(wanted.captures))
    renamed = Renamed(wanted.renamed)
    found: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory() as place:
        for number, python in enumerate((wanted.old, wanted.new)):
            folder = Path(place) / str(number)
            asked = [one for path in paths for one in questions(path, folder, with_report=wanted.report)]
            said = {name: text.replace(str(folder), "REPORT") for name, text in answers(python, asked).items()}
            for path in paths if wanted.report else ():
                said[f"report's files {path}"] = digests(folder / path.name)
            for path in paths if wanted.live else ():
                said[f"live {path}"] = live_verdict(python, path)
            found.append(said)
    old, new = found
    differ = 0
    for name, before in old.items():
        one = [renamed.value(line) for line in lines_of(name, renamed.words(before))]
        other = lines_of(name, new.get(name, ""))
        if one == other:
            continue
        differ += 1
        print(f"== {name}")
        difference = difflib.unified_diff(one, other, lineterm="", n=0)
        for line in list(difference)[2 : 2 + SHOWN]:
            print(f"   {line[:200]}")
    print(f"{len(paths)} captures, {len(old)} answers, {differ} differ")
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main())
