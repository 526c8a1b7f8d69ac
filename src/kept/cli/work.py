"""`kept work`: the worker alone."""

import typer

from kept.app.supervisor import stop_with_parent
from kept.app.worker import work
from kept.cli.options import Host, Port, Workspace, settings_for
from kept.cli.reach import open_here

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(workspace: Workspace = None, host: Host = None, port: Port = None) -> None:
    """Run pipelines, ship logs, watch and decide, until Ctrl-C."""
    stop_with_parent()
    work(open_here(settings_for(workspace, host=host, port=port)))
