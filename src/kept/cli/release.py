"""`kept release`: a version takes over its endpoint, step by step."""

from typing import Annotated

import typer

from kept.cli.options import Json, Model, ProjectFile, Reason, Workspace, settings_for
from kept.cli.reach import connect
from kept.cli.routes import show_endpoint
from kept.cli.show import print_json
from kept.cli.versions import Version, version_here
from kept.deployment.release import ReleaseVersion, release

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
    found = connection.call(release, request)
    if as_json:
        print_json(found)
    else:
        show_endpoint(found)
