"""Rows of the steps of runs, and of the cache of their outputs."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert as upsert

from kept.pipelines.run_step import RunStep
from kept.store.rows import from_row, to_row
from kept.store.schema import run_steps, step_cache


def put_steps(connection: Connection, steps: Iterable[RunStep]) -> None:
    """Sets steps of a run, whole."""
    for step in steps:
        row = to_row(step)
        query = upsert(run_steps).values(**row)
        connection.execute(query.on_conflict_do_update(index_elements=[run_steps.c.run_id, run_steps.c.step], set_=row))


def steps_of(connection: Connection, run_id: str) -> list[RunStep]:
    """The steps of a run, each after those it depends on."""
    query = select(run_steps).where(run_steps.c.run_id == run_id).order_by(run_steps.c.position)
    return [from_row(row, RunStep) for row in connection.execute(query).mappings()]


def step_named(connection: Connection, run_id: str, step: str) -> RunStep | None:
    """One step of a run, or None."""
    query = select(run_steps).where(run_steps.c.run_id == run_id, run_steps.c.step == step)
    row = connection.execute(query).mappings().first()
    return from_row(row, RunStep) if row else None


def drop_steps(connection: Connection, run_id: str, keep: Iterable[str]) -> None:
    """Removes the steps of a run that are not in its graph any more."""
    query = run_steps.delete().where(run_steps.c.run_id == run_id, run_steps.c.step.not_in(list(keep)))
    connection.execute(query)


def cached_output(connection: Connection, key: str) -> str | None:
    """The digest of the output that a step with this key gave, or None."""
    return connection.execute(select(step_cache.c.output).where(step_cache.c.key == key)).scalar()


def cache_output(connection: Connection, key: str, output: str, *, run_id: str, at: datetime) -> None:
    """Remembers an output; the last one wins."""
    row = {"key": key, "output": output, "run_id": run_id, "created_at": at}
    query = upsert(step_cache).values(**row)
    connection.execute(query.on_conflict_do_update(index_elements=[step_cache.c.key], set_=row))
