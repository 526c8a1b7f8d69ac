"""`kept serve`: the prediction service alone."""

import typer

from kept.cli import members
from kept.cli.options import Host, Port, Workspace, settings_for

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(workspace: Workspace = None, host: Host = None, port: Port = None) -> None:
    """Answer predictions on the port after the one given, until Ctrl-C."""
    members.serve(settings_for(workspace, host=host, port=port))
