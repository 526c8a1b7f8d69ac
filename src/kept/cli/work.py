"""`kept work`: the worker alone."""

import typer

from kept.cli import members
from kept.cli.options import Host, Port, Workspace, settings_for

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(workspace: Workspace = None, host: Host = None, port: Port = None) -> None:
    """Run pipelines, ship logs, watch and decide, until Ctrl-C."""
    members.work(settings_for(workspace, host=host, port=port))
