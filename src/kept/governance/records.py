"""Rows of the audit chain, of counted actions and of approvals."""

from collections.abc import Iterator
from datetime import datetime

import msgspec
from sqlalchemy import Connection, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from kept.governance.approvals import Approval
from kept.governance.audit import GENESIS, AuditEntry, ChainLink
from kept.store.rows import from_row, to_row
from kept.store.schema import approvals, audit, audit_counts


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


def entries(connection: Connection, *, subject: str | None = None) -> Iterator[AuditEntry]:
    """All entries, or those of a subject, in order."""
    query = select(audit).order_by(audit.c.sequence)
    if subject is not None:
        query = query.where(audit.c.subject == subject)
    for row in connection.execute(query).mappings():
        yield from_row(row, AuditEntry)


def newest_entries(
    connection: Connection, limit: int, *, action: str | None = None, subject: str | None = None
) -> list[AuditEntry]:
    """The last entries that fit what is given, newest first."""
    query = select(audit).order_by(audit.c.sequence.desc()).limit(limit)
    for column, wanted in ((audit.c.action, action), (audit.c.subject, subject)):
        if wanted is not None:
            query = query.where(column == wanted)
    return [from_row(row, AuditEntry) for row in connection.execute(query).mappings()]


def count_action(connection: Connection, hour: datetime, actor: str, action: str, subject: str, times: int) -> None:
    """Adds to the number of times that an actor did a counted action in an hour."""
    row = {"hour": hour, "actor": actor, "action": action, "subject": subject, "count": times}
    query = upsert(audit_counts).values(**row)
    keys = [audit_counts.c.hour, audit_counts.c.actor, audit_counts.c.action, audit_counts.c.subject]
    total = audit_counts.c.count + query.excluded.count
    connection.execute(query.on_conflict_do_update(index_elements=keys, set_={"count": total}))


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
