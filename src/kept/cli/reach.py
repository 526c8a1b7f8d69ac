"""Connecting a command to what it works on: a server, or a workspace of this machine."""

from pathlib import Path

from kept.app.connection import Connection, Embedded, Remote
from kept.app.processes import ListProcesses, list_processes
from kept.app.workspace import embedded_actor, open_workspace
from kept.core.errors import KeptError
from kept.governance.workspace import Workspace
from kept.plan.catalog import ListProjects, list_projects
from kept.plan.loading import load_project
from kept.settings.settings import Settings


def connect(settings: Settings, *, create: bool = False) -> Connection:
    """The server that the settings name, else the workspace of this machine."""
    if settings.url:
        return Remote(settings.url, settings.token)
    return Embedded(open_workspace(settings, create=create), embedded_actor(settings, "cli"))


def open_here(settings: Settings, *, create: bool = True) -> Workspace:
    """The workspace of this machine."""
    return open_workspace(settings, create=create)


def model_name(settings: Settings, given: str | None) -> str:
    """The model that is meant: the one given, or that of the project here, which bears its name."""
    return given or load_project(Path(settings.project)).name


def name_here(connection: Connection, settings: Settings, given: str | None) -> str:
    """The model or endpoint that is meant: the one given, or that of the project here, by its record.

    The project's file is loaded only where it was never recorded: who brings a version back shall neither wait for what the file
    imports, nor be stopped by what is wrong with it.
    """
    if given:
        return given
    file = str(Path(settings.project).resolve())
    recorded = [one.name for one in connection.call(list_projects, ListProjects()) if one.source == file]
    # A file that was given another name is recorded under both.
    return recorded[0] if len(recorded) == 1 else model_name(settings, None)


def service_address(settings: Settings, *, said: bool) -> str:
    """Where predictions are asked for: at the service that runs for the workspace, unless a host or port was said."""
    if not said:
        try:
            up = connect(settings).call(list_processes, ListProcesses())
        except KeptError:
            # The service needs no workspace to answer, and neither does who asks it.
            up = []
        for one in reversed(up):
            if one.kind == "serve" and one.address:
                return one.address
    return f"http://{settings.host}:{settings.port + 1}"
