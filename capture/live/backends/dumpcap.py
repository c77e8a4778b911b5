"""Wireshark's dumpcap as a live source: pcapng on a pipe, and the privileges stay in it."""

import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import IO

from peerburst.capture.errors import CaptureError
from peerburst.capture.live.backends.byte_source import AT_ONCE
from peerburst.capture.live.options import CaptureOptions

USUAL_PLACES = (
    "/usr/bin/dumpcap",
    "/usr/sbin/dumpcap",
    "/usr/local/bin/dumpcap",
    "/opt/homebrew/bin/dumpcap",
    "/Applications/Wireshark.app/Contents/MacOS/dumpcap",
)
PROBE_S = 10.0
BEGIN_S = 10.0
# The system hands packets over in blocks, after a quarter of a second at the latest (dumpcap's read timeout), and a
# dumpcap that is told to end leaves the block at hand behind.
LAST_BLOCK_S = 0.3
ORDERLY_S = 3.0  # it empties its kernel buffer and writes its statistics in far less

# Its last words: Packets received/dropped on interface 'lo': 6/0 (pcap:0/dumpcap:0/flushed:0/ps_ifdrop:0) (100.0%)
SUMMARY = re.compile(r"^Packets received/dropped on interface .*: \d+/(\d+) \(", re.MULTILINE)
COMPLAINT = re.compile(r"^dumpcap: (.+(?:\n(?!\n|Please|See|File|Packets|That).+)*)", re.MULTILINE)
FILTER_FAULT = re.compile(r"isn't a valid capture filter \((.+)\)")
BAD_FILTER = "bad capture filter"
PIPE_SIZE = 1 << 20


def find() -> str | None:
    """The dumpcap to run, or None."""
    found = shutil.which("dumpcap")
    return found or next((place for place in USUAL_PLACES if Path(place).is_file()), None)


def trouble(program: str, interface: str, bpf: str = "") -> str:
    """What dumpcap says against capturing on an interface with a filter; empty if nothing. It captures nothing."""
    try:
        # -d opens the interface, compiles the filter, prints it and ends.
        done = subprocess.run(
            [program, "-i", interface, "-p", "-f", bpf, "-d"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_S,
            check=False,
        )
    except PermissionError:
        return "You do not have permission to run it"
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    complaint = complaint_in(done.stderr)
    return complaint or (f"it ended with code {done.returncode}" if done.returncode else "")


def is_permission(complaint: str) -> bool:
    """Whether what dumpcap says is that it may not."""
    return "permission" in complaint.lower() or "not permitted" in complaint.lower()


def is_filter(complaint: str) -> bool:
    """Whether what dumpcap says is about the filter; libpcap's words then follow the last colon."""
    return complaint.startswith(BAD_FILTER)


def complaint_in(text: str) -> str:
    """dumpcap's own sentence out of what it prints on stderr, on one line; empty without one."""
    fault = FILTER_FAULT.search(text)
    if fault:
        return f"{BAD_FILTER}: {fault.group(1)}"
    found = COMPLAINT.search(text)
    return " ".join(found.group(1).split()) if found else ""


class DumpcapSource:
    """A running dumpcap. Raises CaptureError if it cannot be started.

    It runs in a session of its own, so that a Ctrl-C at the terminal reaches only us and the end stays in order.
    """

    name = "live capture"

    def __init__(self, program: str, options: CaptureOptions) -> None:
        self.warnings: list[str] = []
        self.why_ended = ""
        self._drops = 0
        self._interrupt_at: float | None = None
        self._kill_at: float | None = None
        self._is_over = False
        try:
            self._process = subprocess.Popen(
                _command(program, options),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise CaptureError(program, f"could not be started: {error.strerror or error}") from error
        assert self._process.stdout is not None
        self._out: IO[bytes] = self._process.stdout
        widen(self._out.fileno())
        self._await_beginning(program)

    def _await_beginning(self, program: str) -> None:
        """Until the file header is there, before which dumpcap does not listen."""
        if not select.select([self._out], [], [], BEGIN_S)[0]:
            self._process.kill()
            self._process.communicate()
            raise CaptureError(program, f"did not begin to capture within {BEGIN_S:g} s; try again")
        self._first = os.read(self._out.fileno(), AT_ONCE)
        if not self._first:
            self._end()
            raise CaptureError(self.name, self.why_ended)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def drops(self) -> int:
        """Known at the end only: dumpcap tells them in its last words."""
        return self._drops

    def read(self, timeout_s: float) -> bytes | None:
        if self._first:
            first, self._first = self._first, b""
            return first
        if self._is_over:
            return b""
        now = time.monotonic()
        if self._interrupt_at is not None and now >= self._interrupt_at:
            self._interrupt()
        if self._kill_at is not None and now > self._kill_at:
            self._process.kill()
        if not select.select([self._out], [], [], timeout_s)[0]:
            return None
        data = os.read(self._out.fileno(), AT_ONCE)
        if not data:
            self._end()
        return data

    def stop(self) -> None:
        if self._kill_at is None:
            self._interrupt_at = time.monotonic() + LAST_BLOCK_S
            self._kill_at = self._interrupt_at + ORDERLY_S

    def _interrupt(self) -> None:
        self._interrupt_at = None
        # A dumpcap of another user (setuid) may not be ours to signal; it then ends when its pipe does.
        with contextlib.suppress(PermissionError):
            self._process.send_signal(signal.SIGINT)

    def _end(self) -> None:
        self._is_over = True
        try:
            _out, errors = self._process.communicate(timeout=ORDERLY_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            _out, errors = self._process.communicate()
        text = errors.decode(errors="replace")
        self._drops = sum(int(number) for number in SUMMARY.findall(text))
        if self._kill_at is None:
            self.why_ended = _why(self._process.returncode, complaint_in(text))
            self.warnings.append(self.why_ended)


def _command(program: str, options: CaptureOptions) -> list[str]:
    command = [program, "-q", "-n", "-w", "-", "-B", str(options.buffer_mib), "-s", str(options.bytes_per_packet)]
    # Options before the first -i hold for every interface that follows.
    if not options.promiscuous:
        command.append("-p")
    if options.bpf:
        command += ["-f", options.bpf]
    for name in options.interfaces:
        command += ["-i", name]
    return command


def _why(code: int, complaint: str) -> str:
    if "no longer attached" in complaint or "disappeared" in complaint:
        name = complaint.split('"')[1] if '"' in complaint else "the interface"
        return f"{name}: the interface is gone; the capture ended there"
    if complaint:
        return f"dumpcap ended: {complaint}"
    if code < 0:
        return f"dumpcap was ended by signal {-code}; the capture ended there"
    return f"dumpcap ended by itself (code {code}); the capture ended there"


def widen(descriptor: int) -> None:
    """Let a pipe hold more than its usual 64 KiB where the system can: a pause of ours then costs no packet."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
