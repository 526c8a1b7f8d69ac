"""Options that many commands share, and what they lead to."""

from pathlib import Path
from typing import Annotated

import typer

from kept.app.connection import Connection, Embedded, Remote
from kept.app.workspace import embedded_actor, open_workspace
from kept.governance.workspace import Workspace as OpenWorkspace
from kept.plan.loading import load_project
from kept.settings.settings import Settings, load_settings

Workspace = Annotated[str | None, typer.Option("--workspace", help="Folder that holds everything Kept stores.")]
ProjectFile = Annotated[str | None, typer.Option("--project", help="File that declares the project.")]
Host = Annotated[str | None, typer.Option("--host", help="Address to listen on.")]
Port = Annotated[int | None, typer.Option("--port", help="Port of API and pages; predictions answer on the next one.")]
Model = Annotated[str | None, typer.Option("--model", help="The model; that of the project here by default.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for the record.")]
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


def model_name(settings: Settings, given: str | None) -> str:
    """The model that is meant: the one given, or that of the project here, which bears its name."""
    return given or load_project(Path(settings.project)).name
