"""`kept run`: one training run, from data to a judged version."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from kept.app.connection import Connection, Embedded
from kept.cli.following import follow
from kept.cli.options import Json, ProjectFile, Reason, Workspace, settings_for
from kept.cli.reach import connect
from kept.cli.show import errors, say
from kept.cli.working import at_work, tell
from kept.core.clock import parse_time
from kept.core.errors import Conflict
from kept.loop.decision import TRAINING
from kept.loop.decisions import RetrainNow, asked_for, retrain
from kept.plan.catalog import ensure_registered
from kept.plan.loading import load_project
from kept.tracking.run import Run, RunStatus
from kept.tracking.runs import CancelRun, ListRuns, cancel_run, list_runs

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    until: Annotated[str | None, typer.Option(help="Learn from what was known at this moment only.")] = None,
    window: Annotated[str | None, typer.Option(help="Learn from so much event time, for example 60d.")] = None,
    fresh: Annotated[bool, typer.Option(help="Run every step, whatever is known already.")] = False,
    endpoint: Annotated[
        str | None, typer.Option(help="The endpoint that the version is for; every one of the project by default.")
    ] = None,
    reason: Reason = "asked for on the command line",
    workspace: Workspace = None,
    project: ProjectFile = None,
    as_json: Json = False,
) -> None:
    """Run the project's pipeline: a version comes out, accepted or rejected by the project's own objectives."""
    settings = settings_for(workspace, project)
    source = Path(settings.project)
    loaded = load_project(source)
    connection = connect(settings, create=True)
    if isinstance(connection, Embedded):
        ensure_registered(connection.workspace, connection.actor, loaded, source)
    moment = None if until is None else parse_time(until, where="--until")
    request = RetrainNow(
        project=loaded.name, reason=reason, endpoint=endpoint, until=moment, window=window, fresh=fresh
    )
    with at_work(connection) as work:
        run_id = _ask(connection, request, here=work.here)
        try:
            run, steps = follow(connection, run_id, work.check, quiet=as_json)
        except KeyboardInterrupt:
            # A worker goes on with it; nobody else would.
            if work.here:
                _cancel(connection, run_id, "stopped with Ctrl-C")
            raise
    tell(connection, run, steps, as_json=as_json)
    if work.here and not as_json:
        # A worker that is up releases it by itself, as the project says.
        say("\nNext: kept release, and kept up to serve and watch it")


def _ask(connection: Connection, request: RetrainNow, *, here: bool) -> str:
    """Queues the training and gives its run; or the run of the same request that a process left behind when it went.

    Args:
        connection: to whom.
        request: what is asked for.
        here: whether this process runs the pipelines, so that none is at work elsewhere.
    """
    try:
        return connection.call(retrain, request).run_id or ""
    except Conflict:
        left = _left_behind(connection, request.project) if here else None
        if left is None:
            raise
    if asked_for(left, request):
        errors.print(f"Going on with run {left.id}, which was cut short.", highlight=False)
        return left.id
    _cancel(connection, left.id, "cut short, and another training was asked for")
    return connection.call(retrain, request).run_id or ""


def _left_behind(connection: Connection, project: str) -> Run | None:
    for status in (RunStatus.RUNNING, RunStatus.QUEUED):
        for run in connection.call(list_runs, ListRuns(project=project, kind=TRAINING, status=status, limit=1)):
            return run
    return None


def _cancel(connection: Connection, run_id: str, reason: str) -> None:
    with suppress(Conflict):  # it has ended meanwhile
        connection.call(cancel_run, CancelRun(run=run_id, reason=reason))
