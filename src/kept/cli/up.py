"""`kept up`: pages, worker and predictions together."""

import os
import subprocess
import sys

import typer

from kept.cli.options import Host, Port, ProjectFile, Workspace, settings_for
from kept.cli.starting import check_addresses
from kept.settings.settings import Settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(workspace: Workspace = None, project: ProjectFile = None, host: Host = None, port: Port = None) -> None:
    """Start everything, keep it up, and stop it on Ctrl-C. Started again, it goes on where it was."""
    settings = settings_for(workspace, project, host, port)
    check_addresses(settings)
    _prepare(settings)
    # What stays only watches the others: it becomes a process that has loaded no more than that takes.
    member = [sys.executable, "-m", "kept.cli.members", "up", settings.workspace, settings.host, str(settings.port)]
    sys.stdout.flush()
    os.execv(sys.executable, member)  # noqa: S606 - it is ourselves


def _prepare(settings: Settings) -> None:
    """Makes the workspace and registers the project, in a process of its own; what goes wrong is said there."""
    where = ["--workspace", settings.workspace, "--project", settings.project]
    done = subprocess.run([sys.executable, "-m", "kept", "workspace", "create", *where], check=False)
    if done.returncode:
        raise typer.Exit(done.returncode)
