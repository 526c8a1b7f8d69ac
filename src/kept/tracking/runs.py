"""Kept's own runs: created, started, noted on, ended, listed and shown."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Connection

from kept.core.errors import Conflict, Invalid, NotFound
from kept.core.ids import new_id
from kept.core.listing import list_limit
from kept.governance.actor import Actor, Permission
from kept.governance.operation import Audit, operation
from kept.governance.workspace import Workspace
from kept.tracking import location
from kept.tracking.experiments import experiment_named
from kept.tracking.points import Point
from kept.tracking.records.inputs import datasets_of, inputs_of, outputs_of
from kept.tracking.records.keys import RunKey
from kept.tracking.records.metrics import history, latest_of, replace_points
from kept.tracking.records.runs import (
    change_run,
    find_runs,
    insert_run,
    numbered_run,
    parts_of,
    run_by_id,
    run_key,
)
from kept.tracking.records.values import params_of, put_params
from kept.tracking.run import Metric, Run, RunDetail, RunStatus

_OPEN = (RunStatus.QUEUED, RunStatus.RUNNING)


class ListRuns(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which runs: those that fit everything given, newest first."""

    project: str | None = None
    kind: str | None = None
    status: RunStatus | None = None
    parent: str | None = None
    parts: bool = True
    """Whether runs count that are parts of others, such as trials."""
    limit: int = 50


class ShowRun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run."""

    run: str


class ShowMetric(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every value of one metric of a run."""

    run: str
    metric: str


class CancelRun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Stop a run, and why."""

    run: str
    reason: str = ""


@operation("runs.list", needs=Permission.VIEW, audit=Audit.READ)
def list_runs(workspace: Workspace, actor: Actor, request: ListRuns) -> list[Run]:
    """Runs, newest first."""
    del actor
    limit = list_limit(request.limit, where="runs")
    with workspace.database.reading() as connection:
        return find_runs(
            connection,
            project=request.project,
            kind=request.kind,
            status=request.status,
            parent=request.parent,
            parts=request.parts,
            limit=limit,
        )


@operation("runs.show", needs=Permission.VIEW, on="run", audit=Audit.READ)
def show_run(workspace: Workspace, actor: Actor, request: ShowRun) -> RunDetail:
    """A run with its parameters, the last value of each metric, and the runs that are parts of it."""
    del actor
    with workspace.database.reading() as connection:
        found = numbered_run(connection, request.run)
        if found is None:
            raise _missing(request.run)
        number, run = found
        latest = latest_of(connection, [number]).get(number, [])
        return RunDetail(
            run=run,
            params=params_of(connection, [number]).get(number, {}),
            latest=latest,
            datasets=datasets_of(connection, [number]).get(number, []),
            model_inputs=inputs_of(connection, [number]).get(number, []),
            outputs=outputs_of(connection, [number]).get(number, []),
            metrics={point.name: None if math.isnan(point.value) else point.value for point in latest},
            children=parts_of(connection, run.id),
        )


@operation("runs.metric", needs=Permission.VIEW, on="run", audit=Audit.READ)
def show_metric(workspace: Workspace, actor: Actor, request: ShowMetric) -> list[Metric]:
    """Every value of a metric of a run, by step."""
    del actor
    with workspace.database.reading() as connection:
        found = history(connection, _key(connection, request.run).number, request.metric)
    return [
        Metric(
            run_id=request.run,
            name=point.name,
            step=point.step,
            value=None if math.isnan(point.value) else point.value,
            at=datetime.fromtimestamp(point.at / 1000, UTC),
        )
        for point in sorted(found, key=lambda point: point.step)
    ]


@operation("runs.cancel", needs=Permission.CONTRIBUTE, on="run")
def cancel_run(workspace: Workspace, actor: Actor, request: CancelRun) -> Run:
    """Stops a run that has not ended; the worker ends its steps within a second."""
    reason = f": {request.reason}" if request.reason else ""
    return cancel(workspace, request.run, f"cancelled by {actor.name}{reason}")


def create_run(
    workspace: Workspace,
    *,
    project: str,
    kind: str,
    name: str,
    created_by: str,
    reason: str = "",
    request: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    parent: str | None = None,
    seed: int = 0,
    run_id: str | None = None,
) -> Run:
    """Makes a run and queues it.

    A `run_id` that is given makes the call idempotent: the run that has it already is given back.
    """
    run = Run(
        id=run_id or new_id(),
        project=project,
        kind=kind,
        name=name,
        parent=parent,
        reason=reason,
        # Only what JSON can carry is kept, and what is given back is what is kept.
        request=msgspec.json.decode(msgspec.json.encode(dict(request or {}))),
        tags=dict(tags or {}),
        seed=seed,
        created_by=created_by,
        created_at=workspace.clock.now(),
    )
    with workspace.database.writing() as connection:
        if run_id is not None and (existing := run_by_id(connection, run_id)) is not None:
            return existing
        experiment = experiment_named(connection, project, run.created_at)
        run = msgspec.structs.replace(
            run,
            experiment=experiment.id,
            artifact_location=location.run_location(experiment.artifact_location, run.id),
        )
        insert_run(connection, run)
    return run


def get_run(workspace: Workspace, run_id: str) -> Run:
    """The run; `NotFound` when there is none."""
    with workspace.database.reading() as connection:
        run = run_by_id(connection, run_id)
    if run is None:
        raise _missing(run_id)
    return run


def queued_runs(workspace: Workspace, kind: str) -> list[Run]:
    """Runs that wait for a worker, oldest first."""
    with workspace.database.reading() as connection:
        return find_runs(connection, kind=kind, status=RunStatus.QUEUED, oldest_first=True)


def running_runs(workspace: Workspace, kind: str) -> list[Run]:
    """Runs that a worker has begun, oldest first."""
    with workspace.database.reading() as connection:
        return find_runs(connection, kind=kind, status=RunStatus.RUNNING, oldest_first=True)


def start(workspace: Workspace, run_id: str, *, code: str | None = None, environment: str | None = None) -> Run:
    """Marks a run as running, with its code snapshot and environment. A run that runs already stays as it is."""
    now = workspace.clock.now()
    with workspace.database.writing() as connection:
        change_run(
            connection,
            run_id,
            [RunStatus.QUEUED],
            status=RunStatus.RUNNING.value,
            started_at=now,
            code=code,
            environment=environment,
        )
    return _expect(get_run(workspace, run_id), RunStatus.RUNNING)


def finish(workspace: Workspace, run_id: str) -> Run:
    """Ends a run that did what it should."""
    return _end(workspace, run_id, RunStatus.FINISHED, None)


def fail(workspace: Workspace, run_id: str, error: str) -> Run:
    """Ends a run that could not do what it should, and says why."""
    return _end(workspace, run_id, RunStatus.FAILED, error)


def cancel(workspace: Workspace, run_id: str, reason: str) -> Run:
    """Ends a run that is no longer wanted, and says why."""
    return _end(workspace, run_id, RunStatus.CANCELLED, reason)


def log_params(workspace: Workspace, run_id: str, values: Mapping[str, Any]) -> None:
    """Notes what a run was done with. Text is kept as it is, other values as JSON; the last value of a name wins."""
    if values:
        texts = {name: value if isinstance(value, str) else _json(name, value) for name, value in values.items()}
        with workspace.database.writing() as connection:
            put_params(connection, _key(connection, run_id), texts)


def log_metrics(workspace: Workspace, run_id: str, values: Mapping[str, float], *, step: int = 0) -> None:
    """Notes what a run measured, at a step of its own counting; the last value of a name and step wins."""
    if values:
        at = int(workspace.clock.now().timestamp() * 1000)
        points = [Point(name=name, value=_number(name, value), at=at, step=step) for name, value in values.items()]
        with workspace.database.writing() as connection:
            replace_points(connection, _key(connection, run_id), points)


def _key(connection: Connection, run_id: str) -> RunKey:
    found = run_key(connection, run_id)
    if found is None:
        raise _missing(run_id)
    return found[0]


def _missing(run_id: str) -> NotFound:
    return NotFound(f"there is no run {run_id}", where="runs", fix="See `kept runs list`")


def _end(workspace: Workspace, run_id: str, status: RunStatus, error: str | None) -> Run:
    with workspace.database.writing() as connection:
        change_run(connection, run_id, _OPEN, status=status.value, error=error, ended_at=workspace.clock.now())
    return _expect(get_run(workspace, run_id), status)


def _expect(run: Run, status: RunStatus) -> Run:
    if run.status is not status:
        raise Conflict(f"it is {run.status} and can not become {status}", where=f"run {run.id}")
    return run


def _number(name: str, value: float) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise Invalid(f"{value!r} is not a number", where=f"metric {name}", fix="Log one number") from error


def _json(name: str, value: Any) -> str:
    try:
        return msgspec.json.encode(value, order="deterministic").decode()
    except TypeError as error:
        raise Invalid(f"{value!r} can not be written as JSON", where=f"parameter {name}", fix="Log its text") from error
