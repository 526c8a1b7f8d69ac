"""`kept approve`: a person's consent to a release."""

from typing import Annotated

import typer

from kept.cli.options import Json, Model, ProjectFile, Reason, Workspace, settings_for
from kept.cli.reach import connect, model_name
from kept.cli.show import print_json, say
from kept.registry.consent import Approve, approve

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    version: Annotated[str, typer.Argument(help="A number, an alias, an id, or latest.")] = "latest",
    model: Model = None,
    reason: Reason = "",
    workspace: Workspace = None,
    project: ProjectFile = None,
    as_json: Json = False,
) -> None:
    """Approve a version for release. Each person counts once."""
    settings = settings_for(workspace, project)
    request = Approve(model=model_name(settings, model), version=version, reason=reason)
    connection = connect(settings)
    found = connection.call(approve, request)
    if as_json:
        print_json(found)
    else:
        say(f"{found.actor} approves version {version} of {request.model}.")
