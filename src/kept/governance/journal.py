"""Reading and checking the audit chain."""

import msgspec

from kept.governance.actor import Actor, Permission
from kept.governance.audit import AuditEntry, ChainLink, check_link
from kept.governance.operation import Audit, operation
from kept.governance.records import entries, newest_entries
from kept.governance.workspace import Workspace


class ListAudit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which entries: the newest `limit` of them, or those about one subject."""

    subject: str | None = None
    action: str | None = None
    limit: int = 50


class VerifyAudit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Check the whole chain."""


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What a whole chain is: so many entries, ending in this digest."""

    entries: int
    head: str


@operation("audit.list", needs=Permission.VIEW, audit=Audit.READ)
def list_audit(workspace: Workspace, actor: Actor, request: ListAudit) -> list[AuditEntry]:
    """Entries of the audit chain, newest first."""
    del actor
    with workspace.database.reading() as connection:
        if request.subject is None and request.action is None:
            return newest_entries(connection, request.limit)
        found = list(entries(connection, action=request.action, subject=request.subject))
    return found[::-1][: request.limit]


@operation("audit.verify", needs=Permission.VIEW, audit=Audit.READ)
def verify_audit(workspace: Workspace, actor: Actor, request: VerifyAudit) -> Verified:
    """Checks every entry's seal and place; `Damaged` names the first one that was touched."""
    del actor, request
    link = ChainLink()
    with workspace.database.reading() as connection:
        for entry in entries(connection):
            link = check_link(link, entry)
    return Verified(entries=link.sequence, head=link.digest)
