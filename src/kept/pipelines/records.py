"""Rows of the steps of runs, and of the cache of their outputs."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, select

from kept.pipelines.run_step import RunStep
from kept.store.rows import from_row, to_row
from kept.store.schema import run_steps, step_cache
from kept.store.upsert import Upsert

_PUT_STEP = Upsert(run_steps, overwrite=[column.name for column in run_steps.c if not column.primary_key])
_CACHE = Upsert(step_cache, overwrite=["output", "run_id", "created_at"])


def put_steps(connection: Connection, steps: Iterable[RunStep]) -> None:
    """Sets steps of a run, whole."""
    _PUT_STEP.into(connection, [to_row(step) for step in steps])


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
    _CACHE.into(connection, [row])
