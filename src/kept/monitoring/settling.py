"""Ending incidents by themselves: the condition has gone, or the version that it was about serves no more."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from kept.governance.workspace import Workspace
from kept.monitoring.alert import Kind
from kept.monitoring.incident import Incident
from kept.monitoring.incidents import end_incident
from kept.monitoring.records import incidents_of, standing_incident

# Who it is that ends them, in the records.
KEPT = "kept"

_OF_A_VERSION: tuple[Kind, ...] = ("drift", "decay", "objective")
_MOST = 1_000


def settle_gone(
    connection: Connection, endpoint: str, kinds: Iterable[Kind], titles: Iterable[str], now: datetime
) -> None:
    """Ends the incidents of conditions that have gone."""
    for title in titles:
        for kind in kinds:
            if (found := standing_incident(connection, endpoint, kind, title)) is not None:
                end_incident(connection, found, KEPT, "the condition has gone", now)


def settle_replaced(workspace: Workspace, endpoint: str, champion: str) -> None:
    """Ends what was found on a version that is champion no more: its successor is watched anew."""
    with workspace.database.reading() as connection:
        if not _replaced(connection, endpoint, champion):
            return
    with workspace.database.writing() as connection:
        for one in _replaced(connection, endpoint, champion):
            end_incident(connection, one, KEPT, "another version serves now", workspace.clock.now())


def _replaced(connection: Connection, endpoint: str, champion: str) -> list[Incident]:
    found = incidents_of(connection, endpoint=endpoint, standing=True, limit=_MOST)
    return [one for one in found if one.kind in _OF_A_VERSION and one.version_id not in {None, champion}]
