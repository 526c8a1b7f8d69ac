"""Options that many commands share, and what they lead to."""

from pathlib import Path
from typing import Annotated

import typer

from kept.app.connection import Connection, Embedded, Remote
from kept.app.workspace import embedded_actor, open_workspace
from kept.governance.workspace import Workspace as OpenWorkspace
from kept.settings.settings import Settings, load_settings

Workspace = Annotated[str | None, typer.Option("--workspace", help="Folder that holds everything Kept stores.")]
ProjectFile = Annotated[str | None, typer.Option("--project", help="File that declares the project.")]
Host = Annotated[str | None, typer.Option("--host", help="Address to listen on.")]
Port = Annotated[int | None, typer.Option("--port", help="Port of API and pages; predictions answer on the next one.")]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]


def settings_for(
    workspace: str | None = None, project: str | None = None, host: str | None = None, port: int | None = None
) -> Settings:
    """The settings in force here, with what the command line says."""
    return load_settings(Path.cwd(), workspace=workspace, project=project, host=host, port=port)


def connect(settings: Settings, *, create: bool = False) -> Connection:
    """The server that the settings name, else the workspace of this machine."""
    if settings.url:
        return Remote(settings.url, settings.token)
    return Embedded(open_workspace(settings, create=create), embedded_actor(settings, "cli"))


def open_here(settings: Settings, *, create: bool = True) -> OpenWorkspace:
    """The workspace of this machine."""
    return open_workspace(settings, create=create)
