"""Options that many commands share, and the settings they lead to. Nothing heavy is imported here."""

from pathlib import Path
from typing import Annotated

import typer

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
