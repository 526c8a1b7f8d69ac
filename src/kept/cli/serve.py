"""`kept serve`: the prediction service alone."""

import typer

from kept.app.predictions import serve_predictions
from kept.app.supervisor import stop_with_parent
from kept.cli.options import Host, Port, Workspace, settings_for

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(workspace: Workspace = None, host: Host = None, port: Port = None) -> None:
    """Answer predictions on the port after the one given, until Ctrl-C."""
    stop_with_parent()
    serve_predictions(settings_for(workspace, host=host, port=port), started=typer.echo)
