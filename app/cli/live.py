"""`peerburst live`: the options of a live session."""

import typer

from peerburst.capture.live.options import BUFFER_MIB, HEADERS_ONLY, CaptureOptions, parse_rotation, parse_stops
from peerburst.cli import options
from peerburst.cli.exit_codes import ExitCode
from peerburst.live.options import LiveOptions, Show
from peerburst.render.formats import LiveFormat


def live(
    interface: options.Interface = None,
    list_interfaces: options.ListInterfaces = False,
    filter: options.Filter = "",
    snaplen: options.Snaplen = None,
    promiscuous: options.Promiscuous = False,
    buffer: options.Buffer = None,
    stop: options.Stop = None,
    read: options.Follow = None,
    write: options.Write = None,
    ring: options.Ring = None,
    output: options.LiveReportFolder = None,
    host: options.Host = None,
    model: options.Model = None,
    limit: options.Limit = None,
    local_net: options.LocalNet = None,
    gateway: options.Gateway = None,
    side: options.OfSide = None,
    per: options.Per = None,
    include_lan: options.IncludeLan = False,
    inner: options.Inner = False,
    alert: options.Alert = None,
    on_alert: options.OnAlert = None,
    plain: options.Plain = False,
    format: options.LiveAs = None,
    quiet: options.Quiet = False,
) -> None:
    """Count connections as they happen; end with the verdict.

    Exit codes: 0 success, 1 error, 2 usage, 3 alert.
    """
    from peerburst.cli import interfaces

    if list_interfaces:
        print("\n".join(interfaces.interface_lines()))
        return
    capture = None
    if read is None:
        names = tuple(interface or [interfaces.default_name()])
        capture = CaptureOptions(
            names,
            bpf=filter,
            snaplen=HEADERS_ONLY if snaplen is None else snaplen,
            promiscuous=promiscuous,
            buffer_mib=BUFFER_MIB if buffer is None else buffer,
        )
    elif interface or filter or snaplen is not None or promiscuous or buffer is not None:
        raise typer.BadParameter("-r reads a capture; -i, -f, -s, -p and -B are for interfaces")
    asked = LiveOptions(
        settings=options.settings(
            model=model,
            limit=limit,
            local_net=local_net,
            include_lan=include_lan,
            inner=inner,
            gateway=gateway,
            side=side,
            per=per,
        ),
        capture=capture,
        read=read,
        stops=parse_stops(stop or ()),
        rotation=parse_rotation(ring or ()),
        write=write,
        output=output,
        host=host,
        alerts=tuple(alert or ()),
        on_alert=on_alert,
        show=_show(plain, format),
        quiet=quiet,
    )
    from peerburst.cli.run_live import run_live

    code = run_live(asked)
    if code is not ExitCode.SUCCESS:
        raise typer.Exit(code)


def _show(plain: bool, format: LiveFormat | None) -> Show | None:
    if format is not None:
        return Show(format.value)
    return Show.PLAIN if plain else None
