"""`kept waive`: a person's word that a rejected version may be released."""

from typing import Annotated

import typer

from kept.cli.options import Json, Model, ProjectFile, Workspace, settings_for
from kept.cli.reach import connect
from kept.cli.show import print_json, say
from kept.cli.versions import Version, number_of, version_here
from kept.registry.consent import Waive, waive

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    version: Version,
    reason: Annotated[str, typer.Option("--reason", help="Why it may be released all the same, for the record.")],
    model: Model = None,
    workspace: Workspace = None,
    project: ProjectFile = None,
    as_json: Json = False,
) -> None:
    """Allow a version that failed its objectives to be released."""
    settings = settings_for(workspace, project)
    connection = connect(settings)
    named = version_here(connection, settings, version, model)
    request = Waive(model=named.model, version=named.version, reason=reason)
    found = connection.call(waive, request)
    if as_json:
        print_json(found)
    else:
        say(f"Version {number_of(connection, found.subject)} of {request.model} may be released: {found.reason}")
