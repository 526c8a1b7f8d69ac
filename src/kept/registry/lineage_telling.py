"""The outbox of OpenLineage events: written as work begins and ends, delivered until each target has taken them."""

import os
from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from kept.core.digests import canonical_json
from kept.core.errors import KeptError, Unavailable
from kept.core.retrying import wait_after
from kept.governance.workspace import Workspace
from kept.registry.openlineage import EventType, Work, event_of
from kept.registry.records.lineage import (
    LineageEvent,
    add_events,
    claim_event,
    save_event,
    targets_owed,
    told_of,
)
from kept.registry.webhook_posting import post
from kept.settings.settings import Settings

PREFIX = "lineage:"

# Beyond the time that an attempt may take: so much later it counts as lost.
_SPARE = timedelta(seconds=30)


class Due(msgspec.Struct, frozen=True):
    """An event that is to be told of, once.

    Args:
        id: that of the work.
        event: which.
        at: when it happened.
        work: the work as it was then; only asked for when it was not told yet.
    """

    id: str
    event: EventType
    at: datetime
    work: Callable[[], Work]


def is_told(settings: Settings) -> bool:
    """Whether anybody is told of anything."""
    return any(_targets(settings).values())


def has_ended(workspace: Workspace, work: str) -> bool:
    """Whether the end of some work was told of."""
    with workspace.database.reading() as connection:
        return any(event != "START" for _, event, _ in told_of(connection, [work]))


def note(workspace: Workspace, due: Iterable[Due]) -> int:
    """Notes what was not told yet, for each target; gives the number of events."""
    targets = [name for name, address in _targets(workspace.settings).items() if address]
    events = list(due)
    with workspace.database.reading() as connection:
        told = told_of(connection, {one.id for one in events})
    fresh: list[LineageEvent] = []
    for one in events:
        missing = [target for target in targets if (one.id, one.event, target) not in told]
        if missing:
            said = event_of(one.event, one.at, one.work(), workspace.settings.lineage_namespace)
            body = canonical_json(said).decode()
            fresh += [
                LineageEvent(
                    run_id=one.id, event=one.event, target=target, body=body, created_at=one.at, next_at=one.at
                )
                for target in missing
            ]
    if fresh:
        with workspace.database.writing() as connection:
            add_events(connection, fresh)
    return len(fresh)


def lineage_owed(workspace: Workspace, *, but: Collection[str]) -> list[str]:
    """The targets, as `lineage:NAME`, other than these, that an event is to be carried to now."""
    configured = {name for name, address in _targets(workspace.settings).items() if address}
    with workspace.database.reading() as connection:
        owed = targets_owed(connection, workspace.clock.now())
    return [f"{PREFIX}{one}" for one in owed if one in configured and f"{PREFIX}{one}" not in but]


def tell_next(workspace: Workspace, place: str) -> LineageEvent | None:
    """Tries the oldest event that a target is owed, and gives it as it stands then; None when none is due.

    One that does not take it is tried again after 1 s, 2 s, 4 s, ... and at last every hour, and gets the later events
    after it: a run begins before it ends. None is given up; one may come twice, when its answer was lost.
    """
    target = place.removeprefix(PREFIX)
    address = _targets(workspace.settings)[target]
    if not address:
        return None
    now = workspace.clock.now()
    until = now + timedelta(seconds=workspace.settings.alert_timeout_seconds) + _SPARE
    with workspace.database.writing() as connection:
        event = claim_event(connection, target, now, until)
    if event is None:
        return None
    error = None
    try:
        if target == "file":
            _append(workspace.root / address, event.body)
        else:
            _post(workspace.settings, address, event.body)
    except KeptError as fault:
        error = str(fault)
    done = _after_try(event, error, workspace.clock.now())
    with workspace.database.writing() as connection:
        save_event(connection, done)
    return done


def tell_all(workspace: Workspace, *, limit: int = 1_000) -> int:
    """Carries everything that is due; gives the number of events that were taken."""
    taken = 0
    for place in lineage_owed(workspace, but=()):
        for _ in range(limit):
            event = tell_next(workspace, place)
            if event is None or event.taken_at is None:
                break
            taken += 1
    return taken


def _targets(settings: Settings) -> dict[str, str]:
    return {"file": settings.lineage_file, "url": settings.lineage_url}


def _append(path: Path, body: str) -> None:
    """One line more, on the disk when this returns."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{body}\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise Unavailable(f"it cannot be written ({error})", where=str(path)) from error


def _post(settings: Settings, url: str, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    if settings.lineage_key:
        headers["Authorization"] = f"Bearer {settings.lineage_key}"
    try:
        answer = post(url, body.encode(), headers, seconds=settings.alert_timeout_seconds, private=True)
    except ValueError as error:  # no URL at all
        raise Unavailable(f"it cannot be called ({error})", where="lineage_url") from error
    if not 200 <= answer.status < 300:
        raise Unavailable(f"it answered {answer.status}")


def _after_try(event: LineageEvent, error: str | None, now: datetime) -> LineageEvent:
    if error is None:
        return msgspec.structs.replace(event, next_at=None, taken_at=now, error=None)
    return msgspec.structs.replace(event, next_at=now + wait_after(event.attempts), error=error)
