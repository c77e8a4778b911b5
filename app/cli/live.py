"""From the options of `peerburst live` to a running session, and from its end to a verdict and an exit code."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import FrameType

from peerburst.analysis import precompile as warm
from peerburst.analysis.analysis import Analysis
from peerburst.analysis.humanize import counted, one_line, size
from peerburst.analysis.settings import Settings, load_models
from peerburst.capture.compiled.kernel import announce_first_compile
from peerburst.capture.errors import CaptureError, SettingsError
from peerburst.capture.live.backends.select import Choice, select_backend
from peerburst.capture.live.interfaces import Interface, default_interface, list_interfaces
from peerburst.capture.live.options import CaptureOptions, Rotation, StopConditions
from peerburst.capture.live.savefile import SavefileWriter
from peerburst.capture.live.source import (
    LiveSource,
    capture_growing_file,
    capture_interfaces,
    capture_standard_input,
)
from peerburst.capture.sockets.observations import side_file
from peerburst.capture.sockets.poller import SocketPoller
from peerburst.live import lines as plain
from peerburst.live.alerts import Messenger, Thresholds
from peerburst.live.session import LiveSession, LiveSettings
from peerburst.render import report, terminal
from peerburst.render.json_document import document

ALERTED = 3  # the exit code
NEVER_STOPS, ONE_FILE = StopConditions(), Rotation()
SCREEN_TICK_S, LINE_TICK_S = 0.25, 1.0


class Show(StrEnum):
    """How a session is shown."""

    SCREEN = "screen"
    PLAIN = "plain"
    JSONL = "jsonl"


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """What a person asked of `peerburst live`. `read`: a growing file, or `-`, instead of interfaces."""

    settings: Settings
    interfaces: tuple[str, ...] = ()
    read: str | None = None
    options: CaptureOptions | None = None  # None: of a file
    stops: StopConditions = NEVER_STOPS
    rotation: Rotation = ONE_FILE
    write: str | None = None
    output: str | None = None
    host: str | None = None
    alerts: tuple[int, ...] = ()
    on_alert: str | None = None
    show: Show | None = None  # None: the screen where there is a terminal that can show it
    quiet: bool = False


def default_name() -> str:
    """The interface to capture on when none was named; raises CaptureError without one."""
    found = default_interface()
    if found is None:
        raise CaptureError("no interface", "is up; switch one on, or name one with -i (peerburst live -D lists them)")
    return found.name


def interface_lines() -> Iterator[str]:
    """What `-D` prints: the one that is taken by itself first."""
    default = default_interface()
    for one in list_interfaces():
        yield _interface_line(one, default is not None and one.name == default.name)


def _interface_line(one: Interface, is_default: bool) -> str:
    facts = ["up" if one.is_up else "down"]
    facts += ["loopback"] if one.is_loopback else []
    facts += ["taken by itself"] if is_default else []
    return f"{one_line(one.name)}  {', '.join(facts)}{'  ' if one.addresses else ''}{' '.join(one.addresses)}"


def run_live(wanted: LiveOptions) -> int:
    """Run a session to its end and say the verdict; answers the exit code."""
    load_models(wanted.settings)  # what makes no sense is told before anything is opened
    Thresholds(wanted.alerts)
    messenger = Messenger(wanted.on_alert)
    show = wanted.show or _usual_show()
    choice = select_backend(wanted.options) if wanted.options is not None else None  # who may not capture need not wait
    announce_first_compile()
    warm.main()  # before the first packet: none should have to wait for a kernel
    source = _open_source(wanted, choice)
    with source:
        sockets = _open_sockets(wanted)
        session = LiveSession(source, _live_settings(wanted, show), sockets=sockets, messenger=messenger)
        session.host = wanted.host
        try:
            with _stopped_by_signals(session, show):
                _run(session, show)
            _finish(session, wanted, show, source)
        finally:
            session.close()
    return ALERTED if session.alerted else 0


def _usual_show() -> Show:
    from peerburst.screen import can_show

    is_terminal = sys.stdin.isatty() and sys.stdout.isatty() and can_show(os.environ)
    return Show.SCREEN if is_terminal else Show.PLAIN


def _live_settings(wanted: LiveOptions, show: Show) -> LiveSettings:
    return LiveSettings(
        settings=wanted.settings,
        names=wanted.interfaces or (wanted.read or "",),
        saved_to=wanted.write,
        folder=Path(wanted.output) if wanted.output is not None else None,
        thresholds=wanted.alerts,
        tick_s=SCREEN_TICK_S if show is Show.SCREEN else LINE_TICK_S,
    )


def _open_source(wanted: LiveOptions, choice: Choice | None) -> LiveSource:
    savefile = SavefileWriter(wanted.write, wanted.rotation) if wanted.write is not None else None
    inner = wanted.settings.follow_tunnels
    if wanted.options is not None:
        return capture_interfaces(
            wanted.options, savefile=savefile, stops=wanted.stops, follow_tunnels=inner, choice=choice
        )
    if wanted.read == "-":
        return capture_standard_input(savefile=savefile, stops=wanted.stops, follow_tunnels=inner)
    return capture_growing_file(wanted.read or "", savefile=savefile, stops=wanted.stops, follow_tunnels=inner)


def _open_sockets(wanted: LiveOptions) -> SocketPoller | None:
    """Programs are this machine's: of a file or pipe nothing can be known."""
    if wanted.options is None:
        return None
    try:
        poller = SocketPoller(side_file(wanted.write) if wanted.write is not None else None)
    except (SettingsError, OSError) as error:
        print(f"peerburst: warning: programs are not shown: {error}", file=sys.stderr)
        return None
    poller.start()
    return poller


@contextlib.contextmanager
def _stopped_by_signals(session: LiveSession, show: Show) -> Iterator[None]:
    """The first Ctrl-C, or a request to terminate, ends the session in order; the second ends it at once.

    A screen waits for a key at the end, but whoever terminates us or closes the terminal has none to press.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        was_asked = session.interrupted
        session.interrupt()
        if was_asked or show is Show.SCREEN:
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
    lines = (
        plain.PlainLines(sys.stdout, bell=sys.stdout.isatty()) if show is Show.PLAIN else plain.JsonLines(sys.stdout)
    )
    session.run(lines.show)


def _finish(session: LiveSession, wanted: LiveOptions, show: Show, source: LiveSource) -> None:
    """The verdict, the report, and how it ended."""
    analysis = session.analysis()
    if show is Show.JSONL:
        plain.JsonLines(sys.stdout).write(
            {"schema": plain.SCHEMA, "type": "end", "reason": source.ended, "analysis": document(analysis)}
        )
    else:
        if show is Show.PLAIN:
            print()
        name = session.chosen_name(analysis) if analysis.ranked else None
        host = analysis.host(analysis.host_number(name)) if name is not None else None
        terminal.print_analysis(analysis, host, session.limit, terminal.console())
    if not wanted.quiet:
        _say_how_it_ended(session, analysis, source)
    if wanted.output is not None:
        _write_report(session, analysis, wanted.output)


def _say_how_it_ended(session: LiveSession, analysis: Analysis, source: LiveSource) -> None:
    for warning in analysis.capture.warnings:
        _say(f"warning: {warning}")
    if source.kept_paths:
        files = source.kept_paths
        where = files[0] if len(files) == 1 else f"{counted(len(files), 'file')}, {files[0]} to {files[-1]}"
        _say(f"{size(source.bytes_kept)} are kept in {where}")
    _say("ended by you" if session.interrupted else f"ended: {source.ended}")


def _write_report(session: LiveSession, analysis: Analysis, folder: str) -> None:
    if not analysis.ranked:
        _say("no report was written: no local host sent or received anything")
        return
    files = report.write(analysis, folder, session.chosen_name(analysis), session.limit)
    _say(f"the report is in {Path(folder).resolve()}: {', '.join(path.name for path in files)}")


def _say(text: str) -> None:
    print(f"peerburst: {one_line(text)}", file=sys.stderr)
