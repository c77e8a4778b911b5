"""The command line: asks, prints, and turns errors into a sentence and an exit code.

Exit codes: 0 ok, 1 could not, 2 usage, 3 a check or limit failed. Data goes to standard output, all else to standard
error. Heavy modules are imported by the commands that need them, so that `--help` answers at once.
"""

import contextlib
import gc
import os
import sys
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from peerburst import __version__
from peerburst.analysis.figures import registry
from peerburst.capture.compiled import stopwatch as timing
from peerburst.capture.errors import PeerburstError, SettingsError

if TYPE_CHECKING:
    from peerburst.analysis.analysis import Analysis
    from peerburst.analysis.results import Host

COULD_NOT, USAGE, INTERRUPTED = 1, 2, 130

app = typer.Typer(
    name="peerburst",
    help="What a host's connections look like to the gateway in front of it.",
    epilog="peerburst CAPTURE... is short for peerburst analyze CAPTURE...",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
gateways_app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="List the gateway models, or show one with its sources.",
)
app.add_typer(gateways_app, name="gateways")


class AnalysisFormat(StrEnum):
    table = "table"
    json = "json"


class FlowsFormat(StrEnum):
    csv = "csv"
    jsonl = "jsonl"
    parquet = "parquet"
    zeek = "zeek"


class TimelineFormat(StrEnum):
    csv = "csv"
    jsonl = "jsonl"


class LiveFormat(StrEnum):
    plain = "plain"
    jsonl = "jsonl"


class When(StrEnum):
    auto = "auto"
    on = "on"
    off = "off"


Captures = Annotated[
    list[str] | None, typer.Argument(metavar="CAPTURE...", help="pcap or pcapng, plain or compressed; - is stdin.")
]
Read = Annotated[list[str] | None, typer.Option("-r", "--read", metavar="FILE", help="A capture to read; repeatable.")]
Inner = Annotated[
    bool, typer.Option("--inner", help="Follow tunnels: GRE, IP-in-IP, 6in4, Teredo, VXLAN, Geneve, GTP.")
]
Count = Annotated[int | None, typer.Option("-c", "--count", metavar="N", help="Stop after N packets.")]
LocalNet = Annotated[
    list[str] | None,
    typer.Option("--local-net", metavar="CIDR", help="A network of local hosts, instead of the private ranges."),
]
IncludeLan = Annotated[bool, typer.Option("--include-lan", help="Count traffic between local hosts too.")]
Model = Annotated[
    list[str] | None,
    typer.Option("--model", metavar="NAME|FILE", help="A gateway model, flat:SECONDS or a .toml file; repeatable."),
]
Limit = Annotated[
    list[int] | None,
    typer.Option("--limit", metavar="N", help="A limit per host (200); repeatable, the first is drawn."),
]
HostName = Annotated[str | None, typer.Option("--host", metavar="ADDRESS", help="The host to speak of; the busiest.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No warnings and no progress on stderr.")]


def _keep_time(asked: bool) -> bool:
    if asked:
        timing.start()
    return asked


Timing = Annotated[bool, typer.Option("--timing", callback=_keep_time, help="Say on stderr how long each stage took.")]
Progress = Annotated[When, typer.Option("--progress", help="Show how far reading is, on stderr.")]
Output = Annotated[str | None, typer.Option("-o", "--output", metavar="FILE", help="Write here instead of stdout.")]


@contextlib.contextmanager
def _kept_for_good() -> Iterator[None]:
    """Around imports: what they make stays, and looking through it for garbage takes a tenth of a second."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


def _open(
    captures: list[str] | None,
    read: list[str] | None,
    *,
    inner: bool,
    count: int | None,
    local_net: list[str] | None,
    include_lan: bool,
    model: list[str] | None,
    limit: list[int] | None,
    quiet: bool,
    progress: When,
) -> "Analysis":
    """Read the captures with these options; warnings go to standard error."""
    paths = [*(read or []), *(captures or [])]
    if not paths:
        raise typer.BadParameter("name a capture to read (- is standard input)")
    with _kept_for_good():
        from peerburst.analysis.settings import Settings
        from peerburst.opening import analyse
        from peerburst.render.progress import ReadingProgress

    settings = Settings(
        models=tuple(model or ()),
        limits=_limits(limit),
        local_nets=tuple(local_net) if local_net else None,
        include_lan=include_lan,
        follow_tunnels=inner,
        most_packets=count,
    )
    shown = progress is When.on or (progress is When.auto and sys.stderr.isatty() and not quiet)
    with ReadingProgress(sys.stderr if shown else None) as watch:
        analysis = analyse(paths, settings, watch.update)
    if not quiet:
        for warning in analysis.capture.warnings:
            _say(f"warning: {warning}")
    return analysis


def _limits(limit: list[int] | None) -> tuple[int, ...]:
    """The limits asked for; one alone stands among the usual ones, first."""
    from peerburst.analysis.settings import DEFAULT_LIMITS

    if not limit:
        return ()
    return (*limit, *(usual for usual in DEFAULT_LIMITS if usual not in limit)) if len(limit) == 1 else tuple(limit)


def _chosen_limit(limit: list[int] | None) -> int:
    from peerburst.analysis.settings import DEFAULT_LIMIT

    return limit[0] if limit else DEFAULT_LIMIT


def _chosen_host(analysis: "Analysis", name: str | None) -> "Host | None":
    if name is not None:
        return analysis.host(analysis.host_number(name))
    return analysis.host(analysis.ranked[0]) if analysis.ranked else None


def _say(text: str) -> None:
    """One line on standard error; control characters from file names stay harmless."""
    from peerburst.analysis.humanize import one_line

    print(f"peerburst: {one_line(text)}", file=sys.stderr)


@app.command()
def analyze(
    captures: Captures = None,
    read: Read = None,
    host: HostName = None,
    model: Model = None,
    limit: Limit = None,
    format: Annotated[
        AnalysisFormat, typer.Option("--format", help="Sentences and tables, or one object.")
    ] = AnalysisFormat.table,
    local_net: LocalNet = None,
    include_lan: IncludeLan = False,
    inner: Inner = False,
    count: Count = None,
    quiet: Quiet = False,
    progress: Progress = When.auto,
    timing: Timing = False,
) -> None:
    """Say how many connections each host held, and what they were.

    Tells what a limit would have done, under each gateway model.
    """
    analysis = _open(
        captures, read, inner=inner, count=count, local_net=local_net, include_lan=include_lan, model=model,
        limit=limit, quiet=quiet, progress=progress,
    )  # fmt: skip
    if format is AnalysisFormat.json:
        from peerburst.render.json_document import pieces

        for piece in pieces(analysis):
            sys.stdout.write(piece)
        sys.stdout.write("\n")
        return
    from peerburst.render import terminal

    terminal.print_analysis(analysis, _chosen_host(analysis, host), _chosen_limit(limit), terminal.console())


@app.command(epilog=registry.listed())
def report(
    captures: Captures = None,
    read: Read = None,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="DIR", help="The folder to write.")
    ] = "peerburst-report",
    host: HostName = None,
    model: Model = None,
    limit: Limit = None,
    local_net: LocalNet = None,
    include_lan: IncludeLan = False,
    inner: Inner = False,
    count: Count = None,
    quiet: Quiet = False,
    progress: Progress = When.auto,
    timing: Timing = False,
) -> None:
    """Write a folder with pictures, the verdict and the numbers.

    Prints the verdict, and where the folder is.
    """
    analysis = _open(
        captures, read, inner=inner, count=count, local_net=local_net, include_lan=include_lan, model=model,
        limit=limit, quiet=quiet, progress=progress,
    )  # fmt: skip
    from peerburst.render import report as report_folder
    from peerburst.render import terminal

    name = host or analysis.busiest()
    chosen = _chosen_limit(limit)
    terminal.print_analysis(analysis, _chosen_host(analysis, name), chosen, terminal.console())
    files = report_folder.write(analysis, output, name, chosen)
    print(f"\nThe report is in {Path(output).resolve()}: {', '.join(path.name for path in files)}")


@app.command()
def flows(
    captures: Captures = None,
    read: Read = None,
    format: Annotated[FlowsFormat, typer.Option("--format", help="How to write them.")] = FlowsFormat.csv,
    output: Output = None,
    model: Model = None,
    local_net: LocalNet = None,
    inner: Inner = False,
    count: Count = None,
    quiet: Quiet = False,
    progress: Progress = When.auto,
    timing: Timing = False,
) -> None:
    """Write every flow, with the names of Zeek's conn.log."""
    analysis = _open(
        captures, read, inner=inner, count=count, local_net=local_net, include_lan=False, model=model, limit=None,
        quiet=quiet, progress=progress,
    )  # fmt: skip
    from peerburst.render.files import FlowFormat, write_flows

    write_flows(analysis, FlowFormat(format.value), output)


@app.command()
def timeline(
    captures: Captures = None,
    read: Read = None,
    host: HostName = None,
    model: Model = None,
    step: Annotated[float, typer.Option("--step", metavar="SECONDS", help="Seconds from row to row.")] = 1.0,
    format: Annotated[TimelineFormat, typer.Option("--format", help="How to write it.")] = TimelineFormat.csv,
    output: Output = None,
    local_net: LocalNet = None,
    include_lan: IncludeLan = False,
    inner: Inner = False,
    count: Count = None,
    quiet: Quiet = False,
    progress: Progress = When.auto,
    timing: Timing = False,
) -> None:
    """Write a host's count over time.

    Columns: t_s, at that instant, max and mean until the next, talking.
    """
    analysis = _open(
        captures, read, inner=inner, count=count, local_net=local_net, include_lan=include_lan, model=model,
        limit=None, quiet=quiet, progress=progress,
    )  # fmt: skip
    from peerburst.render.files import TableFormat, write_timeline

    frame = analysis.timeline(host or analysis.busiest(), analysis.models[0].name, step_s=step)
    write_timeline(frame, TableFormat(format.value), output)


@app.command()
def synth(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO.toml", help="Guests and what their programs do.")],
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE", help="A .pcap or .pcapng, or .gz or .zst of one.")
    ],
    quiet: Quiet = False,
) -> None:
    """Write a capture from a scenario file, every packet labelled."""
    from peerburst.analysis.humanize import counted, size, span
    from peerburst.capture.synth import write_scenario

    made = write_scenario(scenario, output)
    if not quiet:
        _say(
            f"{made.capture}: {counted(made.packets, 'packet')}, {counted(made.flows, 'flow')}, {size(made.data)} on"
            f" the wire, {span(made.duration_s)}; labels in {made.flow_labels} and {made.packet_labels}"
        )


@app.command()
def live(
    interface: Annotated[
        list[str] | None, typer.Option("-i", "--interface", metavar="IFACE", help="Listen here; repeatable.")
    ] = None,
    list_interfaces: Annotated[bool, typer.Option("-D", "--list-interfaces", help="List interfaces and exit.")] = False,
    filter: Annotated[
        str, typer.Option("-f", "--filter", metavar="BPF", help="Capture only what this lets through.")
    ] = "",
    snaplen: Annotated[
        int | None, typer.Option("-s", "--snaplen", metavar="BYTES", help="Keep so much of a packet; 0 is all.")
    ] = None,
    promiscuous: Annotated[
        bool, typer.Option("--promiscuous/-p", help="Take packets that are not for this machine too.")
    ] = False,
    buffer: Annotated[int | None, typer.Option("-B", "--buffer", metavar="MIB", help="The capture buffer.")] = None,
    stop: Annotated[
        list[str] | None,
        typer.Option("-a", "--stop", metavar="WHEN", help="duration:S, packets:N or filesize:KB; repeatable."),
    ] = None,
    read: Annotated[
        str | None, typer.Option("-r", "--read", metavar="FILE", help="Follow a growing capture; - is stdin.")
    ] = None,
    write: Annotated[
        str | None, typer.Option("-w", "--write", metavar="FILE", help="Keep packets in a .pcapng or .pcapng.zst.")
    ] = None,
    ring: Annotated[
        list[str] | None, typer.Option("-b", "--ring", metavar="WHEN", help="With -w: filesize:KB, files:N.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="DIR", help="Write a report there at the end.")
    ] = None,
    host: HostName = None,
    model: Model = None,
    limit: Limit = None,
    local_net: LocalNet = None,
    include_lan: IncludeLan = False,
    inner: Inner = False,
    alert: Annotated[
        list[int] | None,
        typer.Option(
            "--alert", metavar="N", help="Tell when a host holds N; repeatable (80 % of the limit, and above)."
        ),
    ] = None,
    on_alert: Annotated[
        str | None, typer.Option("--on-alert", metavar="COMMAND", help="Start this then; it finds PEERBURST_HOST, ...")
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="A line a second instead of the screen.")] = False,
    format: Annotated[LiveFormat | None, typer.Option("--format", help="jsonl: an object a second.")] = None,
    quiet: Quiet = False,
) -> None:
    """Count connections as they happen, and say the verdict at the end.

    Exit code 3 if an alert came.
    """
    from peerburst.cli import live as listening

    if list_interfaces:
        print("\n".join(listening.interface_lines()))
        return
    if read is not None and (interface or filter or snaplen is not None or promiscuous or buffer is not None):
        raise typer.BadParameter("-r reads a capture; -i, -f, -s, -p and -B are for interfaces")
    from peerburst.analysis.settings import Settings
    from peerburst.capture.live import options

    names = () if read is not None else tuple(interface or [listening.default_name()])
    shown = listening.Show(format.value) if format is not None else listening.Show.PLAIN if plain else None
    code = listening.run_live(
        listening.LiveOptions(
            settings=Settings(
                models=tuple(model or ()),
                limits=_limits(limit),
                local_nets=tuple(local_net) if local_net else None,
                include_lan=include_lan,
                follow_tunnels=inner,
            ),
            interfaces=names,
            read=read,
            options=None
            if read is not None
            else options.CaptureOptions(
                names,
                filter,
                options.HEADERS_ONLY if snaplen is None else snaplen,
                promiscuous,
                options.BUFFER_MIB if buffer is None else buffer,
            ),
            stops=options.parse_stops(stop or ()),
            rotation=options.parse_rotation(ring or ()),
            write=write,
            output=output,
            host=host,
            alerts=tuple(alert or ()),
            on_alert=on_alert,
            show=shown,
            quiet=quiet,
        )
    )
    if code:
        raise typer.Exit(code)


@app.command()
def doctor() -> None:
    """Say what a live capture needs here, and what to do where something is missing."""
    from peerburst.capture.live.doctor import examine
    from peerburst.render import findings as report

    findings = examine()
    print("\n".join(report.lines(findings)))
    if not report.is_well(findings):
        raise typer.Exit(COULD_NOT)


@app.command()
def dissect(
    captures: Captures = None,
    read: Read = None,
    flow: Annotated[
        str, typer.Option("--flow", metavar="ID", help="A row of `peerburst flows`, from 1, or a Community ID.")
    ] = "1",
    quiet: Quiet = False,
) -> None:
    """Ask Wireshark what it calls one flow.

    Needs tshark and pyshark. Reads payload, which classes never do: a hint beside them.
    """
    analysis = _open(
        captures, read, inner=False, count=None, local_net=None, include_lan=False, model=None, limit=None,
        quiet=quiet, progress=When.auto,
    )  # fmt: skip
    from peerburst import dissect as wireshark

    print("\n".join(wireshark.lines(wireshark.dissect(analysis, flow))))


@gateways_app.command("list")
def list_gateways() -> None:
    """List the models that come with peerburst."""
    from peerburst.analysis.gateways import shipped
    from peerburst.render import terminal

    terminal.print_gateways(shipped(), terminal.console())


@gateways_app.command("show")
def show_gateway(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A model, flat:SECONDS or a file.")],
) -> None:
    """Show what a model counts and each of its timeouts, with the source."""
    from peerburst.analysis.gateways import load
    from peerburst.render import terminal

    terminal.print_gateway(load(name), terminal.console())


@app.callback(invoke_without_command=True)
def _main(
    version: Annotated[bool, typer.Option("-V", "--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        print(f"peerburst {__version__}")
        raise typer.Exit


COMMANDS = ("analyze", "report", "flows", "timeline", "live", "synth", "dissect", "doctor", "gateways")
OWN_OPTIONS = ("-h", "--help", "-V", "--version", "--install-completion", "--show-completion")


def with_command(arguments: list[str]) -> list[str]:
    """`peerburst CAPTURE...` means `peerburst analyze CAPTURE...`."""
    if not arguments or arguments[0] in COMMANDS or arguments[0] in OWN_OPTIONS:
        return arguments
    return ["analyze", *arguments]


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; answers the exit code."""
    try:
        code = _run(with_command(sys.argv[1:] if arguments is None else arguments))
        _say_times()
        return code
    except PeerburstError as error:
        _say(str(error))
        return USAGE if isinstance(error, SettingsError) else COULD_NOT
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (| head): nothing is wrong, and nothing is left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        # What is read says so by a PeerburstError: this is about where the answer goes.
        _say(f"the answer cannot be written: {error.strerror or error}")
        return COULD_NOT
    except MemoryError:
        _say("not enough memory for this capture; read a part of it with -c")
        return COULD_NOT


def _say_times() -> None:
    """Where the time went, if anybody asked."""
    watch = timing.running()
    if watch is None:
        return
    whole = time.perf_counter() - watch.began
    print(f"{'stage':10} {'seconds':>8} {'packets/s':>14}", file=sys.stderr)
    for name, seconds in (*watch.seconds.items(), ("whole run", whole)):
        rate = f"{watch.packets / seconds:14,.0f}" if seconds else f"{'':14}"
        print(f"{name:10} {seconds:8.3f} {rate}", file=sys.stderr)
    print("Reading, records, decoding and flows share threads that run side by side, and models do.", file=sys.stderr)
    timing.stop()


def _run(arguments: list[str]) -> int:
    # Old versions of typer use click, new ones bring a copy of it under another name; this class is in both.
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
        # Typer and rich leave like this when the reader of our output has gone.
        if isinstance(left.__context__, BrokenPipeError):
            raise left.__context__ from None
        raise
    sys.stdout.flush()
    return code if isinstance(code, int) else 0


def run() -> NoReturn:
    """The program: run its command line and leave at once.

    Whatever was written is handed on first. Taking millions of objects apart one by one, for a system that takes all
    memory back anyway, would make every command a twentieth of a second longer.
    """
    if sys.stdout is None:  # started with it closed: nobody wants to read the answer
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    code = main()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # there is none, or nobody reads it
            stream.flush()
    os._exit(code)
