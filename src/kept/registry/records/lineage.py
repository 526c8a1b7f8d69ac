"""Rows of the events of OpenLineage that are owed to whoever gathers them."""

from collections.abc import Iterable
from datetime import datetime

import msgspec
from sqlalchemy import Connection, select, update

from kept.store.rows import from_row, to_row
from kept.store.schema import lineage_events
from kept.store.upsert import Upsert

_ADD = Upsert(lineage_events)
_C = lineage_events.c


class LineageEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event on its way to a target. It stays until the target has taken it."""

    run_id: str
    event: str
    """START, COMPLETE, FAIL or ABORT."""
    target: str
    """`file` or `url`."""
    body: str
    created_at: datetime
    attempts: int = 0
    next_at: datetime | None
    """When it is tried next; None once it is taken."""
    taken_at: datetime | None = None
    error: str | None = None


def add_events(connection: Connection, events: Iterable[LineageEvent]) -> None:
    """Adds those that are not there yet."""
    _ADD.into(connection, [to_row(one) for one in events])


def told_of(connection: Connection, run_ids: Iterable[str]) -> set[tuple[str, str, str]]:
    """The run, event and target of every event of these runs."""
    query = select(_C.run_id, _C.event, _C.target).where(_C.run_id.in_(list(run_ids)))
    return {(row.run_id, row.event, row.target) for row in connection.execute(query)}


def targets_owed(connection: Connection, now: datetime) -> list[str]:
    """The targets that an event is due to."""
    return list(connection.execute(select(_C.target).where(_C.next_at <= now).distinct().order_by(_C.target)).scalars())


def claim_event(connection: Connection, target: str, now: datetime, until: datetime) -> LineageEvent | None:
    """Takes the oldest event that a target is owed, when it is due, so that nobody else tries it until then.

    Events of a run go in their order: while one waits to be tried again, what came later waits, too.
    """
    query = select(lineage_events).where(_C.target == target, _C.next_at.is_not(None))
    query = query.order_by(_C.created_at, _C.run_id, _C.event.desc()).limit(1).with_for_update()
    row = connection.execute(query).mappings().first()
    if row is None or row["next_at"] > now:
        return None
    taken = from_row({**row, "attempts": row["attempts"] + 1, "next_at": until}, LineageEvent)
    save_event(connection, taken)
    return taken


def save_event(connection: Connection, event: LineageEvent) -> None:
    """Keeps what came of a try."""
    row = to_row(event)
    same = (_C.run_id == event.run_id) & (_C.event == event.event) & (_C.target == event.target)
    connection.execute(
        update(lineage_events)
        .where(same)
        .values({name: row[name] for name in ("attempts", "next_at", "taken_at", "error")})
    )
