"""`kept web`: the API and the pages alone."""

import typer

from kept.app.courier import carrying
from kept.app.heartbeat import Heartbeat, beating
from kept.app.supervisor import stop_with_parent
from kept.app.workspace import embedded_actor
from kept.cli.options import Host, Port, Workspace, settings_for
from kept.cli.reach import open_here
from kept.web.site import serve_site

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(workspace: Workspace = None, host: Host = None, port: Port = None) -> None:
    """Serve the API and the pages until Ctrl-C."""
    stop_with_parent()
    settings = settings_for(workspace, host=host, port=port)
    opened = open_here(settings)
    address = f"http://{settings.host}:{settings.port}"
    with beating(Heartbeat(opened.database, opened.clock, "web", address)), carrying(opened):
        serve_site(opened, embedded_actor(settings, "api"))
