"""`kept audit`: who did what, why, and whether the log is whole."""

from typing import Annotated

import typer

from kept.cli.options import Json, Workspace, settings_for
from kept.cli.reach import connect
from kept.cli.show import print_json, say, table
from kept.governance.audit import GENESIS
from kept.governance.journal import ListAudit, VerifyAudit, list_audit, verify_audit

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.command("list")
def list_(
    subject: Annotated[str | None, typer.Option(help="Only entries about this.")] = None,
    action: Annotated[str | None, typer.Option(help="Only entries of this operation.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.")] = 50,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """List entries, newest first."""
    request = ListAudit(subject=subject, action=action, limit=limit)
    found = connect(settings_for(workspace)).call(list_audit, request)
    if as_json:
        print_json(found)
        return
    rows = [(one.sequence, one.at, one.actor, one.action, one.outcome, one.subject) for one in found]
    table("Audit", ["#no", "at", "actor", "action", "outcome", "~subject"], rows, nothing="No entries.")


@app.command()
def verify(
    entries: Annotated[int, typer.Option(help="How many there were, as an earlier check said.")] = 0,
    head: Annotated[str, typer.Option(help="The head that it said.")] = GENESIS,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Check every entry's seal and place, and that the chain goes on from an earlier check."""
    request = VerifyAudit(entries=entries, head=head)
    found = connect(settings_for(workspace)).call(verify_audit, request)
    if as_json:
        print_json(found)
    else:
        say(f"The chain is whole: {found.entries} entries, head {found.head}")
