"""`kept runs`: what was run, and how it went."""

from contextlib import closing
from typing import Annotated

import typer

from kept.app.connection import Connection
from kept.app.tracked.destination import destination_of
from kept.app.tracked.waiting import deliver_waiting
from kept.cli.options import Json, Workspace, settings_for
from kept.cli.reach import connect
from kept.cli.show import lines, print_json, say, short, table
from kept.core.errors import Invalid, Unavailable
from kept.tracking.run import Run
from kept.tracking.runs import CancelRun, ListRuns, ShowRun, cancel_run, list_runs, show_run

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

_SHORTEST, _WHOLE = 4, 36
_MOST = 1_000


@app.command("list")
def list_(
    kind: Annotated[str | None, typer.Option(help="Only this kind: training, trial.")] = "training",
    limit: Annotated[int, typer.Option(help="At most so many.")] = 50,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """List runs, newest first."""
    found = connect(settings_for(workspace)).call(list_runs, ListRuns(kind=kind, limit=limit))
    if as_json:
        print_json(found)
        return
    one_project = len({one.project for one in found}) < 2
    rows = [
        (
            short(one.id),
            *(() if one_project else (one.project,)),
            one.status.value,
            _seconds(one),
            one.created_at,
            one.reason,
        )
        for one in found
    ]
    table(
        f"Runs of {found[0].project}" if found and one_project else "Runs",
        ["run", *(() if one_project else ("project",)), "status", "#seconds", "queued", "~why"],
        rows,
    )


@app.command()
def show(
    run: Annotated[str, typer.Argument(help="The run's id, or its end.")],
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Show a run with its parameters, metrics and trials."""
    connection = connect(settings_for(workspace))
    found = connection.call(show_run, ShowRun(run=_full(connection, run)))
    if as_json:
        print_json(found)
        return
    one = found.run
    say((one.id, "bold"), f" {one.kind} of {one.project}: {one.status.value}")
    facts = [("why", one.reason or "-"), ("seed", str(one.seed)), ("code", one.code), ("environment", one.environment)]
    lines([(name, value or "-") for name, value in facts])
    if one.error:
        lines([(("error", "red"), one.error)])
    table("Parameters", ["name", "value"], found.params.items())
    table("Metrics", ["name", "#value"], found.metrics.items())
    if found.children:
        rows = [(child.name, child.status.value, child.tags.get("pruned", "-")) for child in found.children]
        table("Parts", ["name", "status", "pruned"], rows)


@app.command()
def cancel(
    run: Annotated[str, typer.Argument(help="The run's id, or its end.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, for the record.")] = "",
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Stop a run."""
    connection = connect(settings_for(workspace))
    found = connection.call(cancel_run, CancelRun(run=_full(connection, run), reason=reason))
    if as_json:
        print_json(found)
    else:
        say(f"{found.id} is {found.status.value}.")


@app.command()
def sync(workspace: Workspace = None, as_json: Json = False) -> None:
    """Send what training code logged and could not deliver: its process was killed, or the server was away."""
    with closing(destination_of(settings_for(workspace), create=False)) as destination:
        found = deliver_waiting(destination)
    if as_json:
        print_json(found)
    elif found:
        rows = [(short(one.run), one.host, one.frames, "yes" if one.waiting else "no", one.trouble) for one in found]
        table("Sent", ["run", "machine", "#frames", "still waits", "~why"], rows)
    else:
        say("Nothing waits.")
    if troubled := [one for one in found if one.waiting]:
        raise Unavailable(f"{len(troubled)} of {len(found)} still wait: {troubled[0].trouble}", where="runs")


def _full(connection: Connection, run: str) -> str:
    """The id that ends like this; what is given where none or an id as a whole does."""
    if len(run) < _SHORTEST or len(run) >= _WHOLE:
        return run
    found = [one.id for one in connection.call(list_runs, ListRuns(limit=_MOST)) if one.id.endswith(run)]
    if len(found) > 1:
        raise Invalid(f"{len(found)} runs end in {run}", where="runs", fix="Give more of the id: kept runs list --json")
    return found[0] if found else run


def _seconds(run: Run) -> float | None:
    if run.started_at is None or run.ended_at is None:
        return None
    return (run.ended_at - run.started_at).total_seconds()
