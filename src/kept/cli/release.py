"""`kept release`: a version takes over its endpoint, step by step."""

from pathlib import Path
from typing import Annotated

import typer

from kept.app.connection import Connection
from kept.cli.options import Json, Model, ProjectFile, Reason, Workspace, settings_for
from kept.cli.reach import connect
from kept.cli.routes import show_endpoint
from kept.cli.show import errors, print_json
from kept.cli.versions import Version, version_here
from kept.core.errors import KeptError
from kept.deployment.release import ReleaseVersion, release
from kept.plan.catalog import ShowProject, show_project
from kept.plan.description import describe
from kept.plan.loading import load_project

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    version: Version = "latest",
    model: Model = None,
    endpoint: Annotated[str | None, typer.Option(help="The endpoint; that of the model's name by default.")] = None,
    reason: Reason = "",
    replace: Annotated[bool, typer.Option(help="End a rollout that is running.")] = False,
    workspace: Workspace = None,
    project: ProjectFile = None,
    as_json: Json = False,
) -> None:
    """Release a version: an endpoint's first takes all traffic, later ones go through the canary."""
    settings = settings_for(workspace, project)
    connection = connect(settings)
    named = version_here(connection, settings, version, model)
    request = ReleaseVersion(
        endpoint=endpoint or named.model, model=named.model, version=named.version, reason=reason, replace=replace
    )
    _tell_unrecorded(connection, Path(settings.project), named.model)
    found = connection.call(release, request)
    if as_json:
        print_json(found)
    else:
        show_endpoint(found)


def _tell_unrecorded(connection: Connection, file: Path, model: str) -> None:
    """Says so when the project here declares another release than is recorded: a release goes by the record."""
    try:
        declared = load_project(file)
        if declared.name != model:
            return
        recorded = connection.call(show_project, ShowProject(project=model))
    except KeptError:
        # A model of no project, or of one that is elsewhere; what is wrong with a version is said by the release.
        return
    if describe(declared)["release"] != recorded.plan["release"]:
        said = f"{file} declares another release than is recorded, which holds: record it with kept run"
        errors.print(said, markup=False, soft_wrap=True)
