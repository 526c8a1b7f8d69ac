"""`kept runs`: what was run, how it went, and what is done with it."""

from collections.abc import Iterable
from contextlib import closing
from typing import Annotated

import typer

from kept.app.connection import Connection
from kept.app.finding import data_of, experiment_names, find_runs
from kept.app.run_files import files_of_run
from kept.app.tracked.destination import destination_of
from kept.app.tracked.waiting import deliver_waiting
from kept.cli.comparison import show_comparison
from kept.cli.finding import full_id
from kept.cli.options import Json, Reason, Workspace, settings_for
from kept.cli.reach import connect
from kept.cli.show import console, lines, print_json, say, short, spark, table
from kept.core.errors import NotFound, Unavailable
from kept.registry.collecting import CollectRuns, FindGarbage, Garbage, collect_runs, find_garbage
from kept.tracking.comparing import compare_runs
from kept.tracking.comparison import CompareRuns
from kept.tracking.finding import metric_history_bulk
from kept.tracking.recording import delete_run, restore_run
from kept.tracking.requests import DeleteRun, MetricHistoryBulk, RestoreRun
from kept.tracking.run import KINDS, Run, RunData, RunDetail
from kept.tracking.runs import CancelRun, ListRuns, ShowRun, cancel_run, list_runs, show_run
from kept.tracking.telling import main_metrics

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

_MEASURED = 3
_COURSES = 40
_COURSE_WIDTH = 32
_AT_ONCE = 20
_MOST_FILES = 100
_NO_RUNS = "No runs yet. They come with kept run, kept.track and clients of MLflow."
_FACTS_WIDTH, _TEXT_WIDTH, _NUMBER_WIDTH = 50, 14, 7

Ids = Annotated[list[str], typer.Argument(help="Ids of runs, or their ends.")]


@app.command("list")
def list_(
    experiment: Annotated[str | None, typer.Option(help="Only runs of this experiment, by name or id.")] = None,
    where: Annotated[
        str, typer.Option(help="Only those that fit, for example \"metrics.loss < 0.3 and tags.a = 'b'\".")
    ] = "",
    kind: Annotated[str | None, typer.Option(help=f"Only this kind: {', '.join(KINDS)}.")] = None,
    deleted: Annotated[bool, typer.Option("--deleted", help="Those that were deleted.")] = False,
    limit: Annotated[int, typer.Option(help="At most so many.")] = 50,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """List runs, newest first; parts of others, such as trials, only where a kind, an experiment or a filter asks for them.

    As JSON each comes with its parameters and the last point of each of its metrics.
    """
    connection = connect(settings_for(workspace))
    if experiment is None and not where and not deleted:
        runs = connection.call(list_runs, ListRuns(kind=kind, parts=kind is not None, limit=limit))
        _check_kind(kind, known=bool(runs))
        listed = data_of(connection, runs)
        print_json(listed) if as_json else _list(connection, listed, nothing=_NO_RUNS)
        return
    found, _ = find_runs(connection, experiment=experiment, where=where, kind=kind, deleted=deleted, limit=limit)
    _check_kind(kind, known=bool(found))
    print_json(found) if as_json else _list(connection, found, nothing="No run fits.")


@app.command()
def show(
    run: Annotated[str, typer.Argument(help="The run's id, or its end.")],
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Show a run with its parameters, its metrics and their course, and its trials."""
    connection = connect(settings_for(workspace))
    found = connection.call(show_run, ShowRun(run=full_id(connection, run)))
    if as_json:
        print_json(found)
        return
    one = found.run
    of = f" of {one.project}" if one.project else f", {one.name}"
    say((one.id, "bold"), f" {one.kind}{of}: {one.status.value}{', deleted' if one.deleted_at else ''}")
    facts = [("why", one.reason), ("seed", str(one.seed)), ("code", one.code), ("environment", one.environment)]
    lines([(name, value) for name, value in facts if value])
    if one.error:
        lines([(("error", "red"), one.error)])
    if found.params:
        table("Parameters", ["name", "value"], found.params.items())
    if found.metrics:
        rows = [(name, value, _course(connection, found, name)) for name, value in found.metrics.items()]
        table("Metrics", ["name", "#last", "course"], rows)
    if files := files_of_run(connection, found, _MOST_FILES):
        table("Files", ["name", "#bytes"], [(file.name, file.size) for file in files])
    if tags := {name: value for name, value in one.tags.items() if not name.startswith("mlflow.")}:
        table("Tags", ["name", "value"], tags.items())
    if found.children:
        parts = [(child.name, child.status.value, child.tags.get("pruned", "-")) for child in found.children]
        table("Parts", ["name", "status", "pruned"], parts)


@app.command()
def compare(
    runs: Annotated[
        list[str] | None, typer.Argument(help="Ids of runs, or their ends; all that fit without them.")
    ] = None,
    experiment: Annotated[
        list[str] | None, typer.Option(help="Experiments, by name or id; may be given again.")
    ] = None,
    where: Annotated[str, typer.Option(help="Only runs that fit, for example \"params.depth = '4'\".")] = "",
    by: Annotated[
        list[str] | None,
        typer.Option(help="Group by params.NAME, tags.NAME, experiment, name or run; may be given again."),
    ] = None,
    metric: Annotated[list[str] | None, typer.Option(help="Only this metric; may be given again.")] = None,
    baseline: Annotated[str, typer.Option(help="The group, or a part of its name, that others are held to.")] = "",
    lower: Annotated[list[str] | None, typer.Option(help="A metric of which less is better.")] = None,
    higher: Annotated[list[str] | None, typer.Option(help="A metric of which more is better.")] = None,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Compare groups of runs over their seeds or folds: means with intervals, and differences from a baseline in words."""
    connection = connect(settings_for(workspace))
    request = CompareRuns(
        runs=[full_id(connection, run) for run in runs or []],
        experiments=experiment or [],
        filter=where,
        by=by or [],
        metrics=metric or [],
        baseline=baseline,
        lower_is_better=lower or [],
        higher_is_better=higher or [],
    )
    found = connection.call(compare_runs, request)
    print_json(found) if as_json else show_comparison(found)


@app.command()
def cancel(
    run: Annotated[str, typer.Argument(help="The run's id, or its end.")],
    reason: Reason = "",
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Stop a run."""
    connection = connect(settings_for(workspace))
    found = connection.call(cancel_run, CancelRun(run=full_id(connection, run), reason=reason))
    if as_json:
        print_json(found)
    else:
        say(f"{found.id} is {found.status.value}.")


@app.command()
def delete(runs: Ids, reason: Reason = "", workspace: Workspace = None, as_json: Json = False) -> None:
    """Delete runs; they can be restored until they are removed by `kept runs gc`."""
    connection = connect(settings_for(workspace))
    ids = [full_id(connection, run) for run in runs]
    found = [connection.call(delete_run, DeleteRun(run=run, reason=reason)) for run in ids]
    _tell(found, "deleted", as_json)


@app.command()
def restore(runs: Ids, reason: Reason = "", workspace: Workspace = None, as_json: Json = False) -> None:
    """Bring deleted runs back."""
    connection = connect(settings_for(workspace))
    ids = [full_id(connection, run) for run in runs]
    found = [connection.call(restore_run, RestoreRun(run=run, reason=reason)) for run in ids]
    _tell(found, "restored", as_json)


@app.command()
def gc(
    older_than: Annotated[str, typer.Option(help="Only what was deleted longer ago.")] = "30d",
    yes: Annotated[bool, typer.Option("--yes", help="Remove it; otherwise it is only shown.")] = False,
    reason: Reason = "",
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Remove deleted runs for good, with their points and files. Without --yes, show what would go."""
    connection = connect(settings_for(workspace))
    found = connection.call(find_garbage, FindGarbage(older_than=older_than))
    going = [one for one in found if not one.held]
    if yes:
        done = list[Garbage]()
        for start in range(0, len(going), _AT_ONCE):
            some = [one.run for one in going[start : start + _AT_ONCE]]
            removed = connection.call(collect_runs, CollectRuns(runs=some, older_than=older_than, reason=reason))
            done += removed
        going = [one for one in done if not one.held]
        found = [*done, *(one for one in found if one.held)]
    if as_json:
        print_json(found)
        return
    rows = [(short(one.run), one.name, one.deleted_at, one.points, one.files, one.bytes, one.held) for one in found]
    if rows:
        columns = ["run", "name", "deleted", "#points", "#files", "#bytes", "~stays because"]
        shown = len(columns) if any(one.held for one in found) else len(columns) - 1
        table("Removed" if yes else "Would be removed", columns[:shown], [row[:shown] for row in rows])
    points, size = sum(one.points for one in going), sum(one.bytes for one in going)
    words = "are removed" if yes else "would be removed"
    again = "." if yes or not going else f"; kept runs gc --older-than {older_than} --yes does it."
    say(f"{len(going)} runs with {points:,} points and {size / 1e6:,.1f} MB of files {words}{again}")


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


def _check_kind(kind: str | None, *, known: bool) -> None:
    if kind is not None and kind not in KINDS and not known:
        raise NotFound(f"there are no runs of the kind {kind!r}", where="runs", fix=f"There are: {', '.join(KINDS)}")


def _list(connection: Connection, found: list[RunData], *, nothing: str) -> None:
    experiments = {one.run.experiment for one in found}
    alone = len(experiments) < 2
    logged = any(not one.run.project for one in found)
    reasoned = any(one.run.reason for one in found)
    names = experiment_names(connection) if experiments else {}
    room = console.width - _FACTS_WIDTH - _TEXT_WIDTH * ((not alone) + logged + reasoned)
    measured = _that_fit(main_metrics(found, _MEASURED), room)
    rows = [
        (
            short(one.run.id),
            *(() if alone else (names.get(one.run.experiment, one.run.experiment),)),
            *((one.run.name,) if logged else ()),
            one.run.status.value,
            _seconds(one.run),
            one.run.created_at,
            *_values(one, measured),
            *((one.run.reason,) if reasoned else ()),
        )
        for one in found
    ]
    title = f"Runs of {names.get(found[0].run.experiment, found[0].run.experiment)}" if found and alone else "Runs"
    beside = [*(() if alone else ("experiment",)), *(("~name",) if logged else ())]
    columns = ["run", *beside, "status", "#seconds", "queued", *(f"#{name}" for name in measured)]
    table(title, [*columns, *(["~why"] if reasoned else [])], rows, nothing=nothing)


def _that_fit(metrics: list[str], room: int) -> list[str]:
    """The first of the metrics whose columns have room beside what tells a run from others."""
    shown = []
    for name in metrics:
        room -= max(len(name), _NUMBER_WIDTH) + 2
        if room < 0:
            break
        shown.append(name)
    return shown


def _values(found: RunData, metrics: Iterable[str]) -> Iterable[float | None]:
    values = {point.name: point.value for point in found.latest}
    return (values.get(name) for name in metrics)


def _course(connection: Connection, found: RunDetail, metric: str) -> str:
    """A metric over its steps, as a line of bars; nothing where it has one value, or the run has very many metrics."""
    if len(found.metrics) > _COURSES:
        return ""
    request = MetricHistoryBulk(runs=[found.run.id], name=metric, sample=_COURSE_WIDTH)
    values = [one.point.value for one in connection.call(metric_history_bulk, request)]
    finite = [value if value - value == 0.0 else None for value in values]
    return spark(finite) if len(values) > 1 else ""


def _tell(found: Iterable[Run], word: str, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    for one in found:
        say(f"{one.id} is {word}.")


def _seconds(run: Run) -> float | None:
    if run.started_at is None or run.ended_at is None:
        return None
    return (run.ended_at - run.started_at).total_seconds()
