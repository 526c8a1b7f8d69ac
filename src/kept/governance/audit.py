"""The audit chain: who did what, to what, why, with which evidence and outcome; each entry seals the one before."""

from datetime import datetime
from typing import Any

import msgspec

from kept.core.clock import format_time
from kept.core.digests import digest_json
from kept.core.errors import Damaged

GENESIS = "sha256:" + "0" * 64


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the chain."""

    sequence: int
    at: datetime
    actor: str
    origin: str
    action: str
    subject: str
    outcome: str
    """done, refused or failed."""
    details: dict[str, Any]
    previous: str
    digest: str = ""

    def sealed(self) -> "AuditEntry":
        """The entry with the digest of all its other fields."""
        return msgspec.structs.replace(self, digest=self.seal())

    def seal(self) -> str:
        """The digest of all fields but the digest itself."""
        fields = msgspec.structs.asdict(self) | {"at": format_time(self.at)}
        del fields["digest"]
        return digest_json(fields)


class ChainLink(msgspec.Struct, frozen=True, kw_only=True):
    """Where a checked chain ends: checking can go on from here."""

    sequence: int = 0
    digest: str = GENESIS


def check_link(link: ChainLink, entry: AuditEntry) -> ChainLink:
    """The chain one entry further, or `Damaged` when the entry was changed, removed, added or moved."""
    where = f"audit entry {entry.sequence}"
    if entry.sequence != link.sequence + 1:
        raise Damaged(f"entry {link.sequence + 1} is missing", where=where, fix="Restore the database from a backup")
    if entry.previous != link.digest:
        raise Damaged("it does not follow the entry before it", where=where, fix="Restore the database from a backup")
    if entry.seal() != entry.digest:
        raise Damaged("its content was changed", where=where, fix="Restore the database from a backup")
    return ChainLink(sequence=entry.sequence, digest=entry.digest)
