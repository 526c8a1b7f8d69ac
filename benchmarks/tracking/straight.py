"""Fills Kept's database straight, as its server writes it, for the sizes that would take the API many minutes."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from filling import BEGAN, Logged
from sqlalchemy import Connection, insert, select

from kept.store.database import Database
from kept.store.rows import to_row
from kept.store.schema import metrics, points, run_params, run_tags, runs
from kept.tracking.run import Run, RunStatus

_AT_ONCE = 5_000
_START = datetime(1970, 1, 1, tzinfo=UTC)


def fill_kept(database: Database, experiment: int, logged: list[Logged]) -> None:
    """Makes runs with what is logged to them, each metric with one point."""
    for first in range(0, len(logged), _AT_ONCE):
        some = {uuid.uuid4().hex: one for one in logged[first : first + _AT_ONCE]}
        with database.writing() as connection:
            connection.execute(insert(runs), [_row(experiment, run, one) for run, one in some.items()])
            known = select(runs.c.id, runs.c.number).where(runs.c.id.in_(list(some)))
            numbers = {row.id: row.number for row in connection.execute(known)}
            _values(connection, experiment, [(numbers[run], one) for run, one in some.items()])


def _values(connection: Connection, experiment: int, made: list[tuple[int, Logged]]) -> None:
    params = [_text(experiment, run, name, text) for run, one in made for name, text in one.params.items()]
    tags = [_text(experiment, run, name, text) for run, one in made for name, text in one.all_tags.items()]
    latest = [
        {"experiment": experiment, "name": name, "run": run, "nan": 0, "value": value, "step": 0, "at": BEGAN}
        for run, one in made
        for name, value in one.metrics.items()
    ]
    for table, rows in ((run_params, params), (run_tags, tags), (metrics, latest)):
        if rows:
            connection.execute(insert(table), rows)
    numbers = [run for run, _ in made]
    first = select(*(metrics.c[name] for name in points.c.keys())).where(  # noqa: SIM118 - their names
        metrics.c.run.between(min(numbers), max(numbers))
    )
    connection.execute(insert(points).from_select(list(points.c.keys()), first))


def _text(experiment: int, run: int, name: str, text: str) -> dict[str, Any]:
    return {"experiment": experiment, "name": name, "run": run, "value": text}


def _row(experiment: int, run: str, one: Logged) -> dict[str, Any]:
    began = _START + timedelta(milliseconds=one.began)
    fact = Run(
        id=run,
        project="",
        kind="logged",
        name=one.name,
        status=RunStatus.FAILED if one.failed else RunStatus.FINISHED,
        created_by="bench",
        artifact_location=f"mlflow-artifacts:/{experiment}/{run}/artifacts",
        created_at=began,
        started_at=began,
        ended_at=began,
    )
    row = to_row(fact) | {"experiment": experiment}
    del row["tags"]
    return row
