"""`kept rollback`: the previous version, at once."""

from typing import Annotated

import typer

from kept.cli.options import Json, ProjectFile, Workspace, settings_for
from kept.cli.reach import connect, name_here
from kept.cli.routes import show_endpoint
from kept.cli.show import print_json
from kept.cli.versions import version_here
from kept.deployment.rollback import RollBack, roll_back
from kept.registry.version_name import FORMS

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    reason: Annotated[str, typer.Option("--reason", help="Why, for the record.")],
    endpoint: Annotated[str | None, typer.Option(help="The endpoint; that of the project here by default.")] = None,
    to: Annotated[
        str | None,
        typer.Option(help=f"A version that served before, by number, alias, {FORMS}; the previous one by default."),
    ] = None,
    workspace: Workspace = None,
    project: ProjectFile = None,
    as_json: Json = False,
) -> None:
    """Take a rollout back, or the last promotion."""
    settings = settings_for(workspace, project)
    connection = connect(settings)
    if to and not endpoint:
        endpoint = version_here(connection, settings, to, None).model
    name = name_here(connection, settings, endpoint)
    found = connection.call(roll_back, RollBack(endpoint=name, to=to, reason=reason))
    if as_json:
        print_json(found)
    else:
        show_endpoint(found)
