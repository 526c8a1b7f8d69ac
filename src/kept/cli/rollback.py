"""`kept rollback`: the previous version, at once."""

from typing import Annotated

import typer

from kept.cli.options import Json, ProjectFile, Workspace, settings_for
from kept.cli.reach import connect, model_name
from kept.cli.routes import show_endpoint
from kept.cli.show import print_json
from kept.deployment.rollback import RollBack, roll_back

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    reason: Annotated[str, typer.Option("--reason", help="Why, for the record.")],
    endpoint: Annotated[str | None, typer.Option(help="The endpoint; that of the project here by default.")] = None,
    to: Annotated[str | None, typer.Option(help="A version that served before; the previous one by default.")] = None,
    workspace: Workspace = None,
    project: ProjectFile = None,
    as_json: Json = False,
) -> None:
    """Take a rollout back, or the last promotion."""
    settings = settings_for(workspace, project)
    request = RollBack(endpoint=model_name(settings, endpoint), to=to, reason=reason)
    found = connect(settings).call(roll_back, request)
    if as_json:
        print_json(found)
    else:
        show_endpoint(found)
