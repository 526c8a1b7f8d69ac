"""Rows of the loop's decisions."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, insert, or_, select

from kept.loop.decision import TRAINING, Decision
from kept.store.rows import from_row, to_row
from kept.store.schema import decisions, runs
from kept.tracking.experiment import Lifecycle
from kept.tracking.records.runs import runs_from
from kept.tracking.run import Run, RunStatus


def insert_decision(connection: Connection, decision: Decision) -> None:
    """Adds a decision."""
    connection.execute(insert(decisions).values(**to_row(decision)))


def decisions_of(
    connection: Connection, project: str, *, endpoint: str | None = None, kinds: Collection[str] = (), limit: int
) -> list[Decision]:
    """A project's decisions, newest first; with an endpoint, only its own and those that are for every endpoint."""
    query = select(decisions).where(decisions.c.project == project)
    if endpoint is not None:
        query = query.where(_concerns(endpoint))
    if kinds:
        query = query.where(decisions.c.kind.in_(kinds))
    query = query.order_by(decisions.c.at.desc(), decisions.c.id.desc()).limit(limit)
    return [from_row(row, Decision) for row in connection.execute(query).mappings()]


def _concerns(endpoint: str) -> ColumnElement[bool]:
    """Whether a decision is the endpoint's own, or for every endpoint."""
    return or_(decisions.c.endpoint == endpoint, decisions.c.endpoint.is_(None))


def last_asked(connection: Connection, project: str, endpoint: str) -> Decision | None:
    """The decision that started the endpoint's last training of those that were decided on.

    By the number of its run: the clock may have been set back since.
    """
    query = select(decisions).join(runs, runs.c.id == decisions.c.run_id)
    query = query.where(
        decisions.c.project == project,
        decisions.c.kind == "retrain",
        _concerns(endpoint),
    )
    row = connection.execute(query.order_by(runs.c.number.desc()).limit(1)).mappings().first()
    return from_row(row, Decision) if row else None


def decisions_about(connection: Connection, run_id: str) -> list[Decision]:
    """What was decided about a run, in order."""
    query = select(decisions).where(decisions.c.run_id == run_id).order_by(decisions.c.at, decisions.c.id)
    return [from_row(row, Decision) for row in connection.execute(query).mappings()]


def trainings_of(
    connection: Connection,
    project: str,
    endpoint: str | None = None,
    *,
    statuses: Collection[RunStatus] = (),
    limit: int,
) -> list[Run]:
    """A project's trainings, newest first; with an endpoint, not those that were decided for another."""
    query = select(runs).where(
        runs.c.project == project,
        runs.c.kind == TRAINING,
        runs.c.lifecycle == Lifecycle.ACTIVE.value,
    )
    if statuses:
        query = query.where(runs.c.status.in_([one.value for one in statuses]))
    if endpoint is not None:
        elsewhere = select(decisions.c.run_id).where(
            decisions.c.project == project,
            decisions.c.kind == "retrain",
            decisions.c.endpoint != endpoint,
            decisions.c.run_id.is_not(None),
        )
        query = query.where(runs.c.id.not_in(elsewhere))
    # Numbers are given out in the order of making, and clocks can be set back.
    query = query.order_by(runs.c.number.desc()).limit(limit)
    return runs_from(connection, connection.execute(query).mappings().all())
