"""Rows of the loop's decisions."""

from collections.abc import Collection

from sqlalchemy import Connection, insert, select

from kept.loop.decision import Decision
from kept.store.rows import from_row, to_row
from kept.store.schema import decisions


def insert_decision(connection: Connection, decision: Decision) -> None:
    """Adds a decision."""
    connection.execute(insert(decisions).values(**to_row(decision)))


def decisions_of(connection: Connection, project: str, *, kinds: Collection[str] = (), limit: int) -> list[Decision]:
    """A project's decisions, newest first."""
    query = select(decisions).where(decisions.c.project == project)
    if kinds:
        query = query.where(decisions.c.kind.in_(kinds))
    query = query.order_by(decisions.c.at.desc(), decisions.c.id.desc()).limit(limit)
    return [from_row(row, Decision) for row in connection.execute(query).mappings()]


def decisions_about(connection: Connection, run_id: str) -> list[Decision]:
    """What was decided about a run, in order."""
    query = select(decisions).where(decisions.c.run_id == run_id).order_by(decisions.c.at, decisions.c.id)
    return [from_row(row, Decision) for row in connection.execute(query).mappings()]
