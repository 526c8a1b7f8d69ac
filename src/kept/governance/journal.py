"""Operations to read and verify the audit chain."""

import msgspec

from kept.core.errors import CheckFailed, Invalid
from kept.core.listing import list_limit
from kept.governance.actor import Actor, Permission
from kept.governance.audit import GENESIS, AuditEntry, ChainLink, check_link
from kept.governance.operation import Audit, operation
from kept.governance.records import entries_as_written, newest_entries
from kept.governance.workspace import Workspace


class ListAudit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The newest entries, of one subject or of one action where these are given."""

    subject: str | None = None
    action: str | None = None
    limit: int = 50


class VerifyAudit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Check the whole chain; with `entries` and `head`, also that it goes on from what an earlier check answered."""

    entries: int = 0
    head: str = GENESIS


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What a whole chain is: so many entries, ending in this digest."""

    entries: int
    head: str


@operation("audit.list", needs=Permission.VIEW, audit=Audit.READ)
def list_audit(workspace: Workspace, actor: Actor, request: ListAudit) -> list[AuditEntry]:
    """Entries of the audit chain, newest first."""
    del actor
    limit = list_limit(request.limit, where="audit")
    with workspace.database.reading() as connection:
        return newest_entries(connection, limit, action=request.action, subject=request.subject)


@operation("audit.verify", needs=Permission.VIEW, audit=Audit.READ)
def verify_audit(workspace: Workspace, actor: Actor, request: VerifyAudit) -> Verified:
    """Checks every entry's seal and place; `Damaged` names the first one that was touched, `CheckFailed` where it goes on otherwise.

    An end that was cut off, and a chain that was made anew, look whole by themselves: against the answer of an earlier check,
    kept where nobody can write who can write the database, they do not.
    """
    del actor
    if (request.entries == 0) != (request.head == GENESIS):
        fix = "Give both, as the earlier check answered them"
        raise Invalid("an earlier check is known by its entries and its head", where="entries, head", fix=fix)
    link = ChainLink()
    met = link.sequence == request.entries and link.digest == request.head
    with workspace.database.reading() as connection:
        for entry in entries_as_written(connection):
            link = check_link(link, entry)
            met = met or (link.sequence == request.entries and link.digest == request.head)
    if not met:
        what = "it is shorter than it was" if link.sequence < request.entries else "it is another chain than it was"
        where = f"audit entry {min(request.entries, link.sequence + 1)}"
        raise CheckFailed(what, where=where, fix="Restore the database from a backup")
    return Verified(entries=link.sequence, head=link.digest)
