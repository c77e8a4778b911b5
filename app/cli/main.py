"""The program: joins the commands, and turns errors into a sentence and an exit code.

Exit codes: 0 success, 1 error, 2 usage, 3 alert. Answers go to standard output, all else to standard error. Commands
import heavy modules when they run, so that `--help` answers at once.
"""

import contextlib
import os
import sys
from typing import Any, NoReturn

import typer

from peerburst._version import __version__
from peerburst.analysis.figures import registry
from peerburst.capture.errors import PeerburstError, SettingsError
from peerburst.cli import gateways, options, timing
from peerburst.cli.analyze import analyze
from peerburst.cli.dissect import dissect
from peerburst.cli.doctor import doctor
from peerburst.cli.exit_codes import ExitCode
from peerburst.cli.flows import flows
from peerburst.cli.live import live
from peerburst.cli.messages import say
from peerburst.cli.report import report
from peerburst.cli.synth import synth
from peerburst.cli.timeline import timeline

COMMANDS_IN_ORDER = (analyze, report, flows, timeline, synth, live, doctor, dissect)  # of the help
COMMANDS = (*(command.__name__ for command in COMMANDS_IN_ORDER), "gateways")
OWN_OPTIONS = ("-h", "--help", "-V", "--version", "--install-completion", "--show-completion")

app = typer.Typer(
    name="peerburst",
    help="What a host's connections look like to the gateway in front of it.",
    epilog="peerburst CAPTURE... is short for peerburst analyze CAPTURE...\n\n"
    "Exit codes: 0 success, 1 error, 2 usage, 3 alert.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in COMMANDS_IN_ORDER:
    app.command(epilog=registry.listed() if command is report else None)(command)
app.add_typer(gateways.app, name="gateways")


@app.callback(invoke_without_command=True)
def _main(version: options.Version = False) -> None:
    if version:
        print(f"peerburst {__version__}")
        raise typer.Exit


def with_command(arguments: list[str]) -> list[str]:
    """`peerburst CAPTURE...` means `peerburst analyze CAPTURE...`."""
    if not arguments or arguments[0] in COMMANDS or arguments[0] in OWN_OPTIONS:
        return arguments
    return ["analyze", *arguments]


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; answers the exit code."""
    try:
        code = _run(with_command(sys.argv[1:] if arguments is None else arguments))
        timing.report()
        return code
    except PeerburstError as error:
        say(str(error))
        return ExitCode.USAGE if isinstance(error, SettingsError) else ExitCode.ERROR
    except KeyboardInterrupt:
        say("interrupted")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has closed it, as `| head` does: that is no error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.SUCCESS
    except OSError as error:
        # Reading raises PeerburstError: an OSError comes from where the answer is written.
        say(f"the answer cannot be written: {error.strerror or error}")
        return ExitCode.ERROR
    except MemoryError:
        say("not enough memory for this capture; read a part of it with -c")
        return ExitCode.ERROR


def _run(arguments: list[str]) -> int:
    # UsageError: old versions of typer import it from click, new ones from a copy that they bring along.
    usage_error: Any = typer.BadParameter.__base__
    command: Any = typer.main.get_command(app)
    try:
        code = command.main(args=arguments, prog_name="peerburst", standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except usage_error as error:
        error.show(sys.stderr)
        return int(error.exit_code)
    except SystemExit as left:
        # Typer and rich exit like this when nobody reads the output any more.
        if isinstance(left.__context__, BrokenPipeError):
            raise left.__context__ from None
        raise
    sys.stdout.flush()
    return code if isinstance(code, int) else ExitCode.SUCCESS


def run() -> NoReturn:
    """Run the command line of this process, write out what is buffered, and exit at once.

    An orderly end would free millions of objects one by one, a twentieth of a second for nothing.
    """
    if sys.stdout is None:  # it was closed before the start, so nobody reads the answer
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    code = main()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # it is closed, or nobody reads it
            stream.flush()
    os._exit(code)
