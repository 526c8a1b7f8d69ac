"""`kept workspace`: made, where its records are, and tables of an older Kept brought forward."""

from pathlib import Path

import typer

from kept.app.connection import Embedded
from kept.app.workspace import WorkspaceStatus, migrate_workspace, show_workspace
from kept.cli.options import Json, ProjectFile, Workspace, settings_for
from kept.cli.reach import connect
from kept.cli.show import lines, print_json, say
from kept.plan.catalog import ensure_registered
from kept.plan.loading import load_project

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.command()
def status(workspace: Workspace = None, as_json: Json = False) -> None:
    """See where the workspace is and whether its tables are those that this Kept needs."""
    _show(show_workspace(settings_for(workspace)), as_json=as_json)


@app.command()
def create(workspace: Workspace = None, project: ProjectFile = None) -> None:
    """Make the workspace where there is none, and register the project here, as kept up does before it starts the rest."""
    settings = settings_for(workspace, project)
    connection = connect(settings, create=True)
    source = Path(settings.project)
    if isinstance(connection, Embedded) and source.is_file():
        ensure_registered(connection.workspace, connection.actor, load_project(source), source)


@app.command()
def migrate(workspace: Workspace = None, as_json: Json = False) -> None:
    """Bring the tables of an older Kept forward. Back a server up before; a file is copied by itself."""
    _show(migrate_workspace(settings_for(workspace)), as_json=as_json)


def _show(found: WorkspaceStatus, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    say((found.folder, "bold"), f", format {found.format}")
    if found.revision is None:
        told = f"no tables yet; this Kept makes revision {found.needed}"
    elif found.current:
        told = f"revision {found.revision}: up to date"
    else:
        how = "run kept workspace migrate" if "://" in found.database else "it is brought there when it is next opened"
        told = f"revision {found.revision}, this Kept needs {found.needed}: {how}"
    lines([("  Records in ", found.database), ("  Tables: ", told)])
