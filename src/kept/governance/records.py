"""Rows of the audit chain, of counted actions and of approvals."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from types import ModuleType
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, RowMapping, Select, Text, insert, select, type_coerce
from sqlalchemy.dialects import postgresql, sqlite

from kept.core.digests import canonical_json
from kept.core.errors import Damaged
from kept.governance.approvals import Approval
from kept.governance.audit import GENESIS, AuditEntry, ChainLink
from kept.store.rows import from_row, to_row
from kept.store.schema import approvals, audit, audit_counts


class CountedAction(NamedTuple):
    """An action that is counted, not told of each time."""

    hour: datetime
    actor: str
    action: str
    subject: str


def _adding(dialect: ModuleType) -> Any:
    query = dialect.insert(audit_counts)
    return query.on_conflict_do_update(
        index_elements=list(audit_counts.primary_key), set_={"count": audit_counts.c.count + query.excluded.count}
    )


# What is raised by a value that is none of its column: no JSON or nested too deep, no time, no text.
_NONE = (msgspec.DecodeError, RecursionError, ArithmeticError, TypeError, ValueError)
_COUNT = {"sqlite": _adding(sqlite), "postgresql": _adding(postgresql)}


def append_entry(connection: Connection, entry: AuditEntry) -> AuditEntry:
    """Adds an entry as the chain's next and gives it as sealed; its `sequence` and `previous` are set here."""
    head = chain_head(connection)
    sealed = msgspec.structs.replace(entry, sequence=head.sequence + 1, previous=head.digest).sealed()
    connection.execute(insert(audit).values(**to_row(sealed)))
    return sealed


def chain_head(connection: Connection) -> ChainLink:
    """The last entry's place and digest."""
    row = connection.execute(
        select(audit.c.sequence, audit.c.digest).order_by(audit.c.sequence.desc()).limit(1)
    ).first()
    return ChainLink(sequence=row.sequence, digest=row.digest) if row else ChainLink(sequence=0, digest=GENESIS)


def entries(
    connection: Connection, *, subject: str | None = None, actions: Collection[str] = ()
) -> Iterator[AuditEntry]:
    """All entries, or those that fit everything given, in order."""
    query = select(audit).order_by(audit.c.sequence)
    if subject is not None:
        query = query.where(audit.c.subject == subject)
    if actions:
        query = query.where(audit.c.action.in_(actions))
    return (entry for entry, _ in _read(connection, query, "behind"))


def entries_as_written(connection: Connection) -> Iterator[AuditEntry]:
    """All entries, in order; `Damaged` where the text of one's details is not what Kept writes for them.

    JSON with a key written twice reads as if the first were not there, and so would have the same seal.
    """
    query = select(audit, type_coerce(audit.c.details, Text).label("written")).order_by(audit.c.sequence)
    for entry, row in _read(connection, query, "behind"):
        if row["written"] != canonical_json(entry.details).decode():
            fix = "Restore the database from a backup"
            raise Damaged("its details were changed", where=f"audit entry {entry.sequence}", fix=fix)
        yield entry


def newest_entries(
    connection: Connection, limit: int, *, action: str | None = None, subject: str | None = None
) -> list[AuditEntry]:
    """The last entries that fit what is given, newest first."""
    query = select(audit).order_by(audit.c.sequence.desc()).limit(limit)
    for column, wanted in ((audit.c.action, action), (audit.c.subject, subject)):
        if wanted is not None:
            query = query.where(column == wanted)
    return [entry for entry, _ in _read(connection, query, "before")]


def _read(connection: Connection, query: Select[Any], side: str) -> Iterator[tuple[AuditEntry, RowMapping]]:
    """The entries with their rows; `Damaged` says on which side of the last one that could be read something stands that is none."""
    last = "the end" if side == "before" else "the beginning"
    rows = iter(connection.execute(query).mappings())
    while True:
        try:
            row = next(rows, None)
            found = None if row is None else (from_row(row, AuditEntry), row)
        except _NONE as error:
            fix = "Restore the database from a backup"
            raise Damaged("what is written there is no entry", where=f"audit, {side} {last}", fix=fix) from error
        if found is None:
            return
        last = f"entry {found[0].sequence}"
        yield found


def count_actions(connection: Connection, done: Sequence[CountedAction]) -> None:
    """Adds to the number of times that an actor did a counted action in an hour."""
    # Sorted, so that two transactions take the same rows in the same order.
    rows = [{**action._asdict(), "count": times} for action, times in sorted(Counter(done).items())]
    if rows:
        connection.execute(_COUNT[connection.dialect.name], rows)


def insert_approval(connection: Connection, approval: Approval) -> None:
    """Adds an approval or a waiver."""
    connection.execute(insert(approvals).values(**to_row(approval)))


def approvals_of(connection: Connection, subject: str) -> list[Approval]:
    """Approvals and waivers of a model version, oldest first."""
    query = select(approvals).where(approvals.c.subject == subject).order_by(approvals.c.at, approvals.c.id)
    return [from_row(row, Approval) for row in connection.execute(query).mappings()]


def approvers_of(connection: Connection, subject: str) -> set[str]:
    """Who has approved a model version."""
    return {one.actor for one in approvals_of(connection, subject) if one.kind == "approval"}
