"""`kept up`: pages, worker and predictions together."""

import signal
import threading
from pathlib import Path
from types import FrameType

import httpx
import typer

from kept.app.connection import Embedded
from kept.app.supervisor import Supervisor
from kept.cli.options import Host, Port, ProjectFile, Workspace, settings_for
from kept.cli.reach import connect
from kept.cli.show import console
from kept.core.errors import Unavailable
from kept.plan.catalog import ensure_registered
from kept.plan.loading import load_project
from kept.settings.settings import Settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_PATIENCE_SECONDS = 60


@app.command()
def main(workspace: Workspace = None, project: ProjectFile = None, host: Host = None, port: Port = None) -> None:
    """Start everything, keep it up, and stop it on Ctrl-C. Started again, it goes on where it was."""
    settings = settings_for(workspace, project, host, port)
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


def start_all(supervisor: Supervisor, settings: Settings) -> None:
    """Starts web, work and serve for a workspace."""
    where = ["--workspace", settings.workspace, "--host", settings.host, "--port", str(settings.port)]
    for kind in ("serve", "web", "work"):
        supervisor.start(kind, [kind, *where])


def wait_until_ready(settings: Settings, supervisor: Supervisor) -> None:
    """Waits until pages and predictions answer; restarts what ends meanwhile."""
    waiting = [
        f"http://{settings.host}:{settings.port}/api/v1/health/ready",
        f"http://{settings.host}:{settings.port + 1}/v2/health/live",
    ]
    for _ in range(_PATIENCE_SECONDS * 10):
        waiting = [url for url in waiting if not _answers(url)]
        if not waiting or supervisor.stopping:
            return
        supervisor.look()
    fix = f"See the logs in {settings.workspace}/logs"
    raise Unavailable(f"{', '.join(waiting)} did not answer in {_PATIENCE_SECONDS} seconds", fix=fix)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1).is_success
    except httpx.HTTPError:
        return False
