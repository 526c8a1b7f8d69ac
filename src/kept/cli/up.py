"""`kept up`: pages, worker and predictions together."""

import signal
import threading
from pathlib import Path
from types import FrameType

import typer

from kept.app.connection import Embedded
from kept.app.supervisor import Supervisor
from kept.cli.options import Host, Port, ProjectFile, Workspace, settings_for
from kept.cli.reach import connect
from kept.cli.show import console
from kept.cli.starting import need_ports, start_all, wait_until_ready
from kept.plan.catalog import ensure_registered
from kept.plan.loading import load_project

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(workspace: Workspace = None, project: ProjectFile = None, host: Host = None, port: Port = None) -> None:
    """Start everything, keep it up, and stop it on Ctrl-C. Started again, it goes on where it was."""
    settings = settings_for(workspace, project, host, port)
    need_ports(settings)
    connection = connect(settings, create=True)
    source = Path(settings.project)
    if isinstance(connection, Embedded) and source.is_file():
        ensure_registered(connection.workspace, connection.actor, load_project(source), source)
    root = Path(settings.workspace).resolve()
    supervisor = Supervisor(
        root / "logs", lambda name, code: console.print(f"{name} ended ({code}); starting it again")
    )

    def stop(_: int, __: FrameType | None) -> None:
        # Not here: a handler must not wait for processes.
        threading.Thread(target=supervisor.stop, name="stop").start()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    start_all(supervisor, settings)
    try:
        wait_until_ready(settings, supervisor)
        console.print(
            f"Kept is up: [bold]http://{settings.host}:{settings.port}[/bold] (pages and API)", highlight=False
        )
        console.print(
            f"Predictions: http://{settings.host}:{settings.port + 1}   Logs: {root / 'logs'}", highlight=False
        )
        console.print("Ctrl-C stops it.")
        supervisor.watch()
    finally:
        supervisor.stop()
