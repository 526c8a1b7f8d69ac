"""`kept runs`: what was run, and how it went."""

from typing import Annotated

import typer

from kept.cli.options import Json, Workspace, settings_for
from kept.cli.reach import connect
from kept.cli.show import console, print_json, table
from kept.tracking.run import Run
from kept.tracking.runs import CancelRun, ListRuns, ShowRun, cancel_run, list_runs, show_run

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


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
    rows = [
        (one.id, one.project, one.kind, one.status.value, _seconds(one), one.created_at, one.reason) for one in found
    ]
    table("Runs", ["run", "project", "kind", "status", "#seconds", "queued", "why"], rows)


@app.command()
def show(
    run: Annotated[str, typer.Argument(help="The run's id.")], workspace: Workspace = None, as_json: Json = False
) -> None:
    """Show a run with its parameters, metrics and trials."""
    found = connect(settings_for(workspace)).call(show_run, ShowRun(run=run))
    if as_json:
        print_json(found)
        return
    one = found.run
    console.print(f"[bold]{one.id}[/bold] {one.kind} of {one.project}: {one.status.value}", highlight=False)
    console.print(
        f"why: {one.reason or '-'}; seed {one.seed}; code {one.code}; environment {one.environment}", highlight=False
    )
    if one.error:
        console.print(f"error: {one.error}", highlight=False)
    table("Parameters", ["name", "value"], found.params.items())
    table("Metrics", ["name", "#value"], found.metrics.items())
    if found.children:
        rows = [(child.name, child.status.value, child.tags.get("pruned", "-")) for child in found.children]
        table("Parts", ["name", "status", "pruned"], rows)


@app.command()
def cancel(
    run: Annotated[str, typer.Argument(help="The run's id.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, for the record.")] = "",
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Stop a run."""
    found = connect(settings_for(workspace)).call(cancel_run, CancelRun(run=run, reason=reason))
    if as_json:
        print_json(found)
    else:
        console.print(f"{found.id} is {found.status.value}.")


def _seconds(run: Run) -> float | None:
    if run.started_at is None or run.ended_at is None:
        return None
    return (run.ended_at - run.started_at).total_seconds()
