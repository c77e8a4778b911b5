"""Which tool captures: dumpcap where it is there and may, else packet sockets opened by scapy."""

from dataclasses import dataclass
from enum import Enum

from peerburst.capture.errors import CaptureError
from peerburst.capture.live import interfaces
from peerburst.capture.live.backends import dumpcap, scapy_socket
from peerburst.capture.live.backends.byte_source import ByteSource
from peerburst.capture.live.options import CaptureOptions

PERMISSION_ADVICE = (
    "let dumpcap capture for you (Debian, Ubuntu: sudo dpkg-reconfigure wireshark-common, then "
    "sudo usermod -aG wireshark $USER and log in anew; elsewhere: "
    "sudo setcap cap_net_raw,cap_net_admin=eip $(command -v dumpcap)), or run it with sudo"
)


class Tool(Enum):
    DUMPCAP = "dumpcap"
    SCAPY = "scapy"


@dataclass(frozen=True, slots=True)
class Choice:
    """The tool, the program it runs (empty for none), and why, as a sentence."""

    tool: Tool
    program: str
    reason: str


def select_backend(options: CaptureOptions) -> Choice:
    """The tool for these interfaces and this filter; CaptureError with what to do when none can or may."""
    program = dumpcap.find()
    if program is None:
        without = "dumpcap (of Wireshark) is not installed"
    else:
        complaint = _complaint(program, options)
        if not complaint:
            return Choice(Tool.DUMPCAP, program, f"{program} captures: it is installed and may")
        if not dumpcap.is_permission(complaint):
            without = f"dumpcap cannot: {complaint}"
        else:
            without = "dumpcap may not capture as this user"
    trouble = scapy_socket.trouble()
    if not trouble:
        return Choice(Tool.SCAPY, "", f"scapy captures: {without}")
    first = options.interfaces[0]
    if program is None:
        raise CaptureError(first, f"{without} and {trouble}; install Wireshark's dumpcap or run it with sudo")
    raise CaptureError(first, f"you may not capture packets: {without} and {trouble}; {PERMISSION_ADVICE}")


def open_byte_source(options: CaptureOptions, choice: Choice) -> ByteSource:
    """Begin to capture with the chosen tool. May raise CaptureError."""
    if choice.tool is Tool.DUMPCAP:
        return dumpcap.DumpcapSource(choice.program, options)
    return scapy_socket.ScapySource(options)


def _complaint(program: str, options: CaptureOptions) -> str:
    """What dumpcap has against it; what no other tool would do better is raised as CaptureError."""
    for name in options.interfaces:
        complaint = dumpcap.trouble(program, name, options.bpf)
        if "No such device" in complaint or "no such interface" in complaint.lower():
            here = ", ".join(one.name for one in interfaces.list_interfaces())
            raise CaptureError(name, f"no such interface; there are {here}")
        if dumpcap.is_filter(complaint):
            fault = complaint.rpartition(": ")[2]
            raise CaptureError(
                name, f"the capture filter {options.bpf!r} is not understood ({fault}); see man pcap-filter"
            )
        if complaint:
            return complaint
    return ""
