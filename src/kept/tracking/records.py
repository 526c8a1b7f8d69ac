"""Rows of runs, their parameters and their metrics."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from kept.store.rows import from_row, to_row
from kept.store.schema import run_metrics, run_params, runs
from kept.tracking.run import Metric, Run, RunStatus


def insert_run(connection: Connection, run: Run) -> None:
    """Adds a run."""
    connection.execute(insert(runs).values(**to_row(run)))


def run_by_id(connection: Connection, run_id: str) -> Run | None:
    """The run, or None."""
    row = connection.execute(select(runs).where(runs.c.id == run_id)).mappings().first()
    return from_row(row, Run) if row else None


def find_runs(
    connection: Connection,
    *,
    project: str | None = None,
    kind: str | None = None,
    status: RunStatus | None = None,
    parent: str | None = None,
    limit: int | None = None,
    oldest_first: bool = False,
) -> list[Run]:
    """Runs that fit everything given, newest first unless told otherwise."""
    query = select(runs)
    for column, wanted in ((runs.c.project, project), (runs.c.kind, kind), (runs.c.parent, parent)):
        if wanted is not None:
            query = query.where(column == wanted)
    if status is not None:
        query = query.where(runs.c.status == status.value)
    # Ids are UUIDv7: they break ties in the order of making.
    order = (runs.c.created_at, runs.c.id) if oldest_first else (runs.c.created_at.desc(), runs.c.id.desc())
    return [from_row(row, Run) for row in connection.execute(query.order_by(*order).limit(limit)).mappings()]


def change_run(connection: Connection, run_id: str, expected: Iterable[RunStatus], **changes: Any) -> bool:
    """Changes a run that has one of the expected states; whether it had."""
    query = update(runs).where(runs.c.id == run_id, runs.c.status.in_([status.value for status in expected]))
    return connection.execute(query.values(**changes)).rowcount == 1


def put_params(connection: Connection, run_id: str, values: dict[str, str]) -> None:
    """Sets parameters; the last value of a name wins."""
    query = upsert(run_params)
    query = query.on_conflict_do_update(
        index_elements=[run_params.c.run_id, run_params.c.name], set_={"value": query.excluded.value}
    )
    connection.execute(query, [{"run_id": run_id, "name": name, "value": value} for name, value in values.items()])


def params_of(connection: Connection, run_id: str) -> dict[str, str]:
    """Parameters by name."""
    query = select(run_params.c.name, run_params.c.value).where(run_params.c.run_id == run_id)
    return {row.name: row.value for row in connection.execute(query.order_by(run_params.c.name))}


def put_metrics(
    connection: Connection, run_id: str, values: dict[str, float | None], *, step: int, at: datetime
) -> None:
    """Sets metrics at a step; the last value of a name and step wins."""
    query = upsert(run_metrics)
    query = query.on_conflict_do_update(
        index_elements=[run_metrics.c.run_id, run_metrics.c.name, run_metrics.c.step],
        set_={"value": query.excluded.value, "at": query.excluded.at},
    )
    rows = [{"run_id": run_id, "name": name, "step": step, "value": value, "at": at} for name, value in values.items()]
    connection.execute(query, rows)


def last_metrics(connection: Connection, run_id: str) -> dict[str, float | None]:
    """The value of each metric at its highest step."""
    last = (
        select(run_metrics.c.name, func.max(run_metrics.c.step).label("step"))
        .where(run_metrics.c.run_id == run_id)
        .group_by(run_metrics.c.name)
        .subquery()
    )
    query = (
        select(run_metrics.c.name, run_metrics.c.value)
        .join(last, (run_metrics.c.name == last.c.name) & (run_metrics.c.step == last.c.step))
        .where(run_metrics.c.run_id == run_id)
        .order_by(run_metrics.c.name)
    )
    return {row.name: row.value for row in connection.execute(query)}


def metric_history(connection: Connection, run_id: str, name: str) -> list[Metric]:
    """Every value of a metric, by step."""
    query = select(run_metrics).where(run_metrics.c.run_id == run_id, run_metrics.c.name == name)
    return [from_row(row, Metric) for row in connection.execute(query.order_by(run_metrics.c.step)).mappings()]
