"""Rows of runs."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, insert, select, update

from kept.store.rows import from_row, to_row
from kept.store.schema import runs
from kept.tracking.experiment import Lifecycle
from kept.tracking.records.keys import RunKey, pieces
from kept.tracking.records.values import put_tags, tags_of
from kept.tracking.run import Run, RunStatus

# Made once: to put a query together takes longer than to ask it.
_KEY = select(runs.c.number, runs.c.experiment, runs.c.lifecycle).where(runs.c.id == bindparam("id"))
_BY_ID = select(runs).where(runs.c.id == bindparam("id"))
_PARTS = (
    select(runs)
    .where(runs.c.parent == bindparam("run"), runs.c.lifecycle == Lifecycle.ACTIVE.value)
    .order_by(runs.c.created_at, runs.c.number)
)
_NEW = insert(runs).returning(runs.c.number)
_CHANGED = update(runs).where(runs.c.number == bindparam("known"))


def insert_run(connection: Connection, run: Run) -> RunKey:
    """Adds a run with its tags."""
    row = to_row(run) | {"experiment": int(run.experiment)}
    del row["tags"]
    number = connection.execute(_NEW, row).scalar_one()
    key = RunKey(number, int(run.experiment))
    put_tags(connection, key, run.tags)
    return key


def run_key(connection: Connection, run_id: str) -> tuple[RunKey, Lifecycle] | None:
    """What its rows call a run, and whether it is deleted; None when there is no such run."""
    row = connection.execute(_KEY, {"id": run_id}).first()
    return (RunKey(row.number, row.experiment), Lifecycle(row.lifecycle)) if row else None


def run_numbers(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    """The numbers of those of these runs that exist."""
    found: dict[str, int] = {}
    for some in pieces(ids):
        query = select(runs.c.id, runs.c.number).where(runs.c.id.in_(some))
        found |= {row.id: row.number for row in connection.execute(query)}
    return found


def run_by_id(connection: Connection, run_id: str) -> Run | None:
    """The run, or None."""
    found = numbered_run(connection, run_id)
    return None if found is None else found[1]


def numbered_run(connection: Connection, run_id: str) -> tuple[int, Run] | None:
    """The run with its number, or None."""
    rows = connection.execute(_BY_ID, {"id": run_id}).mappings().all()
    return (rows[0]["number"], runs_from(connection, rows)[0]) if rows else None


def parts_of(connection: Connection, run_id: str) -> list[Run]:
    """The runs that are parts of a run and not deleted, oldest first."""
    return runs_from(connection, connection.execute(_PARTS, {"run": run_id}).mappings().all())


def run_rows(connection: Connection, ids: Sequence[str]) -> list[RowMapping]:
    """The rows of those of these runs that exist."""
    found: list[RowMapping] = []
    for some in pieces(ids):
        found += connection.execute(select(runs).where(runs.c.id.in_(some))).mappings().all()
    return found


def runs_by_id(connection: Connection, ids: Sequence[str]) -> list[tuple[int, Run]]:
    """Those of these runs that exist, each with its number."""
    rows = run_rows(connection, ids)
    return [(row["number"], run) for row, run in zip(rows, runs_from(connection, rows), strict=True)]


def find_runs(
    connection: Connection,
    *,
    project: str | None = None,
    kind: str | None = None,
    status: RunStatus | None = None,
    parent: str | None = None,
    parts: bool = True,
    limit: int | None = None,
    oldest_first: bool = False,
) -> list[Run]:
    """Runs that fit everything given and are not deleted, newest first unless told otherwise; those that are parts of
    others only where `parts` is true.
    """
    query = select(runs).where(runs.c.lifecycle == Lifecycle.ACTIVE.value)
    for column, wanted in ((runs.c.project, project), (runs.c.kind, kind), (runs.c.parent, parent)):
        if wanted is not None:
            query = query.where(column == wanted)
    if status is not None:
        query = query.where(runs.c.status == status.value)
    if not parts:
        query = query.where(runs.c.parent.is_(None))
    # Numbers are given out in the order of making: they break ties.
    order = (runs.c.created_at, runs.c.number) if oldest_first else (runs.c.created_at.desc(), runs.c.number.desc())
    return runs_from(connection, connection.execute(query.order_by(*order).limit(limit)).mappings().all())


def runs_from(connection: Connection, rows: Sequence[RowMapping]) -> list[Run]:
    """The runs of rows of the table, with their tags."""
    tags = tags_of(connection, [row["number"] for row in rows])
    return [
        from_row({**row, "experiment": str(row["experiment"]), "tags": tags.get(row["number"], {})}, Run)
        for row in rows
    ]


def change_run(connection: Connection, run_id: str, expected: Iterable[RunStatus], **changes: Any) -> bool:
    """Changes a run that has one of the expected states; whether it had."""
    query = update(runs).where(runs.c.id == run_id, runs.c.status.in_([status.value for status in expected]))
    return connection.execute(query.values(**changes)).rowcount == 1


def update_run_row(connection: Connection, run: RunKey, **changes: Any) -> None:
    """Changes columns of a run."""
    connection.execute(_CHANGED, {"known": run.number, **changes})


def set_lifecycle(connection: Connection, run: RunKey, lifecycle: Lifecycle, at: datetime | None) -> None:
    """Deletes or restores a run."""
    update_run_row(connection, run, lifecycle=lifecycle.value, deleted_at=at)
