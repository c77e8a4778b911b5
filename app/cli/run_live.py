"""Run a live session from its options to its end: source, sockets, what shows it, summary and exit code."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from peerburst.analysis import precompile
from peerburst.analysis.analysis import Analysis
from peerburst.analysis.humanize import counted, size
from peerburst.analysis.settings import load_models
from peerburst.capture.compiled.kernel import announce_first_compile
from peerburst.capture.errors import SettingsError
from peerburst.capture.live.backends.select import Choice, select_backend
from peerburst.capture.live.savefile import SavefileWriter
from peerburst.capture.live.source import (
    LiveSource,
    capture_growing_file,
    capture_interfaces,
    capture_standard_input,
)
from peerburst.capture.sockets.observations import side_file
from peerburst.capture.sockets.poller import SocketPoller
from peerburst.cli.exit_codes import ExitCode
from peerburst.cli.messages import say, warn
from peerburst.live.alerts import Messenger, Thresholds
from peerburst.live.lines import SCHEMA, JsonLines, PlainLines
from peerburst.live.options import LiveOptions, Show
from peerburst.live.session import LiveSession
from peerburst.render import report, terminal
from peerburst.render.json_document import document

SCREEN_TICK_S, LINE_TICK_S = 0.25, 1.0


def run_live(options: LiveOptions) -> ExitCode:
    """Run a session to its end and print its summary."""
    load_models(options.settings)  # refuses wrong settings before anything is opened
    Thresholds(options.alerts)
    messenger = Messenger(options.on_alert)
    show = options.show or _usual_show()
    choice = select_backend(options.capture) if options.capture is not None else None  # refuses who may not capture
    announce_first_compile()
    precompile.main()  # before the first packet: it must not wait for a kernel
    source = _open_source(options, choice)
    with source:
        sockets = _open_sockets(options)
        tick_s = SCREEN_TICK_S if show is Show.SCREEN else LINE_TICK_S
        session = LiveSession(source, options, sockets=sockets, messenger=messenger, tick_s=tick_s)
        try:
            with _stopped_by_signals(session, show):
                _run(session, show)
            _finish(session, options, show, source)
        finally:
            session.close()
    return ExitCode.ALERT if session.has_alerted else ExitCode.SUCCESS


def _usual_show() -> Show:
    from peerburst.screen import can_show

    is_terminal = sys.stdin.isatty() and sys.stdout.isatty() and can_show(os.environ)
    return Show.SCREEN if is_terminal else Show.PLAIN


def _open_source(options: LiveOptions, choice: Choice | None) -> LiveSource:
    savefile = SavefileWriter(options.write, options.rotation) if options.write is not None else None
    inner = options.settings.follow_tunnels
    if options.capture is not None:
        return capture_interfaces(
            options.capture, savefile=savefile, stops=options.stops, follow_tunnels=inner, choice=choice
        )
    if options.read == "-":
        return capture_standard_input(savefile=savefile, stops=options.stops, follow_tunnels=inner)
    return capture_growing_file(options.read or "", savefile=savefile, stops=options.stops, follow_tunnels=inner)


def _open_sockets(options: LiveOptions) -> SocketPoller | None:
    """Watch this machine's sockets; None for a file or a pipe, whose programs run elsewhere, or ran before."""
    if options.capture is None:
        return None
    try:
        poller = SocketPoller(side_file(options.write) if options.write is not None else None)
    except (SettingsError, OSError) as error:
        warn(f"programs are not shown: {error}")
        return None
    poller.start()
    return poller


@contextlib.contextmanager
def _stopped_by_signals(session: LiveSession, show: Show) -> Iterator[None]:
    """The first Ctrl-C, or request to terminate, ends the session in order; the second ends it at once.

    With a screen the first one ends it too: it would wait for a key that nobody presses.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        is_second = session.interrupted
        session.interrupt()
        if is_second or show is Show.SCREEN:
            raise KeyboardInterrupt

    known = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, handle) for number in known}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(session: LiveSession, show: Show) -> None:
    if show is Show.SCREEN:
        from peerburst.screen import run_screen

        try:
            run_screen(session)
        except KeyboardInterrupt:
            if not session.interrupted:
                raise
        return
    lines = PlainLines(sys.stdout, bell=sys.stdout.isatty()) if show is Show.PLAIN else JsonLines(sys.stdout)
    session.run(lines.show)


def _finish(session: LiveSession, options: LiveOptions, show: Show, source: LiveSource) -> None:
    """The summary, the report, and how it ended."""
    analysis = session.analysis()
    if show is Show.JSONL:
        JsonLines(sys.stdout).write(
            {"schema": SCHEMA, "type": "end", "reason": source.ended, "analysis": document(analysis)}
        )
    else:
        if show is Show.PLAIN:
            print()
        name = session.chosen_name(analysis) if analysis.ranked else None
        host = analysis.host(analysis.host_number(name)) if name is not None else None
        terminal.print_analysis(analysis, host, terminal.console())
    if not options.quiet:
        _say_how_it_ended(session, analysis, source)
    if options.output is not None:
        _write_report(session, analysis, options.output)


def _say_how_it_ended(session: LiveSession, analysis: Analysis, source: LiveSource) -> None:
    for warning in analysis.capture.warnings:
        warn(warning)
    if source.kept_paths:
        files = source.kept_paths
        where = files[0] if len(files) == 1 else f"{counted(len(files), 'file')}, {files[0]} to {files[-1]}"
        say(f"{size(source.bytes_kept)} are kept in {where}")
    say("ended by you" if session.interrupted else f"ended: {source.ended}")


def _write_report(session: LiveSession, analysis: Analysis, folder: str) -> None:
    if not analysis.ranked:
        say("no report was written: no local host sent or received anything")
        return
    files = report.write(analysis, folder, session.chosen_name(analysis))
    say(f"the report is in {Path(folder).resolve()}: {', '.join(path.name for path in files)}")
