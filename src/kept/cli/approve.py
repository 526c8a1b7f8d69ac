"""`kept approve`: a person's consent to a release."""

import typer

from kept.cli.options import Json, Model, ProjectFile, Reason, Workspace, settings_for
from kept.cli.reach import connect
from kept.cli.show import print_json, say
from kept.cli.versions import Version, version_here
from kept.registry.catalog import ShowVersion, show_version
from kept.registry.consent import Approve, approve

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    version: Version = "latest",
    model: Model = None,
    reason: Reason = "",
    workspace: Workspace = None,
    project: ProjectFile = None,
    as_json: Json = False,
) -> None:
    """Approve a version for release. Each person counts once."""
    settings = settings_for(workspace, project)
    connection = connect(settings)
    named = version_here(connection, settings, version, model)
    request = Approve(model=named.model, version=named.version, reason=reason)
    found = connection.call(approve, request)
    if as_json:
        print_json(found)
        return
    shown = connection.call(show_version, ShowVersion(version=found.subject))
    number = shown.registered.number
    say(f"{found.actor} approves version {number} of {request.model}.")
    waived = any(one.kind == "waiver" for one in shown.approvals)
    if shown.version is not None and shown.version.status == "rejected" and not waived:
        say(f"It is rejected, and released only once that is waived: kept waive {request.model}/{number} --reason ...")
