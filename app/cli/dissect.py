"""`peerburst dissect`: what Wireshark calls one flow."""

from peerburst.cli import options
from peerburst.cli.reading import read_captures


def dissect(
    captures: options.Captures = None,
    read: options.Read = None,
    flow: options.Flow = "1",
    quiet: options.Quiet = False,
) -> None:
    """Ask Wireshark what it calls one flow.

    Needs tshark and pyshark. Reads payload, which peerburst itself never does.
    """
    analysis = read_captures(options.paths(captures, read), options.settings(), quiet=quiet)
    from peerburst import dissect as wireshark

    print("\n".join(wireshark.lines(wireshark.dissect(analysis, flow))))
