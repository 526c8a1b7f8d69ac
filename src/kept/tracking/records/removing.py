"""Rows of runs that go for good."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping, delete, func, select

from kept.store.schema import (
    artifacts,
    datasets,
    log_writers,
    metrics,
    points,
    run_datasets,
    run_models,
    run_params,
    run_tags,
    runs,
)
from kept.tracking.experiment import Lifecycle


def deleted_rows(connection: Connection, before: datetime, limit: int) -> Sequence[RowMapping]:
    """Runs that were deleted before a moment, those deleted first coming first."""
    query = select(runs).where(runs.c.lifecycle == Lifecycle.DELETED.value, runs.c.deleted_at < before)
    return connection.execute(query.order_by(runs.c.deleted_at, runs.c.number).limit(limit)).mappings().all()


def parents_in_use(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Those of these runs that a run is a part of which is not deleted."""
    query = select(runs.c.parent).where(runs.c.parent.in_(ids), runs.c.lifecycle == Lifecycle.ACTIVE.value)
    return set(connection.execute(query).scalars())


def count_points(connection: Connection, number: int) -> int:
    """How many points a run has."""
    of_run = select(metrics.c.series).where(metrics.c.run == number)
    return int(connection.execute(select(func.count()).where(points.c.series.in_(of_run))).scalar_one())


def sizes_below(connection: Connection, path: str) -> tuple[int, int]:
    """How many files were noted below a folder, and their bytes."""
    query = select(func.count(), func.coalesce(func.sum(artifacts.c.size), 0))
    files, size = connection.execute(query.where(artifacts.c.path >= f"{path}/", artifacts.c.path < f"{path}0")).one()
    return int(files), int(size)


def remove_run(connection: Connection, number: int) -> None:
    """Removes a run with all that was logged to it; datasets go that no other run read."""
    series = select(metrics.c.series).where(metrics.c.run == number)
    connection.execute(delete(points).where(points.c.series.in_(series)))
    read = list(connection.execute(select(run_datasets.c.dataset).where(run_datasets.c.run == number)).scalars())
    for table in (metrics, run_params, run_tags, run_datasets, run_models, log_writers):
        connection.execute(delete(table).where(table.c.run == number))
    still = select(run_datasets.c.dataset).where(run_datasets.c.dataset.in_(read))
    connection.execute(delete(datasets).where(datasets.c.id.in_(read), datasets.c.id.not_in(still)))
    connection.execute(delete(runs).where(runs.c.number == number))
