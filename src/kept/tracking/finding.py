"""Operations that read logged runs: searches and metric histories."""

import difflib
from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping

from kept.core.errors import Invalid, NotFound
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.tracking.experiment import View
from kept.tracking.filtering import Term
from kept.tracking.grammar import experiment_numbers, run_orders, run_terms
from kept.tracking.paging import MOST_NAMED, check_limit, check_named, offset_of, token_of
from kept.tracking.points import DatasetSummary, PointPage, RunPoint
from kept.tracking.records.experiments import experiment_names
from kept.tracking.records.inputs import dataset_summaries, datasets_of, inputs_of, outputs_of
from kept.tracking.records.metrics import history, history_of_runs, latest_of, sampled
from kept.tracking.records.runs import run_key, run_numbers, run_rows, runs_from
from kept.tracking.records.searching import search_run_rows
from kept.tracking.records.values import params_of
from kept.tracking.requests import LARGEST_PAGE, MetricHistory, MetricHistoryBulk, SearchDatasets, SearchRuns
from kept.tracking.run import RunData, RunPage

_MOST_POINTS = 1_000_000
MOST_COMPARED = MOST_NAMED
"""How many runs can be compared at once."""


@operation("runs.search", needs=Permission.VIEW, audit=Audit.READ)
def search_runs(workspace: Workspace, actor: Actor, request: SearchRuns) -> RunPage:
    """Runs of experiments that fit, a page at a time; those begun last first unless ordered otherwise."""
    del actor
    check_limit(request.limit, LARGEST_PAGE)
    check_named(request.experiments, "experiments")
    offset = offset_of(request.page)
    terms, orders = run_terms(request.filter), run_orders(request.order_by)
    experiments = experiment_numbers(request.experiments)
    with workspace.database.reading() as connection:
        rows = search_run_rows(
            connection, experiments, terms, orders, request.view.lifecycles, offset=offset, limit=request.limit + 1
        )
        more = len(rows) > request.limit
        runs = _data_of(connection, rows[: request.limit])
    return RunPage(runs=runs, next_page=token_of(offset + request.limit) if more else None)


@operation("runs.metric_history", needs=Permission.VIEW, on="run", audit=Audit.READ)
def metric_history(workspace: Workspace, actor: Actor, request: MetricHistory) -> PointPage:
    """The points of a metric of a run by time, step and value, a page at a time."""
    del actor
    offset = offset_of(request.page)
    if request.limit is not None:
        check_limit(request.limit, _MOST_POINTS)
    with workspace.database.reading() as connection:
        found = run_key(connection, request.run)
        if found is None:
            raise NotFound(f"Run with id={request.run} not found")
        limit = None if request.limit is None else request.limit + 1
        points = history(connection, found[0].number, request.name, offset=offset, limit=limit)
    if request.limit is None or len(points) <= request.limit:
        return PointPage(points=points)
    return PointPage(points=points[: request.limit], next_page=token_of(offset + request.limit))


@operation("runs.metric_history_bulk", needs=Permission.VIEW, audit=Audit.READ)
def metric_history_bulk(workspace: Workspace, actor: Actor, request: MetricHistoryBulk) -> list[RunPoint]:
    """The points of a metric of several runs, all of them up to a limit, or evenly chosen of each run."""
    del actor
    if (request.start_step is None) != (request.end_step is None):
        raise Invalid("Both start_step and end_step must be specified together, or neither may be specified.")
    check_limit(request.limit, _MOST_POINTS)
    check_named(request.runs, "runs")
    if request.sample is not None and len(request.runs) * request.sample > _MOST_POINTS:
        what = f"{request.sample:,} points of each of {len(request.runs):,} runs"
        raise Invalid(what, where="sample", fix=f"Ask for at most {_MOST_POINTS:,} points in all")
    with workspace.database.reading() as connection:
        numbers = run_numbers(connection, request.runs)
        if request.sample is None:
            return history_of_runs(connection, numbers.items(), request.name, request.limit)
        most = max(1, request.sample)
        return [
            RunPoint(run=run, point=point)
            for run in request.runs
            if run in numbers
            for point in sampled(connection, numbers[run], request.name, most, request.start_step, request.end_step)
        ]


@operation("runs.datasets", needs=Permission.VIEW, audit=Audit.READ)
def search_datasets(workspace: Workspace, actor: Actor, request: SearchDatasets) -> list[DatasetSummary]:
    """Datasets that runs of experiments read, each once for each thing it was read for."""
    del actor
    check_limit(request.limit, LARGEST_PAGE)
    check_named(request.experiments, "experiments")
    with workspace.database.reading() as connection:
        return dataset_summaries(connection, experiment_numbers(request.experiments), request.limit)


def found_runs(
    connection: Connection, runs: Sequence[str], experiments: Sequence[str], filter_: str | Sequence[Term]
) -> tuple[list[RunData], dict[str, str]]:
    """The runs with these ids; or, without ids, those of the experiments (all without any) that fit the filter.

    Experiments are named or given by id. With the names of the runs' experiments by id.
    """
    check_named(runs, "runs")
    check_named(experiments, "experiments")
    names = experiment_names(connection)
    if runs:
        data = _data_of(connection, run_rows(connection, runs))
        if missing := sorted(set(runs) - {one.run.id for one in data}):
            raise NotFound(f"there is no run {missing[0]}", where="runs", fix="See `kept runs list`")
        return data, names
    ids = {name: number for number, name in names.items()}
    if unknown := [one for one in experiments if one not in ids and one not in names]:
        near = ", ".join(difflib.get_close_matches(unknown[0], ids, n=3)) or ", ".join(sorted(ids)[:5])
        raise NotFound(f"there is no experiment {unknown[0]!r}", where="experiments", fix=f"There are: {near}")
    wanted = [int(ids.get(one, one)) for one in experiments] or [int(number) for number in names]
    rows = search_run_rows(
        connection, wanted, run_terms(filter_), [], View.ACTIVE.lifecycles, offset=0, limit=MOST_COMPARED + 1
    )
    if len(rows) > MOST_COMPARED:
        raise Invalid(f"more than {MOST_COMPARED:,} runs fit", where="runs", fix="Narrow the filter")
    return _data_of(connection, rows), names


def _data_of(connection: Connection, rows: Sequence[RowMapping]) -> list[RunData]:
    numbers = [row["number"] for row in rows]
    found = runs_from(connection, rows)
    params, latest = params_of(connection, numbers), latest_of(connection, numbers)
    datasets = datasets_of(connection, numbers)
    inputs, outputs = inputs_of(connection, numbers), outputs_of(connection, numbers)
    return [
        RunData(
            run=run,
            params=params.get(number, {}),
            latest=latest.get(number, []),
            datasets=datasets.get(number, []),
            model_inputs=inputs.get(number, []),
            outputs=outputs.get(number, []),
        )
        for number, run in zip(numbers, found, strict=True)
    ]
