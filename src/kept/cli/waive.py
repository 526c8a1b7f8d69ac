"""`kept waive`: a person's word that a rejected version may be released."""

from typing import Annotated

import typer

from kept.cli.options import Json, Model, ProjectFile, Workspace, settings_for
from kept.cli.reach import connect, model_name
from kept.cli.show import print_json, say
from kept.registry.consent import Waive, waive

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    version: Annotated[str, typer.Argument(help="A number, an alias, an id, or latest.")],
    reason: Annotated[str, typer.Option("--reason", help="Why it may be released all the same, for the record.")],
    model: Model = None,
    workspace: Workspace = None,
    project: ProjectFile = None,
    as_json: Json = False,
) -> None:
    """Allow a version that failed its objectives to be released."""
    settings = settings_for(workspace, project)
    request = Waive(model=model_name(settings, model), version=version, reason=reason)
    found = connect(settings).call(waive, request)
    if as_json:
        print_json(found)
    else:
        say(f"Version {version} of {request.model} may be released: {found.reason}")
