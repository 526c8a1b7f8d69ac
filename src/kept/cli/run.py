"""`kept run`: one training run, from data to a judged version."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from kept.app.connection import Connection, Embedded
from kept.app.projects import Projects
from kept.app.running import make_runner
from kept.cli.following import follow
from kept.cli.options import Json, ProjectFile, Reason, Workspace, settings_for
from kept.cli.reach import connect
from kept.cli.show import console, print_json
from kept.core.clock import parse_time
from kept.core.errors import CheckFailed, Conflict, KeptError
from kept.loop.decisions import RetrainNow, retrain
from kept.plan.catalog import ensure_registered
from kept.plan.loading import load_project
from kept.registry.catalog import ShowVersion, show_version
from kept.registry.model import ModelVersion
from kept.tracking.run import Run, RunStatus

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    until: Annotated[str | None, typer.Option(help="Learn from what was known at this moment only.")] = None,
    window: Annotated[str | None, typer.Option(help="Learn from so much event time, for example 60d.")] = None,
    fresh: Annotated[bool, typer.Option(help="Run every step, whatever is known already.")] = False,
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
    request = RetrainNow(project=loaded.name, reason=reason, until=moment, window=window, fresh=fresh)
    decision = connection.call(retrain, request)
    with _at_work(connection):
        run, steps = follow(connection, decision.run_id or "", quiet=as_json)
    failed = next((step.failure for step in steps if step.failure is not None), None)
    if run.status is not RunStatus.FINISHED:
        raise failed.raised() if failed else KeptError(run.error or f"the run is {run.status.value}")
    _tell(connection, run, as_json)


def _tell(connection: Connection, run: Run, as_json: bool) -> None:
    version = connection.call(show_version, ShowVersion(model=run.project, version="latest")).version
    if as_json:
        print_json(version)
    else:
        _show(version)
    if version.status == "rejected":
        fix = f"Mend the model, or: kept waive {version.number} --reason ..."
        raise CheckFailed(f"version {version.number} is rejected: {'; '.join(version.verdict.failed)}", fix=fix)


def _show(version: ModelVersion) -> None:
    console.print(f"\n[bold]{version.model} version {version.number}[/bold] is {version.status}", highlight=False)
    for one in version.verdict.objectives:
        console.print(("  [green]✓[/green] " if one.passed else "  [red]✗[/red] ") + one.sentence, highlight=False)
    for check in version.verdict.checks:
        console.print(("  [green]✓[/green] " if check.passed else "  [red]✗[/red] ") + check.sentence, highlight=False)


@contextmanager
def _at_work(connection: Connection) -> Iterator[None]:
    """Runs the pipeline in this process, unless a worker does."""
    if not isinstance(connection, Embedded):
        yield
        return
    runner = make_runner(connection.workspace, Projects(connection.workspace))
    try:
        runner.start()
    except Conflict:
        # A worker of this workspace is up: it takes the run.
        yield
        return
    stopping = threading.Event()

    def take() -> None:
        while not stopping.wait(connection.workspace.settings.poll_seconds):
            # A database that is locked or away for a moment: whoever follows the run would wait for ever.
            with suppress(KeptError):
                runner.tick()

    runner.tick()
    thread = threading.Thread(target=take, name="runner", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
        runner.stop()
