"""`peerburst gateways`: the models that come with peerburst, and what one of them counts."""

import typer

from peerburst.cli import options

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="List the gateway models, or show one with its sources.",
)


@app.command("list")
def list_gateways() -> None:
    """List the models that come with peerburst."""
    from peerburst.analysis.gateways import shipped
    from peerburst.render import terminal

    terminal.print_gateways(shipped(), terminal.console())


@app.command("show")
def show_gateway(name: options.GatewayName) -> None:
    """Show what a model counts and each of its timeouts, with the source."""
    from peerburst.analysis.gateways import load
    from peerburst.render import terminal

    terminal.print_gateway(load(name), terminal.console())
