"""Resolving incidents automatically: the condition has gone, or the version that it was about serves no more."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from kept.governance.workspace import Workspace
from kept.monitoring import attribution, predictions
from kept.monitoring.alert import Kind
from kept.monitoring.incident import Incident
from kept.monitoring.incidents import end_incident
from kept.monitoring.records import incidents_of, standing_incident

# Who it is that ends them, in the records.
KEPT = "kept"
GONE = "the condition has gone"
TAKEN_BACK = "labels that came later, or were corrected, do not show it"

_OF_A_VERSION: tuple[Kind, ...] = ("drift", "decay", "objective")
# Of the kind `quality`, and yet found by a detector that starts anew with each version.
_TITLES_OF_A_VERSION = {attribution.TITLE, predictions.TITLE}
_MOST = 1_000


def settle_gone(
    connection: Connection,
    endpoint: str,
    kinds: Iterable[Kind],
    titles: Iterable[str],
    now: datetime,
    *,
    why: str = GONE,
) -> None:
    """Ends the incidents of conditions that have gone."""
    for title in titles:
        for kind in kinds:
            if (found := standing_incident(connection, endpoint, kind, title)) is not None:
                end_incident(connection, found, KEPT, why, now)


def settle_acted(
    workspace: Workspace, endpoint: str, champion: str, acted_at: datetime | None, *, held: str | None = None
) -> None:
    """Ends what was found on a version that is champion no more, what a training has acted on, and holds that are over.

    Detectors start anew then: what still holds is raised again, and told again.

    Args:
        workspace: where.
        endpoint: whose.
        champion: the version that serves.
        acted_at: the event time up to which the last training knew the world; None while one is under way.
        held: the version whose rollout waits for a person to decide.
    """
    with workspace.database.reading() as connection:
        if not _settled(connection, endpoint, champion, acted_at, held):
            return
    with workspace.database.writing() as connection:
        for one, why in _settled(connection, endpoint, champion, acted_at, held):
            end_incident(connection, one, KEPT, why, workspace.clock.now())


def _settled(
    connection: Connection, endpoint: str, champion: str, acted_at: datetime | None, held: str | None
) -> list[tuple[Incident, str]]:
    found = []
    for one in incidents_of(connection, endpoint=endpoint, standing=True, limit=_MOST):
        if one.kind == "held" and one.version_id != held:
            found.append((one, "the rollout has gone on"))
        if one.kind not in _OF_A_VERSION and one.title not in _TITLES_OF_A_VERSION:
            continue
        if one.version_id not in {None, champion}:
            found.append((one, "another version serves now"))
        elif acted_at is not None and one.last_event_time is not None and one.last_event_time <= acted_at:
            found.append((one, "a training that knew of it has ended"))
    return found
